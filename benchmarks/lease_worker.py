"""Measure what one way of limiting calls adds to a Flask view, against the bare app, in one process.

``python -m benchmarks.lease_worker VARIANT REQUESTS PAIRS`` runs PAIRS times a block of bare requests and then one of
limited ones, and prints one line of JSON: the median over the pairs of what p50 grows by, in microseconds, and, of
Tollkeeper, the mean of a decision. It runs in the peer's environment, too: only Flask and the peer are there.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.capture_app import call, make_app

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["main"]

MICRO = 1_000_000
DECISIONS = 100_000
LIMIT = "1000000000 per month"


class Plenty:
    """A sink that forgets, whose gate has quota without end."""

    place = "plenty"

    def __init__(self) -> None:
        self.units = 0

    def leases(self, _seconds: float) -> Plenty:
        return self

    def exchange(self, request: Any) -> Any:
        lease = importlib.import_module("tollkeeper.events.lease")
        self.units += sum(settle.used for settle in request.settle if settle.release)
        grants = [
            lease.Grant(seconds=10.0, lease=f"lea_{time.monotonic_ns()}", units=take.units, plan="gold")
            for take in request.take
        ]
        return lease.LeaseAnswer(revision="1", grants=grants)

    def send(self, events: object) -> None:
        """Forget them."""

    def close(self) -> None:
        """Do nothing."""


def tollkeeper(folder: Path, *, gate: bool) -> tuple[Flask, Any]:
    app = make_app()
    app.config["TOLLKEEPER_GATE_FOLDER"] = str(folder)
    door = importlib.import_module("tollkeeper.flask").Tollkeeper
    return app, door(app, sink=Plenty(), capture="metadata", gate=gate)


def flask_limiter() -> Flask:
    limiter = importlib.import_module("flask_limiter").Limiter(
        lambda: importlib.import_module("flask").request.headers["X-API-Key"], storage_uri="memory://"
    )
    app = make_app(limiter.limit(LIMIT))
    limiter.init_app(app)
    return app


def block(app: Flask, requests: int) -> float:
    """The median of requests one after the other, in microseconds."""
    return statistics.median([call(app) for _ in range(requests)]) / 1000


def added(app: Flask, requests: int, pairs: int) -> dict[str, float]:
    plain = make_app()
    for one in (plain, app):
        block(one, max(requests // 10, 10))
    both = [(block(plain, requests), block(app, requests)) for _ in range(pairs)]
    return {
        "added": statistics.median([limited - bare for bare, limited in both]),
        "bare": statistics.median([bare for bare, _ in both]),
    }


def decision(keeper: Any, decisions: int) -> float:
    """The mean of decisions on a lease, each written down before the call is admitted, in microseconds."""
    gate = keeper._guard.gate  # noqa: SLF001 - nobody else needs it
    key = ("key_of_a_customer", "orders", None, "/v1/orders/{number}", "POST")
    for _ in range(decisions // 10):
        gate.admit(key, MICRO)
    began = time.perf_counter()
    for _ in range(decisions):
        gate.admit(key, MICRO)
    return 1e6 * (time.perf_counter() - began) / decisions


def main(variant: str, requests: int, pairs: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if variant == "flask_limiter":
            found = added(flask_limiter(), requests, pairs)
        else:
            app, keeper = tollkeeper(Path(folder), gate=variant == "gate")
            found = added(app, requests, pairs)
            if variant == "gate":
                found["decision"] = decision(keeper, DECISIONS if requests > 500 else 1000)
            keeper.close(5)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
