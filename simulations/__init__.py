"""What-if over a population: not built yet. One case can be varied with `POST /v1/policies/{policy}/what-if`."""
