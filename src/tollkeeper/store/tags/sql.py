"""Tags on SQLAlchemy Core, on any engine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.exc import IntegrityError

from tollkeeper.errors import ConflictError
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.metering.window import QUARTER
from tollkeeper.store.catalog.columns import Moment
from tollkeeper.store.catalog.transactions import Transactions
from tollkeeper.store.tags.tag import Tag, TagUse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["SQLTags"]

tag_table = sa.table(
    "tag",
    sa.column("number", sa.Integer),
    sa.column("id", sa.Text),
    sa.column("name", sa.Text),
    sa.column("count", sa.BigInteger),
    sa.column("created_at", Moment),
    sa.column("used_at", Moment),
)
use_table = sa.table("tag_use", sa.column("tag", sa.Integer), sa.column("n", sa.BigInteger), sa.column("at", Moment))
quarter_table = sa.table(
    "tag_quarter", sa.column("tag", sa.Integer), sa.column("start", sa.BigInteger), sa.column("uses", sa.BigInteger)
)
TAG = tuple(tag_table.c[name] for name in Tag.__struct_fields__)
ONE_TAG = sa.select(*TAG).where(tag_table.c.id == sa.bindparam("id"))
SET_COUNT = (
    tag_table.update()
    .where(tag_table.c.number == sa.bindparam("tag"))
    .values(count=sa.bindparam("new_count"), used_at=sa.bindparam("at"))
)
ADD_TO_QUARTER = sa.text("""
    INSERT INTO tag_quarter (tag, start, uses) VALUES (:tag, :start, :uses)
    ON CONFLICT (tag, start) DO UPDATE SET uses = tag_quarter.uses + excluded.uses
