"""HTTP in, JSON out; the only place that maps errors to problem+json."""
