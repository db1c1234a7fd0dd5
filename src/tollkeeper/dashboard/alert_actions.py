"""What can be done to rules, channels and messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from litestar import Request, Response, post
from litestar.response import Redirect

from tollkeeper.dashboard.alerts import show_alerts
from tollkeeper.dashboard.forms import filled
from tollkeeper.dashboard.view import parse_view
from tollkeeper.errors import ConflictError, InvalidRequestError
from tollkeeper.service.alerts.channels import NewChannel
from tollkeeper.service.alerts.delivery import channels_of, send_now
from tollkeeper.service.alerts.outbox import add_trial, retry_message
from tollkeeper.service.alerts.rules import NewRule, RulePatch, create_rule, remove_rule, update_rule
from tollkeeper.service.audit import editing
from tollkeeper.service.listing import find_record
from tollkeeper.store.operations import AlertChannel, AlertRule, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.di import NamedDependency
    from litestar.params import FromPath, URLEncodedBody

    from tollkeeper.dashboard.pages import Pages
    from tollkeeper.service.audit import Edit
    from tollkeeper.service.bootstrap import Service

__all__ = ["ALERT_ACTIONS"]

T = TypeVar("T")
WRITES = {"writes": True}
RULE_FIELDS = ("name", "kind", "threshold", "minutes", "api", "endpoint", "customer")


@post("/alerts/rules", opt=WRITES, sync_to_thread=True)
def make_rule(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Make a rule."""
    given = data.get("channels", [])
    channels = given if isinstance(given, list) else [given]

    def make(edit: Edit) -> AlertRule:
        return create_rule(edit, filled(NewRule, data, *RULE_FIELDS, channels=channels))

    return _change(request, pages, service, make, lambda _: _back(request, "#rules"))


@post("/alerts/rules/{rule:str}/pause", opt=WRITES, sync_to_thread=True)
def pause_rule(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    rule: FromPath[str],
) -> Response[Any]:
    """Have a rule tell nothing until it is resumed; again does nothing."""
    patch = RulePatch(paused=True)
    return _change(
        request, pages, service, lambda edit: update_rule(edit, rule, patch), lambda _: _back(request, "#rules")
    )


@post("/alerts/rules/{rule:str}/resume", opt=WRITES, sync_to_thread=True)
def resume_rule(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    rule: FromPath[str],
) -> Response[Any]:
    """Have a rule tell again; again does nothing."""
    patch = RulePatch(paused=False)
    return _change(
        request, pages, service, lambda edit: update_rule(edit, rule, patch), lambda _: _back(request, "#rules")
    )


@post("/alerts/rules/{rule:str}/delete", opt=WRITES, sync_to_thread=True)
def delete_rule(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    rule: FromPath[str],
) -> Response[Any]:
    """Take a rule away."""
    return _change(request, pages, service, lambda edit: remove_rule(edit, rule), lambda _: _back(request, "#rules"))


@post("/alerts/channels", opt=WRITES, sync_to_thread=True)
def make_channel(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    data: URLEncodedBody[dict[str, Any]],
) -> Response[Any]:
    """Make a channel; the secret of a webhook is shown, this once."""

    def make(edit: Edit) -> tuple[AlertChannel, str | None]:
        return channels_of(service).create(edit, filled(NewChannel, data, "name", "kind", "address"))

    def done(made: tuple[AlertChannel, str | None]) -> Response[Any]:
        channel, secret = made
        if secret is None:
            return _back(request, "#channels")
        view = parse_view(request)
        return pages.render(request, "channel.html", status=201, view=view, channel=channel, secret=secret)

    return _change(request, pages, service, make, done)


@post("/alerts/channels/{channel:str}/test", opt=WRITES, sync_to_thread=True)
def try_channel(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    channel: FromPath[str],
) -> Response[Any]:
    """Send a test by a channel now, and say how it went."""

    def done(message: Message) -> Response[Any]:
        send_now(service, message, datetime.now(UTC))
        return _back(request, tried=message.id)

    def trial(edit: Edit) -> Message:
        return add_trial(edit, find_record(edit.records, AlertChannel, channel), by_hand=True)

    return _change(request, pages, service, trial, done)


@post("/alerts/channels/{channel:str}/delete", opt=WRITES, sync_to_thread=True)
def delete_channel(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    channel: FromPath[str],
) -> Response[Any]:
    """Take a channel away, also out of the rules."""
    verbs = channels_of(service)
    return _change(
        request, pages, service, lambda edit: verbs.remove(edit, channel), lambda _: _back(request, "#channels")
    )


@post("/alerts/messages/{message:str}/retry", opt=WRITES, sync_to_thread=True)
def retry(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    service: NamedDependency[Service],
    message: FromPath[str],
) -> Response[Any]:
    """Have a message tried again, at once and as often as a new one."""
    address = parse_view(request).url("/alerts/messages")
    return _change(
        request,
        pages,
        service,
        lambda edit: retry_message(edit, message),
        lambda _: Redirect(address, status_code=303),
    )


def _change(
    request: Request[Any, Any, Any],
    pages: Pages,
    service: Service,
    verb: Callable[[Edit], T],
    done: Callable[[T], Response[Any]],
) -> Response[Any]:
    """Run a verb in the name of who is logged in, then answer ``done``; what is refused is said on the page."""
    try:
        with editing(service.catalog, request.state["token"].name) as edit:
            made = verb(edit)
    except (ConflictError, InvalidRequestError) as error:
        return show_alerts(request, pages, service, problem=error)
    return done(made)


def _back(request: Request[Any, Any, Any], part: str = "", **query: str) -> Response[Any]:
    return Redirect(parse_view(request).url("/alerts", **query) + part, status_code=303)


ALERT_ACTIONS = (
    make_rule,
    pause_rule,
    resume_rule,
    delete_rule,
    make_channel,
    try_channel,
    delete_channel,
    retry,
)
