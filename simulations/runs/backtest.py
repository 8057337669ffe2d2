"""A backtest: recorded decisions asked again under a candidate, and what would have come out differently."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.decide import Program
from engine.errors import EvaluationError, FactsError, PolicyError
from engine.library import Library
from engine.policy import Policy
from simulations.population.columns import quoted
from simulations.reading.outcomes import OUTCOMES
from simulations.report import backtest as page
from simulations.runs import doubts
from simulations.runs.database import SPILL, Database, Progress, never, quiet
from simulations.runs.decisions import Decision, Log
from simulations.runs.directory import made
from simulations.runs.examples import STRIDE
from simulations.runs.manifest import digest_of, made_with, write_json, write_manifest
from simulations.runs.measures import Measure, chosen_measures, measures
from simulations.runs.order import Paid, Side, Strict, parameters_text, stated
from simulations.runs.replay import money, payable, text, write_rows
from simulations.runs.run import REPORT
from simulations.runs.summary import labels, share
from simulations.runs.tally import amount, literal
from simulations.runs.task import version_of

RESULT, CHANGED = "backtest.json", "changed.parquet"
#: Cases that the JSON names of those that gain most, and as many of those that lose most.
LARGEST = 10


class BacktestOrder(Strict):
    """A decision log and the candidate that it is asked again under; without a version, the one in force on each day as is known today."""

    policy: str
    log: str
    candidate: Side = Side()
    measures: list[str] | None = None
    paid: Paid = ("allowed",)


class Candidate:
    """The version that each decision is asked again under."""

    def __init__(self, library: Library, policy: str, side: Side) -> None:
        self.library, self.policy, self.side = library, policy, side
        self.programs: dict[int, Program] = {}
        self.refused: list[dict[str, Any]] = []
        if side.version is not None:
            self._program(version_of(library, policy, side, None, "candidate"))

    def versions(self) -> list[Policy]:
        """Every version that was asked, the earliest first."""
        return [self.programs[n].policy for n in sorted(self.programs)]

    def ask(self, d: Decision) -> dict[str, Any] | None:
        """The answer; None, told under `refused`, where no version is in force or the facts do not fit it any more."""
        try:
            program = self._in_force(d)
            resolver = self.library.resolver(d.as_of, None)
            known = set(program.policy.facts) | program.also(resolver)
            answer = program.check({n: v for n, v in d.facts.items() if n in known}, d.as_of, resolver)
        except EvaluationError as error:
            return {"outcome": "error", "outputs": {}, "error": {"kind": error.kind, "message": str(error)}}
        except (FactsError, PolicyError) as error:
            self.refused.append({"line": d.line, "reason": str(error)})
            return None
        return answer

    def _in_force(self, d: Decision) -> Program:
        if self.side.version is not None:
            return self.programs[self.side.version]
        found = self.library.in_force(self.policy, d.as_of, None).policy
        if found.version not in self.programs:
            self._program(version_of(self.library, self.policy, Side(version=found.version, parameters=self.side.parameters), None, "candidate"))
        return self.programs[found.version]

    def _program(self, policy: Policy) -> None:
        self.programs[policy.version] = Program(policy)


def backtest(
    order: BacktestOrder, library: Library, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never, memory: str | None = None
) -> dict[str, Any]:
    """Ask every recorded decision of the policy again, and write what differs into `folder`. Gives the totals. Raises PolicyError, Cancelled."""
    versions = [library.version(order.policy, n).policy for n in sorted(library.versions.get(order.policy, {}))]
    candidate = Candidate(library, order.policy, order.candidate)
    counted = chosen_measures(order.measures, measures(*versions))
    log = Log(Path(order.log), order.policy)
    with made(folder) as partial:
        database = Database(partial, progress, cancelled, memory)
        try:
            database.phase("asking the recorded decisions", 0.0, 0.9)
            asked = partial / SPILL / "asked.parquet"
            if write_rows(asked, _schema(counted), _rows(log, candidate, counted, order.paid, database), database) == 0:
                raise PolicyError(_nothing(log, candidate))
            database.phase("counting", 0.9, 1.0)
            found = _totals(database, asked, counted)
            _write_changed(database, asked, counted, partial / CHANGED)
        finally:
            database.close()
            shutil.rmtree(partial / SPILL, ignore_errors=True)
        told = {**log.as_json(), "digest": digest_of(log.path), "not_asked": len(candidate.refused), "refused": candidate.refused[:100]}
        asked_under = candidate.versions()
        result = {
            "format": 1, "kind": "backtest", "policy": order.policy, "title": asked_under[-1].model.title.model_dump(), "log": told,
            "paid": list(order.paid),
            "candidate": [{"version": p.version, "digest": p.digest, "parameters": parameters_text(p)} for p in asked_under],
            "changed": {n: parameters_text(asked_under[-1])[n] for n in sorted(order.candidate.parameters)}, **found,
            "labels": {n: t for n, t in labels(*asked_under).items() if any(n in p.parameters or n in p.outputs for p in asked_under)},
            "warnings": doubts.told(doubts.of_log(told)), "made": made_with(),
        }  # fmt: skip
        write_json(partial / RESULT, result)
        (partial / REPORT).write_text(page.html(result), encoding="utf-8")
        write_manifest(partial, "backtest", stated(order), {f"candidate-{p.version}": p for p in candidate.versions()}, {"digest": told["digest"]})
    progress("done", 1.0)
    return result


def _nothing(log: Log, candidate: Candidate) -> str:
    """Why no decision could be asked, and what to do."""
    if candidate.refused:
        first = candidate.refused[0]
        return f"none of the {log.read} decisions of `{log.policy}` can be asked again; the first, on line {first['line']}: {first['reason']}"
    if log.bad:
        return f"`{log.path.name}` holds no decision that can be used; line {log.bad[0]['line']}: {log.bad[0]['reason']}"
    return f"`{log.path.name}` holds no decision of `{log.policy}`; start the service with a decision log, and ask it first"


def _schema(counted: tuple[Measure, ...]) -> pa.Schema:
    columns = [text("decision_id"), text("as_of"), ("version", pa.int32()), text("from"), text("to")]
    for m in counted:
        columns += money([f"{m.name}:before", f"{m.name}:after"], m.places)
    return pa.schema(columns)


def _rows(log: Log, candidate: Candidate, counted: tuple[Measure, ...], paid: Paid, database: Database) -> Iterator[dict[str, Any]]:
    for d in log.decisions():
        if log.read % STRIDE == 0:
            database.at(log.share)
        answer = candidate.ask(d)
        if answer is not None:
            row = {"decision_id": d.id, "as_of": d.as_of.isoformat(), "version": d.version, "from": d.outcome, "to": answer["outcome"]}
            for m in counted:
                recorded = {"outcome": d.outcome, "outputs": d.outputs}
                row[f"{m.name}:before"], row[f"{m.name}:after"] = payable(recorded, m, paid), payable(answer, m, paid)
            yield row


def _totals(database: Database, asked: Path, counted: tuple[Measure, ...]) -> dict[str, Any]:
    source = f"read_parquet({literal(str(asked))})"
    cells = {(a, b): n for a, b, n in database.rows(f'SELECT "from", "to", count(*) FROM {source} GROUP BY ALL')}
    order = [(a, b) for a in OUTCOMES for b in OUTCOMES if (a, b) in cells]
    moved = sum(n for (a, b), n in cells.items() if a != b)
    told = []
    for m in counted:
        before, after = (quoted(f"{m.name}:{side}") for side in ("before", "after"))
        parts = f"sum({before}), sum({after}), count({before}), count({after})"
        gains = ", ".join(f"count_if({after} {op} {before}), sum(CASE WHEN {after} {op} {before} THEN {after} - {before} END)" for op in "><")
        [row] = database.rows(f"SELECT {parts}, {gains} FROM {source}")
        a, b, gain, loss = (amount(row[i], m.places) for i in (0, 1, 5, 7))
        told.append({
            "name": m.name, "unit": "CNY", "before": f"{a:f}", "after": f"{b:f}", "change": f"{b - a:f}",
            "determined_before": row[2], "determined_after": row[3],
            "gain": {"rows": int(row[4] or 0), "amount": f"{gain:f}"}, "loss": {"rows": int(row[6] or 0), "amount": f"{loss:f}"},
            **largest(database, f"SELECT decision_id AS case_id, NULL AS partner, {before} AS before, {after} AS after, \"from\", \"to\" FROM {source}"),
        })  # fmt: skip
    flips = {"cells": [{"from": a, "to": b, "rows": cells[a, b]} for a, b in order], "changed": moved, "share": share(moved, sum(cells.values()))}
    return {"flips": flips, "measures": told}


def largest(database: Database, cases: str) -> dict[str, Any]:
    """The cases that gain and lose most. `cases`: a query of case_id, partner, before, after, from and to."""
    found: dict[str, Any] = {}
    for name, test, order in (("gainers", "after > before", "DESC"), ("losers", "after < before", "ASC")):
        columns = 'case_id, partner, before, after, after - before AS change, "from", "to"'
        rows = database.dicts(f"SELECT {columns} FROM ({cases}) WHERE {test} ORDER BY change {order}, case_id LIMIT {LARGEST}")
        found[name] = [{k: f"{v:f}" if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows]
    return found


def _write_changed(database: Database, asked: Path, counted: tuple[Measure, ...], path: Path) -> None:
    """The decisions that would come out differently, in the order of their instants."""
    tests = ['"from" <> "to"', *(f"{quoted(f'{m.name}:before')} IS DISTINCT FROM {quoted(f'{m.name}:after')}" for m in counted)]
    query = f"SELECT * FROM read_parquet({literal(str(asked))}) WHERE {' OR '.join(tests)} ORDER BY as_of, decision_id"
    database.run(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
