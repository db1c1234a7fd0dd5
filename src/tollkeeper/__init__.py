"""Tollkeeper: who uses your API, how much, how fast, and what that is worth."""

__all__ = ["__version__"]

__version__ = "0.1.0"
