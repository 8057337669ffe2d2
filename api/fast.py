"""The decision endpoints as a plain ASGI application. Everything else goes to FastAPI (api/app.py).

FastAPI costs more than the decision itself (docs/decisions/0004); these four endpoints are what other services call thousands of times a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from api import decisions, limits, metrics, requests
from api.decision_log import DecisionLog
from api.keys import Keys
from api.problems import MEDIA_TYPE, Problem, problem_of
from api.state import State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("policy.service")
_encode = msgspec.json.Encoder().encode
_JSON = [(b"content-type", b"application/json")]
_PROBLEM = [(b"content-type", MEDIA_TYPE.encode())]
PREFIX = "/v1/policies/"


class Decisions:
    """Answers `/v1/policies/{policy}/check|compute|what-if` and `/v1/decisions`; hands every other request on."""

    def __init__(self, state: State, keys: Keys, rest: Application, decision_log: DecisionLog | None = None) -> None:
        self.state, self.keys, self.rest, self.log = state, keys, rest, decision_log
        self.seconds = {name: metrics.SECONDS.labels(name) for name in ("check", "compute", "what-if", "decisions")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.rest(scope, receive, send)
        path: str = scope["path"]
        if path == "/v1/decisions":
            policy, kind = "", "decisions"
        else:
            policy, _, kind = path.removeprefix(PREFIX).partition("/") if path.startswith(PREFIX) else ("", "", "")
            if kind not in ("check", "compute", "what-if"):
                return await self.rest(scope, receive, send)
        started = time.perf_counter()
        try:
            if scope["method"] != "POST":
                raise Problem(405, "method", "Not with this method", f"{scope['method']} {path}: decisions are asked with POST")
            if self.keys:
                self.keys.demand(_header(scope, b"authorization"), "decide")
            body = await read_body(receive, limits.BATCH_BYTES if kind == "decisions" else limits.BODY_BYTES)
            status, headers, answer = 200, _JSON, await self.answer(policy, kind, body)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                log.exception("a request failed", extra={"data": {"path": path}})
            metrics.PROBLEMS.labels(problem.kind).inc()
            status, headers, answer = problem.status, [*_PROBLEM, *problem.headers()], _encode(problem.document())
        await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})
        self.seconds[kind].observe(time.perf_counter() - started)

    async def answer(self, policy: str, kind: str, body: bytes) -> bytes:
        if kind == "decisions":
            return await self.batch(body)
        if kind == "what-if":
            ask = requests.read(body, requests.WhatIf)
            if len(ask.changes) > limits.WHAT_IF_CHANGES:
                raise Problem(413, "too-many", "Too much at once", f"{len(ask.changes)} changes, at most {limits.WHAT_IF_CHANGES}")
            return _encode(decisions.what_if(self.state, policy, ask))
        question = requests.read(body, requests.Ask)
        library = self.state.library
        found = decisions.decide(library, policy, question, kind)
        if self.log is not None:
            self.log.write(library, kind, question, found)
        return _encode(found)

    async def batch(self, body: bytes) -> bytes:
        items = requests.read(body, requests.Batch).decisions
        if len(items) > limits.BATCH_ITEMS:
            raise Problem(413, "too-many", "Too much at once", f"{len(items)} decisions, at most {limits.BATCH_ITEMS} in one call")
        parts = []
        library = self.state.library
        for i, (item, found) in enumerate(decisions.each(library, items)):
            if self.log is not None and item is not None:
                self.log.write(library, item.ask, item, found)
            parts.append(_encode(found))
            if i % limits.BATCH_SLICE == limits.BATCH_SLICE - 1:
                await asyncio.sleep(0)
        return b'{"decisions":[' + b",".join(parts) + b"]}"


def _header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is too large."""
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "request", "The request cannot be read", "the connection was closed before the body ended")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Problem(413, "too-large", "Too much at once", f"the body has more than {limit} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
