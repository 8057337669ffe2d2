"""Remedies: the cheapest set of changes is held against enumeration, each is confirmed by the engine, and reads like advice in both languages."""

from __future__ import annotations

import argparse
import heapq
import json
import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import proving
from engine import library
from engine.cases import case_file, flat, load_cases
from engine.check import load_policy
from engine.clock import instant
from engine.decide import Program
from engine.errors import FactsError, RuleFileError
from engine.library import Library
from engine.source import parse
from engine.version import Version
from proofs.influence import FILE, Influence, held, influence
from proofs.remedy import Remedies, remedy
from tests.conftest import SHIPPED

TIERS = Path(__file__).parent / "proofs" / "tiers.yaml"
Option = tuple[Fraction, dict[str, Any]]
#: So many sets of changes are tried before enumeration gives up.
TRIED = 60_000


@pytest.fixture(scope="module")
def shipped_library() -> Library:
    return library.load(SHIPPED)


def known(found: Library, version: Version) -> Influence:
    facts = {f for other in found.versions[version.policy.id].values() for f in other.policy.facts}
    result = influence(version.policy, version.path, facts)
    assert result is not None
    return result


# -- enumeration: written from the file alone, without the reading -------------------------------------------------------------------------


def options(raw: dict[str, Any], facts: dict[str, Any], as_of: datetime) -> Iterator[list[Option]]:
    """For each thing that can change: every way to change it with its cost, cheapest first; the first is to leave it."""
    for name, one in raw["facts"].items():
        if name not in facts:
            continue
        value = facts[name]
        found: list[Option] = [(Fraction(0), {})]
        found += [(Fraction(b["cost"]), {name: b["value"]}) for b in one.get("becomes", []) if b["value"] != value and value in b.get("from", [value])]
        for key, sign in (("down", -1), ("up", 1)):
            if key in one and value is not None:
                found += list(shifts(name, value, one[key], sign))
        yield sorted(found, key=lambda o: o[0])
        for member in value if "loses" in one else []:
            move = next((m for m in one["loses"] if m["value"] == member), None)
            if move is not None:
                yield [(Fraction(0), {}), (Fraction(move["cost"]), {f"{name}-": [member]})]
        for move in one.get("gains", []):
            if move["value"] not in value:
                yield [(Fraction(0), {}), (Fraction(move["cost"]), {f"{name}+": [move["value"]]})]
        if "adds" in one:
            adds = one["adds"]
            record = {k: v.replace("{as_of}", as_of.date().isoformat()) if isinstance(v, str) else v for k, v in adds["record"].items()}
            yield [(Fraction(adds["cost"]) * n, {f"{name}+": [record] * n}) for n in range(adds["up_to"] + 1)]
        for field, inner in one.get("each", {}).items():
            for i, record in enumerate(value or []):
                for b in inner["becomes"]:
                    if record[field] != b["value"] and record[field] in b.get("from", [record[field]]):
                        yield [(Fraction(0), {}), (Fraction(b["cost"]), {f"{name}[{i}].{field}": b["value"]})]
    if "waiting" in raw:
        yield [(Fraction(raw["waiting"]["per_day"]) * n, {"as_of": n}) for n in range(raw["waiting"]["up_to_days"] + 1)]


def shifts(name: str, value: Any, move: dict[str, Any], sign: int) -> Iterator[Option]:
    """Every value of a number that is at most 25 of its smallest steps away."""
    step = Decimal(1) if isinstance(value, int) else Decimal("0.01")
    for n in range(1, 26):
        to = Decimal(value) + sign * n * step
        if to >= 0:
            cost = Fraction(move["cost"]) + Fraction(move.get("per_unit", "0.001")) * Fraction(n * step)
            yield cost, {name: int(to) if isinstance(value, int) else str(to)}


