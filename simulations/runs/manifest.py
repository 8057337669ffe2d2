"""The manifest of a run: what went in, by whose rules, and the SHA-256 of everything that came out. Nothing in it depends on the clock or on paths."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from engine.policy import Policy
from simulations.runs.order import parameters_text

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK = 1 << 20


def write_json(path: Path, data: Any) -> None:
    """JSON data as people read it, the same bytes for the same data."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            found.update(piece)
    return f"sha256:{found.hexdigest()}"


def write_manifest(folder: Path, kind: str, order: dict[str, Any], policies: dict[str, Policy], population: dict[str, Any] | None) -> None:
    """Write the manifest beside the files of a run, which are whole by now. `population`: source, digest, seed."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    write_json(
        folder / MANIFEST,
        {
            "format": FORMAT,
            "kind": kind,
            "made_with": {"policy-service": product(), "duckdb": duckdb.__version__},
            "order": order,
            "policies": {side: {"policy": p.id, "version": p.version, "digest": p.digest, "parameters": parameters_text(p)} for side, p in policies.items()},
            "population": population,
            "files": {name: {"bytes": (folder / name).stat().st_size, "digest": digest_of(folder / name)} for name in files},
        },
    )


def made_with() -> dict[str, str]:
    """What a result was made with, as its page tells it."""
    return {"product": product(), "duckdb": duckdb.__version__}


def product() -> str:
    """The version of this product."""
    try:
        return version("policy-service")
    except PackageNotFoundError:
        return "unknown"
