"""The Rete network: what fires is what evaluating the conjunctions directly gives, from any thread, without growing."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.network import MAX_FIELDS, MAX_RULES, REMEMBERED, Conjunction, Network, Signature


def matches(conjunctions: list[Conjunction], signature: Signature) -> bool:
    return any(all(signature[atom] == wanted for atom, wanted in c.items()) for c in conjunctions)


def directly(fires: list[list[Conjunction]], silent: list[list[Conjunction]] | None, signature: Signature) -> Signature:
    """Evaluated without a network."""
    if silent is None:
        return tuple(int(matches(c, signature)) for c in fires)
    return tuple(1 if matches(c, signature) else 0 if matches(s, signature) else 2 for c, s in zip(fires, silent, strict=True))


def random_network(rng: random.Random, rules: int, atoms: int, widest: int = 4, alternatives: int = 3) -> list[list[Conjunction]]:
    return [
        [{a: rng.randint(0, 1) for a in rng.sample(range(atoms), rng.randint(1, min(widest, atoms)))} for _ in range(rng.randint(0, alternatives))]
        for _ in range(rules)
    ]


def opposite(conjunctions: list[Conjunction], rng: random.Random) -> list[Conjunction]:
    """Conjunctions that cannot hold together with these: each holds one atom of every one of them the other way round."""
    found: list[Conjunction] = []
    for _ in range(2):
        chosen: Conjunction = {}
        for c in conjunctions:
            atom = rng.choice(sorted(c))
            if chosen.get(atom, 1 - c[atom]) != 1 - c[atom]:
                break
            chosen[atom] = 1 - c[atom]
        else:
            found.append(chosen)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 12))
def test_what_fires_is_what_the_conjunctions_say(seed: int, rules: int, atoms: int) -> None:
    rng = random.Random(seed)
    fires = random_network(rng, rules, atoms)
    network = Network(fires)
    for _ in range(20):
        signature = tuple(rng.randint(0, 1) for _ in range(atoms))
        assert network.fire(signature) == directly(fires, None, signature)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 12))
def test_three_values(seed: int, rules: int, atoms: int) -> None:
    rng = random.Random(seed)
    fires = random_network(rng, rules, atoms)
    silent = [opposite(c, rng) for c in fires]
    network = Network(fires, silent)
    for _ in range(20):
        signature = tuple(rng.choice((0, 1, 2)) for _ in range(atoms))
        assert network.fire(signature) == directly(fires, silent, signature)


@pytest.mark.parametrize("rules", [MAX_RULES - 1, MAX_RULES, MAX_RULES + 1, 200, 500])
def test_large_networks(rules: int) -> None:
    rng = random.Random(rules)
    fires = random_network(rng, rules, 300, alternatives=2)
    network = Network(fires)
    for _ in range(10):
        signature = tuple(rng.randint(0, 1) for _ in range(300))
        assert network.fire(signature) == directly(fires, None, signature)


def test_all_rules_may_fire_at_once() -> None:
    """More than the hundred rules that one ruleset could take."""
    network = Network([[{0: 1}] for _ in range(500)])
    assert network.fire((1,)) == (1,) * 500
    assert network.fire((0,)) == (0,) * 500


def test_a_rule_of_more_atoms_than_the_limit_of_a_ruleset() -> None:
    wide = dict.fromkeys(range(MAX_FIELDS + 30), 1)
    network = Network([[wide], [{0: 1}]])
    assert network.fire((1,) * len(wide)) == (1, 1)
    assert network.fire((*(1,) * (len(wide) - 1), 0)) == (0, 1)


def test_rules_without_conditions() -> None:
    assert Network([[{}], [], [{0: 1}]]).fire((0,)) == (1, 0, 0)
    assert Network([[{}]]).fire(()) == (1,)
    assert Network([]).fire(()) == ()
    assert Network([[{}], []], [[], [{}]]).fire(()) == (1, 0)


def test_a_rule_with_two_true_alternatives_fires_once() -> None:
    assert Network([[{0: 1}, {1: 1}, {0: 1, 1: 1}]]).fire((1, 1)) == (1,)


def test_an_unknown_atom_matches_neither_truth_nor_falsity() -> None:
    network = Network([[{0: 1}], [{0: 0}]], [[{0: 0}], [{0: 1}]])
    assert [network.fire((v,)) for v in (0, 1, 2)] == [(0, 1), (1, 0), (2, 2)]


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    rng = random.Random(7)
    fires = random_network(rng, 40, 10)
    asked = [tuple(rng.randint(0, 1) for _ in range(10)) for _ in range(60)]
    once = [Network(fires).fire(s) for s in asked[:5]]
    network = Network(fires)
    for signature in asked:
        network.fire(signature)
    assert [network._fire(s) for s in asked[:5]] == once


def test_answers_are_remembered_up_to_a_bound() -> None:
    network = Network([[{a: 1}] for a in range(13)])
    signatures = [tuple((n >> a) & 1 for a in range(13)) for n in range(REMEMBERED + 1000)]
    for signature in signatures:
        network.fire(signature)
    assert 0 < len(network._answers) <= REMEMBERED
    assert network.fire(signatures[0]) == signatures[0]
    assert network.fire(signatures[-1]) == signatures[-1]


def test_several_threads_may_ask_one_network() -> None:
    rng = random.Random(3)
    fires = random_network(rng, 80, 20)
    network = Network(fires)
    wrong: list[Signature] = []
    start = threading.Barrier(4)

    def ask(seed: int) -> None:
        mine = random.Random(seed)
        start.wait()
        for _ in range(300):
            signature = tuple(mine.randint(0, 1) for _ in range(20))
            if network._fire(signature) != directly(fires, None, signature):
                wrong.append(signature)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_several_threads_may_ask_several_networks_while_others_are_made_and_deleted() -> None:
    wrong: list[Signature] = []

    def ask(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(10):
            fires = random_network(mine, 20, 8)
            network = Network(fires)
            for _ in range(20):
                signature = tuple(mine.randint(0, 1) for _ in range(8))
                if network.fire(signature) != directly(fires, None, signature):
                    wrong.append(signature)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_networks_of_the_same_rules_share_their_rulesets_and_nothing_else() -> None:
    rng = random.Random(11)
    fires = random_network(rng, 30, 12)
    one, two, other = Network(fires), Network(fires), Network([*fires, [{0: 1}]])
    assert [r.handle for r in one._built()] == [r.handle for r in two._built()]
    assert [r.handle for r in one._built()] != [r.handle for r in other._built()]
    for _ in range(20):
        signature = tuple(rng.randint(0, 1) for _ in range(12))
        assert one.fire(signature) == two.fire(signature) == directly(fires, None, signature)


def test_a_ruleset_is_deleted_once_its_network_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once nothing shares it any more, and at the latest when the next one is made: a finalizer may run in the middle of a match."""
    import engine.network as module

    deleted: list[int] = []
    delete = module.rete.delete_ruleset
    monkeypatch.setattr(module.rete, "delete_ruleset", lambda handle: (deleted.append(handle), delete(handle)))
    network = Network([[{0: 1}] for _ in range(MAX_RULES * 2 + 1)])
    network.fire((1,))
    handles = [r.handle for r in network._built()]
    assert len(handles) == 3
    del network
    module._pool.clear()
    gc.collect()
    Network([[{0: 1}]]).fire((1,))
    assert set(handles) <= set(deleted)


