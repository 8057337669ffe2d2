"""Starting the service: uvicorn, JSON logs, and no open door."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import logging.config
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from api import keys as api_keys
from api.app import create
from api.fast import Decisions
from api.protocol import Protocol
from simulations.jobs import KEPT, QUEUE, Store, StoreError
from simulations.runner import Runner

_SETTINGS = "POLICY_SERVICE_SETTINGS"
#: What the database of a simulation may use, if nothing is said.
MEMORY = "2GB"


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


@dataclass(frozen=True, slots=True)
class Simulating:
    """Where simulations are kept (None: nowhere for long), what they may read and use, and how many wait."""

    data: str | None = None
    populations: str | None = None
    memory: str = MEMORY
    queue: int = QUEUE
    kept: int = KEPT


def serve(
    root: Path, host: str, port: int, workers: int, keys: str | None, decision_log: str | None, reload: bool, simulating: Simulating | None = None
) -> int:
    """Run until stopped. 2 if the settings are refused."""
    simulating = simulating or Simulating()
    try:
        api_keys.refuse_open(host, api_keys.load(Path(keys) if keys else None))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not root.is_dir():
        print(f"no folder of rule files at {root}; name it with --root", file=sys.stderr)
        return 2
    if simulating.populations and not Path(simulating.populations).is_dir():
        print(f"no folder of populations at {simulating.populations}; name it with --populations", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as ending:
        try:
            folder = simulating.data or ending.enter_context(tempfile.TemporaryDirectory(prefix="policy-simulations-"))
            Store(Path(folder)).close()
        except (OSError, StoreError) as error:
            print(f"{simulating.data or 'the folder of temporary files'}: simulations cannot be kept there: {error}", file=sys.stderr)
            return 2
        if not simulating.data:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends first, then raises it again: the folder has to go before the process does
            logging.config.dictConfig(logging_config())
            told = {"folder": folder, "help": "name a folder with --data to keep them"}
            logging.getLogger("policy.service").warning("simulations are kept until the service stops", extra={"data": told})
        settings = {"root": str(root), "keys": keys, "decision_log": decision_log, "reload": reload}
        os.environ[_SETTINGS] = json.dumps(settings | {"simulating": asdict(replace(simulating, data=folder))})
        _run(host, port, workers)
    return 0


def _run(host: str, port: int, workers: int) -> None:
    uvicorn.run(
        "api.serve:application", factory=True, host=host, port=port, workers=workers, log_config=logging_config(), access_log=False,
        loop="uvloop", http=Protocol, ws="none", server_header=False, date_header=False, proxy_headers=False, timeout_keep_alive=30,
        limit_concurrency=1000,
    )  # fmt: skip


def application() -> Decisions:
    """The application of one worker, from the settings of `serve`."""
    gc.set_threshold(20_000, 20, 20)  # a request leaves no cycles behind; looking for them 30 times less often costs no memory
    settings = json.loads(os.environ[_SETTINGS])
    keys = api_keys.load(Path(settings["keys"]) if settings["keys"] else None)
    log, root = settings["decision_log"], Path(settings["root"])
    simulating = Simulating(**settings["simulating"])
    runner = Runner(Store(Path(simulating.data or "."), simulating.queue, simulating.kept), root, simulating.memory)
    populations = Path(simulating.populations) if simulating.populations else None
    return create(root, keys, Path(log) if log else None, settings["reload"], runner, populations)
