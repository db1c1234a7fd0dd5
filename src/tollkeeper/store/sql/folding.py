"""From raw events to what they add to each row of the roll-ups."""

from __future__ import annotations

from tollkeeper.metering.rollup import GRAINS, Columns, Partial, roll_up

__all__ = ["roll_up_all"]

Key = tuple[int, ...]


def roll_up_all(columns: Columns) -> list[tuple[Key, Partial]]:
    """What events add to each kind and grain of roll-up, by the key of its row; no key comes twice."""
    return [
        ((kind.code, grain, part.start, part.consumer, part.route, part.status), part)
        for kind, grains in GRAINS.items()
        for grain in grains
        for part in roll_up(
            columns,
            columns.time // grain * grain,
            by_route=kind.route,
            by_consumer=kind.consumer,
            packed=kind.packed,
        )
    ]
