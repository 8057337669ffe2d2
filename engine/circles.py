"""Policies that use each other in a circle: none of them could be asked, so the version that closes it is refused."""

from __future__ import annotations

from engine.errors import Fault, Place, did_you_mean
from engine.version import Version

#: The versions of each policy, by number.
Versions = dict[str, dict[int, Version]]


def refuse_circles(versions: Versions, before: Versions) -> dict[str, list[Fault]]:
    """The version that closes a circle is taken out of `versions`: released ones stand, then those that were there before, then by name.

    Gives the faults of each file, a warning for each fact that is to come from an unknown policy among them.
    """
    faults: dict[str, list[Fault]] = {}
    uses: dict[str, set[str]] = {policy: set() for policy in versions}
    served = {id(v.policy) for found in before.values() for v in found.values()}
    everything = [v for found in versions.values() for v in found.values()]
    for version in sorted(everything, key=lambda v: (v.release is None, id(v.policy) not in served, v.policy.id, v.policy.version)):
        policy = version.policy
        added = policy.uses - uses[policy.id]
        if not added:
            continue
        uses[policy.id] |= added
        path = _circle(policy.id, policy.id, uses, ())
        if not path:
            continue
        uses[policy.id] -= added
        place = next((f.place for f in policy.facts.values() if f.origin and f.origin.policy in added), Place(policy.file, 1, 1))
        message = f"policies use each other in a circle: {' → '.join(path)}"
        faults.setdefault(policy.file, []).append(Fault(place, message, "take one of the facts from the request instead"))
        del versions[policy.id][policy.version]
        old = before.get(policy.id, {}).get(policy.version)
        if old is not None and not old.policy.uses - uses[policy.id]:
            versions[policy.id][policy.version] = old
        elif not versions[policy.id]:
            del versions[policy.id]
    for found in versions.values():
        for version in found.values():
            for fact in version.policy.facts.values():
                if fact.origin and fact.origin.policy not in uses:
                    message = f"the fact `{fact.name}` comes from an unknown policy `{fact.origin.policy}`"
                    help = did_you_mean(fact.origin.policy, uses, "leave `from` out until that policy exists")
                    faults.setdefault(version.policy.file, []).append(Fault(fact.place, message, help, "warning"))
    return faults


def _circle(start: str, at: str, uses: dict[str, set[str]], path: tuple[str, ...]) -> tuple[str, ...]:
    for following in sorted(uses.get(at, ())):
        if following == start:
            return (*path, at, start)
        if following not in path and following != at and (found := _circle(start, following, uses, (*path, at))):
            return found
    return ()
