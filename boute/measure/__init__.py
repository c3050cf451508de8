"""Measures the step times of a live engine through its OpenAI endpoint; planning reads the file."""
