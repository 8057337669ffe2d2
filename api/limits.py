"""Limits of what a caller may send. All are checked before anything is evaluated."""

BODY_BYTES = 1_000_000
BATCH_BYTES = 32_000_000
BATCH_ITEMS = 5_000
WHAT_IF_CHANGES = 100
JSON_DEPTH = 40
#: After so many decisions of a batch other requests get their turn.
BATCH_SLICE = 200
