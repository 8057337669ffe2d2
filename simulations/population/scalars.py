"""One value of a source as a fact: a bool, number, text, enum, date or datetime, in DuckDB SQL."""

from __future__ import annotations

from dataclasses import replace

from engine.facts import MAX_DIGITS, MAX_INTEGER, MAX_TEXT
from engine.policy import FactDef
from engine.types import BoolType, DateTimeType, DateType, EnumType, Field, NumberType, TextType, Type
from simulations.population import spelling
from simulations.population.checks import Check, Raw, Reading, Unfit, absent, case, contradiction, is_null, json_text, shown, unknown
from simulations.population.columns import MAX_PLACES, WIDE, most_digits, places_of
from simulations.population.documents import MARK
from simulations.population.spelling import Why, literal, literals

_MARK = f"chr({ord(MARK)})"
_WHOLE = {"tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"}
_TEXTS = {"varchar", "enum", "uuid"}


class Scalar:
    """The reading of one value: a bool, number, text, enum, date or datetime."""

    def __init__(self, of: FactDef | Field, raw: Raw, why: Why) -> None:
        self.of, self.raw, self.why, self.t = of, raw, why, of.type
        self.lines: list[str] = []
        self.type_id = raw.type.id if raw.kind == "typed" else "varchar"
        if self.type_id == "varchar" and raw.kind == "typed":
            self.raw = replace(raw, kind="text")
        self.s = raw.let(f"json_extract_string({raw.sql}, '$')") if raw.kind == "json" else raw.sql

    def reading(self) -> Reading:
        """Dispatch on the type; each part adds its lines to the reason and gives the value."""
        raw, of, t = self.raw, self.of, self.t
        if self.type_id in ("float", "double") and isinstance(t, (NumberType, TextType, EnumType)):
            raise Unfit(f"column `{raw.label}` is {str(raw.type).lower()}, which is not exact; `{of.name}` is {t}", "store it as DECIMAL or as text")
        found = self._read(t)
        blank = self._blank()
        head = absent(raw, of, self.why)
        if blank:
            said = self.why("blank text is not allowed here", "不允许为空白文本")
            head.append(f"WHEN {blank} THEN {'NULL' if of.nullable else said}")
        lines = [*contradiction(raw, of, self.why), *self.lines]
        needed = lines or (blank and not of.nullable) or raw.in_list or (raw.kind == "json" and not of.nullable)
        checks = (Check(raw.label, case([*head, *lines]), shown(raw)),) if needed else ()
        null = is_null(raw) if of.nullable else "false"
        differs = found.differs
        if blank and of.nullable:
            null = f"({null} OR coalesce({blank}, false))"
            found = replace(found, value=f"CASE WHEN {blank} THEN NULL ELSE {found.value} END")
            differs = f"({differs} OR coalesce({blank}, false))"
        return replace(found, checks=checks, null=f"coalesce({null}, false)" if null != "false" else null, differs=differs)

    def _made(self, value: str, plain: str | None = None, digits: str | None = None, places: str = "0") -> Reading:
        return Reading(self.of, value, (), unknown(self.raw, self.of), plain=plain, digits=digits, places=places)

    def _blank(self) -> str:
        if not isinstance(self.t, (TextType, EnumType)) or self.type_id not in _TEXTS:
            return ""
        text = self.s if self.type_id == "varchar" else f"CAST({self.s} AS VARCHAR)"
        found = spelling.blank(text)
        if isinstance(self.t, EnumType):  # few rows are left for the slower test
            found = f"CASE WHEN {text} IN ({literals(self.t.values)}) THEN false ELSE {found} END"
        return f"(starts_with({json_text(self.raw)}, '\"') AND {found})" if self.raw.kind == "json" else found

    def _read(self, t: Type) -> Reading:
        if isinstance(t, BoolType):
            return self._bool()
        if isinstance(t, NumberType):
            return self._number(t)
        if isinstance(t, (EnumType, TextType)):
            return self._enum(t) if isinstance(t, EnumType) else self._text()
        if isinstance(t, DateType):
            return self._date()
        assert isinstance(t, DateTimeType)
        return self._instant()

    def _text_line(self, reason: str, number_too: bool = False) -> None:
        """In JSON only a text will do (or a number, which is marked text)."""
        if self.raw.kind == "json":
            marked = "" if number_too else f" OR starts_with({self.s}, {_MARK})"
            self.lines.append(f"WHEN NOT starts_with({json_text(self.raw)}, '\"'){marked} THEN {reason}")

    def _translated(self, s: str) -> str:
        """A text by the translations of the mapping; one that they do not name stays."""
        if not self.raw.pairs:
            return s
        named = {key: str(v).lower() if isinstance(v, bool) else v for key, v in self.raw.pairs.items()}
        lines = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in named.items())
        return self.raw.let(f"CASE {s} {lines} ELSE {s} END")

    def _wrong(self, wanted: str) -> Unfit:
        return Unfit(f"column `{self.raw.label}` is {self.raw.type}, `{self.of.name}` is {self.t}", f"store it as {wanted}, or as text")

    def _bool(self) -> Reading:
        reason = self.why("neither true nor false", "既不是 true 也不是 false")
        if self.type_id == "boolean":
            return self._made(self.s, self.s)
        if self.type_id not in _TEXTS and not (self.raw.pairs and self.type_id in _WHOLE):
            raise self._wrong("BOOLEAN")
        if self.raw.kind == "json" and not self.raw.pairs:
            self.lines.append(f"WHEN {json_text(self.raw)} NOT IN ('true', 'false') THEN {reason}")
            return self._made(f"CASE {json_text(self.raw)} WHEN 'true' THEN true WHEN 'false' THEN false END")
        s = self._translated(f"lower(ltrim(CAST({self.s} AS VARCHAR), {_MARK}))" if not self.raw.pairs else f"ltrim(CAST({self.s} AS VARCHAR), {_MARK})")
        self.lines.append(f"WHEN {s} NOT IN ('true', 'false') THEN {reason}")
        return self._made(f"({s} = 'true')")

    def _enum(self, t: EnumType) -> Reading:
        few = ", ".join(t.values[:6]) + (", …" if len(t.values) > 6 else "")
        reason = self.why(f"not one of {few}", f"不是以下取值之一：{few}")
        if self.type_id not in _TEXTS and not (self.raw.pairs and self.type_id in _WHOLE):
            raise self._wrong("VARCHAR")
        self._text_line(reason, number_too=bool(self.raw.pairs))
        s = self.s if self.type_id == "varchar" else f"CAST({self.s} AS VARCHAR)"
        value = self._translated(f"ltrim({s}, {_MARK})" if self.raw.pairs and self.raw.kind == "json" else s)
        self.lines.append(f"WHEN {value} NOT IN ({literals(t.values)}) THEN {reason}")
        return self._made(value, None if self.raw.pairs or self.raw.kind == "json" else value)

    def _text(self) -> Reading:
        self._text_line(self.why("no text", "不是文本"))
        if self.type_id not in _TEXTS | _WHOLE:
            raise self._wrong("VARCHAR")
        value = self.s if self.type_id == "varchar" else f"CAST({self.s} AS VARCHAR)"
        if self.type_id in _TEXTS:
            reason = self.why(f"more than {MAX_TEXT} characters", f"超过 {MAX_TEXT} 个字符")
            self.lines.append(f"WHEN strlen({value}) > {MAX_TEXT} AND length({value}) > {MAX_TEXT} THEN {reason}")
        return self._made(value, None if self.raw.kind == "json" else value)

    # -- numbers -------------------------------------------------------------------------------------------------------------------

    def _number(self, t: NumberType) -> Reading:
        if self.type_id in _WHOLE or self.type_id == "decimal":
            return self._typed_number(t)
        if self.type_id != "varchar":
            raise self._wrong("BIGINT" if t.name == "integer" else f"DECIMAL(18,{places_of(t)})")
        self._text_line(spelling.no_number(t, self.why), number_too=True)
        s = self.raw.let(f"ltrim({self.s}, {_MARK})") if self.raw.kind == "json" else self.s
        if self.raw.fen:
            self.lines += spelling.number_lines(s, replace(t, name="integer", places=0), self.why)
            value = self.raw.let(_yuan(f"try_cast({s} AS DECIMAL({MAX_DIGITS},0))"))
            return self._made(value, digits=f"abs({value})", places="2")
        self.lines += spelling.number_lines(s, t, self.why)
        value = self.raw.let(spelling.number(s, t))
        self.lines += self._limits(value, WIDE, t)
        if t.name == "integer":
            return self._made(f"try_cast({s} AS BIGINT)", digits=f"abs({value})")
        needed = spelling.needed_places(s)
        places = str(t.places) if t.places is not None else f"CASE WHEN {needed} <= {MAX_PLACES} THEN {needed} END"  # a row with more is set aside
        return self._made(value, digits=f"abs({value})", places=places)

    def _limits(self, value: str, width: int, t: NumberType) -> list[str]:
        """Numbers that are too long for the engine, or for a population."""
        if t.name == "integer":
            beyond = self.why("beyond 10^18", "绝对值超过 10^18")
            return [f"WHEN {value} NOT BETWEEN -{MAX_INTEGER} AND {MAX_INTEGER} THEN {beyond}"] if width >= 19 else []
        if width <= MAX_DIGITS:
            return []
        exact = f"try_cast({value} AS DECIMAL({WIDE},{places_of(t)}))"
        if t.places is None:
            return [f"WHEN {exact} IS NULL THEN {spelling.too_long(self.why)}"]
        limit = f"CAST('{10 ** most_digits(t)}' AS DECIMAL({WIDE},{t.places}))"
        return [f"WHEN coalesce({exact} >= {limit} OR {exact} <= -{limit}, true) THEN {spelling.too_long(self.why)}"]

    def _typed_number(self, t: NumberType) -> Reading:
        """A whole or DECIMAL column: a cast at most, and nothing is rounded by it."""
        s, whole = self.s, self.type_id in _WHOLE
        width, scale = (38 if "huge" in self.type_id else 20, 0) if whole else (self.raw.type.children[0][1], self.raw.type.children[1][1])
        if not t.signed:
            self.lines.append(f"WHEN {s} < 0 THEN {spelling.below_zero(self.why)}")
        if self.raw.fen:
            if scale > 0:
                self.lines.append(f"WHEN {s} <> CAST({s} AS DECIMAL({width},0)) THEN {spelling.too_many_places(replace(t, places=0), self.why)}")
            if width > MAX_DIGITS:
                self.lines.append(f"WHEN try_cast({s} AS DECIMAL({MAX_DIGITS},0)) IS NULL THEN {spelling.too_long(self.why)}")
            value = _yuan(f"try_cast({s} AS DECIMAL({min(width, MAX_DIGITS)},0))")
            return self._made(value, value, digits=f"abs({value})", places="2")
        if t.name == "integer":
            return self._typed_integer(t, width, scale)
        places = min(scale, MAX_PLACES) if t.places is None else t.places
        room = min(WIDE, max(width - scale, 1) + places)
        if places < scale:
            self.lines.append(f"WHEN {s} <> CAST({s} AS DECIMAL({WIDE},{places})) THEN {spelling.too_many_places(t, self.why)}")
        self.lines += self._limits(s, MAX_DIGITS + width - scale - most_digits(t), t)
        value = s if places == scale and not whole else f"try_cast({s} AS DECIMAL({room},{places}))"
        return self._made(value, value, digits=f"abs({value})", places=str(places))

    def _typed_integer(self, t: NumberType, width: int, scale: int) -> Reading:
        s = self.s
        if scale > 0:
            self.lines.append(f"WHEN {s} <> CAST({s} AS DECIMAL({width},0)) THEN {spelling.too_many_places(t, self.why)}")
        small = self.type_id in {"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"}
        self.lines += [] if small else self._limits(s, width, t)
        value = s if self.type_id == "bigint" else f"try_cast({s} AS BIGINT)"
        digits = f"abs(CAST({s} AS BIGINT))" if small else f"abs(CASE WHEN {s} BETWEEN -{MAX_INTEGER} AND {MAX_INTEGER} THEN {value} END)"
        return self._made(value, value, digits=digits)

    # -- days and instants ---------------------------------------------------------------------------------------------------------

    def _date(self) -> Reading:
        reason, far = spelling.no_day(self.why), spelling.out_of_range(self.why)
        s = self.s
        if self.type_id == "date":
            self.lines.append(f"WHEN {s} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {far}")
            return self._made(s, s)
        if self.type_id != "varchar":
            raise self._wrong("DATE")
        self._text_line(reason)
        if self.raw.pattern is None:
            self.lines.append(f"WHEN NOT {spelling.is_day(s)} THEN {reason}")
            return self._made(f"try_cast({s} AS DATE)")
        value = self.raw.let(f"try_strptime({s}, {literal(self.raw.pattern)})")
        self.lines.append(f"WHEN {value} IS NULL THEN {reason}")
        self.lines.append(f"WHEN {value} NOT BETWEEN {spelling.FIRST} AND {spelling.LAST} THEN {far}")
        return self._made(f"CAST({value} AS DATE)")

    def _instant(self) -> Reading:
        """The wall clock of Shanghai. A TIMESTAMP without zone, or a text by a format without one, is taken as just that."""
        s, far = self.s, spelling.out_of_range(self.why)
        if self.type_id.startswith("timestamp"):
            value = s if self.type_id == "timestamp" else f"CAST({s} AS TIMESTAMP)"
            if "zone" in self.type_id or self.type_id.endswith("tz"):
                value = shanghai(s)
            self.lines.append(f"WHEN {value} NOT BETWEEN {spelling.FIRST} AND {spelling.LAST} THEN {far}")
            return self._made(value, value)
        if self.type_id != "varchar":
            raise self._wrong("TIMESTAMP WITH TIME ZONE")
        self._text_line(spelling.no_instant(self.why))
        if self.raw.pattern is None:
            p = self.raw.let(spelling.parts(s))
            self.lines += spelling.instant_lines(p, self.why)
            return self._made(spelling.shanghai(p))
        value = f"try_strptime({s}, {literal(self.raw.pattern)})"
        value = self.raw.let(shanghai(value) if "%z" in self.raw.pattern.lower() else value)
        self.lines.append(f"WHEN {value} IS NULL THEN {spelling.no_instant(self.why)}")
        self.lines.append(f"WHEN {value} NOT BETWEEN {spelling.FIRST} AND {spelling.LAST} THEN {far}")
        return self._made(value)


def shanghai(instant: str) -> str:
    """A TIMESTAMP WITH TIME ZONE on the wall clock of Shanghai: eight hours, as the engine has it, also where the zone once had summer time."""
    return f"(({instant}) AT TIME ZONE 'UTC' + INTERVAL 8 HOUR)"


def _yuan(fen: str) -> str:
    return f"({fen} * CAST('0.01' AS DECIMAL(3,2)))"
