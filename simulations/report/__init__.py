"""The report of a run as one HTML file. `report.py` is the way in."""
