"""Requests as arrays: traces, generators, presets, and their pairing with known queries."""
