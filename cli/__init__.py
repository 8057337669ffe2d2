"""The author's command line: `policy`."""
