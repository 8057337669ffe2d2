"""The decisions themselves: one question, many, and what-if. Called by api/fast.py; nothing here knows of HTTP."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from api import metrics
from api.problems import Problem, problem_of
from api.requests import Ask, Change, Item, WhatIf, read
from api.state import State
from engine.cases import flat, without
from engine.clock import instant as _instant
from engine.decide import Program, Resolver
from engine.errors import FactsError, NotFound
from engine.library import Library
from engine.types import SHANGHAI
from engine.version import Version

_prefix = os.urandom(8).hex()
_numbers = itertools.count(1)
_counters: dict[tuple[str, int, str], Any] = {}


def decision_id() -> str:
    """An id that no other decision has: random for each process, then counted."""
    return f"{_prefix}-{next(_numbers):x}"


@lru_cache(maxsize=4096)
def instant(text: str) -> datetime:
    return _instant(text)


def moment(text: str | None, field: str) -> datetime:
    """An instant of a request; now if none is given. Raises Problem."""
    if text is None:
        return datetime.fromtimestamp(int(time.time()), SHANGHAI)
    try:
        return instant(text)
    except ValueError as error:
        message = str(error)
    raise Problem(422, "request", "The request does not fit", message, errors=[{"pointer": f"/{field}", "message": message}])


def found(library: Library, policy: str, ask: Ask, as_of: datetime) -> tuple[Version, Resolver | None]:
    """The version that a question means, and how the policies that it uses are found."""
    known_at = moment(ask.known_at, "known_at")
    if ask.version is not None:
        version = library.version(policy, ask.version)
    else:
        version = library.in_force(policy, as_of, known_at)
    return version, (library.resolver(as_of, known_at) if version.policy.uses else None)


def demand_kind(kind: str) -> None:
    if kind not in ("check", "compute"):
        raise Problem(422, "request", "The request does not fit", "`ask` is check or compute", errors=[{"pointer": "/ask", "message": "check or compute"}])


def decide(library: Library, policy: str, ask: Ask, kind: str) -> dict[str, Any]:
    """The answer to one question."""
    demand_kind(kind)
    as_of = moment(ask.as_of, "as_of")
    version, resolve = found(library, policy, ask, as_of)
    return answered(version.program, ask.facts, as_of, resolve, kind, ask.trace)


def answered(program: Program, facts: Any, as_of: datetime, resolve: Resolver | None, kind: str, trace: bool) -> dict[str, Any]:
    ask = program.compute if kind == "compute" else program.check
    answer = {"decision_id": decision_id(), **ask(facts, as_of, resolve, trace)}
    key = (program.policy.id, program.policy.version, answer["outcome"])
    counter = _counters.get(key)
    if counter is None:
        counter = _counters[key] = metrics.DECISIONS.labels(key[0], str(key[1]), key[2])
    counter.inc()
    return answer


def each(library: Library, items: Iterable[msgspec.Raw]) -> Iterator[tuple[Item | None, dict[str, Any]]]:
    """The answers of a batch in order, with their questions; an item that cannot be answered gives its problem."""
    for raw in items:
        try:
            item = read(bytes(raw), Item)
            yield item, decide(library, item.policy, item, item.ask)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                raise
            metrics.PROBLEMS.labels(problem.kind).inc()
            yield None, {"problem": problem.document()}


def what_if(state: State, policy: str, ask: WhatIf) -> dict[str, Any]:
    """One case and some changes of it: each answer beside the base, with what differs."""
    demand_kind(ask.ask)
    as_of = moment(ask.as_of, "as_of")
    library = state.library
    version, resolve = found(library, policy, ask, as_of)
    base = answered(version.program, ask.facts, as_of, resolve, ask.ask, ask.trace)
    answers = []
    for i, change in enumerate(ask.changes):
        try:
            answer = _changed(state, library, version, ask, i, change, as_of, resolve)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                raise
            answers.append({"name": change.name, "index": i, "problem": problem.document()})
            continue
        answers.append({"name": change.name, "index": i, "answer": answer, "differs": differences(base, answer)})
    return {"base": base, "changes": answers}


def _changed(
    state: State, library: Library, version: Version, ask: WhatIf, index: int, change: Change, as_of: datetime, resolve: Resolver | None
) -> dict[str, Any]:
    if change.version is not None:
        version = library.version(version.policy.id, change.version)
        resolve = library.resolver(as_of, moment(ask.known_at, "known_at"))
    facts = flat(ask.facts) | flat(change.facts)
    for name in change.unknown:
        if not without(facts, name):
            raise NotFound("fact", f"`{name}` is not among the facts of this case", sorted(facts))
    try:
        program = state.changed(version, change.parameters) if change.parameters else version.program
    except FactsError as error:
        errors = [{"pointer": f"/changes/{index}/{b.path.replace('.', '/', 1)}", "message": b.message, "help": b.help} for b in error.bad]
        raise Problem(422, "parameters", "The parameters do not fit", f"{len(errors)} of the parameters cannot be used", errors=errors) from None
    return answered(program, facts, as_of, resolve, ask.ask, ask.trace)


def differences(base: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What an answer has that the base has not: outcome, reasons and warnings by code, missing facts, outputs."""
    found: dict[str, Any] = {}
    if base["outcome"] != answer["outcome"]:
        found["outcome"] = {"base": base["outcome"], "changed": answer["outcome"]}
    for part in ("reasons", "warnings"):
        a, b = ([r["code"] for r in one[part]] for one in (base, answer))
        if a != b:
            found[part] = {"gone": [c for c in a if c not in b], "new": [c for c in b if c not in a]}
    if base["missing"] != answer["missing"]:
        gone, new = set(base["missing"]) - set(answer["missing"]), set(answer["missing"]) - set(base["missing"])
        found["missing"] = {"gone": sorted(gone), "new": sorted(new)}
    before, after = flat(base["outputs"]), flat(answer["outputs"])
    names = dict.fromkeys([*before, *after])
    outputs = {n: {"base": before.get(n), "changed": after.get(n)} for n in names if before.get(n) != after.get(n)}
    if outputs:
        found["outputs"] = outputs
    return found
