"""Decision tables of 5,000 rows: reading, indexing, looking up; beside a loop over the rows and beside zen-engine with the same table."""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benchmarks import twelve
from benchmarks.report import NOT, Part, Row, micro
from benchmarks.rounds import Candidate, medians, once
from engine.check import check_text
from engine.decide import Program
from engine.policy import Policy
from engine.tables import TableIndex

ASKED = 2000
#: zen-engine gets so long to load the table and answer once.
PATIENCE = 15.0


@dataclass(slots=True)
class Shape:
    """A table: its columns, its rows (a value or a half-open range for each column, then the price), and values to ask for."""

    name: str
    columns: dict[str, str]
    rows: list[tuple[Any, ...]]
    ask: Callable[[random.Random], tuple[Any, ...]]


def shapes() -> list[Shape]:
    def money(chance: random.Random, top: int) -> Decimal:
        return Decimal(chance.randrange(top * 100)) / 100

    codes = [f"S{i:04d}" for i in range(500)]
    small = range(17)
    return [
        Shape("500 codes × 10 amount ranges", {"sku": "text", "amount": "money"},
              [(code, (a * 100, a * 100 + 100)) for code in codes for a in range(10)], lambda c: (c.choice(codes), money(c, 1000))),
        Shape("5,000 amount ranges", {"amount": "money"}, [((a * 100, a * 100 + 100),) for a in range(5000)], lambda c: (money(c, 500_000),)),
        Shape("70 × 71 ranges of two amounts", {"amount": "money", "paid": "money"},
              [((a * 100, a * 100 + 100), (b * 10, b * 10 + 10)) for a in range(70) for b in range(71)], lambda c: (money(c, 7000), money(c, 710))),
        Shape("17 × 17 × 17 numbers", {"a": "integer", "b": "integer", "c": "integer"},
              list(itertools.product(small, small, small)), lambda c: (c.randrange(17), c.randrange(17), c.randrange(17))),
    ]  # fmt: skip


def rule_file(shape: Shape) -> str:
    """A policy with this one table."""

    def cell(value: Any) -> str:
        return f'"[{value[0]}.00..{value[1]}.00)"' if isinstance(value, tuple) else str(value)

    rows = "\n".join(
        f'      - {{{", ".join(f"{n}: {cell(v)}" for n, v in zip(shape.columns, row, strict=True))}, price: "{i}.00"}}' for i, row in enumerate(shape.rows)
    )
    types = {n: f"{{type: {t}}}" for n, t in shape.columns.items()}
    facts = "\n".join(f"  {n}: {t}" for n, t in types.items())
    return (
        "policy: prices\nversion: 1\nfamily: tables\nform: compute\ntitle: {en: Prices, zh: 价格}\nquestion: {en: Which price?, zh: 价格是多少？}\n"
        f'effective: {{from: 2025-01-16}}\nsource: {{document: benchmark, section: "1"}}\nfacts:\n{facts}\n'
        f"tables:\n  prices:\n    hit: unique\n    inputs: {{{', '.join(f'{n}: {t}' for n, t in types.items())}}}\n"
        f"    outputs: {{price: {{type: money}}}}\n    rows:\n{rows}\n"
        f'outputs:\n  price: {{type: money, value: "tables.prices({", ".join(f"{n}={n}" for n in shape.columns)}).price"}}\n'
    )


def scan(shape: Shape) -> Callable[[tuple[Any, ...]], int]:
    """The loop that one would write by hand: the first row whose cells all hold."""
    ranged = [isinstance(v, tuple) for v in shape.rows[0]]

    def look_up(values: tuple[Any, ...]) -> int:
        for number, row in enumerate(shape.rows):
            for cell, value, is_range in zip(row, values, ranged, strict=True):
                if not (cell[0] <= value < cell[1] if is_range else cell == value):
                    break
            else:
                return number
        raise KeyError(values)

    return look_up


def zen_table(shape: Shape) -> str:
    """The same table as a decision table of zen-engine."""

    def cell(value: Any) -> str:
        return f"[{value[0]}..{value[1]})" if isinstance(value, tuple) else json.dumps(value)

    place = {"x": 0, "y": 0}
    rules = [{"_id": str(i), **{n: cell(v) for n, v in zip(shape.columns, row, strict=True)}, "price": str(i)} for i, row in enumerate(shape.rows)]
    inputs = [{"id": n, "name": n, "type": "expression", "field": n} for n in shape.columns]
    content = {"hitPolicy": "first", "inputs": inputs, "outputs": [{"id": "price", "name": "price", "type": "expression", "field": "price"}], "rules": rules}
    return json.dumps({
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": place},
            {"id": "t", "name": "prices", "type": "decisionTableNode", "position": place, "content": content},
            {"id": "out", "name": "out", "type": "outputNode", "position": place},
        ],
        "edges": [{"id": "a", "sourceId": "in", "targetId": "t"}, {"id": "b", "sourceId": "t", "targetId": "out"}],
    })  # fmt: skip


