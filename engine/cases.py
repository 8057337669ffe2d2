"""The regression cases of a version: read from `vN.cases.yaml`, run, and compared exactly, reasons included."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine.clock import instant
from engine.decide import Program, Resolver
from engine.errors import EvaluationError, FactsError, Fault, RuleFileError
from engine.model import CaseModel, CasesModel, ExpectModel
from engine.shape import shape
from engine.source import Source, read


@dataclass(frozen=True, slots=True)
class Case:
    """One case with its facts put together."""

    name: str
    facts: dict[str, Any]
    as_of: datetime
    ask: str
    expect: ExpectModel
    line: int


@dataclass(slots=True)
class CaseResult:
    case: Case
    differences: list[str] = field(default_factory=list)
    answer: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        return not self.differences


def case_file(rule_file: Path) -> Path:
    """The case file beside a rule file."""
    return rule_file.with_name(f"{rule_file.stem}.cases.yaml")


def load_cases(path: Path, name: str | None = None) -> list[Case]:
    """Read a case file. Raises RuleFileError with every fault."""
    source = read(path, name)
    model = shape(source, CasesModel)
    faults: list[Fault] = []
    cases = []
    names: set[str] = set()
    for i, raw in enumerate(model.cases):
        if raw.name in names:
            faults.append(Fault(source.place(("cases", i, "name")), f"two cases are named `{raw.name}`", "give each its own name"))
        names.add(raw.name)
        case = _case(i, raw, model, source, faults)
        if case is not None:
            cases.append(case)
    if faults:
        raise RuleFileError(faults)
    return cases


def _case(i: int, raw: CaseModel, model: CasesModel, source: Source, faults: list[Fault]) -> Case | None:
    facts = flat(model.base)
    facts.update(flat(raw.facts))
    for name in raw.unknown:
        if not without(facts, name):
            faults.append(Fault(source.place(("cases", i, "unknown")), f"`{name}` is not among the facts of this case", "`unknown` takes a fact out"))
    try:
        moment = instant(raw.as_of or model.as_of)
    except ValueError as error:
        faults.append(Fault(source.place(("cases", i)), str(error), None))
        return None
    return Case(raw.name, facts, moment, raw.ask, raw.expect, source.place(("cases", i)).line)


def flat(facts: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested facts by dotted name (lists and their records as they are)."""
    result: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = copy.deepcopy(value)
    return result


def without(facts: dict[str, Any], name: str) -> bool:
    """Take a fact, or a field of a list item (`staff[0].bound`), out of facts by dotted name. False if it is not there."""
    gone = [f for f in facts if f == name or f.startswith(f"{name}.")]
    for fact in gone:
        del facts[fact]
    return bool(gone) or ("[" in name and _drop_inside(facts, name))


def _drop_inside(facts: dict[str, Any], path: str) -> bool:
    """Take a field of a list item out: `staff[0].bound`."""
    head, _, rest = path.partition("[")
    index, _, tail = rest.partition("].")
    try:
        target: Any = facts[head][int(index)]
        while "[" in tail:
            head, _, rest = tail.partition("[")
            index, _, tail = rest.partition("].")
            target = target[head][int(index)]
        del target[tail]
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    return True


def run_case(case: Case, program: Program, resolve: Resolver | None = None) -> CaseResult:
    """Ask the case and compare: outcome, reasons, missing exactly; warnings and outputs where the case names them."""
    result = CaseResult(case)
    ask = program.compute if case.ask == "compute" else program.check
    try:
        answer = ask(case.facts, case.as_of, resolve)
    except (EvaluationError, FactsError) as error:
        kind = error.kind if isinstance(error, EvaluationError) else "facts"
        if case.expect.error is None:
            result.differences.append(f"error {kind}: {error}")
        elif case.expect.error not in f"{kind}: {error}":
            result.differences.append(f"expected error `{case.expect.error}`, got `{kind}: {error}`")
        return result
    result.answer = answer
    result.differences += list(_compared(case.expect, answer, case.ask))
    return result


def _compared(expect: ExpectModel, answer: dict[str, Any], ask: str) -> Iterator[str]:
    if expect.error is not None:
        yield f"expected error `{expect.error}`, got outcome {answer['outcome']}"
        return
    if expect.outcome is not None and answer["outcome"] != expect.outcome:
        yield f"outcome: expected {expect.outcome}, got {answer['outcome']}"
    pairs = [("reasons", expect.reasons, [r["code"] for r in answer["reasons"]]), ("missing", sorted(expect.missing), answer["missing"])]
    if expect.warnings is not None:
        pairs.append(("warnings", expect.warnings, [w["code"] for w in answer["warnings"]]))
    for name, wanted, got in pairs:
        if wanted != got:
            yield f"{name}: expected {wanted}, got {got}"
    given = flat_outputs(answer["outputs"])
    for name, wanted in flat_outputs(expect.outputs).items():
        if name not in given:
            yield f"output {name}: not among the outputs {', '.join(given)}"
        elif not same(wanted, given[name]):
            yield f"output {name}: expected {wanted!r}, got {given[name]!r}"


def flat_outputs(outputs: dict[str, Any]) -> dict[str, Any]:
    return flat(outputs) if outputs else {}


def same(wanted: Any, got: Any) -> bool:
    """Equal as data; a number written without quotes, or with other places, equals its decimal text; record fields may be dotted."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        a, b = flat(wanted), flat(got)
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(same(a, b) for a, b in zip(wanted, got, strict=True))
    if isinstance(wanted, bool) or isinstance(got, bool) or wanted is None or got is None:
        return wanted is got
    try:
        return wanted == got or Decimal(str(wanted)) == Decimal(str(got))
    except InvalidOperation:
        return False
