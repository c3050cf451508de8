"""boute plans and runs a fleet of language models on mixed GPUs."""

__version__ = "0.1.0"
