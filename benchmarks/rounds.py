"""Timing: short rounds of each candidate in turn, so that noise meets all of them alike; medians of every single call."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: A function and the inputs that it is called with, a new one each time; optionally what is done, untimed, before each call.
Candidate = tuple[Callable[[Any], Any], Sequence[Any]] | tuple[Callable[[Any], Any], Sequence[Any], Callable[[], None]]


def medians(candidates: Mapping[str, Candidate], rounds: int, seconds: float) -> dict[str, float]:
    """The median time of one call in ns. Each round gives each candidate at most `seconds`."""
    times: dict[str, list[int]] = {name: [] for name in candidates}
    places = dict.fromkeys(candidates, 0)
    clock = time.perf_counter_ns
    gc.collect()
    for turn in range(-1, rounds):
        for name, (function, inputs, *before) in candidates.items():
            limit = clock() + int((seconds if turn >= 0 else seconds / 4) * 1e9)
            found, at, count = times[name], places[name], len(inputs)
            while True:
                value = inputs[at % count]
                at += 1
                if before:
                    before[0]()
                started = clock()
                function(value)
                ended = clock()
                if turn >= 0:
                    found.append(ended - started)
                if ended > limit:
                    break
            places[name] = at
    return {name: statistics.median(found) for name, found in times.items()}


def once(function: Callable[[], Any]) -> tuple[float, Any]:
    """The core time that one long call took, in ns, and what it gave. What takes many milliseconds would else be stretched by other work on the machine."""
    started = time.process_time_ns()
    found = function()
    return time.process_time_ns() - started, found
