"""Captured events on disk, safe from a crash, until the sink has taken them."""
