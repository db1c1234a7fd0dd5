"""From settings to the gate of a door: whom it asks, and where it writes down what it used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollkeeper.capture.gate.gate import Gate
from tollkeeper.capture.gate.guard import Guard
from tollkeeper.errors import ConfigurationError
from tollkeeper.leases.place import folder_for

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from tollkeeper.capture.options import CaptureOptions
    from tollkeeper.log import QuietLog
    from tollkeeper.settings import Settings

__all__ = ["open_guard"]


def open_guard(
    sinks: Iterable[Any], settings: Settings, options: CaptureOptions, log: QuietLog, *, spool: str | os.PathLike[str]
) -> Guard:
    """The guard of a door whose gate asks the first of the sinks that has leases.

    Raises:
        ConfigurationError: none of them has.
    """
    source = next((sink for sink in sinks if hasattr(sink, "leases")), None)
    if source is None:
        raise ConfigurationError(
            "The gate has no service to ask: give a sink like http://HOST:PORT, or set TOLLKEEPER_GATE to it."
        )
    leases = source.leases(settings.gate_timeout)
    gate = Gate(
        leases,
        log,
        timeout=settings.gate_timeout,
        folder=folder_for(settings.gate_folder or (spool and Path(spool) / "gate"), leases.place, log),
        on_failure=options.on_failure,
    )
    return Guard(gate, options, log, key=options.gate_key, headers=options.gate_headers)
