"""The accounts that apply to join the partner centre as resellers. The form is that of tables.py."""

APPLICANTS = """
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
