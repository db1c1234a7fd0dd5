"""``tollkeeper import``: access logs, and events that another place kept."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tollkeeper.cli.options import StoreOption, opened
from tollkeeper.errors import ConfigurationError, TollkeeperError
from tollkeeper.events.access_log import SOURCE
from tollkeeper.service.backfill import Report, import_access_logs, import_events
from tollkeeper.service.lines import check_readable, total_bytes
from tollkeeper.service.remote import remote_delivery
from tollkeeper.service.rollups import fold_all
from tollkeeper.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tollkeeper.service.backfill import Deliver

__all__ = ["import_app"]

IMPORTED = "import"
QUIET_SECONDS = 5.0

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Files, gzip too; - is the standard input.")]
To = Annotated[str | None, typer.Option("--to", metavar="URL", help="Service to send to instead: http(s)://HOST.")]
Token = Annotated[str | None, typer.Option(help="Token of the scope ingest, for --to (env: TOLLKEEPER_TOKEN).")]
Format = Annotated[str, typer.Option("--format", help="auto, common, combined or json.")]
Pattern = Annotated[
    str | None,
    typer.Option(metavar="REGEX", help="Read lines by the named groups time, method, path, status and others."),
]
ConsumerKey = Annotated[str, typer.Option("--consumer", help="Who called: ip, user, or a REGEX with one group.")]

import_app = typer.Typer(help="Bring in what happened before.", no_args_is_help=True)


@import_app.command("access-log")
def access_log(
    files: Files,
    *,
    log_format: Format = "auto",
    pattern: Pattern = None,
    consumer: ConsumerKey = "ip",
    store: StoreOption = None,
    to: To = None,
    token: Token = None,
) -> None:
    """Import the access logs of a web server; importing them again adds nothing."""

    def run(deliver: Deliver, progress: Callable[[Report], object]) -> Report:
        return import_access_logs(
            files, deliver, log_format=log_format, pattern=pattern, consumer=consumer, progress=progress
        )

    _import(files, run, _Target(SOURCE, store, to, token))


@import_app.command("events")
def events(files: Files, *, store: StoreOption = None, to: To = None, token: Token = None) -> None:
    """Import events: JSON lines as on the wire, or a database that the SQLite sink wrote; ids are kept."""

    def run(deliver: Deliver, progress: Callable[[Report], object]) -> Report:
        return import_events(files, deliver, progress=progress)

    _import(files, run, _Target(IMPORTED, store, to, token))


class _Target(NamedTuple):
    """Where events go; ``source`` is whose books they are on when they name none."""

    source: str
    store: str | None
    to: str | None
    token: str | None


@contextmanager
def _delivery(target: _Target) -> Iterator[Deliver]:
    if target.to:
        yield remote_delivery(target.to, load_settings(token=target.token).token)
        return
    with opened(target.store) as service:
        yield lambda batch: service.events.append([(target.source, batch)])[0]
        fold_all(service.events)  # else the next query would


def _import(files: list[str], run: Callable[[Deliver, Callable[[Report], object]], Report], target: _Target) -> None:
    if target.store and target.to:
        raise typer.BadParameter("Give --store or --to, not both.")
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    started = time.monotonic()
    try:
        check_readable(files)
        with _delivery(target) as deliver, _progress(errors, files) as progress:
            report = run(deliver, progress)
    except (ConfigurationError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    except TollkeeperError as error:
        typer.secho(f"tollkeeper: {error.detail}", err=True, fg="red")
        typer.echo("What was stored stays stored: run the same import again, it adds only what is missing.", err=True)
        raise typer.Exit(1) from None
    for problem in report.problems:
        errors.print(f"{problem.file}:{problem.line}: {problem.reason}", markup=False, soft_wrap=True)
    if hidden := report.bad + report.rejected - len(report.problems):
        errors.print(f"... and {hidden} more like these.")
    _print_summary(console, report, time.monotonic() - started)
    if report.bad and not report.stored + report.duplicate:
        errors.print("Nothing was imported: no line could be read. See the reasons above.")
        raise typer.Exit(1)


@contextmanager
def _progress(console: Console, files: list[str]) -> Iterator[Callable[[Report], object]]:
    started = time.monotonic()
    if not console.is_terminal:
        said = started

        def say(report: Report) -> None:
            nonlocal said
            if time.monotonic() - said >= QUIET_SECONDS:
                said = time.monotonic()
                console.print(f"{report.lines:,} lines, {report.lines / (said - started):,.0f} lines/s")

        yield say
        return
    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn()
    bar = Progress(*columns, console=console, transient=True)
    with bar:
        task = bar.add_task("import", total=total_bytes(files), rate="")

        def draw(report: Report) -> None:
            speed = report.lines / max(time.monotonic() - started, 1e-9)
            bar.update(task, completed=report.bytes_read, rate=f"{report.lines:,} lines, {speed:,.0f} lines/s")

        yield draw


def _print_summary(console: Console, report: Report, seconds: float) -> None:
    table = Table("Outcome", box=None, header_style="bold")
    table.add_column("Lines", justify="right")
    for name in ("stored", "duplicate", "rejected", "bad"):
        table.add_row(name.capitalize(), f"{getattr(report, name):,}")
    console.print(table)
    speed = f"{report.lines / max(seconds, 1e-9):,.0f} lines/s"
    console.print(f"{_counted(report.stored, 'event')} stored of {_counted(report.lines, 'line')} read, {speed}.")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
