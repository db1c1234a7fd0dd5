"""The whole application on a real socket, in this process."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import httpx
import uvicorn

from tollkeeper.api.app import create_app
from tollkeeper.dashboard.app import dashboard_routes
from tollkeeper.service.bootstrap import Service, open_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tollkeeper.settings import Settings

__all__ = ["Api", "running"]

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # each client would read the authorities of the whole world


class Api:
    """A running service: clients by the scope of their token."""

    def __init__(self, service: Service, url: str) -> None:
        self.service = service
        self.url = url
        self.anonymous = httpx.Client(base_url=url, timeout=10, verify=NO_TLS)
        self.ingest = self._client("ingest")
        self.read = self._client("read")
        self.admin = self._client("admin")

    def _client(self, scope: str) -> httpx.Client:
        secret = self.service.access.create_token(scope, scope)  # type: ignore[arg-type]  # the three names of scopes
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.url, timeout=10, verify=NO_TLS, headers=headers)

    def close(self) -> None:
        for client in (self.anonymous, self.ingest, self.read, self.admin):
            client.close()


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Api]:
    """Run the service of these settings until the block ends."""
    service = open_service(settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(create_app(service, dashboard_routes(service)), log_level="warning", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        api = Api(service, f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield api
        api.close()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
