"""Simulations over HTTP: from the order to the results, what is refused and how, and what the document says of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import jsonschema_rs
import pytest
import schemathesis

from api import limits
from api.app import create
from api.keys import Keys
from api.simulations import ORDER, registered
from simulations.jobs import Store
from simulations.runner import Runner
from simulations.runs.order import Order
from tests.conftest import Caller, problem, samples
from tests.test_openapi import CHECKS

URL = "/v1/simulations"
ASK: dict[str, Any] = {
    "policy": "credit-request", "baseline": {"version": 1}, "candidate": {"version": 1, "parameters": {"limit": 3000.5}},
    "population": {"generate": {"rows": 500, "seed": 4}}, "as_of": "2025-08-01",
}  # fmt: skip


class Desk:
    """A service with simulations over the small library."""

    def __init__(self, folder: Path, start: bool, **keys: int) -> None:
        self.root = samples(folder / "policies")
        self.populations = folder / "populations"
        self.populations.mkdir()
        self.runner = Runner(Store(folder / "data", queue=3), self.root, "500MB")
        self.caller = Caller(create(self.root, Keys(keys), watch=False, runner=self.runner, populations=self.populations))
        if start:
            self.runner.start()

    def close(self) -> None:
        self.caller.close()
        self.runner.close()

    def ask(self, **more: Any) -> dict[str, Any]:
        response = self.caller.post(URL, {**ASK, **more})
        assert response.status_code == 202, response.text
        found: dict[str, Any] = response.json()
        assert response.headers["location"] == f"{URL}/{found['id']}"
        return found

    def over(self, name: str) -> dict[str, Any]:
        end = time.monotonic() + 90
        while True:
            found: dict[str, Any] = self.caller.get(f"{URL}/{name}").json()
            if found["state"] in ("done", "failed", "cancelled"):
                return found
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Desk]:
    """Nothing runs: what is asked for waits."""
    found = Desk(tmp_path, start=False)
    yield found
    found.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    found = Desk(tmp_path_factory.mktemp("desk"), start=True)
    yield found
    found.close()


@pytest.fixture(scope="module")
def ready(desk: Desk) -> dict[str, Any]:
    """A simulation that is done."""
    found = desk.over(desk.ask()["id"])
    assert found["state"] == "done", found["problem"]
    return found


# -- results -----------------------------------------------------------------------------------------------------------------------------


def test_the_report_may_do_nothing_but_show_itself(desk: Desk, ready: dict[str, Any]) -> None:
    response = desk.caller.get(ready["results"]["report"])
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    rules = response.headers["content-security-policy"]
    assert rules.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in rules
    assert "unsafe" not in rules
    assert "http" not in rules
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_summary_is_the_one_of_the_run(desk: Desk, ready: dict[str, Any]) -> None:
    found = desk.caller.get(ready["results"]["summary"]).json()
    assert found["candidate"]["changed"] == {"limit": "3000.50"}
    assert found["population"]["rows"] == 500
    assert json.loads((desk.runner.store.place(ready["id"]) / "summary.json").read_bytes()) == found


def test_cases_come_page_by_page(desk: Desk, ready: dict[str, Any]) -> None:
    """All pages together are the table, in its order; amounts are text."""
    url = ready["results"]["cases"]
    whole = desk.caller.get(f"{url}?limit=1000").json()
    assert whole["total"] == len(whole["cases"]) > 5
    parts: list[dict[str, Any]] = []
    while len(parts) < whole["total"]:
        parts += desk.caller.get(f"{url}?limit=7&offset={len(parts)}").json()["cases"]
    assert parts == whole["cases"]
    assert desk.caller.get(f"{url}?offset={whole['total']}").json()["cases"] == []
    table = duckdb.sql(f"SELECT case_id, \"rest:before\" FROM read_parquet('{desk.runner.store.place(ready['id']) / 'changed.parquet'}')").fetchall()
    assert [(r["case_id"], r["rest:before"]) for r in whole["cases"]] == [(n, None if v is None else str(v)) for n, v in table]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "offset=x"])
def test_pages_that_cannot_be(desk: Desk, ready: dict[str, Any], query: str) -> None:
    problem(desk.caller.get(f"{ready['results']['cases']}?{query}"), 422)


def test_files_of_the_manifest_are_given_and_no_others(desk: Desk, ready: dict[str, Any]) -> None:
    manifest = desk.caller.get(ready["results"]["manifest.json"]).json()
    for name, about in manifest["files"].items():
        response = desk.caller.get(f"{URL}/{ready['id']}/files/{name}")
        assert response.status_code == 200
        assert len(response.content) == about["bytes"]
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    (desk.runner.store.place(ready["id"]) / "secret.txt").write_text("not in the manifest")
    for name in ("secret.txt", "../jobs.sqlite", "..%2f..%2fjobs.sqlite", "%2fetc%2fpasswd", "report.html%00", "nothing"):
        problem(desk.caller.get(f"{URL}/{ready['id']}/files/{name}"), 404)


@pytest.mark.parametrize("name", ["..", "nothing", "s0", "%2e%2e", "..%2f..%2fdata", "s' OR 1=1"])
def test_a_simulation_that_there_is_not(desk: Desk, name: str) -> None:
    for part in ("", "/report", "/cases", "/summary", "/files/manifest.json"):
        problem(desk.caller.get(f"{URL}/{name}{part}"), 404)


def test_one_that_is_over_is_removed(desk: Desk) -> None:
    found = desk.over(desk.ask()["id"])
    url = f"{URL}/{found['id']}"
    assert desk.caller.request("DELETE", url).status_code == 204
    problem(desk.caller.get(url), 404)
    problem(desk.caller.request("DELETE", url), 404)
    assert not desk.runner.store.place(found["id"]).exists()


def test_the_same_order_gives_the_same_bytes(desk: Desk, ready: dict[str, Any]) -> None:
    again = desk.over(desk.ask()["id"])
    one, other = (desk.caller.get(f["results"]["manifest.json"]).json() for f in (ready, again))
    assert one == other


def test_one_that_fails_says_why(desk: Desk) -> None:
    written(desk.populations / "unreadable.csv", [("a", "500.00")])
    found = desk.over(desk.ask(population={"name": "unreadable"})["id"])  # its cases have no column `case_id`
    assert (found["state"], found["results"]) == ("failed", None)
    assert found["problem"]["type"] == "urn:policy:problem:refused"
    assert "case_id" in found["problem"]["detail"]
    refused = problem(desk.caller.get(f"{URL}/{found['id']}/report"), 409)
    assert refused["type"].endswith(":not-done")


# -- populations by name -----------------------------------------------------------------------------------------------------------------


def written(path: Path, rows: list[tuple[str, str]]) -> None:
    lines = ["no,request.amount,customer.signed,customer.level,customer.staff,items"]
    path.write_text("\n".join(lines + [f"{case},{amount},true,gold,1,[]" for case, amount in rows]) + "\n", encoding="utf-8")


def test_a_population_by_its_name_with_its_mapping(desk: Desk) -> None:
    written(desk.populations / "orders.csv", [("a", "500.00"), ("b", "2000.00"), ("c", "9000.00"), ("d", "no number")])
    (desk.populations / "orders.mapping.yaml").write_text("id: no\n", encoding="utf-8")
    found = desk.over(desk.ask(population={"name": "orders"})["id"])
    assert found["state"] == "done", found["problem"]
    assert found["order"]["population"] == {"name": "orders"}
    summary = desk.caller.get(found["results"]["summary"]).json()
    assert {k: summary["population"][k] for k in ("rows", "used", "set_aside")} == {"rows": 4, "used": 3, "set_aside": 1}
    assert [c["case_id"] for c in desk.caller.get(found["results"]["cases"]).json()["cases"]][:1] == ["a"]
    assert str(desk.populations) not in json.dumps(found) + json.dumps(summary)


def test_an_empty_population_fails(desk: Desk) -> None:
    written(desk.populations / "nobody.csv", [])
    (desk.populations / "nobody.mapping.yaml").write_text("id: no\n", encoding="utf-8")
    found = desk.over(desk.ask(population={"name": "nobody"})["id"])
    assert found["state"] == "failed"
    assert "there are no rows" in found["problem"]["detail"]


def test_names_are_those_of_files_and_folders(tmp_path: Path) -> None:
    for name in ("a.csv", "a.mapping.yaml", "b.csv.gz", ".hidden.csv", "spaced name.csv", "d.mapping.yaml"):
        (tmp_path / name).write_text("x")
    (tmp_path / "c").mkdir()
    assert registered(tmp_path) == {
        "a": (tmp_path / "a.csv", tmp_path / "a.mapping.yaml"), "b": (tmp_path / "b.csv.gz", None), "c": (tmp_path / "c", None),
    }  # fmt: skip
    assert registered(None) == {}


# -- what is refused ---------------------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"policy": "credit-requst"}, 404, "unknown-policy", "did you mean `credit-request`"),
    ({"candidate": {"version": 99}}, 404, "unknown-version", "no version 99"),
    ({"as_of": "1999-01-01", "baseline": {}}, 404, "unknown-version", "in force"),
    ({"candidate": {"version": 1, "parameters": {"limt": 1}}}, 422, "order", "did you mean `limit`"),
    ({"candidate": {"version": 1, "parameters": {"limit": "much"}}}, 422, "order", "expected money"),
    ({"candidate": {"version": 1, "parameters": {"limit": 0.001}}}, 422, "order", "3 decimals"),
    ({"candidate": {"version": 0}}, 422, "order", "candidate.version"),
    ({"candidate": {"verson": 1}}, 422, "order", "did you mean `version`"),
    ({"as_of": "yesterday"}, 422, "order", "as_of"),
    ({"segments": ["customer.mobile"]}, 202, "", ""),
    ({"measures": ["profit"]}, 422, "order", "no amount `profit`"),
    ({"examples": 21}, 422, "order", "examples"),
    ({"examples": "3"}, 422, "request", "examples"),
    ({"nonsense": 1}, 422, "request", "nonsense"),
    ({"population": {"generate": {"rows": limits.SIMULATION_ROWS + 1}}}, 413, "too-many", "at most"),
    ({"population": {"generate": {"rows": 10**18}}}, 422, "order", "rows"),
    ({"population": {"generate": {"rows": 0}}}, 422, "order", "rows"),
    ({"population": {"generate": {"rows": 3}}}, 422, "order", "ask for at least"),
    ({"candidate": {"version": 1}}, 422, "order", "nothing is changed"),
    ({"baseline": {}, "candidate": {}}, 422, "order", "nothing is changed"),
    ({"population": {"source": "/etc/passwd"}}, 422, "order", "population"),
    ({"population": {"name": "../policies/releases"}}, 404, "unknown-population", "no population"),
    ({"population": {"name": "/etc/passwd"}}, 404, "unknown-population", "no population"),
    ({"population": {"name": 7}}, 404, "unknown-population", "no population"),
    ({"population": {"name": "x", "mapping": "/etc/passwd"}}, 422, "order", "population"),
    ({"population": {}}, 422, "order", "population"),
]


@pytest.mark.parametrize(("change", "status", "kind", "said"), REFUSED, ids=lambda v: json.dumps(v) if isinstance(v, dict) else None)
def test_an_order_that_does_not_fit(still: Desk, change: dict[str, Any], status: int, kind: str, said: str) -> None:
    response = still.caller.post(URL, {**ASK, **change})
    if status == 202:
        assert response.status_code == 202
        return
    found = problem(response, status)
    assert found["type"] == f"urn:policy:problem:{kind}"
    assert said in found["detail"] + json.dumps(found.get("errors", []))
    assert still.caller.get(URL).json() == {"simulations": []}


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"candidate": {"version": 1, "parameters": {"limt": 1, "rate": "much"}}}, ["/candidate/parameters/limt", "/candidate/parameters/rate"]),
        ({"candidate": {"version": 0}, "examples": 21}, ["/candidate/version", "/examples"]),
        ({"candidate": {"verson": 1}}, ["/candidate/verson"]),
        ({"as_of": "yesterday"}, ["/as_of"]),
        ({"measures": ["profit"]}, ["/measures"]),
        ({"candidate": {"version": 1}}, ["/candidate"]),
        ({"population": {}}, ["/population"]),
        ({"population": {"generate": {"rows": 3}}}, ["/population/generate/rows"]),
    ],
    ids=json.dumps,
)
def test_what_does_not_fit_is_pointed_at(still: Desk, change: dict[str, Any], pointers: list[str]) -> None:
    found = problem(still.caller.post(URL, {**ASK, **change}), 422)
    assert [e["pointer"] for e in found["errors"]] == pointers
    assert all(e["message"] for e in found["errors"])


def test_every_problem_of_simulations_is_documented() -> None:
    """The table of docs/api.md names each type that the service and the process of a run give."""
    root = Path(__file__).parents[1]
    told = (root / "docs" / "api.md").read_text(encoding="utf-8")
    table = {name for line in told.splitlines() if re.match(r"\| \d{3} \|", line) for name in re.findall(r"`([a-z-]+)`", line.split("|")[2])}
    sources = "".join((root / name).read_text(encoding="utf-8") for name in ("api/simulations.py", "simulations/runner.py", "simulations/worker.py"))
    given = set(re.findall(r'Problem\(\d{3}, "([a-z-]+)"', sources)) | set(re.findall(r'"kind": "([a-z-]+)"', sources))
    assert {"order", "queue-full", "not-done", "restarted", "out-of-memory"} <= given
    assert given <= table


def test_a_version_with_faults_is_told_with_them(still: Desk) -> None:
    file = still.root / "samples" / "credit-request" / "v4.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("require: customer.signed", "require: customer.signed + 1"), encoding="utf-8")
    still.caller.state.reload()
    found = problem(still.caller.post(URL, {**ASK, "candidate": {"version": 4}}), 422)
    assert found["type"] == "urn:policy:problem:rule-file"
    assert found["faults"][0]["line"] > 0
    assert still.caller.get(URL).json() == {"simulations": []}


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"policy": "a", "policy": "b"}', '{"policy": 1}', "[" * 100_000])
def test_bodies_that_are_no_order(still: Desk, body: str) -> None:
    assert still.caller.post(URL, body).status_code in (400, 422)


def test_a_body_that_is_too_large(still: Desk) -> None:
    problem(still.caller.post(URL, " " * (limits.BODY_BYTES + 1)), 413)


def test_a_full_queue_says_when_to_come_back(still: Desk) -> None:
    places = [still.ask()["place"] for _ in range(3)]
    assert places == [1, 2, 3]
    response = still.caller.post(URL, ASK)
    assert problem(response, 429)["type"] == "urn:policy:problem:queue-full"
    assert int(response.headers["retry-after"]) > 0


def test_one_that_waits_is_cancelled(still: Desk) -> None:
    found = still.ask()
    url = f"{URL}/{found['id']}"
    problem(still.caller.get(f"{url}/report"), 409)
    response = still.caller.request("DELETE", url)
    assert response.status_code == 202
    assert response.json()["state"] == "cancelled"
    assert still.caller.get(url).json()["state"] == "cancelled"


def test_exact_numbers_stay_exact(still: Desk) -> None:
    body = json.dumps({**ASK, "candidate": {"version": 1, "parameters": {"limit": 0}}}).replace('"limit": 0', '"limit": 123456789012345.67')
    found = still.caller.post(URL, body).json()
    assert found["order"]["candidate"]["parameters"] == {"limit": "123456789012345.67"}


def test_what_is_not_said_is_filled_in(still: Desk) -> None:
    found = still.caller.post(URL, {"policy": "credit-request", "candidate": {"parameters": {"limit": 1}}}).json()
    assert found["order"]["population"] == {"generate": {"rows": limits.SIMULATION_DEFAULT_ROWS}}
    job = still.runner.store.find(found["id"])
    assert job is not None
    assert (job.run["baseline"]["version"], job.run["candidate"]["version"]) == (3, 3)
    assert job.run["as_of"]


def test_a_key_needs_the_role(tmp_path: Path) -> None:
    from hashlib import sha256

    found = Desk(tmp_path, start=False, **{sha256(k.encode()).hexdigest(): role for k, role in (("d", 0), ("a", 1))})
    try:
        for key, status in ((None, 401), ("d", 403), ("a", 202)):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            assert found.caller.post(URL, ASK, headers=headers).status_code == status
            assert found.caller.get(URL, headers=headers).status_code == (200 if status == 202 else status)
    finally:
        found.close()


def test_metrics_count_them(still: Desk) -> None:
    still.ask()
    still.caller.request("DELETE", f"{URL}/{still.ask()['id']}")
    text = still.caller.get("/metrics").text
    assert 'policy_simulations{state="queued"} 1.0' in text
    assert 'policy_simulations{state="cancelled"} 1.0' in text
    assert 'policy_simulations{state="running"} 0.0' in text


def test_a_service_without_simulations(api: Caller) -> None:
    problem(api.post(URL, ASK), 503)
    problem(api.get(URL), 503)
    problem(api.get(f"{URL}/x/report"), 503)


# -- the document, and what the service carries -------------------------------------------------------------------------------------------


def test_the_document_has_the_fields_of_an_order(still: Desk) -> None:
    assert set(ORDER["properties"]) == set(Order.model_fields) - {"on"}  # type: ignore[arg-type]  # what asks the cases is no matter of callers
    document = still.caller.get("/openapi.json").json()
    operation = document["paths"][URL]["post"]
    media = operation["requestBody"]["content"]["application/json"]
    judge = jsonschema_rs.validator_for(media["schema"])
    assert judge.is_valid(ASK)
    assert all(judge.is_valid(e) for e in media["schema"]["examples"])
    assert not judge.is_valid({**ASK, "population": {"source": "x"}})


@pytest.mark.parametrize("path", ["", "/{name}", "/{name}/report", "/{name}/summary", "/{name}/cases", "/{name}/files/{file}"])
def test_the_service_answers_as_described(desk: Desk, ready: dict[str, Any], path: str) -> None:
    operation = schemathesis.openapi.from_dict(desk.caller.get("/openapi.json").json())[f"{URL}{path}"]["GET"]
    for name in (ready["id"], "nothing"):
        case = operation.Case(path_parameters={k: v for k, v in (("name", name), ("file", "summary.json")) if f"{{{k}}}" in path})
        response = desk.caller.get(f"{URL}{path}".format(name=name, file="summary.json"))
        case.validate_response(response, checks=CHECKS)
        assert response.status_code == (200 if name == ready["id"] or not path else 404)


def test_the_service_does_not_carry_the_tools_of_simulations(root: Path, tmp_path: Path) -> None:
    """The start loads none of the large libraries, and a question only what it is held against: the rest lives in the process of the run."""
    program = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from api.app import create
from simulations.jobs import Store
from simulations.runner import Runner
from tests.conftest import Caller
caller = Caller(create(Path({str(root)!r}), watch=False, runner=Runner(Store(Path({str(tmp_path / "data")!r})), Path({str(root)!r}))))
assert not {{"simulations.runs.order", "duckdb"}} & set(sys.modules), "loaded before it is needed"
assert caller.post("/v1/simulations", json.loads({json.dumps(json.dumps(ASK))})).status_code == 202
assert caller.get("/v1/simulations").status_code == 200
print(sorted({{"ibis", "pyarrow", "numpy", "pandas", "sqlglot"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
