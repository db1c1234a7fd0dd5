"""``tollkeeper serve``: the service, its dashboard and its roll-ups, until Ctrl-C."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn
from rich.console import Console
from uvicorn.supervisors import Multiprocess

from tollkeeper.cli.options import StoreOption, help_of
from tollkeeper.cli.tokens import ADMIN
from tollkeeper.errors import ConfigurationError
from tollkeeper.service.bootstrap import open_service
from tollkeeper.service.rollups import FoldingProcess
from tollkeeper.settings import Settings, load_settings

if TYPE_CHECKING:
    from litestar.types import ASGIApp

__all__ = ["serve_command", "worker"]

BACKLOG = 2048


def serve_command(
    *,
    store: StoreOption = None,
    host: Annotated[str | None, typer.Option(help=help_of("host"), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help=help_of("port"), show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(help=help_of("workers"), show_default=False)] = None,
) -> None:
    """Run the service: ingest, API and dashboard."""
    settings = load_settings(store=store, host=host, port=port, workers=workers)
    listener = _listen(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    _greet(settings, address)
    folding = FoldingProcess(settings)
    try:
        _serve(settings, listener)
    finally:
        folding.stop()


def worker() -> ASGIApp:
    """Make the application of one process; the settings come by the environment."""
    # The other commands and the folding process do without what answers HTTP, which takes its time to import.
    from tollkeeper.api.app import create_app  # noqa: PLC0415  # as said
    from tollkeeper.dashboard.app import dashboard_routes  # noqa: PLC0415  # as said

    service = open_service(load_settings())
    return create_app(service, dashboard_routes(service))


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is said or started, so that the address that is printed is the one that answers."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another --port."
        ) from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def _greet(settings: Settings, address: str) -> None:
    """Print where to go; on an empty store make an admin and print how to get in."""
    service = open_service(settings)
    console = Console(highlight=False, soft_wrap=True)
    try:
        console.print(f"Tollkeeper is at [bold]{address}[/] and keeps its data in {settings.store}.")
        if service.catalog.tokens():
            console.print("Log in with a token, or by the link that 'tollkeeper login-link' prints.")
            return
        service.access.create_token(ADMIN, "admin")
        code = service.access.create_login_link(service.catalog.tokens()[0])
        console.print(f"Log in, once and within {settings.login_link_minutes} minutes: [bold]{address}/login/{code}[/]")
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
