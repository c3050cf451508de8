"""What answers in a replica: one interface, and the engines behind it."""