""")


class SQLTags:
    """The ``Tags`` of one database; each call is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._transactions = Transactions(engine)

    def create(self, tag: Tag) -> None:
        """Keep a new tag; see ``Tags``."""
        with self._transactions.writing() as connection:
            try:
                connection.execute(tag_table.insert().values(**asdict(tag)))
            except IntegrityError:
                raise ConflictError("There is such tag already: its name is taken.") from None

    def use(self, uses: Sequence[tuple[str, datetime]]) -> list[int | None]:
        """Count uses: the rows of the tags are held until the commit, so that nobody else counts on from them."""
        wanted = sorted({tag_id for tag_id, _ in uses})
        held = sa.select(*(tag_table.c[name] for name in ("number", "id", "count"))).where(tag_table.c.id.in_(wanted))
        with self._transactions.writing() as connection:
            # Held in one order, so that no two wait for each other.
            rows = connection.execute(held.order_by(tag_table.c.number).with_for_update()).all()
            counted = _count(uses, {tag_id: (number, count) for number, tag_id, count in rows})
            found = [use for use in counted if use is not None]
            if found:
                _write(connection, found)
        return [None if use is None else use["n"] for use in counted]

    def get(self, tag_id: str) -> Tag | None:
        """Look a tag up by its id."""
        with self._transactions.reading() as connection:
            row = connection.execute(ONE_TAG, {"id": tag_id}).first()
        return None if row is None else Tag(**row._mapping)  # noqa: SLF001  # its public name, as for _asdict of a named tuple

    def page(self, *, after: str | None, limit: int) -> list[Tag]:
        """Some tags, in the order of their making."""
        query = sa.select(*TAG).order_by(tag_table.c.number).limit(limit)
        if after is not None:
            place = sa.select(tag_table.c.number).where(tag_table.c.id == after).scalar_subquery()
            query = query.where(tag_table.c.number > place)
        return self._tags(query)

    def busiest(self, *, after: tuple[int, str] | None, limit: int) -> list[Tag]:
        """Some tags, by their counts."""
        # An index would have to be written with every use; who looks sorts, which takes a hundredth of a second.
        count, tag_id = tag_table.c["count"], tag_table.c.id
        query = sa.select(*TAG).order_by(count.desc(), tag_id.desc()).limit(limit)
        if after is not None:
            query = query.where(sa.or_(count < after[0], sa.and_(count == after[0], tag_id < after[1])))
        return self._tags(query)

    def history(self, tag_id: str, *, since: datetime, after: int, limit: int) -> list[TagUse]:
        """Some uses of a tag, along the key."""
        number = sa.select(tag_table.c.number).where(tag_table.c.id == tag_id).scalar_subquery()
        query = (
            sa.select(use_table.c.n, use_table.c.at)
            .where(use_table.c.tag == number, use_table.c.n > after, use_table.c.at >= since)
            .order_by(use_table.c.n)
            .limit(limit)
        )
        with self._transactions.reading() as connection:
            return [TagUse(n, at) for n, at in connection.execute(query)]

    def buckets(self, tag_ids: Sequence[str], *, start: int, end: int, step: int) -> dict[str, dict[int, int]]:
        """Count the uses of tags by step, from their quarters of an hour."""
        quarter = quarter_table.c.start
        bucket = (quarter - quarter % sa.literal_column(str(step))).label("bucket")
        query = (
            sa.select(tag_table.c.id, bucket, sa.func.sum(quarter_table.c.uses))
            .join_from(tag_table, quarter_table, tag_table.c.number == quarter_table.c.tag)
            .where(tag_table.c.id.in_(tag_ids), quarter >= start, quarter < end)
            .group_by(tag_table.c.id, bucket)
        )
        found: dict[str, dict[int, int]] = {}
        with self._transactions.reading() as connection:
            for tag_id, at, uses in connection.execute(query):
                found.setdefault(tag_id, {})[at] = int(uses)
        return found

    def forget(self, before: datetime, limit: int) -> int:
        """Take old uses out of the history, and the quarters that have none any more."""
        uses = sa.select(use_table.c.tag, use_table.c.n).where(use_table.c.at < before)
        quarters = sa.select(quarter_table.c.tag, quarter_table.c.start)
        over = quarter_table.c.start <= to_microseconds(before) - QUARTER
        with self._transactions.writing() as connection:
            gone = connection.execute(
                use_table.delete().where(
                    sa.tuple_(use_table.c.tag, use_table.c.n).in_(uses.order_by(use_table.c.at).limit(limit))
                )
            )
            connection.execute(
                quarter_table.delete().where(
                    sa.tuple_(quarter_table.c.tag, quarter_table.c.start).in_(quarters.where(over).limit(limit))
                )
            )
        return gone.rowcount

    def close(self) -> None:
        """Close the pooled connections; idempotent."""
        self._transactions.close()

    def _tags(self, query: sa.Select[Any]) -> list[Tag]:
        with self._transactions.reading() as connection:
            return [Tag(**row) for row in connection.execute(query).mappings()]


def _count(uses: Sequence[tuple[str, datetime]], tags: dict[str, tuple[int, int]]) -> list[dict[str, Any] | None]:
    """Number uses on from the counts of their tags, known by number and count; None for a tag that is not there."""
    counted: list[dict[str, Any] | None] = []
    for tag_id, at in uses:
        if tag_id not in tags:
            counted.append(None)
            continue
        number, count = tags[tag_id]
        tags[tag_id] = (number, count + 1)
        counted.append({"tag": number, "n": count + 1, "at": at})
    return counted


def _write(connection: sa.Connection, uses: list[dict[str, Any]]) -> None:
    last = {use["tag"]: use for use in uses}
    quarters = Counter((use["tag"], to_microseconds(use["at"]) // QUARTER * QUARTER) for use in uses)
    connection.execute(SET_COUNT, [{"tag": tag, "new_count": use["n"], "at": use["at"]} for tag, use in last.items()])
    connection.execute(use_table.insert(), uses)
    connection.execute(
        ADD_TO_QUARTER, [{"tag": tag, "start": start, "uses": uses} for (tag, start), uses in quarters.items()]
    )