def measure(quick: bool) -> Part:
    part = Part("Decision tables of 5,000 rows")
    chance = random.Random(5000)
    has_zen = importlib.util.find_spec("zen") is not None
    for i, shape in enumerate(shapes()):
        text = rule_file(shape)
        (read, _), (built, _), (made, program) = _built(text)
        asked = [shape.ask(chance) for _ in range(ASKED)]
        facts = [{n: v if isinstance(v, (str, int)) else str(v) for n, v in zip(shape.columns, values, strict=True)} for values in asked]
        typed = [program.read(f)[0] for f in facts]
        index = program.tables["prices"]
        loop = scan(shape)
        for values, slots, fact in zip(asked[:200], typed[:200], facts[:200], strict=True):
            price = f"{loop(values)}.00"
            answer = program.check(fact, twelve.MOMENT)
            if str(index.look_up(slots)[0]) != price or answer["outputs"]["price"] != price:
                raise RuntimeError(f"{shape.name}: {values} gives {answer['outputs']}, expected {price}")
        candidates: dict[str, Candidate] = {
            "index": (index.look_up, typed), "loop": (loop, asked), "decision": (lambda f, p=program: p.check(f, twelve.MOMENT), facts),
        }  # fmt: skip
        loaded = None
        if has_zen and (i == 0 or not quick):
            loaded = _zen(shape, asked, loop, candidates, program)
        found = medians(candidates, 3, 0.05 if quick else 0.2)
        name = f"table, {len(shape.rows):,} rows, {shape.name}"
        here = found["index"]
        ratio = found["loop"] / here
        part.rows.append(Row(f"{name}: look-up", micro(here), "a loop over the rows", micro(found["loop"]), ratio, "at most 20 µs", here <= 20_000))
        if "zen" in found:
            assert isinstance(loaded, float)
            decision = Row(f"{name}: whole decision", micro(found["decision"]), "zen-engine", micro(found["zen"]), found["zen"] / found["decision"])
            part.rows.append(decision)
        else:
            why = loaded if isinstance(loaded, str) else f"{NOT}: not installed, or --quick"
            part.rows.append(Row(f"{name}: whole decision", micro(found["decision"]), "zen-engine", why))
        total = read + made
        build = Row(f"{name}: file read, checked, made ready", micro(total), wanted="at most 1 s", reached=total <= 1e9)
        if isinstance(loaded, float):
            build.beside, build.there, build.ratio = "zen-engine, loaded", micro(loaded), loaded / total
        part.rows.append(build)
        part.notes.append(f"{shape.name}: the index alone is built in {micro(built)}; the rule file has {len(text.encode()):,} bytes.")
    part.notes.append(
        f"{ASKED:,} different look-ups each, every one a hit; the loop stops at the row that matches, so on average in the middle of the table. 200 look-ups "
        "were compared with the loop first (20 of zen-engine). A rule file has at most 1,000,000 bytes, so tables end at about 15,000 rows of this kind. "
        "zen-engine reads JSON, not YAML with the place of every cell, so it loads much faster."
    )
    return part


def _built(text: str) -> tuple[tuple[float, Policy], tuple[float, TableIndex], tuple[float, Program]]:
    """The rule file checked, its table indexed, and the whole made ready to decide: the medians of three, in ns."""
    read = sorted((once(lambda: check_text(text, "v1.yaml")) for _ in range(3)), key=lambda x: x[0])[1]
    policy: Policy = read[1]
    built = sorted((once(lambda: TableIndex(policy.tables["prices"])) for _ in range(3)), key=lambda x: x[0])[1]
    made = sorted((once(lambda: Program(policy)) for _ in range(3)), key=lambda x: x[0])[1]
    return read, built, made


def _zen(shape: Shape, asked: list[tuple[Any, ...]], loop: Callable[[tuple[Any, ...]], int], candidates: dict[str, Candidate], program: Program) -> float | str:
    """Load the table into zen-engine and add it to the candidates; how long that took, or why not."""
    import zen

    values = [{n: float(v) if isinstance(v, Decimal) else v for n, v in zip(shape.columns, one, strict=True)} for one in asked]
    text = zen_table(shape)
    started = time.process_time_ns()
    decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(text))
    first = decision.evaluate(values[0])
    loaded = float(time.process_time_ns() - started)
    if loaded > PATIENCE * 1e9:
        return f"{NOT}: loading took {micro(loaded)}"
    for one, value in zip(asked[:20], values[:20], strict=True):
        said = decision.evaluate(value)["result"]["price"]
        if said != loop(one):
            return f"{NOT}: it says {said} where the table says {loop(one)}"
    assert first is not None
    candidates["zen"] = (decision.evaluate, values)
    return loaded