def test_a_network_goes_with_its_last_user() -> None:
    """Without waiting for the garbage collector: each program of a what-if has networks of its own, of up to a megabyte."""
    network = Network([[{0: 1}]])
    network.fire((1,))
    left = weakref.ref(network)
    gc.disable()
    try:
        del network
        assert left() is None
    finally:
        gc.enable()


GROWTH = """
import gc, os, random, sys
sys.path.insert(0, "tests")
from test_network import Network, random_network
def pages():
    return int(open("/proc/self/statm").read().split()[1])
def cycle(n):
    for seed in range(n):
        network = Network(random_network(random.Random(seed % 40), 30, 20))
        network.fire((1,) * 20)
        del network
        if seed % 20 == 0:
            gc.collect()
cycle(100)
before = pages()
cycle(400)
print((pages() - before) * os.sysconf("SC_PAGE_SIZE") // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_when_networks_are_replaced() -> None:
    """The same rules again (another version, a what-if) cost nothing: built anew each time they would take more than 200 MB here."""
    done = subprocess.run([sys.executable, "-c", GROWTH], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout) < 8_000


ASKED = """
import os, random, sys
sys.path.insert(0, "tests")
from test_network import Network, random_network
def pages():
    return int(open("/proc/self/statm").read().split()[1])
network = Network(random_network(random.Random(1), 30, 40))
rng = random.Random(2)
def ask(n):
    for _ in range(n):
        network.fire(tuple(rng.randint(0, 1) for _ in range(40)))
ask(8000)
before = pages()
ask(30000)
print((pages() - before) * os.sysconf("SC_PAGE_SIZE") // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_when_a_network_is_asked_on_and_on() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout) < 8_000
