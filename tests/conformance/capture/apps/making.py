"""From the name of an app to the app."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tollkeeper.sinks.base import Sink

__all__ = ["make_app"]


def make_app(name: str, sink: Sink | None, **options: Any) -> Any:
    """Make the app that ``module:function`` names; no other framework is imported for it."""
    module, _, factory = name.partition(":")
    return getattr(import_module(f"conformance.capture.apps.{module}"), factory)(sink, **options)
