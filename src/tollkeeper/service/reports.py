"""Usage reports in the words of api-usage-ms: read, checked, and made into events."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.codec import decode_batch
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.fields import Endpoint, Name
from tollkeeper.service.intervals import read_date

if TYPE_CHECKING:
    from tollkeeper.events.event import UsageEvent

__all__ = ["SOURCE", "Report", "event_from_report", "event_id_for", "read_report"]

SOURCE = "usage-reports"
METHOD = "ANY"
"""A report says no method, and its route is the one for any."""
NAMESPACE = uuid.UUID("6f3c1d1e-58a4-4f0b-9d6c-2d8f3b1a7c55")
ALIASES = {"apiVersion": "apiversion", "clientIPAddress": "clientIPAdress"}
REQUIRED = ("apiversion", "endPointName", "clientIPAdress", "httpStatusCode", "timeTakenInMilliSeconds")
ON_ERROR = ("errorCode", "errorDescription")
FIRST_ERROR_STATUS = 400
MAX_DESCRIPTION, MAX_CODE = 8192, 255


class Report(Struct, frozen=True, kw_only=True, rename="camel"):
    """One report: its parameters, checked; the error pair is there when the status is 400 or more."""

    api_version: Name = msgspec.field(name="apiversion")
    end_point_name: Endpoint
    client_address: Annotated[str, Meta(min_length=1, max_length=255)] = msgspec.field(name="clientIPAdress")
    http_status_code: Annotated[int, Meta(ge=100, le=999)]
    time_taken: Annotated[float, Meta(ge=0, le=31_536_000_000)] = msgspec.field(name="timeTakenInMilliSeconds")
    error_code: str | int | None = None
    error_description: str | None = None
    api_name: Name | None = None
    id: Name | int | None = None
    time: str | None = None
    units: Decimal = Decimal(1)

    @property
    def is_error(self) -> bool:
        """Whether it reports an error."""
        return self.http_status_code >= FIRST_ERROR_STATUS

    @property
    def code(self) -> str | None:
        """What the API calls its error; None when there is none."""
        return str(self.error_code)[:MAX_CODE] if self.is_error else None

    @property
    def description(self) -> str | None:
        """What the API says of its error; None when there is none."""
        return (self.error_description or "")[:MAX_DESCRIPTION] if self.is_error else None


def read_report(document: object, *, keyed: bool = True) -> Report:
    """Read the parameters of a report; without a key (``keyed``), that is missing, too.

    One InvalidRequestError names all that is missing; another says what is wrong with what is there.
    """
    if not isinstance(document, dict):
        raise InvalidRequestError("A report is a JSON object: send its parameters.", code="invalid_report")
    values: dict[object, Any] = {}
    for name, value in document.items():
        if value not in (None, ""):
            values.setdefault(ALIASES.get(name) or name, value)
    required = REQUIRED + ON_ERROR if _is_error(values.get("httpStatusCode")) else REQUIRED
    missing = [*([] if keyed else ["apiKey"]), *(name for name in required if name not in values)]
    if missing:
        raise InvalidRequestError(f"Missing: {', '.join(missing)}.", code="missing_parameter")
    try:
        return msgspec.convert(values, Report, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"{error}.".replace(" - at `$.", " in `"), code="invalid_report") from None


def event_id_for(consumer: str | None, report_id: str) -> str:
    """The id of the event of a report: the same for the same key and id, and none that another key could give."""
    return str(uuid.uuid5(NAMESPACE, f"{consumer}\0{report_id}"))


def event_from_report(report: Report, *, event_id: str, consumer: str | None, api: str | None, at: int) -> UsageEvent:
    """Make the event of a report, which says itself when the call was or came at ``at`` (µs since 1970).

    Raises InvalidRequestError for a time or units that no event may have.
    """
    at = at if report.time is None else read_date("time", report.time)
    event = {
        "id": event_id,
        "time": from_microseconds(at),
        "method": METHOD,
        "path": report.end_point_name,
        "route": report.end_point_name,
        "status_code": report.http_status_code,
        "consumer": consumer and {"key": consumer},
        "api": api,
        "api_version": report.api_version,
        "units": report.units,
        "client": {"remote_address": report.client_address},
        "request": {"elapsed_time": report.time_taken / 1000},
        "error": {"type": report.code, "message": report.description} if report.is_error else None,
        "variables": None if report.id is None else {"report": str(report.id)},
    }
    given = {name: value for name, value in event.items() if value is not None}
    batch = decode_batch(msgspec.json.encode(given), source=SOURCE)
    if batch.errors:
        raise InvalidRequestError(batch.errors[0].detail, code="invalid_report")
    return batch.events[0]


def _is_error(status: object) -> bool:
    try:
        return int(str(status)) >= FIRST_ERROR_STATUS
    except ValueError:
        return False
