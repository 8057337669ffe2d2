"""Remedies in a process of their own, for the service: the solver may be slow, large or fall over, and decisions must not notice.

Questions come on standard input, each a length of 8 bytes and so many bytes (a pickled `Job`); each answer is one line of JSON on standard output.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from engine.decide import Program
from engine.policy import Policy
from proofs.influence import Influence

SIZE = 8
#: Versions whose programs are kept ready.
KEPT = 32


@dataclass(frozen=True, slots=True)
class Job:
    """One question. `facts` are those of this policy alone, with what other policies gave."""

    policy: Policy
    facts: dict[str, Any]
    as_of: datetime
    influence: Influence
    limit: int
    seconds: float


def packed(job: Job) -> bytes:
    data = pickle.dumps(job)
    return len(data).to_bytes(SIZE, "big") + data


def work(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end."""
    from proofs.remedy import remedy

    programs: OrderedDict[str, Program] = OrderedDict()
    while len(size := questions.read(SIZE)) == SIZE:
        job: Job = pickle.loads(questions.read(int.from_bytes(size, "big")))
        program = programs.pop(job.policy.digest, None) or Program(job.policy)
        programs[job.policy.digest] = program
        if len(programs) > KEPT:
            programs.popitem(last=False)
        try:
            said: dict[str, Any] = {"found": remedy(program, job.facts, job.as_of, job.influence, job.limit, job.seconds).as_json()}
        except Exception as error:  # told to the service, which logs it: this process goes on
            said = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)
