"""A sweep: one or two parameters over many values, and what each comes to in cases and in money."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from itertools import product as combined
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from engine.decide import with_parameters
from engine.errors import FactsError, PolicyError, did_you_mean
from engine.library import Library
from engine.policy import ParameterDef, Policy
from engine.types import NumberType
from simulations.report import sweep as page
from simulations.runs import doubts
from simulations.runs.database import Progress, never, quiet
from simulations.runs.directory import made
from simulations.runs.manifest import made_with, write_json, write_manifest
from simulations.runs.order import Order, Paid, Side, Source, Strict, parameters_text, stated
from simulations.runs.points import AT_ONCE, Point, points
from simulations.runs.run import REPORT, about, opened
from simulations.runs.summary import Told, labels
from simulations.runs.task import Task, task
from simulations.runs.units import value_text

MAX_VALUES = 200
MAX_POINTS = 400
RESULT = "sweep.json"
_RANGE = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\.\.(-?[0-9]+(?:\.[0-9]+)?)(?::([0-9]+(?:\.[0-9]+)?))?")


class Vary(Strict):
    """A parameter and its values: written out, or as `1..12`, `0.05..0.30:0.05` (the step after a colon)."""

    parameter: str
    values: str | list[Any]


class Single(Strict):
    """What a run over one version asks for."""

    policy: str
    base: Side = Side()
    population: Source
    as_of: str | None = None
    paid: Paid = ("allowed",)


class SweepOrder(Single):
    """A sweep over one or two parameters of one version."""

    vary: Annotated[list[Vary], Field(min_length=1, max_length=2)]
    measures: list[str] | None = None


def vary(text: str) -> Vary:
    """`cooldown=1..12` or `modes=a,b` as the command line has it. Raises PolicyError."""
    name, separator, values = text.partition("=")
    if not separator or not name or not values:
        raise PolicyError(f"`{text}`: write PARAMETER=FROM..TO, for example request_cooldown=1..12, or PARAMETER=VALUE,VALUE")
    return Vary(parameter=name, values=values if _RANGE.fullmatch(values) else values.split(","))


def sweep(
    order: SweepOrder, library: Library, folder: Path, progress: Progress = quiet, cancelled: Callable[[], bool] = never,
    memory: str | None = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask every case under every value, and write the table into `folder`. Gives it too. Raises PolicyError, Cancelled."""
    wanted = single(order, order.measures, library)
    axes = [(v.parameter, values_of(v, wanted.before)) for v in order.vary]
    if len({name for name, _ in axes}) < len(axes):
        raise PolicyError(f"vary: `{axes[0][0]}` stands twice; vary two different parameters")
    tried = [dict(zip([n for n, _ in axes], combination, strict=True)) for combination in combined(*(values for _, values in axes))]
    if len(tried) > MAX_POINTS:
        raise PolicyError(f"vary: {len(tried)} combinations of values, at most {MAX_POINTS} are tried; take wider steps")
    policies = [changed(wanted.before, values) for values in tried]
    with made(folder) as partial:
        with opened(wanted, partial, progress, cancelled, memory, threads) as (panel, told):
            found: list[Point] = []
            everything = [wanted.before, *policies]
            for at in range(0, len(everything), AT_ONCE):
                done = [0.2 + 0.8 * n / len(everything) for n in (at, min(at + AT_ONCE, len(everything)))]
                panel.database.phase("asking the values", *done)
                found += points(panel, everything[at : at + AT_ONCE])
        names = [m.name for m in wanted.measures]
        result = {
            "format": 1, "kind": "sweep", **asked(wanted, order.base, told), "parameters": parameters_text(wanted.before), "measures": names,
            "vary": [
                {
                    "parameter": name, "numeric": isinstance(wanted.before.parameters[name].type, NumberType),
                    "values": [_text(wanted.before, name, v) for v in values],
                }
                for name, values in axes
            ],
            "base": found[0].as_json(names),
            "points": [
                {"values": {n: _text(wanted.before, n, v) for n, v in values.items()}, **point.as_json(names)}
                for values, point in zip(tried, found[1:], strict=True)
            ],
            "warnings": doubts.told(doubts.of_population(about(told)), doubts.of_policy(wanted.before, [n for n, _ in axes]), doubts.of_points(found)),
        }  # fmt: skip
        write_json(partial / RESULT, result)
        (partial / REPORT).write_text(page.html(result), encoding="utf-8")
        write_manifest(partial, "sweep", stated(order), {"base": wanted.before}, about(told))
    progress("done", 1.0)
    return result


