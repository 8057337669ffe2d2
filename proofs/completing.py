"""The facts of a request with those that other policies give, as JSON data by dotted name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.cases import flat
from engine.decide import Program, Resolver
from engine.types import plain
from engine.unknown import Unknown, holds_unknown


def completed(program: Program, facts: dict[str, Any], as_of: datetime, resolve: Resolver | None) -> dict[str, Any]:
    """Only facts of this policy; unknown ones are left out. Raises FactsError."""
    raw = flat(facts)
    slots, _, _ = program.slots(raw, as_of, resolve)
    found = {}
    for (name, fact), value in zip(program.policy.facts.items(), slots, strict=True):
        if type(value) is not Unknown:
            found[name] = raw[name] if holds_unknown(value) and name in raw else plain(value, fact.type)
    return found
