"""What went wrong: what APIs reported, and reports that could not be taken or charged; resolved and replayed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.response import Redirect
from msgspec import Struct

from tollkeeper.billing.customer import ApiKey, Customer
from tollkeeper.billing.failure import ApiError
from tollkeeper.dashboard.errors import status_of
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import ConflictError, InvalidRequestError, TollkeeperError
from tollkeeper.events.timestamps import from_microseconds
from tollkeeper.service.api_errors import list_errors, replay_error, resolve_error, sent_report
from tollkeeper.service.audit import editing
from tollkeeper.service.customer_search import customers_called
from tollkeeper.service.listing import Listed, find_record
from tollkeeper.service.reports import ALIASES, Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["ERROR_PAGES"]

WRITES = {"writes": True}
PAGE = 50
STATES = {"open": False, "resolved": True, "all": None}
ORIGINS = {"internal": True, "reported": False}
FILTERS = ("state", "origin", "api", "code", "customer")
PARAMETERS = tuple(field.encode_name for field in msgspec.structs.fields(Report))
KEY = "apiKey"
OUTCOMES = {
    "resolved": "It is resolved.",
    "replayed": "The report was taken in, its call is counted once, and the error is resolved.",
}
RECORDED = "Its calls are recorded already, and are charged from then on; a replay looks whether the cause is gone."
ADVICE = {
    "unknown_api_key": f"Register the key with its customer, then replay it. {RECORDED}",
    "no_subscription": f"Subscribe the customer, from the time of the call on, then replay it. {RECORDED}",
    "unknown_route": f"Register the route, or a default route, then replay it. {RECORDED}",
}
REFUSED = "The report was refused, and its call is not counted. Correct it and replay it, or resolve it to leave it so."
REPORTED = "The API reported it, and its call is recorded. Mend the API, then resolve it."


class Row(Struct, frozen=True):
    """An error, and the customer whose key it is about; None when nobody registered the key."""

    error: ApiError
    customer: Customer | None


@get("/errors", sync_to_thread=True)
def errors(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List errors, newest first: the open ones unless others are asked for."""
    view = parse_view(request)
    chosen = _chosen(view)
    after = view.query.get("after") or None
    with service.catalog.reading() as records:
        wanted = customers_called(records, chosen["customer"]) if "customer" in chosen else None
        listed = _page(records, view, chosen, wanted, after)
        rows = _rows(records, listed.items)
        unused = not rows and not list_errors(records, limit=1).items
    return pages.render(
        request,
        "errors.html",
        view=view,
        rows=rows,
        chosen=chosen,
        customer=wanted[0].name if wanted else chosen.get("customer"),
        after=after,
        following=listed.next,
        unused=unused,
    )


@get("/errors/{error:str}", sync_to_thread=True)
def one_error(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    error: FromPath[str],
) -> Response[bytes]:
    """Show an error with what was sent, and what to do about it."""
    return _show(request, pages, service, error)


@post("/errors/{error:str}/resolve", opt=WRITES, sync_to_thread=True)
def resolve(request: Request[Any, Any, Any], service: NamedDependency[Service], error: FromPath[str]) -> Response[Any]:
    """Say that it was dealt with; again does nothing."""
    return _resolved(request, service, error, "resolved")


@post("/errors/{error:str}/replay", opt=WRITES, sync_to_thread=True)
def replay(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    error: FromPath[str],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Take its report in again, with the parameters that were changed on the page, and resolve it."""
    with service.catalog.reading() as records:
        fields = _fields(find_record(records, ApiError, error))
    given = {name: data[name] for name in fields if isinstance(data.get(name), str)}
    # A field of a form loses line ends, so they alone are no correction; an empty one leaves its parameter out.
    changed = {name: text for name, text in given.items() if _in_a_line(text) != _in_a_line(fields[name])}
    try:
        replay_error(service.catalog, service.events, error, changed)
    except (ConflictError, InvalidRequestError) as problem:
        return _show(request, pages, service, error, problem=problem, given=given)
    return _resolved(request, service, error, "replayed")


def _show(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    error_id: str,
    *,
    problem: TollkeeperError | None = None,
    given: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Render the page; ``problem`` is why a replay could not be done, and ``given`` what was written for it."""
    view = parse_view(request)
    with service.catalog.reading() as records:
        error = find_record(records, ApiError, error_id)
        row = _rows(records, [error])[0]
    outcome = OUTCOMES.get(view.query.get("done", "")) if error.resolved_at else None
    return pages.render(
        request,
        "one_error.html",
        status=status_of(problem) if problem else 200,
        view=view,
        error=error,
        customer=row.customer,
        chosen=_chosen(view),
        advice=ADVICE.get(error.code or "", REFUSED) if error.is_internal else REPORTED,
        fields=_fields(error) | dict(given or {}) if error.is_internal and error.event_id else {},
        outcome=outcome,
        problem=problem,
    )


def _resolved(request: Request[Any, Any, Any], service: Service, error_id: str, outcome: str) -> Response[Any]:
    view = parse_view(request)
    with editing(service.catalog, request.state["token"].name) as edit:
        error = resolve_error(edit, error_id)
    return Redirect(view.url(f"/errors/{error.id}", done=outcome, **_chosen(view)), status_code=303)


def _chosen(view: View) -> dict[str, str]:
    chosen = {name: view.query[name] for name in FILTERS if view.query.get(name)}
    for name, known in (("state", STATES), ("origin", ORIGINS)):
        if name in chosen and chosen[name] not in known:
            raise InvalidRequestError(f"{name} is {chosen[name][:40]!r}: choose one of {', '.join(known)}.")
    return chosen


def _page(
    records: Records, view: View, chosen: Mapping[str, str], customers: Sequence[Customer] | None, after: str | None
) -> Listed[ApiError]:
    asked = view.range.asked if view.range.name == "custom" else None
    owners = None if customers is None else [customer.id for customer in customers]
    keys = None if owners is None else records.find(ApiKey, customer=owners)
    return list_errors(
        records,
        internal=ORIGINS.get(chosen.get("origin", "")),
        resolved=STATES[chosen.get("state", "open")],
        api=chosen.get("api"),
        code=chosen.get("code"),
        consumer=None if keys is None else [key.fingerprint for key in keys],
        start=from_microseconds(asked.start) if asked else None,
        end=from_microseconds(asked.end) if asked else None,
        after=after,
        limit=PAGE,
    )


def _rows(records: Records, found: Sequence[ApiError]) -> list[Row]:
    prints = sorted({error.consumer for error in found if error.consumer})
    owners = {key.fingerprint: key.customer for key in records.find(ApiKey, fingerprint=prints)}
    customers = {one.id: one for one in records.find(Customer, id=sorted(set(owners.values())))}
    return [Row(error, customers.get(owners.get(error.consumer or "", ""))) for error in found]


def _fields(error: ApiError) -> dict[str, str]:
    """The parameters that a replay takes, called as the report called them, with what it gave; '' where it gave none.

    A key is only asked for when the report came without one.
    """
    sent = {name: value for name, value in sent_report(error).items() if value not in (None, "")}
    names = {parameter: parameter for parameter in PARAMETERS}
    names |= {ALIASES.get(name, name): name for name in reversed(sent) if ALIASES.get(name, name) in names}
    fields = {} if error.consumer else {KEY: ""}
    return fields | {name: _text(sent.get(name, "")) for name in names.values()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _in_a_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


ERROR_PAGES = (errors, one_error, resolve, replay)
