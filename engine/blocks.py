"""Typing of values in several parts: `first`, `set`, `each`. Plain expressions go to engine/expressions.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine import syntax as s
from engine.errors import Place, did_you_mean
from engine.expressions import parse
from engine.model import EachModel, FirstModel, RowModel, SetModel
from engine.naming import reserved
from engine.parsing import ExpressionFault
from engine.scope import Named, Scope, bind, not_null_if, words
from engine.source import KeyPath
from engine.types import BOOL, BoolType, EnumType, Field, ListType, NullType, NumberType, RecordType, SetType, Type, assignable, join


class BlockFault(Exception):
    """A fault in one scalar of a rule file: the path to it, the offset in its text; `key`: not in the value at the path, but in its key."""

    def __init__(self, path: KeyPath, offset: int, message: str, help: str | None = None, key: bool = False) -> None:
        self.path, self.offset, self.message, self.help, self.key = path, offset, message, help, key
        super().__init__(message)


class Told(Exception):
    """What is typed rests on something whose own fault has been told."""


class Blocks:
    """Types the values of one rule file. `place` gives the place of a character of the scalar at a path."""

    def __init__(self, place: Callable[[KeyPath, int], Place]) -> None:
        self.place = place

    def value(self, raw: Any, path: KeyPath, scope: Scope, expect: Type | None = None) -> s.Node:
        """Type an expression or a block. Raises BlockFault."""
        if isinstance(raw, FirstModel):
            return self.first(raw, path, scope, expect)
        if isinstance(raw, SetModel):
            return self.set(raw, path, scope, expect)
        if isinstance(raw, EachModel):
            return self.each(raw, path, scope, expect)
        return self.expression(raw, path, scope, expect)

    def expression(self, raw: Any, path: KeyPath, scope: Scope, expect: Type | None = None, shift: int = 0) -> s.Node:
        """Type the text at a path, from the offset `shift` on."""
        node = self._typed(raw, path, scope, expect, shift)
        if expect is not None and not assignable(node.type, expect):
            raise BlockFault(path, shift, f"expected {expect}, got {node.type}", _fit_help(node.type, expect))
        return node

    def _typed(self, raw: Any, path: KeyPath, scope: Scope, expect: Type | None, shift: int = 0) -> s.Node:
        text = "null" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)
        if scope.broken and not scope.broken.isdisjoint(words(text)):
            raise Told
        try:
            return parse(text, scope, expect, lambda offset: self.place(path, shift + offset))
        except ExpressionFault as fault:
            raise BlockFault(path, shift + fault.offset, fault.message, fault.help) from None

    def condition(self, raw: Any, path: KeyPath, scope: Scope) -> s.Node:
        """Type a text that is true or false."""
        node = self._typed(raw, path, scope, BOOL)
        if not isinstance(node.type, BoolType):
            raise BlockFault(path, 0, f"expected a condition, got {node.type}", "compare it with something")
        if node.nullable:
            raise BlockFault(path, 0, "the condition may be null", "a nullable value must be tested with `is not null` first")
        return node

    def first(self, raw: FirstModel, path: KeyPath, scope: Scope, expect: Type | None) -> s.Node:
        lines: list[s.Line] = []
        kind: Type | None = None
        nullable = False
        for i, line in enumerate(raw.first):
            here = (*path, "first", i)
            last = i == len(raw.first) - 1
            if ("otherwise" in line.model_fields_set) != last or (not last and not {"when", "then"} <= line.model_fields_set):
                raise BlockFault(here, 0, "every line needs `when` and `then`, and the last one `else`", "close the list with `- {else: …}`")
            when = None if last else self.condition(line.when, (*here, "when"), scope)
            inner = scope if when is None else scope.knowing(not_null_if(when, True))
            key = "else" if last else "then"
            then = self.expression(line.otherwise if last else line.then, (*here, key), inner, expect)
            if when is not None:
                scope = scope.knowing(not_null_if(when, False))
            both = then.type if kind is None else join(kind, then.type)
            if both is None:
                raise BlockFault((*here, key), 0, f"the lines do not go together: {kind} and {then.type}")
            kind, nullable = both, nullable or then.nullable
            refs = tuple(line.source.refs) if line.source else ()
            codes = (*([line.code] if line.code else []), *line.codes)
            lines.append(s.Line(when=when, then=then, codes=codes, refs=refs, type=then.type, place=self.place(here, 0)))
        assert kind is not None
        return s.First(lines=tuple(lines), type=kind, nullable=nullable, place=self.place(path, 0))

    def set(self, raw: SetModel, path: KeyPath, scope: Scope, expect: Type | None) -> s.Node:
        lines: list[tuple[str, Any, KeyPath]] = []
        if isinstance(raw.set, dict):
            lines = [(value, test, (*path, "set", value)) for value, test in raw.set.items()]
        else:
            lines = [(value, test, (*path, "set", i, value)) for i, line in enumerate(raw.set) for value, test in line.items()]
        members = tuple((value, self.condition(test, here, scope)) for value, test, here in lines)
        node = s.SetOf(members=members, type=SetType(tuple(dict.fromkeys(v for v, _ in members))), place=self.place(path, 0))
        if expect is not None and not assignable(node.type, expect):
            wanted = (expect.values if isinstance(expect, SetType) else None) or ()
            for value, _, here in lines:
                if isinstance(expect, SetType) and value not in wanted:
                    help = did_you_mean(value, wanted, "values: " + ", ".join(wanted))
                    raise BlockFault(here, 0, f"`{value}` is not among the values", help, key=True)
            raise BlockFault(path, 0, f"expected {expect}, got {node.type}")
        return node

    def each(self, raw: EachModel, path: KeyPath, scope: Scope, expect: Type | None) -> s.Node:
        variable, word, over = raw.each.partition(" in ")
        variable, start = variable.strip(), len(variable + word) + len(over) - len(over.lstrip())
        if not variable.isidentifier() or not over.strip():
            raise BlockFault((*path, "each"), 0, "expected `item in list`", "for example `each: r in recharge_records`")
        if reserved(variable):
            raise BlockFault((*path, "each"), 0, f"`{variable}` is a word of the rule language", "rename it")
        source = self.expression(over.strip(), (*path, "each"), scope, shift=start)
        if not isinstance(source.type, (ListType, SetType)):
            raise BlockFault((*path, "each"), start, f"expected a list, got {source.type}")
        if source.nullable:
            raise BlockFault((*path, "each"), start, "the list may be null", "`coalesce(list, [])` makes null an empty list")
        item: Type = source.type.item if isinstance(source.type, ListType) else EnumType(source.type.values or ())
        unique, inner = bind(scope, variable, Named(item))
        where = None
        if raw.where is not None:
            where = self.condition(raw.where, (*path, "where"), inner)
            inner = inner.knowing(not_null_if(where, True))
        order = tuple(self._order(text, (*path, "order", i), inner) for i, text in enumerate(raw.order))
        lets: list[tuple[str, s.Node]] = []
        for name, value in raw.let.items():
            if reserved(name):
                raise BlockFault((*path, "let", name), 0, f"`{name}` is a word of the rule language", "rename it", key=True)
            node = self.value(value, (*path, "let", name), replace(inner, in_each=True))
            let_name, inner = bind(inner, name, Named(node.type, node.nullable))
            lets.append((let_name, node))
        keep = None
        if raw.keep is not None:
            keep = self.condition(raw.keep, (*path, "keep"), inner)
            inner = inner.knowing(not_null_if(keep, True))
        rows, record = self._rows(raw, path, inner, expect)
        return s.Each(
            variable=unique, source=source, where=where, order=order, lets=tuple(lets), keep=keep, rows=rows, whole=raw.whole,
            type=ListType(record), place=self.place(path, 0),
        )  # fmt: skip

    def _order(self, text: str, path: KeyPath, scope: Scope) -> tuple[s.Node, bool]:
        expression, _, direction = text.strip().rpartition(" ")
        descending = direction == "desc"
        node = self.expression(expression if direction in ("asc", "desc") else text, path, scope)
        if node.nullable:
            raise BlockFault(path, 0, "a value that orders may not be null", "use `coalesce(x, …)`")
        return node, descending

    def _rows(self, raw: EachModel, path: KeyPath, scope: Scope, expect: Type | None) -> tuple[tuple[s.Row, ...], RecordType]:
        if (raw.record is None) == (raw.rows is None):
            raise BlockFault(path, 0, "`each` needs either `record` or `rows`")
        wanted = expect.item if isinstance(expect, ListType) and isinstance(expect.item, RecordType) else None
        models = [(RowModel(record=raw.record), (*path, "record"))] if raw.record is not None else [
            (row, (*path, "rows", i, "record")) for i, row in enumerate(raw.rows or [])
        ]  # fmt: skip
        names = [f.name for f in wanted.fields] if wanted else list(models[0][0].record)
        rows: list[s.Row] = []
        kinds: list[tuple[Type, bool]] = []
        for model, here in models:
            if set(model.record) != set(names):
                raise BlockFault(here, 0, "the record has other fields than declared", "fields: " + ", ".join(names))
            when, inner = None, scope
            if model.when is not None:
                when = self.condition(model.when, (*here[:-1], "when"), scope)
                inner = scope.knowing(not_null_if(when, True))
            values = tuple(self.expression(model.record[n], (*here, n), inner, wanted.field(n).type if wanted else None) for n in names)
            for i, node in enumerate(values):
                if len(kinds) <= i:
                    kinds.append((node.type, node.nullable))
                    continue
                both = join(kinds[i][0], node.type)
                if both is None:
                    raise BlockFault(here, 0, f"the field `{names[i]}` is {kinds[i][0]} in one row and {node.type} in another")
                kinds[i] = (both, kinds[i][1] or node.nullable)
            rows.append(s.Row(when=when, values=values))
        fields = tuple(
            Field(n, wanted.field(n).type if wanted else k, nullable or isinstance(k, NullType)) for n, (k, nullable) in zip(names, kinds, strict=True)
        )
        return tuple(rows), RecordType(fields)


def _fit_help(given: Type, wanted: Type) -> str | None:
    """What to do where only the places are too many."""
    if not isinstance(given, NumberType) or not isinstance(wanted, NumberType) or wanted.places is None:
        return None
    if given.places is None or given.places > wanted.places:
        return f"`round_half_up(…, {wanted.places})` gives {wanted.places} places"
    return None
