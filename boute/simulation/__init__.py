"""Continuous batching of vLLM V1, step by step, over the replicas of a fleet."""
