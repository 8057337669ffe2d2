"""The shape of a rule file and of a case file, as pydantic models. Expressions are still text here; engine/check.py types them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Scalar = str | int | bool | None
NAME_PATTERN = r"^[a-z]([a-z0-9_]*[a-z0-9])?(\.[a-z]([a-z0-9_]*[a-z0-9])?)*$"
CODE_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=120)]
Identifier = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9_]*[a-z0-9])?$", max_length=80)]
Code = Annotated[str, Field(pattern=CODE_PATTERN, max_length=80)]
TypeName = Literal["bool", "integer", "decimal", "money", "ratio", "text", "enum", "set of enum", "list of text", "date", "datetime", "list of record", "map"]
Form = Literal["check", "compute", "classify", "machine", "validate"]
Effect = Literal["deny", "review", "warn", "undetermined"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Texts(Strict):
    """A text in both languages."""

    en: Annotated[str, Field(min_length=1, max_length=2000)]
    zh: Annotated[str, Field(min_length=1, max_length=2000)]


class SourceRef(Strict):
    """Where in the guide a rule comes from."""

    document: str | None = None
    section: str | None = None
    item: str | int | None = None
    refs: list[str] = []


class FromPolicy(Strict):
    """Another policy that gives a fact when the request does not."""

    policy: Code
    output: str
    with_: dict[Name, Scalar] = Field(default={}, alias="with")


class TypeSpec(Strict):
    """A type as written in a rule file."""

    type: TypeName
    values: list[str] | Literal["open"] | None = None
    values_zh: dict[str, str] | None = None
    unit: str | None = None
    places: Annotated[int, Field(ge=0, le=12)] | None = None
    nullable: bool = False
    signed: bool = False
    ordered: bool = False
    zh: str | None = None
    note: str | None = None
    order: str | None = None
    fields: dict[Name, TypeSpec] | None = None


class FactModel(TypeSpec):
    sensitive: bool = False
    from_: FromPolicy | None = Field(default=None, alias="from")


class ParameterModel(Strict):
    type: TypeName
    values: list[str] | None = None
    unit: str | None = None
    places: Annotated[int, Field(ge=0, le=12)] | None = None
    signed: bool = False
    ordered: bool = False
    keys: list[str] | None = None
    of: TypeSpec | None = None
    value: Any = None
    unset: bool = False
    zh: str | None = None
    note: str | None = None


class LineModel(Strict):
    when: Scalar = None
    then: Scalar = None
    otherwise: Scalar = Field(default=None, alias="else")
    code: Code | None = None
    codes: list[Code] = []
    source: SourceRef | None = None


class Block(Strict):
    """A value in several parts, with its provenance."""

    code: Code | None = None
    codes: list[Code] = []
    source: SourceRef | None = None


class FirstModel(Block):
    first: Annotated[list[LineModel], Field(min_length=1)]


class SetModel(Block):
    set: dict[str, Scalar] | list[Annotated[dict[str, Scalar], Field(min_length=1, max_length=1)]]


class RowModel(Strict):
    when: Scalar = None
    record: dict[Name, Scalar]


class EachModel(Block):
    each: str
    where: Scalar = None
    order: list[str] = []
    let: dict[Identifier, Value] = {}
    keep: Scalar = None
    record: dict[Name, Scalar] | None = None
    rows: list[RowModel] | None = None
    whole: bool = False


class PassingModel(Strict):
    passing: Name
    codes: list[Code] | None = None


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return next((k for k in ("first", "set", "each", "passing") if k in value), "first")
    if isinstance(value, BaseModel):
        return next((k for k in ("first", "set", "each", "passing") if hasattr(value, k)), "text")
    return "text"


Value = Annotated[
    Annotated[Scalar, Tag("text")]
    | Annotated[FirstModel, Tag("first")]
    | Annotated[SetModel, Tag("set")]
    | Annotated[EachModel, Tag("each")]
    | Annotated[PassingModel, Tag("passing")],
    Discriminator(_kind),
]


class FormulaModel(Strict):
    """A formula with its provenance; a plain value may stand in its place."""

    value: Value
    code: Code | None = None
    codes: list[Code] = []
    source: SourceRef | None = None
    note: str | None = None


def _formula_kind(value: Any) -> str:
    return "full" if isinstance(value, FormulaModel) or (isinstance(value, dict) and "value" in value) else "plain"


FormulaValue = Annotated[Annotated[FormulaModel, Tag("full")] | Annotated[Value, Tag("plain")], Discriminator(_formula_kind)]


class OutputModel(TypeSpec):
    value: Value
    code: Code | None = None
    codes: list[Code] = []
    source: SourceRef | None = None


class RequirementModel(Strict):
    code: Code
    when: Scalar = None
    require: Scalar = None
    effect: Effect
    on_unset: Literal["fire", "undetermined"] = "undetermined"
    reason: Texts | None = None
    remedy: Texts | None = None
    source: SourceRef
    note: str | None = None


class TransitionModel(Strict):
    code: Code
    event: str
    from_: str | list[str] = Field(alias="from")
    to: str | None = None
    actor: list[str] | None = None
    when: Scalar = None
    effect: Literal["review"] | None = None
    reason: Texts | None = None
    remedy: Texts | None = None
    source: SourceRef
    note: str | None = None


class MachineModel(Strict):
    state: Name
    event: Name
    actor: Name | None = None
    transitions: Annotated[list[TransitionModel], Field(min_length=1)]


HitPolicy = Literal["unique", "first", "priority", "any", "collect", "sum", "min", "max", "count"]


class TableModel(Strict):
    hit: HitPolicy
    inputs: Annotated[dict[Identifier, TypeSpec], Field(min_length=1)]
    outputs: Annotated[dict[Identifier, TypeSpec], Field(min_length=1)]
    rows: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=20_000)]
    priority: dict[Identifier, list[str]] | None = None
    default: dict[str, Any] | None = None
    code: Code | None = None
    codes: list[Code] = []
    source: SourceRef | None = None


class BracketModel(Strict):
    from_: str | int = Field(alias="from")
    rate: str | int


class ScaleModel(Strict):
    mode: Literal["marginal", "whole"]
    brackets: Annotated[list[BracketModel], Field(min_length=1)]
    source: SourceRef | None = None


class Effective(Strict):
    from_: str = Field(alias="from")
    until: str | None = None


class PolicyModel(Strict):
    """A rule file: one version of one policy."""

    policy: Code
    version: Annotated[int, Field(ge=1)]
    family: Code
    form: Form | Annotated[list[Form], Field(min_length=1)]
    title: Texts
    question: Texts
    effective: Effective
    source: SourceRef
    note: str | None = None
    readings: list[str] = []
    parameters: dict[Name, ParameterModel] = {}
    facts: dict[Name, FactModel]
    formulas: dict[Identifier, FormulaValue] = {}
    tables: dict[Identifier, TableModel] = {}
    scales: dict[Identifier, ScaleModel] = {}
    requirements: list[RequirementModel] = []
    machine: MachineModel | None = None
    outputs: dict[Name, OutputModel] = {}


class ExpectModel(Strict):
    outcome: Literal["allowed", "review", "denied", "undetermined"] | None = None
    reasons: list[Code] = []
    warnings: list[Code] | None = None
    missing: list[str] = []
    outputs: dict[str, Any] = {}
    error: str | None = None


class CaseModel(Strict):
    name: str
    facts: dict[str, Any] = {}
    unknown: list[str] = []
    as_of: str | None = None
    ask: Literal["check", "compute"] = "check"
    expect: ExpectModel
    note: str | None = None
    source: SourceRef | None = None


class CasesModel(Strict):
    """A case file: the regression tests of one version."""

    policy: Code
    version: Annotated[int, Field(ge=1)]
    as_of: str
    base: dict[str, Any] = {}
    cases: Annotated[list[CaseModel], Field(min_length=1)]


for _model in (TypeSpec, EachModel, FormulaModel, OutputModel, PolicyModel):
    _model.model_rebuild()
