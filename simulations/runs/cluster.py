"""Apache Spark as the place where versions are asked, for populations that are too much for one machine. An optional extra: `policy-service[spark]`.

The same expression runs there as in DuckDB. What it answers for each case is kept as Parquet, and counted by DuckDB in a stream like any other run.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis

from engine.errors import PolicyError
from simulations.population.columns import quoted
from simulations.reading.dates import CALENDAR_TABLE, calendar_arrays
from simulations.reading.stages import sql_of
from simulations.runs.database import Cancelled, Database

#: The least version that Spark runs on.
JAVA = 17
#: How often a running job is asked whether it should stop, in seconds.
LOOK = 0.2
#: Exact or an error: decimals are never cut short, overflows are errors, times have no zone but Shanghai's wall clock.
SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # a policy is many small steps: the analyzer needs more rounds than it takes by default
    "spark.sql.analyzer.maxIterations": "1000",
    "spark.sql.optimizer.maxIterations": "1000",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


class Cluster:
    """One Spark application; local unless the environment names a master. Working files go below `folder`. Close it when done."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database = folder, database
        self.spark = _started()
        self.asked = 0

    def take(self, relation: str) -> None:
        """Bring a table or view of the database over, with the working-day calendar."""
        path = self.folder / "population-for-spark.parquet"
        self.database.run(f"COPY (SELECT * FROM {quoted(relation)}) TO '{_text(path)}' (FORMAT parquet)")
        with self._watched():
            self.spark.read.parquet(str(path)).createOrReplaceTempView(relation)
            counts, days = calendar_arrays()
            rows = [(counts, days)]
            self.spark.createDataFrame(rows, "working_counts array<int>, working_days array<date>").createOrReplaceTempView(CALENDAR_TABLE)

    def answers(self, expression: ibis.Table) -> str:
        """Ask every case; gives the query that reads the answers back in DuckDB. Raises PolicyError, Cancelled."""
        path = self.folder / f"answers-{self.asked}"
        self.asked += 1
        with self._watched():
            self.spark.sql(sql_of(expression, "pyspark")).write.parquet(str(path))
        return f"SELECT * FROM read_parquet('{_text(path)}/*.parquet')"

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.spark.stop()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Stop the jobs as soon as the run is cancelled; tell what Spark says in one line."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), name="spark-watch", daemon=True)
        watcher.start()
        try:
            yield
        except PolicyError:
            raise
        except Exception as error:
            self.database.stop_if_cancelled()
            raise PolicyError(f"spark: {str(error).strip().splitlines()[0][:300]}") from None
        finally:
            done.set()
            watcher.join()
        self.database.stop_if_cancelled()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(LOOK):
            try:
                self.database.stop_if_cancelled()
            except Cancelled:
                self.spark.sparkContext.cancelAllJobs()


def _text(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")


def _started() -> Any:
    """Spark with exact arithmetic. Raises PolicyError where Spark or Java is absent."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise PolicyError("Spark is not installed\n  help: `pip install 'policy-service[spark]'`, or run without `--on spark`") from None
    if "SPARK_REMOTE" not in os.environ:
        need_java()
    builder = SparkSession.builder.appName("policy simulate")
    if "SPARK_REMOTE" not in os.environ and "MASTER" not in os.environ and "PYSPARK_SUBMIT_ARGS" not in os.environ:
        builder = builder.master("local[*]")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    try:
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("OFF")
        return spark
    except Exception as error:
        said = str(error).strip().splitlines()[0][:300]
        raise PolicyError(f"Spark does not start: {said}\n  help: look at the settings of Spark in the environment, or run without `--on spark`") from None


def need_java() -> None:
    """Raises PolicyError if the Java that Spark would take is not there, does not start or is too old: its own scripts only make noise then."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        raise PolicyError(f"Spark needs Java {JAVA} or later, and none was found\n  help: install it or set JAVA_HOME, or run without `--on spark`")
    named = f"JAVA_HOME is `{home}`" if home else f"Java is `{java}`"
    remedy = f"help: {'set JAVA_HOME to' if home else 'install'} Java {JAVA} or later{', or unset it' if home else ''}, or run without `--on spark`"
    try:
        done = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise PolicyError(f"Spark needs Java: {named}, and `{java}` cannot be run: {error.strerror}\n  {remedy}") from None
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise PolicyError(f"Spark needs Java: {named}, which does not start: {said.splitlines()[0][:300] if said else done.returncode}\n  {remedy}")
    found = re.search(r'version "(\d+)', said)
    if found and int(found[1]) < JAVA:
        raise PolicyError(f"Spark needs Java {JAVA} or later: {named}, which is too old ({said.splitlines()[0][:100]})\n  {remedy}")
