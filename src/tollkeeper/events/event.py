"""One request to somebody's API, as a record: what is captured, sent, stored and shown."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tollkeeper.events.timestamps import to_microseconds

__all__ = ["Client", "Consumer", "Error", "Request", "Response", "UsageEvent"]

ONE_UNIT = Decimal(1)
MICRO = 1_000_000

ShortText = Annotated[str, Meta(max_length=255)]
Text = Annotated[str, Meta(max_length=8192)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Size = Annotated[int, Meta(ge=0, le=2**40)]


class Consumer(Struct, frozen=True, omit_defaults=True, gc=False):
    """Who called: a key that identifies, and what a person wants to read instead of it."""

    key: Annotated[str, Meta(min_length=1, max_length=255)]
    label: ShortText | None = None
    email: ShortText | None = None
    group: ShortText | None = None


class Client(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What the request says of the program that sent it."""

    referer: Text | None = None
    authorization: Text | None = None
    origin: Text | None = None
    remote_address: ShortText | None = None
    user_agent: Text | None = None
    platform: ShortText | None = None
    browser: ShortText | None = None


class Request(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What came in. ``elapsed_time`` is seconds from its first byte to the last of the response.

    ``body`` is JSON, whatever the mimetype: a form is an object, a text a string; ``content_length`` counts all of it,
    also of a body that was cut for keeping, which ``body_truncated`` says.
    """

    elapsed_time: Seconds | None = None
    content_length: Size | None = None
    mimetype: ShortText = ""
    headers: Raw | UnsetType = UNSET
    args: Raw | UnsetType = UNSET
    body: Raw | UnsetType = UNSET
    body_truncated: bool = False


class Response(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What went out, its body as in ``Request``. ``first_byte_time`` is seconds from the first byte of the request."""

    first_byte_time: Seconds | None = None
    content_length: Size | None = None
    mimetype: ShortText = ""
    headers: Raw | UnsetType = UNSET
    body: Raw | UnsetType = UNSET
    body_truncated: bool = False


class Error(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the app raised: ``type`` with its module, ``message``, and the frames of the traceback, oldest first."""

    type: ShortText
    message: Text = ""
    traceback: Text = ""


class UsageEvent(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One request; ``(source, id)`` names it for ever, ``time`` is its start, aware.

    The JSON parts whose shape is the app's own (headers, args, bodies, variables) are kept as ``Raw`` JSON, so that
    nobody pays for decoding what nobody reads; ``document()`` decodes all of it.
    """

    id: ShortText = ""
    source: ShortText = ""
    time: Annotated[datetime, Meta(tz=True)]
    method: Annotated[str, Meta(min_length=1, max_length=32)]
    path: Text
    status_code: Annotated[int, Meta(ge=100, le=999)]
    route: Annotated[str, Meta(max_length=1024)] | None = None
    url: Text | None = None
    exception: Text | None = None
    error: Error | None = None
    consumer: Consumer | None = None
    api: ShortText | None = None
    api_version: ShortText | None = None
    units: Annotated[Decimal, Meta(description="How much this call counts; up to 6 decimals.")] = ONE_UNIT
    gated: Annotated[bool, Meta(description="Whether the gate has counted this call already.")] = False
    variables: Raw | UnsetType = UNSET
    client: Client = Client()
    request: Request = Request()
    response: Response = Response()

    @property
    def time_us(self) -> int:
        """The start in microseconds since 1970-01-01 UTC, exact."""
        return to_microseconds(self.time)

    @property
    def units_micro(self) -> int:
        """The units in millionths, exact: no unit has more than six decimals."""
        return MICRO if self.units is ONE_UNIT else int(self.units * MICRO)

    def document(self) -> dict[str, Any]:
        """The whole event as plain Python values, as it stands on the wire."""
        document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return document
