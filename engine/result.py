"""What the rules said of one case, before it is put into words, and the outputs in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.plan import Plan
from engine.policy import Policy
from engine.types import EnumType, ListType, RecordType, Type, nested, plain, plainer
from engine.unknown import Unknown, known_part, unknown_parts


@dataclass(slots=True)
class Result:
    """What the rules said: the typed facts, the state of every rule, the outcome, every value. `known`: nothing was unknown.

    `used`: the digests of the policies that gave facts.
    """

    slots: tuple[Any, ...]
    rules: tuple[Any, ...]
    outcome: Any
    values: tuple[Any, ...]
    moment: datetime
    known: bool
    used: tuple[str, ...] = ()


class Outputs:
    """The outputs of one policy: their types, and their values in a result."""

    def __init__(self, policy: Policy, plan: Plan) -> None:
        self.types: dict[str, Type] = {n: policy.values[n].type for n in policy.outputs if n in policy.values}
        if policy.machine is not None:
            self.types["next_state"] = EnumType(policy.machine.states)
        self.names = [n for n in policy.outputs if n != "open_events"]
        self.position = {n: i for i, n in enumerate(plan.values)}
        self._plainly = [(n, self.position[n], plainer(self.types[n])) for n in self.names]
        self._is_plain = policy.machine is None
        self._dotted = any("." in n for n in self.names)

    def value(self, result: Result, name: str) -> Any:
        """The typed value of an output, Unknown or with unknown parts where it is not determined."""
        value = result.values[self.position[name]]
        if name == "next_state" and result.outcome not in ("allowed", "review"):
            return result.outcome if type(result.outcome) is Unknown else None
        return value

    def told(self, result: Result) -> tuple[dict[str, Any], list[Unknown]]:
        """All outputs as JSON data, null where they are unknown; and what the unknown ones wait for."""
        if result.known and self._is_plain:
            values = result.values
            known = {n: values[i] if make is None else make(values[i]) for n, i, make in self._plainly}
            return nested(known.items()) if self._dotted else known, []
        flat, waiting = [], []
        for name in self.names:
            value = self.value(result, name)
            part = unknown_parts(value)
            if part is not None:
                waiting.append(part)
                kind = self.types[name]
                listed = isinstance(kind, ListType) and isinstance(kind.item, RecordType)
                value = known_part(value) if listed else None
            flat.append((name, plain(value, self.types[name])))
        return nested(flat), waiting
