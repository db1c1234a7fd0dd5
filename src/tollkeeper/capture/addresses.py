"""How much of a client's address is kept."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hide_addresses", "shown_address"]

NETWORK_BITS = {4: 24, 6: 48}
HEADERS = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded-for",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)


def shown_address(address: str | None, level: str) -> str | None:
    """The address at a level: ``full``; ``truncated`` to its network, /24 or for IPv6 /48; ``none``."""
    if not address or level == "full":
        return address or None
    return None if level == "none" else _network(address)


def hide_addresses(headers: Iterable[tuple[str, str]], level: str) -> list[tuple[str, str]]:
    """Headers without those by which proxies tell the client's address, unless the level is ``full``."""
    return [pair for pair in headers if level == "full" or pair[0].lower() not in HEADERS]


@lru_cache(maxsize=4096)
def _network(address: str) -> str | None:
    bare = address.removeprefix("[").partition("]")[0] if address.startswith("[") else address
    if bare.count(":") == 1:  # IPv4 with a port, as some proxies write it
        bare = bare.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None  # whatever it is, it might be all of an address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    network = ipaddress.ip_network((parsed, NETWORK_BITS[parsed.version]), strict=False)
    return str(network.network_address)
