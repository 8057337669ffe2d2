"""One decision in this process: facts in, answer with receipt out; beside other engines with the same twelve conditions."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import peers, twelve
from benchmarks.report import NOT, Part, Row, micro
from benchmarks.rounds import Candidate, medians
from engine.decide import Program
from engine.library import load
from engine.network import Network

#: More than the engine remembers of numbers and signatures, so that amounts are always new to it.
VARIED = 12_000
CHECKED = 200


def program(folder: Path, text: str | None = None) -> Program:
    """The generated policy, ready to decide."""
    twelve.write(folder, text)
    library = load(folder)
    if library.faults:
        raise RuntimeError(f"the generated policy is refused: {library.faults}")
    return library.version(twelve.POLICY, 1).program


def agree(policy: Program, others: list[peers.Peer], chance: random.Random) -> None:
    """All must say the same on random facts before anything is timed."""
    for _ in range(CHECKED):
        facts = twelve.anything(chance)
        answer = policy.check(facts.nested, twelve.MOMENT)
        said = tuple(r["code"] for r in answer["reasons"])
        if said != facts.violated or answer["outcome"] != facts.outcome:
            raise RuntimeError(f"the engine says {answer['outcome']} {said}, expected {facts.violated} for {facts.nested}")
        for peer in others:
            codes = tuple(peer.ask(peer.given(facts.nested)))
            if codes != facts.violated:
                raise RuntimeError(f"{peer.name} says {codes}, expected {facts.violated} for {facts.nested}")


def forgetting(policy: Program) -> Callable[[], None] | None:
    """Empties what the networks of a program remember of earlier truth values; None if no network is found."""
    bound = [v for run in (policy.known(), policy.open()) for v in getattr(run, "__globals__", {}).values()]
    networks = [n for n in (getattr(v, "__self__", None) for v in bound) if isinstance(n, Network) and isinstance(getattr(n, "_answers", None), dict)]

    def forget() -> None:
        for network in networks:
            network._answers.clear()

    return forget if networks else None


def measure(quick: bool) -> Part:
    part = Part("One decision in process")
    chance = random.Random(20250617)
    others, missing_peers = peers.in_process()
    with tempfile.TemporaryDirectory() as folder:
        policy = program(Path(folder))
    agree(policy, others, chance)
    count = VARIED // 4 if quick else VARIED
    pools = {"passing": [twelve.passing(chance) for _ in range(count)], "3 violated": [twelve.violating(chance) for _ in range(count)]}

    def ask(facts: Any) -> Any:
        return policy.check(facts, twelve.MOMENT)

    candidates: dict[str, Candidate] = {}
    forget = forgetting(policy)
    for kind, pool in pools.items():
        candidates[f"here {kind}"] = (ask, [f.nested for f in pool])
        if forget is not None:
            candidates[f"forgotten {kind}"] = (ask, [f.nested for f in pool], forget)
        for peer in others:
            candidates[f"{peer.name} {kind}"] = (peer.ask, [peer.given(f.nested) for f in pool])
    absent = [twelve.without_three(f) for f in pools["passing"]]
    candidates["here missing"] = (ask, absent)
    found = medians(candidates, 3 if quick else 7, 0.08 if quick else 0.15)
    for kind in pools:
        here = found[f"here {kind}"]
        wanted = ("at most 40 µs", here <= 40_000)
        part.rows.append(Row(f"decision, 12 requirements, {kind}", micro(here), wanted=wanted[0], reached=wanted[1]))
        for peer in others:
            there = found[f"{peer.name} {kind}"]
            part.rows.append(Row(f"decision, 12 requirements, {kind}", micro(here), peer.name, micro(there), there / here))
        again = found.get(f"forgotten {kind}")
        shown = f"{NOT}: nothing that remembers was found" if again is None else micro(again)
        part.rows.append(
            Row(f"the same, {kind}, all-new signature", shown, "signature seen before", micro(here), None if again is None else here / again, itself=True)
        )
    part.rows.append(Row("decision, 12 requirements, 3 facts missing", micro(found["here missing"]), "no peer has this answer", "see below"))
    part.notes = [
        f"{len(pools['passing']):,} fact sets a kind, asked in turn: none comes again before all others were asked, and amounts are new to every cache, so "
        "nothing can remember a whole answer. What does repeat, as in life: dates of two years, enum values, and the truth values of the conditions (the match "
        "memo; the rows `all-new signature` are without it).",
        f"All peers gave the same codes as a judge in plain Python on {CHECKED} random fact sets, boundaries included, before anything was timed.",
        "The peers give the violated codes only. The answer here also has texts in two languages, the facts behind each reason, which facts are missing, and a "
        "receipt over facts, rules and answer. Where a peer is faster, that is what it leaves out.",
        "zen-engine computes amounts given as JSON numbers (binary floats on the Python side); rule-engine gets dates moved by months from its caller, "
        "durable_rules gets fen and days as integers from its caller; both are counted.",
        f"With an amount, a date and an enum missing ({', '.join('.'.join(a) for a in twelve.ABSENT)}) the answer here is `{ask(absent[0])['outcome']}`, "
        f"missing {', '.join(ask(absent[0])['missing'])}. " + "; ".join(f"{p.name} {peers.says(p, absent[0])}" for p in others) + ".",
        *missing_peers,
    ]
    return part
