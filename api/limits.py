"""Limits of what a caller may send. All are checked before anything is evaluated."""

BODY_BYTES = 1_000_000
BATCH_BYTES = 32_000_000
BATCH_ITEMS = 5_000
WHAT_IF_CHANGES = 100
JSON_DEPTH = 40
#: Rows of a population that a caller may have generated, those if nothing is said, and rows of a page of results.
SIMULATION_ROWS = 20_000_000
SIMULATION_DEFAULT_ROWS = 100_000
SIMULATION_CASES = 1_000
#: After so many decisions of a batch other requests get their turn.
BATCH_SLICE = 200
#: Alternatives that a remedy may hold; how long the solver looks for them, how long its process may take to start, and how many questions may wait.
REMEDIES = 10
REMEDY_SECONDS = 5.0
SOLVER_START_SECONDS = 10.0
REMEDIES_WAITING = 8