def applied(facts: dict[str, Any], as_of: datetime, changes: list[dict[str, Any]]) -> tuple[dict[str, Any], datetime]:
    result = dict(facts)
    for change in changes:
        for name, value in change.items():
            if name == "as_of":
                as_of = datetime.combine((as_of + timedelta(days=value)).date(), datetime.min.time(), as_of.tzinfo) if value else as_of
            elif name.endswith("-"):
                result[name[:-1]] = [v for v in result[name[:-1]] if v not in value]
            elif name.endswith("+"):
                result[name[:-1]] = [*result[name[:-1]], *value]
            elif "[" in name:
                listed, index, field = re.fullmatch(r"(.*)\[(\d+)\]\.(.*)", name).groups()  # type: ignore[union-attr]
                result[listed] = [{**r, field: value} if i == int(index) else r for i, r in enumerate(result[listed])]
            else:
                result[name] = value
    return result, as_of


def enumerated(program: Program, raw: dict[str, Any], facts: dict[str, Any], as_of: datetime) -> Fraction | None:
    """The cost of the cheapest set of changes that is allowed, by trying them in the order of their cost; None if none is."""
    levers = [found for found in options(raw, facts, as_of) if len(found) > 1]
    queue: list[tuple[Fraction, tuple[int, ...], int]] = [(Fraction(0), (0,) * len(levers), 0)]
    for _ in range(TRIED):
        if not queue:
            return None
        cost, at, first = heapq.heappop(queue)
        case, moment = applied(facts, as_of, [lever[i][1] for lever, i in zip(levers, at, strict=True)])
        if program.check(case, moment)["outcome"] == "allowed":
            return cost
        for k in range(first, len(levers)):
            if at[k] + 1 < len(levers[k]):
                more = levers[k][at[k] + 1][0] - levers[k][at[k]][0]
                heapq.heappush(queue, (cost + more, (*at[:k], at[k] + 1, *at[k + 1 :]), k))
    pytest.fail("enumeration gives up")


