"""What a server imports: the app that the environment names, with Tollkeeper or without."""

from __future__ import annotations

import os
from pathlib import Path

from conformance.capture.apps.making import make_app
from conformance.capture.apps.sink import LinesSink

__all__ = ["app"]

_events = os.environ.get("SHOP_EVENTS")
app = make_app(os.environ["SHOP_APP"], LinesSink(Path(_events)) if _events else None)
