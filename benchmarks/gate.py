"""How many calls a second a real ``tollkeeper serve`` decides, each counted durably, beside answering JSON at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks.environments import PeerMissingError, peer_python
from benchmarks.ingest import HOW_TO_GET_WRK, Load, run_wrk
from benchmarks.servers import serving, tollkeeper_serving
from benchmarks.table import Budget, Row, beside

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure_gate"]

SCRIPT = Path(__file__).with_name("wrk_gate.lua")
PEER = Path(__file__).with_name("gate_peer.py")
LIMIT_NAME = "limit: raw ASGI that answers JSON and decides nothing"
PEER_NAME = "Flask-Limiter in memory, gunicorn with one worker"
CONNECTIONS = 64
LOADS = {"one key": 1, "100 keys": 100}
WARM_SECONDS = 2
QUOTA = 10**9
BUDGET = Budget(0.6, "at least")


def measure_gate(*, quick: bool) -> list[Row]:
    """Load the service, its limit and the peer in turns, the service each time on an empty file."""
    names = {name: f"Decisions/s, {name}, {CONNECTIONS} connections" for name in LOADS}
    if shutil.which("wrk") is None:
        return [Row(what=name, note=HOW_TO_GET_WRK) for name in names.values()]
    rounds, seconds = (1, 2) if quick else (3, 10)
    rows: list[Row] = []
    for name, keys in LOADS.items():
        ours: list[Load] = []
        theirs: list[Load] = []
        for _ in range(rounds):
            ours.append(_measure_service(keys, seconds))
            with serving("-m", "benchmarks.gate_limit") as url:
                theirs.append(_load(url, keys, seconds)[1])
        rows += _rows(names[name], ours, theirs)
    rows.append(_beside_peer(rounds, seconds, install=not quick))
    return rows


def _rows(name: str, ours: list[Load], theirs: list[Load]) -> Iterator[Row]:
    yield beside(name, _rates(ours), LIMIT_NAME, _rates(theirs), unit="/s", budget=BUDGET)
    for kind, loads in {"": ours, ", by the limit": theirs}.items():
        p99s, medians = [load.p99 for load in loads], [load.median for load in loads]
        yield beside(f"p99: {name}{kind}", p99s, "its median", medians, unit="ms")


def _beside_peer(rounds: int, seconds: int, *, install: bool) -> Row:
    name = f"Decisions/s, 100 keys, {CONNECTIONS} connections"
    try:
        python = peer_python("flask_limiter", install=install)
    except PeerMissingError as error:
        return Row(what=f"{name}, beside Flask-Limiter", note=f"not run: {error}")
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_measure_service(LOADS["100 keys"], seconds))
        with serving("-P", str(PEER), python=python) as url:  # beside the peer lie modules of the names that it imports
            theirs.append(_load(url, LOADS["100 keys"], seconds)[1])
    return beside(name, _rates(ours), PEER_NAME, _rates(theirs), unit="/s")


def _rates(loads: list[Load]) -> list[float]:
    return [load.requests / load.seconds for load in loads]


def _measure_service(keys: int, seconds: int) -> Load:
    with tempfile.TemporaryDirectory() as folder, tollkeeper_serving(Path(folder) / "store.db") as (url, token):
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as admin:
            for number in range(1, keys + 1):
                _register(admin, f"gate-benchmark-key-{number:04d}")
        warm, load = _load(url, keys, seconds)
        counted = sum(_used(url, f"gate-benchmark-key-{number:04d}") for number in range(1, keys + 1))
    admitted = warm.requests + load.requests
    if not admitted <= counted <= admitted + 2 * CONNECTIONS:
        raise RuntimeError(f"{admitted} calls were admitted, {counted} are counted.")
    return load


def _load(url: str, keys: int, seconds: int) -> tuple[Load, Load]:
    """Load a server, for a moment first, until it knows the keys: that load, and the one that counts."""
    warm, load = (
        run_wrk(SCRIPT, f"{url}/v1/gate/check", CONNECTIONS, duration, str(keys))
        for duration in (WARM_SECONDS, seconds)
    )
    return warm, load


def _register(admin: httpx.Client, key: str) -> None:
    """Sell the API ``orders`` to a new customer with this key."""
    if admin.get("/v1/plans").json()["items"] == []:
        route = {"apiName": "orders", "apiVersion": "v1", "endpointName": "/orders/{id}"}
        admin.post("/v1/internal/registerAPIRoute", json=route).raise_for_status()
        admin.post("/v1/plans", json={"name": "gold"}).raise_for_status()
    customer = admin.post("/v1/customers", json={"name": key}).raise_for_status().json()["id"]
    admin.post("/v1/keys", json={"customer": customer, "key": key}).raise_for_status()
    limit = {"limit": QUOTA, "period": "year"}
    subscription = {"customer": customer, "plan": "gold", "api": "orders", "overrides": {"limits": [limit]}}
    admin.post("/v1/subscriptions", json=subscription).raise_for_status()


def _used(url: str, key: str) -> int:
    """How many units are gone of a key's quota, asked by a call of none."""
    answer = httpx.post(f"{url}/v1/gate/check", json={"key": key, "units": 0}, timeout=30).raise_for_status()
    return QUOTA - int(answer.json()["limits"][0]["remaining"])