BROKEN: dict[str, dict[str, list[Any]]] = {
    "relation-change": {
        "actor.role": ["operator"], "customer.enterprise_role": ["master_with_non_custody_subs", "non_custody_sub"],
        "customer.has_active_reserved_instance": [True], "customer.pending_partner_payment_orders": [2], "customer.arrears_amount": ["0.03"],
        "customer.unpaid_invoice_amount": ["0.02"], "application.account_check_passed": [False], "application.notice_accepted": [False],
        "application.reason": [None], "relation.mode": ["resale", "consulting_sales"], "action": ["switch", "dissociate"],
        "customer.last_dissociation_request_on": ["2025-03-20"], "customer.has_special_contract_in_force": [True],
    },
    "reseller-programme-joining": {
        "account.identity": ["personal"], "account.freezes": [["arrears", "partner_freeze"], ["public_security"]], "account.arrears_amount": ["0.05"],
        "account.recharge_balance": ["0.01"], "account.open_resource_count": [3], "account.postpaid_enabled": [True], "account.enterprise_role": ["main"],
        "account.programmes": [[{"programme": "distributor", "state": "in_review"}, {"programme": "pce", "state": "in_review"}]],
        "account.linked_to_first_level_reseller": [True], "application.route": ["distributor_invitation_of_new_account"],
        "invitation.from_distributor": [False], "partner.hcpn_joined": [False, True],
    },
    "service-path-certification": {
        "partner.hcpn_joined": [False], "headcount.hccda": [0, 1], "headcount.hccdp": [1], "headcount.same_persons_counted_twice": [True],
        "projects": [[], [{"kind": "cloud_professional_service", "date": "2025-01-05", "approved": False}]],
        "application.step": ["submission"], "materials": [[]], "partner.on_service_path": [False],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("seed", range(8))
def test_the_remedy_is_minimal(shipped_library: Library, name: str, seed: int) -> None:
    """An allowed case is broken in a few places; the cheapest remedy costs what enumeration finds."""
    version = shipped_library.version(name, 1)
    rng = random.Random(f"{name} {seed}")
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "allowed")
    facts = dict(base.facts)
    for fact in rng.sample(list(BROKEN[name]), rng.choice([2, 3])):
        facts[fact] = rng.choice(BROKEN[name][fact])
    raw = yaml.safe_load(version.path.with_name(FILE).read_text(encoding="utf-8"))
    least = enumerated(version.program, raw, facts, base.as_of)
    found = remedy(version.program, facts, base.as_of, known(shipped_library, version), seconds=20)
    assert found.cheapest
    if least is None:
        assert found.status == "impossible"
    else:
        assert found.status == ("passes" if least == 0 else "possible")
        assert not found.alternatives or found.alternatives[0].cost == least


# -- every shipped case --------------------------------------------------------------------------------------------------------------------

DECLARED = sorted({p.parent.name for p in SHIPPED.rglob(FILE)})
PATHS = re.compile(r"[a-z]_[a-z]|[a-z]\.[a-z]|[{}]")


@pytest.mark.parametrize("name", DECLARED)
def test_remedies_of_all_cases_pass_and_read_like_advice(shipped_library: Library, name: str) -> None:
    """Cases of the newest version that the engine does not allow: every alternative is allowed, none contains another, no variable names in the texts."""
    version = shipped_library.versions[name][max(shipped_library.versions[name])]
    stated = known(shipped_library, version)
    loaded = load_cases(case_file(version.path))
    cases = [c for c in loaded if c.expect.error is None and c.expect.outcome != "allowed" and set(c.facts) <= set(version.policy.facts)]
    assert cases
    statuses = set()
    for case in cases[::2]:
        found = remedy(version.program, case.facts, case.as_of, stated, seconds=10)
        statuses.add(found.status)
        assert found.status != "undecided", case.name
        for one in found.alternatives:
            asked = flat(case.facts) | one.facts
            assert version.program.check(asked, one.as_of)["outcome"] == "allowed", case.name
            if all(step.kind != "state" for step in one.steps):
                for text in (one.says.en, one.says.zh):
                    assert not PATHS.search(re.sub(r"“[^”]*”", "", text)), text
            assert one.says.en[0].isupper()
            assert one.says.en.endswith(".")
            assert one.says.zh.endswith("。")
        steps = [{(s.path, s.says.en) for s in one.steps} for one in found.alternatives]
        assert not any(a < b for a in steps for b in steps), (case.name, steps)
        assert (found.status == "impossible") == bool(found.obstacles)
    assert "possible" in statuses


def relation(shipped_library: Library, **changed: Any) -> Remedies:
    version = shipped_library.version("relation-change", 1)
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "allowed")
    facts = base.facts | {k.replace("__", "."): v for k, v in changed.items()}
    return remedy(version.program, facts, instant("2025-06-16"), known(shipped_library, version))


def test_advice_in_both_languages(shipped_library: Library) -> None:
    found = relation(shipped_library, relation__mode="consulting_sales", customer__arrears_amount="1234.50", actor__role="operator")
    assert found.says.en == "Have a partner administrator apply and have 1,234.50 CNY of the customer's arrears paid. This takes about 1 day."
    assert found.says.zh == "由伙伴管理员提出申请；还清客户欠款中的 1,234.50 元。约需 1 天。"


def test_waiting_is_told_as_a_day(shipped_library: Library) -> None:
    found = relation(shipped_library, customer__last_dissociation_request_on="2025-06-01", customer__arrears_amount="5.00")
    (one,) = found.alternatives
    assert one.waits
    assert one.as_of.isoformat() == "2025-09-02T00:00:00+08:00"
    assert one.says.en.endswith("and apply from 2025-09-02 on. This takes about 1 day.")
    assert "自 2025-09-02 起再申请" in one.says.zh


def test_what_cannot_be_influenced_is_named(shipped_library: Library) -> None:
    found = relation(shipped_library, partner__kind="distributor", customer__belongs_to="own_reseller", actor__role="operator")
    assert (found.status, [o.code for o in found.obstacles]) == ("impossible", ["not-own-customer"])
    assert found.says.en.startswith("It cannot be made to pass by anything the partner can influence. This is a customer of a reseller")


