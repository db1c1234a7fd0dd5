"""Who called, packed: the rows of each bucket by consumer once more, 1,024 consumers in one."""

from __future__ import annotations

import struct
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import op

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["upgrade"]

revision = "0006"
down_revision = "0005"

BY_CONSUMER, PACKED = 2, 4
BLOCK, ROWS_AT_ONCE, MAX_COUNT = 1_024, 1_000, 2**32 - 1
PAIR = struct.Struct("<HI")
SUMS = ("requests", "bytes", "units", "timed", "elapsed")
KEY = ("kind", "grain", "start", "consumer_id", "route_id", "status")
ROLLUP = sa.table("rollup", *map(sa.column, (*KEY, *SUMS, "sketch")))
BUCKETS = sa.select(ROLLUP.c.grain, ROLLUP.c.start).where(ROLLUP.c.kind == BY_CONSUMER).distinct()
ROWS = sa.select(ROLLUP.c.consumer_id, ROLLUP.c.status, *(ROLLUP.c[name] for name in SUMS)).where(
    ROLLUP.c.kind == BY_CONSUMER,
    ROLLUP.c.grain == sa.bindparam("grain"),
    ROLLUP.c.start == sa.bindparam("start"),
)


def upgrade() -> None:
    """Pack what is folded; what is not will be with the rest.

    A worker of the release before that still runs must not fold without it: it finds no watermark of the old name.
    """
    connection = op.get_bind()
    connection.execute(sa.text("ALTER TABLE watermark RENAME COLUMN seq TO folded"))
    for grain, start in connection.execute(BUCKETS).all():
        packed = list(_pack(connection.execute(ROWS, {"grain": grain, "start": start})))
        for at in range(0, len(packed), ROWS_AT_ONCE):
            rows = [row | {"kind": PACKED, "grain": grain, "start": start} for row in packed[at : at + ROWS_AT_ONCE]]
            connection.execute(sa.insert(ROLLUP), rows)


def _pack(rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Rows of one bucket, by block and status; a pair is the place of a consumer in its block, and its requests."""
    for (block, status), group in groupby(sorted(rows, key=_key), key=_key):
        members = sorted(group)
        sums = (sum(column) for column in list(zip(*members, strict=True))[2:])
        sketch = b"".join(PAIR.pack(row[0] % BLOCK, min(row[2], MAX_COUNT)) for row in members)
        key = {"consumer_id": block, "route_id": 0, "status": status}
        yield key | dict(zip(SUMS, sums, strict=True)) | {"sketch": sketch}


def _key(row: Any) -> tuple[int, int]:
    return row[0] // BLOCK, row[1]
