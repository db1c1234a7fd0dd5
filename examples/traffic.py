"""Customers of the example shop: they browse, search, buy and stumble, at a bounded rate, and count what they saw."""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Customer", "run"]

CUSTOMERS = (
    *("alpine", "harbour", "nimbus", "orchard", "juniper", "meridian", "copper", "lantern", "tundra", "saffron"),
    *("willow", "quartz", "pelican", "ember", "marble", "cedar", "drift", "falcon", "opal", "office"),
)
KEYS = {f"shop-key-of-{name}": 100 / (place + 3) for place, name in enumerate(CUSTOMERS)}
WORDS = ("lamp", "red lamp", "kettle", "big tent", "atlas no. 3", "mug", "very warm scarf")
CARDS = ("4242424242424242", "5555555555554444", "4000000000000002")
THREADS = 6
BURST_RATE = 40.0
WAVE_SECONDS = 120.0


class Customer:
    """Sends requests one after the other until it has used its share, and counts the answers by status."""

    def __init__(self, url: str, take: Callable[[], bool], seed: int) -> None:
        self.seen: Counter[int] = Counter()
        self._url = urlsplit(url)
        self._take = take
        self._chance = random.Random(seed)

    def shop(self) -> None:
        """Go on visits of every kind, until no request is left to take."""
        visits: list[tuple[Callable[[], bool], int]] = [
            (self._browse, 9), (self._search, 3), (self._buy, 3), (self._report, 1), (self._stumble, 1),
        ]  # fmt: skip
        kinds, weights = [visit for visit, _ in visits], [weight for _, weight in visits]
        while self._chance.choices(kinds, weights)[0]():
            pass

    def greet(self) -> None:
        """Call once with every key."""
        for key in KEYS:
            self._send("GET", "/v1/products", key=key)

    def _send(self, method: str, path: str, body: object = None, *, key: str = "") -> dict[str, object] | None:
        if not self._take():
            return None
        keys = list(KEYS)
        headers = {"X-API-Key": key or self._chance.choices(keys, list(KEYS.values()))[0], "User-Agent": "customer/1.0"}
        content = None if body is None else json.dumps(body)
        if content:
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(self._url.hostname or "", self._url.port, timeout=30)
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        self.seen[response.status] += 1
        found = json.loads(answer) if response.headers.get_content_type() == "application/json" else {}
        return found if isinstance(found, dict) else {}

    def _browse(self) -> bool:
        number = min(int(self._chance.expovariate(1 / 25)) + 1, 125)
        if self._send("GET", f"/v1/products?page={number % 6 + 1}") is None:
            return False
        return self._send("GET", f"/v1/products/{number}") is not None

    def _search(self) -> bool:
        words = self._chance.choice(WORDS).replace(" ", "+")
        return self._send("GET", f"/v1/search?q={words}") is not None

    def _buy(self) -> bool:
        key = self._chance.choice(list(KEYS)[:12])
        cart = (self._send("POST", "/v1/carts", key=key) or {}).get("cart")
        for _ in range(self._chance.randint(1, 2)):
            self._send("POST", f"/v1/carts/{cart}/items", {"product": self._chance.randint(1, 120)}, key=key)
        order = (self._send("POST", "/v1/orders", {"cart": cart}, key=key) or {}).get("order")
        payment = {"card_number": self._chance.choice(CARDS), "holder": "J. Customer"}
        return order is not None and self._send("POST", f"/v1/orders/{order}/payment", payment, key=key) is not None

    def _report(self) -> bool:
        return self._send("GET", "/v1/reports/sales", key=self._chance.choice(("shop-key-of-office", ""))) is not None

    def _stumble(self) -> bool:
        if self._chance.choice((True, False)):
            return self._send("GET", "/v1/products/1", key="stolen-key") is not None
        return self._send("POST", "/v1/orders", {"cart": "empty"}) is not None


def run(url: str, requests: int | None, rate: float, ended: threading.Event, *, burst: int = 0) -> Counter[int]:
    """Send that many requests, or until ``ended``; count them by status.

    The first ``burst`` come quickly; what follows comes at ``rate`` a second at most, in waves.
    """
    left = math.inf if requests is None else requests
    hurried = burst
    lock = threading.Lock()
    started = time.monotonic()
    next_at = started

    def take() -> bool:
        nonlocal left, next_at, hurried
        with lock:
            if left < 1 or ended.is_set():
                return False
            left -= 1
            now = time.monotonic()
            wave = 0.65 + 0.35 * math.sin((now - started) * math.tau / WAVE_SECONDS)
            next_at = max(next_at, now) + 1 / (BURST_RATE if hurried > 0 else rate * wave)
            hurried -= 1
            wait = next_at - now
        return not ended.wait(wait)

    customers = [Customer(url, take, seed) for seed in range(THREADS)]
    customers[0].greet()
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(customer.shop) for customer in customers]:
            done.result()
    return sum((customer.seen for customer in customers), Counter())


def main() -> None:
    """Send the traffic, and print what was seen as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="address of the shop")
    parser.add_argument("--requests", type=int, help="how many; default: until it is told to end")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second at most")
    parser.add_argument("--burst", type=int, default=0, help="how many come quickly at first")
    chosen = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        seen = run(chosen.url, chosen.requests, chosen.rate, ended, burst=chosen.burst)
    except (OSError, HTTPException) as error:
        parser.exit(1, f"The shop does not answer: {error}\n")
    print(json.dumps({"requests": seen.total(), "by_status": {str(status): seen[status] for status in sorted(seen)}}))


if __name__ == "__main__":
    main()
