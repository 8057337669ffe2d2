"""What is done with a population: runs, sweeps, goal seek, backtests, settlement. `run.py` is the way in."""
