"""What a policy declares about its made-up cases: the distributions beside its rule files, and how many rows that takes at least."""

from __future__ import annotations

from engine.functions import to_date
from engine.library import Library
from engine.policy import Policy
from simulations.runs.order import Misfit, OrderError
from simulations.runs.task import Task
from simulations.synthetic import synthetic
from simulations.synthetic.declaration import Declaration

#: A declaration of distributions, beside the rule files of its policy.
DECLARATION = "population.yaml"
#: From so many rows on every policy's boundary values fit.
ENOUGH = 10_000


def declared(library: Library, policy: Policy) -> Declaration | None:
    """The declaration beside the rule files of a policy, if there is one; those outside the library have none. Raises RuleFileError."""
    paths = (v.path for v in library.versions.get(policy.id, {}).values() if v.path.is_relative_to(library.root))
    file = next((p.parent / DECLARATION for p in paths), None)
    return synthetic.declared(policy, file, file.relative_to(library.root).as_posix()) if file is not None and file.is_file() else None


def need_rows(wanted: Task) -> None:
    """A made-up population holds every boundary value. Raises OrderError, RuleFileError."""
    ask = wanted.order.population.generate
    if ask is None or wanted.as_of is None or ask.rows >= ENOUGH:
        return
    least = synthetic.least(wanted.both, declared(wanted.library, wanted.both), to_date(wanted.as_of))
    if ask.rows < least:
        message = f"{ask.rows:,} cannot hold the {least:,} boundary values of `{wanted.both.id}`"
        raise OrderError(Misfit(("population", "generate", "rows"), message, f"ask for at least {least}"))
