"""Which addresses a webhook may go to: those of the internet, never those behind our own walls."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from typing import TYPE_CHECKING

from tollkeeper.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_allowed", "resolve_once"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one) for one in text.split())


# The registries of special addresses of the IANA; 168.63.129.16 is the metadata service of Azure.
NEVER = _networks(
    "0.0.0.0/8 169.254.0.0/16 168.63.129.16/32 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24"
    " 192.175.48.0/24 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 100.100.100.200/32 fd00:ec2::254/128"
)
PRIVATE = _networks("10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15 ::1/128 fc00::/7")
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments and tunnels (Teredo, 6to4), which hold an IPv4 address, and documentation.
NOT_GLOBAL_V6 = _networks("2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20")


def is_allowed(address: str, *, private: bool = False) -> bool:
    """Whether a webhook may go to an IP address; with ``private`` also to one of this machine or one's own network.

    Link-local addresses, where clouds keep their metadata, are never allowed, nor is what is no address of one host.
    """
    try:
        found = ipaddress.ip_address(address if "%" not in address else "")  # a zone names a link of this machine
    except ValueError:
        return False
    if _is_in(found, PRIVATE) and not _is_in(found, NEVER):
        return private
    if isinstance(found, ipaddress.IPv6Address):
        return found in GLOBAL_V6 and not _is_in(found, NOT_GLOBAL_V6)
    return not _is_in(found, NEVER)


def resolve_once(
    host: str,
    port: int,
    *,
    private: bool,
    timeout: float,
    resolve: Callable[[str, int], list[str]] | None = None,
) -> str:
    """The address to connect to, asked for once, so that no second answer can be another; raises SinkError.

    One forbidden address among several refuses the name.
    """
    found = _in_time(resolve or _addresses, host, port, timeout)
    if not found:
        raise SinkError(f"{host} has no address: correct the URL of the webhook, or the DNS.")
    if not all(is_allowed(address, private=private) for address in found):
        raise SinkError(
            f"{host} has an address that is not public: set webhook_private to send to your own network.", retry=False
        )
    return found[0]


def _in_time(resolve: Callable[[str, int], list[str]], host: str, port: int, timeout: float) -> list[str]:
    """Ask in a thread that is left behind when it takes too long: the resolver of the system knows no timeout."""
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, UnicodeError):
            answers.put([])

    threading.Thread(target=ask, name="tollkeeper-resolve", daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty:
        raise SinkError(f"The address of {host} was not found within {timeout:g} s.") from None


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
