"""Putting events into their partitions, each id once, and telling which were new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tollkeeper.store.postgresql.select import select, statement
from tollkeeper.store.sql.rows import id_as_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.store.postgresql.sessions import Session

    Row = tuple[Any, ...]

__all__ = ["insert_events"]

# %b sends ids as they are; as text they would be twice as long.
ADD_IDENTITIES = """
    INSERT INTO event_identity (source_id, id) SELECT * FROM unnest(%b::integer[], %b::bytea[])
    ON CONFLICT DO NOTHING RETURNING source_id, id
"""
TAKE_PLACES = "UPDATE position SET seq = seq + ? RETURNING seq"
COPY = """
    COPY event (seq, source_id, id, time, consumer_id, route_id, status, elapsed, bytes, units, path, detail, gated)
    FROM STDIN (FORMAT BINARY)
"""
TYPES = ("int8", "int4", "bytea", "int8", "int4", "int4", "int2", "int8", "int8", "int8", "text", "bytea", "int2")


def insert_events(session: Session, batches: Sequence[Sequence[Row]]) -> list[Counter[int]]:
    """Insert batches in their order; for each, how many rows were new, by source.

    Ids are entered in one order by all nodes, so that no two of them wait for each other; who meets an id that another
    one is about to commit waits for the outcome. Then the row of ``position`` is taken and held until the commit: the
    order of ``seq`` is the order of commits, and has no gap, because who rolls back gives its places back.
    """
    arrived: dict[tuple[int, bytes], tuple[int, Row]] = {}
    for number, batch in enumerate(batches):
        for row in batch:
            arrived.setdefault((row[0], id_as_bytes(row[1])), (number, row))
    stored: list[Counter[int]] = [Counter() for _ in batches]
    if not arrived:
        return stored
    keys = sorted(arrived)
    new = set(select(session, ADD_IDENTITIES, ([source for source, _ in keys], [id_ for _, id_ in keys])))
    if not new:
        return stored
    ((last,),) = select(session, TAKE_PLACES, (len(new),))
    seq = last - len(new)
    with session.cursor().copy(statement(COPY)) as copy:
        copy.set_types(TYPES)
        for key, (number, row) in arrived.items():
            if key in new:
                seq += 1
                copy.write_row((seq, *key, *row[2:]))
                stored[number][key[0]] += 1
    return stored
