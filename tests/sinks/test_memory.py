from __future__ import annotations

from datetime import UTC, datetime

from tollkeeper.events.event import UsageEvent
from tollkeeper.sinks.memory import MemorySink


def test_events_are_kept_once_and_in_order() -> None:
    first, second = (
        UsageEvent(id=name, source="s", time=datetime.now(UTC), method="GET", path="/", status_code=200)
        for name in "ba"
    )
    sink = MemorySink()
    sink.send([first, second])
    sink.send([second, first])
    sink.close()
    assert sink.events == [first, second]
