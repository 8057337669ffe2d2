"""What makes a case pass, over HTTP. The solver runs in a process of its own (proofs/working.py): one question at a time, few may wait, none for long."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api import decisions, limits, metrics, requests
from api.fast import read_body
from api.problems import Problem
from api.state import State
from engine.cases import flat
from engine.clock import instant
from engine.decide import Program, Resolver
from engine.errors import PolicyError
from engine.library import Library
from engine.version import Version
from proofs.completing import completed
from proofs.influence import Influence, influence
from proofs.working import Job, packed

log = logging.getLogger("policy.service")

_INSTANT = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, {"type": "null"}]}
ASKED: dict[str, Any] = {
    "type": "object", "required": ["facts"], "additionalProperties": False,
    "properties": {
        "facts": {"type": "object", "description": "as for check"}, "as_of": _INSTANT, "known_at": _INSTANT,
        "version": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100000}, {"type": "null"}]},
        "limit": {"type": "integer", "minimum": 1, "maximum": limits.REMEDIES, "description": "alternatives, 3 if nothing is said"},
    },
}  # fmt: skip


class Words(BaseModel):
    en: str
    zh: str


class Step(BaseModel):
    """One change: `change` of a fact, `state` of a fact that the request left out, or `wait`."""

    kind: str
    fact: str
    says: Words


class Alternative(BaseModel):
    """One set of changes, confirmed by the engine. `facts`: what the request must say now; `as_of`: when it passes; `days`: the longest lead time."""

    says: Words
    steps: list[Step]
    facts: dict[str, Any]
    as_of: str
    waits_until: str | None
    cost: str
    days: int
    warnings: list[str]


class Obstacle(BaseModel):
    code: str
    says: Words


class Gain(BaseModel):
    """With `fact` at `to` in place of `before` the output is worth `gain` more: how far the next tier is, and what it is worth."""

    output: str
    fact: str
    before: str
    to: str
    change: str
    gain: str
    says: Words


class Remedies(BaseModel):
    """`status`: passes, possible, impossible or undecided (`reason`). `complete`: there are no further alternatives; `cheapest`: the first is proved to be."""

    policy: str
    version: int
    digest: str
    as_of: str
    outcome: str
    status: str
    says: Words
    alternatives: list[Alternative]
    complete: bool
    cheapest: bool
    obstacles: list[Obstacle]
    gains: list[Gain]
    reason: str | None


class Solver:
    """The process that looks for remedies; started with the first question, and again after one that took too long."""

    def __init__(self, seconds: float = limits.REMEDY_SECONDS, waiting: int = limits.REMEDIES_WAITING) -> None:
        self.seconds, self.most = seconds, waiting
        self.waiting = 0
        self.lock = asyncio.Lock()
        self.process: subprocess.Popen[bytes] | None = None

    async def ask(self, job: Job) -> dict[str, Any]:
        """The answer to a question. Raises Problem 429 if too many wait, 503 if it took too long."""
        if self.waiting >= self.most:
            raise Problem(429, "busy", "Too much at once", f"{self.waiting} questions for remedies are waiting, ask again a little later")
        self.waiting += 1
        try:
            async with self.lock:
                return await self._answered(job)
        finally:
            self.waiting -= 1

    async def _answered(self, job: Job) -> dict[str, Any]:
        try:
            # the search keeps its own limit; what is twice as long hangs
            line = await asyncio.wait_for(asyncio.to_thread(self._exchange, packed(job)), self.seconds * 2 + limits.SOLVER_START_SECONDS)
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise Problem(503, "too-slow", "This took too long", "the search for remedies did not end in time") from None
            raise
        said: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in said:
            self.close()
            log.error("a search for remedies failed", extra={"data": {"error": said["error"], "policy": job.policy.name}})
            raise Problem(500, "internal", "Something went wrong here", "no remedies were found; the log has the details")
        found: dict[str, Any] = said["found"]
        return found

    def _exchange(self, question: bytes) -> bytes:
        process = self.process
        if process is None or process.poll() is not None:
            process = self.process = subprocess.Popen([sys.executable, "-m", "proofs.working"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(question)
        process.stdin.flush()
        return process.stdout.readline()

    def close(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()


def router(state: State, solver: Solver) -> APIRouter:
    """POST /v1/policies/{policy}/remedy."""
    found = APIRouter(tags=["remedies"])
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": ASKED}}}}

    @found.post("/v1/policies/{policy}/remedy", summary="The smallest change that passes", response_model=Remedies, openapi_extra=body)
    async def remedy(policy: str, request: Request) -> Response:
        ask = requests.read(await read_body(request.receive, limits.BODY_BYTES), requests.Remedy)
        if not 1 <= ask.limit <= limits.REMEDIES:
            message = f"`limit` is from 1 to {limits.REMEDIES}"
            raise Problem(422, "request", "The request does not fit", message, errors=[{"pointer": "/limit", "message": message}])
        as_of = decisions.moment(ask.as_of, "as_of")
        library = state.library
        version, resolve = decisions.found(library, policy, requests.Ask(ask.facts, ask.as_of, ask.known_at, ask.version), as_of)
        job = prepared(library, version, ask, as_of, resolve, solver.seconds)
        answer = await solver.ask(job)
        if resolve is not None:
            _still_standing(version.program, ask.facts, answer, resolve)
        metrics.REMEDIES.labels(answer["status"]).inc()
        return Response(json.dumps(answer, ensure_ascii=False), media_type="application/json")

    return found


def prepared(library: Library, version: Version, ask: requests.Remedy, as_of: datetime, resolve: Resolver | None, seconds: float) -> Job:
    """The question for the solver: facts checked, those of other policies filled in. Raises as a check does."""
    known = influenced(library, version)
    if known is None:
        raise Problem(404, "no-influence", "Nothing is declared", f"`{version.policy.id}` has no influence.yaml: it is not said what a partner can change")
    version.program.check(ask.facts, as_of, resolve)
    facts = completed(version.program, ask.facts, as_of, resolve)
    return Job(version.policy, facts, as_of, known, ask.limit, seconds)


def influenced(library: Library, version: Version) -> Influence | None:
    """What is declared beside a version. Raises RuleFileError."""
    elsewhere = {f for other in library.versions[version.policy.id].values() for f in other.policy.facts}
    return influence(version.policy, version.path, elsewhere)


def _still_standing(program: Program, facts: dict[str, Any], answer: dict[str, Any], resolve: Resolver) -> None:
    """Take out what does not pass when the other policies are asked again (at a later day they may give other facts)."""

    def passes(one: dict[str, Any]) -> bool:
        try:
            return bool(program.check(flat(facts) | flat(one["facts"]), instant(one["as_of"]), resolve)["outcome"] == "allowed")
        except PolicyError:
            return False

    kept = [a for a in answer["alternatives"] if passes(a)]
    if len(kept) != len(answer["alternatives"]):
        answer["alternatives"], answer["complete"] = kept, False
        if not kept:
            answer["status"], answer["reason"] = "undecided", "the facts of other policies change on the way"
            answer["says"] = {"en": "Whether it can be made to pass is undecided.", "zh": "能否通过，未能判定。"}
        else:
            answer["says"] = kept[0]["says"]
