"""A declared distribution as SQL: one piecewise expression over one draw.

A draw lies in [0, 2**32). Every form takes an interval of draws and cuts it up: a choice by its weights, quantiles by their shares, a mix by the
weights of its parts, which cut up their own pieces again. Only the draw itself is named in each piece, so the SQL stays flat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.errors import did_you_mean
from engine.literals import LiteralFault
from engine.types import BOOL, INTEGER, TEXT, BoolType, DateTimeType, DateType, EnumType, ListType, NumberType, RecordType, SetType, decimal
from simulations.synthetic import curves
from simulations.synthetic.curves import Piece
from simulations.synthetic.declaration import Branch, Distribution, Form, Shares
from simulations.synthetic.draws import FULL, draw, even, item
from simulations.synthetic.encoding import Target, as_moment, as_number, clock, code, cut, decoded, text

_DAY = 86_400
_SIGNED = decimal(4)
def value(form: Distribution, target: Target) -> str:
    """The typed SQL value. NULL where it is none or unknown. Raises LiteralFault with the keys that lead to what does not fit."""
    sql = _branched(form, target, lambda f: _case(_with_shares(f, target), target))
    return decoded(sql, target.type, target.places, target.as_of) if target.coded else sql


def unknown(form: Distribution, target: Target) -> str | None:
    """The SQL condition under which a value is unknown; None: never."""
    if not any(cut(f.unknown, "unknown") for f in (form, *form.when)):
        return None
    return _branched(form, target, lambda f: f"({target.draw} < {cut(f.unknown, 'unknown')})")


def names(form: Form) -> set[str]:
    """The other facts and fields that a distribution hangs on."""
    found = {n for n in (form.after, form.of, form.same, form.taken and form.taken.rpartition(".")[0]) if n}
    inner: list[Form] = [f for f in (form.days, form.share, form.length, form.item) if f is not None]
    inner += [*(form.mix or []), *(form.fields or {}).values()]
    if isinstance(form, Distribution):
        inner += form.when
        found |= {name for branch in form.when for name in branch.if_}
    return found.union(*(names(f) for f in inner))


def pieces(form: Form, target: Target, low: int = 0, high: int = FULL) -> list[Piece]:
    """The draws from low to below high, cut up: the end of each piece, and its value in SQL."""
    forms = form.forms
    if len(forms) != 1:
        said = "no distribution stands here" if not forms else "only one of " + ", ".join(f"`{f}`" for f in forms) + " can stand here"
        raise LiteralFault(said, "write one of constant, choice, uniform, quantiles, normal, lognormal, days, mix …")
    name = forms[0]
    try:
        return _FORMS[name](form, target, low, high)
    except LiteralFault as fault:
        raise LiteralFault(str(fault), fault.help, (name, *fault.at)) from None


# -- forms: one function each ----------------------------------------------------------------------------------------------------------


def _constant(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    return [(high, code(form.constant, target))]


def _choice(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.choice is not None
    codes = []
    for raw in form.choice:
        try:
            codes.append(code({"true": True, "false": False}.get(raw, raw) if isinstance(target.type, BoolType) else raw, target))
        except LiteralFault as fault:
            raise LiteralFault(str(fault), fault.help, (raw,)) from None
    return list(zip(_ends(list(form.choice.values()), low, high), codes, strict=True))


def _zipf(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.zipf is not None
    weights = [1_000_000 // (i + 1) for i in range(len(form.zipf))]
    return list(zip(_ends(weights, low, high), [code(raw, target) for raw in form.zipf], strict=True))


def _days(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """Days from the day of the question, or from another date; a date-time gets the time `at`, or any time of the day."""
    assert form.days is not None
    timed = isinstance(target.type, DateTimeType)
    if not timed and not isinstance(target.type, DateType):
        raise LiteralFault(f"days make a date, this is {target.type}", "leave `days` out")
    at = None if form.at is None else clock(form.at)
    base = "" if form.after is None else f"{as_moment(target.resolve(form.after), target)} + "
    inner = pieces(form.days, replace(target, factor=_DAY if timed and at is None else 1, type=_SIGNED), low, high)
    if at is None:
        return [(end, f"({base}{sql})") for end, sql in inner]
    return [(end, f"({base}{sql} * {_DAY} + {at})") for end, sql in inner]


def _share_of(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """A share of another number, half up."""
    if form.share is None or form.of is None or not isinstance(target.type, NumberType):
        raise LiteralFault("a share is a share of a number, and makes a number", "an example: {share: {uniform: {low: 0, high: 1}}, of: order.amount}")
    other = as_number(target.resolve(form.of), target)
    inner = pieces(form.share, replace(target, factor=10**4, type=decimal(4, signed=target.type.signed)), low, high)
    lowest = "" if target.type.signed else "greatest(0, "
    return [(end, f"{lowest}((coalesce({other}, 0) * {sql} + 5000) // 10000){')' if lowest else ''}") for end, sql in inner]


def _same(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.same is not None
    other = target.resolve(form.same)
    if isinstance(target.type, NumberType):
        return [(high, as_number(other, target))]
    if target.coded:
        return [(high, as_moment(other, target))]
    return [(high, other.sql)]


def _id(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.id is not None
    if isinstance(target.type, (BoolType, NumberType, DateType, DateTimeType, SetType, ListType)):
        raise LiteralFault(f"an id is a text, this is {target.type}")
    number = target.own
    if form.id.of is not None:
        number = f"({even(draw(target.seed, target.label + '#id', target.source), form.id.of)} + 1)::VARCHAR"
    return [(high, f"({text(form.id.prefix)} || {number})")]


def _set(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """Each value by a draw of its own, in the order of the type."""
    assert form.set is not None
    if not isinstance(target.type, (SetType, ListType)) or isinstance(getattr(target.type, "item", None), RecordType):
        raise LiteralFault(f"this is {target.type}, no set", "write `choice`")
    order = list(getattr(target.type, "values", None) or form.set)
    for found in form.set:
        if found not in order:
            raise LiteralFault(f"`{found}` is not among the values " + ", ".join(order), did_you_mean(found, order), (found,))
    each = [
        f"CASE WHEN {draw(target.seed, f'{target.label}#{v}', target.source)} < {cut(form.set[v], v)} THEN {text(v)} END" for v in order if v in form.set
    ]
    return [(high, f"list_filter([{', '.join(each)}]::VARCHAR[], lambda member: member IS NOT NULL)")]


def _mix(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.mix is not None
    found: list[Piece] = []
    start = low
    for i, (part, end) in enumerate(zip(form.mix, _ends([p.weight for p in form.mix], low, high), strict=True)):
        try:
            found += pieces(part, target, start, end) if end > start else []
        except LiteralFault as fault:
            raise LiteralFault(str(fault), fault.help, (i, *fault.at)) from None
        start = end
    return found


def _records(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    if not isinstance(target.type, ListType) or not isinstance(target.type.item, RecordType):
        raise LiteralFault(f"this is {target.type}, no list of record")
    return [(high, target.items(form, _length(form, target)))]


def _texts(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    assert form.item is not None
    if not isinstance(target.type, ListType) or isinstance(target.type.item, RecordType):
        raise LiteralFault(f"this is {target.type}, no list of text")
    source = item(draw(target.seed, target.label + "[]", target.source), "i")
    inner = replace(target, type=target.type.item, label=target.label + "[]", source=source, draw=f"{draw(target.seed, target.label + '[]!', source)}::BIGINT")
    return [(high, f"list_transform(range({_length(form, target)}), lambda i: {_case(pieces(form.item, inner), inner)})")]


def _taken(form: Form, target: Target, low: int, high: int) -> list[Piece]:
    """The first so many items of another list: one of their fields."""
    name, _, field = str(form.taken).rpartition(".")
    other = target.resolve(name)
    record = other.type.item if isinstance(other.type, ListType) else None
    if not isinstance(record, RecordType) or field not in {f.name for f in record.fields}:
        raise LiteralFault(f"`{form.taken}` is no field of a list of record", "an example: recharge_records.record_id")
    return [(high, f"list_transform(list_slice({other.sql}, 1, {_length(form, target)}), lambda r: r[{text(field)}])")]


_FORMS: dict[str, Callable[[Form, Target, int, int], list[Piece]]] = {
    "constant": _constant, "choice": _choice, "zipf": _zipf, "uniform": curves.uniform, "quantiles": curves.quantiles, "normal": curves.normal,
    "lognormal": curves.lognormal,
    "days": _days, "share": _share_of, "same": _same, "id": _id, "set": _set, "mix": _mix, "fields": _records, "item": _texts, "taken": _taken,
}  # fmt: skip


# -- parts of forms --------------------------------------------------------------------------------------------------------------------


def _with_shares(form: Shares, target: Target) -> list[Piece]:
    """First the draws that stand for unknown, then those for none, then the values."""
    known, present = cut(form.unknown, "unknown"), cut(form.none, "none")
    if present and not target.nullable:
        raise LiteralFault("this may not be none", "write `unknown`, or leave it out", ("none",))
    start = known + present
    if start > FULL or (start < FULL and not form.forms):
        raise LiteralFault("`unknown` and `none` are more than 1 together" if start > FULL else "no distribution stands here")
    head = [(end, "NULL") for end in (known, start) if end]
    return head + (pieces(form, target, start) if start < FULL else [])


def _branched(form: Distribution, target: Target, sql: Callable[[Shares], str]) -> str:
    """The first branch whose facts have the values that it names; else the distribution itself."""
    lines = ""
    for i, branch in enumerate(form.when):
        try:
            lines += f" WHEN {_condition(branch, target)} THEN {sql(branch)}"
        except LiteralFault as fault:
            raise LiteralFault(str(fault), fault.help, ("when", i, *fault.at)) from None
    return f"CASE{lines} ELSE {sql(form)} END" if lines else sql(form)


def _condition(branch: Branch, target: Target) -> str:
    found = []
    for name, raw in branch.if_.items():
        try:
            other = target.resolve(name)
            wanted = raw if isinstance(raw, list) else [raw]
            counted = isinstance(other.type, NumberType) and other.type.name == "integer"
            if other.type not in (BOOL, TEXT) and not isinstance(other.type, EnumType) and not counted and wanted != [None]:
                raise LiteralFault(f"`{name}` is {other.type}", "a condition names values of a bool, an enum, a text or an integer, or null")
            seen = replace(target, type=other.type, nullable=other.nullable, places=0, factor=1)
            values = [code(value, seen) for value in wanted]
        except LiteralFault as fault:
            raise LiteralFault(str(fault), fault.help, ("if", name)) from None
        parts = [f"{other.sql} IN ({', '.join(v for v in values if v != 'NULL')})"] if values != ["NULL"] else []
        found.append(" OR ".join(parts + [f"{other.sql} IS NULL"] * ("NULL" in values)))
    return " AND ".join(f"coalesce({part}, FALSE)" for part in found)


def _case(found: list[Piece], target: Target) -> str:
    """The piecewise value; neighbours that are alike are joined."""
    joined: list[Piece] = []
    for end, sql in found:
        if joined and joined[-1][1] == sql:
            joined.pop()
        joined.append((end, sql))
    return _tree(joined, target.draw)


def _tree(found: list[Piece], source: str) -> str:
    """A search by halves: few comparisons a row, however many pieces there are."""
    if len(found) == 1:
        return found[0][1]
    half = len(found) // 2
    return f"CASE WHEN {source} < {found[half - 1][0]} THEN {_tree(found[:half], source)} ELSE {_tree(found[half:], source)} END"


def _ends(weights: list[int], low: int, high: int) -> list[int]:
    total, seen, found = sum(weights), 0, []
    for weight in weights:
        seen += weight
        found.append(low + (high - low) * seen // total)
    return found


def _length(form: Form, target: Target) -> str:
    """How many items a list has."""
    if form.length is None:
        raise LiteralFault("`length` is missing", "an example: {length: {choice: {1: 60, 2: 40}}, fields: …}")
    source = f"{draw(target.seed, target.label + '#length', target.source)}::BIGINT"
    inner = replace(target, type=INTEGER, places=0, nullable=False, draw=source, label=target.label + "#length")
    try:
        return f"({_case(pieces(form.length, inner), inner)})"
    except LiteralFault as fault:
        raise LiteralFault(str(fault), fault.help, ("length", *fault.at)) from None
