"""The directory of a run: made beside its place as `<name>.partial`, and put there when it is whole; gone if anything fails."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import PolicyError
from simulations.runs.database import told

PARTIAL = ".partial"


@contextlib.contextmanager
def made(folder: Path) -> Iterator[Path]:
    """The directory to write into; it becomes `folder` at the end. Raises PolicyError if there is something in its way."""
    partial = folder.with_name(folder.name + PARTIAL)
    with told():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PolicyError(f"`{folder}` is there already and not empty; name another folder, or remove it")
        try:
            partial.mkdir(parents=True)
        except FileExistsError:
            raise PolicyError(f"`{partial}` is there already: another run writes there, or one was killed; wait for it, or remove it") from None
    try:
        with told():
            yield partial
            os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
