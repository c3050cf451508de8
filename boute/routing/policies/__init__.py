"""Who answers a query, and who is asked on the way: thresholds, utility and cascades."""
