"""What a partner can influence, at what cost: `influence.yaml` beside the versions of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from engine.errors import Fault, RuleFileError, did_you_mean
from engine.model import Code, Strict, Texts
from engine.policy import Policy
from engine.shape import shape
from engine.source import KeyPath, Source, read
from engine.types import BoolType, DateType, EnumType, ListType, NumberType, RecordType, SetType, TextType, Type
from proofs.declared import paths

Amount = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
FILE = "influence.yaml"
ANY = "any"


class MoveModel(Strict):
    """One change: its cost (any unit, the same in the whole file), the days it takes, and how it is asked for, as a verb phrase."""

    cost: Amount
    days: Annotated[int, Field(ge=0, le=3660)] = 0
    says: Texts


class ShiftModel(MoveModel):
    """A number or date that goes down or up: what each unit (or day) costs besides."""

    per_unit: Amount = "0.001"


class BecomesModel(MoveModel):
    """A value that the fact can be given; `from`: only from one of these."""

    value: str | bool | None
    from_: list[str] | None = Field(default=None, alias="from")


class AddsModel(MoveModel):
    """A further record of a list; in its texts `{as_of}` stands for the day of the question."""

    record: dict[str, Any]
    up_to: Annotated[int, Field(ge=1, le=50)] = 10


class InfluenceModel(Strict):
    down: ShiftModel | None = None
    up: ShiftModel | None = None
    becomes: list[BecomesModel] = Field(default=[])
    loses: list[BecomesModel] = Field(default=[])
    gains: list[BecomesModel] = Field(default=[])
    adds: AddsModel | None = None
    each: dict[str, InfluenceModel] = Field(default={})


class WaitingModel(Strict):
    per_day: Amount = "1"
    up_to_days: Annotated[int, Field(ge=1, le=3660)] = 400


class InfluenceFile(Strict):
    policy: Code
    waiting: WaitingModel | None = None
    names: dict[str, Texts] = Field(default={})
    facts: dict[str, InfluenceModel]


@dataclass(frozen=True, slots=True)
class Influence:
    """What can be changed, by fact, and what waiting costs; None: waiting is no way out. `names`: how facts are called in advice."""

    facts: dict[str, InfluenceModel]
    waiting: WaitingModel | None = None
    names: dict[str, Texts] = field(default_factory=dict)


def influence_file(rule_file: Path) -> Path:
    return rule_file.with_name(FILE)


def influence(policy: Policy, rule_file: Path, elsewhere: Iterable[str] = ()) -> Influence | None:
    """What stands beside the versions of a policy, for the facts of this one; None if there is no such file. Raises RuleFileError.

    `elsewhere`: the facts of the other versions, about which the same file may speak.
    """
    path = influence_file(rule_file)
    if not path.exists():
        return None
    return held(policy, read(path, policy.file.rpartition("/")[0] + "/" + FILE), elsewhere)


def held(policy: Policy, source: Source, elsewhere: Iterable[str] = ()) -> Influence:
    """Hold a file against a version. A fact that only other versions ask for is left out. Raises RuleFileError with every fault."""
    model = shape(source, InfluenceFile)
    faults: list[Fault] = []
    others = set(elsewhere) - set(policy.facts)
    if model.policy != policy.id:
        faults.append(Fault(source.place(("policy",)), f"this stands beside {policy.id}", "name that policy"))
    for name, one in model.facts.items():
        path: KeyPath = ("facts", name)
        if name in others:
            continue
        if name not in policy.facts:
            faults.append(Fault(source.place(path, key=True), f"unknown fact `{name}`", did_you_mean(name, policy.facts)))
            continue
        fact = policy.facts[name]
        for where, message, help in _misfits(one, fact.type, fact.nullable):
            faults.append(Fault(source.place((*path, *where)), message, help))
    for name in model.names:
        known = [*paths(policy), *policy.outputs]
        if name not in known and name.partition("[")[0] not in others:
            faults.append(Fault(source.place(("names", name), key=True), f"unknown fact or output `{name}`", did_you_mean(name, known)))
    if faults:
        raise RuleFileError(faults)
    return Influence({n: one for n, one in model.facts.items() if n not in others}, model.waiting, dict(model.names))


def _misfits(one: InfluenceModel, t: Type, nullable: bool) -> Iterator[tuple[KeyPath, str, str | None]]:
    """What does not fit the type of a fact: the place below the fact, the message, the help."""
    if not any((one.down, one.up, one.becomes, one.loses, one.gains, one.adds, one.each)):
        yield (), "nothing is said of how it can change", "name `down`, `up`, `becomes`, `loses`, `gains`, `adds` or `each`"
    for key in ("down", "up"):
        if getattr(one, key) is not None and not isinstance(t, (NumberType, DateType)):
            yield (key,), f"{t} has no direction", "`becomes` names the values it can be given"
    for i, to in enumerate(one.becomes):
        yield from (((("becomes", i, *w)), m, h) for w, m, h in _value(to.value, t, nullable))
    for key in ("loses", "gains"):
        values = t.values if isinstance(t, SetType) else None
        for i, to in enumerate(getattr(one, key)):
            if not isinstance(t, SetType):
                yield (key, i), f"{t} is no set", "`becomes` names the values it can be given"
            elif to.value != ANY and (not isinstance(to.value, str) or (values is not None and to.value not in values)):
                yield (key, i, "value"), f"`{to.value}` is not among the values", did_you_mean(str(to.value), values or ())
            elif key == "gains" and to.value == ANY:
                yield (key, i, "value"), "which value?", "`any` can only be lost"
    item = t.item if isinstance(t, ListType) else None
    if (one.adds is not None or one.each) and not isinstance(item, RecordType):
        yield ("adds" if one.adds else "each",), f"{t} is no list of records", None
        return
    if isinstance(item, RecordType):
        for name, inner in one.each.items():
            inside = next((f for f in item.fields if f.name == name), None)
            if inside is None:
                yield ("each", name), f"unknown field `{name}`", did_you_mean(name, [f.name for f in item.fields])
                continue
            yield from ((("each", name, *w), m, h) for w, m, h in _misfits(inner, inside.type, inside.nullable))


def _value(value: Any, t: Type, nullable: bool) -> Iterator[tuple[KeyPath, str, str | None]]:
    if value is None:
        if not nullable:
            yield ("value",), "null is not allowed here", "name a value"
    elif isinstance(t, BoolType) != isinstance(value, bool) or not isinstance(t, (BoolType, EnumType, TextType)):
        yield ("value",), f"expected {t}", "`becomes` is for bools, enums and texts; `down` and `up` for numbers and dates"
    elif isinstance(t, EnumType) and value not in t.values:
        yield ("value",), f"`{value}` is not among the values", did_you_mean(str(value), t.values, "values: " + ", ".join(t.values))
