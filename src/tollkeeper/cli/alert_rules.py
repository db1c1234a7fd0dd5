"""``tollkeeper alerts rules``: when to tell, and whom."""

from __future__ import annotations

import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.alerts.rules import NewRule, RulePatch, create_rule, remove_rule, update_rule
from tollkeeper.service.alerts.views import show_rule
from tollkeeper.service.listing import find_named
from tollkeeper.store.operations import AlertRule

__all__ = ["rules_app"]

COLUMNS = ("id", "name", "kind", "threshold", "minutes", "api", "endpoint", "customer", "channels", "paused")
RULE = typer.Argument(metavar="RULE", help="Name or id of the rule.")
CHANNELS = typer.Option([], "--channel", metavar="CHANNEL", help="Name or id of a channel; may be given again.")
THRESHOLD = typer.Option(
    None, help="A share as 0.05 (error_rate, quota), or seconds (latency: 95th percentile).", show_default=False
)
MINUTES = typer.Option(None, help="How long a time is looked at: 5 when left out.", show_default=False)
API = typer.Option(None, help="Only of this API, by its name or id.", show_default=False)
ENDPOINT = typer.Option(None, help="Only of this route, e.g. /orders/{id}.", show_default=False)
CUSTOMER = typer.Option(None, help="Only of this customer, by id or external id.", show_default=False)
rules_app = typer.Typer(no_args_is_help=True, help="Rules: when to tell, and whom.")


@rules_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="Name of the rule."),
    kind: str = typer.Argument(
        metavar="KIND", help="invalid_subscription, quota, quota_reset, error_rate, latency or silence."
    ),
    *,
    channels: list[str] = CHANNELS,
    threshold: str = THRESHOLD,
    minutes: int = MINUTES,
    api: str = API,
    endpoint: str = ENDPOINT,
    customer: str = CUSTOMER,
    store: StoreOption = None,
) -> None:
    """Make a rule and print its id."""
    scope = {"api": api, "endpoint": endpoint, "customer": customer}
    new = checked(NewRule, name=name, kind=kind, channels=channels, threshold=threshold, minutes=minutes, **scope)
    with edited(store) as (_, edit):
        made = create_rule(edit, new)
    typer.echo(made.id)


@rules_app.command("list")
def list_rules(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the rules."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = [show_rule(rule) for rule in records.find(AlertRule)]
    print_records(found, COLUMNS, as_json=as_json, none="No rules: 'tollkeeper alerts rules add' makes one.")


@rules_app.command("update")
def update(
    rule: str = RULE,
    *,
    name: str = typer.Option(None, help="Name of the rule.", show_default=False),
    channels: list[str] = CHANNELS,
    threshold: str = THRESHOLD,
    minutes: int = MINUTES,
    paused: bool = typer.Option(None, "--pause/--resume", help="Tell of nothing for now, or again."),
    store: StoreOption = None,
) -> None:
    """Change what is named of a rule."""
    values = {"name": name, "threshold": threshold, "minutes": minutes, "paused": paused}
    patch = checked(RulePatch, channels=channels or None, **values)
    with edited(store) as (_, edit):
        found = find_named(edit.records, AlertRule, rule, "name")
        update_rule(edit, found.id, patch)
    typer.echo(f"Changed {found.id}.")


@rules_app.command("remove")
def remove(rule: str = RULE, *, store: StoreOption = None) -> None:
    """Take a rule away."""
    with edited(store) as (_, edit):
        found = find_named(edit.records, AlertRule, rule, "name")
        remove_rule(edit, found.id)
    typer.echo(f"Removed {found.id}.")
