"""A small rebate policy (benchmarks/policies), a population for it, and the same two versions written by hand in DuckDB's SQL."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis

from engine.library import Library, load
from engine.policy import Policy
from engine.types import SHANGHAI
from simulations.population.columns import Profile
from simulations.reading import query
from simulations.reading.outcomes import OUTCOMES
from simulations.reading.stages import sql_of

POLICY = "sales-rebate"
POLICIES = Path(__file__).with_name("policies")
DAY = "2025-09-30"
AS_OF = datetime(2025, 9, 30, tzinfo=SHANGHAI)
THREADS = 2

#: One case a row: three quarters are solution providers, every 20th is frozen, every 10th has arrears; sales are the product of two even numbers,
#: so that small ones are more frequent, up to a million. `hash` gives the same numbers each time.
CASES = """
SELECT 'c' || lpad(CAST(i AS VARCHAR), 9, '0') AS case_id,
  CASE WHEN hash(i, 1) % 4 < 3 THEN 'solution_provider' ELSE 'distributor' END AS "partner.kind",
  hash(i, 2) % 20 = 0 AS "partner.frozen",
  CAST(CAST(CASE WHEN hash(i, 3) % 10 = 0 THEN hash(i, 4) % 10000000 ELSE 0 END AS DECIMAL(16,0)) * 0.01 AS DECIMAL(18,2)) AS "partner.arrears_amount",
  CAST(CAST((hash(i, 5) % 10000) * (hash(i, 6) % 10000) AS DECIMAL(16,0)) * 0.01 AS DECIMAL(18,2)) AS "sales.amount",
  CAST(hash(i, 7) % 6 AS BIGINT) AS "sales.customers",
  CAST(hash(i, 8) % 20 AS BIGINT) AS "sales.renewals"
FROM range({rows}) AS t(i)
"""

#: Columns in memory as they fit their values: words as an ENUM, 32 bits for a number. (reform.ARRAYS gives OpenFisca the same: a place in its Enum, 32 bits.)
HELD = """
CAST("partner.kind" AS ENUM('solution_provider', 'distributor')) AS "partner.kind", CAST("partner.arrears_amount" AS DECIMAL(7,2)) AS "partner.arrears_amount",
CAST("sales.amount" AS DECIMAL(8,2)) AS "sales.amount", CAST("sales.customers" AS INTEGER) AS "sales.customers",
CAST("sales.renewals" AS INTEGER) AS "sales.renewals"
"""

#: What a person writes who knows the data: what both versions need is computed once, and amounts below ten thousand million leave the products in
#: machine words (DECIMAL(18,2) times a ratio would be 128 bits wide).
BY_HAND = """
WITH given AS (
  SELECT CAST("sales.amount" AS DECIMAL(12,2)) AS amount, "partner.arrears_amount" > 0 AS owes,
    "partner.kind" = 'solution_provider' AND NOT "partner.frozen" AS eligible, "sales.customers" AS customers, "sales.renewals" AS renewals
  FROM population
), paid AS (
  SELECT owes,
    CASE WHEN eligible AND customers >= 2
      THEN least(round(amount * CASE WHEN amount >= 200000 THEN 0.0625 WHEN amount >= 50000 THEN 0.0450 ELSE 0.0300 END, 2), 60000.00)
      ELSE 0.00 END AS b0,
    CASE WHEN eligible AND (customers >= 2 OR renewals >= 10)
      THEN least(round(amount * CASE WHEN amount >= 200000 THEN 0.065 WHEN amount >= 40000 THEN 0.045 ELSE 0.030 END, 2), 60000.00)
      ELSE 0.00 END AS a0
  FROM given
)
SELECT CASE WHEN owes THEN 'denied' WHEN b0 >= 40000 THEN 'review' ELSE 'allowed' END AS "from",
  CASE WHEN owes THEN 'denied' WHEN a0 >= 40000 THEN 'review' ELSE 'allowed' END AS "to", b0, a0
FROM paid
"""

#: What is asked of both: from which outcome to which, the money before and after, who gains and who loses.
ASKED = """
SELECT "from", "to", count(*), sum(b0), sum(a0), count_if(a0 > b0), coalesce(sum(CASE WHEN a0 > b0 THEN a0 - b0 END), 0),
  count_if(a0 < b0), coalesce(sum(CASE WHEN a0 < b0 THEN a0 - b0 END), 0)
FROM ({cases}) GROUP BY "from", "to" ORDER BY "from", "to"
"""


#: The smallest question: what both versions come to.
TOTALS = "SELECT sum(b0), sum(a0) FROM ({cases})"


def library() -> Library:
    """The two versions as rule files."""
    found = load(POLICIES)
    if found.faults:
        raise RuntimeError(f"the measured policy is refused: {found.faults}")
    return found


def versions() -> tuple[Policy, Policy]:
    found = library()
    return found.version(POLICY, 1).policy, found.version(POLICY, 2).policy


def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": THREADS})


def write(rows: int, path: Path) -> None:
    """A population of so many cases as Parquet."""
    connection().execute(f"COPY ({CASES.format(rows=rows)}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def open_population(path: Path, con: duckdb.DuckDBPyConnection, in_memory: bool = False) -> None:
    """The file as `population`: read anew by every query, or held in memory with the types of HELD."""
    held = f"TABLE population AS SELECT * REPLACE ({HELD})" if in_memory else "VIEW population AS SELECT *"
    con.execute(f"CREATE TEMP {held} FROM read_parquet('{path}')")


def by_reading(con: duckdb.DuckDBPyConnection, profile: Profile) -> str:
    """The query of the product: both rule files by the population reading."""
    cases = _rebates(con, profile)
    # the words of the outcomes are put in once all is counted, as a run does
    words = ", ".join(f"'{word}'" for word in OUTCOMES)
    counted = f'SELECT [{words}]["from" + 1] AS "from", [{words}]["to" + 1] AS "to", * EXCLUDE ("from", "to") FROM ({ASKED.format(cases=cases)})'
    return f'{counted} ORDER BY "from", "to"'


def _rebates(con: duckdb.DuckDBPyConnection, profile: Profile) -> str:
    """Outcomes as codes, and the money of both versions, case by case."""
    before, after = versions()
    types = {name: ibis.backends.sql.datatypes.DuckDBType.from_string(t) for name, t, *_ in con.execute("DESCRIBE population").fetchall()}
    wanted = query.Wanted(rules=False, outputs=("rebate",), codes=True)
    table = query.read(ibis.table(ibis.schema(types), name="population"), {"base": before, "new": after}, profile, AS_OF, wanted=wanted)
    return f'SELECT "base:code" AS "from", "new:code" AS "to", "base:out:rebate" AS b0, "new:out:rebate" AS a0 FROM ({sql_of(table)})'


def by_hand() -> str:
    return ASKED.format(cases=BY_HAND)


def totals_by_reading(con: duckdb.DuckDBPyConnection, profile: Profile) -> str:
    """Only the money of both versions, by the product."""
    return TOTALS.format(cases=_rebates(con, profile))


def totals_by_hand() -> str:
    return TOTALS.format(cases=BY_HAND)


def told(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """An answer as plain data: flips, and money as text."""
    sums = [sum(row[i] for row in rows) for i in range(3, 9)]
    return {
        "flips": {f"{row[0]} {row[1]}": row[2] for row in rows}, "before": str(sums[0]), "after": str(sums[1]),
        "gain": [sums[2], str(sums[3])], "loss": [sums[4], str(sums[5])],
    }  # fmt: skip
