"""`policy show`, `list` and `diff`: versions as a person or a program reads them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cli import paint, regions
from cli.common import as_instant, find, load, now, say, split
from cli.differing import SECONDS
from engine.diff import case_changes, diff
from engine.library import Library
from engine.schema import facts_schema
from engine.version import Version

if TYPE_CHECKING:
    from proofs.difference import Difference
    from proofs.symbols import World

# proofs and simulations are imported where they are used: the tools under them are large, and every command would wait for them

#: Cases of a generated population.
ROWS = 10_000


def add(commands: Any) -> None:
    show = commands.add_parser("show", help="a readable page of one version")
    show.add_argument("policy", metavar="POLICY[@VERSION]")
    show.add_argument("--as-of", metavar="DATE")
    show.add_argument("--facts-schema", action="store_true", help="the JSON Schema of its facts instead")
    show.add_argument("--json", action="store_true")
    show.set_defaults(run=run_show)
    listing = commands.add_parser("list", help="all policies with their versions")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=run_list)
    compare = commands.add_parser("diff", help="what changed between two versions: parameters, rules, texts, cases")
    compare.add_argument("policy", metavar="POLICY")
    compare.add_argument("before", type=int, metavar="FROM")
    compare.add_argument("after", type=int, metavar="TO")
    compare.add_argument("--prove", action="store_true", help="where they answer differently: a complete set of regions, or the proof that there is none")
    compare.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=f"with --prove: the limit of the proof (default: {SECONDS:g})")
    compare.add_argument("--items", type=int, default=2, metavar="N", help="with --prove: lists of at most N items are looked at (default: 2)")
    compare.add_argument("--language", "--lang", choices=paint.LANGUAGES, help="with --prove: one language only (default: both)")
    compare.add_argument("--population", metavar="SOURCE", help="with --prove: count the cases of a population in each region; a file, or `generated`")
    compare.add_argument("--mapping", metavar="FILE", help="which columns of the population hold which facts")
    compare.add_argument("--rows", type=int, default=ROWS, metavar="N", help=f"of a generated population (default: {ROWS})")
    compare.add_argument("--seed", type=int, default=1, help="of a generated population, and of a sample (default: 1)")
    compare.add_argument("--as-of", metavar="DATE", help="the instant of all cases (default: that of each; today for a generated population)")
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(run=run_diff)


def run_show(options: argparse.Namespace) -> int:
    name, number = split(options.policy)
    loaded = load(options)
    version = find(loaded, name, number, as_instant(options.as_of))
    if options.facts_schema:
        say(facts_schema(version.policy))
    elif options.json:
        say({**summary(loaded, version), "rules": version.policy.model.model_dump(by_alias=True, exclude_unset=True, mode="json")})
    else:
        paint.page(version.policy, version.status, _period(loaded, version))
    return 0


def summary(loaded: Library, version: Version) -> dict[str, Any]:
    policy = version.policy
    return {"policy": policy.id, "version": policy.version, "digest": policy.digest, "status": version.status, "in_force": _period(loaded, version)}


def _period(loaded: Library, version: Version) -> str:
    for period in loaded.periods(version.policy.id, None):
        if period.version == version.policy.version:
            return f"from {period.start}" + (f" until {period.end}" if period.end else "")
    if version.release is not None:
        by = next((r.version for r in loaded.ledger if r.policy == version.policy.id and r.supersedes == version.policy.version), None)
        return f"no more, superseded by version {by}"
    return f"from {version.policy.effective_from} once released"


def run_list(options: argparse.Namespace) -> int:
    loaded = load(options)
    if options.json:
        say([summary(loaded, v) | {"title": v.policy.model.title.model_dump(), "forms": v.policy.forms} for v in loaded.all()])
        return 0
    for version in loaded.all():
        title = version.policy.model.title
        paint.console.print(f"{version.policy.id}@{version.policy.version}  [dim]{version.status}, {_period(loaded, version)}[/]  {title.en}  {title.zh}")
    return 0


def run_diff(options: argparse.Namespace) -> int:
    loaded = load(options)
    before, after = (loaded.version(options.policy, n) for n in (options.before, options.after))
    if options.population is not None and not options.prove:
        raise ValueError("--population goes with --prove")
    if options.prove:
        return _prove(options, loaded, before, after)
    found, cases = diff(before.policy.model, after.policy.model), case_changes(before.path, after.path)
    if options.json:
        say({**found, "cases": cases})
    else:
        paint.differences(found, cases)
    return 0


def _prove(options: argparse.Namespace, loaded: Library, before: Version, after: Version) -> int:
    """The semantic difference. 1 if it is undecided."""
    from proofs.difference import difference
    from proofs.symbols import World

    if options.items < 1:
        raise ValueError("--items is at least 1")
    world = World(items=options.items)
    found = difference(before.policy, after.policy, options.seconds, world, (before.program, after.program))
    data = found.as_json()
    if options.population is not None:
        data["population"] = _weighed(options, loaded, found, world, (before, after))
    if options.json:
        say(data)
    else:
        regions.show(data, paint.languages(options.language))
    return 1 if found.status == "undecided" else 0


def _weighed(options: argparse.Namespace, loaded: Library, found: Difference, world: World, versions: tuple[Version, Version]) -> dict[str, Any]:
    """The cases of a population in the regions of a difference. Raises ValueError for a population that cannot be used."""
    from cli.weighing import weighed
    from simulations.population.misfits import PopulationError
    from simulations.runs.order import read_order

    generated = options.population == "generated"
    source = {"generate": {"rows": options.rows, "seed": options.seed}} if generated else {"source": options.population, "mapping": options.mapping}
    sides = {side: {"version": v.policy.version} for side, v in zip(("baseline", "candidate"), versions, strict=True)}
    as_of = options.as_of or (now().date().isoformat() if generated else None)
    order = read_order({"policy": versions[0].policy.id, **sides, "population": source, "as_of": as_of, "seed": options.seed})
    try:
        return weighed(found, world, order, loaded)
    except PopulationError as error:
        raise ValueError(str(error)) from None
