"""What the commands share: the option ``--store``, and a service that is closed in the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tollkeeper.service.bootstrap import Service, open_service
from tollkeeper.settings import SETTINGS, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StoreOption", "console", "help_of", "opened"]

FILE_WIDTH = 160


def console() -> Console:
    """Where tables are printed: as wide as the terminal, and wide enough for all columns in a pipe or a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_WIDTH)


def help_of(name: str) -> str:
    """What the table of settings says of one."""
    row = next(row for row in SETTINGS if row.name == name)
    return f"{row.help} (env: {row.variable}; default: {row.default})"


StoreOption = Annotated[str | None, typer.Option("--store", help=help_of("store"), show_default=False)]


@contextlib.contextmanager
def opened(store: str | None) -> Iterator[Service]:
    """The service on a store, the one of the settings when None."""
    service = open_service(load_settings(store=store))
    try:
        yield service
    finally:
        service.close()
