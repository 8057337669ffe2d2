"""The tables of the made-up partner centre: every column with its type and distribution, in the words of `population.yaml`.

A table with `of` has so many rows for each row of that table as its `count` column says; it
carries the columns named in `carry` along. `MONTH-1` stands for the reconciliation period of the month before, and so on.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from engine.functions import add_months
from engine.model import Identifier, Strict
from engine.shape import shape
from engine.source import parse
from simulations.synthetic.declaration import Distribution


class ColumnSpec(Distribution):
    """One column: its type besides its distribution. `amount` is a decimal with 8 places, `texts` a list of texts."""

    type: Literal["bool", "integer", "money", "amount", "ratio", "text", "texts", "date", "datetime"]


class TableSpec(Strict):
    """One table."""

    key: Identifier
    prefix: str
    of: Identifier | None = None
    count: Identifier | None = None
    carry: list[Identifier] = Field(default_factory=list)
    columns: dict[Identifier, ColumnSpec]


class TablesSpec(Strict):
    """All tables, parents before their children."""

    tables: dict[Identifier, TableSpec]


def tables(as_of: date) -> dict[str, TableSpec]:
    """The tables as they are on a day."""
    text = TABLES
    for n in (1, 2, 3):
        month = add_months(as_of.replace(day=1), -n)
        text = text.replace(f"MONTH-{n}:", f"{month.year}M{month.month}:")
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    return shape(parse(f"tables:\n{indented}".encode(), "partner centre"), TablesSpec).tables


TABLES = """
partners:
  key: partner_id
  prefix: P
  columns:
    region: {type: text, choice: {east: 34, north: 27, south: 24, west: 15}}
    kind:
      type: text
      choice: {solution_provider: 64, cloud_reseller: 36}
      when: [{if: {is_distributor: true}, constant: distributor}]
    tier:
      type: text
      choice: {registered: 58, advanced: 32, premier: 10}
      when: [{if: {kind: distributor}, choice: {advanced: 30, premier: 70}}]
    joined_on: {type: date, days: {quantiles: {"0": -2600, "0.5": -900, "1": -30}}}
    site: {type: text, choice: {china: 96, international: 3, europe: 1}}
    programme_expired: {type: bool, choice: {false: 97, true: 3}}
    has_customer_expansion_permission: {type: bool, choice: {true: 95, false: 5}}
    has_contact_mobile: {type: bool, choice: {true: 97, false: 3}}
    has_contact_email: {type: bool, choice: {true: 92, false: 8}}
    verification_enabled: {type: bool, choice: {true: 55, false: 45}}
    distributor_status: {type: text, choice: {active: 98, delisted_exited: 2}}
    counting_purpose: {type: text, choice: {service_role: 44, service_differentiation: 12, si: 12, distributor_scorecard: 4, solution_provider_joining: 28}}
    staff_count:
      type: integer
      quantiles: {"0": 1, "0.5": 5, "0.9": 12, "1": 24}
      when: [{if: {tier: premier}, quantiles: {"0": 8, "0.5": 24, "1": 60}}, {if: {tier: advanced}, quantiles: {"0": 3, "0.5": 11, "1": 36}}]
    customer_count:
      type: integer
      quantiles: {"0": 1, "0.5": 4, "0.9": 14, "1": 26}
      when: [{if: {tier: premier}, quantiles: {"0": 10, "0.5": 34, "1": 60}}, {if: {tier: advanced}, quantiles: {"0": 3, "0.5": 13, "1": 40}}]
    prospect_count: {type: integer, quantiles: {"0": 0, "0.5": 2, "1": 12}}
    pending_review_count: {type: integer, quantiles: {"0": 0, "0.6": 3, "0.9": 9, "1": 18}}
    registered_count: {type: integer, quantiles: {"0": 0, "0.5": 34, "0.8": 71, "0.93": 92, "1": 120}}
    recharge_count: {type: integer, choice: {0: 4, 1: 10, 2: 20, 3: 26, 5: 24, 8: 16}}
    issue_count: {type: integer, choice: {0: 40, 1: 20, 2: 16, 4: 14, 8: 10}}
    cash_amount:
      type: money
      lognormal: {median: "18000.00", spread: "4"}
      when: [{if: {tier: premier}, lognormal: {median: "95000.00", spread: "4"}}]
    unpaid_invoice_amount:
      type: money
      mix:
        - {weight: 55, constant: "0.00"}
        - {weight: 42, share: {uniform: {low: "0.01", high: "0.40"}}, of: cash_amount}
        - {weight: 3, share: {uniform: {low: "0.40", high: "1.20"}}, of: cash_amount}
    unposted_amount: {type: money, mix: [{weight: 60, constant: "0.00"}, {weight: 40, share: {uniform: {low: "0", high: "0.12"}}, of: cash_amount}]}
    withdrawal_requested:
      type: money
      none: "0.15"
      mix:
        - {weight: 82, share: {uniform: {low: "0.05", high: "0.60"}}, of: cash_amount}
        - {weight: 18, share: {uniform: {low: "0.60", high: "1.10"}}, of: cash_amount}

