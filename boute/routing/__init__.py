"""Which model answers a query: scores, thresholds, and the answer quality that a routing gives."""
