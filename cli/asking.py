"""`policy check` and `policy compute`: one case, asked from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from cli.common import as_instant, find, load, now, say, split
from cli.paint import answer as paint_answer
from engine.cases import flat
from engine.clock import instant
from engine.facts import json_number
from engine.source import parse

_decode = msgspec.json.Decoder(float_hook=json_number).decode


def add(commands: Any) -> None:
    for name, help in (("check", "ask one case: may this be done, and why not"), ("compute", "ask for amounts, or for the open events of a machine")):
        command = commands.add_parser(name, help=help)
        command.add_argument("policy", metavar="POLICY[@VERSION]", help="a policy, the version in force if none is pinned")
        command.add_argument("--facts", metavar="FILE", help="facts as JSON or YAML; - reads standard input")
        command.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="one fact; VALUE is JSON, or text if it is none")
        command.add_argument("--as-of", metavar="DATE", help="the instant of the question (default: now)")
        command.add_argument("--known-at", metavar="DATE", help="only versions released by then")
        command.add_argument("--trace", action="store_true", help="every rule and value behind the answer")
        command.add_argument("--json", action="store_true")
        command.set_defaults(run=run)


def read_facts(options: argparse.Namespace) -> dict[str, Any]:
    """The facts of a file and of --fact, which goes first."""
    facts: dict[str, Any] = {}
    if options.facts:
        raw = sys.stdin.buffer.read() if options.facts == "-" else Path(options.facts).read_bytes()
        try:
            data = json.loads(raw, object_pairs_hook=_once, parse_float=json_number)
        except json.JSONDecodeError as error:
            if options.facts.endswith(".json"):
                raise ValueError(f"{options.facts}: this is not JSON: {error}") from None
            data = parse(raw, options.facts).data
        if not isinstance(data, dict):
            raise ValueError("facts must be an object")
        facts = flat(data["facts"] if set(data) <= {"facts", "as_of"} and isinstance(data.get("facts"), dict) else data)
    for pair in options.fact:
        name, separator, text = pair.partition("=")
        if not separator:
            raise ValueError(f"`{pair}`: write a fact as NAME=VALUE")
        try:
            facts[name] = _decode(text.encode())
        except msgspec.DecodeError:
            facts[name] = text
    return facts


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(k for i, (k, _) in enumerate(pairs) if k in [n for n, _ in pairs[:i]])
        raise ValueError(f"the key `{twice}` stands twice in one object")
    return found


def run(options: argparse.Namespace) -> int:
    name, number = split(options.policy)
    as_of = as_instant(options.as_of)
    known_at = instant(options.known_at) if options.known_at else now()
    loaded = load(options)
    version = find(loaded, name, number, as_of, known_at)
    program = version.program
    ask = program.compute if options.command == "compute" else program.check
    answer = ask(read_facts(options), as_of, loaded.resolver(as_of, known_at), options.trace)
    if options.json:
        say(answer)
    else:
        paint_answer(answer)
    return 0
