"""``tollkeeper alerts channels``: where alerts go."""

from __future__ import annotations

from datetime import timedelta

import typer

from tollkeeper.cli.editing import checked, edited, print_records
from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.service.alerts.channels import ChannelPatch, NewChannel
from tollkeeper.service.alerts.delivery import channels_of
from tollkeeper.service.alerts.views import show_channel
from tollkeeper.service.listing import find_named
from tollkeeper.store.operations import AlertChannel

__all__ = ["channels_app"]

CHANNEL = typer.Argument(metavar="CHANNEL", help="Name or id of the channel.")
ADDRESS = typer.Argument(metavar="ADDRESS", help="An e-mail address, or a URL for webhooks.")
KEEP = "Keep it: it cannot be shown again."
channels_app = typer.Typer(no_args_is_help=True, help="Channels: where alerts go.")


@channels_app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME", help="Name of the channel."),
    address: str = ADDRESS,
    *,
    store: StoreOption = None,
) -> None:
    """Make a channel and print its id; of a webhook also the secret, this once."""
    kind = "webhook" if "://" in address else "email"
    with edited(store) as (service, edit):
        made, secret = channels_of(service).create(edit, checked(NewChannel, name=name, kind=kind, address=address))
    typer.echo(made.id)
    if secret is not None:
        typer.echo(secret)
        typer.echo(f"The second line is the secret that signs. {KEEP}", err=True)


@channels_app.command("list")
def list_channels(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    store: StoreOption = None,
) -> None:
    """List the channels without their secrets."""
    with opened(store, must_exist=True) as service, service.catalog.reading() as records:
        found = [show_channel(channel) for channel in records.find(AlertChannel)]
    columns = ("id", "name", "kind", "address")
    print_records(found, columns, as_json=as_json, none="No channels: 'tollkeeper alerts channels add' makes one.")


@channels_app.command("update")
def update(channel: str = CHANNEL, address: str = ADDRESS, *, store: StoreOption = None) -> None:
    """Change where a channel leads."""
    with edited(store) as (service, edit):
        found = find_named(edit.records, AlertChannel, channel, "name")
        channels_of(service).update(edit, found.id, checked(ChannelPatch, address=address))
    typer.echo(f"Changed {found.id}.")


@channels_app.command("rotate")
def rotate(
    channel: str = CHANNEL,
    *,
    overlap: int = typer.Option(24, min=0, metavar="HOURS", help="Hours that the secrets so far sign as well."),
    store: StoreOption = None,
) -> None:
    """Make a secret for a webhook and print it."""
    with edited(store) as (service, edit):
        found = find_named(edit.records, AlertChannel, channel, "name")
        _, secret = channels_of(service).rotate(edit, found.id, overlap=timedelta(hours=overlap))
    typer.echo(secret)
    typer.echo(f"The secrets so far sign for {overlap} hours more. {KEEP}", err=True)


@channels_app.command("remove")
def remove(channel: str = CHANNEL, *, store: StoreOption = None) -> None:
    """Take a channel away, also out of the rules."""
    with edited(store) as (service, edit):
        found = find_named(edit.records, AlertChannel, channel, "name")
        channels_of(service).remove(edit, found.id)
    typer.echo(f"Removed {found.id}.")
