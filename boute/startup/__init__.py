"""How long an engine takes to start: what a log shows of it, fits to logs, predictions."""
