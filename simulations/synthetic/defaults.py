"""How a fact is distributed that no declaration names: by its type, by the constants near it, and by what the rules would like it to be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.policy import Policy
from engine.types import BoolType, DateTimeType, DateType, EnumType, Field, ListType, NumberType, RecordType, SetType, Type
from simulations.synthetic.boundaries import Near, near
from simulations.synthetic.declaration import Distribution
from simulations.synthetic.encoding import WORK
from simulations.synthetic.leanings import Wish, leanings

#: How much more often a value comes that the rules like.
LIKED = 30


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules say about each fact (a field as `.name`): the constants near it, and the values that they like."""

    near: dict[str, Near]
    liked: dict[str, Wish]

    def at(self, key: str) -> Near:
        return self.near.get(key) or Near()


def surroundings(policy: Policy) -> Surroundings:
    return Surroundings(near(policy), leanings(policy))


def distribution(t: Type, nullable: bool, around: Surroundings, key: str) -> Distribution:
    """A distribution for a type; `key` is the name of a fact, or `.name` of a field."""
    return Distribution.model_validate({**_form(t, around, key), "none": _none(around.liked.get(key)) if nullable else 0})


def record(fields: tuple[Field, ...], around: Surroundings, given: dict[str, Distribution]) -> dict[str, Distribution]:
    """A distribution for each field of a record: the given one, else by its type."""
    return {f.name: given.get(f.name) or distribution(f.type, f.nullable, around, f".{f.name}") for f in fields}


def _none(wish: Wish | None) -> str:
    if wish is None or None not in wish[2]:
        return "0.2"
    return "0.95" if wish[1] else "0.03"


def _form(t: Type, around: Surroundings, key: str) -> dict[str, Any]:
    here, wish = around.at(key), around.liked.get(key)
    if isinstance(t, BoolType):
        return {"choice": {text: _weight(value, wish) for text, value in (("false", False), ("true", True))}}
    if isinstance(t, EnumType):
        return {"choice": {value: _weight(value, wish) for value in t.values}}
    if isinstance(t, NumberType):
        return _spread(t, here, wish)
    if isinstance(t, (DateType, DateTimeType)):
        far = 2 * max([180, *(p * (31 if "add_months" in here.functions else 1) for p in here.periods())])
        return {"days": {"uniform": {"low": -far, "high": far // 3}}}
    if isinstance(t, SetType):
        share = "0.2" if wish is None or () not in wish[2] else "0.01"
        return {"set": dict.fromkeys(t.values or [*here.texts()[:8], "A1", "B2", "C3"], share)}
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        fields = {name: d.model_dump(exclude_unset=True) for name, d in record(t.item.fields, around, {}).items()}
        return {"length": {"choice": {"0": 1, "1": 4, "2": 3, "3": 2}}, "fields": fields}
    if isinstance(t, ListType):
        return {"length": {"choice": {"0": 1, "1": 2, "2": 1}}, "item": _form(t.item, around, key)}
    return {"choice": dict.fromkeys(here.texts()[:20], 3) | {"A1": 1, "B2": 1, "C3": 1}}


def _weight(value: Any, wish: Wish | None) -> int:
    return LIKED if wish is not None and (value in wish[2]) == wish[1] else 1


def _spread(t: NumberType, here: Near, wish: Wish | None) -> dict[str, Any]:
    """From nothing to twice the largest constant, each constant amid its neighbours. Where the rules look for 0, half of the values or more are 0."""
    points = sorted({abs(n) for n in here.numbers() if 0 < abs(n) < Decimal(10) ** 12}) or [Decimal(100 if t.name != "ratio" else 1)]
    points = points[:: max(1, len(points) // 16)]
    found = [-points[0] if t.signed and t.name != "ratio" else Decimal(0), *points, 2 * points[-1]]
    places = 4 if t.places is None else t.places
    last = len(found) - 1
    values = [f"{WORK.quantize(v, Decimal(1).scaleb(-places)):f}" for v in found]
    spread = {"quantiles": {f"{Decimal(i * 10_000 // last).scaleb(-4):f}": v for i, v in enumerate(values)}}
    if 0 not in here.numbers():
        return spread
    return {"mix": [{"weight": _weight(0, wish), "constant": 0}, {"weight": 1, **spread}]} if wish is None or wish[1] else spread
