"""Queries as arrays: what each kind of router sees of a text, or of numbers given instead."""