staff:
  key: staff_id
  prefix: S
  of: partners
  count: staff_count
  carry: [tier]
  columns:
    bound_to_partner_admin: {type: bool, choice: {true: 94, false: 6}}
    certificate_count: {type: integer, choice: {0: 22, 1: 44, 2: 24, 3: 10}}
    business_direction: {type: text, choice: {none: 62, junior: 26, intermediate: 12}}
    course_done:
      type: bool
      choice: {true: 25, false: 75}
      when: [{if: {business_direction: intermediate}, choice: {true: 90, false: 10}}]
    exam_passed:
      type: bool
      choice: {true: 5, false: 95}
      when: [{if: {course_done: true}, choice: {true: 82, false: 18}}]
    exam_account_identity: {type: text, choice: {personal: 94, enterprise: 3, none: 3}}

certificates:
  key: certificate_id
  prefix: Z
  of: staff
  count: certificate_count
  carry: [tier]
  columns:
    type:
      type: text
      choice: {hccda: 290, hccdp: 120, hccde: 10, hcia: 140, hcip: 90, hcie: 14, hcia_cs: 60, hcip_cssa: 45, hcie_cssa: 12, hccda_te: 35, hccdp_sa: 36,
        hccde_sa: 8, pmp: 30, ipma_b: 3, ipma_d: 4, hciip_pm: 12, professional_junior: 40, professional_intermediate: 22, lecturer: 5, other_pm: 6}
      when:
        - if: {tier: premier}
          choice: {hccda: 190, hccdp: 210, hccde: 34, hcia: 80, hcip: 110, hcie: 32, hcip_cssa: 60, hcie_cssa: 24, hccda_te: 30, hccdp_sa: 60,
            hccde_sa: 20, pmp: 60, hciip_pm: 22}
    valid_until: {type: date, none: "0.03", days: {quantiles: {"0": -400, "0.1": -1, "0.16": 30, "0.5": 380, "1": 1095}}}

customers:
  key: customer_id
  prefix: C
  of: partners
  count: customer_count
  carry: [kind, tier, region]
  columns:
    account_registered_on: {type: date, days: {quantiles: {"0": -2200, "0.5": -700, "1": -20}}}
    belongs_to:
      type: text
      constant: self
      when: [{if: {kind: distributor}, choice: {self: 70, own_reseller: 30}}]
    enterprise_role: {type: text, choice: {none: 900, master_with_non_custody_subs: 8, master_other: 40, non_custody_sub: 12, custody_sub: 40}}
    has_active_reserved_instance: {type: bool, choice: {false: 96, true: 4}}
    has_support_plan_product: {type: bool, choice: {false: 98, true: 2}}
    pending_partner_payment_orders: {type: integer, choice: {0: 960, 1: 28, 2: 8, 5: 4}}
    arrears_amount: {type: money, mix: [{weight: 95, constant: "0.00"}, {weight: 5, lognormal: {median: "420.00", spread: "4"}}]}
    unpaid_invoice_amount: {type: money, mix: [{weight: 94, constant: "0.00"}, {weight: 6, lognormal: {median: "1800.00", spread: "4"}}]}
    cash_balance: {type: money, mix: [{weight: 72, constant: "0.00"}, {weight: 28, lognormal: {median: "260.00", spread: "5"}}]}
    balance_needs_special_handling: {type: bool, choice: {false: 85, true: 15}, unknown: "0.02"}
    has_special_contract_in_force: {type: bool, choice: {false: 98, true: 2}}
    unused_pickup_vouchers: {type: integer, choice: {0: 97, 1: 2, 3: 1}}
    has_framework_commercial_contract: {type: bool, choice: {false: 90, true: 10}}
    has_credit_account: {type: bool, choice: {false: 93, true: 7}}
    has_unused_stored_value_card: {type: bool, choice: {false: 95, true: 5}}
    recharge_bonus_balance: {type: money, mix: [{weight: 95, constant: "0.00"}, {weight: 5, uniform: {low: "10.00", high: "500.00", step: "10.00"}}]}
    designated_contracts:
      type: texts
      set: {offline_direct: "0.01", telesales_authorised_discount: "0.02", direct_special_price: "0.01", professional_service: "0.02"}
    in_whitelist: {type: bool, choice: {true: 98, false: 2}}
    vouchers_issued_count: {type: integer, choice: {0: 50, 1: 25, 2: 14, 3: 6, 4: 4, 9: 1}}
    vouchers_issued_amount:
      type: money
      uniform: {low: "50.00", high: "4000.00", step: "50.00"}
      when: [{if: {vouchers_issued_count: 0}, constant: "0.00"}]
    performance_count: {type: integer, choice: {0: 20, 1: 40, 2: 22, 3: 12, 6: 6}}
    relation_count: {type: integer, constant: 1}

