"""Parquet files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from simulations.population.spelling import literal


def write(query: str, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Write the rows of a query. Whatever stops it, the file that stood there before stays, or none. Raises duckdb.Error, OSError."""
    partial = path.with_name(path.name + ".partial")
    try:
        connection.execute(f"COPY ({query}) TO {literal(str(partial))} (FORMAT parquet)")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def table(path: Path) -> str:
    """A Parquet file as an item of a FROM."""
    return f"read_parquet({literal(str(path))})"
