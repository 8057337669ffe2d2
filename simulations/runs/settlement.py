"""Settlement: a released version was wrong. Its decisions are asked again under the corrected one; who was paid too much or too little, by partner.

`before` and `after` are what is paid out: the amount of one measure where the outcome is one of `paid`, 0 where it is another, nothing where it is open.
`difference` is after minus before: below 0 the partner was paid too much.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import model_validator

from engine.errors import PolicyError, did_you_mean
from engine.library import Library
from engine.policy import Policy
from simulations.population.columns import CASE_ID, PARTNER, quoted
from simulations.reading.outcomes import OUTCOMES
from simulations.report import settlement as page
from simulations.runs import doubts
from simulations.runs.backtest import LARGEST, Candidate, largest
from simulations.runs.database import SPILL, Database, Progress, never, quiet
from simulations.runs.decisions import Log
from simulations.runs.directory import made
from simulations.runs.examples import STRIDE, Disagreement, askers
from simulations.runs.manifest import digest_of, made_with, write_json, write_manifest
from simulations.runs.measures import Measure, chosen_measures, measures
from simulations.runs.order import Order, Paid, Side, Source, Strict, stated
from simulations.runs.panel import POPULATION, Panel
from simulations.runs.replay import money, payable, text, write_rows
from simulations.runs.run import REPORT, about, opened
from simulations.runs.summary import labels, many
from simulations.runs.tally import amount, literal
from simulations.runs.task import task

RESULT, CASES, PARTNERS = "settlement.json", "settlement", "partners"
#: Partners that the JSON names; partners.csv and partners.parquet have all.
NAMED = 100
#: Rows of differing cases that are fetched at once.
FETCH = 1_000


class SettlementOrder(Strict):
    """Which version was wrong, which one corrects it, and what is asked again: a population, or a decision log with the fact that names the partner."""

    policy: str
    wrong: Side
    corrected: Side
    measure: str | None = None
    paid: Paid = ("allowed",)
    population: Source | None = None
    log: str | None = None
    partner: str | None = None
    as_of: str | None = None

    @model_validator(mode="after")
    def _one(self) -> SettlementOrder:
        if (self.population is None) == (self.log is None):
            raise ValueError("name a population or a decision log; one of the two")
        if self.partner is not None and self.log is None:
            raise ValueError("`partner` names a fact of a decision log; a population has its own column `partner`")
        return self


def settle(
    order: SettlementOrder, library: Library, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never, memory: str | None = None
) -> dict[str, Any]:
    """Write the cases that were paid too much or too little, and their sums by partner, into `folder`. Gives the totals. Raises PolicyError, Cancelled."""
    ask = order.population or Source(source="decisions")
    base = Order(policy=order.policy, baseline=order.wrong, candidate=order.corrected, population=ask, as_of=order.as_of, segments=[], paid=order.paid)
    wanted = task(base, library, ("wrong", "corrected"))
    known = measures(wanted.before, wanted.after)
    if not known:
        raise PolicyError(f"`{order.policy}` puts out no money; there is nothing to settle")
    measure = chosen_measures([order.measure] if order.measure else None, known)[0]
    if order.partner is not None and order.partner not in wanted.both.facts:
        hint = did_you_mean(order.partner, wanted.both.facts, "name the fact that says whose case it is")
        raise PolicyError(f"partner: `{order.policy}` has no fact `{order.partner}`; {hint}")
    with made(folder) as partial:
        if order.log is None:
            told = _of_population(base.model_copy(update={"measures": [measure.name]}), order, library, partial, progress, cancelled, memory)
        else:
            told = _of_log(order, library, measure, partial, progress, cancelled, memory)
        totals = told.pop("totals")
        result = {
            "format": 1, "kind": "settlement", "policy": order.policy, "title": wanted.after.model.title.model_dump(), "measure": measure.name, "unit": "CNY",
            "paid": list(order.paid), "wrong": _side(wanted.before, order.wrong), "corrected": _side(wanted.after, order.corrected),
            "as_of": wanted.as_of.isoformat() if wanted.as_of else None, "partner": order.partner, **told, **totals,
            "labels": {n: t for n, t in labels(wanted.before, wanted.after).items() if n in (measure.name, order.partner)},
            "warnings": doubts.told(_doubts(told, totals["total"]["open"])), "made": made_with(),
        }  # fmt: skip
        write_json(partial / RESULT, result)
        (partial / REPORT).write_text(page.html(result), encoding="utf-8")
        write_manifest(partial, "settlement", stated(order), {"wrong": wanted.before, "corrected": wanted.after}, told.get("population") or told.get("log"))
    progress("done", 1.0)
    return result


def _doubts(told: dict[str, Any], open_cases: int) -> Iterator[doubts.Doubt]:
    if "log" in told:
        yield from doubts.of_log(told["log"])
    else:
        population = told["population"]
        yield from (d for d in doubts.of_population(population) if d[0] != "small-sample")
        if population["seed"] is not None:
            yield "generated", "These cases are made up: nobody was paid these amounts.", "这些案例是生成的：并未真正支付过这些金额。"
    if open_cases:
        en = f"On one side {many(open_cases, 'case')} came without a determined amount; none is in the sums, and a person has to look."
        yield "open", en, f"{open_cases:,} 个案例有一侧金额无法确定，不在各项合计之内，需要人工处理。"


def _side(policy: Policy, side: Side) -> dict[str, Any]:
    return {"version": policy.version, "digest": policy.digest, "changed": {n: str(v) for n, v in side.parameters.items()}}


def _schema(places: int) -> pa.Schema:
    columns = [text(n) for n in (PARTNER, CASE_ID, "as_of", "from", "to")]
    return pa.schema([*columns, *money(["before", "after", "difference"], places), *(text(n) for n in ("kind", "receipt_before", "receipt_after"))])


def _row(
    partner: str | None, case: str, as_of: str, a: dict[str, Any], b: dict[str, Any], measure: Measure, paid: Sequence[str]
) -> dict[str, Any] | None:  # fmt: skip
    """One case that has to be settled or looked at; None where nothing differs."""
    before, after = payable(a, measure, paid), payable(b, measure, paid)
    if before == after:
        return None
    difference = None if before is None or after is None else after - before
    kind = "open" if difference is None else "over-paid" if difference < 0 else "under-paid"
    return {
        PARTNER: partner, CASE_ID: case, "as_of": as_of, "from": a["outcome"], "to": b["outcome"], "before": before, "after": after,
        "difference": difference, "kind": kind, "receipt_before": a.get("receipt"), "receipt_after": b.get("receipt"),
    }  # fmt: skip


# -- a population ----------------------------------------------------------------------------------------------------------------------


def _of_population(
    base: Order, order: SettlementOrder, library: Library, partial: Path, progress: Progress, cancelled: Callable[[], bool], memory: str | None
) -> dict[str, Any]:
    wanted = task(base, library)
    with opened(wanted, partial, progress, cancelled, memory) as (panel, told):
        measure = wanted.measures[0]
        panel.database.phase("finding the cases that differ", 0.2, 0.5)
        panel.database.run(f"CREATE TEMP TABLE differing AS {_differing(panel)}")
        panel.database.phase("asking them one by one", 0.5, 0.9)
        asked = partial / SPILL / "asked.parquet"
        write_rows(asked, _schema(measure.places), _asked(panel, measure, order.paid), panel.database)
        totals = _write(panel.database, asked, measure, partial)
    return {"population": {**about(told), "reasons": list(told.reasons)}, "cases_asked": told.used, "totals": totals}


def _differing(panel: Panel) -> str:
    """The cases in which the payable amounts are not the same."""
    return f'SELECT {CASE_ID}, "from", "to" FROM ({panel.pair()}) WHERE b0 IS DISTINCT FROM a0'


def _asked(panel: Panel, measure: Measure, paid: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The cases that differ, asked from the engine. Raises Disagreement where it answers otherwise than the reading."""
    columns = ", ".join(f"p.{quoted(c)}" for c in panel.columns)
    query = f'SELECT {columns}, d."from" AS "flip:from", d."to" AS "flip:to" FROM {POPULATION} p JOIN differing d USING ({CASE_ID})'
    before, after = askers(panel)
    [(count,)] = panel.database.rows("SELECT count(*) FROM differing")
    for at, row in enumerate(panel.database.stream(query, FETCH)):
        if at % STRIDE == 0:
            panel.database.at(at / count)
        a, b = before.ask(row, row["flip:from"]), after.ask(row, row["flip:to"])
        found = _row(row.get(PARTNER), row[CASE_ID], panel.instant(row).isoformat(), a, b, measure, paid)
        if found is None:
            raise Disagreement(str(row[CASE_ID]), after.program.policy.name, "paid the same", "paid otherwise")
        yield found


