"""How the tables of the made-up partner centre join into the populations of policies: one SELECT a policy, in SQL of DuckDB.

A fact is taken from the table whose prefix it has, by the rest of its name; `facts` names those that are written otherwise. Every view has `case_id`,
`partner`, and the segments region and tier; so all policies can be grouped alike, and settled with the same partners.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class View:
    """`source` follows FROM; `prefixes` maps the beginning of a fact's name to a table in it."""

    case_id: str
    source: str
    facts: dict[str, str]
    prefixes: dict[str, str] = field(default_factory=dict)
    partner: str = "p.partner_id"
    region: str = "p.region"
    tier: str = "p.tier"


_REBATE_ITEM = (
    "{'performance_id': f.performance_id, 'performance_amount': f.amount, 'rebate_ratio': f.rebate_ratio, "
    "'product.earns_rebate': f.earns_rebate, 'customer_voucher_used': f.voucher_used}"
)
_CERTIFICATE = "{'type': z.type, 'valid_until': z.valid_until}"
_STAFF = (
    "{'id': s.staff_id, 'bound_to_partner_admin': s.bound_to_partner_admin, 'certificates': coalesce(z.certificates, []), "
    "'business_direction': s.business_direction, 'course_done': s.course_done, 'exam_passed': s.exam_passed, "
    "'exam_account_identity': s.exam_account_identity}"
)
_RECHARGE = (
    "{'record_id': r.record_id, 'arrived_at': r.arrived_at, 'remaining_amount': r.remaining_amount, 'channel': r.channel, "
    "'had_bonus_or_voucher': r.had_bonus_or_voucher}"
)
_RECIPIENT = (
    "{'customer.id': c.customer_id, 'customer.partner_id': CASE WHEN c.belongs_to = 'self' THEN c.partner_id END, "
    "'customer.reseller_distributor_id': CASE WHEN c.belongs_to = 'own_reseller' THEN c.partner_id END, 'relation.mode': l.mode, "
    "'in_whitelist': c.in_whitelist, 'vouchers_issued_count': c.vouchers_issued_count, 'vouchers_issued_amount': c.vouchers_issued_amount}"
)
#: The customers that an issue goes to: mostly some of the partner's own; now and then one of the next partner, by mistake.
_CHOSEN = """
  SELECT DISTINCT e.issue_id,
    CASE WHEN e.place % 97 = 0 THEN ((p.number + 1) % (SELECT count(*) FROM partners)) * 64 ELSE p.number * 64 + e.place % p.customer_count END AS customer
  FROM recipients e JOIN partners p USING (partner_id)
"""

VIEWS = {
    "relation-change": View(
        "a.application_id",
        "applications a JOIN relations l USING (relation_id) JOIN customers c ON c.customer_id = a.customer_id JOIN partners p ON p.partner_id = a.partner_id",
        {
            "actor.role": "a.actor_role",
            "action": "a.action",
            "customer.last_dissociation_request_on": "l.last_dissociation_request_on",
            "partner.last_application_on": "l.last_application_on",
        },
        {"partner.": "p", "customer.": "c", "relation.": "l", "application.": "a"},
    ),
    "customer-registration": View(
        "q.prospect_id",
        "prospects q JOIN partners p USING (partner_id)",
        {"distributor.status": "p.distributor_status"},
        {"partner.registrations.": "p", "partner.": "p", "customer.": "q"},
    ),
    "rebate-calculation": View(
        "b.partner_id || '-' || b.period",
        f"(SELECT f.partner_id, f.period, list({_REBATE_ITEM} ORDER BY f.performance_id) AS items FROM performances f GROUP BY ALL) b "
        "JOIN partners p USING (partner_id) WHERE p.kind <> 'cloud_reseller'",
        {"period": "b.period", "items": "b.items", "estimate_only": "FALSE"},
        {"partner.": "p"},
    ),
    "staff-certificate-count": View(
        "p.partner_id",
        f"partners p LEFT JOIN (SELECT s.partner_id, list({_STAFF} ORDER BY s.staff_id) AS staff FROM staff s LEFT JOIN "
        f"(SELECT z.staff_id, list({_CERTIFICATE} ORDER BY z.certificate_id) AS certificates FROM certificates z GROUP BY ALL) z USING (staff_id) "
        "GROUP BY ALL) t USING (partner_id)",
        {"purpose": "p.counting_purpose", "staff": "coalesce(t.staff, [])"},
        {"partner.": "p"},
    ),
    "reseller-programme-joining": View(
        "n.account_id",
        "applicants n LEFT JOIN partners p ON n.route <> 'application' AND p.number = (n.invited_by % (1 + (SELECT max(number) FROM partners) // 10)) * 10",
        {
            "account.kind": "n.account_kind",
            "account.programmes": "CASE WHEN n.programme_state IS NULL THEN [] ELSE [{'programme': n.programme, 'state': n.programme_state}] END",
            "account.unused.vouchers": "n.unused_vouchers",
            "account.unused.discount_coupons": "n.unused_discount_coupons",
            "account.unused.stored_value_cards": "n.unused_stored_value_cards",
            "invitation.from_distributor": "n.invitation_from_distributor",
            "invitation.path_or_programme_joined_meanwhile": "n.joined_meanwhile",
        },
        {"application.": "n", "account.": "n", "partner.": "n", "company.": "n"},
        region="n.region",
    ),
    "withdrawable-amount": View(
        "p.partner_id",
        f"partners p LEFT JOIN (SELECT r.partner_id, list({_RECHARGE} ORDER BY r.record_id) AS records FROM recharges r GROUP BY ALL) r USING (partner_id) "
        "LEFT JOIN (SELECT c.partner_id, sum(c.arrears_amount) AS arrears FROM customers c JOIN relations l USING (customer_id) WHERE l.mode = 'resale' "
        "GROUP BY ALL) c USING (partner_id)",
        {
            "partner.sub_customer_arrears_total": "coalesce(c.arrears, 0)",
            "requested_amount": "p.withdrawal_requested",
            "recharge_records": "coalesce(r.records, [])",
            "selected_records": "NULL",
        },
        {"partner.": "p"},
    ),
    "voucher-issue": View(
        "v.issue_id",
        f"issues v JOIN partners p USING (partner_id) LEFT JOIN (SELECT h.issue_id, list({_RECIPIENT} ORDER BY c.number) AS recipients FROM ({_CHOSEN}) h "
        "JOIN customers c ON c.number = h.customer JOIN relations l USING (customer_id) GROUP BY ALL) t USING (issue_id)",
        {
            "partner.id": "p.partner_id",
            "quota.customer_scope": "NULL",
            **{
                f"quota.{name}": f"v.quota_{name}"
                for name in (
                    "granted", "issuer", "status", "effective_at", "expires_at", "remaining", "face_value_min", "face_value_max", "max_deduction_ratio",
                    "product_scope", "max_vouchers_per_customer", "max_amount_per_customer",
                )
            },
            "recipients": "coalesce(t.recipients, [])",
            "actor.verification_code_enabled": "p.verification_enabled",
            "actor.verification_code_passed": "v.verification_code_passed",
        },
        {"partner.": "p", "voucher.": "v"},
    ),
}  # fmt: skip
