"""Where usage reports are handed in: answered when all of them are in the store, each once."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.errors import InvalidRequestError, StoreError, TooLargeError
from tollkeeper.events.codec import DecodedBatch
from tollkeeper.events.event import UsageEvent
from tollkeeper.events.fingerprint import fingerprint
from tollkeeper.events.receipt import EventError
from tollkeeper.service.call_memory import CallMemory
from tollkeeper.service.report_drafts import Draft, draft_report, keep_errors
from tollkeeper.service.reports import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tollkeeper.service.ingest import GroupCommit
    from tollkeeper.service.report_calls import ReportedCalls
    from tollkeeper.store.protocols import RecordStore

__all__ = ["ReportDesk", "ReportResult"]

GROUP_REQUESTS = 200
WAITING_REQUESTS = 5_000
MAX_TEXT_BYTES = 65_536


class ReportResult(Struct, frozen=True, omit_defaults=True):
    """What became of one report; ``code`` and ``detail`` say why it was rejected."""

    id: str
    status: Literal["recorded", "rejected"]
    code: str | None = None
    detail: str | None = None


class Submission(Struct, frozen=True):
    """One request: what came in, and when (µs since 1970)."""

    key: str | None
    body: bytes
    at: int

    @property
    def consumer(self) -> str | None:
        """What stands for the key wherever something is stored."""
        return fingerprint(self.key) if self.key else None


class Taken(Struct, frozen=True):
    """What became of a submission: its reports, ``many`` when they came as a list, and what is to be stored."""

    many: bool
    drafts: list[Draft]
    batch: DecodedBatch


class ReportDesk:
    """Takes reports in by the same path as events. Belongs to one event loop.

    Requests that arrive while others are being read are read together, and their errors are kept in one transaction.
    """

    def __init__(self, store: RecordStore, commits: GroupCommit, max_reports: int) -> None:
        self._store = store
        self._commits = commits
        self._max_reports = max_reports
        self._memory = CallMemory(store)
        self._pending: list[tuple[Submission, asyncio.Future[Taken]]] = []
        self._reading = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tollkeeper-reports")

    async def take(self, key: str | None, body: bytes) -> ReportResult | list[ReportResult]:
        """Take one report or a list of them; returns after the durable commit. Idempotent by the ids of the reports.

        Of a list, each report has its own result. Raises InvalidRequestError for one report that cannot be taken, for
        what is no JSON and for a list that is too long; StoreError when nothing is acknowledged.
        """
        if len(self._pending) >= WAITING_REQUESTS:
            raise StoreError("Too many reports wait for the store: send it again in a moment.", code="overloaded")
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._pending.append((Submission(key, body, time.time_ns() // 1_000), future))
        if not self._reading:
            self._start()
        taken = await future
        await self._commits.submit(SOURCE, taken.batch)
        first = taken.drafts[0].outcome if taken.drafts else None
        if not taken.many and isinstance(first, InvalidRequestError):
            raise first
        results = [_result(draft) for draft in taken.drafts]
        return results if taken.many else results[0]

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown()

    def _start(self) -> None:
        group, self._pending = self._pending[:GROUP_REQUESTS], self._pending[GROUP_REQUESTS:]
        self._reading = True
        submissions = [submission for submission, _ in group]
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._read, submissions)
        done.add_done_callback(lambda finished: self._finish([future for _, future in group], finished))

    def _finish(self, futures: list[asyncio.Future[Taken]], finished: asyncio.Future[list[Taken | Exception]]) -> None:
        self._reading = False
        for future, outcome in zip(futures, finished.result(), strict=True):
            if future.done():  # whoever sent it is gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if self._pending:
            self._start()

    def _read(self, submissions: list[Submission]) -> list[Taken | Exception]:
        """Runs on the thread; when a group fails, each of it has another try, alone."""
        try:
            calls = self._memory.calls_of({one.consumer for one in submissions if one.consumer})
            drafts = [self._drafts(calls, submission) for submission in submissions]
            found = keep_errors(self._store, [draft for _, group in drafts for draft in group])
            events = {event.id: event for event in reversed(found)}
            return [Taken(many, group, _batch(group, events)) for many, group in drafts]
        except Exception as error:  # noqa: BLE001  # each request must get its answer, whatever went wrong
            if len(submissions) == 1:
                return [error]
            return [outcome for submission in submissions for outcome in self._read([submission])]

    def _drafts(self, calls: ReportedCalls, submission: Submission) -> tuple[bool, list[Draft]]:
        document, broken = _decode(submission.body)
        many = isinstance(document, list)
        documents = document if many else [document]
        if len(documents) > self._max_reports:
            raise TooLargeError(
                f"The list holds {len(documents)} reports, the limit is {self._max_reports}: send several lists.",
                code="batch_too_large",
            )
        consumer, secret = submission.consumer, submission.key
        drafts = [draft_report(calls, one, consumer=consumer, secret=secret, at=submission.at) for one in documents]
        if broken is not None:
            drafts = [replace(drafts[0], outcome=broken, cause=None)]
        return many, drafts


def _batch(drafts: list[Draft], events: Mapping[str, UsageEvent]) -> DecodedBatch:
    """What is stored of drafts: the events, which name their errors by now, and what was rejected."""
    good = [events[draft.event_id] for draft in drafts if isinstance(draft.outcome, UsageEvent)]
    errors = [
        EventError(place, draft.outcome.code, draft.outcome.detail)
        for place, draft in enumerate(drafts)
        if isinstance(draft.outcome, InvalidRequestError)
    ]
    return DecodedBatch(len(drafts), good, errors)


def _decode(body: bytes) -> tuple[Any, InvalidRequestError | None]:
    """The JSON of a body, or its text and what is wrong with it."""
    try:
        return msgspec.json.decode(body), None
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        text = body[:MAX_TEXT_BYTES].decode("utf-8", "replace")
        return text, InvalidRequestError(f"The body is not JSON: {error}.", code="invalid_json")


def _result(draft: Draft) -> ReportResult:
    if isinstance(draft.outcome, InvalidRequestError):
        return ReportResult(draft.id, "rejected", draft.outcome.code, draft.outcome.detail)
    return ReportResult(draft.id, "recorded")
