"""What-if over a population: what a candidate version changes, in people and in money."""
