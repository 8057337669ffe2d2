"""Starting with the whole library, and taking up one changed rule file."""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from api.state import State
from benchmarks.report import NOT, Part, Row, micro
from benchmarks.rounds import once
from benchmarks.servers import REPOSITORY, free_port, service
from engine.library import load, rule_files
from engine.releases import LEDGER

POLICIES = REPOSITORY / "policies"
_LOAD = """
import sys, time
started = time.process_time()
from pathlib import Path
from engine.library import load
imported = time.process_time()
library = load(Path(sys.argv[1]))
loaded = time.process_time()
for version in library.all():
    version.program
ready = time.process_time()
for version in library.all():
    version.program.known()
print(imported - started, loaded - imported, ready - loaded, time.process_time() - ready, sum(1 for _ in library.all()))
"""


def measure(quick: bool) -> Part:
    part = Part("Start and reload")
    rounds = 2 if quick else 5
    if not POLICIES.is_dir() or not rule_files(POLICIES):
        part.rows.append(Row("start and reload", f"{NOT}: there is no library"))
        return part
    answers, listens = zip(*(_cold() for _ in range(rounds)), strict=True)
    inside = [[float(x) for x in _fresh(str(POLICIES)).split()] for _ in range(rounds)]
    imports, loads, programs, functions, versions = (statistics.median(column) for column in zip(*inside, strict=True))
    cold = statistics.median(answers)
    part.rows.append(Row(f"cold start, {versions:.0f} versions, process start to first answer", micro(cold), wanted="at most 2 s", reached=cold <= 2e9))
    alone = (loads + programs) * 1e9
    part.rows.append(Row(f"the library alone, {versions:.0f} versions: read, checked, programs made", micro(alone)))
    _reload(part, rounds)
    part.notes += [
        f"Cold start: `policy serve` as a new process, {rounds} rounds, the first question is put until it is answered with 200 (tried every 3 ms); "
        f"the port was open after {micro(statistics.median(listens))}. File caches of the operating system are warm, as are Python's compiled modules.",
        f"The library alone, in a new process: imports {micro(imports * 1e9)}, reading and checking {micro(loads * 1e9)}, programs {micro(programs * 1e9)}; "
        f"the functions and networks, made at the first question of each version, {micro(functions * 1e9)} for all together.",
    ]
    return part


def _cold() -> tuple[float, float]:
    """ns from the start of the process to the first answer, and to the open port."""
    library = load(POLICIES)
    version = next(library.all())
    port = free_port()
    body = json.dumps({"facts": {}, "as_of": version.policy.effective_from.isoformat(), "version": version.policy.version})
    path = f"/v1/policies/{version.policy.id}/check"
    started = time.perf_counter_ns()
    opened = 0
    process = subprocess.Popen(service(POLICIES, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
    try:
        while time.perf_counter_ns() - started < 20e9:
            with suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.connect()
                opened = opened or time.perf_counter_ns() - started
                connection.request("POST", path, body, {"content-type": "application/json"})
                response = connection.getresponse()
                said = response.read()
                if response.status != 200:
                    raise RuntimeError(f"the first answer was {response.status}: {said[:200]!r}")
                return time.perf_counter_ns() - started, opened
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}")
            time.sleep(0.003)
        raise RuntimeError("no answer within 20 s")
    finally:
        process.terminate()
        process.wait(5)


def _fresh(root: str) -> str:
    done = subprocess.run([sys.executable, "-c", _LOAD, root], capture_output=True, text=True, timeout=20, cwd=REPOSITORY, check=True)
    return done.stdout


def _reload(part: Part, rounds: int) -> None:
    """Change one file in a copy of the library, as an author does with a draft."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "policies"
        shutil.copytree(POLICIES, root)
        (root / LEDGER).unlink(missing_ok=True)
        sizes = sorted(rule_files(root), key=lambda p: p.stat().st_size)
        state = State(root)
        for name, path in (("a middling", sizes[len(sizes) // 2]), ("the largest", sizes[-1])):
            times, again, quiet = [], [], []
            for i in range(rounds):
                path.write_text(path.read_text(encoding="utf-8") + f"# change {i}\n", encoding="utf-8")
                spent, changed = once(state.reload)
                if not changed:
                    raise RuntimeError("the changed file was not seen")
                version = state.library.versions[path.parent.name][int(path.stem[1:])]
                more, _ = once(lambda version=version: version.program.known())  # type: ignore[misc]
                times.append(spent + more)
                quiet.append(once(state.reload)[0])
                if not i:
                    again.append(once(lambda: State(root))[0])
            here, anew = statistics.median(times), statistics.median(again)
            row = Row(f"reload, {name} file changed", micro(here), "everything read anew", micro(anew), anew / here, "at most 50 ms", here <= 50e6, itself=True)
            part.rows.append(row)
        part.notes.append(
            "Reload: `State.reload()` of a copy of the library without its ledger (so that files may change), a comment added to one file, "
            f"{rounds} rounds, the changed version's program and function included; a look-round that finds nothing changed takes "
            f"{micro(statistics.median(quiet))}. The watcher looks every 0.5 s, which comes on top."
        )
