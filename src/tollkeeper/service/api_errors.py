"""What went wrong: resolved when it is dealt with, and what went wrong with reports replayed when it is mended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tollkeeper.billing.failure import ApiError
from tollkeeper.errors import ConflictError, InvalidRequestError, UnprocessableError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.timestamps import to_microseconds
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.service.report_calls import ReportedCalls
from tollkeeper.service.report_drafts import draft_report, keep_errors
from tollkeeper.service.reports import SOURCE

if TYPE_CHECKING:
    from tollkeeper.service.audit import Edit
    from tollkeeper.store.protocols import EventStore, Records, RecordStore

__all__ = ["list_errors", "replay_error", "resolve_error", "sent_report"]


def list_errors(
    records: Records, *, internal: bool | None = None, resolved: bool | None = None, **options: Any
) -> Listed[ApiError]:
    """List errors, newest first; ``options`` as those of ``list_records``."""
    status = None if resolved is None else int(resolved)
    return list_records(
        records, ApiError, newest_first=True, is_internal=internal, internal_error_status=status, **options
    )


def resolve_error(edit: Edit, error_id: str) -> ApiError:
    """Say that an error was dealt with; idempotent. Raises NotFoundError."""
    old = find_record(edit.records, ApiError, error_id)
    if old.resolved_at is not None:
        return old
    new = replace(old, resolved_at=edit.now, internal_error_status=1)
    edit.replace(old, new)
    return new


def replay_error(
    store: RecordStore, events: EventStore, error_id: str, corrections: dict[str, Any] | None = None
) -> None:
    """Take the report of an internal error in again, with other values for some of its parameters.

    Its usage is counted once, however often it is replayed or was reported again; resolving is for the caller to do.
    Raises NotFoundError, ConflictError when the cause is still there or there is nothing to replay,
    UnprocessableError when the report still cannot be taken.
    """
    with store.reading() as records:
        error = find_record(records, ApiError, error_id)
    if not error.is_internal or error.event_id is None:
        raise ConflictError("The API reported this error, so there is nothing to replay: resolve it.")
    document = sent_report(error) | (corrections or {})
    secret = document.pop("apiKey", None) if "apiKey" in (corrections or {}) else None
    consumer = error.consumer or (fingerprint(str(secret)) if secret else None)
    calls = ReportedCalls(store, [consumer] if consumer else [])
    draft = draft_report(
        calls,
        document,
        consumer=consumer,
        secret=str(secret) if secret else None,
        at=to_microseconds(error.created_at),
        event_id=error.event_id,
    )
    if isinstance(draft.outcome, InvalidRequestError):
        raise UnprocessableError(f"The report still cannot be taken. {draft.outcome.detail}", code="replay_failed")
    cause = calls.cause(replace(draft.outcome, time=datetime.now(UTC)))
    if cause is not None and cause.code == error.code:
        raise ConflictError(f"The cause is still there. {cause.message}", code="replay_failed")
    found = keep_errors(store, [replace(draft, cause=cause)])
    events.append([(SOURCE, DecodedBatch(len(found), found, []))])


def sent_report(error: ApiError) -> dict[str, Any]:
    """The parameters of the report that an internal error keeps; none when it was cut or is no JSON object."""
    try:
        document = msgspec.json.decode(error.input_data or "")
    except msgspec.DecodeError:
        document = None
    return document if isinstance(document, dict) else {}
