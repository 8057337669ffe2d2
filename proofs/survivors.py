"""For what the cases miss: requests shrunk to what matters, written as cases for a person to confirm."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from engine.cases import case_file, flat
from engine.model import CasesModel
from engine.shape import shape
from engine.source import read
from proofs.mutation import Examined, Survivor
from proofs.pieces import Pieced
from proofs.requests import Request

_GONE = object()


@dataclass(slots=True)
class Proposal:
    """One request that tells mutants from the original: the answers of the original and of the first mutant, and all mutants that it tells apart."""

    request: Request
    original: dict[str, Any]
    changed: dict[str, Any]
    survivors: list[Survivor]


def proposals(examined: Examined, survivors: list[Survivor]) -> list[Proposal]:
    """Requests for all survivors that one was found for; a request that an earlier survivor needed is used again."""
    base = _base(examined)
    found: list[Proposal] = []
    for survivor in survivors:
        if survivor.request is None:
            continue
        mutant = Pieced(survivor.mutant.policy, examined.base)
        again = next((p for p in found if examined.told_apart(mutant, p.request) is not None), None)
        if again is not None:
            again.survivors.append(survivor)
            continue
        request = shrunk(survivor.request, base, lambda r, m=mutant: examined.told_apart(m, r) is not None)  # type: ignore[misc]
        told = examined.told_apart(mutant, request)
        assert told is not None
        found.append(Proposal(request, *told, [survivor]))
    return found


def shrunk(request: Request, base: dict[str, Any], differs: Callable[[Request], bool]) -> Request:
    """The request with as few facts as possible other than those of `base`, the rest as in its case; `differs` stays true."""
    best = request
    if best.as_of != best.case.as_of:
        best = _better(best, Request(best.facts, best.case.as_of, best.ask, best.case), differs)
    for source in (base, best.case.facts):
        for name in sorted({*best.facts, *source}):
            wanted = source.get(name, _GONE)
            if best.facts.get(name, _GONE) != wanted:
                best = _better(best, _with(best, name, wanted), differs)
    for name, value in list(best.facts.items()):
        if isinstance(value, list) and value != base.get(name):
            best = _shorter(best, name, differs)
    return best


def _better(request: Request, other: Request, differs: Callable[[Request], bool]) -> Request:
    return other if differs(other) else request


def _with(request: Request, name: str, value: Any) -> Request:
    facts = {n: v for n, v in request.facts.items() if n != name}
    if value is not _GONE:
        facts[name] = copy.deepcopy(value)
    return Request(facts, request.as_of, request.ask, request.case)


def _shorter(request: Request, name: str, differs: Callable[[Request], bool]) -> Request:
    """The list without the items that do not matter."""
    for i in reversed(range(len(request.facts[name]))):
        items = request.facts[name]
        request = _better(request, _with(request, name, [*items[:i], *items[i + 1 :]]), differs)
    return request


def _base(examined: Examined) -> dict[str, Any]:
    return flat(_model(examined).base)


def _model(examined: Examined) -> CasesModel:
    return shape(read(case_file(examined.version.path)), CasesModel)


# -- as a file -----------------------------------------------------------------------------------------------------------------------------


def written(examined: Examined, found: list[Proposal], unexplained: list[Survivor]) -> str:
    """A case file that does not load until every `TODO` is replaced by what the guide demands."""
    model = _model(examined)
    head = {"policy": model.policy, "version": model.version, "as_of": model.as_of, "base": model.base}
    lines = ["# Proposed cases for what the cases of this version miss. Write the answer that the guide demands over each TODO: it need not be that of today."]
    lines += yaml.safe_dump(head, allow_unicode=True, sort_keys=False, default_flow_style=None, width=150).rstrip().split("\n")
    lines.append("cases:" if found else "cases: []")
    for proposal in found:
        lines += _case(proposal, flat(model.base), model.as_of)
    lines += [f"# no difference found: {s.mutant}" for s in unexplained]
    return "\n".join(lines) + "\n"


def _case(proposal: Proposal, base: dict[str, Any], as_of: str) -> Iterator[str]:
    request = proposal.request
    for survivor in proposal.survivors:
        yield f"  # {survivor.mutant}"
    yield f"  #   as it is:        {difference(proposal.original, proposal.changed)}"
    yield f"  #   with the change: {difference(proposal.changed, proposal.original)}"
    yield f"  - name: {_flow(str(proposal.survivors[0].mutant))}"
    facts = {n: v for n, v in request.facts.items() if n not in base or base[n] != v}
    unknown = [n for n in base if n not in request.facts]
    if facts:
        yield f"    facts: {_flow(facts)}"
    if unknown:
        yield f"    unknown: {_flow(unknown)}"
    moment = _moment(request.as_of)
    if moment != as_of:
        yield f"    as_of: {_flow(moment)}"
    if request.ask != "check":
        yield f"    ask: {request.ask}"
    yield "    expect: TODO"


def difference(answer: dict[str, Any], other: dict[str, Any]) -> str:
    """What one answer says where the other says something else."""
    parts = []
    for key, value in answer.items():
        if key == "outputs":
            mine, theirs = flat(value or {}), flat(other.get(key) or {})
            parts += [f"{n} {_flow(v)}" for n, v in mine.items() if n not in theirs or theirs[n] != v]
        elif other.get(key) != value:
            parts.append(f"{key} {_flow(value)}")
    return "; ".join(parts)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()


def _moment(moment: datetime) -> str:
    return moment.date().isoformat() if not (moment.hour or moment.minute or moment.second) else moment.isoformat()
