"""Starting the service: uvicorn, JSON logs, and no open door."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from api import keys as api_keys
from api.app import create
from api.fast import Decisions
from api.protocol import Protocol

_SETTINGS = "POLICY_SERVICE_SETTINGS"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"), "level": record.levelname.lower(),
            "logger": record.name, "event": record.getMessage(), **(getattr(record, "data", None) or {}),
        }  # fmt: skip
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def logging_config() -> dict[str, object]:
    handler = {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    quiet = {"handlers": ["json"], "level": "INFO", "propagate": False}
    return {
        "version": 1, "disable_existing_loggers": False, "formatters": {"json": {"()": "api.serve.JsonFormatter"}}, "handlers": {"json": handler},
        "loggers": {"uvicorn": quiet, "uvicorn.error": {"level": "INFO"}, "uvicorn.access": {"handlers": [], "level": "CRITICAL"}, "policy": quiet},
    }  # fmt: skip


def serve(root: Path, host: str, port: int, workers: int, keys: str | None, decision_log: str | None, reload: bool) -> int:
    """Run until stopped. 2 if the settings are refused."""
    try:
        api_keys.refuse_open(host, api_keys.load(Path(keys) if keys else None))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not root.is_dir():
        print(f"no folder of rule files at {root}; name it with --root", file=sys.stderr)
        return 2
    os.environ[_SETTINGS] = json.dumps({"root": str(root), "keys": keys, "decision_log": decision_log, "reload": reload})
    uvicorn.run(
        "api.serve:application", factory=True, host=host, port=port, workers=workers, log_config=logging_config(), access_log=False,
        loop="uvloop", http=Protocol, ws="none", server_header=False, date_header=False, proxy_headers=False, timeout_keep_alive=30,
        limit_concurrency=1000,
    )  # fmt: skip
    return 0


def application() -> Decisions:
    """The application of one worker, from the settings of `serve`."""
    gc.set_threshold(20_000, 20, 20)  # a request leaves no cycles behind; looking for them 30 times less often costs no memory
    settings = json.loads(os.environ[_SETTINGS])
    keys = api_keys.load(Path(settings["keys"]) if settings["keys"] else None)
    log = settings["decision_log"]
    return create(Path(settings["root"]), keys, Path(log) if log else None, settings["reload"])
