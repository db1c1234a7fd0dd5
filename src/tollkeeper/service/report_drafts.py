"""Reports on their way into the store: each becomes an event, or an error that says why not; errors are kept first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.failure import ApiError
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.ids import new_id, record_id
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.report_calls import Cause, ReportedCalls
from tollkeeper.service.report_input import input_text, shown_document, shown_report
from tollkeeper.service.reports import SOURCE, event_from_report, event_id_for, read_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tollkeeper.store.protocols import Records, RecordStore

__all__ = ["Draft", "draft_report", "keep_errors"]

MAX_ID = 255
Likeness = tuple[tuple[str, Any], ...]
"""The fields of an error, with their values, that make another one superfluous."""


class Draft(Struct, frozen=True, kw_only=True):
    """One report: its ``outcome`` is an event, or why there is none; ``cause`` is why the event cannot be charged yet.

    ``id`` is what its sender calls it, or what we do; ``input_data`` is what was sent, without secrets.
    """

    id: str
    event_id: str
    consumer: str | None
    input_data: str
    at: int
    outcome: UsageEvent | InvalidRequestError
    cause: Cause | None = None


def draft_report(
    calls: ReportedCalls, document: object, *, consumer: str | None, secret: str | None, at: int, event_id: str = ""
) -> Draft:
    """Make an event of a report that came at ``at`` (µs since 1970), under a new id if it has none."""
    outcome: UsageEvent | InvalidRequestError
    given = document.get("id") if isinstance(document, dict) else None
    named = isinstance(given, str | int) and given != ""
    event_id = event_id or (event_id_for(consumer, str(given)) if named else new_id())
    try:
        report = shown_report(read_report(document, keyed=consumer is not None), secret)
        event = event_from_report(report, event_id=event_id, consumer=consumer, api=report.api_name, at=at)
        outcome = event if event.api else replace(event, api=calls.api_at(consumer, event.time_us))
        cause = calls.cause(outcome)
    except InvalidRequestError as error:
        outcome, cause = error, None
    return Draft(
        id=str(given)[:MAX_ID] if named else event_id,
        event_id=event_id,
        consumer=consumer,
        input_data=input_text(shown_document(document, secret)),
        at=at,
        outcome=outcome,
        cause=cause,
    )


def keep_errors(store: RecordStore, drafts: Sequence[Draft]) -> list[UsageEvent]:
    """Keep what the drafts report of errors, and what went wrong with them; the events, which name their errors.

    Idempotent by the id of the event. What stands in the way of charging calls is kept once while it is not resolved.
    """
    own = {(error.event_id, error.is_internal): error for draft in drafts for error in _own_errors(draft)}
    causes = {_likeness(error): error for draft in drafts for error in _causes(draft)}
    if causes:
        with store.reading() as records:
            causes = _missing(records, causes)
    names: dict[str | None, str] = {}
    if own or causes:
        with store.writing() as records:
            known = records.find(ApiError, event_id=sorted({event_id for event_id, _ in own if event_id}))
            kept = {(error.event_id, error.is_internal): error for error in known} if own else {}
            for name, error in own.items():
                if name not in kept:
                    records.add(error)
            for error in _missing(records, causes).values():
                records.add(error)
        names = {event_id: error.id for (event_id, internal), error in (own | kept).items() if not internal}
    events = [draft.outcome for draft in drafts if isinstance(draft.outcome, UsageEvent)]
    return [event if event.error is None else _naming(event, names[event.id]) for event in events]


def _own_errors(draft: Draft) -> list[ApiError]:
    """What a report says went wrong, or what went wrong with it."""
    outcome = draft.outcome
    if isinstance(outcome, InvalidRequestError):
        return [_internal(_error(draft), outcome.code, outcome.detail)]
    if outcome.error is None:
        return []
    return [replace(_error(draft), code=outcome.error.type, description=outcome.error.message, input_data=None)]


def _causes(draft: Draft) -> list[ApiError]:
    return [_internal(_error(draft), draft.cause.code, draft.cause.message)] if draft.cause else []


def _error(draft: Draft) -> ApiError:
    at = from_microseconds(draft.at)
    error = ApiError(
        id=record_id("err"),
        consumer=draft.consumer,
        event_source=SOURCE,
        event_id=draft.event_id,
        internal_error_status=0,
        input_data=draft.input_data,
        at=at,
        created_at=at,
    )
    event = draft.outcome
    if isinstance(event, InvalidRequestError):
        return error
    return replace(
        error,
        api=event.api,
        api_version=event.api_version,
        endpoint=event.route,
        client_address=event.client.remote_address,
        status_code=event.status_code,
        at=event.time,
    )


def _internal(error: ApiError, code: str, message: str) -> ApiError:
    return replace(error, is_internal=True, code=code, error_message=message)


def _likeness(cause: ApiError) -> Likeness:
    """What is one error: a key that is not known, whatever it calls, else a version of an API."""
    found: dict[str, Any] = {"is_internal": True, "internal_error_status": 0}
    found |= {"consumer": cause.consumer, "code": cause.code}
    if cause.code != "unknown_api_key":
        found |= {"api": cause.api, "api_version": cause.api_version}
    return tuple(found.items())


def _missing(records: Records, causes: Mapping[Likeness, ApiError]) -> dict[Likeness, ApiError]:
    """Those causes of which none alike is in the store, open."""
    return {
        alike: cause
        for alike, cause in causes.items()
        if not records.page(ApiError, after=None, limit=1, **dict(alike))
    }


def _naming(event: UsageEvent, error_id: str) -> UsageEvent:
    document = {"error": error_id}
    if isinstance(event.variables, msgspec.Raw):
        document |= msgspec.json.decode(event.variables)
    return replace(event, variables=msgspec.Raw(msgspec.json.encode(document)))
