"""The file `population.yaml` beside a policy: how the facts of a synthetic population are distributed, and how they hang together.

    policy: relation-change
    partner: {cases: 12}                       # so many cases a partner on average, big partners have more
    segments:
      region: {choice: {north: 3, south: 2}, per: partner}
    facts:
      partner.kind: {choice: {solution_provider: 60, distributor: 40}, per: partner}
      customer.arrears_amount: {mix: [{weight: 9, constant: "0.00"}, {weight: 1, lognormal: {median: "800.00", spread: "4"}}], unknown: "0.01"}
      partner.last_application_on: {none: "0.7", days: {uniform: {low: -300, high: -1}}}
    correlations:
      - {between: [order.paid_amount, order.renewed_paid_amount], rank: "0.6"}

Numbers are whole numbers or decimal texts; shares are decimals from 0 to 1; weights are whole numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from engine.errors import Fault, RuleFileError, did_you_mean
from engine.model import Code, Identifier, Name, Scalar, Strict
from engine.shape import shape
from engine.source import Source, parse, read

Weight = Annotated[int, Field(ge=1, le=1_000_000)]
Share = str | int


class Range(Strict):
    """Every value from low to high, both among them, all alike; `step`: only multiples of it, counted from low."""

    low: Scalar
    high: Scalar
    step: Scalar = None


class Normal(Strict):
    """A bell: two thirds of the values lie within one deviation of the mean."""

    mean: Scalar
    deviation: Scalar


class Lognormal(Strict):
    """Many small values and few large ones: half are below the median, two thirds between median / spread and median * spread."""

    median: Scalar
    spread: Scalar


class Ids(Strict):
    """Texts made of a prefix and a number: one out of `of`, or, where that is left out, a number of the row's (and the item's) own."""

    prefix: Annotated[str, Field(max_length=40)]
    of: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class Form(Strict):
    """One way to give a value. Exactly one of FORMS is written; the rest goes with some of them."""

    constant: Scalar | list[str] = None
    choice: Annotated[dict[str, Weight], Field(min_length=1)] | None = None
    zipf: Annotated[list[Scalar], Field(min_length=1)] | None = None
    uniform: Range | None = None
    quantiles: Annotated[dict[str, Scalar], Field(min_length=2)] | None = None
    normal: Normal | None = None
    lognormal: Lognormal | None = None
    days: Form | None = None
    after: Name | None = None
    at: str | None = None
    share: Form | None = None
    of: Name | None = None
    same: Name | None = None
    id: Ids | None = None
    set: dict[str, Share] | None = None
    mix: Annotated[list[Part], Field(min_length=1)] | None = None
    length: Form | None = None
    fields: dict[Name, Distribution] | None = None
    item: Form | None = None
    taken: str | None = None

    @property
    def forms(self) -> list[str]:
        return [name for name in FORMS if name in self.model_fields_set]


#: The ways to give a value.
FORMS = (
    "constant", "choice", "zipf", "uniform", "quantiles", "normal", "lognormal", "days", "share", "same", "id", "set", "mix", "fields", "item", "taken",
)  # fmt: skip


class Part(Form):
    """One part of a mix."""

    weight: Weight


class Shares(Form):
    """A form with the share of cases in which the value is none, and in which it is unknown."""

    none: Share = 0
    unknown: Share = 0


class Branch(Shares):
    """What holds instead where other facts have these values."""

    if_: Annotated[dict[Name, Scalar | list[Scalar]], Field(alias="if", min_length=1)]


class Distribution(Shares):
    """How one fact is distributed; `per: partner`: one value for all cases of a partner."""

    when: list[Branch] = Field(default_factory=list)
    per: Literal["partner"] | None = None


class Partner(Strict):
    """Who is settled: a partner id, with so many cases each on average."""

    cases: Annotated[int, Field(ge=1, le=1_000_000)]


class Correlation(Strict):
    """Two facts of numbers or dates that rise together (rank above 0) or against each other (below 0).

    In that share of the cases both take the same place in their own distributions, so `rank` is their rank correlation.
    """

    between: Annotated[list[Name], Field(min_length=2, max_length=2)]
    rank: Share


class Declaration(Strict):
    """A whole file. Facts that it leaves out are distributed by their types and by the constants near them."""

    policy: Code
    note: str | None = None
    partner: Partner | None = None
    segments: dict[Identifier, Distribution] = Field(default_factory=dict)
    facts: dict[Name, Distribution] = Field(default_factory=dict)
    correlations: list[Correlation] = Field(default_factory=list)


for _model in (Form, Part, Shares, Branch, Distribution, Declaration):
    _model.model_rebuild()
_MODELS = (Declaration, Distribution, Branch, Part, Partner, Correlation, Range, Normal, Lognormal, Ids)
_KEYS = sorted({f.alias or name for model in _MODELS for name, f in model.model_fields.items()})
FILE = "population.yaml"


def beside(rule_file: Path) -> Path | None:
    """The declaration beside a rule file, if there is one."""
    path = rule_file.parent / FILE
    return path if path.is_file() else None


def load(path: Path, name: str | None = None) -> tuple[Declaration, Source]:
    """Read a declaration; `name` is shown in messages. Raises RuleFileError with every misfit of its shape."""
    return _shaped(read(path, name))


def load_text(text: str, name: str = FILE) -> tuple[Declaration, Source]:
    """A declaration given as text. Raises RuleFileError."""
    return _shaped(parse(text.encode(), name))


def _shaped(source: Source) -> tuple[Declaration, Source]:
    try:
        return shape(source, Declaration), source
    except RuleFileError as error:
        raise RuleFileError(_helped(fault) for fault in error.faults) from None


def _helped(fault: Fault) -> Fault:
    """A fault with the keys of this file in its help, instead of those of a rule file."""
    if fault.message.startswith("unknown key `"):
        key = fault.message.split("`")[1]
        return Fault(fault.place, fault.message, did_you_mean(key, _KEYS, f"keys of a distribution: {', '.join(FORMS)}"))
    help = fault.help and fault.help.replace("docs/authoring.md shows each part", "docs/simulation.md shows each part")
    return Fault(fault.place, fault.message, None if help == "`policy new` writes a first version" else help)
