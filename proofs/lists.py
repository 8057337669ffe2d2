"""List expressions on bounded lists: aggregates, selections and `each` blocks, item by item with the condition under which the item is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from engine import syntax as s
from engine.types import SetType, is_text
from proofs.folding import Truth, add, and_, choose, equal, less, not_, or_
from proofs.functions import distinct
from proofs.oracle import apply
from proofs.symbols import World
from proofs.terms import Items, Term, Waits, chosen, deep_waits, k_and, k_not, k_or, merged, truth

Env = dict[Any, Term]
Walk = Callable[[s.Node, Env], Term]
ZERO = Fraction(0)


def _held(node: s.Node | None, env: Env, walk: Walk) -> Term:
    return Term(True) if node is None else walk(node, env)


def _scopes(source: Term, variable: str, condition: s.Node | None, env: Env, walk: Walk) -> Iterator[tuple[Truth, Env, Term]]:
    """For each item: when it is in the list, the names, and whether it meets the condition."""
    for guard, item in source.value.entries:
        if guard is False:
            continue
        inner = {**env, variable: item}
        yield guard, inner, _held(condition, inner, walk)


def aggregate(node: s.Aggregate, source: Term, env: Env, walk: Walk, world: World) -> Term:
    """count, sum, any, all, min, max."""
    found = list(_scopes(source, node.variable, node.condition, env, walk))
    if node.function in ("any", "all"):
        return _any(node, source, found, walk)
    waits = merged((source.waits, *(held.waits.only_if(guard) for guard, _, held in found)))
    picked = [(and_(guard, truth(held)), inner) for guard, inner, held in found]
    if node.function == "count":
        total: Any = ZERO
        for guard, _ in picked:
            total = add(total, choose(guard, Fraction(1), ZERO))
        return Term(total, False, waits)
    assert node.value is not None
    values = [(guard, walk(node.value, inner)) for guard, inner in picked]
    waits = merged((waits, *(v.waits.only_if(guard) for guard, v in values)))
    if node.function == "sum":
        total = ZERO
        for guard, v in values:
            total = add(total, choose(guard, v.value, ZERO))
        return Term(total, False, waits)
    best = Term(None, True)
    for guard, v in values:
        bare = Term(v.value)
        if best.value is None:
            best = Term(v.value, not_(guard))
            continue
        better = less(best.value, v.value) if node.function == "max" else less(v.value, best.value)
        best = chosen(and_(guard, or_(best.null, better)), bare, best)
    return Term(best.value, best.null, waits)


def _any(node: s.Aggregate, source: Term, found: list[tuple[Truth, Env, Term]], walk: Walk) -> Term:
    tests = []
    assert node.value is not None
    for guard, inner, held in found:
        value = walk(node.value, inner)
        tests.append(k_and([Term(guard), held, value if node.function == "any" else k_not(value)]))
    result = k_or(tests) if tests else Term(False)
    return (result if node.function == "any" else k_not(result)).but(source.waits)


def select(node: s.Select, source: Term, env: Env, walk: Walk, world: World) -> Term:
    """The values of the items that meet the condition, in the order of the source; each once if it is a set."""
    found = list(_scopes(source, node.variable, node.condition, env, walk))
    waits = merged((source.waits, *(held.waits.only_if(guard) for guard, _, held in found)))
    items = Items(tuple((and_(guard, truth(held)), walk(node.value, inner)) for guard, inner, held in found))
    if not isinstance(node.type, SetType):
        return Term(items, False, waits)
    waits = merged((waits, *(deep_waits(x).only_if(g) for g, x in items.entries)))
    return Term(distinct(items), False, waits)


def each(node: s.Each, source: Term, env: Env, walk: Walk, world: World) -> Term:
    """A list of records, one or more for each item kept."""
    waits = [source.waits]
    kept = []
    for guard, inner, held in _scopes(source, node.variable, node.where, env, walk):
        waits.append(held.waits.only_if(guard))
        kept.append((and_(guard, truth(held)), inner[node.variable]))
    if node.order and len(kept) > 1:
        kept, waiting = _sorted(node, kept, env, walk, world)
        waits.append(waiting)
    sums: dict[s.Preceding, Term] = dict.fromkeys(own_sums(node), Term(ZERO))
    records: list[tuple[Truth, Term]] = []
    for guard, item in kept:
        inner = {**env, node.variable: item, **sums}
        for name, let in node.lets:
            inner[name] = walk(let, inner)
        for p, total in sums.items():
            growth = walk(p.value, inner)
            sums[p] = Term(add(total.value, choose(guard, growth.value, ZERO)), False, merged((total.waits, growth.waits.only_if(guard))))
        keep = _held(node.keep, inner, walk)
        for row in node.rows:
            held = k_and([keep, _held(row.when, inner, walk)])
            waits.append(held.waits.only_if(guard))
            records.append((and_(guard, truth(held)), Term(tuple(walk(v, inner) for v in row.values))))
    items = Items(tuple((g, x) for g, x in records if g is not False))
    if node.whole:
        waits += [deep_waits(x).only_if(g) for g, x in items.entries]
    return Term(items, False, merged(waits))


def _sorted(node: s.Each, kept: list[tuple[Truth, Term]], env: Env, walk: Walk, world: World) -> tuple[list[tuple[Truth, Term]], Waits]:
    """Stable, by exchanging neighbours; what is not there goes to the end."""
    found = []
    waits = []
    for guard, item in kept:
        keys = tuple(walk(key, {**env, node.variable: item}) for key, _ in node.order)
        waits += [k.waits.only_if(guard) for k in keys]
        found.append((guard, Term((item, Term(keys)))))
    for turn in range(len(found) - 1):
        for i in range(len(found) - 1 - turn):
            (g, a), (h, b) = found[i], found[i + 1]
            swap = and_(h, or_(not_(g), _after(node, a.value[1].value, b.value[1].value, world)))
            found[i] = (choose(swap, h, g), chosen(swap, b, a))
            found[i + 1] = (choose(swap, g, h), chosen(swap, a, b))
    return [(g, pair.value[0]) for g, pair in found], merged(waits)


def _after(node: s.Each, a: tuple[Term, ...], b: tuple[Term, ...], world: World) -> Truth:
    """Does the second come before the first, strictly?"""
    result: Truth = False
    for (key, descending), x, y in reversed(list(zip(node.order, a, b, strict=True))):
        first, second = (x.value, y.value) if descending else (y.value, x.value)
        if is_text(key.type):
            result = or_(apply(world, "precedes", first, second)[0], and_(equal(first, second), result))
        else:
            result = or_(less(first, second), and_(not_(less(second, first)), result))
    return result


def own_sums(node: s.Each) -> list[s.Preceding]:
    """The running sums of an `each`, without those of one inside it."""

    def visit(part: s.Node) -> Iterator[s.Preceding]:
        if isinstance(part, s.Preceding):
            yield part
        elif not isinstance(part, s.Each):
            for child in s.children(part):
                yield from visit(child)

    return [p for _, let in node.lets for p in visit(let)]
