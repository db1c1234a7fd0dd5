"""``tollkeeper plan``: how what was used becomes money."""

from __future__ import annotations

from typing import Any

import typer

from tollkeeper.billing.plan import Plan
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.limit_options import LIMIT, parse_limit, parse_rate
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.cli.price_options import MODEL, parse_model
from tollkeeper.service.listing import find_named
from tollkeeper.service.plan_views import show_plan
from tollkeeper.service.plans import NewPlan, PlanPatch, add_plan_price, create_plan, update_plan
from tollkeeper.service.selling.plan_prices import NewPlanPrice

__all__ = ["plan_app"]

PLAN = typer.Argument(metavar="PLAN", help="Name or id of the plan.")
KIND = typer.Option(
    None,
    help="pay_as_you_go (default), discount_amount, discount_percent, prepaid_volume or prepaid_value.",
    show_default=False,
)
AMOUNT = typer.Option(None, help="Money off, per cent off, calls or money paid up front.", show_default=False)
CURRENCY = typer.Option(None, help="Currency of what it charges, e.g. EUR.", show_default=False)
FEE = typer.Option(None, help="Base fee of a period; what is paid up front for a prepaid plan.", show_default=False)
MINIMUM = typer.Option(None, help="What a period comes to at least.", show_default=False)
PRORATED = typer.Option(
    None, "--prorated/--not-prorated", help="Whether a part of a period costs less (default).", show_default=False
)
PRORATE_BY = typer.Option(None, metavar="second|day", help="How a part is measured; default: second.")
TRIAL = typer.Option(None, metavar="DAYS", help="Length of the trial.", show_default=False)
PERIOD = typer.Option(None, help="Billing period: day, week, month (default) or year.", show_default=False)
RATE = typer.Option(
    None,
    "--rate",
    metavar="N/second|minute[:ENDPOINT]",
    help="Units a second or minute, e.g. 10/second; repeatable.",
    show_default=False,
)
FAILURE = typer.Option(None, help="When a limit cannot be known: admit (default) or deny.", show_default=False)
plan_app = typer.Typer(no_args_is_help=True, help="Plans: how what was used becomes money.")


@plan_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="Name of the plan."),
    *,
    kind: str = KIND,
    amount: str = AMOUNT,
    currency: str = CURRENCY,
    trial_days: int = TRIAL,
    period: str = PERIOD,
    fee: str = FEE,
    minimum: str = MINIMUM,
    prorated: bool = PRORATED,
    prorate_by: str = PRORATE_BY,
    limits: list[str] = LIMIT,
    rates: list[str] = RATE,
    on_failure: str = FAILURE,
    store: StoreOption = None,
) -> None:
    """Make a plan and print its id."""
    values = {"kind": kind, "amount": amount, "currency": currency, "trial_days": trial_days, "period": period}
    card = {"fee": fee, "minimum": minimum, "prorated": prorated, "prorate_by": prorate_by}
    new = checked(NewPlan, name=name, **values, **card, **_terms(limits, rates, on_failure))
    with edited(store) as (_, edit):
        made = create_plan(edit, new)
    typer.echo(made.id)


@plan_app.command("list")
def list_plans(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the plans."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = [show_plan(plan) for plan in records.find(Plan)]
    columns = ("id", "name", "kind", "amount", "currency", "fee", "minimum", "trial_days", "period")
    print_records(found, columns, as_json=as_json, none="No plans: 'tollkeeper plan add' makes one.")


@plan_app.command("update")
def update(
    plan: str = PLAN,
    *,
    name: str = typer.Option(None, help="Name of the plan.", show_default=False),
    kind: str = KIND,
    amount: str = AMOUNT,
    currency: str = CURRENCY,
    trial_days: int = TRIAL,
    period: str = PERIOD,
    fee: str = FEE,
    minimum: str = MINIMUM,
    prorated: bool = PRORATED,
    prorate_by: str = PRORATE_BY,
    limits: list[str] = LIMIT,
    rates: list[str] = RATE,
    on_failure: str = FAILURE,
    store: StoreOption = None,
) -> None:
    """Change what is named; of a plan in use only its name, the trial of those to come, and its limits.

    Limits take the place of all that there are, and so do rates; --limit '' is none. 'tollkeeper plan price' adds to
    the prices.
    """
    values = {"kind": kind, "amount": amount, "currency": currency, "trial_days": trial_days, "period": period}
    card = {"fee": fee, "minimum": minimum, "prorated": prorated, "prorate_by": prorate_by}
    patch = checked(PlanPatch, name=name, **values, **card, **_terms(limits, rates, on_failure))
    with edited(store) as (_, edit):
        found = find_named(edit.records, Plan, plan, "name")
        update_plan(edit, found.id, patch)
    typer.echo(f"Changed {found.id}.")


@plan_app.command("price")
def price(
    plan: str = PLAN,
    name: str = typer.Argument(metavar="NAME", help="Name of the price, as the invoice says it."),
    model: str = MODEL,
    *,
    meter: str = typer.Option(None, help="Meter that counts what is used; a flat_fee has none.", show_default=False),
    valid_from: str = typer.Option(None, "--from", metavar="TIME", help="Start; of a price that is there: now."),
    maximum: str = typer.Option(None, help="What it comes to in a period at most.", show_default=False),
    taxes: list[str] = typer.Option(
        None, "--tax", metavar="NAME", help="Only this tax; repeatable.", show_default=False
    ),
    store: StoreOption = None,
) -> None:
    """Add a price to a plan, or to a price a row that ends the one before; rows are never edited."""
    values = {"meter": meter, "valid_from": valid_from, "maximum": maximum, "taxes": taxes or None}
    new = checked(NewPlanPrice, name=name, price=parse_model(model), **values)
    with edited(store) as (_, edit):
        found = find_named(edit.records, Plan, plan, "name")
        add_plan_price(edit, found.id, new)
    typer.echo(f"Changed {found.id}.")


def _terms(limits: list[str] | None, rates: list[str] | None, on_failure: str | None) -> dict[str, Any]:
    return {
        "limits": [parse_limit(text) for text in limits if text] if limits else None,
        "rates": [parse_rate(text) for text in rates if text] if rates else None,
        "on_failure": on_failure,
    }
