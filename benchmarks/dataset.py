"""A store with sixty days of traffic, made once and kept in the cache, and the same events as one plain SQL table."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import tollkeeper
from benchmarks.environments import cache_folder
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import Client, Consumer, Request, Response, UsageEvent
from tollkeeper.events.ids import id_from_hash
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.metering.window import DAY
from tollkeeper.store.engines import open_stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CONSUMERS", "DAYS", "START", "make_files", "publish", "store_code"]

START = 20_454 * DAY
"""1 January 2026, in microseconds since 1970."""
DAYS, CONSUMERS, ROUTES = 60, 8_000, 100
BATCH, FOLD = 20_000, 100_000
CLIENT = Client(remote_address="192.0.2.7", user_agent="python-requests/2.32.3")

RAW_TABLE = """
    CREATE TABLE raw.event AS
        SELECT seq, time, consumer_id AS consumer, route_id AS route, status, elapsed, bytes FROM event;
    CREATE INDEX raw.event_time ON event (time, seq);
    CREATE INDEX raw.event_consumer ON event (consumer, time);
"""


def make_files(events: int) -> tuple[Path, Path]:
    """Make the store and its plain copy where they are not there yet; gives both paths.

    Consumers and routes follow a power law, so that there are busy and rare ones: ``customer-0`` is the busiest.
    """
    code = store_code(Path(__file__))
    store, plain = (cache_folder() / f"{kind}-{events}-{code}.db" for kind in ("store", "plain"))
    for old in {*cache_folder().glob(f"*-{events}-*.db")} - {store, plain}:
        old.unlink()
    if not store.exists():
        publish(store, lambda path: _fill(path, events))
    if not plain.exists():
        publish(plain, lambda path: _copy(store, path))
    return store, plain


def store_code(script: Path) -> str:
    """What a filled store depends on: what fills it, the schema, and what makes rows and roll-ups."""
    package = Path(tollkeeper.__file__).parent
    rooms = ("store/migrations/versions", "store/sql", "store/sqlite", "metering")
    files = [script, *sorted(file for room in rooms for file in (package / room).glob("*.py"))]
    return f"{zlib.crc32(b''.join(file.read_bytes() for file in files)):08x}"


def _fill(path: Path, events: int) -> None:
    store, catalog = open_stores(f"sqlite:///{path}")
    traffic = _traffic(events)
    while batch := list(islice(traffic, BATCH)):
        store.append([("shop", DecodedBatch(len(batch), batch, []))])
    while store.fold(FOLD):
        pass
    store.close()
    catalog.close()


def _traffic(events: int) -> Iterator[UsageEvent]:
    random = np.random.default_rng(7)
    times = START + np.sort(random.integers(0, DAYS * DAY, events))
    who = (CONSUMERS * random.random(events) ** 3).astype(int)
    what = (ROUTES * random.random(events) ** 2).astype(int)
    statuses = random.choice([200, 201, 404, 500], events, p=[0.85, 0.1, 0.04, 0.01])
    elapsed = random.lognormal(-4, 1, events).round(6)
    sizes = random.integers(100, 20_000, events)
    columns = [column.tolist() for column in (times, who, what, statuses, elapsed, sizes)]
    for number, (time, consumer, route, status, seconds, size) in enumerate(zip(*columns, strict=True)):
        yield UsageEvent(
            id=id_from_hash(time, number.to_bytes(10)),
            source="shop",
            time=from_microseconds(time),
            method="GET",
            path=f"/v1/section-{route}/items/{number}",
            route=f"/v1/section-{route}/items/{{id}}",
            status_code=status,
            consumer=Consumer(f"customer-{consumer}"),
            client=CLIENT,
            request=Request(elapsed_time=seconds),
            response=Response(content_length=size, mimetype="application/json"),
        )


def _copy(store: Path, path: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("ATTACH ? AS raw", (str(path),))
        connection.executescript(RAW_TABLE)
        connection.execute("ANALYZE raw")


def publish(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file under another name first, so that one left half done is never taken for whole."""
    unfinished = path.with_suffix(".unfinished")
    for suffix in ("", "-wal", "-shm"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    make(unfinished)
    unfinished.rename(path)
