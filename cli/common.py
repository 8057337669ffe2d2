"""What several commands share: finding rule files, the library, and printing JSON."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine import library
from engine.clock import instant
from engine.errors import NotFound
from engine.library import Library
from engine.types import SHANGHAI
from engine.version import Version


def say(data: Any) -> None:
    """Print JSON for a program to read."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=2)
    print()


def now() -> datetime:
    return datetime.now(SHANGHAI)


def as_instant(text: str | None) -> datetime:
    return instant(text) if text else now()


def root(options: argparse.Namespace) -> Path:
    """The folder of rule files. Raises ValueError if it is not there."""
    found: Path = options.root
    if not found.is_dir():
        raise ValueError(f"there is no folder `{found}`; name it with --root")
    return found


def rule_files(options: argparse.Namespace) -> list[Path]:
    """The rule files that the arguments name: files, folders, policy ids; all of the library if none is named."""
    if not options.what:
        return library.rule_files(root(options))
    found: list[Path] = []
    for what in options.what:
        path = Path(what)
        if path.is_file():
            found.append(path.with_name(path.name.replace(".cases.yaml", ".yaml")))
        elif path.is_dir():
            found += sorted(p for p in path.rglob("v*.yaml") if p.stem[1:].isdigit())
        else:
            matching = sorted(p for p in root(options).glob(f"*/{what}/v*.yaml") if p.stem[1:].isdigit())
            if not matching:
                raise NotFound("policy", f"no rule file, folder or policy `{what}`", [p.parent.name for p in library.rule_files(options.root)[:10]])
            found += matching
    return list(dict.fromkeys(found))


def load(options: argparse.Namespace) -> Library:
    """The library; faults of files are told on standard error, noted in `options.told`, and do not stop what works."""
    loaded = library.load(root(options))
    options.told = [fault for faults in loaded.faults.values() for fault in faults if fault.kind != "warning"]
    for fault in options.told:
        print(fault, file=sys.stderr)
    return loaded


def find(loaded: Library, name: str, number: int | None, as_of: datetime, known_at: datetime | None = None) -> Version:
    """A version by number, or the one in force on `as_of` as it was known at `known_at` (default: now)."""
    return loaded.version(name, number) if number is not None else loaded.in_force(name, as_of, known_at or now())


def split(name: str) -> tuple[str, int | None]:
    """`policy@2` to ("policy", 2)."""
    policy, separator, number = name.partition("@")
    digits = number.removeprefix("v")
    if separator and not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"`{name}`: write POLICY@VERSION, for example {policy or 'withdrawable-amount'}@2")
    return policy, int(digits) if separator else None


def percent(text: str) -> Decimal:
    """A percentage as an argument."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"`{text}` is no number; write a percentage, for example 95") from None
    if not found.is_finite() or not 0 <= found <= 100:
        raise argparse.ArgumentTypeError(f"`{text}` is not between 0 and 100")
    return found
