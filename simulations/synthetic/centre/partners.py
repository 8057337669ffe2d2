"""The partners of the partner centre, their staff, and the certificates of the staff. The form is that of tables.py."""

PARTNERS = """
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
"""
