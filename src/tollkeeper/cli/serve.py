"""``tollkeeper serve``: the service, its dashboard and its roll-ups, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import socket
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from tollkeeper.cli.options import StoreOption, help_of
from tollkeeper.cli.tokens import admin_token
from tollkeeper.errors import ConfigurationError, StoreError
from tollkeeper.service.bootstrap import open_service, shown_store
from tollkeeper.service.rollups import FoldingProcess
from tollkeeper.settings import Settings, load_settings, unknown_variables

if TYPE_CHECKING:
    from litestar.types import ASGIApp

__all__ = ["serve_command", "worker"]

BACKLOG = 2048


def serve_command(
    *,
    store: StoreOption = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help=help_of("host"), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help=help_of("port"), show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help=help_of("workers"), show_default=False)] = None,
) -> None:
    """Run the service: ingest, API and dashboard."""
    settings = load_settings(store=store, host=host, port=port, workers=workers)
    for name in unknown_variables():
        typer.secho(f"{name} is no setting: docs/settings.md lists them.", err=True, fg="yellow")
    # uvicorn raises a signal again when it has shut down: this is the end of the command then, not of the process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listener = _listen(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    _greet(settings, address)
    folding = FoldingProcess(settings)
    try:
        _serve(settings, listener)
    finally:
        folding.stop()
        # SQLite clears its files away with the last that closes the store, but not when that one was killed.
        with contextlib.suppress(StoreError):
            open_service(settings).close()
    typer.echo(f"Stopped; all that was acknowledged is in {shown_store(settings)}.")


def worker() -> ASGIApp:
    """Make the application of one process; the settings come by the environment."""
    # The other commands and the folding process do without what answers HTTP, which takes its time to import.
    from tollkeeper.api.app import create_app  # noqa: PLC0415  # as said
    from tollkeeper.dashboard.app import dashboard_routes  # noqa: PLC0415  # as said

    service = open_service(load_settings())
    application = create_app(service, dashboard_routes(service))
    # What was made until now stays to the end: the collector must not go through all of it while a page waits.
    gc.freeze()
    return application


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is said or started, so that the address that is printed is the one that answers."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        wrong = "--port" if error.errno in {errno.EADDRINUSE, errno.EACCES} else "--host"
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another {wrong}."
        ) from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def _greet(settings: Settings, address: str) -> None:
    """Print where to go; on an empty store make an admin and print how to get in."""
    service = open_service(settings)
    try:
        typer.echo(f"Tollkeeper is at {typer.style(address, bold=True)} and keeps its data in {shown_store(settings)}.")
        if service.catalog.tokens():
            typer.echo("Log in with a token, or by the link that 'tollkeeper login-link' prints.")
            return
        code = service.access.create_login_link(admin_token(service))
        link = typer.style(f"{address}/login/{code}", bold=True)
        typer.echo(f"Log in, once and within {settings.login_link_minutes} minutes: {link}")
    finally:
        service.close()


def _serve(settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        f"{__name__}:{worker.__name__}",
        factory=True,
        workers=settings.workers,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    # Processes that uvicorn starts read the settings as this one did, the flags among them.
    os.environ |= {
        f"TOLLKEEPER_{name.upper()}": str(getattr(settings, name))
        for name in settings.__struct_fields__
        if name != "token"
    }
    try:
        if settings.workers == 1:
            uvicorn.Server(config).run([listener])
        else:
            Multiprocess(config, sockets=[listener]).run()
    except KeyboardInterrupt:
        pass
