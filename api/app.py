"""The application: decisions (api/fast.py) in front of the catalogue, health, metrics and the OpenAPI document."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from api import catalogue, metrics, openapi, remedies, simulations
from api.decision_log import DecisionLog
from api.fast import Decisions
from api.keys import Keys
from api.problems import MEDIA_TYPE, Problem, problem_of
from api.state import State
from simulations.runner import Runner

log = logging.getLogger("policy.service")
OPEN_PATHS = ("/healthz", "/readyz")


def create(
    root: Path, keys: Keys | None = None, decision_log: Path | None = None, watch: bool = True, runner: Runner | None = None, populations: Path | None = None
) -> Decisions:
    """The ASGI application over a folder of rule files. `runner`: whoever runs simulations; `populations`: the folder of those that callers may name."""
    state = State(root)
    keys = keys or Keys()
    recorder = DecisionLog(decision_log) if decision_log else None
    solver = remedies.Solver()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if watch:
            state.watch()
        if runner is not None:
            runner.start()
        yield
        state.close()
        solver.close()
        if runner is not None:
            runner.close()
        if recorder is not None:
            recorder.close()

    app = FastAPIOffline(docs_url="/docs", redoc_url=None, title="Policy service", version="1", lifespan=lifespan)
    app.include_router(catalogue.router(state))
    app.include_router(remedies.router(state, solver))
    app.include_router(simulations.router(state, runner, populations))
    app.openapi = lambda: openapi.document(app, state)  # type: ignore[method-assign]
    _health(app, state, runner)
    _errors(app)

    @app.middleware("http")
    async def guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        if path not in OPEN_PATHS:
            role = "admin" if path == "/metrics" else "author" if path.endswith("/diff") or path.startswith(simulations.PREFIX) else "decide"
            try:
                keys.demand(request.headers.get("authorization", "").encode(), role)
            except Problem as problem:
                return _answer(problem)
        return await call(request)

    return Decisions(state, keys, app, recorder)


def _health(app: FastAPI, state: State, runner: Runner | None) -> None:
    @app.get("/healthz", tags=["health"], summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"], summary="Is every released version served, and are the rule files without faults?",
             responses={503: {"description": "a released version cannot be served"}})  # fmt: skip
    async def readyz() -> JSONResponse:
        ready, document = state.readiness()
        return JSONResponse(document, status_code=200 if ready else 503)

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        for name, number in (runner.store.counts() if runner is not None else {}).items():
            metrics.SIMULATIONS.labels(name).set(number)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    metrics.PROBLEMS.labels(problem.kind).inc()
    if headers is None:
        headers = {k.decode(): v.decode() for k, v in problem.headers()}
    return JSONResponse(problem.document(), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _errors(app: FastAPI) -> None:
    async def ours(request: Request, error: Exception) -> JSONResponse:
        problem = problem_of(error)
        if problem.status == 500:
            log.error("a request failed", exc_info=error, extra={"data": {"path": request.url.path}})
        return _answer(problem)

    async def unfit(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        errors: list[dict[str, Any]] = [{"pointer": "/" + "/".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        return _answer(Problem(422, "request", "The request does not fit", f"{len(errors)} parts of the request do not fit", errors=errors))

    async def other(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kinds = {404: ("unknown-path", "There is nothing here"), 405: ("method", "Not with this method")}
        kind, title = kinds.get(error.status_code, ("http", "Not possible"))
        return _answer(Problem(error.status_code, kind, title, f"{request.method} {request.url.path}: {error.detail}"), dict(error.headers or {}))

    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(HTTPException, other)
    app.add_exception_handler(Exception, ours)
    from engine.errors import PolicyError

    app.add_exception_handler(PolicyError, ours)
    app.add_exception_handler(Problem, ours)
