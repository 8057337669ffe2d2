"""A made-up partner centre: what its tables hold, and how they join into the populations of policies."""
