"""Populations made up: of one policy (`synthetic.py`), or of a whole partner centre (`partner_centre.py`)."""
