"""Sell the API of the shop to its customers: over HTTP, with a token that may administer in TOLLKEEPER_TOKEN."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any
from urllib.request import Request, urlopen

__all__ = ["sell"]

CUSTOMERS = {
    "gold": ("Alpine Outfitters", "Juniper Home", "Meridian Maps"),
    "silver": ("Harbour Books", "Nimbus Travel", "Copper Kettle", "Lantern Press", "Tundra Gear", "Saffron Kitchen"),
}
SECONDS = 20


def sell(address: str, token: str, start: str) -> None:
    """Make customers with the keys that they call with, and subscribe them from a time on."""

    def post(path: str, **document: Any) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = Request(f"{address}{path}", json.dumps(document).encode(), headers)  # noqa: S310 - our own service
        with urlopen(request, timeout=SECONDS):  # noqa: S310 - our own service
            pass

    for plan, names in CUSTOMERS.items():
        for name in names:
            short = name.split()[0].lower()
            post("/v1/customers", name=name, external_id=short, currency="EUR", email=f"billing@{short}.example")
            post("/v1/keys", customer=short, key=f"shop-key-of-{short}")
            post("/v1/subscriptions", customer=short, plan=plan, api="shop", started_at=start)


def main() -> None:
    """Sell from a time on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="where the service is")
    parser.add_argument("--start", required=True, help="when subscriptions begin, as 2026-10-01T00:00:00Z")
    chosen = parser.parse_args()
    sell(chosen.address, os.environ["TOLLKEEPER_TOKEN"], chosen.start)


if __name__ == "__main__":
    main()
