"""Alerts: the rules that tell, the channels that are told, and what became of each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.billing.customer import Customer
from tollkeeper.dashboard.errors import status_of
from tollkeeper.dashboard.view import View, parse_view
from tollkeeper.errors import InvalidRequestError, TollkeeperError
from tollkeeper.service.alerts.outbox import MessageView, list_messages, show_messages
from tollkeeper.service.alerts.views import place_of
from tollkeeper.service.alerts.wording import words_for
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.di import NamedDependency

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.bootstrap import Service
    from tollkeeper.store.protocols import Records

__all__ = ["ALERT_PAGES", "show_alerts"]

PAGE = 50
NEWEST = 10
STATES = {"pending": "Waiting", "delivered": "Delivered", "dead": "Given up"}
FILTERS = ("state", "channel", "rule")
KINDS = {
    "quota": "A quota is nearly used up, or is",
    "quota_reset": "A period of a quota begins anew",
    "invalid_subscription": "A call without a key or a subscription in force",
    "error_rate": "Too many errors",
    "latency": "Too slow",
    "silence": "No calls",
}


class Told(Struct, frozen=True, kw_only=True):
    """A message, in words and with what became of it."""

    message: MessageView
    headline: str
    sentence: str


class Rule(Struct, frozen=True, kw_only=True):
    """A rule with what it watches in words; ``customer`` is None where it watches all."""

    rule: AlertRule
    condition: str
    customer: Customer | None


@get("/alerts", sync_to_thread=True)
def alerts(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """Show rules, channels and the newest messages."""
    return show_alerts(request, pages, service)


@get("/alerts/messages", sync_to_thread=True)
def messages(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], service: NamedDependency[Service]
) -> Response[bytes]:
    """List messages, newest first."""
    view = parse_view(request)
    chosen = _chosen(view)
    after = view.query.get("after") or None
    with service.catalog.reading() as records:
        listed = list_messages(records, after=after, limit=PAGE, **chosen)
        rows = _told(service, records, listed.items)
        channels = {channel.id: channel.name for channel in records.find(AlertChannel)}
        rules = {rule.id: rule.name for rule in records.find(AlertRule)}
    return pages.render(
        request,
        "messages.html",
        view=view,
        rows=rows,
        chosen=chosen,
        names={"state": STATES, "channel": channels, "rule": rules},
        after=after,
        following=listed.next,
    )


def show_alerts(
    request: Request[Any, Any, Any], pages: Pages, service: Service, *, problem: TollkeeperError | None = None
) -> Response[bytes]:
    """Render the page; ``problem`` is why something that was asked for on it could not be done."""
    view = replace(parse_view(request), path="/alerts")
    with service.catalog.reading() as records:
        found, channels = records.find(AlertRule), records.find(AlertChannel)
        watched = sorted({rule.customer for rule in found if rule.customer})
        customers = {customer.id: customer for customer in records.find(Customer, id=watched)}
        newest = _told(service, records, list_messages(records, limit=NEWEST).items)
        tried = records.get(Message, view.query["tried"]) if view.query.get("tried") else None
    return pages.render(
        request,
        "alerts.html",
        status=status_of(problem) if problem else 200,
        view=view,
        rules=[
            Rule(rule=rule, condition=_condition(rule), customer=customers.get(rule.customer or "")) for rule in found
        ],
        channels=channels,
        places={channel.id: place_of(channel) for channel in channels},
        newest=newest,
        kinds=KINDS,
        tried=tried,
        problem=problem,
    )


def _told(service: Service, records: Records, found: Sequence[Message]) -> list[Told]:
    words = [words_for(message, service.settings.public_url) for message in found]
    return [
        Told(message=shown, headline=said.headline, sentence=said.sentence)
        for shown, said in zip(show_messages(records, found), words, strict=True)
    ]


def _chosen(view: View) -> dict[str, str]:
    chosen = {name: view.query[name] for name in FILTERS if view.query.get(name)}
    if "state" in chosen and chosen["state"] not in STATES:
        raise InvalidRequestError(f"state is {chosen['state'][:40]!r}: choose one of {', '.join(STATES)}.")
    return chosen


def _condition(rule: AlertRule) -> str:
    share = None if rule.threshold is None else f"{rule.threshold * 100:f}".rstrip("0").rstrip(".") + "%"
    minutes = "a minute" if rule.minutes == 1 else f"{rule.minutes} minutes"
    if rule.kind == "quota":
        return f"{share or '80%, then 100%,'} of a quota is used"
    if rule.kind == "error_rate":
        return f"{share} of the calls of {minutes} fail"
    if rule.kind == "latency":
        return f"The 95th percentile of {minutes} reaches {rule.threshold:f} s"
    return f"No call for {minutes}" if rule.kind == "silence" else KINDS[rule.kind]


ALERT_PAGES = (alerts, messages)
