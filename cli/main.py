"""`policy`: write, check, test, ask, compare, prove, simulate, release and serve policies.

Exit codes: 0 done; 1 the answer is no (faults, failing cases, refused); 2 the command was called wrongly or its input cannot be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cli import asking, authoring, linting, populating, proving, releasing, serving, showing, simulating, strength
from engine.errors import EvaluationError, FactsError, NotFound, PolicyError, RuleFileError

OK, NO, WRONG = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="policy", description=(__doc__ or "").split("\n\n")[0], epilog=(__doc__ or "").split("\n\n")[1])
    top.add_argument("--root", type=Path, default=Path("policies"), help="the folder of rule files (default: policies)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (authoring, linting, asking, showing, strength, proving, simulating, populating, releasing, serving):
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except RuleFileError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return NO
    except FactsError as error:
        for bad in error.bad:
            print(f"{bad.path or 'facts'}: {bad.message}" + (f"\n  help: {bad.help}" if bad.help else ""), file=sys.stderr)
        return WRONG
    except EvaluationError as error:
        print(f"{error.kind}: {error}" + (f"\n  at {error.place}" if error.place else ""), file=sys.stderr)
        return NO
    except NotFound as error:
        print(f"{error}\n  exists: {', '.join(map(_shown, error.exists)) or 'nothing'}", file=sys.stderr)
        return WRONG
    except PolicyError as error:
        print(error, file=sys.stderr)
        return NO
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away; say nothing at the end either
        return OK
    except (OSError, ValueError) as error:
        print(f"{error}", file=sys.stderr)
        return WRONG


def _shown(item: object) -> str:
    if isinstance(item, dict):
        return f"version {item['version']} from {item['from']}" + (f" until {item['until']}" if item.get("until") else "")
    return str(item)


if __name__ == "__main__":
    sys.exit(main())