relations:
  key: relation_id
  prefix: L
  of: customers
  count: relation_count
  carry: [partner_id, kind]
  columns:
    mode:
      type: text
      choice: {consulting_sales: 70, resale: 30}
      when: [{if: {kind: cloud_reseller}, choice: {consulting_sales: 35, resale: 65}}]
    since: {type: date, days: {quantiles: {"0": -1800, "0.5": -500, "1": -5}}}
    last_dissociation_request_on: {type: date, none: "0.95", days: {quantiles: {"0": -720, "0.5": -260, "0.8": -120, "1": -1}}}
    last_application_on: {type: date, none: "0.8", days: {quantiles: {"0": -900, "0.4": -400, "0.75": -150, "1": -1}}}
    application_count: {type: integer, choice: {0: 70, 1: 30}}

applications:
  key: application_id
  prefix: A
  of: relations
  count: application_count
  carry: [partner_id, customer_id, kind]
  columns:
    action: {type: text, choice: {dissociate: 62, switch: 38}}
    step: {type: text, choice: {pre_check: 35, submit: 65}}
    actor_role: {type: text, choice: {partner_admin: 965, operator: 20, customer_manager: 12, other: 3}}
    account_check_passed: {type: bool, choice: {true: 97, false: 3}}
    notice_accepted: {type: bool, choice: {true: 99, false: 1}}
    reason: {type: text, none: "0.02", choice: {customer asked for it: 5, better price in the other mode: 3, service was taken over: 2}}
    verification_code_ok: {type: bool, choice: {true: 98, false: 2}}

prospects:
  key: prospect_id
  prefix: Q
  of: partners
  count: prospect_count
  carry: [kind, tier, region]
  columns:
    registered_on_international_site: {type: bool, choice: {false: 99, true: 1}}
    associated_partner: {type: text, choice: {none: 94, self: 2, other: 4}}
    registered_by_other_partner: {type: bool, choice: {false: 96, true: 4}}
    registered_by_huawei_cloud: {type: bool, choice: {false: 97, true: 3}, unknown: "0.01"}
    consumer_cloud_user: {type: bool, choice: {false: 99, true: 1}}
    signed_contract_with_huawei_cloud: {type: bool, choice: {false: 98, true: 2}}
    has_cash_consumption: {type: bool, choice: {false: 82, true: 18}}
    followed_by_direct_sales:
      type: bool
      choice: {false: 93, true: 7}
      when: [{if: {has_cash_consumption: true}, choice: {false: 55, true: 45}}]
    enterprise_real_name_verified: {type: bool, choice: {true: 78, false: 22}}
    financial_custody_sub_account: {type: bool, choice: {false: 99, true: 1}}
    in_reward_promotion_plan: {type: bool, choice: {false: 99, true: 1}}
    account_registered_on: {type: date, none: "0.35", days: {quantiles: {"0": -1500, "0.1": -600, "0.3": -90, "0.45": -15, "0.6": -8, "1": 0}}}
    owner: {type: text, choice: {none: 95, online_sales: 3, authorised_sales_support_centre: 2}}

