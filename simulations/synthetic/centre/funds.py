"""What moves on the account of a partner: recharges, and vouchers issued to recipients. The form is that of tables.py."""

FUNDS = """
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
"""
