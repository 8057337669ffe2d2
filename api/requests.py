"""Reading request bodies: strict, exact numbers, no duplicate keys, limits first."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from api.limits import JSON_DEPTH
from api.problems import Problem, bad_request
from engine.facts import json_number


class Ask(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One question: the facts, the instant, and which version to ask."""

    facts: dict[str, Any]
    as_of: str | None = None
    known_at: str | None = None
    version: int | None = None
    trace: bool = False


class Item(Ask, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One question of a batch."""

    policy: str
    ask: str = "check"


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    decisions: list[msgspec.Raw]


class Change(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What one what-if changes: facts (merged by dotted name), facts taken away, parameters, the version."""

    name: str | None = None
    facts: dict[str, Any] = {}
    unknown: list[str] = []
    parameters: dict[str, Any] = {}
    version: int | None = None


class WhatIf(Ask, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    changes: list[Change]
    ask: str = "check"


class Simulate(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A simulation as it is asked for; simulations/runs/order.py says more of each part."""

    policy: str
    baseline: dict[str, Any] | None = None
    candidate: dict[str, Any] | None = None
    population: dict[str, Any] | None = None
    as_of: str | None = None
    segments: list[str] | None = None
    measures: list[str] | None = None
    paid: list[str] | None = None
    examples: int | None = None
    seed: int | None = None


class Remedy(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A question for what makes a case pass; at most `limit` alternatives."""

    facts: dict[str, Any]
    as_of: str | None = None
    known_at: str | None = None
    version: int | None = None
    limit: int = 3


_SPACED = re.compile(rb'"[ \t\r\n]+:')
_NESTING = frozenset([dict, list, Change])
T = TypeVar("T", bound=msgspec.Struct)


_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind, float_hook=json_number) for kind in (Ask, Item, Batch, WhatIf, Simulate, Remedy)
}


def read(body: bytes, kind: type[T]) -> T:
    """Decode a body. Raises Problem with the place of what does not fit."""
    try:
        found: T = _decoders[kind].decode(body)
        if kind is Batch:
            if body.count(b'"decisions"') > 1 or b"\\u00" in body:
                _refuse_duplicates(body)
            return found
        if _repeats(found, body):
            _refuse_duplicates(body)
        if body.count(b"{") + body.count(b"[") > JSON_DEPTH and too_deep(msgspec.to_builtins(found, enc_hook=str)):
            raise bad_request(f"the request is nested too deep, at most {JSON_DEPTH} levels")
        return found
    except msgspec.ValidationError as error:
        raise Problem(422, "request", "The request does not fit", str(error), errors=[_located(str(error))]) from None
    except msgspec.DecodeError as error:
        raise bad_request(f"this is not JSON: {error}") from None
    except RecursionError:
        raise bad_request("the request is nested too deep") from None
    except (ValueError, ArithmeticError) as error:
        raise bad_request(f"the request cannot be read: {error}") from None


def _located(message: str) -> dict[str, str]:
    said, _, path = message.partition(" - at `")
    pointer = path.rstrip("`").replace("[...]", "").lstrip("$").replace(".", "/").replace("[", "/").replace("]", "")
    return {"pointer": pointer or "", "message": said[:1].lower() + said[1:]}


def _repeats(found: msgspec.Struct, body: bytes) -> bool:
    """May the body hold a key twice? Then it holds more keys than were found; unusual writing (escapes, space before a colon) is looked at in any case."""
    keys = body.count(b'":')
    if b"\\" in body or (keys != body.count(b":") and _SPACED.search(body) is not None):
        return True
    return keys > _keys_of(found)


def _keys_of(found: msgspec.Struct) -> int:
    """The keys of a request as it was found; a part that has its default is not counted, so writing it out leads to the slow look."""
    total = 0
    for name, default in _defaults(type(found)):
        value = getattr(found, name)
        if value != default:
            total += 1 + _keys(value)
    return total


@lru_cache(maxsize=16)
def _defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (f.encode_name, f.default if f.default_factory is msgspec.NODEFAULT else f.default_factory())
        for f in msgspec.structs.fields(kind)
    )  # fmt: skip


def _keys(value: Any) -> int:
    kind = type(value)
    if kind is dict:
        total = len(value)
        for part in value.values():
            if type(part) in _NESTING:
                total += _keys(part)
        return total
    if kind is list:
        return sum([_keys(part) for part in value if type(part) in _NESTING])
    return _keys_of(value) if kind is Change else 0


def _refuse_duplicates(body: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            seen: set[str] = set()
            twice = next(k for k, _ in items if k in seen or seen.add(k))  # type: ignore[func-returns-value]
            raise bad_request(f"the key `{twice}` stands twice in one object")
        return found

    json.loads(body, object_pairs_hook=pairs, parse_float=str, parse_int=str)


def too_deep(value: Any, depth: int = 0) -> bool:
    """Is the value nested deeper than the limit?"""
    if depth > JSON_DEPTH:
        return True
    if isinstance(value, dict):
        return any(too_deep(v, depth + 1) for v in value.values())
    return isinstance(value, list) and any(too_deep(v, depth + 1) for v in value)
