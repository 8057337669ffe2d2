"""The commands of `policy`: their arguments, and every error of one as a message with an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cli import asking, authoring, linting, populating, proving, querying, releasing, serving, showing, simulating, strength
from engine.errors import EvaluationError, FactsError, NotFound, PolicyError, RuleFileError

OK, NO, WRONG = 0, 1, 2


def parser(about: str) -> argparse.ArgumentParser:
    """`about`: what the command is, an empty line, its exit codes."""
    description, _, codes = about.partition("\n\n")
    top = argparse.ArgumentParser(prog="policy", description=description, epilog=codes)
    top.add_argument("--root", type=Path, default=Path("policies"), help="the folder of rule files (default: policies)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (authoring, linting, asking, showing, strength, proving, simulating, populating, querying, releasing, serving):
        module.add(commands)
    return top


def run(arguments: Sequence[str] | None, about: str) -> int:
    options = parser(about).parse_args(arguments)
    options.told = []
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        code = command(options)
        sys.stdout.flush()
        return code
    except RuleFileError as error:
        for fault in error.faults:
            if fault not in options.told:
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
        if options.told:
            print(f"  cannot be read: {', '.join(dict.fromkeys(f.place.file for f in options.told))} (the faults stand above)", file=sys.stderr)
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
