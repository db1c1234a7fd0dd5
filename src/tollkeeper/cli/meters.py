"""``tollkeeper meter``: what is counted of the events, for prices of plans."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import UnprocessableError
from tollkeeper.metering.definition import MeterDefinition
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.window import DAY
from tollkeeper.service.customer_search import find_customer
from tollkeeper.service.listing import find_named
from tollkeeper.service.periods import Period, parse_time
from tollkeeper.service.selling.meter_values import meter_value
from tollkeeper.service.selling.meters import create_meter, remove_meter, show_meter

__all__ = ["meter_app"]

METER = typer.Argument(metavar="METER", help="Name or id of the meter.")
FILTER = re.compile(r"(?P<field>[^=<>!]+)(?P<sign>!=|>=|=|<)(?P<value>.*)", re.DOTALL)
SIGNS = {"=": "one_of", "!=": "none_of", ">=": "at_least", "<": "below"}
meter_app = typer.Typer(no_args_is_help=True, help="Meters: what is counted of the events, for prices of plans.")


@meter_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="Name of the meter."),
    aggregation: str = typer.Argument(metavar="AGGREGATION", help="count, sum, max, unique, latest or percentile."),
    *,
    field: str = typer.Option(None, help="What it is of, e.g. units or variables.tokens.", show_default=False),
    percentile: str = typer.Option(None, help="Which percentile, e.g. 95.", show_default=False),
    filters: list[str] = typer.Option(
        None,
        "--filter",
        metavar="FIELD=TEXT[,TEXT]",
        help="Only such events; also FIELD!=TEXT, FIELD>=NUMBER and FIELD<NUMBER; repeatable.",
        show_default=False,
    ),
    group_by: list[str] = typer.Option(
        None, metavar="FIELD", help="Count apart by it; repeatable.", show_default=False
    ),
    store: StoreOption = None,
) -> None:
    """Make a meter, which is never changed, and print its id."""
    new = checked(
        Meter,
        name=name,
        aggregation=aggregation,
        field=field,
        percentile=percentile,
        filters=[_filter(text) for text in filters or []],
        group_by=group_by or [],
    )
    with edited(store) as (_, edit):
        made = create_meter(edit, new)
    typer.echo(made.id)


@meter_app.command("list")
def list_meters(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the meters."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = [show_meter(meter) for meter in records.find(MeterDefinition)]
    columns = ("id", "name", "aggregation", "field", "percentile", "group_by")
    print_records(found, columns, as_json=as_json, none="No meters: 'tollkeeper meter add' makes one.")


@meter_app.command("show")
def show(meter: str = METER, *, store: StoreOption = None) -> None:
    """Print a meter as JSON, with its filters."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = show_meter(find_named(records, MeterDefinition, meter, "name"))
    typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


@meter_app.command("value")
def value(
    meter: str = METER,
    customer: str = typer.Argument(metavar="CUSTOMER", help="Id or external id of the customer."),
    *,
    start: str = typer.Option(None, "--from", metavar="TIME", help="Start; left out: a day before the end."),
    end: str = typer.Option(None, "--to", metavar="TIME", help="End, excluded; left out: now.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Print as JSON what the meter makes of a customer's events."""
    last = parse_time("--to", end) if end else time.time_ns() // 1_000
    period = Period(parse_time("--from", start) if start else last - DAY, last)
    with opened(store, must_exist=True) as service:
        with service.catalog.reading() as records:
            found = find_named(records, MeterDefinition, meter, "name")
            whose = find_customer(records, customer)
        measured = meter_value(service, found.id, whose.id, period)
    typer.echo(msgspec.json.format(msgspec.json.encode(measured)).decode())


@meter_app.command("remove")
def remove(meter: str = METER, *, store: StoreOption = None) -> None:
    """Take a meter away that no plan names."""
    with edited(store) as (_, edit):
        found = find_named(edit.records, MeterDefinition, meter, "name")
        remove_meter(edit, found.id)
    typer.echo(f"Removed {found.id}.")


def _filter(text: str) -> dict[str, Any]:
    found = FILTER.fullmatch(text)
    if found is None:
        raise UnprocessableError(
            f"The filter is {text[:100]!r}: give one like status_code<400 or variables.model=large."
        )
    is_text = found["sign"] in {"=", "!="}
    return {"field": found["field"], SIGNS[found["sign"]]: found["value"].split(",") if is_text else found["value"]}
