"""A table of PostgreSQL, copied out as CSV in one read-only transaction: exact texts, streamed in blocks, nothing held in memory.

A URL `postgresql://USER@HOST:PORT/DATABASE#SCHEMA.TABLE`; what is left out comes from the environment (PGPASSWORD and so on) as for psql.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import duckdb

from engine.errors import did_you_mean
from simulations.population.misfits import refuse

_INEXACT = {"float4", "float8"}
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
_COLUMNS = """
    SELECT a.attname, t.typname, t.typcategory FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def shown(url: str) -> str:
    """A URL without its password."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, "", parts.fragment))


@contextmanager
def copied(url: str, folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Copy a table to a file that goes away afterwards. Gives its path, and the columns with their types as DuckDB has them.

    Raises PopulationError; the password is in none of its texts.
    """
    place = shown(url)
    server, _, table = url.partition("#")
    if not table:
        raise refuse(place, "no table is named", "write it as postgresql://HOST/DATABASE#TABLE")
    try:
        import psycopg
    except ImportError:
        raise refuse(place, "reading PostgreSQL needs the package `psycopg`", 'install it: pip install "psycopg[binary]"') from None
    path = folder / "postgresql.csv.partial"
    try:
        with psycopg.connect(server, connect_timeout=10, application_name="policy simulate") as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            types, query = _query(connection, place, table)
            with path.open("wb") as file, connection.cursor().copy(query) as blocks:
                for block in blocks:
                    file.write(block)
        yield path, types
    except psycopg.Error as error:
        lines = str(error).strip().splitlines()
        said = lines[0][:200] if lines else type(error).__name__
        raise refuse(place, f"PostgreSQL says: {said}", "check address, user, rights and password (PGPASSWORD)") from None
    finally:
        path.unlink(missing_ok=True)


def _query(connection: Any, place: str, table: str) -> tuple[dict[str, Any], Any]:
    """The COPY of a table, every value as exact text: times with their offset, lists as JSON."""
    from psycopg import sql

    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute("SET DateStyle TO ISO, YMD")
    schema, _, name = table.rpartition(".")
    identifier = sql.Identifier(schema, name) if schema else sql.Identifier(name)
    if connection.execute("SELECT to_regclass(%s)", [identifier.as_string(connection)]).fetchone()[0] is None:
        known = [row[0] for row in connection.execute(_TABLES)]
        raise refuse(place, f"there is no table `{table}`", did_you_mean(table, known, "tables: " + ", ".join(sorted(known)[:20]) if known else None))
    columns = connection.execute(_COLUMNS, [identifier.as_string(connection)]).fetchall()
    selected = [sql.SQL(_as_text(kind, category)).format(sql.Identifier(column)) for column, kind, category in columns]
    types = {column: duckdb.type("DOUBLE" if kind in _INEXACT else "VARCHAR") for column, kind, _ in columns}
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)").format(sql.SQL(", ").join(selected), identifier)
    return types, query


def _as_text(kind: str, category: str) -> str:
    """How a column is written out: `{}` stands for it."""
    if kind == "timestamptz":
        return "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'"
    if kind == "timestamp":
        return "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+08:00'"
    if category in ("A", "C"):  # an array, a composite
        return "to_json({})::text"
    return "{}::text"
