"""Inside somebody's app: observe what passes by, never disturb it."""
