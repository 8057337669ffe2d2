"""`policy serve`: the HTTP service."""

from __future__ import annotations

import argparse
import re
from typing import Any


def add(commands: Any) -> None:
    serve = commands.add_parser("serve", help="start the HTTP service")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--keys", metavar="FILE", help="API keys with their roles; needed on any address but loopback")
    serve.add_argument("--log-decisions", metavar="FILE", help="append every decision to this file, as JSON lines")
    serve.add_argument("--no-reload", action="store_true", help="do not watch the rule files")
    serve.add_argument("--data", metavar="DIR", help="keep simulations here (default: a temporary folder, gone when the service stops)")
    serve.add_argument("--populations", metavar="DIR", help="populations that callers may simulate over, by name: files, or folders of files")
    serve.add_argument("--simulation-memory", default="2GB", metavar="SIZE", help="memory of the database of a simulation (default: 2GB)")
    serve.add_argument("--simulation-queue", type=int, default=20, metavar="N", help="simulations that may wait (default: 20)")
    serve.add_argument("--simulations-kept", type=int, default=100, metavar="N", help="simulations that are kept once they are over (default: 100)")
    serve.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from api.serve import Simulating, serve

    if not re.fullmatch(r"[1-9][0-9]*(\.[0-9]+)?(MB|GB|MiB|GiB)", options.simulation_memory):
        raise ValueError(f"--simulation-memory: `{options.simulation_memory}` is no size; write for example 2GB or 512MB")
    if options.simulation_queue < 1 or options.simulations_kept < 1:
        raise ValueError("--simulation-queue, --simulations-kept: at least 1")
    simulating = Simulating(options.data, options.populations, options.simulation_memory, options.simulation_queue, options.simulations_kept)
    return serve(
        options.root, options.host, options.port, options.workers, options.keys, options.log_decisions, reload=not options.no_reload, simulating=simulating
    )
