"""The outcome of a policy from the rules that fire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proofs.constants import Texts
from proofs.folding import and_, choose, not_, or_
from proofs.terms import Term, Waits, merged, truth

OUTCOMES = ("allowed", "review", "denied", "undetermined", "error")


def decided(fired: Mapping[str, Sequence[Term]], texts: Texts) -> Term:
    """allowed, review or denied as text; open where it is undetermined. `fired`: for deny, undetermined and review, which of its rules fire.

    A violated deny; else what could still deny or stop; else a review; else what could still ask for one; else allowed.
    """
    denied, stopped, reviewed = (or_(*(truth(f) for f in fired[e])) for e in ("deny", "undetermined", "review"))
    deny, stop, review = (merged(f.waits for f in fired[e]) for e in ("deny", "undetermined", "review"))
    waits = merged(
        (
            deny,
            Waits(unset=stopped),  # stopped for a person to say: no fact is missing
            stop.only_if(not_(stopped)),
            review.only_if(and_(not_(stopped), not_(reviewed))),
        )
    ).only_if(not_(denied))
    value = choose(denied, texts.number("denied"), choose(reviewed, texts.number("review"), texts.number("allowed")))
    return Term(value, False, waits)
