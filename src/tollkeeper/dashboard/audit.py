"""Who changed what, from what, to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get
from msgspec import Struct

from tollkeeper.dashboard.tables import to_csv
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import InvalidRequestError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.listing import Listed, list_records
from tollkeeper.store.audit import AuditEntry
from tollkeeper.store.catalog.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service

__all__ = ["AUDIT_PAGES"]

PAGE = 50
CSV_PAGE = 1_000
CSV_ROWS = 10_000
FILTERS = ("actor", "kind", "record", "action")
NOUNS = {kind.table: kind.noun for kind in KINDS.values() if kind.table not in {"audit", "idempotent_answer"}}
ACTIONS = ("create", "update", "delete")
NAMES = ("name", "number", "prefix", "endpoint")
"""The fields that may name a record, the best first."""
HEAD = ["at", "actor", "action", "kind", "record", "before", "after"]


class Change(Struct, frozen=True):
    """A field and what it was and became, as text; None where the record or the value was not there."""

    field: str
    before: str | None
    after: str | None


class Row(Struct, frozen=True, kw_only=True):
    """An entry with the name of its record, the address of a page about it, and what changed."""

    entry: AuditEntry
    noun: str
    name: str
    page: str | None
    changes: list[Change]


@get("/audit", sync_to_thread=True)
def audit_log(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List changes, newest first: all there are, or those in a span that has ends of its own."""
    view = parse_view(request)
    chosen = _chosen(view)
    after = view.query.get("after") or None
    listed = _page(service, view, chosen, after, PAGE)
    return pages.render(
        request,
        "audit.html",
        view=view,
        rows=[_row(entry) for entry in listed.items],
        chosen=chosen,
        nouns=NOUNS,
        actions=ACTIONS,
        after=after,
        following=listed.next,
    )


@get("/audit.csv", sync_to_thread=True)
def audit_csv(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Send the changes of the log, the newest 10,000 at most."""
    view = parse_view(request)
    return to_csv("audit", HEAD, _csv_rows(service, view, _chosen(view)))


def _chosen(view: View) -> dict[str, str]:
    chosen = {name: view.query[name] for name in FILTERS if view.query.get(name)}
    for name, known in (("kind", NOUNS), ("action", ACTIONS)):
        if name in chosen and chosen[name] not in known:
            raise InvalidRequestError(f"{name} is {chosen[name][:40]!r}: choose one of {', '.join(known)}.")
    return chosen


def _page(service: Service, view: View, chosen: dict[str, str], after: str | None, limit: int) -> Listed[AuditEntry]:
    asked = view.range.asked if view.range.name == "custom" else None
    with service.catalog.reading() as records:
        return list_records(
            records,
            AuditEntry,
            after=after,
            limit=limit,
            newest_first=True,
            start=from_microseconds(asked.start) if asked else None,
            end=from_microseconds(asked.end) if asked else None,
            **chosen,
        )


def _csv_rows(service: Service, view: View, chosen: dict[str, str]) -> Iterator[list[Any]]:
    after: str | None = None
    for _ in range(CSV_ROWS // CSV_PAGE):
        listed = _page(service, view, chosen, after, CSV_PAGE)
        for one in listed.items:
            documents = [_text(document) for document in (one.before, one.after)]
            yield [one.at.isoformat(), one.actor, one.action, one.kind, one.record, *documents]
        after = listed.next
        if after is None:
            return


def _row(entry: AuditEntry) -> Row:
    before, after = entry.before or {}, entry.after or {}
    document = after or before
    fields = [name for name in {**before, **after} if name != "id" and before.get(name) != after.get(name)]
    return Row(
        entry=entry,
        noun=NOUNS.get(entry.kind, entry.kind),
        name=str(next((document[field] for field in NAMES if document.get(field)), entry.record)),
        page=_about(entry, document),
        changes=[Change(name, _text(before.get(name)), _text(after.get(name))) for name in fields],
    )


def _about(entry: AuditEntry, document: dict[str, Any]) -> str | None:
    """The page that shows the record, or what it belongs to."""
    if entry.kind in {"customer", "api", "plan", "invoice"}:
        return f"/{entry.kind}s/{entry.record}"
    if entry.kind == "credit_note":
        return f"/invoices/{document['invoice']}"
    if entry.kind == "api_error":
        return f"/errors/{entry.record}"
    if entry.kind in {"alert_channel", "alert_rule", "message"}:
        return "/alerts"
    if owner := document.get("customer"):
        return f"/customers/{owner}"
    return f"/apis/{document['api']}" if entry.kind == "api_version" else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


AUDIT_PAGES = (audit_log, audit_csv)
