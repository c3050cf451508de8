"""From an encoded query to the expected quality of each model: a module a way of learning it."""
