"""What the service costs, beside what one would take instead. `python -m benchmarks`."""