def test_answers_are_the_same_each_time(shipped_library: Library) -> None:
    def said() -> str:
        found = relation(shipped_library, customer__cash_balance="5.00", customer__balance_needs_special_handling=True, action="switch",
                         relation__mode="consulting_sales", actor__role="operator")  # fmt: skip
        return json.dumps(found.as_json())

    assert said() == said()


def test_a_missing_fact_is_asked_for(shipped_library: Library) -> None:
    version = shipped_library.version("reseller-programme-joining", 1)
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "allowed")
    facts = {n: v for n, v in base.facts.items() if n != "account.arrears_amount"}
    found = remedy(version.program, facts, base.as_of, known(shipped_library, version))
    assert (found.outcome, found.status) == ("undetermined", "possible")
    assert found.says.en == "It passes, with these facts: arrears of the account: 0.00 CNY."
    assert found.alternatives[0].facts == {"account.arrears_amount": "0.00"}


def test_facts_of_other_policies_are_filled_in(shipped_library: Library) -> None:
    """The headcount comes from the staff of the same request; more certified members are asked for on top of it."""
    version = shipped_library.version("service-path-certification", 1)
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "allowed" and c.facts["target"] == "role_certified")
    counted = ("headcount.hccda", "headcount.hccdp", "headcount.hccde", "headcount.dedicated_project_managers", "headcount.same_persons_counted_twice")
    facts = {n: v for n, v in base.facts.items() if n not in counted}
    found = remedy(version.program, facts | {"staff": []}, base.as_of, known(shipped_library, version), resolve=shipped_library.resolver(base.as_of, None))
    assert found.status == "possible"
    assert found.alternatives[0].facts == {"headcount.hccda": 2, "headcount.hccdp": 2}


def test_bad_facts_are_told_as_a_check_does(shipped_library: Library) -> None:
    with pytest.raises(FactsError):
        relation(shipped_library, action="leave")


def test_no_time_is_no_answer(shipped_library: Library) -> None:
    version = shipped_library.version("relation-change", 1)
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "denied")
    found = remedy(version.program, base.facts, base.as_of, known(shipped_library, version), seconds=0)
    assert found.status in ("undecided", "possible")
    assert not found.cheapest
    assert found.reason is not None


# -- tiers ---------------------------------------------------------------------------------------------------------------------------------

MOVES = """\
policy: tiers
waiting: {per_day: "1"}
names: {share: {en: the share, zh: 分成}}
facts:
  sales: {up: {cost: "1", per_unit: "0.01", says: {en: "sell {change} more", zh: "多销售 {change}"}}}
  staff: {up: {cost: "5", per_unit: "10", says: {en: "hire {change} member{s}", zh: "增加 {change} 人"}}}
  certified: {becomes: [{value: true, cost: "3", says: {en: get certified, zh: 完成认证}}]}
"""


def moved(**facts: Any) -> Remedies:
    policy = load_policy(TIERS)
    case = {"sales": "80.00", "staff": 2, "certified": True, "since": None} | facts
    return remedy(Program(policy), case, instant("2025-06-02"), held(policy, parse(MOVES.encode(), FILE)))


def gains(found: Remedies) -> list[tuple[str, str, str, str, str]]:
    return [(g.output, g.fact, g.to, g.change, g.gain) for g in found.gains]


def test_the_next_tier_and_its_worth() -> None:
    """Sales of 80: the whole scale pays 16 and 30 less a while later, 90 at 300; the marginal one changes its rate at 100; staff gives 20 at 5."""
    assert gains(moved()) == [
        ("rebate", "sales", "300.00", "220.00", "74.00"), ("bonus", "staff", "5", "3", "10.00"), ("capped", "sales", "100.00", "20.00", "2.00"),
        ("share", "sales", "100.00", "20.00", "2.00"),
    ]  # fmt: skip


def test_tiers_are_told_in_both_languages() -> None:
    found = next(g for g in moved().gains if g.output == "share")
    assert found.says.en == "20.00 CNY more of sales (then 100.00 CNY) reaches the next tier: the share rises by 2.00 CNY, to 10.00 CNY."
    assert found.says.zh == "销售额再增加 20.00 元（达到 100.00 元）即进入下一档：分成增加 2.00 元，为 10.00 元。"


