"""A version cut into pieces, one function for each rule and value, so that a mutant costs only what it changed.

The expressions are the engine's own (engine/emit.py, in the mode with unknowns); only the Rete network is left out: a rule's condition is
evaluated over its atoms, which gives the same truth value. `Pieced` answers like the engine's Program, so cases are judged by engine/cases.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import cached_property
from typing import Any

from engine import syntax as s
from engine.decide import Program
from engine.emit import Emitter
from engine.explain import Words
from engine.plan import DECISIVE, Key, Layer, Plan, Rule, layer, plan
from engine.policy import Policy
from engine.tables import TableIndex
from engine.unknown import Unknown

State = dict[Key, Any]
Piece = Callable[[tuple[Any, ...], datetime, date, State], Any]
OUTCOME: Key = ("outcome", "")


class Question:
    """What was asked of a version, and what each piece said."""

    __slots__ = ("as_of", "slots", "state", "today")

    def __init__(self, slots: tuple[Any, ...], as_of: datetime, today: date, state: State) -> None:
        self.slots, self.as_of, self.today, self.state = slots, as_of, today, state


class Pieced(Program):
    """A version that is evaluated piece by piece. `changed` are the pieces that are not those of the version it was made from."""

    writer: type[Emitter] = Emitter

    def __init__(self, policy: Policy, base: Program) -> None:
        """`base`: the program of the original, whose readers and texts are used; if it is pieced, so are its pieces."""
        self.policy, self.overrides = policy, base.overrides
        self.original: Program = base.original if isinstance(base, Pieced) else base
        self.plan = plan(policy) if policy is not base.policy else base.plan
        self.reader, self.read = base.reader, base.read
        same = [(r.code, r.effect) for r in self.plan.rules] == [(r.code, r.effect) for r in base.plan.rules] and policy.outputs == base.policy.outputs
        self.words = base.words if same else Words(policy, self.plan)
        self.fact_index = base.fact_index
        self.value_index = {name: i for i, name in enumerate(self.plan.values)}
        self.origins, self.chain = [f for f in policy.facts.values() if f.origin is not None], base.chain
        if policy.facts is base.policy.facts:
            self.__dict__["bindings"] = base.bindings
        self.needs_open = True
        self.asked: list[Question] = []
        self.retold: set[Key] = set()
        self.tables = {n: base.tables[n] if t is base.policy.tables[n] else TableIndex(t) for n, t in policy.tables.items()}
        self.order = list(_order(self.plan))
        self.rules = {("rule", r.code): r for r in self.plan.rules}
        self.told = [(("rule", r.code), r.effect) for r in self.plan.rules]
        self.emitter = self.writer(policy, self.plan, self.tables, known=False)
        self.changed = self._differing(base) if isinstance(base, Pieced) else set(self.order)
        self.needs: dict[Key, set[Key]] = dict(base.needs) if isinstance(base, Pieced) else {}
        self.needs |= {k: self._needed(k) for k in self.changed}
        self.pieces: dict[Key, Piece] = dict(base.pieces) if isinstance(base, Pieced) else {}
        self.pieces |= {k: self._piece(k) for k in self.changed}

    # -- evaluating ----------------------------------------------------------------------------------------------------------------

    def open(self) -> Any:
        return self._run

    def _run(self, slots: tuple[Any, ...], as_of: datetime, today: date) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
        state: State = {}
        for key in self.order:
            state[key] = self.pieces[key](slots, as_of, today, state)
        self.asked.append(Question(slots, as_of, today, state))
        return tuple(state["rule", r.code] for r in self.plan.rules), state[OUTCOME], tuple(state["value", n] for n in self.plan.values)

    def differs(self, question: Question, shown: Iterable[Key]) -> bool:
        """May the answer to a question differ from the one that its state gives? Only what rests on a changed piece is evaluated.

        `shown`: the values that an answer tells. Never false where the answers differ.
        """
        before, state = question.state, dict(question.state)
        moved: set[Key] = set()
        for key in self.order:
            if key in self.changed or not moved.isdisjoint(self.needs[key]):
                try:
                    value = self.pieces[key](question.slots, question.as_of, question.today, state)
                except ArithmeticError:
                    return True
                if key not in before or not alike(value, before[key]):
                    moved.add(key)
                    state[key] = value
        if OUTCOME in moved or not moved.isdisjoint(shown):
            return True
        if any(state.get(k) is True or before.get(k) is True for k in self.retold):
            return True
        return any((state[k] is True) != (before.get(k) is True) for k in moved if k[0] == "rule")

    # -- pieces --------------------------------------------------------------------------------------------------------------------

    def _differing(self, base: Pieced) -> set[Key]:
        """The pieces whose rule or expression is another, or that read a parameter, table or scale that is."""
        policy, old = self.policy, base.policy
        other = {(part, n) for part in ("parameters", "tables", "scales") for n, d in getattr(policy, part).items() if d is not getattr(old, part)[n]}
        found = {k for k in self.order if other and not other.isdisjoint(base.reads.get(k, ()))} if other else set()
        for key in self.order:
            if key[0] == "rule":
                if key not in base.rules or self.rules[key] != base.rules[key]:
                    found.add(key)
            elif key[0] == "value" and self.plan.values[key[1]] != base.plan.values[key[1]]:
                found.add(key)
        effects = {(k, e) for k, e in self.told if e in DECISIVE}
        self.retold = {k for k, _ in set(self.told) ^ set(base.told)}
        return found | ({OUTCOME} if effects != {(k, e) for k, e in base.told if e in DECISIVE} else set())

    @cached_property
    def reads(self) -> dict[Key, set[tuple[str, str]]]:
        """The parameters, tables and scales that each piece reads."""
        return {k: {r for root in self.roots(k) for n in s.walk(root) if (r := _read(n)) is not None} for k in self.order}

    def roots(self, key: Key) -> list[s.Node]:
        """The expressions of a piece."""
        if key[0] == "rule":
            return [self.rules[key].condition]
        return [self.plan.values[key[1]]] if key[0] == "value" else []

    def _needed(self, key: Key) -> set[Key]:
        if key == OUTCOME:
            return {k for k, effect in self.told if effect in DECISIVE}
        found: set[Key] = set()
        for node in (n for root in self.roots(key) for n in s.walk(root)):
            match node:
                case s.Formula(name=name) if name in self.plan.values:
                    found.add(("value", name))
                case s.Violated(code=code):
                    found.add(("rule", code))
                case s.Applies(code=code):
                    found.add(("rule", f"→{code}"))
                case s.Outcome():
                    found.add(OUTCOME)
        return found

    def _piece(self, key: Key) -> Piece:
        """The function of one piece over the fact slots, the instant, the day and what the pieces before it said."""
        emitter, lines = self.emitter, []
        if key == OUTCOME:
            lines, result = emitter.outcome(), "outcome"
        elif key[0] == "rule":
            lines, result = self._rule(self.rules[key])
        else:
            result = emitter.emit(self.plan.values[key[1]], {})
        return self._compiled(key, lines, result)

    def condition(self, node: s.Node) -> Piece:
        """The function of a condition, as an atom of a rule."""
        return self._compiled(("condition", ""), [], self.emitter.atom(node))

    def _compiled(self, key: Key, lines: list[str], result: str) -> Piece:
        emitter = self.emitter
        names = {("value", n): v for n, v in emitter.value_names.items()} | {("rule", c): r for c, r in emitter.rule_names.items()} | {OUTCOME: "outcome"}
        used = set(re.findall(r"\w+", " ".join([*lines, result])))
        head = [f"    {v} = S[{k!r}]" for k, v in names.items() if k != key and v in used]
        head += [f"    {slot} = F[{i}]" for i, slot in enumerate(emitter.slots.values()) if slot in used]
        body = "\n".join(["def piece(F, as_of, today, S):", *head, *(f"    {line}" for line in lines), f"    return {result}"])
        exec(compile(body, f"<{self.policy.name} {key[1]}>", "exec"), emitter.globals)
        piece: Piece = emitter.globals["piece"]
        return piece

    def _rule(self, rule: Rule) -> tuple[list[str], str]:
        """As a layer of engine/emit.py, with the condition over the atoms in place of the network."""
        emitter, single = self.emitter, layer([rule])
        lines = []
        emitter.atoms = {}
        for i, node in enumerate(single.atoms):
            lines.append(f"a{i} = {emitter.atom(node)}")
            emitter.atoms[node] = f"a{i}"
        lines.append(f"fired = {emitter.shape(single.shapes[0])}")
        if rule.fires_on_unset:
            lines.append(f"if type(fired) is Unknown and fired.unset: fired = {emitter.shape(single.shapes[0], True)}")
        return lines, "fired if type(fired) is Unknown else bool(fired)"


def _order(plan: Plan) -> Iterable[Key]:
    """Every piece after those that it needs."""
    for kind, part in plan.steps:
        if isinstance(part, Layer):
            yield from (("rule", r.code) for r in part.rules)
        else:
            yield (kind, str(part))
    if not any(kind == "outcome" for kind, _ in plan.steps):
        yield OUTCOME


def _read(node: s.Node) -> tuple[str, str] | None:
    match node:
        case s.Parameter(name=name):
            return "parameters", name
        case s.TableCall(table=table):
            return "tables", table
        case s.ScaleCall(scale=scale):
            return "scales", scale
    return None


def alike(a: Any, b: Any) -> bool:
    """The same value, or unknown in the same way."""
    if type(a) is Unknown or type(b) is Unknown:
        if type(a) is not type(b):
            return False
        same = a.paths == b.paths and a.unset == b.unset and (a.error is None) == (b.error is None) and str(a.error) == str(b.error)
        return same and alike(a.low, b.low) and alike(a.high, b.high) and alike(a.blank, b.blank)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
