"""Flask-Limiter in memory on gunicorn, in an environment of its own: one process, so that its counts are of one mind.

``python -P gate_peer.py`` serves ``POST /v1/gate/check`` on a free port, which it prints.
"""

from __future__ import annotations

import importlib
import socket
from typing import Any

from flask import Flask, Response, jsonify, request

__all__: list[str] = []

LIMIT = "1000000000 per month"
Base: Any = importlib.import_module("gunicorn.app.base").BaseApplication


def make_app() -> Flask:
    app = Flask(__name__)
    limiter_class: Any = importlib.import_module("flask_limiter").Limiter
    limiter = limiter_class(lambda: request.get_json()["key"], app=app, storage_uri="memory://", headers_enabled=True)

    def check() -> Response:
        return jsonify(customer=request.get_json()["key"], plan="gold")

    app.add_url_rule("/v1/gate/check", view_func=limiter.limit(LIMIT)(check), methods=["POST"])
    return app


class Server(Base):  # type: ignore[misc]  # it is there in the peer's environment only
    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"127.0.0.1:{self._port}")
        self.cfg.set("worker_class", "gthread")
        self.cfg.set("threads", 4)
        self.cfg.set("keepalive", 75)
        self.cfg.set("loglevel", "warning")
        self.cfg.set("post_worker_init", lambda _worker: print(f"It is at http://127.0.0.1:{self._port}", flush=True))

    def load(self) -> Flask:
        return make_app()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as free:
        found = free.getsockname()[1]
    Server(found).run()
