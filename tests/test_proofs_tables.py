"""Table lints against counting out: random tables over a small domain, every hit policy."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest

from engine.decide import Program
from engine.policy import Policy, TableRow
from proofs.findings import Subject
from proofs.tables import table_lints
from tests.small import HEAD, KINDS, NUMBERS, made

RANKED = ("z", "x", "y")
CELLS = ("any", "[0..2)", "[2..5]", "(1..4)", ">= 3", "> 4", "<= 1", "< 3", "2")


def table_text(random: Random, hit: str) -> str:
    """A table over an enum, a truth value and a number. Its only look-up gives it the facts as they are."""
    rows = []
    names = RANKED if hit == "priority" else range(3)
    kind_of_out = "enum, values: [x, y, z]" if hit == "priority" else "integer"
    for _ in range(random.randrange(1, 6)):
        kind = random.choice(("any", "a", "b", "[a, b]", "[b, c]"))
        rows.append(
            f"      - {{kind: {kind}, flag: {random.choice(('any', 'any', 'true', 'false'))}, n: '{random.choice(CELLS)}', out: {random.choice(names)}}}"
        )
    order = f"    priority: {{out: [{', '.join(RANKED)}]}}\n" if hit == "priority" else ""
    default = "    default: {out: 9}\n" if random.random() < 0.2 and hit != "priority" else ""
    head = HEAD.format(version=1).replace("n:    {type: integer, nullable: true}", "n:    {type: integer}")
    inputs = "{kind: {type: enum, values: [a, b, c]}, flag: {type: bool}, n: {type: integer}}"
    shown = {"count": "tables.t(kind=kind, flag=flag, n=n)", "collect": "count(tables.t(kind=kind, flag=flag, n=n))"}
    value = shown.get(hit, "coalesce(tables.t(kind=kind, flag=flag, n=n).out, 0)" if hit in ("min", "max") else "tables.t(kind=kind, flag=flag, n=n).out")
    return (
        f"{head}tables:\n  t:\n    hit: {hit}\n{order}{default}    inputs: {inputs}\n    outputs: {{out: {{type: {kind_of_out}}}}}\n    rows:\n"
        + "\n".join(rows)
        + f"\noutputs:\n  out: {{type: {kind_of_out}, value: '{value}', source: {{refs: [A-001]}}}}\n"
    )


def counted(policy: Policy) -> set[tuple[str, str]]:
    table = policy.tables["t"]
    matching: list[list[TableRow]] = []
    for inputs in itertools.product(KINDS, (False, True), NUMBERS):
        matching.append([r for r in table.rows if all(c.accepts(v) for c, v in zip(r.cells, inputs, strict=True))])
    found: set[tuple[str, str]] = set()
    if table.default is None and table.hit in ("unique", "first", "priority", "any", "min", "max") and [] in matching:
        found.add(("table-gap", "t"))
    for a, b in itertools.combinations(table.rows, 2):
        if (table.hit == "unique" or (table.hit == "any" and a.outputs != b.outputs)) and any(a in m and b in m for m in matching):
            found.add(("table-overlap", f"t rows {a.number} and {b.number}"))
    for row in table.rows:
        if not any(row in m for m in matching):
            found.add(("table-row-unreachable", f"t row {row.number}"))
        elif table.hit in ("first", "priority") and all(_taken(policy, m) is not row for m in matching if row in m):
            found.add(("table-row-masked", f"t row {row.number}"))
    return found


def _taken(policy: Policy, rows: list[TableRow]) -> Any:
    if policy.tables["t"].hit == "first":
        return rows[0]
    return min(rows, key=lambda r: (RANKED.index(r.outputs[0]), r.number))


@pytest.mark.parametrize("hit", ["unique", "first", "priority", "any", "collect", "sum", "min", "max", "count"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_counted_out_is_found(hit: str, seed: int) -> None:
    policy = made(table_text(Random(f"{hit} {seed}"), hit))
    findings = list(table_lints(Subject(policy, Program(policy))))
    assert {(f.lint, f.at) for f in findings} == counted(policy)
    assert all(f.status == "proved" for f in findings)
    for f in findings:
        if f.lint == "table-row-masked":
            masked, *others = f.rows
            assert masked not in others
            assert others


def test_a_gap_that_no_facts_lead_to_is_none() -> None:
    text = table_text(Random(0), "unique")
    text = text[: text.index("    rows:")] + "    rows:\n      - {kind: any, flag: any, n: '>= 3', out: 1}\noutputs:\n"
    text += "  out: {type: integer, value: 'tables.t(kind=kind, flag=flag, n=n).out if n >= 3 else 0', source: {refs: [A-001]}}\n"
    policy = made(text)
    assert list(table_lints(Subject(policy, Program(policy)))) == []
    policy = made(text.replace("if n >= 3", "if n >= 2"))
    assert [(f.lint, f.message) for f in table_lints(Subject(policy, Program(policy)))] == [("table-gap", "table `t`: no row matches kind a, flag false, n 2")]
