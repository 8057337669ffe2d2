"""Where cases come from: files and tables, held against the facts of a policy. `population.py` is the way in; `columns.py` says what the table looks like."""
