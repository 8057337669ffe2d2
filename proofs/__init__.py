"""The proof reading: statements about all cases of a policy, by Z3. It is never in the path of a decision."""
