"""What the commands of the catalogue share: a transaction in the name of who types, values checked, records shown."""

from __future__ import annotations

import contextlib
import getpass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import typer
from rich.table import Table

from tollkeeper.cli.options import console, opened
from tollkeeper.errors import UnprocessableError
from tollkeeper.service.audit import Edit, editing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tollkeeper.service.bootstrap import Service

__all__ = ["checked", "edited", "print_records"]

T = TypeVar("T")


@contextlib.contextmanager
def edited(store: str | None) -> Iterator[tuple[Service, Edit]]:
    """A transaction on the catalogue of a store, which the audit log gives to who is logged in at the terminal."""
    with opened(store) as service, editing(service.catalog, f"terminal:{_user()}") as edit:
        yield service, edit


def checked(kind: type[T], /, **values: Any) -> T:
    """What was typed as the record that a verb takes; a value of None is left out. Raises UnprocessableError."""
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UnprocessableError(f"{error}.".replace(" - at `$.", " in `")) from None
    except UnicodeEncodeError:
        raise UnprocessableError("What was typed has bytes that are no UTF-8: type it again.") from None


def print_records(records: Sequence[msgspec.Struct], columns: Sequence[str], *, as_json: bool, none: str) -> None:
    """Print records as JSON or as a table of some of their fields, and ``none`` when there are no records."""
    documents: list[dict[str, Any]] = msgspec.to_builtins(records)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(documents)).decode())
        return
    table = Table(
        *(name.replace("_", " ").capitalize() for name in columns), box=None, header_style="bold", pad_edge=False
    )
    for document in documents:
        table.add_row(*(_cell(document[name]) for name in columns))
    console().print(table if documents else none)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return "-" if value is None else str(value)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in a container
        return "unknown"