performances:
  key: performance_id
  prefix: F
  of: customers
  count: performance_count
  carry: [partner_id, kind, tier]
  columns:
    period: {type: text, choice: {MONTH-1: 1, MONTH-2: 1, MONTH-3: 1}}
    amount:
      type: amount
      mix: [{weight: 95, lognormal: {median: "1500.00", spread: "4"}}, {weight: 4, uniform: {low: "-3000.00", high: "-5.00"}}, {weight: 1, constant: "0.00"}]
      when: [{if: {tier: premier}, mix: [{weight: 96, lognormal: {median: "5200.00", spread: "4"}}, {weight: 4, uniform: {low: "-9000.00", high: "-5.00"}}]}]
    earns_rebate: {type: bool, choice: {true: 93, false: 7}}
    rebate_ratio:
      type: ratio
      none: "0.004"
      choice: {"0.05": 10, "0.08": 14, "0.10": 28, "0.12": 12, "0.15": 18, "0.20": 12, "0.30": 4, "0.40": 2}
      when: [{if: {earns_rebate: false}, none: "0.7", constant: "0.10"}]
    voucher_used: {type: money, mix: [{weight: 90, constant: "0.00"}, {weight: 10, uniform: {low: "10.00", high: "800.00", step: "10.00"}}]}

recharges:
  key: record_id
  prefix: R
  of: partners
  count: recharge_count
  carry: [cash_amount]
  columns:
    arrived_at: {type: datetime, days: {quantiles: {"0": -1200, "0.5": -240, "1": -1}}}
    remaining_amount:
      type: money
      mix: [{weight: 75, share: {uniform: {low: "0.30", high: "0.95"}}, of: cash_amount}, {weight: 25, uniform: {low: "0.00", high: "5000.00"}}]
    channel:
      type: text
      choice: {alipay: 14, wechat: 8, unionpay: 4, personal_net_bank: 4, enterprise_net_bank: 26, remittance_dedicated: 30, remittance_general: 8,
        trading_mode_change: 1, incentive_rebate: 5}
    had_bonus_or_voucher: {type: bool, choice: {false: 94, true: 6}}

issues:
  key: issue_id
  prefix: V
  of: partners
  count: issue_count
  carry: [kind, tier, customer_count]
  columns:
    quota_granted: {type: bool, choice: {true: 985, false: 15}}
    quota_issuer:
      type: text
      choice: {huawei_cloud: 995, distributor: 5}
      when: [{if: {kind: cloud_reseller}, choice: {distributor: 99, huawei_cloud: 1}}]
    quota_status: {type: text, choice: {valid: 97, adjusting: 1, expired: 2}}
    quota_effective_at: {type: datetime, days: {uniform: {low: -150, high: -5}}, at: "00:00:00"}
    quota_expires_at: {type: datetime, days: {quantiles: {"0": -20, "0.02": 10, "0.08": 40, "1": 200}}, at: "23:59:59"}
    quota_remaining:
      type: money
      lognormal: {median: "14000.00", spread: "3"}
      unknown: "0.01"
      when: [{if: {tier: premier}, lognormal: {median: "42000.00", spread: "3"}, unknown: "0.01"}]
    quota_face_value_min: {type: money, none: "0.6", choice: {"10.00": 3, "50.00": 2, "100.00": 1}}
    quota_face_value_max: {type: money, none: "0.4", choice: {"2000.00": 2, "5000.00": 4, "10000.00": 2}}
    quota_max_deduction_ratio: {type: ratio, none: "0.55", choice: {"0.30": 2, "0.50": 4, "1.00": 2}}
    quota_product_scope: {type: texts, none: "0.75", mix: [{weight: 2, constant: [ecs, evs, obs]}, {weight: 1, constant: [rds, obs]}]}
    quota_max_vouchers_per_customer: {type: integer, none: "0.5", choice: {3: 1, 5: 3, 10: 3}}
    quota_max_amount_per_customer: {type: money, none: "0.5", choice: {"10000.00": 3, "20000.00": 4, "50000.00": 3}}
    face_value:
      type: money
      none: "0.01"
      mix: [{weight: 60, uniform: {low: "50.00", high: "500.00", step: "50.00"}}, {weight: 40, uniform: {low: "500.00", high: "3000.00", step: "100.00"}}]
    min_order_amount:
      type: money
      none: "0.03"
      share: {choice: {"1": 1, "2": 4, "4": 4, "5": 3}}
      of: face_value
      when: [{if: {quota_max_deduction_ratio: null}, none: "0.7", share: {choice: {"2": 2, "3": 2}}, of: face_value}]
    valid_from: {type: datetime, days: {uniform: {low: 0, high: 2}}, at: "00:00:00"}
    valid_to: {type: datetime, days: {quantiles: {"0": -2, "0.01": 3, "0.9": 20, "1": 45}}, after: valid_from}
    products: {type: texts, none: "0.85", mix: [{weight: 3, constant: [ecs]}, {weight: 2, constant: [ecs, obs]}, {weight: 1, constant: [cdn]}]}
    recipient_count: {type: integer, choice: {1: 560, 2: 190, 3: 100, 4: 60, 6: 40, 9: 20, 10: 18, 12: 12}}
    verification_code_passed: {type: bool, choice: {true: 98, false: 2}}

