"""The search: encodings, decoder, samplers, study store and Pareto tools."""
