"""Memory, step time and energy of a replica: formulas here, coefficients in the profiles."""
