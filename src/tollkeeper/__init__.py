"""Tollkeeper: who uses your API, how much, how fast, and what that is worth."""

from tollkeeper.capture.current import current, set_consumer, set_units, skip, track

__all__ = ["current", "set_consumer", "set_units", "skip", "track"]

__version__ = "0.1.0"
