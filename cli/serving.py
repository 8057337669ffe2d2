"""`policy serve`: the HTTP service."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    serve = commands.add_parser("serve", help="start the HTTP service")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--keys", metavar="FILE", help="API keys with their roles; needed on any address but loopback")
    serve.add_argument("--log-decisions", metavar="FILE", help="append every decision to this file, as JSON lines")
    serve.add_argument("--no-reload", action="store_true", help="do not watch the rule files")
    serve.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from api.serve import serve

    return serve(options.root, options.host, options.port, options.workers, options.keys, options.log_decisions, reload=not options.no_reload)