recipients:
  key: recipient_id
  prefix: E
  of: issues
  count: recipient_count
  carry: [partner_id, customer_count]
  columns:
    place: {type: integer, uniform: {low: 0, high: 999983}}

applicants:
  key: account_id
  prefix: N
  columns:
    region: {type: text, choice: {east: 34, north: 27, south: 24, west: 15}}
    route: {type: text, choice: {application: 72, distributor_invitation_of_new_account: 28}}
    identity: {type: text, choice: {enterprise: 93, personal: 5, none: 2}}
    freezes: {type: texts, set: {account_closure: "0.002", arrears: "0.01", violation: "0.004", partner_freeze: "0.003"}}
    linked_to_first_level_reseller: {type: bool, choice: {false: 98, true: 2}}
    relation_mode_with_first_level_reseller:
      type: text
      constant: none
      when: [{if: {linked_to_first_level_reseller: true}, choice: {consulting_sales: 6, resale: 3, other: 1}}]
    programme: {type: text, choice: {solution_provider: 30, pce: 12, capability: 8, marketplace_merchant: 14, marketplace_csp: 6, government_subsidy: 5}}
    programme_state: {type: text, none: "0.86", choice: {none: 8, draft: 24, in_review: 8, joined: 18, rejected: 18, cancelled: 14, expired: 6, exited: 4}}
    path_memberships: {type: texts, set: {software: "0.01", service: "0.012", si: "0.004", learning: "0.004"}}
    enterprise_role: {type: text, choice: {none: 95, main: 3, sub: 2}}
    account_kind:
      type: text
      choice: {ordinary: 52, newly_registered: 34, empty: 12, expired_solution_provider: 2}
      when: [{if: {route: distributor_invitation_of_new_account}, choice: {newly_registered: 85, empty: 14, ordinary: 1}}]
    open_resource_count:
      type: integer
      choice: {0: 84, 1: 5, 2: 4, 4: 3, 9: 3, 25: 1}
      unknown: "0.01"
      when: [{if: {account_kind: newly_registered}, choice: {0: 98, 1: 2}}, {if: {account_kind: empty}, constant: 0}]
    arrears_amount: {type: money, mix: [{weight: 96, constant: "0.00"}, {weight: 4, lognormal: {median: "60.00", spread: "5"}}]}
    recharge_balance: {type: money, mix: [{weight: 90, constant: "0.00"}, {weight: 10, lognormal: {median: "140.00", spread: "5"}}]}
    invoiceable_amount: {type: money, mix: [{weight: 95, constant: "0.00"}, {weight: 5, lognormal: {median: "900.00", spread: "4"}}]}
    postpaid_enabled: {type: bool, choice: {false: 96, true: 4}}
    designated_contracts: {type: texts, set: {offline_direct: "0.008", telesales_authorised_discount: "0.012", direct_special_price: "0.006", other: "0.003"}}
    unused_vouchers: {type: integer, choice: {0: 88, 1: 8, 3: 4}}
    unused_discount_coupons: {type: integer, choice: {0: 93, 1: 5, 2: 2}}
    unused_stored_value_cards: {type: integer, choice: {0: 97, 1: 3}}
    hcpn_joined:
      type: bool
      choice: {false: 97, true: 3}
      when: [{if: {route: distributor_invitation_of_new_account}, choice: {true: 96, false: 4}}]
    invited_by: {type: integer, uniform: {low: 0, high: 999983}}
    invitation_from_distributor: {type: bool, choice: {true: 97, false: 3}}
    joined_meanwhile: {type: bool, choice: {false: 98, true: 2}}
    former_solution_provider: {type: bool, choice: {false: 95, true: 5}}
"""
