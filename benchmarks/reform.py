"""The measured rebate policy in OpenFisca-core: version 1 as a legislation, version 2 as a reform of it, the way its own documentation writes them.

Amounts are float32, as OpenFisca keeps them. A period is the last month of a quarter. OpenFisca reads the names of the classes, so they are in its style.
"""
# ruff: noqa: N801, N805
# mypy: disable-error-code="misc, import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
from openfisca_core.entities import build_entity
from openfisca_core.indexed_enums import Enum
from openfisca_core.parameters import ParameterNode
from openfisca_core.periods import MONTH
from openfisca_core.reforms import Reform
from openfisca_core.simulations import Simulation, SimulationBuilder
from openfisca_core.taxbenefitsystems import TaxBenefitSystem
from openfisca_core.variables import Variable

PERIOD = "2025-09"
Array = Any
Partner = build_entity(key="partner", plural="partners", label="A partner", is_person=True)
#: The population as its arrays; `kind` by its place in Kind.
ARRAYS = """
SELECT CAST("partner.kind" = 'distributor' AS TINYINT) AS kind, "partner.frozen" AS frozen, CAST("partner.arrears_amount" AS FLOAT) AS arrears,
  CAST("sales.amount" AS FLOAT) AS sales, CAST("sales.customers" AS INTEGER) AS customers, CAST("sales.renewals" AS INTEGER) AS renewals
FROM population
"""
VALUES = {
    "step": 50_000, "high_step": 200_000, "ratio": 0.03, "middle_ratio": 0.045, "high_ratio": 0.0625, "cap": 60_000, "review_from": 40_000, "customers": 2,
}  # fmt: skip
CHANGED = {"step": 40_000, "high_ratio": 0.065, "renewals": 10}


class Kind(Enum):
    solution_provider = "solution_provider"
    distributor = "distributor"


class Outcome(Enum):
    allowed = "allowed"
    review = "review"
    denied = "denied"


#: The outcomes by their numbers in OpenFisca's arrays.
PLACES: dict[str, int] = {o.name: o.index for o in Outcome}


class kind(Variable):
    value_type, possible_values, default_value, entity, definition_period, label = Enum, Kind, Kind.distributor, Partner, MONTH, "Kind of partner"


class frozen(Variable):
    value_type, entity, definition_period, label = bool, Partner, MONTH, "Is the partner frozen?"


class arrears(Variable):
    value_type, entity, definition_period, label = float, Partner, MONTH, "What is still to be paid"


class sales(Variable):
    value_type, entity, definition_period, label = float, Partner, MONTH, "Sales of the quarter"


class customers(Variable):
    value_type, entity, definition_period, label = int, Partner, MONTH, "New customers"


class renewals(Variable):
    value_type, entity, definition_period, label = int, Partner, MONTH, "Renewals"


class earns(Variable):
    value_type, entity, definition_period, label = bool, Partner, MONTH, "Does the partner earn a rebate?"

    def formula(partner: Any, period: Any, parameters: Any) -> Array:
        enough = partner("customers", period) >= parameters(period).rebate.customers
        return (partner("kind", period) == Kind.solution_provider) * ~partner("frozen", period) * enough


class rebate(Variable):
    value_type, entity, definition_period, label = float, Partner, MONTH, "The rebate"

    def formula(partner: Any, period: Any, parameters: Any) -> Array:
        given = parameters(period).rebate
        amount = partner("sales", period)
        middle = numpy.where(amount >= given.step, numpy.float32(given.middle_ratio), numpy.float32(given.ratio))
        ratio = numpy.where(amount >= given.high_step, numpy.float32(given.high_ratio), middle)
        rounded = numpy.floor(amount * ratio * 100 + 0.5) / 100
        return numpy.where(partner("earns", period), numpy.minimum(rounded, given.cap), 0)


class outcome(Variable):
    value_type, possible_values, default_value, entity, definition_period, label = Enum, Outcome, Outcome.allowed, Partner, MONTH, "May it be paid?"

    def formula(partner: Any, period: Any, parameters: Any) -> Array:
        large = partner("rebate", period) >= parameters(period).rebate.review_from
        owes = partner("arrears", period) != 0
        return numpy.where(owes, PLACES["denied"], numpy.where(large, PLACES["review"], PLACES["allowed"]))


class earns_or_renews(Variable):
    """What version 2 puts in the place of `earns`."""

    value_type, entity, definition_period, label = bool, Partner, MONTH, "Does the partner earn a rebate?"

    def formula(partner: Any, period: Any, parameters: Any) -> Array:
        given = parameters(period).rebate
        enough = (partner("customers", period) >= given.customers) + (partner("renewals", period) >= given.renewals)
        return (partner("kind", period) == Kind.solution_provider) * ~partner("frozen", period) * enough


earns_or_renews.__name__ = "earns"


def _node(values: Mapping[str, float]) -> ParameterNode:
    return ParameterNode("", data={"rebate": {name: {"values": {"2025-01-01": value}} for name, value in values.items()}})


class Baseline(TaxBenefitSystem):
    """Version 1."""

    def __init__(self) -> None:
        super().__init__([Partner])
        self.add_variables(kind, frozen, arrears, sales, customers, renewals, earns, rebate, outcome)
        self.parameters = _node(VALUES)


class Candidate(Reform):
    """Version 2: one threshold, one ratio and one condition are changed."""

    def apply(self) -> None:
        self.modify_parameters(lambda _: _node(VALUES | CHANGED))
        self.replace_variable(earns_or_renews)


def simulations(inputs: Mapping[str, Array]) -> tuple[Simulation, Simulation]:
    """Both versions over the same arrays, nothing calculated yet. `inputs` by variable; `kind` as its place in Kind."""
    base = Baseline()
    count = len(inputs["sales"])
    found = []
    for system in (base, Candidate(base)):
        simulation = SimulationBuilder().build_default_simulation(system, count)
        for name, values in inputs.items():
            simulation.set_input(name, PERIOD, values)
        found.append(simulation)
    return found[0], found[1]


def totals(both: tuple[Simulation, Simulation]) -> dict[str, float]:
    """Only the money before and after, summed in float64."""
    before, after = (s.calculate("rebate", PERIOD) for s in both)
    return {"before": float(before.sum(dtype=numpy.float64)), "after": float(after.sum(dtype=numpy.float64))}


def calculated(both: tuple[Simulation, Simulation]) -> dict[str, Any]:
    """What is wanted of the two: how many cases go from which outcome to which, and the money before and after, summed in float64."""
    before, after = ((s.calculate("outcome", PERIOD), s.calculate("rebate", PERIOD)) for s in both)
    width = len(Outcome)
    counts = numpy.bincount(numpy.asarray(before[0]).astype(numpy.int64) * width + numpy.asarray(after[0]), minlength=width * width)
    names = sorted(PLACES, key=lambda name: PLACES[name])
    flips = {f"{names[i // width]} {names[i % width]}": int(n) for i, n in enumerate(counts) if n}
    gain = after[1] > before[1]
    moved = (after[1] - before[1]).astype(numpy.float64)
    return {
        "flips": flips, "before": float(before[1].sum(dtype=numpy.float64)), "after": float(after[1].sum(dtype=numpy.float64)),
        "gain": [int(gain.sum()), float(moved[gain].sum())], "loss": [int((moved < 0).sum()), float(moved[moved < 0].sum())],
    }  # fmt: skip
