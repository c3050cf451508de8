"""Replay of a trace against an OpenAI-compatible server, and what was measured of it."""
