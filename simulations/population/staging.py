"""Parquet files that are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb

from simulations.population.spelling import literal

#: What is said of a disk that is full, and what to do.
FULL, FREE = "the disk is full, or the file may not grow any more", "free some space, or give another folder; nothing half-written was left"
_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
#: How DuckDB writes it down.
_SAID = ("no space left", "disk quota", "file too large", "max_temp_directory_size", "failed to offload", *(f'"errno":"{n}"' for n in _NO_SPACE))


def write(query: str, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """Write the rows of a query. Whatever stops it, the file that stood there before stays, or none. Raises duckdb.Error, OSError."""
    partial = path.with_name(path.name + ".partial")
    try:
        connection.execute(f"COPY ({query}) TO {literal(str(partial))} (FORMAT parquet)")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def is_full(error: Exception) -> bool:
    """Whether an error of DuckDB or the system says that no more can be written."""
    return (isinstance(error, OSError) and error.errno in _NO_SPACE) or any(said in str(error).lower() for said in _SAID)


def table(path: Path) -> str:
    """A Parquet file as an item of a FROM."""
    return f"read_parquet({literal(str(path))})"
