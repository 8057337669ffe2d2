"""Prometheus metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("policy_decisions_total", "Decisions made", ["policy", "version", "outcome"])
PROBLEMS = Counter("policy_problems_total", "Requests answered with a problem document", ["kind"])
SECONDS = Histogram(
    "policy_request_seconds", "Time of a request in the service", ["endpoint"],
    buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)  # fmt: skip
RELOADS = Counter("policy_reloads_total", "Times the rule files were read", ["result"])
FAULTS = Gauge("policy_rule_file_faults", "Faults in the rule files as they are now")
VERSIONS = Gauge("policy_versions", "Versions that are served")
NOT_SERVED = Gauge("policy_versions_not_served", "Released versions that cannot be served")
SIMULATIONS = Gauge("policy_simulations", "Simulations that are kept, by state", ["state"])
LOG_LOST = Counter("policy_decision_log_lost_total", "Decisions that could not be written to the decision log")
REMEDIES = Counter("policy_remedies_total", "Searches for remedies, by what came of them", ["status"])
