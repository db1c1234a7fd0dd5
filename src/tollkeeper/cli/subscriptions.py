"""``tollkeeper subscription``: who may use what, under which plan."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from tollkeeper.billing.subscription import Subscription
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.grants import add_grant_commands
from tollkeeper.cli.limit_options import LIMIT, parse_limit
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.cli.own_prices import add_own_price_commands
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.subscription_life import (
    SubscriptionPatch,
    cancel,
    change_plan,
    set_paused,
    update_subscription,
)
from tollkeeper.service.subscription_views import show_subscriptions
from tollkeeper.service.subscriptions import NewSubscription, subscribe

__all__ = ["subscription_app"]

SUBSCRIPTION = typer.Argument(metavar="SUBSCRIPTION", help="Id, as 'tollkeeper subscription list' prints it.")
subscription_app = typer.Typer(no_args_is_help=True, help="Subscriptions: who may use what, under which plan.")


@subscription_app.command("add")
def add(
    customer: str = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer."),
    plan: str = typer.Argument(metavar="PLAN", help="Name or id of the plan."),
    *,
    api: str = typer.Option(None, help="API; left out: every API.", show_default=False),
    version: str = typer.Option(None, help="Version of it; left out: all.", show_default=False),
    started_at: str = typer.Option(None, "--from", metavar="TIME", help="Start; left out: now.", show_default=False),
    trial_days: int = typer.Option(None, metavar="DAYS", help="Trial instead of the plan's.", show_default=False),
    limits: list[str] = LIMIT,
    store: StoreOption = None,
) -> None:
    """Begin a subscription and print its id."""
    new = checked(
        NewSubscription,
        customer=customer,
        plan=plan,
        api=api,
        version=version,
        started_at=started_at,
        trial_days=trial_days,
        has_quota_limits=bool(limits),
        limits=[parse_limit(text) for text in limits or []],
    )
    with edited(store) as (_, edit):
        made = subscribe(edit, new)
    typer.echo(made.id)


@subscription_app.command("list")
def list_subscriptions(
    customer: str = typer.Argument(None, metavar="CUSTOMER", help="Only those of this customer."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List subscriptions as they are now."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        where = {"customer": find_customer(records, customer).id} if customer else {}
        found = show_subscriptions(records, records.find(Subscription, **where), datetime.now(UTC))
    columns = ("id", "customer", "api", "version", "plan", "state", "started_at", "ended_at")
    print_records(found, columns, as_json=as_json, none="No subscriptions: 'tollkeeper subscription add' makes one.")


@subscription_app.command("update")
def update(subscription: str = SUBSCRIPTION, *, limits: list[str] = LIMIT, store: StoreOption = None) -> None:
    """Replace all limits; without --limit there are none afterwards."""
    wanted = [parse_limit(text) for text in limits or []]
    patch = checked(SubscriptionPatch, has_quota_limits=bool(wanted), limits=wanted)
    with edited(store) as (_, edit):
        update_subscription(edit, subscription, patch)
    typer.echo(f"Changed {subscription}.")


@subscription_app.command("pause")
def pause(subscription: str = SUBSCRIPTION, *, store: StoreOption = None) -> None:
    """Serve nothing until it is resumed."""
    with edited(store) as (_, edit):
        set_paused(edit, subscription, paused=True)
    typer.echo(f"Paused {subscription}.")


@subscription_app.command("resume")
def resume(subscription: str = SUBSCRIPTION, *, store: StoreOption = None) -> None:
    """Serve again after a pause."""
    with edited(store) as (_, edit):
        set_paused(edit, subscription, paused=False)
    typer.echo(f"Resumed {subscription}.")


@subscription_app.command("cancel")
def cancel_command(
    subscription: str = SUBSCRIPTION,
    *,
    at_once: bool = typer.Option(False, "--at-once", help="End it now, not with its period."),
    store: StoreOption = None,
) -> None:
    """End a subscription with its period, which is served until then, or now."""
    with edited(store) as (_, edit):
        ended_at = cancel(edit, subscription, at_once=at_once).ended_at
    typer.echo(f"{subscription} ends at {ended_at:%Y-%m-%d %H:%M:%S} UTC.")


@subscription_app.command("change-plan")
def change(
    subscription: str = SUBSCRIPTION,
    plan: str = typer.Argument(metavar="PLAN", help="Name or id of the plan; the one in force undoes a change."),
    *,
    at_once: bool = typer.Option(False, "--at-once", help="Now, not with the next period; both are charged in part."),
    store: StoreOption = None,
) -> None:
    """Have another plan from the next period on, or now."""
    with edited(store) as (_, edit):
        found = change_plan(edit, subscription, plan, at_once=at_once)
        planned = show_subscriptions(edit.records, [found], edit.now)[0].plans[-1]
    typer.echo(f"{subscription} has the plan {planned.plan} from {planned.effective_at:%Y-%m-%d %H:%M:%S} UTC on.")


add_grant_commands(subscription_app)
add_own_price_commands(subscription_app)
