"""The tables of the made-up partner centre: every column with its type and distribution, in the words of `population.yaml`.

A table with `of` has so many rows for each row of that table as its `count` column says; it carries the columns named in `carry` along.
`MONTH-1` stands for the reconciliation period of the month before, and so on.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from engine.functions import add_months
from engine.model import Identifier, Strict
from engine.shape import shape
from engine.source import parse
from simulations.synthetic.centre.applicants import APPLICANTS
from simulations.synthetic.centre.customers import CUSTOMERS
from simulations.synthetic.centre.funds import FUNDS
from simulations.synthetic.centre.partners import PARTNERS
from simulations.synthetic.declaration import Distribution


class ColumnSpec(Distribution):
    """One column: its type besides its distribution. `amount` is a decimal with 8 places, `texts` a list of texts."""

    type: Literal["bool", "integer", "money", "amount", "ratio", "text", "texts", "date", "datetime"]


class TableSpec(Strict):
    """One table."""

    key: Identifier
    prefix: str
    of: Identifier | None = None
    count: Identifier | None = None
    carry: list[Identifier] = Field(default_factory=list)
    columns: dict[Identifier, ColumnSpec]


class TablesSpec(Strict):
    """All tables, parents before their children."""

    tables: dict[Identifier, TableSpec]


def tables(as_of: date) -> dict[str, TableSpec]:
    """The tables as they are on a day."""
    text = "\n".join((PARTNERS, CUSTOMERS, FUNDS, APPLICANTS))
    for n in (1, 2, 3):
        month = add_months(as_of.replace(day=1), -n)
        text = text.replace(f"MONTH-{n}:", f"{month.year}M{month.month}:")
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    return shape(parse(f"tables:\n{indented}".encode(), "partner centre"), TablesSpec).tables
