"""``tollkeeper revenue``: what was earned, what comes again, what this month may come to, and how fast answers were."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import typer

from tollkeeper.cli.money_tables import amount, print_json, print_rows, seconds, share
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.invoicing.months import month_of
from tollkeeper.service.periods import END_OF_TIME, Period, parse_time
from tollkeeper.service.revenue.calendar import revenue_span
from tollkeeper.service.revenue.forecast import forecast
from tollkeeper.service.revenue.months import revenue_by_month
from tollkeeper.service.revenue.ranking import top_revenue
from tollkeeper.service.revenue.recurring import Movement, recurring
from tollkeeper.service.revenue.times import response_times

__all__ = ["revenue_app"]

START = typer.Option(None, "--from", metavar="TIME", help="Start, included. Default: eleven months before this one.")
END = typer.Option(None, "--to", metavar="TIME", help="End, excluded. Default: the end of this month.")
JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")
NOTHING = "No revenue in this time: 'tollkeeper invoices run' makes invoices."
revenue_app = typer.Typer(no_args_is_help=True, help="What was earned, what comes again, and how fast answers were.")


class By(StrEnum):
    """What revenue is ranked by."""

    api = "api"
    route = "route"
    customer = "customer"
    plan = "plan"


class TimesOf(StrEnum):
    """What response times are told of."""

    api = "api"
    route = "route"


@revenue_app.command("months")
def months(*, start: str = START, end: str = END, as_json: bool = JSON, store: StoreOption = None) -> None:
    """Show revenue by month: what final invoices charge, less credit notes, without taxes."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = revenue_by_month(records, *revenue_span(start, end, datetime.now(UTC)))
    if as_json:
        print_json(found)
        return
    columns = {
        "Month": [one.month for one in found],
        "Charged": [amount(one.charged, one.currency) for one in found],
        "Credited": [amount(one.credited, one.currency) for one in found],
        "Revenue": [amount(one.net, one.currency) for one in found],
    }
    print_rows(columns, texts=["Month"], none=NOTHING)


@revenue_app.command("top")
def top(
    *,
    by: By = typer.Option(By.customer, help="What is ranked."),
    limit: int = typer.Option(10, min=1, max=1000, metavar="N", help="Members of each currency at most."),
    start: str = START,
    end: str = END,
    as_json: bool = JSON,
    store: StoreOption = None,
) -> None:
    """Show who and what brings the most revenue, each currency by itself."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = top_revenue(records, by.value, *revenue_span(start, end, datetime.now(UTC)), limit)
    if as_json:
        print_json(found)
        return
    columns = {
        by.capitalize(): [one.name for one in found],
        "Revenue": [amount(one.net, one.currency) for one in found],
        "Share": [share(one.share) for one in found],
    }
    print_rows(columns, texts=[by.capitalize()], none=NOTHING)


@revenue_app.command("recurring")
def show_recurring(*, start: str = START, end: str = END, as_json: bool = JSON, store: StoreOption = None) -> None:
    """Show monthly recurring revenue, and who came, pays more, pays less or left."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = recurring(records, *revenue_span(start, end, datetime.now(UTC)))
    if as_json:
        print_json(found)
        return
    columns = {
        "Month": [one.month for one in found],
        "Recurring": [amount(one.amount, one.currency) for one in found],
        "Customers": [f"{one.customers:,}" for one in found],
        "New": [_moved(one.new) for one in found],
        "Expansion": [_moved(one.expansion) for one in found],
        "Contraction": [_moved(one.contraction) for one in found],
        "Churned": [_moved(one.churned) for one in found],
        "Retention": [share(one.net_retention) for one in found],
    }
    print_rows(columns, texts=["Month"], none=NOTHING)


@revenue_app.command("forecast")
def show_forecast(
    month: str = typer.Argument(None, metavar="[MONTH]", help="As 2026-10. Default: the running one."),
    *,
    as_json: bool = JSON,
    store: StoreOption = None,
) -> None:
    """Show what the drafts of a month may come to, beside the month before."""
    now = datetime.now(UTC)
    with opened(store, must_exist=True) as service:
        found = forecast(service, month or month_of(now), now)
    if as_json:
        print_json(found)
        return
    rows = found.currencies
    columns = {
        "Month": [found.month for _ in rows],
        "Fees": [amount(one.fees, one.currency) for one in rows],
        "Usage so far": [amount(one.usage_so_far, one.currency) for one in rows],
        "Usage expected": [amount(one.usage_expected, one.currency) for one in rows],
        "Expected": [amount(one.expected, one.currency) for one in rows],
        "Last month": [amount(one.last_month, one.currency) for one in rows],
    }
    print_rows(columns, texts=["Month"], none="No drafts: 'tollkeeper invoices run' makes some.")
    if found.counted_to is not None:
        drafts = "1 draft" if found.drafts == 1 else f"{found.drafts:,} drafts"
        typer.echo(f"From {drafts}, worked out at {found.counted_to:%Y-%m-%d %H:%M} UTC.")


@revenue_app.command("times")
def times(
    *,
    by: TimesOf = typer.Option(TimesOf.route, help="What times are told of."),
    start: str = typer.Option(None, "--from", metavar="TIME", help="Start, included. Default: the first event."),
    end: str = typer.Option(None, "--to", metavar="TIME", help="End, excluded. Default: the last event."),
    limit: int = typer.Option(100, min=1, metavar="N", help="Rows at most."),
    as_json: bool = JSON,
    store: StoreOption = None,
) -> None:
    """Show best and average response times, with percentiles, those with the most requests first."""
    period = Period(parse_time("from", start) if start else 0, parse_time("to", end) if end else END_OF_TIME)
    with opened(store, must_exist=True) as service:
        found = response_times(service.events, by.value, period, limit=limit)
    if as_json:
        print_json(found)
        return
    columns = {
        "API": [" ".join(filter(None, (one.api, one.api_version))) or "-" for one in found],
        "Route": [" ".join(filter(None, (one.method, one.route))) for one in found],
        "Requests": [f"{one.requests:,}" for one in found],
        "Best": [seconds(one.best) for one in found],
        "Average": [seconds(one.average) for one in found],
        "p50": [seconds(one.p50) for one in found],
        "p95": [seconds(one.p95) for one in found],
    }
    if by is TimesOf.api:
        del columns["Route"]
    print_rows(columns, texts=["API", "Route"], none="No events in this time.")


def _moved(movement: Movement) -> str:
    return f"{movement.amount:,f} ({movement.customers:,})" if movement.customers else "-"
