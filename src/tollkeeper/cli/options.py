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

__all__ = ["FILE_WIDTH", "StoreOption", "console", "help_of", "opened"]

FILE_WIDTH = 1_000


def console() -> Console:
    """Where tables are printed: as wide as the terminal, and wide enough for all columns in a pipe or a file."""
    found = Console(highlight=False, markup=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, width=FILE_WIDTH)


def help_of(name: str) -> str:
    """What the table of settings says of one."""
    row = next(row for row in SETTINGS if row.name == name)
    return f"{row.help} (env: {row.variable}; default: {row.default})"


StoreOption = Annotated[str | None, typer.Option("--store", metavar="URL", help=help_of("store"), show_default=False)]


@contextlib.contextmanager
def opened(store: str | None, *, must_exist: bool = False) -> Iterator[Service]:
    """The service on a store, the one of the settings when None; it is made when missing, unless it must exist.

    Raises NotFoundError for a store that must exist and does not.
    """
    service = open_service(load_settings(store=store), make=not must_exist)
    try:
        yield service
    finally:
        service.close()