def test_the_last_tier_has_no_next() -> None:
    assert gains(moved(sales="5000.00", staff=9)) == []


def test_tiers_are_where_brute_force_has_them() -> None:
    program = Program(load_policy(TIERS))
    for staff in range(2, 7):
        cases = ({"sales": "0.00", "staff": n, "certified": True, "since": None} for n in range(12))
        worth = [Decimal(program.check(case, instant("2025-06-02"))["outputs"]["bonus"]) for case in cases]
        better = next((n for n in range(staff, 12) if worth[n] > worth[staff]), None)
        found = next((g for g in moved(sales="0.00", staff=staff).gains if g.output == "bonus"), None)
        assert (None if found is None else int(found.to)) == better


def test_english_agrees_in_number() -> None:
    assert moved(staff=1).says.en == "Hire 1 member."
    assert moved(staff=0).says.en == "Hire 2 members."


# -- the file ------------------------------------------------------------------------------------------------------------------------------

SAYS = 'cost: "1", says: {en: x, zh: x}'
FAULTS = [
    (f"sale: {{up: {{{SAYS}}}}}", "unknown fact `sale`", "did you mean `sales`?"),
    (f"certified: {{up: {{{SAYS}}}}}", "bool has no direction", "`becomes` names the values it can be given"),
    (f"certified: {{becomes: [{{value: yes, {SAYS}}}]}}", "expected bool", None),
    (f"sales: {{loses: [{{value: a, {SAYS}}}]}}", "money in CNY is no set", None),
    ("sales: {}", "nothing is said of how it can change", None),
    ('sales: {up: {cost: "-1", says: {en: x, zh: x}}}', "", None),
    (f"sales: {{each: {{a: {{up: {{{SAYS}}}}}}}}}", "money in CNY is no list of records", None),
]


@pytest.mark.parametrize(("entry", "message", "help"), FAULTS)
def test_faults_of_the_file(entry: str, message: str, help: str | None) -> None:
    with pytest.raises(RuleFileError) as caught:
        held(load_policy(TIERS), parse(f"policy: tiers\nfacts:\n  {entry}\n".encode(), FILE))
    (fault,) = caught.value.faults
    assert message.partition(" in CNY")[0] in fault.message
    assert fault.place.line == 3
    assert help is None or fault.help == help


def test_facts_of_other_versions_may_stand_in_the_file() -> None:
    text = f"policy: tiers\nfacts:\n  old: {{up: {{{SAYS}}}}}\n"
    assert held(load_policy(TIERS), parse(text.encode(), FILE), ["old"]).facts == {}


# -- the commands --------------------------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> int:
    top = argparse.ArgumentParser()
    top.add_argument("--root", type=Path, default=SHIPPED)
    proving.add(top.add_subparsers())
    chosen = top.parse_args(arguments)
    code: int = chosen.run(chosen)
    return code


def test_policy_remedy_advises(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    version = library.load(SHIPPED).version("relation-change", 1)
    base = next(c for c in load_cases(case_file(version.path)) if c.expect.outcome == "allowed")
    facts = tmp_path / "case.json"
    facts.write_text(json.dumps(base.facts | {"actor.role": "operator"}), encoding="utf-8")
    asked = ("remedy", "relation-change", "--facts", str(facts), "--as-of", base.as_of.date().isoformat())
    assert command(*asked) == 0
    assert capsys.readouterr().out.splitlines()[0] == "Have a partner administrator apply."
    assert command(*asked, "--language", "zh") == 0
    assert capsys.readouterr().out == "由伙伴管理员提出申请。\n"
    assert command(*asked, "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "possible"
    assert command(*asked, "--fact", "customer.belongs_to=own_reseller", "--fact", "partner.kind=distributor") == 1


def test_policy_prove_tells_properties_and_cliffs(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("prove", "voucher-recall@2") == 0
    said = capsys.readouterr().out
    assert said.count("  proved: ") == 3
    assert said.count("    meant: ") == 3
