"""The mapping file: every fault with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.check import load_policy
from engine.errors import RuleFileError
from engine.policy import Policy
from simulations.population import mapping
from tests.orders import ORDER, RULES


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    path = tmp_path / "v1.yaml"
    path.write_text(ORDER, encoding="utf-8")
    return load_policy(path)


def refusal(text: str, policy: Policy) -> str:
    with pytest.raises(RuleFileError) as error:
        mapping.parse(text.encode(), "map.yaml", policy.facts)
    return str(error.value)


def test_a_mapping_is_read(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(RULES, encoding="utf-8")
    found = mapping.read(path, policy.facts)
    assert found.model.facts["order.kind"] == "art"
    assert found.model.values["order.paid"] == {"Y": True, "N": False}
    assert found.place("segments", "region") == f"{path}:4:20"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("segmnets: {region: a}\n", "map.yaml:1:1: unknown key `segmnets`\n  help: did you mean `segments`?"),
        ("facts: {order.amont: a}\n", "map.yaml:1:9: the policy has no fact `order.amont`\n  help: did you mean `order.amount`?"),
        ("facts: {order.amount: 5}\n", "map.yaml:1:23: expected a text, got `5`"),
        ("values: {order.kind: {x: nwe}}\n", "map.yaml:1:26: `nwe` is no value of `order.kind`\n  help: did you mean `new`?"),
        ("values: {order.amount: {x: y}}\n", "map.yaml:1:10: `order.amount` is money, its values are not translated"),
        ("dates: {order.on: day}\n", "map.yaml:1:19: `day` is no format of a date"),
        ("dates: {order.on: \"%Q\"}\n", "map.yaml:1:19: `%Q` is no format of a date"),
        ("dates: {order.kind: \"%Y\"}\n", "map.yaml:1:21: `order.kind` is enum of new, renewal, no date"),
        ("fen: [order.rate]\n", "map.yaml:1:7: `order.rate` is ratio, only money is counted in fen"),
        ("- a\n", "map.yaml:1:1: expected keys and values"),
        ("id: a\nid: b\n", "map.yaml:2:1: the key `id` stands twice"),
        ("", "the file is empty"),
    ],
)  # fmt: skip
def test_faults_have_their_place(text: str, said: str, policy: Policy) -> None:
    assert said in refusal(text, policy)


def test_all_faults_are_told_at_once(policy: Policy) -> None:
    assert refusal("facts: {a: b}\nfen: [c]\n", policy).count("the policy has no fact") == 2


def test_a_file_that_is_not_there(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match="there is no such mapping file"):
        mapping.read(tmp_path / "none.yaml", policy.facts)
