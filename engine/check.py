"""The static checker: a rule file becomes a typed policy, or a list of every fault in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from engine.checking import Checking
from engine.conditions import read_by
from engine.declarations import declare, origins
from engine.errors import Fault, Place, RuleFileError
from engine.model import PolicyModel
from engine.naming import name_faults, text_faults
from engine.plan import check_order
from engine.policy import Policy
from engine.requirements import passing_outputs, requirements_of
from engine.shape import shape
from engine.source import Source, parse, read
from engine.transitions import machine_of
from engine.values import Values


def load_policy(path: Path, name: str | None = None) -> Policy:
    """Read and check one rule file. Raises RuleFileError with every fault found."""
    return check_policy(read(path, name))


def check_text(text: str, file: str = "rule file") -> Policy:
    """Check a rule file given as text. Raises RuleFileError with every fault found."""
    return check_policy(parse(text.encode(), file))


def check_policy(source: Source) -> Policy:
    """Check a rule file that was read. Raises RuleFileError with every fault found."""
    try:
        checking = Checking(source, shape(source, PolicyModel))
        policy = _policy(checking)
        if checking.faults:
            raise RuleFileError(checking.faults)
        check_order(policy)
    except RecursionError:
        fault = Fault(Place(source.file, 1, 1), "the rules are nested too deep", "split them into formulas, and long chains into tables")
        raise RuleFileError([fault]) from None
    return policy


def _policy(checking: Checking) -> Policy:
    """The policy of a rule file, part by part: each is typed against those before it."""
    model, source = checking.model, checking.source
    values = Values(checking)
    declare(checking, values.named)
    checking.faults += name_faults(model, source)
    values.type_all()
    origins(checking)
    machine = machine_of(checking)
    requirements = requirements_of(checking)
    passing_outputs(checking, requirements)
    named = [*model.facts, *model.formulas, *model.outputs, *(f"parameters.{p}" for p in model.parameters)]
    checking.faults += text_faults(model, named, source)
    start, end = _effective(checking)
    outputs = (("next_state", "open_events") if model.machine else ()) + tuple(model.outputs)
    return Policy(
        id=model.policy, version=model.version, digest=source.digest, file=source.file, model=model, effective_from=start, effective_until=end,
        facts=checking.facts, parameters=checking.parameters, values=checking.values, tables=checking.tables, scales=checking.scales,
        requirements=requirements, machine=machine, outputs=tuple(dict.fromkeys(outputs)),
        uses=frozenset(f.origin.policy for f in checking.facts.values() if f.origin),
    )  # fmt: skip


def _effective(checking: Checking) -> tuple[date, date | None]:
    """The day from which the version is in force, and the first day on which it is no longer."""
    effective = checking.model.effective
    found: list[date | None] = []
    for key, text in (("from", effective.from_), ("until", effective.until)):
        try:
            found.append(None if text is None else date.fromisoformat(text))
        except ValueError:
            checking.fault(("effective", key), f"`{text}` is no date", "write it as 2025-01-16")
            found.append(date.max)
    start, end = found[0] or date.min, found[1]
    if end is not None and end <= start:
        checking.fault(("effective", "until"), "the period ends before it begins", "`until` is the first day no longer in force")
    return start, end


def warnings_of(policy: Policy) -> list[Fault]:
    """Facts and parameters that no rule reads; unset parameters that rules wait for; states without an arrow."""
    read = read_by(policy)
    said = " ".join(t for r in policy.requirements for p in (r.reason, r.remedy) if p for t in (p.en, p.zh))
    found = []

    def warn(place: Place, message: str, help: str) -> None:
        found.append(Fault(place, message, help, "warning"))

    for name, fact in policy.facts.items():
        if ("fact", name) not in read and f"{{{name}}}" not in said and not fact.note:
            warn(fact.place, f"the fact `{name}` is read by no rule", "use it, take it out, or say in its `note` why it is asked for")
    for name, parameter in policy.parameters.items():
        if ("parameter", name) in read or f"{{parameters.{name}}}" in said:
            if parameter.unset:
                warn(parameter.place, f"the parameter `{name}` is unset: what needs it stays undetermined", "its owner sets it in a version")
        elif not parameter.unset and not policy.model.parameters[name].note:
            warn(parameter.place, f"the parameter `{name}` is read by no rule", "use it, or take it out")
    machine = policy.machine
    for state in machine.states[1:] if machine else ():
        assert machine is not None
        if not any(t.to == state or state in t.states for t in machine.transitions):
            warn(policy.facts[machine.state].place, f"no transition leads to or from the state `{state}`", "every event is refused there")
    return found
