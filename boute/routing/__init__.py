"""Scores, thresholds and the quality that a routing gives."""
