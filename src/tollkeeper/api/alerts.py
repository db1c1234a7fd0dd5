"""``/v1/alerts/rules`` and ``/v1/alerts/messages``: when to tell whom, and what was told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from tollkeeper.api.paging import AfterQuery, LimitQuery, paged
from tollkeeper.api.writing import ADMIN, Write, shown
from tollkeeper.service.alerts.outbox import MessageView, list_messages, retry_message, show_messages
from tollkeeper.service.alerts.rules import NewRule, RulePatch, create_rule, remove_rule, update_rule
from tollkeeper.service.alerts.views import RuleView, show_rule
from tollkeeper.service.bootstrap import Service
from tollkeeper.service.listing import Listed, find_record, list_records
from tollkeeper.store.operations import AlertRule, Message, RuleKind

__all__ = ["ALERT_HANDLERS"]

TAGS = ["Alerts"]
RULES, MESSAGES = "/v1/alerts/rules", "/v1/alerts/messages"
RULE, MESSAGE = f"{RULES}/{{rule:str}}", f"{MESSAGES}/{{message:str}}"


@get(RULES, sync_to_thread=True, summary="List rules", tags=TAGS)
def get_rules(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    kind: Annotated[RuleKind | None, QueryParameter(description="What the rules are for.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[RuleView]]:
    """List rules, oldest first."""
    with service.catalog.reading() as records:
        listed = list_records(records, AlertRule, after=after, limit=limit, kind=kind)
    return paged(request, Listed([show_rule(rule) for rule in listed.items], listed.next))


@post(RULES, sync_to_thread=True, opt=ADMIN, summary="Make a rule", tags=TAGS)
def post_rule(write: NamedDependency[Write], data: JSONBody[NewRule]) -> Response[RuleView]:
    """Make a rule."""
    return write.create(lambda edit: show_rule(create_rule(edit, data)), data, "alerts/rules")


@get(RULE, sync_to_thread=True, summary="Show a rule", tags=TAGS)
def get_rule(service: NamedDependency[Service], rule: FromPath[str]) -> Response[RuleView]:
    """Show a rule."""
    with service.catalog.reading() as records:
        return shown(show_rule(find_record(records, AlertRule, rule)))


@patch(RULE, sync_to_thread=True, opt=ADMIN, summary="Change a rule", tags=TAGS)
def patch_rule(write: NamedDependency[Write], rule: FromPath[str], data: JSONBody[RulePatch]) -> Response[RuleView]:
    """Change what is named of a rule."""
    return write.change(
        lambda edit: update_rule(edit, rule, data),
        lambda records: show_rule(find_record(records, AlertRule, rule)),
        data,
    )


@delete(RULE, sync_to_thread=True, opt=ADMIN, summary="Take a rule away", tags=TAGS)
def delete_rule(write: NamedDependency[Write], rule: FromPath[str]) -> Response[None]:
    """Take a rule away; its messages that wait are sent all the same."""
    return write.remove(
        lambda edit: remove_rule(edit, rule), lambda records: show_rule(find_record(records, AlertRule, rule))
    )


@get(MESSAGES, sync_to_thread=True, summary="List messages", tags=TAGS)
def get_messages(
    *,
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    wanted: Annotated[
        Literal["pending", "delivered", "dead"] | None,
        QueryParameter(name="state", description="pending, delivered or dead."),
    ] = None,
    channel: Annotated[str | None, QueryParameter(description="Id of a channel.")] = None,
    rule: Annotated[str | None, QueryParameter(description="Id of a rule.")] = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
) -> Response[Listed[MessageView]]:
    """List messages, newest first."""
    with service.catalog.reading() as records:
        listed = list_messages(records, after=after, limit=limit, state=wanted, channel=channel, rule=rule)
        return paged(request, Listed(show_messages(records, listed.items), listed.next))


@get(MESSAGE, sync_to_thread=True, summary="Show a message", tags=TAGS)
def get_message(service: NamedDependency[Service], message: FromPath[str]) -> Response[MessageView]:
    """Show a message."""
    with service.catalog.reading() as records:
        return shown(show_messages(records, [find_record(records, Message, message)])[0])


@post(f"{MESSAGE}/retry", sync_to_thread=True, status_code=200, opt=ADMIN, summary="Try a message again", tags=TAGS)
def post_retry(write: NamedDependency[Write], message: FromPath[str]) -> Response[MessageView]:
    """Have a message tried at once, and as often as a new one."""
    return write.change(
        lambda edit: retry_message(edit, message),
        lambda records: show_messages(records, [find_record(records, Message, message)])[0],
    )


ALERT_HANDLERS = [
    get_rules,
    post_rule,
    get_rule,
    patch_rule,
    delete_rule,
    get_messages,
    get_message,
    post_retry,
]
