"""Raw columns of a source as facts: single values, and sets, lists of text and lists of record item by item.

See simulations/population/checks.py for the parts, and simulations/population/scalars.py for single values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.facts import MAX_ITEMS
from engine.policy import FactDef
from engine.types import TEXT, EnumType, Field, ListType, RecordType, SetType, Type
from simulations.population import checks, documents
from simulations.population.checks import Check, Raw, Reading, Unfit
from simulations.population.columns import UNKNOWN, quoted, record_of
from simulations.population.scalars import Scalar
from simulations.population.spelling import Why, literals

#: A word that needs no quotes in a list; a list of such; words that stand for something else.
_WORD = r"[\pL_][\pL\pN_.-]*"
_WORDS = rf"\[{_WORD}(, ?{_WORD})*\]"
_NO_WORD = r"(?i)[\[ ,](null|true|false|nan|inf|infinity)[\],]"


def reading(of: FactDef | Field, raw: Raw, why: Why) -> Reading:
    """Read a raw column as a fact. Raises Unfit where its type is wrong as a whole, or that of a field of it."""
    if raw.kind == "typed" and raw.type.id == "null":  # nothing but NULL was ever written
        raw = replace(raw, kind="text", sql=f"CAST({raw.sql} AS VARCHAR)")
    if isinstance(of.type, (SetType, ListType)):
        return _listed(of, raw, why)
    return Scalar(of, raw, why).reading()


def _listed(of: FactDef | Field, raw: Raw, why: Why) -> Reading:
    if raw.kind == "typed" and raw.type.id == "varchar":
        raw = replace(raw, kind="text")
    if raw.kind == "typed" and raw.type.id != "list":
        raise Unfit(f"column `{raw.label}` is {raw.type}, `{of.name}` is {of.type}", "store it as a list, or as the JSON text of one")
    shown, record = checks.shown(raw), record_of(of.type)
    if raw.kind == "text":
        raw = replace(raw, kind="json", sql=raw.let(_parsed(of, raw)), companion=None)
    return _records(of, record, raw, shown, why) if record else _scalars(of, raw, shown, why)


def _parsed(of: FactDef | Field, raw: Raw) -> str:
    """The JSON of a text column. NULL is `null` where that is allowed, else an absent value; what is no JSON becomes a JSON text, which is no list."""
    found = [f"try_cast({documents.marked(raw.sql)} AS JSON)", *([] if record_of(of.type) else [_words(raw.sql)]), "'\"\"'::JSON"]
    parsed = f"coalesce({', '.join(found)})"
    if not of.nullable:
        return f"CASE WHEN {raw.sql} IS NOT NULL THEN {parsed} END"
    unknown = f"WHEN {raw.companion} AND {raw.sql} IS NULL THEN NULL " if raw.companion else ""
    return f"CASE {unknown}WHEN {raw.sql} IS NULL THEN 'null'::JSON ELSE {parsed} END"


def _words(s: str) -> str:
    """The JSON of a list of bare words, as DuckDB writes one into CSV: [a, b]. NULL for all else, and where a word may mean something else."""
    plain = f"regexp_full_match({s}, '{_WORDS}') AND NOT regexp_matches({s}, '{_NO_WORD}')"
    return f"CASE WHEN {plain} THEN try_cast(regexp_replace({s}, '{_WORD}', '\"\\0\"', 'g') AS JSON) END"


def _items(raw: Raw, inside: str | None) -> str:
    """The items of a list, NULL where there is none; of JSON each as the values at some paths, or as it is."""
    if raw.kind != "json":
        return raw.sql
    items = f"json_extract({raw.sql}, '$[*]')"
    variable = _variable(raw)
    each = f"list_transform({items}, lambda {variable}: {inside})" if inside else items
    return raw.let(f"CASE WHEN {_is_list(raw)} THEN {each} END")


def _is_list(raw: Raw) -> str:
    return f"starts_with({checks.json_text(raw)}, '[')"


def _variable(raw: Raw) -> str:
    """A name for an item; lists inside of lists have names of their own."""
    return f"x{raw.label.count('[]')}"


def _head(of: FactDef | Field, raw: Raw, items: str, why: Why) -> list[str]:
    """Why a row has no list, or one that is too long."""
    lines = [*checks.absent(raw, of, why), *checks.contradiction(raw, of, why)]
    if raw.kind == "json":
        lines.append(f"WHEN NOT {_is_list(raw)} THEN {_no_list(of, why)}")
    return [*lines, f"WHEN len({items}) > {MAX_ITEMS} THEN {why(f'more than {MAX_ITEMS} items', f'超过 {MAX_ITEMS} 项')}"]


def _no_list(of: FactDef | Field, why: Why) -> str:
    record = record_of(of.type)
    example = f'[{{"{record.fields[0].name}": …}}, …]' if record else '["a", "b"]'
    return why(f"no list; written as {example}", f"不是列表；应写作 {example}")


def _null(of: FactDef | Field, raw: Raw) -> str:
    return f"coalesce({checks.is_null(raw)}, false)" if of.nullable else "false"


# -- sets and lists of text --------------------------------------------------------------------------------------------------------------


def _scalars(of: FactDef | Field, raw: Raw, shown: str, why: Why) -> Reading:
    t = of.type
    item, variable = _item_of(t), _variable(raw)
    child = raw.type.children[0][1] if raw.kind == "typed" else None
    inner_raw = Raw(variable, raw.kind, f"{raw.label}[]", child, pairs=raw.pairs, in_list=True, hidden=raw.hidden)
    inner = reading(Field(of.name, item), inner_raw, why)
    items = _items(raw, None)
    texts = items if inner.value == variable else raw.let(f"list_transform({items}, lambda {variable}: {inner.value})")
    lines = _head(of, raw, items, why)
    if isinstance(t, SetType):
        said = why("a value stands twice in this set", "集合中有重复的取值")
        lines.append(f"WHEN list_count({texts}) = len({texts}) AND len({texts}) <> list_unique({texts}) THEN {said}")
    found = [Check(raw.label, checks.case(lines), shown), *_folded(inner, items, variable)]
    value, differs = texts, any_of(items, variable, inner.differs)
    if isinstance(t, SetType) and t.values is not None:
        value = f"CASE WHEN {texts} IS NOT NULL THEN list_filter([{literals(t.values)}], lambda v: list_contains({texts}, v)) END"
        differs = f"({differs} OR coalesce({raw.let(value)} <> {texts}, false))"
    plain = items if raw.kind == "typed" and inner.plain == variable and texts == items else None
    return Reading(of, value, tuple(found), checks.unknown(raw, of), _null(of, raw), plain=plain, differs=differs)


def _item_of(t: Type) -> Type:
    if isinstance(t, SetType):
        return TEXT if t.values is None else EnumType(t.values)
    assert isinstance(t, ListType)
    return t.item


def _folded(inner: Reading, items: str, variable: str) -> list[Check]:
    """The checks of what is inside a list, each told by the first item that does not fit."""
    found = []
    for check in inner.checks:
        first = f"CASE WHEN ({check.reason}) IS NOT NULL THEN {check.shown} END"
        found.append(Check(check.label, _first(items, variable, check.reason), _first(items, variable, first)))
    return found


def _first(items: str, variable: str, sql: str) -> str:
    return f"list_any_value(list_transform({items}, lambda {variable}: {sql}))"


def any_of(items: str, variable: str, sql: str) -> str:
    """Whether something holds for some item."""
    return "false" if sql == "false" else f"coalesce(list_bool_or(list_transform({items}, lambda {variable}: {sql})), false)"


def most_of(items: str, variable: str, sql: str) -> str:
    """The largest value over the items."""
    return f"list_max(list_transform({items}, lambda {variable}: {sql}))"


# -- lists of record ---------------------------------------------------------------------------------------------------------------------


def _records(of: FactDef | Field, record: RecordType, raw: Raw, shown: str, why: Why) -> Reading:
    variable = _variable(raw)
    if raw.kind == "json":
        places = [(), *(keys for f in record.fields for keys in documents.spellings(f.name))]
        items = _items(raw, f"json_extract({variable}, {documents.paths(places)})")
        shape, raws = _json_shape(record, raw, variable, why), _json_fields(record, raw, variable)
    else:
        items = raw.sql
        child = raw.type.children[0][1]
        if child.id != "struct":
            raise Unfit(f"column `{raw.label}` is {raw.type}, `{of.name}` is {of.type}", "store it as a list of structs, or as the JSON text of one")
        shape, raws = f"CASE WHEN {variable} IS NULL THEN {_no_record(why)} END", _typed_fields(record, raw, variable)
    fields: dict[str, Reading] = {}
    found = [Check(raw.label, checks.case(_head(of, raw, items, why)), shown), Check(f"{raw.label}[]", _first(items, variable, shape), "NULL")]
    for f in record.fields:
        inner_raw = raws[f.name]
        fields[f.name] = inner = Reading(f, "NULL", (), "true") if inner_raw is None else reading(f, inner_raw, why)
        found += _folded(inner, items, variable)
    plain = items if raw.kind == "typed" and _as_they_are(record, raw, raws, fields) else None
    differs = " OR ".join(dict.fromkeys(any_of(items, variable, r.differs) for r in fields.values()))
    return Reading(
        of, items, tuple(found), checks.unknown(raw, of), _null(of, raw), plain=plain, differs=f"({differs})", items=items, variable=variable, fields=fields,
    )  # fmt: skip


def _no_record(why: Why) -> str:
    return why("no object", "不是对象")


def _json_shape(record: RecordType, raw: Raw, variable: str, why: Why) -> str:
    """Why an item is no such record: no object, a key twice, a key that is no field."""
    lines = []
    for keys, known in documents.objects(f.name for f in record.fields).items():
        lines.append(f"WHEN {documents.no_object(f'{variable}[1]', keys)} THEN {_no_record(why)}")
        lines.append(f"WHEN {documents.twice(f'{variable}[1]', keys)} THEN {why('a key stands twice', '键重复')}")
        lines.append(f"WHEN {documents.other_keys(f'{variable}[1]', keys, known)} THEN {why('an unknown field', '未知字段')}")
    at = 2
    for f in record.fields:
        count = len(documents.spellings(f.name))
        if count > 1:
            values = ", ".join(f"{variable}[{at + i}]" for i in range(count))
            lines.append(f"WHEN list_count([{values}]) > 1 THEN {why('given twice, once dotted and once nested', '以点号和嵌套两种写法重复给出')}")
        at += count
    return checks.case(lines)


def _json_fields(record: RecordType, raw: Raw, variable: str) -> dict[str, Raw | None]:
    found: dict[str, Raw | None] = {}
    at = 2
    for f in record.fields:
        values = [f"{variable}[{at + i}]" for i in range(len(documents.spellings(f.name)))]
        at += len(values)
        sql = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
        found[f.name] = Raw(sql, "json", f"{raw.label}[].{f.name}", hidden=raw.hidden)
    return found


def _typed_fields(record: RecordType, raw: Raw, variable: str) -> dict[str, Raw | None]:
    children = dict(raw.type.children[0][1].children)
    found: dict[str, Raw | None] = {}
    for f in record.fields:
        place = inside(children, f.name)
        if place is None:
            found[f.name] = None
            continue
        accessor, t = place
        companion = f"{variable}.{quoted(UNKNOWN + f.name)}" if UNKNOWN + f.name in children else None
        found[f.name] = Raw(f"{variable}.{accessor}", "typed", f"{raw.label}[].{f.name}", t, companion=companion, hidden=raw.hidden)
    return found


def _as_they_are(record: RecordType, raw: Raw, raws: dict[str, Raw | None], fields: dict[str, Reading]) -> bool:
    """Whether structs have just the fields of the record, in their order and types."""
    names = [name for name, _ in raw.type.children[0][1].children]
    wanted = [n for f in record.fields for n in ([f.name, UNKNOWN + f.name] if UNKNOWN + f.name in names else [f.name])]
    return names == wanted and all(inner is not None and fields[name].plain == inner.sql for name, inner in raws.items())


def inside(children: dict[str, Any], name: str) -> tuple[str, Any] | None:
    """Where columns or the fields of a struct hold a dotted name: as it is, with `__` for dots, or in nested structs. Gives the SQL and the type."""
    for spelled in (name, name.replace(".", "__")):
        if spelled in children:
            return quoted(spelled), children[spelled]
    for keys in documents.spellings(name):
        if len(keys) > 1 and keys[0] in children and children[keys[0]].id == "struct":
            below = inside(dict(children[keys[0]].children), name[len(keys[0]) + 1 :])
            if below is not None:
                return f"{quoted(keys[0])}.{below[0]}", below[1]
    return None
