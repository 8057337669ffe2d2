"""A made-up partner centre: a few related tables of partners, their staff, customers, relations, performances and vouchers, and the populations in them.

    generate(seed=7, partners=2000, connection, folder, as_of=date(2026, 3, 16))      # partners.parquet, staff.parquet, …
    population(folder, policy, connection, path)                                      # the cases of one policy, as one canonical Parquet file

Every value is a function of the seed, its column and the number of its row; the number of a child is made of its parent's. So keys fit each other
without a look-up, and the same seed gives the same bytes.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from engine.errors import Place, PolicyError, did_you_mean
from engine.policy import FactDef, Policy
from engine.types import BOOL, DATE, DATETIME, INTEGER, RATIO, TEXT, ListType, NumberType, Type, decimal, money
from simulations.population.columns import MAX_PLACES, NARROW, Column, places_of, quoted, record_of, sql_type
from simulations.synthetic.centre.tables import TableSpec, tables
from simulations.synthetic.centre.views import VIEWS, View
from simulations.synthetic.declaration import Declaration
from simulations.synthetic.defaults import Surroundings
from simulations.synthetic.draws import draw, even
from simulations.synthetic.encoding import text
from simulations.synthetic.frames import Frame
from simulations.synthetic.synthetic import at, write

#: A row has fewer children than this; a child's number is its parent's times this, plus its place among them.
CHILDREN = 64
#: Numbers of grandchildren stay below 2**32.
MOST = 1_000_000
#: Every so many partners one is a distributor.
DISTRIBUTORS = 10
_TYPES: dict[str, Type] = {
    "bool": BOOL, "integer": INTEGER, "money": money(), "amount": decimal(8), "ratio": RATIO, "text": TEXT, "texts": ListType(TEXT), "date": DATE,
    "datetime": DATETIME,
}  # fmt: skip
_ABOUT = "partner_centre"


def generate(seed: int, partners: int, connection: DuckDBPyConnection, folder: Path, as_of: date) -> None:
    """Write the tables of so many partners into a folder. Dates lie around `as_of`. Raises PolicyError for too many or too few."""
    if not DISTRIBUTORS <= partners <= MOST:
        raise PolicyError(f"a partner centre has {DISTRIBUTORS} to {MOST} partners, not {partners}")
    folder.mkdir(parents=True, exist_ok=True)
    specs = tables(as_of)
    made_of = json.dumps({"seed": seed, "partners": partners, "as_of": as_of.isoformat()})
    for name, spec in specs.items():
        query = _table(name, spec, specs, seed, partners, folder, as_of)
        write(connection, query, _file(folder, name), {_ABOUT: made_of})


def population(folder: Path, policy: Policy, connection: DuckDBPyConnection, path: Path) -> None:
    """Write the cases of a policy that are in the tables of a folder; their instant is the day of the tables.

    Raises PolicyError for a policy without a view, or without the tables.
    """
    view = view_of(policy)
    names = list(tables(date(2025, 1, 1)))
    lost = [name for name in names if not _file(folder, name).is_file()]
    if lost:
        raise PolicyError(f"`{folder}` is no partner centre: {', '.join(f'{n}.parquet' for n in lost)} missing; generate it first")
    held = about(folder, connection)
    told = json.dumps({"policy": policy.id, "digest": policy.digest, **held})
    sources = ", ".join(f"{quoted(name)} AS (SELECT * FROM read_parquet({text(str(_file(folder, name)))}))" for name in names)
    write(connection, at(f"WITH {sources} {_select(view, policy)}", date.fromisoformat(held["as_of"])), path, {"population": told})


def about(folder: Path, connection: DuckDBPyConnection) -> dict[str, Any]:
    """What the tables of a folder were made of: `seed`, `partners`, `as_of` (a date as text). Raises PolicyError for other tables."""
    found = connection.execute(f"SELECT value FROM parquet_kv_metadata({text(str(_file(folder, 'partners')))}) WHERE key = '{_ABOUT}'").fetchone()
    if found is None:
        raise PolicyError(f"`{folder}` holds a file `partners.parquet` that is no table of a made-up partner centre; name another folder")
    told: dict[str, Any] = json.loads(bytes(found[0]))
    return told


def view_of(policy: Policy) -> View:
    """How the cases of a policy are taken from the tables. Raises PolicyError for a policy without cases there."""
    view = VIEWS.get(policy.id)
    if view is None:
        hint = did_you_mean(policy.id, VIEWS, "it has: " + ", ".join(sorted(VIEWS)))
        raise PolicyError(f"the made-up partner centre holds no cases of `{policy.id}`; {hint}")
    return view


def policies() -> list[str]:
    """The policies whose cases are in the partner centre."""
    return sorted(VIEWS)


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}.parquet"


# -- tables ----------------------------------------------------------------------------------------------------------------------------


def _table(name: str, spec: TableSpec, specs: dict[str, TableSpec], seed: int, partners: int, folder: Path, as_of: date) -> str:
    facts = {n: FactDef(n, _TYPES[c.type], True, Place(name, 1, 1)) for n, c in spec.columns.items()}
    declaration = Declaration(policy="partner-centre", facts=dict(spec.columns))
    given: dict[str, Type] = {"is_distributor": BOOL} if spec.of is None else {}
    head = f"{text(spec.prefix)} || lpad((\"row\" + 1)::VARCHAR, 6, '0') AS {spec.key}"
    source = f'SELECT range::UBIGINT AS "row", range % {DISTRIBUTORS} = 0 AS is_distributor FROM range({partners})'
    if spec.of is not None:
        parent = specs[spec.of]
        given = {parent.key: TEXT} | {c: _TYPES[parent.columns[c].type] if c in parent.columns else TEXT for c in spec.carry}
        inner = ", ".join(quoted(c) for c in given)
        source = (
            f'SELECT number::UBIGINT * {CHILDREN} + place::UBIGINT AS "row", {inner} FROM '
            f"(SELECT *, unnest(range({spec.count})) AS place FROM read_parquet({text(str(_file(folder, spec.of)))}))"
        )
        head = f'{text(spec.prefix)} || "row" AS {spec.key}'
    frame = Frame(facts, declaration, Surroundings({}, {}), f"{seed} {name}", as_of, 0, given)
    wanted = {c for child in specs.values() if child.of == name for c in child.carry}
    keys = [quoted(c) for c in given if c.endswith("_id") or c in wanted]
    own = [f"{_distributor(seed, partners)} AS distributor_id"] if name == "partners" else []
    columns = [head, *keys, '"row" AS number', *own, *(quoted(c) for c in facts)]
    return f"SELECT {', '.join(columns)} FROM ({frame.made(source)})"


def _distributor(seed: int, partners: int) -> str:
    """The distributor of a reseller: one of the partners that are distributors."""
    chosen = even(draw(seed, "distributor", '"row"'), -(-partners // DISTRIBUTORS))
    return f"CASE WHEN kind = 'cloud_reseller' THEN 'P' || lpad(({chosen} * {DISTRIBUTORS} + 1)::VARCHAR, 6, '0') END"


# -- populations -----------------------------------------------------------------------------------------------------------------------


def _select(view: View, policy: Policy) -> str:
    facts = [f"CAST({_source(view, name)} AS {_sql_type(fact.type)}) AS {quoted(name)}" for name, fact in policy.facts.items()]
    head = [
        f"{view.case_id} AS case_id", f"{view.partner} AS partner", f"{view.region} AS \"segment:region\"", f"{view.tier} AS \"segment:tier\"",
    ]  # fmt: skip
    return f"SELECT {', '.join([*head, *facts])} FROM {view.source} ORDER BY case_id"


def _source(view: View, name: str) -> str:
    if name in view.facts:
        return view.facts[name]
    for prefix, table in sorted(view.prefixes.items(), key=lambda item: -len(item[0])):
        if name.startswith(prefix):
            return f"{table}.{quoted(name.removeprefix(prefix))}"
    raise PolicyError(f"the made-up partner centre has nothing for the fact `{name}`")


def _sql_type(t: Type) -> str:
    return sql_type(t, _column(t))


def _column(t: Type) -> Column:
    record = record_of(t)
    if record is not None:
        return Column(False, False, 0, 0, {f.name: _column(f.type) for f in record.fields})
    places = min(places_of(t), MAX_PLACES) if isinstance(t, NumberType) else 0
    return Column(False, False, NARROW - places, places)
