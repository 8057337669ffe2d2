"""The Rete network: durable_rules matches the rules of one layer of a policy.

Its facts are the truth values of the layer's atoms (comparisons, memberships, aggregates), computed exactly beforehand, so no number of a request ever
reaches the network, and none of its limits can be reached by a request: at most MAX_RULES rules and MAX_FIELDS fields stand in one ruleset, a fact holds
small integers only, every rule asks for one field that is always there, and each fact is retracted after its rules have fired.

What a network answers depends on the truth values alone; answers are remembered by them (bounded).
"""

from __future__ import annotations

import itertools
import json
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Sequence

import durable_rules_engine as rete
from cachetools import LRUCache

MAX_RULES = 60
MAX_FIELDS = 120
REMEMBERED = 4096

#: The truth values of atoms and rules: 0 false, 1 true, 2 unknown.
Signature = tuple[int, ...]
#: Atom index -> the truth value that it must have.
Conjunction = dict[int, int]

_numbers = itertools.count()
_lock = threading.Lock()
#: Rulesets that nothing uses any more. A finalizer may run in the middle of a match, so it only leaves a note here.
_unused: deque[int] = deque()

#: Rulesets that were built lately. What a ruleset has matched stays in memory after its deletion (up to 0.6 MB; freeing it crashes the process),
#: so the same rules are built once and shared.
_pool: LRUCache[str, _Ruleset] = LRUCache(512)
_pool_lock = threading.Lock()


class _Ruleset:
    """One durable_rules ruleset over some of the atoms."""

    def __init__(self, rules: Sequence[tuple[int, Conjunction]]) -> None:
        self.atoms = sorted({atom for _, conjunction in rules for atom in conjunction})
        self.rule_of = {f"r{n}": rule for n, (rule, _) in enumerate(rules)}
        definition = {
            f"r{n}": {"all": [{"m": {"$and": [{"on": 1}, *({f"a{a}": v} for a, v in conjunction.items())]}}]} for n, (_, conjunction) in enumerate(rules)
        }
        with _lock:
            while _unused:
                rete.delete_ruleset(_unused.popleft())
            self.handle = rete.create_ruleset(f"policy-{next(_numbers)}", json.dumps(definition))
        weakref.finalize(self, _unused.append, self.handle)

    def fire(self, signature: Signature) -> set[int]:
        """The rules that match: one fact is asserted, every rule that fires is taken from the agenda, the fact is retracted."""
        fields = ", ".join(f'"a{a}": {int(signature[a])}' for a in self.atoms)
        fact = f'{{"sid": "0", "id": "1", "on": 1{", " if fields else ""}{fields}}}'
        fired: set[int] = set()
        with _lock:
            _, state = rete.assert_fact(self.handle, fact)
            try:
                started = rete.start_action_for_state(self.handle, state)
                message = started[1] if started else None
                while message:
                    fired.add(self.rule_of[next(iter(json.loads(message)))])
                    message = rete.complete_and_start_action(self.handle, state)
            finally:
                rete.retract_fact(self.handle, fact)
        return fired


def _ruleset(rules: Sequence[tuple[int, Conjunction]]) -> _Ruleset:
    """The ruleset of these rules; one that has the same rules already (another version, a what-if) is shared."""
    key = json.dumps(rules)
    with _pool_lock:
        found = _pool.get(key)
    if found is None:
        found = _Ruleset(rules)
        with _pool_lock:
            found = _pool.setdefault(key, found)
    return found


class Network:
    """Which rules fire for given truth values of the atoms. A rule is a set of conjunctions, one of which must hold."""

    def __init__(self, fires: Sequence[Iterable[Conjunction]], stays_silent: Sequence[Iterable[Conjunction]] | None = None) -> None:
        """`stays_silent` gives for each rule when it is sure not to fire; without it every atom is known, and what does not fire is silent."""
        self.size = len(fires)
        rules = [(i, dict(c)) for i, conjunctions in enumerate(fires) for c in conjunctions]
        self.three_valued = stays_silent is not None
        if stays_silent is not None:
            rules += [(self.size + i, dict(c)) for i, conjunctions in enumerate(stays_silent) for c in conjunctions]
        self._rules = rules
        self._rulesets: list[_Ruleset] | None = None
        self._answers: dict[Signature, Signature] = {}

    def fire(self, signature: Signature) -> Signature:
        """The truth value of every rule for these truth values of the atoms."""
        answer = self._answers.get(signature)
        if answer is None:
            answer = self._fire(signature)
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            self._answers[signature] = answer
        return answer

    def _built(self) -> list[_Ruleset]:
        if self._rulesets is None:
            groups: list[list[tuple[int, Conjunction]]] = []
            fields: set[int] = set()
            for rule in self._rules:
                if not groups or len(groups[-1]) >= MAX_RULES or len(fields | set(rule[1])) > MAX_FIELDS:
                    groups.append([])
                    fields = set()
                groups[-1].append(rule)
                fields |= set(rule[1])
            self._rulesets = [_ruleset(group) for group in groups]
        return self._rulesets

    def _fire(self, signature: Signature) -> Signature:
        fired: set[int] = set()
        for ruleset in self._built():
            fired |= ruleset.fire(signature)
        if not self.three_valued:
            return tuple(int(i in fired) for i in range(self.size))
        return tuple(1 if i in fired else 0 if self.size + i in fired else 2 for i in range(self.size))
