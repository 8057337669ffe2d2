"""Where a population comes from: Parquet, CSV or JSON lines (a file, a folder, a pattern), or a table of DuckDB or PostgreSQL.

Opening a source finds its files, names its bytes by a digest, and gives what stands in the FROM of a query. No row goes through Python.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from engine.errors import did_you_mean
from simulations.population import postgres, staging
from simulations.population.columns import quoted
from simulations.population.misfits import refuse
from simulations.population.spelling import literal, literals

Kind = Literal["parquet", "csv", "json", "table"]
_SUFFIXES: dict[str, Kind] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json"}
_PACKED = (".gz", ".zst")
_REMEDY = "give a .parquet, .csv or .jsonl file, a folder or pattern of them, `duckdb:FILE#TABLE` or `postgresql://HOST/DATABASE#TABLE`"
_SAMPLE = 1000
REJECTS = "population_rejects"
_ATTACHED = "population_source"
_TABLES = """
    SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1
    UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = $1 AND NOT internal
"""


@dataclass(frozen=True, slots=True)
class Source:
    """An open source. `table` is an item of a FROM; `columns` are its names and DuckDB types (of JSON lines: the keys of the first ones, and what is in them).

    `digest` is None for a table: it is that of what is read. `collecting` is `table` once more, for CSV: a query over it leaves the lines that are
    no CSV in the temporary table REJECTS.
    """

    name: str
    kind: Kind
    table: str
    columns: dict[str, Any]
    digest: str | None
    collecting: str | None = None


@contextmanager
def opened(source: str, connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[Source]:
    """Open a source for reading; `folder` takes what has to be copied meanwhile."""
    if source.startswith("duckdb:"):
        with _duckdb_table(source, connection) as found:
            yield found
    elif source.startswith(("postgresql://", "postgres://")):
        with postgres.copied(source, folder) as (path, types):
            yield _copied(postgres.shown(source), path, types, connection)
    else:
        yield _files(source, connection)


def shown(source: str) -> str:
    """A source as it may be written down: without a password."""
    return postgres.shown(source) if source.startswith(("postgresql://", "postgres://")) else source


# -- files -------------------------------------------------------------------------------------------------------------------------------


def _files(source: str, connection: duckdb.DuckDBPyConnection) -> Source:
    files = _found(source)
    kinds = {_kind(f) for f in files}
    if len(kinds) > 1:
        raise refuse(source, "files of several kinds stand together", "name one kind by a pattern, such as `orders/*.parquet`")
    kind = kinds.pop()
    if kind is None:
        raise refuse(source, f"`{''.join(files[0].suffixes)}` is no kind of file that can be read", _REMEDY)
    empty = [f for f in files if f.stat().st_size == 0]
    if empty:
        raise refuse(str(empty[0]), "the file is empty", None)
    listed = f"[{literals([str(f) for f in files])}]"
    named = digest(files)
    if kind == "json":
        table = f"read_ndjson_objects({listed}, ignore_errors = true)"
        return Source(source, kind, table, _keys(table, connection, source), named)
    if kind == "parquet":
        table = f"read_parquet({listed})"
        return Source(source, kind, table, columns_of(table, connection, source), named)
    for file in files:
        _check_header(file, connection)
    options = f"{listed}, all_varchar = true, header = true, nullstr = ''"
    table = f"read_csv({options}, ignore_errors = true)"
    collecting = f"read_csv({options}, store_rejects = true, rejects_table = '{REJECTS}', rejects_scan = '{REJECTS}_scan')"
    return Source(source, kind, table, columns_of(table, connection, source), named, collecting)


def _found(source: str) -> list[Path]:
    """The files that a path, a folder or a pattern names, in the order of their names."""
    path = Path(source)
    try:
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.is_file() and _kind(f) is not None and not f.name.startswith((".", "_")))
            if not files:
                raise refuse(source, "the folder has no file that can be read", _REMEDY)
            return files
        if path.is_file():
            return [path]
    except OSError as error:
        raise refuse(source, f"cannot be read: {(error.strerror or str(error)).lower()}", None) from None
    files = sorted(Path(f) for f in glob.glob(source, recursive=True) if os.path.isfile(f)) if glob.has_magic(source) else []
    if not files:
        beside = [f.name for f in path.parent.iterdir()] if path.parent.is_dir() else []
        raise refuse(source, "there is no such file", did_you_mean(path.name, beside, _REMEDY))
    return files


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def digest(files: list[Path]) -> str:
    """SHA-256 of the bytes of one file; of several: of their digests, in the order of their names."""
    digests = []
    for path in files:
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise refuse(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}", "check the rights of the file") from None
    return "sha256:" + (digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest())


def _keys(table: str, connection: duckdb.DuckDBPyConnection, place: str) -> dict[str, Any]:
    """The keys of the first lines of JSON: enough to say which nothing is taken from. A key that always has an object has the keys in it as a dict."""
    try:
        row = connection.execute(f"SELECT json_group_structure(json) FROM (FROM {table} LIMIT {_SAMPLE}) WHERE json_type(json) = 'OBJECT'").fetchone()
    except duckdb.Error as error:
        raise unreadable(place, error) from None
    found = json.loads(row[0]) if row is not None and row[0] else {}
    return found if isinstance(found, dict) else {}


def _check_header(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """A name that stands twice would make one of the columns a silent guess."""
    try:
        names = connection.execute(f"SELECT * FROM read_csv({literal(str(path))}, all_varchar = true, header = false, ignore_errors = true) LIMIT 1").fetchone()
    except duckdb.Error as error:
        raise unreadable(str(path), error) from None
    seen: set[str] = set()
    for name in names or ():
        if name and name.lower() in seen:
            raise refuse(str(path), f"the column `{name}` stands twice in the header", "give each column a name of its own")
        seen.add((name or "").lower())


def columns_of(table: str, connection: duckdb.DuckDBPyConnection, place: str) -> dict[str, Any]:
    """The names and types of the columns of an item of a FROM."""
    try:
        relation = connection.sql(f"SELECT * FROM {table} LIMIT 0")
    except duckdb.Error as error:
        raise unreadable(place, error) from None
    assert relation is not None
    return dict(zip(relation.columns, relation.types, strict=True))


def unreadable(place: str, error: Exception) -> Exception:
    """What DuckDB or the system said about a source, in one line."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    lower = str(error).lower()
    if staging.is_full(error):
        return refuse(place, staging.FULL, staging.FREE)
    if "out of memory" in lower:
        return refuse(place, "the memory limit is reached", "raise the memory limit, or give DuckDB a folder for temporary files")
    if "utf" in lower and "csv" in lower:
        return refuse(place, "the file is not UTF-8", "save it as UTF-8")
    return refuse(place, f"cannot be read: {said[:200]}", "check that the file is whole and of the kind that its name says")


