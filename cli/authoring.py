"""`policy new`, `test`, `schema`: what an author needs at the desk."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

from cli.common import now, rule_files, say
from engine import library
from engine.cases import case_file, load_cases, run_case
from engine.check import load_policy
from engine.decide import Program
from engine.errors import RuleFileError
from engine.schema import file_schema

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def add(commands: Any) -> None:
    new = commands.add_parser("new", help="lay down a first version with its cases, ready to edit")
    new.add_argument("name", metavar="FAMILY/POLICY")
    new.add_argument("--form", choices=["check", "compute", "classify", "machine", "validate"], default="check")
    new.set_defaults(run=run_new)
    test = commands.add_parser("test", help="run the cases of versions")
    test.add_argument("what", nargs="*", metavar="FILE|FOLDER|POLICY")
    test.add_argument("--json", action="store_true")
    test.add_argument("--case", metavar="TEXT", help="only cases whose name holds this text")
    test.set_defaults(run=run_test)
    schema = commands.add_parser("schema", help="the JSON Schema of rule files or case files, for editors")
    schema.add_argument("kind", choices=["policy", "cases"])
    schema.set_defaults(run=run_schema)


def run_schema(options: argparse.Namespace) -> int:
    say(file_schema(options.kind))
    return 0


def run_test(options: argparse.Namespace) -> int:
    loaded = library.load(options.root)
    started, total = time.perf_counter(), 0
    report: list[dict[str, Any]] = []
    failed = broken = 0
    for path in rule_files(options):
        try:
            program, cases = Program(load_policy(path)), load_cases(case_file(path))
        except RuleFileError as error:
            broken += 1
            report.append({"file": str(path), "faults": [f.as_json() for f in error.faults]})
            if not options.json:
                print("\n".join(map(str, error.faults)), file=sys.stderr)
            continue
        for case in cases:
            if options.case and options.case not in case.name:
                continue
            total += 1
            result = run_case(case, program, loaded.resolver(case.as_of, None))
            if result.passed:
                continue
            failed += 1
            report.append({"file": str(case_file(path)), "line": case.line, "case": case.name, "differences": result.differences})
            if not options.json:
                print(f"{case_file(path)}:{case.line}: {case.name}")
                print("".join(f"    {d}\n" for d in result.differences), end="")
    if options.json:
        say({"cases": total, "failed": failed, "broken_files": broken, "failures": report})
    else:
        print(f"{total - failed} of {total} cases passed in {time.perf_counter() - started:.1f} s" + (f"; {broken} files are broken" if broken else ""))
    return 1 if failed or broken or not total else 0


def run_new(options: argparse.Namespace) -> int:
    family, _, policy = options.name.partition("/")
    if not _NAME.fullmatch(family) or not _NAME.fullmatch(policy):
        raise ValueError("write the name as FAMILY/POLICY in lower case, for example programmes/pilot-joining")
    folder: Path = options.root / family / policy
    numbers = [int(p.stem[1:]) for p in folder.glob("v*.yaml") if p.stem[1:].isdigit()]
    if numbers:
        return _next_version(folder, max(numbers))
    folder.mkdir(parents=True, exist_ok=True)
    today = now().date().isoformat()
    texts = _MACHINE if options.form == "machine" else _PLAIN
    for name, text in zip(("v1.yaml", "v1.cases.yaml"), texts, strict=True):
        filled = text.replace("POLICY", policy).replace("FAMILY", family).replace("TODAY", today).replace("FORM", options.form)
        (folder / name).write_text(filled, encoding="utf-8")
        print(folder / name)
    return 0


def _next_version(folder: Path, last: int) -> int:
    """A draft of the next version: a copy of the newest one."""
    for suffix in (".yaml", ".cases.yaml"):
        source, target = folder / f"v{last}{suffix}", folder / f"v{last + 1}{suffix}"
        if source.exists():
            text = source.read_text(encoding="utf-8").replace(f"\nversion: {last}\n", f"\nversion: {last + 1}\n", 1)
            target.write_text(text, encoding="utf-8")
            print(f"{target}  (a copy of v{last}: set `effective.from`, then change what changes)")
    return 0


_PLAIN = (
    """policy: POLICY
