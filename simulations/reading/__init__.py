"""The population reading: a policy as one query over a table of cases. `query.py` is the way in; `lowering.py` says what each node means."""
