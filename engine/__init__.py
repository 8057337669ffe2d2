"""The pure core: a rule file is read, checked, compiled, decided and explained here. No clock, no network, no randomness."""
