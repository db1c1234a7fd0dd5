from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, abort, request

from support.readme import ReadMe
from tollkeeper.compat.readme_metrics import MetricsApiConfig, ReadMeMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "rdme_key"


class Watched:
    """An app that is watched by ReadMe Metrics, and ReadMe itself."""

    def __init__(self, service: ReadMe, **options: Any) -> None:
        self.service = service
        chosen: dict[str, Any] = {"api_key": KEY, "grouping_function": owlbert, "buffer_length": 1, **options}
        self.app = make_app()
        self.metrics = ReadMeMetrics(MetricsApiConfig(**chosen), self.app)

    def call(self, path: str = "/", method: str = "GET", **how: Any) -> Any:
        return self.app.test_client().open(path, method=method, **how)

    def log(self, path: str = "/", method: str = "GET", **how: Any) -> dict[str, Any]:
        """Call the app, and give the log that came of it."""
        count = len(self.service.logs)
        self.call(path, method, **how)
        return self.service.wait(count + 1)[-1]

    def entry(self, path: str = "/", method: str = "GET", **how: Any) -> dict[str, Any]:
        entry: dict[str, Any] = self.log(path, method, **how)["request"]["log"]["entries"][0]
        return entry


def owlbert(_request: object) -> dict[str, str]:
    return {"api_key": "owlbert-api-key", "label": "Owlbert", "email": "owlbert@example.com"}


def make_app() -> Flask:
    app = Flask("shop")

    @app.route("/", methods=["GET", "POST"])
    def index() -> dict[str, Any]:
        return {"city": "Berlin", "secret": "s3cret", "count": 3, "nested": {"secret": "deep"}}

    @app.route("/read", methods=["POST", "PUT"])
    def read() -> str:
        return str(len(request.get_data()))

    @app.post("/form")
    def form() -> dict[str, Any]:
        return dict(request.form)

    @app.get("/status/<int:code>")
    def status(code: int) -> Any:
        return ("", code) if code < 400 else abort(code)

    @app.get("/boom")
    def boom() -> str:
        raise ValueError("boom")

    @app.get("/bytes")
    def raw() -> Response:
        return Response(b"\xff\xfe\x00", mimetype="image/png")

    return app


@pytest.fixture
def service() -> Iterator[ReadMe]:
    made = ReadMe()
    yield made
    made.stop()


@pytest.fixture
def watch(service: ReadMe, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("README_METRICS_SERVER", service.url)
    made: list[Watched] = []

    def start(**options: Any) -> Watched:
        made.append(Watched(service, **options))
        return made[-1]

    yield start
    for watched in made:
        watched.metrics.close(0.5)
