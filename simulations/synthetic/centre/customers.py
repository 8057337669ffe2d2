"""The customers of the partner centre: their relations to a partner, what they apply for, prospects, performance. The form is that of tables.py."""

CUSTOMERS = """
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
"""
