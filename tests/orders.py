"""What the tests of populations share: a small policy, a mapping for it, and somebody who reads populations with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.check import load_policy
from engine.policy import Policy
from simulations.population import mapping, population
from simulations.population.misfits import PopulationError
from simulations.population.population import Population

ORDER = """\
policy: order-check
version: 1
family: samples
form: check
title: {en: An order, zh: 订单}
question: {en: May it be placed?, zh: 可以下单吗？}
effective: {from: 2025-01-01}
source: {document: sample guide, section: "1"}

facts:
  order.amount:   {type: money}
  order.change:   {type: money, signed: true, nullable: true}
  order.rate:     {type: ratio}
  order.count:    {type: integer, nullable: true}
  order.kind:     {type: enum, values: [new, renewal]}
  order.paid:     {type: bool}
  order.on:       {type: date, nullable: true}
  order.at:       {type: datetime}
  customer.phone: {type: text, nullable: true, sensitive: true}
  tags:           {type: set of enum, values: [b, a, c]}
  items:
    type: list of record
    fields:
      name:  {type: text}
      price: {type: money, nullable: true}

requirements:
  - code: too-much
    require: order.amount <= 100
    effect: deny
    reason: {en: Too much., zh: 过多。}
    remedy: {en: Order less., zh: 请减少。}
    source: {section: "1"}
"""
HEADER = "case_id,order.amount,order.change,order__count,order.kind,order.paid,order.on,order.at,customer.phone,tags,items"
GOOD = 'c1,12.50,-0.10,3,new,true,2025-01-16,2025-01-16T09:00:00+00:00,138,"[""a"",""b""]","[{""name"":""x"",""price"":12345678901234567.89},{""price"":null}]"'
RULES = """\
id: no
as_of: day
partner: who
segments: {region: area}
facts: {order.amount: fen, order.kind: art, order.on: since, order.at: moment, order.paid: paid, tags: marks}
values:
  order.kind: {新购: new, 续费: renewal}
  order.paid: {Y: true, N: false}
  tags: {甲: a}
dates: {order.on: "%d.%m.%Y", order.at: "%Y-%m-%d %H:%M"}
fen: [order.amount]
"""


def order_policy(folder: Path) -> Policy:
    path = folder / "rules" / "v1.yaml"
    path.parent.mkdir()
    path.write_text(ORDER, encoding="utf-8")
    return load_policy(path)


class Reader:
    """Reads populations for the order policy."""

    def __init__(self, policy: Policy, folder: Path) -> None:
        self.policy, self.folder = policy, folder
        self.connection = duckdb.connect()

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def parquet(self, query: str, name: str = "rows.parquet") -> str:
        path = self.folder / name
        self.connection.execute(f"COPY ({query}) TO '{path}'")
        return str(path)

    def read(self, source: str, rules: str | None = None) -> Population:
        found = mapping.parse(rules.encode(), "map.yaml", self.policy.facts) if rules else None
        return population.read(source, self.policy, found, self.connection, self.folder / "out")

    def rows(self) -> list[dict[str, Any]]:
        found = self.connection.execute("SELECT * FROM population ORDER BY case_id")
        names = [c[0] for c in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def types(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.connection.execute("DESCRIBE population").fetchall()}

    def aside(self, found: Population) -> list[tuple[Any, ...]]:
        return self.connection.execute(f'SELECT case_id, row, "column", reason, value FROM \'{found.listing}\'').fetchall()

    def refusal(self, source: str, rules: str | None = None) -> str:
        """What an unusable source is refused with. Nothing half-written is left."""
        with pytest.raises(PopulationError) as error:
            self.read(source, rules)
        left = [p.name for p in (self.folder / "out").iterdir()] if (self.folder / "out").exists() else []
        assert not [name for name in left if "partial" in name]
        return str(error.value)
