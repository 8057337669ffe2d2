"""The properties that an author declares beside a rule file, in `vN.properties.yaml`: read, and typed against the names of the version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from engine import syntax as s
from engine.blocks import BlockFault, Blocks
from engine.errors import Fault, Place, RuleFileError, did_you_mean
from engine.model import Code, Scalar, Strict, Texts
from engine.policy import Policy, ValueDef
from engine.scope import Named, Scope, not_null_if
from engine.shape import shape
from engine.source import KeyPath, Source, read
from engine.types import BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, Type

#: The name under which a declared condition is asked of the engine.
CONDITION = "declared_property"
AS_OF = "as_of"
_KINDS = ("always", "more", "never_both")


class PropertyModel(Strict):
    """One property: `always` a condition, `more` of a fact with what it never does, or `never_both` of two conditions or codes."""

    name: Code
    says: Texts
    when: Scalar = None
    always: Scalar = None
    more: str | None = None
    never_lowers: str | None = None
    never_raises: str | None = None
    never: Literal["deny", "allow"] | None = None
    never_both: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None


class CliffModel(Strict):
    """Why a drop of an output is meant."""

    output: str
    fact: str
    because: Texts


class PropertiesModel(Strict):
    policy: Code
    version: Annotated[int, Field(ge=1)]
    properties: list[PropertyModel] = Field(default=[])
    cliffs: list[CliffModel] = Field(default=[])


@dataclass(frozen=True, slots=True)
class Property:
    """`kind`: bound, exclusive or monotone. `condition` must always hold (bound, exclusive).

    Monotone: where `more` grows, `value` never falls (`how` lowers) or rises (raises); without a value the outcome never turns into `how` (deny, allow).
    """

    name: str
    says: Texts
    kind: str
    place: Place
    condition: s.Node | None = None
    when: s.Node | None = None
    more: str | None = None
    value: str | None = None
    how: str | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """What stands beside one version. `meant`: (output, fact) of drops that are meant, with the reason."""

    properties: tuple[Property, ...] = ()
    meant: tuple[tuple[str, str, Texts, Place], ...] = ()

    def falling(self, output: str, fact: str) -> bool:
        """Is the output declared never to rise with the fact?"""
        return any(p.more == fact and p.value == output and p.how == "raises" for p in self.properties)


def properties_file(rule_file: Path) -> Path:
    return rule_file.with_name(f"{rule_file.stem}.properties.yaml")


def declared(policy: Policy, rule_file: Path) -> Declared:
    """What is declared beside a rule file; nothing if there is no such file. Raises RuleFileError with every fault."""
    path = properties_file(rule_file)
    if not path.exists():
        return Declared()
    return typed(policy, read(path, policy.file.removesuffix(".yaml") + ".properties.yaml"))


def typed(policy: Policy, source: Source) -> Declared:
    """Hold a file of properties against its version. Raises RuleFileError with every fault."""
    model = shape(source, PropertiesModel)
    faults: list[Fault] = []
    if (model.policy, model.version) != (policy.id, policy.version):
        faults.append(Fault(source.place(("policy",)), f"this stands beside {policy.name}", "name that policy and version"))
    names: set[str] = set()
    found: list[Property] = []
    typer = _Typer(policy, source)
    for i, raw in enumerate(model.properties):
        path: KeyPath = ("properties", i)
        if raw.name in names:
            faults.append(Fault(source.place((*path, "name")), f"two properties are named `{raw.name}`", "give each its own name"))
        names.add(raw.name)
        try:
            found.append(typer.property(raw, path))
        except BlockFault as fault:
            faults.append(Fault(source.place_inside(fault.path, fault.offset), fault.message, fault.help))
    meant = []
    for i, cliff in enumerate(model.cliffs):
        place = source.place(("cliffs", i))
        faults += [Fault(place, message, help) for message, help in _unknown(policy, cliff)]
        meant.append((cliff.output, cliff.fact, cliff.because, place))
    if faults:
        raise RuleFileError(faults)
    return Declared(tuple(found), tuple(meant))


def _unknown(policy: Policy, cliff: CliffModel) -> Iterator[tuple[str, str | None]]:
    if cliff.output not in policy.outputs:
        yield f"unknown output `{cliff.output}`", did_you_mean(cliff.output, policy.outputs)
    if type_at(policy, cliff.fact) is None:
        yield f"unknown fact `{cliff.fact}`", did_you_mean(cliff.fact, paths(policy))


def type_at(policy: Policy, path: str) -> Type | None:
    """The type of a fact, of a field of the items of a list (`items[].amount`), or of `as_of`."""
    if path == AS_OF:
        return DateTimeType()
    name, is_field, field = path.partition("[].")
    fact = policy.facts.get(name)
    if fact is None or not is_field:
        return None if fact is None else fact.type
    item = fact.type.item if isinstance(fact.type, ListType) else None
    if not isinstance(item, RecordType) or field not in [f.name for f in item.fields]:
        return None
    return item.field(field).type


def paths(policy: Policy) -> list[str]:
    """The names that `type_at` knows."""
    found = [AS_OF, *policy.facts]
    for name, fact in policy.facts.items():
        if isinstance(fact.type, ListType) and isinstance(fact.type.item, RecordType):
            found += [f"{name}[].{f.name}" for f in fact.type.item.fields]
    return found


class _Typer:
    def __init__(self, policy: Policy, source: Source) -> None:
        self.policy, self.blocks = policy, Blocks(source.place_inside)
        self.place = source.place
        self.scope = scope_of(policy)

    def property(self, raw: PropertyModel, path: KeyPath) -> Property:
        given = [k for k in _KINDS if getattr(raw, k) is not None]
        if len(given) != 1:
            raise BlockFault(path, 0, "a property states exactly one of `always`, `more`, `never_both`", "write one property for each statement")
        scope, when = self.scope, None
        if raw.when is not None:
            when = self.blocks.condition(raw.when, (*path, "when"), scope)
            scope = scope.knowing(not_null_if(when, True))
        place = self.place((*path, "name"))
        if raw.more is not None:
            return self._monotone(raw, path, when, place)
        for key in ("never_lowers", "never_raises", "never"):
            if getattr(raw, key) is not None:
                raise BlockFault((*path, key), 0, f"`{key}` needs `more`", "name the fact that grows: `more: sales_amount`")
        if raw.always is not None:
            return Property(raw.name, raw.says, "bound", place, self.blocks.condition(raw.always, (*path, "always"), scope), when)
        assert raw.never_both is not None
        both = tuple(self._either(text, (*path, "never_both", i), scope) for i, text in enumerate(raw.never_both))
        return Property(raw.name, raw.says, "exclusive", place, s.Not(item=s.And(items=both)), when)

    def _either(self, text: str, path: KeyPath, scope: Scope) -> s.Node:
        """A code of a requirement, or a condition."""
        if text in scope.codes and not scope.has(text):
            return s.Violated(code=text)
        return self.blocks.condition(text, path, scope)

    def _monotone(self, raw: PropertyModel, path: KeyPath, when: s.Node | None, place: Place) -> Property:
        assert raw.more is not None
        kind = type_at(self.policy, raw.more)
        if kind is None:
            raise BlockFault((*path, "more"), 0, f"unknown fact `{raw.more}`", did_you_mean(raw.more, paths(self.policy)))
        grows = isinstance(kind, (NumberType, BoolType, DateType, DateTimeType)) or (isinstance(kind, EnumType) and kind.ordered)
        if not grows and not (isinstance(kind, SetType) and kind.values is not None and "[]" not in raw.more):
            raise BlockFault((*path, "more"), 0, f"`{raw.more}` cannot grow", "name a number, a date, a bool, an ordered enum or a set of known values")
        stated = {"lowers": raw.never_lowers, "raises": raw.never_raises, raw.never or "never": raw.never}
        said = {how: value for how, value in stated.items() if value is not None}
        if len(said) != 1:
            raise BlockFault(path, 0, "`more` needs exactly one of `never_lowers`, `never_raises`, `never`", "write one property for each statement")
        ((how, value),) = said.items()
        if how in ("deny", "allow"):
            return Property(raw.name, raw.says, "monotone", place, None, when, raw.more, None, how)
        known = self.policy.values
        key = f"never_{how}"
        if value not in known:
            raise BlockFault((*path, key), 0, f"unknown output or formula `{value}`", did_you_mean(value, known))
        if not isinstance(known[value].type, (NumberType, DateType, BoolType)):
            raise BlockFault((*path, key), 0, f"`{value}` is {known[value].type}: it has no order", "name a number, a date or a bool")
        return Property(raw.name, raw.says, "monotone", place, None, when, raw.more, value, how)


def scope_of(policy: Policy) -> Scope:
    """The names of a checked version, as its own rules know them."""
    machine = policy.machine
    return Scope(
        facts={n: Named(f.type, f.nullable) for n, f in policy.facts.items()},
        parameters={n: Named(p.type) for n, p in policy.parameters.items()},
        tables={n: ({i: Named(t, True) for i, t in table.inputs}, Named(table.result)) for n, table in policy.tables.items()},
        scales=frozenset(policy.scales),
        formula_names=frozenset(policy.values),
        formula=lambda name: Named(policy.values[name].type, policy.values[name].nullable),
        codes=frozenset(r.code for r in policy.requirements),
        transitions=tuple(t.code for t in machine.transitions) if machine else (),
        states=machine.states if machine else (),
        patterns={n: p.value for n, p in policy.parameters.items() if isinstance(p.value, str)},
    )


def asking_also(policy: Policy, nodes: dict[str, s.Node]) -> Policy:
    """The version with some expressions as further outputs, so that the engine answers them too."""
    values = dict(policy.values)
    for name, node in nodes.items():
        values[name] = ValueDef(name, node, node.type, node.nullable, True, (), (), node.place)
    return replace(policy, values=values, outputs=tuple(dict.fromkeys([*policy.outputs, *nodes])))
