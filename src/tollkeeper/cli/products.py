"""``tollkeeper api``: APIs, their versions and routes, and what a call costs."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from tollkeeper.billing.product import Api, ApiRoute, RoutePrice
from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.listing import find_record
from tollkeeper.service.products import NewApi, create_api, create_version
from tollkeeper.service.routes import NewPrice, NewRoute, create_price, create_route, set_retired
from tollkeeper.service.views import show_routes

__all__ = ["api_app"]

ROUTE_COLUMNS = ("id", "api", "version", "method", "endpoint", "price", "currency", "retired_at")
JSON = typer.Option(False, "--json", help="Print JSON instead of a table.")
ROUTE = typer.Argument(metavar="ROUTE", help="Id of the route, as 'tollkeeper api routes' lists it.")
api_app = typer.Typer(no_args_is_help=True, help="APIs, their versions, routes and prices.")


@api_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="What events call the API."), *, store: StoreOption = None
) -> None:
    """Make an API and print its id."""
    with edited(store) as (_, edit):
        api = create_api(edit, checked(NewApi, name=name))
    typer.echo(api.id)


@api_app.command("list")
def list_apis(*, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List the APIs."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = records.find(Api)
    print_records(found, ("id", "name", "created_at"), as_json=as_json, none="No APIs: 'tollkeeper api add' makes one.")


@api_app.command("version")
def version(
    api: str = typer.Argument(metavar="API", help="Name or id of the API."),
    name: str = typer.Argument(metavar="VERSION", help="What events call the version."),
    *,
    store: StoreOption = None,
) -> None:
    """Make a version of an API and print its id."""
    with edited(store) as (_, edit):
        made = create_version(edit, api, checked(NewApi, name=name))
    typer.echo(made.id)


@api_app.command("route")
def route(
    api: str = typer.Argument(metavar="API", help="Name or id of the API."),
    version: str = typer.Argument(metavar="VERSION", help="Name or id of the version."),
    endpoint: str = typer.Argument(None, metavar="ENDPOINT", help="Route template; left out: the default route."),
    *,
    method: str = typer.Option(None, help="HTTP method; left out: any.", show_default=False),
    price: str = typer.Option(None, help="What a call costs, from the beginning of time.", show_default=False),
    currency: str = typer.Option(None, help="Currency of the price, e.g. EUR.", show_default=False),
    store: StoreOption = None,
) -> None:
    """Make a route and print its id."""
    new = checked(NewRoute, api=api, version=version, endpoint=endpoint, method=method, price=price, currency=currency)
    with edited(store) as (_, edit):
        made = create_route(edit, new)
    typer.echo(made.id)


@api_app.command("routes")
def list_routes(*, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List the routes of all APIs, with the prices in force."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = show_routes(records, records.find(ApiRoute), datetime.now(UTC))
    print_records(found, ROUTE_COLUMNS, as_json=as_json, none="No routes: 'tollkeeper api route' makes one.")


@api_app.command("price")
def price(
    route: str = ROUTE,
    amount: str = typer.Argument(metavar="PRICE", help="What a call costs."),
    currency: str = typer.Argument(metavar="CURRENCY", help="e.g. EUR."),
    *,
    valid_from: str = typer.Option(
        None, "--from", metavar="TIME", help="From when on; left out: from now on.", show_default=False
    ),
    store: StoreOption = None,
) -> None:
    """Set what a call of a route costs from a time on, and print the id of the price."""
    new = checked(NewPrice, price=amount, currency=currency, valid_from=valid_from)
    with edited(store) as (_, edit):
        made = create_price(edit, route, new)
    typer.echo(made.id)


@api_app.command("prices")
def list_prices(route: str = ROUTE, *, as_json: bool = JSON, store: StoreOption = None) -> None:
    """List what a call of a route has cost, costs and is to cost."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = records.find(RoutePrice, route=find_record(records, ApiRoute, route).id)
    ordered = sorted(found, key=lambda price: price.valid_from)
    print_records(ordered, ("valid_from", "price", "currency"), as_json=as_json, none="No price: a call is free.")


@api_app.command("retire")
def retire(
    route: str = ROUTE,
    *,
    undo: bool = typer.Option(False, "--undo", help="Open it again."),
    store: StoreOption = None,
) -> None:
    """Close a route to calls."""
    with edited(store) as (_, edit):
        set_retired(edit, route, retired=not undo)
    typer.echo(f"{'Opened' if undo else 'Retired'} {route}.")
