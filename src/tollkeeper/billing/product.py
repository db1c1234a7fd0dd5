"""What is sold: APIs, their versions, the routes of a version, and what a call of a route costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

__all__ = ["Api", "ApiRoute", "ApiVersion", "RoutePrice"]


class Api(Struct, frozen=True, kw_only=True):
    """An API by the name that events call it."""

    id: str
    name: str
    created_at: datetime


class ApiVersion(Struct, frozen=True, kw_only=True):
    """A version of the API with the id ``api``, by the name that events call it."""

    id: str
    api: str
    name: str
    created_at: datetime


class ApiRoute(Struct, frozen=True, kw_only=True):
    """An endpoint of the version with the id ``version``.

    An ``endpoint`` of None is the default route, for the calls that no other route is for; a ``method`` of None is any.
    """

    id: str
    version: str
    endpoint: str | None
    method: str | None
    retired_at: datetime | None = None
    created_at: datetime


class RoutePrice(Struct, frozen=True, kw_only=True):
    """What one call of a route costs from ``valid_from`` on, until the next price of it; never edited."""

    id: str
    route: str
    price: Decimal
    currency: str
    valid_from: datetime
    created_at: datetime
