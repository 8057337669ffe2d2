"""Single cases of a run asked again from the engine: examples of each flip with both traces, and the facts that undetermined cases wait for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.decide import Program
from engine.errors import EvaluationError, PolicyError
from engine.policy import Policy
from simulations.population.columns import CASE_ID, facts_of, quoted
from simulations.runs.panel import POPULATION, Panel
from simulations.runs.tally import Tally, literal

#: So many undetermined cases are asked what they wait for; of more, a seeded sample.
ASKED = 5_000
#: How many cases are asked between two words on how far the run is.
STRIDE = 200
MASK = "***"
_ITEM = re.compile(r"\[[0-9]+\]")


class Disagreement(PolicyError):
    """The engine and the population reading give one case different answers: a fault of ours, and the run is worth nothing."""

    def __init__(self, case: str, version: str, engine: str, reading: str) -> None:
        super().__init__(f"internal error: for the case `{case}` {version} is {engine} by itself and {reading} in the population; please report this case")


def examples(tally: Tally, changed: Path) -> list[dict[str, Any]]:
    """Of each kind of flip some cases, chosen by the seed, with both answers and their traces. Raises Disagreement."""
    panel = tally.panel
    wanted = panel.task.order.examples
    if not wanted:
        return []
    chosen = (
        f'SELECT {CASE_ID}, "from", "to", row_number() OVER (PARTITION BY "from", "to" ORDER BY {drawn(panel)}) AS place'
        f" FROM read_parquet({literal(str(changed))})"
    )
    picked = panel.database.rows(f'SELECT {CASE_ID}, "from", "to" FROM ({chosen}) WHERE place <= {wanted} ORDER BY "from" = "to", "from", "to", place')
    rows = {row[CASE_ID]: row for row in panel.cases([case for case, _, _ in picked])}
    both = askers(panel)
    return [_example(panel, both, rows[case], (a, b)) for case, a, b in picked]


def drawn(panel: Panel) -> str:
    """An order of the cases that the seed gives, the same for the same seed."""
    return f"md5('{panel.task.order.seed}:' || {CASE_ID}), {CASE_ID}"


def _example(panel: Panel, both: tuple[Asker, Asker], row: Mapping[str, Any], flip: tuple[str, str]) -> dict[str, Any]:
    answers = [side.ask(row, outcome, trace=True) for side, outcome in zip(both, flip, strict=True)]
    facts = {k: v for side in both for k, v in side.facts(row).items()}
    hidden = {name for side in both for name, f in side.wide.facts.items() if f.sensitive}
    masked: dict[str, Any] = mask({"facts": facts, "baseline": answers[0], "candidate": answers[1]}, hidden, facts)
    return {"from": flip[0], "to": flip[1], "case_id": row[CASE_ID], "as_of": panel.instant(row).isoformat(), **masked}


class Asker:
    """One version that single rows of the population are asked under."""

    def __init__(self, panel: Panel, policy: Policy) -> None:
        self.panel, self.program, self.wide = panel, Program(policy), panel.task.wide(policy)

    def ask(self, row: Mapping[str, Any], outcome: str | None = None, trace: bool = False) -> dict[str, Any]:
        """The engine's answer; a case that the rules give no value for has the outcome `error`. Raises Disagreement if it is not `outcome`."""
        as_of = self.panel.instant(row)
        try:
            answer = self.program.check(self.facts(row), as_of, self.panel.task.library.resolver(as_of, None), trace)
        except EvaluationError as error:
            answer = {"outcome": "error", "error": {"kind": error.kind, "message": str(error)}}
        if outcome is not None and answer["outcome"] != outcome:
            raise Disagreement(str(row[CASE_ID]), self.program.policy.name, answer["outcome"], outcome)
        return answer

    def facts(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row says, as the facts of a request."""
        return facts_of(row, self.wide)


def askers(panel: Panel) -> tuple[Asker, Asker]:
    """Baseline and candidate."""
    return Asker(panel, panel.task.before), Asker(panel, panel.task.after)


def mask(value: Any, hidden: set[str], facts: Mapping[str, Any]) -> Any:
    """JSON data without the values of sensitive facts: under their names, and inside texts that quote them."""
    texts = sorted({str(facts[n]) for n in hidden if facts.get(n) not in (None, "", True, False)}, key=len, reverse=True)
    return _masked(value, hidden, texts) if hidden else value


def _masked(value: Any, hidden: set[str], texts: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {k: MASK if k in hidden and v is not None else _masked(v, hidden, texts) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v, hidden, texts) for v in value]
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, MASK)
    return value


def missing(tally: Tally, undetermined: int) -> tuple[list[dict[str, Any]], int | None]:
    """How many undetermined cases wait for each fact, before and after; and how many cases were asked, None for all of them."""
    if not undetermined:
        return [], None
    panel = tally.panel
    open_cases = f'SELECT {CASE_ID}, "from", "to" FROM ({tally.query}) WHERE \'undetermined\' IN ("from", "to")'
    columns = ", ".join(f"p.{quoted(c)}" for c in panel.columns)
    some = f"SELECT * FROM ({open_cases}) ORDER BY {drawn(panel)} LIMIT {ASKED}"
    rows = panel.database.dicts(f'SELECT {columns}, u."from" AS "flip:from", u."to" AS "flip:to" FROM {POPULATION} p JOIN ({some}) u USING ({CASE_ID})')
    counts = (Counter[str](), Counter[str]())
    both = askers(panel)
    for at, row in enumerate(rows):
        if at % STRIDE == 0:
            panel.database.at(at / len(rows))
        for side, key, counted in zip(both, ("flip:from", "flip:to"), counts, strict=True):
            if row[key] == "undetermined":
                counted.update({_ITEM.sub("[]", name) for name in side.ask(row, row[key])["missing"]})
    found = [{"fact": n, "before": counts[0][n], "after": counts[1][n]} for n in sorted(counts[0] | counts[1])]
    return found, ASKED if undetermined > ASKED else None