def asked(wanted: Task, base: Side, told: Told) -> dict[str, Any]:
    """What a result says of the one version that was varied, and of the population."""
    policy = wanted.before
    parameters = parameters_text(policy)
    return {
        "policy": policy.id, "title": policy.model.title.model_dump(), "version": policy.version, "digest": policy.digest,
        "changed": {n: parameters[n] for n in sorted(base.parameters)}, "as_of": wanted.as_of.isoformat() if wanted.as_of else None,
        "population": {**about(told), "reasons": list(told.reasons)}, "paid": list(wanted.order.paid),
        "labels": {n: text for n, text in labels(policy).items() if n in policy.parameters or n in policy.outputs}, "made": made_with(),
    }  # fmt: skip


def single(asked: Single, measures: list[str] | None, library: Library) -> Task:
    """A task in which baseline and candidate are one version: for runs that vary it themselves."""
    order = Order(
        policy=asked.policy, baseline=asked.base, candidate=asked.base, population=asked.population, as_of=asked.as_of, measures=measures,
        paid=asked.paid, segments=[],
    )  # fmt: skip
    return task(order, library, ("base", "base"))


def changed(policy: Policy, values: dict[str, Any]) -> Policy:
    """The policy with other values. Raises PolicyError that names those that do not fit."""
    try:
        return with_parameters(policy, values)
    except FactsError as error:
        raise PolicyError("\n".join(f"{b.path}: {b.message}" + (f"; {b.help}" if b.help else "") for b in error.bad)) from None


def parameter_of(policy: Policy, name: str) -> ParameterDef:
    """A parameter by name. Raises PolicyError with the nearest name."""
    if name not in policy.parameters:
        hint = did_you_mean(name, policy.parameters, "it has " + (", ".join(policy.parameters) or "none"))
        raise PolicyError(f"{policy.name} has no parameter `{name}`; {hint}")
    return policy.parameters[name]


def values_of(wanted: Vary, policy: Policy) -> list[Any]:
    """The values to try, written as the parameter's type reads them. Raises PolicyError."""
    definition = parameter_of(policy, wanted.parameter)
    if isinstance(wanted.values, list):
        found = list(wanted.values)
    else:
        match = _RANGE.fullmatch(wanted.values)
        if match is None:
            raise PolicyError(f"vary: `{wanted.values}` is no range; write 1..12, or 0.05..0.30:0.05 with a step")
        if not isinstance(definition.type, NumberType):
            raise PolicyError(f"vary: `{wanted.parameter}` is {definition.type}, a range goes with a number; write its values out")
        low, high = Decimal(match[1]), Decimal(match[2])
        step = Decimal(match[3]) if match[3] else Decimal(1)
        if step <= 0 or high < low:
            raise PolicyError(f"vary: `{wanted.values}` has no values; write FROM..TO:STEP with FROM below TO")
        count = int((high - low) / step) + 1
        if count > MAX_VALUES:
            raise PolicyError(f"vary: `{wanted.values}` has {count} values, at most {MAX_VALUES} are tried; take a wider step, as in {low}..{high}:{step * 10}")
        found = [f"{low + step * i:f}" for i in range(count)]
    if not 1 <= len(found) <= MAX_VALUES:
        raise PolicyError(f"vary: `{wanted.parameter}` has {len(found)} values, 1 to {MAX_VALUES} are tried")
    return found


def _text(policy: Policy, name: str, raw: Any) -> str:
    definition = changed(policy, {name: raw}).parameters[name]
    return value_text(definition.value, definition.type)
