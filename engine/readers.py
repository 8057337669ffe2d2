"""A generated reader for each policy: the common request, well formed and nested, becomes typed slots in a few microseconds.

Whatever it does not expect (a misfit, a dotted name, a fact of another policy) it leaves to engine/facts.py, which is the judge.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from engine import facts as f
from engine.policy import FactDef
from engine.types import BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, TextType, Type

#: Gives the slots and whether all of them are wholly known. Raises Unexpected, or any error of Python, where it cannot judge.
Reader = Callable[[Any], tuple[tuple[Any, ...], bool]]


class Unexpected(Exception):
    """This request is not for the generated reader."""


#: What the source of every reader names.
_NAMES: dict[str, Any] = {
    "Unexpected": Unexpected, "Decimal": Decimal, "M": f._MISSING, "to_date": f._date, "to_datetime": f._datetime, "number_text": f.number_text,
}  # fmt: skip


def reader_of(reader: f.FactReader) -> Reader:
    """Write the reader of one policy."""
    env = dict(_NAMES)
    lines = ["def read(d):", "    known = True", "    if type(d) is not dict: raise Unexpected"]
    tree: dict[str, Any] = {}
    for i, name in enumerate(reader.facts):
        node = tree
        *parents, last = name.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if isinstance(node, int):
                raise AssertionError(name)
        node[last] = i
        env[f"u{i}"] = reader.unknowns[name]
    definitions = list(reader.facts.values())
    _level(tree, "d", "", lines, env, definitions)
    lines.append(f"    return ({''.join(f'f{i}, ' for i in range(len(definitions)))}), known")
    exec(compile("\n".join(lines), "<fact reader>", "exec"), env)
    read: Reader = env["read"]
    return read


def _level(tree: dict[str, Any], source: str, prefix: str, lines: list[str], env: dict[str, Any], definitions: list[FactDef]) -> None:
    lines.append(f"    n = {len(tree)}")
    inner = []
    for j, (key, below) in enumerate(tree.items()):
        if isinstance(below, dict):
            name = f"{source}_{j}"
            lines.append(f"    {name} = {source}.get({key!r}, M)")
            lines.append(f"    if {name} is M: {name} = EMPTY; n -= 1")
            lines.append(f"    elif type({name}) is not dict: raise Unexpected")
            inner.append((below, name))
        else:
            slot = f"f{below}"
            lines.append(f"    {slot} = {source}.get({key!r}, M)")
            lines.append(f"    if {slot} is M: {slot} = u{below}; known = False; n -= 1")
            lines += [f"    {line}" for line in _convert(slot, definitions[below].type, definitions[below].nullable, env)]
    lines.append(f"    if len({source}) != n: raise Unexpected")
    env["EMPTY"] = {}
    for below, name in inner:
        _level(below, name, f"{prefix}{name}.", lines, env, definitions)


def _convert(slot: str, t: Type, nullable: bool, env: dict[str, Any]) -> list[str]:
    """Lines, after an `if … is M`, that turn a raw value into a typed one."""
    lines = [f"elif {slot} is None: pass"] if nullable else []
    constant = f"k{len(env)}"
    if isinstance(t, BoolType):
        return [*lines, f"elif {slot} is not True and {slot} is not False: raise Unexpected"]
    if isinstance(t, EnumType):
        env[constant] = frozenset(t.values)
        return [*lines, f"elif {slot} not in {constant}: raise Unexpected"]
    if isinstance(t, TextType):
        return [*lines, f"elif type({slot}) is not str or len({slot}) > {f.MAX_TEXT} or not {slot}.strip(): raise Unexpected"]
    if isinstance(t, NumberType):
        if t.name == "integer":
            limit = f"-{10**18} < {slot} < {10**18}" if t.signed else f"0 <= {slot} < {10**18}"
            return [*lines, f"elif type({slot}) is int and {limit}: pass", "else: raise Unexpected"]
        env[constant] = f.number_reader(t)
        common = f"len({slot}) > 3 and {slot}[-3] == '.' and {slot}[:-3].isdigit() and {slot}[-2:].isdigit() and {slot}.isascii() and len({slot}) < 22"
        plain_money = [f"elif type({slot}) is str and {common}: {slot} = Decimal({slot})"] if t.places == 2 else []
        return [
            *lines, *plain_money, f"elif type({slot}) is str: {slot} = {constant}({slot})",
            f"elif type({slot}) is int: {slot} = {constant}(str({slot}))", f"elif type({slot}) is Decimal: {slot} = {constant}(number_text({slot}))",
            "else: raise Unexpected",
        ]  # fmt: skip
    if isinstance(t, DateType):
        return [*lines, f"else: {slot} = to_date({slot})"]
    if isinstance(t, DateTimeType):
        return [*lines, f"else: {slot} = to_datetime({slot})"]
    env[constant] = list_reader(t)
    return [*lines, "else:", f"    {slot}, whole = {constant}({slot})", "    if not whole: known = False"]


def list_reader(t: Type) -> Callable[[Any], tuple[tuple[Any, ...], bool]]:
    """A reader of sets and of lists whose items are whole; a list with an absent field goes to the judge, who names the item."""
    if isinstance(t, SetType) and t.values is not None:
        rank = {value: i for i, value in enumerate(t.values)}

        def read_set(raw: Any) -> tuple[tuple[Any, ...], bool]:
            if type(raw) is not list or len(set(raw)) != len(raw):
                raise Unexpected
            return tuple(sorted(raw, key=rank.__getitem__)), True

        return read_set
    if isinstance(t, ListType) and isinstance(t.item, RecordType):
        return _records(t.item)

    def read_texts(raw: Any) -> tuple[tuple[Any, ...], bool]:
        if type(raw) is not list or len(raw) > f.MAX_ITEMS or not all(type(i) is str and i.strip() and len(i) <= f.MAX_TEXT for i in raw):
            raise Unexpected
        if isinstance(t, SetType) and len(set(raw)) != len(raw):
            raise Unexpected
        return tuple(raw), True

    return read_texts


def _records(t: RecordType) -> Callable[[Any], tuple[tuple[Any, ...], bool]]:
    env = dict(_NAMES)
    lines = [
        "def read(raw):",
        f"    if type(raw) is not list or len(raw) > {f.MAX_ITEMS}: raise Unexpected",
        "    items = []",
        "    for d in raw:",
    ]
    tree: dict[str, Any] = {}
    for i, x in enumerate(t.fields):
        *parents, last = x.name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = i
    _record_level(tree, "d", lines, env, t)
    lines.append(f"        items.append(({''.join(f'f{i}, ' for i in range(len(t.fields)))}))")
    lines.append("    return tuple(items), True")
    exec(compile("\n".join(lines), "<record reader>", "exec"), env)
    read: Callable[[Any], tuple[tuple[Any, ...], bool]] = env["read"]
    return read


def _record_level(tree: dict[str, Any], source: str, lines: list[str], env: dict[str, Any], t: RecordType) -> None:
    """Every field of a record must be there; anything else goes to the judge."""
    lines.append(f"        if type({source}) is not dict or len({source}) != {len(tree)}: raise Unexpected")
    for j, (key, below) in enumerate(tree.items()):
        if isinstance(below, dict):
            lines.append(f"        {source}_{j} = {source}[{key!r}]")
            _record_level(below, f"{source}_{j}", lines, env, t)
        else:
            lines.append(f"        f{below} = {source}[{key!r}]")
            lines.append(f"        if f{below} is M: pass")
            lines += [f"        {line}" for line in _convert(f"f{below}", t.fields[below].type, t.fields[below].nullable, env)]