version: 1
family: FAMILY
form: FORM
title: {en: Name of the policy, zh: 政策名称}
question: {en: May this partner do this now?, zh: 该伙伴现在可以办理吗？}
effective: {from: TODAY}
source: {document: name the guide, section: "1.1"}

parameters:
  amount_max: {type: money, value: "1000.00"}

facts:
  request.amount: {type: money, unit: CNY}

requirements:
  - code: amount-over-limit
    require: request.amount <= parameters.amount_max
    effect: deny
    reason:
      en: The amount of {request.amount} is above the limit of {parameters.amount_max}.
      zh: 金额 {request.amount} 超过上限 {parameters.amount_max}。
    remedy: {en: Ask for less., zh: 请降低申请金额。}
    source: {section: "1.1"}

outputs:
  rest:
    type: money
    signed: true
    value: parameters.amount_max - request.amount
""",
    """policy: POLICY
version: 1
as_of: TODAY
base: {request.amount: "100.00"}
cases:
  - name: an ordinary amount is allowed
    expect: {outcome: allowed, outputs: {rest: "900.00"}}
  - name: exactly the limit is allowed
    facts: {request.amount: "1000.00"}
    expect: {outcome: allowed}
  - name: a fen more is refused
    facts: {request.amount: "1000.01"}
    expect: {outcome: denied, reasons: [amount-over-limit]}
  - name: an unknown amount leaves it open
    unknown: [request.amount]
    expect: {outcome: undetermined, missing: [request.amount]}
""",
)
_MACHINE = (
    """policy: POLICY
version: 1
family: FAMILY
form: machine
title: {en: Name of the policy, zh: 政策名称}
question: {en: "May this event happen now, and where does it lead?", zh: 现在可以发生这一事件吗？结果如何？}
effective: {from: TODAY}
source: {document: name the guide, section: "1.1"}

facts:
  state:      {type: enum, values: [draft, submitted]}
  event:      {type: enum, values: [submit, withdraw]}
  actor.role: {type: enum, values: [partner, reviewer]}

machine:
  state: state
  event: event
  actor: actor.role
  transitions:
    - {code: submit, event: submit, from: draft, to: submitted, actor: [partner], source: {section: "1.1"}}
    - {code: withdraw, event: withdraw, from: submitted, to: draft, actor: [partner], source: {section: "1.1"}}

requirements:
  - code: wrong-actor
    effect: deny
    reason: {en: This role may not do this., zh: 该角色无权执行此操作。}
    remedy: {en: Ask the role in charge., zh: 请由有权限的角色操作。}
    source: {section: "1.1"}
  - code: not-open-in-state
    effect: deny
    reason: {en: "The event {event} is not open in the state {state}.", zh: "状态 {state} 下不能执行 {event}。"}
    remedy: {en: Look up which events are open., zh: 请先查询当前可执行的操作。}
    source: {section: "1.1"}
""",
    """policy: POLICY
version: 1
as_of: TODAY
base: {state: draft, event: submit, actor.role: partner}
cases:
  - name: the partner submits
    expect: {outcome: allowed, outputs: {next_state: submitted}}
  - name: nobody else does
    facts: {actor.role: reviewer}
    expect: {outcome: denied, reasons: [wrong-actor]}
  - name: what is submitted is not submitted again
    facts: {state: submitted}
    expect: {outcome: denied, reasons: [not-open-in-state]}
  - name: what is submitted can be withdrawn
    facts: {state: submitted, event: withdraw}
    expect: {outcome: allowed, outputs: {next_state: draft}}
  - name: but not by the reviewer
    facts: {state: submitted, event: withdraw, actor.role: reviewer}
    expect: {outcome: denied, reasons: [wrong-actor]}
  - name: open events of a draft
    ask: compute
    expect: {outcome: allowed, outputs: {open_events: [submit]}}
""",
)
