"""``tollkeeper alerts``: rules, channels, and what was told."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from tollkeeper.cli.alert_channels import channels_app
from tollkeeper.cli.alert_rules import rules_app
from tollkeeper.cli.editing import edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import SinkError
from tollkeeper.service.alerts.delivery import send_now
from tollkeeper.service.alerts.outbox import add_trial, list_messages, retry_message, show_messages
from tollkeeper.service.listing import find_named
from tollkeeper.store.operations import AlertChannel

__all__ = ["alerts_app"]

COLUMNS = ("id", "created_at", "kind", "channel", "state", "attempts", "error")
alerts_app = typer.Typer(no_args_is_help=True, help="Alerts: who is told of what, and what became of it.")
alerts_app.add_typer(rules_app, name="rules")
alerts_app.add_typer(channels_app, name="channels")


@alerts_app.command("test")
def send_test(
    channel: str = typer.Argument(metavar="CHANNEL", help="Name or id of the channel."), *, store: StoreOption = None
) -> None:
    """Send a test to a channel now, and say what became of it; exit code 1 when it was not taken."""
    with edited(store) as (_, edit):
        message = add_trial(edit, find_named(edit.records, AlertChannel, channel, "name"), by_hand=True)
    with opened(store, must_exist=True) as service:
        sent = send_now(service, message, datetime.now(UTC))
    if sent.state != "delivered":
        again = " It is tried again." if sent.state == "pending" else ""
        raise SinkError(f"The test {sent.id} was not delivered. {sent.error}{again}")
    typer.echo(f"Delivered {sent.id}.")


@alerts_app.command("messages")
def list_command(
    *,
    state: str = typer.Option(None, help="Only those that are pending, delivered or dead.", show_default=False),
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Messages at most."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List messages, newest first."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = show_messages(records, list_messages(records, state=state, limit=limit).items)
    print_records(found, COLUMNS, as_json=as_json, none="No messages.")


@alerts_app.command("retry")
def retry_command(
    message: str = typer.Argument(metavar="MESSAGE", help="Id of the message, as 'tollkeeper alerts messages' has it."),
    *,
    store: StoreOption = None,
) -> None:
    """Have a message tried again by the service, at once and as often as a new one."""
    with edited(store) as (_, edit):
        retry_message(edit, message)
    typer.echo(f"Will try {message} again.")
