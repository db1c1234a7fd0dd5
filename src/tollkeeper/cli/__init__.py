"""The terminal."""

from tollkeeper.cli.main import main

__all__ = ["main"]
