"""Where it is kept: one page of ports, one event store per engine."""
