"""Problem documents (RFC 9457): every error of the service in one shape, pointing at the fact or field."""

from __future__ import annotations

from typing import Any

from engine.errors import EvaluationError, FactsError, NotFound, PolicyError, RuleFileError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error as the caller sees it."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **extra: Any) -> None:
        self.status, self.kind, self.title, self.detail, self.extra = status, kind, title, detail, extra
        super().__init__(detail)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that go with the status: how to ask with a key, which method to use, when to come back."""
        return {401: [(b"www-authenticate", b"Bearer")], 405: [(b"allow", b"POST")], 429: [(b"retry-after", b"30")]}.get(self.status, [])

    def document(self) -> dict[str, Any]:
        return {"type": f"urn:policy:problem:{self.kind}", "title": self.title, "status": self.status, "detail": self.detail, **self.extra}


def problem_of(error: Exception) -> Problem:
    """The problem that an error of the engine is."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, FactsError):
        return Problem(422, "facts", "The facts do not fit", f"{len(error.bad)} of the facts cannot be used", errors=[b.as_json() for b in error.bad])
    if isinstance(error, NotFound):
        return Problem(404, f"unknown-{error.kind}", "There is no such " + error.kind, error.message, exists=error.exists)
    if isinstance(error, EvaluationError):
        place = {"file": error.place.file, "line": error.place.line, "column": error.place.column} if error.place else None
        return Problem(422, error.kind, "The rules give no value for these facts", str(error), place=place)
    if isinstance(error, RuleFileError):
        return Problem(422, "rule-file", "The rule file has faults", f"{len(error.faults)} faults", faults=[f.as_json() for f in error.faults])
    if isinstance(error, PolicyError):
        return Problem(409, "refused", "Refused", str(error))
    return Problem(500, "internal", "Something went wrong here", "the decision was not made; the log has the details")


def bad_request(detail: str, pointer: str | None = None) -> Problem:
    errors = [{"pointer": pointer, "message": detail}] if pointer else []
    return Problem(400, "request", "The request cannot be read", detail, errors=errors)
