"""A sink that the test can read while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tollkeeper.events.event import UsageEvent

__all__ = ["LinesSink"]


class LinesSink:
    """Writes each event as a line of JSON, so that a whole line is a whole event."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[UsageEvent]) -> None:
        """Append a batch."""
        with self._path.open("ab", buffering=0) as file:
            file.write(b"".join(msgspec.json.encode(event) + b"\n" for event in events))

    def close(self) -> None:
        """Nothing stays open."""
