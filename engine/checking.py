"""A rule file while it is checked: what of it is typed so far, and every fault found."""

from __future__ import annotations

from typing import Any

from engine.blocks import BlockFault, Blocks, Told
from engine.errors import Fault
from engine.model import PolicyModel
from engine.policy import FactDef, ParameterDef, ScaleDef, TableDef, ValueDef
from engine.scope import Scope
from engine.source import KeyPath, Source


class Checking:
    """Faults are collected, not raised, so that an author sees all of them at once. `broken`: the names whose own fault has been told."""

    def __init__(self, source: Source, model: PolicyModel) -> None:
        self.source, self.model = source, model
        self.faults: list[Fault] = []
        self.blocks = Blocks(source.place_inside)
        self.facts: dict[str, FactDef] = {}
        self.parameters: dict[str, ParameterDef] = {}
        self.tables: dict[str, TableDef] = {}
        self.scales: dict[str, ScaleDef] = {}
        self.values: dict[str, ValueDef] = {}
        self.broken: set[str] = set()
        self.scope: Scope

    def fault(self, path: KeyPath, message: str, help: str | None = None, key: bool = False) -> None:
        """Note a fault at a path of the file; `key`: not in the value there, but in its key."""
        self.faults.append(Fault(self.source.place(path, key=key), message, help))

    def attempt(self, work: Any, *arguments: Any) -> Any:
        """Run one step; a fault in it is noted and gives None."""
        try:
            return work(*arguments)
        except BlockFault as fault:
            place = self.source.place(fault.path, key=True) if fault.key else self.source.place_inside(fault.path, fault.offset)
            self.faults.append(Fault(place, fault.message, fault.help))
        except Told:
            pass
        return None
