"""The semantic difference of two versions as `diff --prove` shows it and `release` stores it."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

from engine.check import load_policy

# the proof reading is imported where it is used: the solver is large, and every command would wait for it

SECONDS = 30.0


def canonical(found: dict[str, Any]) -> bytes:
    """The bytes of a difference, as it is stored."""
    return (json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def fresh(before: Path, after: Path, seconds: float = SECONDS) -> dict[str, Any]:
    """The difference of two rule files, found in a process of its own: what a solver finds first depends on what it was asked before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_found, (before, after, seconds))


def _found(before: Path, after: Path, seconds: float) -> dict[str, Any]:
    from proofs.difference import difference

    return difference(load_policy(before), load_policy(after), seconds).as_json()