# -- tables ------------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _duckdb_table(source: str, connection: duckdb.DuckDBPyConnection) -> Iterator[Source]:
    file, _, table = source.removeprefix("duckdb:").partition("#")
    if not table:
        raise refuse(source, "no table is named", "write it as duckdb:FILE#TABLE")
    if not Path(file).is_file():
        beside = [f.name for f in Path(file).parent.iterdir()] if Path(file).parent.is_dir() else []
        raise refuse(source, f"there is no file `{file}`", did_you_mean(Path(file).name, beside))
    try:
        connection.execute(f"ATTACH {literal(file)} AS {_ATTACHED} (READ_ONLY)")
    except duckdb.Error as error:
        raise unreadable(source, error) from None
    try:
        known = connection.execute(_TABLES, [_ATTACHED]).fetchall()
        names = {f"{schema}.{name}" if schema != "main" else name: (schema, name) for schema, name in known}
        names |= {f"{schema}.{name}": (schema, name) for schema, name in known}
        if table not in names:
            raise refuse(source, f"there is no table `{table}`", did_you_mean(table, names, "tables: " + ", ".join(sorted(names)[:20])))
        found = f"{_ATTACHED}.{quoted(names[table][0])}.{quoted(names[table][1])}"
        yield Source(source, "table", found, columns_of(found, connection, source), None)
    finally:
        connection.execute(f"DETACH {_ATTACHED}")


def _copied(name: str, path: Path, types: dict[str, Any], connection: duckdb.DuckDBPyConnection) -> Source:
    """The copy of a PostgreSQL table, all columns text but those that are not exact."""
    names = "{" + ", ".join(f"{literal(n)}: 'VARCHAR'" for n in types) + "}"
    options = f"header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, auto_detect = false, columns = {names}"
    return Source(name, "table", f"read_csv({literal(str(path))}, {options}, max_line_size = 100000000, buffer_size = 200000000)", types, None)
