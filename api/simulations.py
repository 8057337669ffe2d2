"""Simulations over HTTP: asked for, looked at, cancelled, and their results. The runs themselves are processes of their own (simulations/runner.py).

A caller names a population that is generated, or one that the service was given by name; never a path or an address.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api import limits, requests
from api.fast import read_body
from api.problems import Problem
from api.state import State
from engine.errors import NotFound, PolicyError, RuleFileError
from engine.types import SHANGHAI
from simulations.jobs import Job, QueueFull, StoreError, settled
from simulations.runner import Runner

PREFIX = "/v1/simulations"
MAPPING = ".mapping.yaml"
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_POLICY_OF_PAGE = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
_SAFE = {"x-content-type-options": "nosniff", "cache-control": "private, no-store", "referrer-policy": "no-referrer"}

_SIDE = {
    "type": "object", "additionalProperties": False, "description": "a version (left out: the one in force) with changed parameters",
    "properties": {"version": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100000}, {"type": "null"}]}, "parameters": {"type": "object"}},
}  # fmt: skip
_NAMES = {"anyOf": [{"type": "array", "items": {"type": "string"}, "maxItems": 6}, {"type": "null"}]}
_GENERATED = {
    "type": "object", "required": ["rows"], "additionalProperties": False,
    "properties": {
        "rows": {"type": "integer", "minimum": 1, "maximum": limits.SIMULATION_ROWS}, "seed": {"type": "integer", "minimum": 0, "maximum": 2**62},
    },
}  # fmt: skip
_EXAMPLE = {"policy": "relation-change", "candidate": {"parameters": {"cooldown_months": 6}}, "population": {"generate": {"rows": 100000, "seed": 1}}}
ORDER = {
    "type": "object", "required": ["policy"], "additionalProperties": False, "examples": [_EXAMPLE],
    "properties": {
        "policy": {"type": "string"}, "baseline": _SIDE, "candidate": _SIDE,
        "population": {
            "description": "generated (100,000 rows if nothing is said), or the name of one that the service was given",
            "oneOf": [
                {"type": "object", "required": ["generate"], "additionalProperties": False, "properties": {"generate": _GENERATED}},
                {"type": "object", "required": ["name"], "additionalProperties": False, "properties": {"name": {"type": "string"}}},
            ],
        },
        "as_of": {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, {"type": "null"}]},
        "segments": _NAMES, "measures": {**_NAMES, "anyOf": [{"type": "array", "items": {"type": "string"}, "maxItems": 12}, {"type": "null"}]},
        "paid": {"type": "array", "minItems": 1, "items": {"enum": ["allowed", "review"]}, "description": "outcomes that pay their amounts: allowed"},
        "examples": {"type": "integer", "minimum": 0, "maximum": 20}, "seed": {"type": "integer", "minimum": 0, "maximum": 2**62},
    },
}  # fmt: skip


class Simulation(BaseModel):
    """One simulation. `place` from 1 while it is queued; `phase` and `percent` while it runs; `problem` if it failed; `results` when it is done."""

    id: str
    policy: str
    state: str
    cancelling: bool
    order: dict[str, Any]
    created_at: str
    started_at: str | None
    finished_at: str | None
    place: int | None
    phase: str | None
    percent: int | None
    problem: dict[str, Any] | None
    results: dict[str, str] | None


class Simulations(BaseModel):
    simulations: list[Simulation]


class Cases(BaseModel):
    """A page of the cases that changed. Amounts are decimal text."""

    total: int
    offset: int
    limit: int
    cases: list[dict[str, Any]]


def registered(folder: Path | None) -> dict[str, tuple[Path, Path | None]]:
    """The populations of a folder by name: a file (its name up to the first point) or a folder of files; a mapping is `<name>.mapping.yaml` beside it."""
    found: dict[str, tuple[Path, Path | None]] = {}
    if folder is None or not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        name = path.name.split(".")[0]
        if path.name.endswith(MAPPING) or not _NAME.fullmatch(name):
            continue
        mapping = folder / f"{name}{MAPPING}"
        found.setdefault(name, (path, mapping if mapping.is_file() else None))
    return found


def router(state: State, runner: Runner | None, populations: Path | None) -> APIRouter:
    routes = APIRouter(prefix=PREFIX, tags=["simulations"])

    def jobs() -> Runner:
        if runner is None:
            raise Problem(503, "no-simulations", "No simulations here", "this service runs no simulations; start it with `policy serve`")
        return runner

    def job(name: str) -> Job:
        found = jobs().store.find(name)
        if found is None:
            raise Problem(404, "unknown-simulation", "There is no such simulation", f"no simulation `{name[:100]}`; old ones are removed")
        return found

    def done(name: str) -> Path:
        found = job(name)
        if found.state != "done":
            raise Problem(409, "not-done", "The simulation is not done", f"the simulation is {found.state}; only one that is done has results")
        return jobs().store.place(found.id)

    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": ORDER}}}}

    @routes.post("", status_code=202, summary="Ask for a simulation: a baseline against a candidate over a population", openapi_extra=body)
    async def ask(request: Request, response: Response) -> Simulation:
        raw = await read_body(request.receive, limits.BODY_BYTES)
        found = await run_in_threadpool(_guarded, lambda: accepted(raw, state, jobs(), populations))
        response.headers["location"] = f"{PREFIX}/{found.id}"
        return view(found)

    @routes.get("", summary="All simulations that are kept, the newest first")
    def listed() -> Simulations:
        return _guarded(lambda: Simulations(simulations=[view(j) for j in jobs().store.listed()]))

    @routes.get("/{name}", summary="How far a simulation is")
    def one(name: str) -> Simulation:
        return _guarded(lambda: view(job(name)))

    @routes.delete("/{name}", summary="Cancel a simulation that waits or runs (202); remove one that is over (204)", status_code=202,
                   responses={204: {"description": "it was over, and is removed"}})  # fmt: skip
    def cancel(name: str, response: Response) -> Any:
        found = _guarded(lambda: jobs().store.cancel(job(name).id))
        jobs().wake()
        if found is None:
            return Response(status_code=204)
        return view(found)

    @routes.get("/{name}/report", summary="The report, one page", response_class=HTMLResponse)
    def report(name: str) -> HTMLResponse:
        text = _read(done(name) / "report.html").decode()
        found = _POLICY_OF_PAGE.search(text[:4000])
        policy = html.unescape(found[1]) if found else "default-src 'none'"
        return HTMLResponse(text, headers={**_SAFE, "content-security-policy": f"{policy}; frame-ancestors 'none'", "x-frame-options": "DENY"})

    @routes.get("/{name}/summary", summary="The numbers of the report")
    def summary(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_read(done(name) / "summary.json"))
        return found

    @routes.get("/{name}/cases", summary="The cases that changed, page by page")
    def cases(
        name: str, offset: Annotated[int, Query(ge=0, le=10**12)] = 0, limit: Annotated[int, Query(ge=1, le=limits.SIMULATION_CASES)] = 100,
    ) -> Cases:  # fmt: skip
        return page(done(name) / "changed.parquet", offset, limit)

    @routes.get("/{name}/files/{file}", summary="A file of the results, as manifest.json lists them", response_class=FileResponse,
                responses={200: {"content": {"application/octet-stream": {}}}})  # fmt: skip
    def download(name: str, file: str) -> FileResponse:
        folder = done(name)
        listed = ["manifest.json", *json.loads(_read(folder / "manifest.json"))["files"]]
        if file not in listed:
            raise Problem(404, "unknown-file", "There is no such file", f"the results have no file `{file[:100]}`", exists=listed)
        return FileResponse(folder / file, media_type="application/octet-stream", filename=file, headers=_SAFE)

    return routes


def _guarded(ask: Callable[[], T]) -> T:
    """What the list of simulations refuses, as problems."""
    try:
        return ask()
    except StoreError as error:
        raise Problem(503, "simulations-unavailable", "Simulations are not available", str(error)) from None
    except QueueFull as error:
        raise Problem(429, "queue-full", "Too many simulations wait", str(error)) from None


def view(job: Job) -> Simulation:
    problem = {"type": f"urn:policy:problem:{job.problem['kind']}", **{k: v for k, v in job.problem.items() if k != "kind"}} if job.problem else None
    parts = ("report", "summary", "cases", "files/manifest.json", "files/changed.parquet")
    results = {part.rpartition("/")[2]: f"{PREFIX}/{job.id}/{part}" for part in parts} if job.state == "done" else None
    return Simulation(
        id=job.id, policy=job.policy, state=job.state, cancelling=job.state == "running" and job.cancel, order=job.asked, created_at=job.created,
        started_at=job.started, finished_at=job.finished, place=job.place, phase=job.phase, percent=job.percent, problem=problem, results=results,
    )  # fmt: skip


def accepted(raw: bytes, state: State, runner: Runner, populations: Path | None) -> Job:
    """Hold what was asked against the library, and queue it. Raises Problem; nothing is queued then."""
    from simulations.runs.declared import need_rows
    from simulations.runs.order import Misfit, OrderError, read_order
    from simulations.runs.task import task

    asked = _plain(requests.read(raw, requests.Simulate))
    asked = {k: v for k, v in asked.items() if v is not None}
    wanted = asked.setdefault("population", {"generate": {"rows": limits.SIMULATION_DEFAULT_ROWS}})
    if set(wanted) not in ({"generate"}, {"name"}):
        help = 'write {"generate": {"rows": …, "seed": …}}, or {"name": …} for a population that the service was given'
        raise _unfit(OrderError(Misfit(("population",), "one of `generate` and `name`", help)))
    source = _source(wanted["name"], populations) if "name" in wanted else wanted
    try:
        order = read_order({**asked, "population": source})
        if order.population.generate and order.population.generate.rows > limits.SIMULATION_ROWS:
            raise Problem(413, "too-many", "Too much at once", f"{order.population.generate.rows} rows, at most {limits.SIMULATION_ROWS} are generated here")
        order = settled(order, state.library, datetime.now(SHANGHAI))
        held = task(order, state.library)
        if held.unchanged:
            raise OrderError(Misfit(("candidate",), "nothing is changed", "give it parameters, or another version than the baseline"))
        need_rows(held)
    except (NotFound, RuleFileError):
        raise
    except PolicyError as error:
        raise _unfit(error) from None
    found = runner.store.submit(order.policy, asked, order.model_dump(mode="json"))
    runner.wake()
    return found


def _unfit(error: PolicyError) -> Problem:
    """The problem of an order; with pointers, where the places that do not fit are known."""
    from simulations.runs.order import OrderError

    misfits = error.misfits if isinstance(error, OrderError) else ()
    return Problem(422, "order", "The order does not fit", str(error), errors=[m.as_json() for m in misfits])


def _source(name: Any, populations: Path | None) -> dict[str, str]:
    known = registered(populations)
    if not isinstance(name, str) or name not in known:
        detail = f"no population `{str(name)[:100]}` was given to the service"
        raise Problem(404, "unknown-population", "There is no such population", detail, exists=list(known))
    path, mapping = known[name]
    return {"source": str(path.resolve()), **({"mapping": str(mapping.resolve())} if mapping else {})}


def _plain(value: Any) -> Any:
    """A request as data that goes through JSON without a loss: exact numbers as text."""
    if isinstance(value, requests.Simulate):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return f"{value:f}" if isinstance(value, Decimal) else value


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Problem(404, "no-results", "The results are gone", "the results of this simulation were removed; ask for it again") from None


def page(path: Path, offset: int, limit: int) -> Cases:
    """Some rows of a Parquet file, in their order."""
    import duckdb

    if not path.is_file():
        _read(path)
    with duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "256MB", "autoinstall_known_extensions": False}) as connection:
        [(total,)] = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()
        found = connection.execute("SELECT * FROM read_parquet(?) LIMIT ? OFFSET ?", [str(path), limit, offset])
        names = [d[0] for d in found.description or ()]
        rows = [{n: _shown(v) for n, v in zip(names, row, strict=True)} for row in found.fetchall()]
    return Cases(total=total, offset=offset, limit=limit, cases=rows)


def _shown(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return [_shown(v) for v in value] if isinstance(value, list) else value
