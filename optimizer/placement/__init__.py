"""The inner problem: with a routing fixed, which replicas of which options, as a MILP."""
