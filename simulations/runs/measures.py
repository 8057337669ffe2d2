"""The amounts of money of a policy that a run counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.policy import Policy
from engine.types import ListType, NumberType, RecordType
from simulations.runs.order import Misfit, OrderError, hint
from simulations.runs.units import reached


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount of money of one case: an output, or the sum of a field over the records of an output (`output[].field`). `places` of the fen's kind."""

    name: str
    output: str
    field: str | None
    places: int


def measures(*versions: Policy) -> tuple[Measure, ...]:
    """The amounts of money that some versions put out: first those that the differences of first and last reach; single amounts by the file, then sums."""
    single: dict[str, Measure] = {}
    listed: dict[str, Measure] = {}
    for policy in reversed(versions):
        for output in policy.outputs:
            value = policy.values.get(output)
            if value is None:
                continue
            t = value.type
            if _is_money(t):
                single.setdefault(output, Measure(output, output, None, t.places))  # type: ignore[attr-defined]
            elif isinstance(t, ListType) and isinstance(t.item, RecordType):
                for f in t.item.fields:
                    if _is_money(f.type):
                        name = f"{output}[].{f.name}"
                        listed.setdefault(name, Measure(name, output, f.name, f.type.places))  # type: ignore[attr-defined]
    everything = [*single.values(), *listed.values()]
    differing = reached(versions[0], versions[-1]) if versions else set()
    return tuple(sorted(everything, key=lambda m: ("value", m.output) not in differing))


def _is_money(t: Any) -> bool:
    return isinstance(t, NumberType) and t.unit == "CNY" and t.places is not None


def chosen_measures(wanted: list[str] | None, known: tuple[Measure, ...]) -> tuple[Measure, ...]:
    if wanted is None:
        return known
    by_name = {m.name: m for m in known}
    for name in wanted:
        if name not in by_name:
            raise OrderError(Misfit(("measures",), f"the policy puts out no amount `{name}`", hint(name, by_name)))
    return tuple(by_name[name] for name in dict.fromkeys(wanted))