# -- a decision log --------------------------------------------------------------------------------------------------------------------


def _of_log(
    order: SettlementOrder, library: Library, measure: Measure, partial: Path, progress: Progress, cancelled: Callable[[], bool], memory: str | None
) -> dict[str, Any]:
    if order.wrong.parameters:
        raise PolicyError("wrong: a decision log holds what was answered; parameters of the wrong version cannot be changed, only those of the corrected one")
    assert order.log is not None
    log = Log(Path(order.log), order.policy)
    candidate = Candidate(library, order.policy, order.corrected)
    count = {"asked": 0}

    database = Database(partial, progress, cancelled, memory)

    def rows() -> Iterator[dict[str, Any]]:
        for d in log.decisions():
            if log.read % STRIDE == 0:
                database.at(log.share)
            if order.wrong.version is not None and d.version != order.wrong.version:
                continue
            answer = candidate.ask(d)
            if answer is None:
                continue
            count["asked"] += 1
            partner = d.facts.get(order.partner) if order.partner else None
            recorded = {"outcome": d.outcome, "outputs": d.outputs, "receipt": d.receipt}
            found = _row(None if partner is None else str(partner), d.id, d.as_of.isoformat(), recorded, answer, measure, order.paid)
            if found is not None:
                yield found

    try:
        database.phase("asking the recorded decisions", 0.0, 0.9)
        asked = partial / SPILL / "asked.parquet"
        write_rows(asked, _schema(measure.places), rows(), database)
        if not count["asked"]:
            of = f" of version {order.wrong.version}" if order.wrong.version else ""
            raise PolicyError(f"`{log.path.name}` holds no decision of `{order.policy}`{of} that can be asked again; look at the log, or name another version")
        totals = _write(database, asked, measure, partial)
    finally:
        database.close()
        shutil.rmtree(partial / SPILL, ignore_errors=True)
    told = {**log.as_json(), "digest": digest_of(log.path), "not_asked": len(candidate.refused), "refused": candidate.refused[:100]}
    return {"log": told, "cases_asked": count["asked"], "totals": totals}


