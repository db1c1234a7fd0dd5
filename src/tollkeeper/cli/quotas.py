"""``tollkeeper quotas``: where limits stand."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from tollkeeper.cli.options import FILE_WIDTH, StoreOption, console, opened
from tollkeeper.errors import NotFoundError
from tollkeeper.service.customer_search import customers_called
from tollkeeper.service.quota_list import list_quotas
from tollkeeper.service.quota_status import NEAR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rich.console import Console

    from tollkeeper.service.bootstrap import Service
    from tollkeeper.service.quota_status import QuotaStatus

__all__ = ["quotas_command"]

FULL = 0.95
BAR = 20
EXPENDABLE = ("Plan", "Left", "Until (UTC)", "Quota")
"""What a narrow terminal goes without, the first first."""


class State(StrEnum):
    """Which quotas to show."""

    near = "near"
    exceeded = "exceeded"
    all = "all"


def quotas_command(
    *,
    customer: str = typer.Option(
        None, metavar="CUSTOMER", help="Only of this customer: id, external id or name.", show_default=False
    ),
    state: State = typer.Option(State.all, help="Only those that are nearly used up (80 %), or are."),
    limit: int = typer.Option(50, min=1, max=1000, metavar="N", help="Quotas at most."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """Show where the limits of subscriptions stand, the fullest first."""
    with opened(store, must_exist=True) as service:
        customers = _ids(service, customer) if customer else None
        listed = list_quotas(
            service.catalog, service.quotas, customers=customers, state=state.value, order="fullest", limit=limit
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(listed.items)).decode())
    elif listed.items:
        out = console()
        out.print(_fitting(listed.items, out))
        if listed.next:
            typer.echo(f"There are more than {limit}: --limit shows them.", err=True)
    elif customer or state is not State.all:
        typer.echo("No such quotas.")
    else:
        typer.echo("No quotas: 'tollkeeper plan add' with --limit gives a plan some.")


def _ids(service: Service, customer: str) -> list[str]:
    with service.catalog.reading() as records:
        found = customers_called(records, customer)
    if not found:
        raise NotFoundError(f"There is no customer {customer[:100]!r}: 'tollkeeper customer list' shows them.")
    return [one.id for one in found]


def _fitting(quotas: Sequence[QuotaStatus], out: Console) -> Table:
    """A table of the columns that the console has room for with no line broken."""
    dropped: set[str] = set()
    table = _table(quotas, dropped)
    for name in EXPENDABLE:
        if out.measure(table, options=out.options.update_width(FILE_WIDTH)).maximum <= out.width:
            break
        dropped.add(name)
        table = _table(quotas, dropped)
    return table


def _table(quotas: Sequence[QuotaStatus], dropped: set[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = {
        "Customer": [Text(one.customer_name) for one in quotas],
        "Plan": [Text(one.plan) for one in quotas],
        "Limit": [Text(f"{one.name}{'' if one.hard else ' (soft)'}") for one in quotas],
        "": [_bar(one.share) for one in quotas],
        "Share": [Text(f"{one.share:.1%}", _style(one.share)) for one in quotas],
        "Used": [_units(one.used) for one in quotas],
        "Quota": [_units(one.quota) for one in quotas],
        "Left": [_units(one.remaining) for one in quotas],
        "Until (UTC)": [Text(f"{one.end:%Y-%m-%d %H:%M}") for one in quotas],
    }
    shown = [name for name in columns if name not in dropped]
    for name in shown:
        text = name in {"Customer", "Plan", "Limit"}
        table.add_column(
            name, justify="right" if name in {"Share", "Used", "Quota", "Left"} else "left", no_wrap=not text
        )
    for row in zip(*(columns[name] for name in shown), strict=True):
        table.add_row(*row)
    return table


def _bar(share: float) -> Text:
    """A meter of 20 characters, full at 100 % and above; less than one is still one, unless nothing is used."""
    filled = min(BAR, max(round(share * BAR), 1 if share else 0))
    return Text.assemble(("█" * filled, _style(share)), ("░" * (BAR - filled), "dim"))


def _style(share: float) -> str:
    return "red" if share >= FULL else "yellow" if share >= NEAR else ""


def _units(amount: Decimal) -> Text:
    text = f"{amount:,f}"
    return Text(text.rstrip("0").rstrip(".") if "." in text else text)
