"""What more versions, and more rules in one policy, cost. Each size in a process of its own (`python -m benchmarks.growth`)."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import twelve
from benchmarks.decision import forgetting
from benchmarks.report import NOT, Part, Row, micro
from benchmarks.rounds import medians, once
from benchmarks.servers import REPOSITORY
from engine.check import check_text
from engine.decide import Program
from engine.library import load

VERSIONS = (10, 100, 1000, 5000)
RULES = (12, 50, 100, 250, 500)
PATIENCE = 60
#: So many of the versions are asked, at most.
ASKED = 1000


def small(number: int) -> str:
    """A small policy: four facts, three requirements, one output."""
    return f"""\
policy: small-{number}
version: 1
family: generated
form: [compute, check]
title: {{en: Small policy {number}, zh: 小政策 {number}}}
question: {{en: May this partner do it?, zh: 可以吗？}}
effective: {{from: 2025-01-16}}
source: {{document: benchmark, section: "{number}"}}
parameters:
  floor: {{type: money, value: "{number}.00"}}
facts:
  partner.kind: {{type: enum, values: [reseller, distributor]}}
  partner.frozen: {{type: bool}}
  order.amount: {{type: money}}
  order.placed_on: {{type: date}}
requirements:
{twelve.requirement("frozen", None, "not partner.frozen").replace("relation.mode", "partner.kind")}\
{twelve.requirement("too-small", "partner.kind == distributor", "order.amount >= parameters.floor").replace("relation.mode", "partner.kind")}\
{twelve.requirement("too-late", None, "date(as_of) < add_months(order.placed_on, 6)").replace("relation.mode", "partner.kind")}\
outputs:
  above: {{type: money, value: "max(order.amount - parameters.floor, 0)"}}
"""


def measure(quick: bool) -> Part:
    part = Part("Growth")
    for count in VERSIONS[:2] if quick else VERSIONS:
        seen = _apart("versions", count)
        if isinstance(seen, str):
            part.rows.append(Row(f"{count:,} small policies", f"{NOT}: {seen}"))
            continue
        part.rows.append(Row(f"{count:,} small policies: load", f"{micro(seen['load'])}, {seen['load'] / 1e6 / count:.2f} ms each"))
        used = "all in use" if count <= ASKED else f"{ASKED:,} of them in use"
        memory = f"{seen['empty']:.0f}, {seen['loaded']:.0f}, {seen['used']:.0f} MB"
        part.rows.append(Row(f"{count:,} small policies: memory (RSS) empty, loaded, {used}", memory))
        part.rows.append(Row(f"{count:,} small policies: decision, first of a version", micro(seen["decision"]), "first", micro(seen["first"])))
    for count in RULES[:2] if quick else RULES:
        seen = _apart("rules", count)
        if isinstance(seen, str):
            part.rows.append(Row(f"{count} requirements in one policy", f"{NOT}: {seen}"))
            continue
        part.rows.append(Row(f"{count} requirements in one policy: checked and made ready, first answer", micro(seen["build"])))
        shown = f"{micro(seen['passing'])}, {micro(seen['violating'])}"
        part.rows.append(Row(f"{count} requirements: decision passing, 3 of each twelve violated", shown))
        if seen["forgotten"]:
            ratio = seen["passing"] / seen["forgotten"]
            row = Row(
                f"{count} requirements: passing, all-new signature",
                micro(seen["forgotten"]),
                "signature seen before",
                micro(seen["passing"]),
                ratio,
                itself=True,
            )
            part.rows.append(row)
    part.notes = [
        "Each size runs in a new process. Memory is the resident set: `empty` is the interpreter with its modules; `in use` means that a version has answered "
        "once, so that its function and its Rete network exist.",
        "Growth of one policy: the twelve requirements again and again with a further condition each, so that no two are alike; a violated one is violated in "
        "each of its copies, so the answer grows with them.",
    ]
    return part


def _apart(kind: str, count: int) -> dict[str, float] | str:
    """One size in a new process; why not, if it takes too long or fails."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.growth", kind, str(count), folder]
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY, check=False)
    except subprocess.TimeoutExpired:
        return f"stopped after {PATIENCE} s"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:120] if done.stderr.strip() else f"ended with {done.returncode}"
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _resident() -> float:
    """The resident set of this process in MB."""
    line = next(x for x in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _versions(count: int, root: Path) -> dict[str, float]:
    chance = random.Random(count)
    for i in range(count):
        path = root / "generated" / f"small-{i}" / "v1.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(small(i), encoding="utf-8")
    empty = _resident()
    spent, library = once(lambda: load(root))
    if library.faults:
        raise RuntimeError(f"a generated policy is refused: {next(iter(library.faults.values()))[0]}")
    loaded = _resident()

    def facts() -> Any:
        partner = {"kind": chance.choice(["reseller", "distributor"]), "frozen": False}
        order = {"amount": f"{chance.randint(5000, 10**6)}.00", "placed_on": f"2025-0{chance.randint(1, 6)}-{chance.randint(10, 28)}"}
        return {"partner": partner, "order": order}

    def ask(item: Any) -> Any:
        return library.version(item[0], 1).program.check(item[1], twelve.MOMENT)

    first = statistics.median(once(lambda i=i: ask((f"small-{i}", facts())))[0] for i in range(min(count, ASKED)))  # type: ignore[misc]
    items = [(f"small-{chance.randrange(min(count, ASKED))}", facts()) for _ in range(10_000)]
    decision = medians({"d": (ask, items)}, 3, 0.3)["d"]
    return {"load": spent, "empty": empty, "loaded": loaded, "used": _resident(), "first": first, "decision": decision}


def _rules(count: int, _: Path) -> dict[str, float]:
    chance = random.Random(count)
    text = twelve.long_rule_file(count)
    passing = [twelve.passing(chance).nested for _ in range(4000)]
    violating = [twelve.violating(chance).nested for _ in range(4000)]

    def build() -> Program:
        program = Program(check_text(text, "v1.yaml"))
        program.check(passing[0], twelve.MOMENT)
        return program

    spent, program = once(build)
    forget = forgetting(program)

    def ask(facts: Any) -> Any:
        return program.check(facts, twelve.MOMENT)

    found = medians({"passing": (ask, passing), "violating": (ask, violating)}, 3, 0.3)
    forgotten = medians({"f": (ask, passing, forget)}, 3, 0.3)["f"] if forget else 0.0
    return {"build": spent, "passing": found["passing"], "violating": found["violating"], "forgotten": forgotten}


if __name__ == "__main__":
    print(json.dumps({"versions": _versions, "rules": _rules}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