# -- the lists -------------------------------------------------------------------------------------------------------------------------


def _write(database: Database, asked: Path, measure: Measure, partial: Path) -> dict[str, Any]:
    """The lists of cases and of partners as CSV and Parquet, and the totals."""
    source = f"read_parquet({literal(str(asked))})"
    _copy(database, f"SELECT * FROM {source} ORDER BY {PARTNER} NULLS LAST, {CASE_ID}", partial / CASES)
    sums = ", ".join(
        f"count(*) FILTER (kind = '{kind}') AS {quoted(f'{kind}:cases')}, coalesce(sum(difference) FILTER (kind = '{kind}'), 0) AS {quoted(f'{kind}:amount')}"
        for kind in ("over-paid", "under-paid")
    )
    sums += ", count(*) FILTER (kind = 'open') AS \"open:cases\", coalesce(sum(difference), 0) AS net"
    _copy(database, f"SELECT {PARTNER}, {sums} FROM {source} GROUP BY {PARTNER} ORDER BY {PARTNER} NULLS LAST", partial / PARTNERS)
    [total] = database.dicts(f"SELECT {sums}, count(DISTINCT {PARTNER}) AS partners FROM {source}")
    sums_of = f"read_parquet({literal(str(partial / f'{PARTNERS}.parquet'))})"

    def partners(order: str, most: int) -> list[dict[str, Any]]:
        rows = database.dicts(f"SELECT * FROM {sums_of} {order}, {PARTNER} NULLS LAST LIMIT {most}")
        return [{"partner": row[PARTNER], **_sums(row, measure.places)} for row in rows]

    cells = {(a, b): n for a, b, n in database.rows(f'SELECT "from", "to", count(*) FROM {source} GROUP BY ALL')}
    return {
        "total": _sums(total, measure.places), "partners": int(total["partners"]), "by_partner": partners("ORDER BY abs(net) DESC", NAMED),
        "most_over_paid": partners("WHERE net < 0 ORDER BY net", LARGEST), "most_under_paid": partners("WHERE net > 0 ORDER BY net DESC", LARGEST),
        "differing": [{"from": a, "to": b, "rows": cells[a, b]} for a in OUTCOMES for b in OUTCOMES if (a, b) in cells],
        "largest": largest(database, f"SELECT {CASE_ID} AS case_id, {PARTNER} AS partner, before, after, \"from\", \"to\" FROM {source}"),
    }  # fmt: skip


def _sums(row: dict[str, Any], places: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: {"cases": int(row[f"{kind}:cases"] or 0), "amount": f"{amount(row[f'{kind}:amount'], places):f}"}
        for name, kind in (("over_paid", "over-paid"), ("under_paid", "under-paid"))
    }
    return told | {"open": int(row["open:cases"] or 0), "net": f"{amount(row['net'], places):f}"}


def _copy(database: Database, query: str, path: Path) -> None:
    """One table as Parquet and, the same rows, as CSV."""
    parquet = literal(f"{path}.parquet")
    database.run(f"COPY ({query}) TO {parquet} (FORMAT parquet, COMPRESSION zstd)")
    database.run(f"COPY (SELECT * FROM read_parquet({parquet})) TO {literal(f'{path}.csv')} (FORMAT csv, HEADER)")
