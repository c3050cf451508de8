"""Fitting the performance model on measured kernels, and checking it on measured runs."""
