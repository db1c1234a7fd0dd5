"""Filters as SQL conditions over the numbers of dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tollkeeper.metering.usage import Filters
    from tollkeeper.store.sql.reading import Select

__all__ = ["Condition", "condition_for"]


class Condition(Struct, frozen=True):
    """A condition on the columns ``consumer_id``, ``route_id`` and ``status``; ``sql`` starts with AND or is empty."""

    sql: str
    values: tuple[Any, ...]
    on_route: bool
    on_consumer: bool
    impossible: bool = False

    def among(self, column: str, numbers: Sequence[int]) -> Condition:
        """This condition, and one of these numbers in a column."""
        return Condition(
            f"{self.sql} AND {column} IN ({', '.join(map(str, numbers))})",
            self.values,
            on_route=self.on_route or column == "route_id",
            on_consumer=self.on_consumer or column == "consumer_id",
            impossible=not numbers,
        )


def condition_for(select: Select, filters: Filters) -> Condition:
    """Translate filters; those that name an unknown route or consumer are ``impossible``."""
    sql = ""
    values: tuple[Any, ...] = ()
    if filters.status_range is not None:
        sql, values = " AND status BETWEEN ? AND ?", filters.status_range
    routes = _routes(select, filters)
    if routes is not None:
        sql += f" AND route_id IN ({', '.join(map(str, routes))})"
    consumer = None
    if filters.consumer is not None:
        found = select("SELECT consumer_id FROM consumer WHERE key = ?", (filters.consumer,))
        consumer = found[0][0] if found else -1
        sql += " AND consumer_id = ?"
        values = (*values, consumer)
    return Condition(
        sql,
        values,
        on_route=routes is not None,
        on_consumer=consumer is not None,
        impossible=routes == [] or consumer == -1,
    )


def _routes(select: Select, filters: Filters) -> list[int] | None:
    wanted = {
        "template": filters.route,
        "method": filters.method,
        "api": filters.api,
        "api_version": filters.api_version,
    }
    given = {column: value for column, value in wanted.items() if value is not None}
    if not given:
        return None
    # The columns are the four names above, never what a caller sent.
    query = f"SELECT route_id FROM route WHERE {' AND '.join(f'{column} = ?' for column in given)}"
    return [number for (number,) in select(query, tuple(given.values()))]
