"""`policy`: write, check, test, ask, compare, prove, simulate, release and serve policies.

Exit codes: 0 done; 1 the answer is no (faults, failing cases, refused); 2 the command was called wrongly or its input cannot be read; 130 cancelled.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

CANCELLED = 130
#: Seconds until Ctrl-C is heard again that came where Python raises nothing.
AGAIN = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command. Ctrl-C ends it at any moment, while it is imported too, with one line."""
    heard = threading.Event()
    try:
        with _listening(heard, last=arguments is None):
            from cli.commands import run

            return run(arguments, __doc__ or "")
    except KeyboardInterrupt as error:
        said = str(error)
    except Exception:
        if not heard.is_set():
            raise
        said = ""  # a library made an error of its own of it
    print(said or "cancelled", file=sys.stderr)
    return CANCELLED


@contextmanager
def _listening(heard: threading.Event, last: bool) -> Iterator[None]:
    """Note Ctrl-C, and raise it again where it is lost: in a destructor. `last`: the process ends with the command, and is let end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(*_: Any) -> None:
        heard.set()
        raise KeyboardInterrupt

    def lost(about: sys.UnraisableHookArgs) -> None:
        if issubclass(about.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        else:
            unraisable(about)

    before, unraisable = signal.signal(signal.SIGINT, hear), sys.unraisablehook
    sys.unraisablehook = lost
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN if last else before)
        sys.unraisablehook = unraisable


if __name__ == "__main__":
    sys.exit(main())
