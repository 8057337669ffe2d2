"""The same expressions on Spark: a sample of cases and generated requests of every shipped policy, answered by local Spark as by the engine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulations.reading.stages import sql_of
from simulations.runs.cluster import SETTINGS
from simulations.runs.order import read_order
from simulations.runs.run import simulate
from tests.generate import Request
from tests.readings import Readings
from tests.test_plain import VERSIONS, generator, library, subject


def _follows(name: str, other: str) -> bool:
    """Is the other one a later version of the same policy?"""
    policy, number = name.rsplit("/v", 1)
    later = other.rsplit("/v", 1)
    return len(later) == 2 and later[0] == policy and int(later[1]) > int(number)


pyspark = pytest.importorskip("pyspark", reason="Spark is an optional extra: pip install 'policy-service[spark]'")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    pytest.mark.xdist_group("spark"),
]
#: The newest version of every policy, and the one with every part of the language. Planning takes Spark a few seconds each.
NEWEST = [n for n in VERSIONS if "/" not in n or not any(_follows(n, other) for other in VERSIONS)]
#: Cases and generated requests of each version that are asked on Spark too.
SAMPLE = 6


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays

    builder = SparkSession.builder.master("local[2]").appName("tests").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.sql.codegen.wholeStage", "false").config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("OFF")
    counts, days = calendar_arrays()
    started.createDataFrame([(counts, days)], "working_counts array<int>, working_days array<date>").createOrReplaceTempView(CALENDAR_TABLE)
    yield started
    started.stop()


@pytest.mark.parametrize("name", NEWEST)
def test_spark_answers_as_the_engine_does(spark: Any, tmp_path: Path, name: str) -> None:
    it = subject(name)
    made = generator(name, 13)
    legal = [Request(case.facts, case.as_of) for case in it.legal]
    readings = Readings(it, legal[:: max(1, len(legal) // SAMPLE)] + [made.request() for _ in range(SAMPLE)])

    def by_spark(query: ibis.Table, table: pa.Table) -> list[dict[str, Any]]:
        pq.write_table(table, tmp_path / "population.parquet")
        spark.read.parquet(str(tmp_path / "population.parquet")).createOrReplaceTempView("population")
        spark.sql(sql_of(query, "pyspark")).write.mode("overwrite").parquet(str(tmp_path / "answers"))
        found: list[dict[str, Any]] = pq.read_table(tmp_path / "answers").to_pylist()
        return found

    assert not readings.differences(by_spark)


def test_a_run_on_spark_gives_the_same_report(spark: Any, tmp_path: Path) -> None:
    order = {
        "policy": "voucher-recall",
        "candidate": {"parameters": {}, "version": 2},
        "baseline": {"version": 1},
        "population": {"generate": {"rows": 800, "seed": 3}},
        "as_of": "2025-06-16",
    }
    for on in ("duckdb", "spark"):
        simulate(read_order(order | {"on": on}), library(), tmp_path / on)
    told = [(tmp_path / on / "summary.json").read_text(encoding="utf-8") for on in ("duckdb", "spark")]
    assert told[0] == told[1].replace(" --on spark", "")
    rows = [pq.read_table(tmp_path / on / "changed.parquet").to_pylist() for on in ("duckdb", "spark")]
    assert rows[0]
    assert rows[0] == rows[1]
    assert not list((tmp_path / "spark").glob("*spark*"))


def test_without_java_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.errors import PolicyError

    monkeypatch.setattr("simulations.runs.cluster.shutil.which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    order = {"policy": "renewal-task-scope", "population": {"generate": {"rows": 500, "seed": 1}}, "as_of": "2025-06-16", "on": "spark"}
    with pytest.raises(PolicyError, match=r"Java 17.*\n.*without `--on spark`"):
        simulate(read_order(order | {"candidate": {"parameters": {"min_paid_amount": "8000.00"}}}), library(), tmp_path / "run")
    assert not list(tmp_path.iterdir())
