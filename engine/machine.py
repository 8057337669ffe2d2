"""Machines: which events are open in a state. Each event is asked as a check of its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine import explain
from engine.kleene import Unknown, holds_unknown

if TYPE_CHECKING:
    from engine.decide import Program, Resolver


def open_events(program: Program, facts: Any, as_of: datetime, resolve: Resolver | None) -> dict[str, Any]:
    """The answer of compute: `outputs.open_events` holds, sorted, the events whose check with the same facts would not be denied."""
    machine = program.policy.machine
    assert machine is not None
    slots, _, used = program.slots(facts, as_of, resolve)
    state, event = program.fact_index[machine.state], program.fact_index[machine.event]
    missing: set[str] = set()
    found: list[str] = []
    for name in sorted(machine.events):
        tried = (*slots[:event], name, *slots[event + 1 :])
        result = program.run(tried, not any(type(v) is Unknown or holds_unknown(v) for v in tried), as_of)
        if result.outcome != "denied":
            found.append(name)
            if type(result.outcome) is Unknown:
                missing |= result.outcome.paths
    events = None if found and type(slots[state]) is Unknown else found
    unasked = program.run((*slots[:event], program.reader.unknowns[machine.event], *slots[event + 1 :]), False, as_of, used)
    outputs, waiting = program.words.outputs(program, unasked)
    missing |= {path for u in waiting if machine.event not in u.paths for path in u.paths}
    outputs |= {"next_state": None, "open_events": events}
    outcome = "allowed" if events is not None else "undetermined"
    unset = sorted({name for u in waiting for name in u.unset})
    return explain.sealed(program, unasked, outcome, [], [], sorted(missing - {machine.event}), outputs, unset)
