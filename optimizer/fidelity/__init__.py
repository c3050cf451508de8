"""Cheap looks at drafts, from the formulas' microseconds to a simulation of the whole workload."""
