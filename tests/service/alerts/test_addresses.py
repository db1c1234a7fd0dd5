from __future__ import annotations

import ipaddress
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.errors import SinkError
from tollkeeper.service.alerts.addresses import is_allowed, resolve_once

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255
    198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255
    2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1 2003::1 2001:200::1
"""
PRIVATE = """
    10.0.0.0 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
    192.168.255.255 198.18.0.1 ::1 fc00::1 fd12:3456::1
"""
NEVER = """
    0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.0 169.254.255.255 168.63.129.16 100.100.100.200 192.0.0.192 192.0.2.1
    192.88.99.1 198.51.100.1 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:a9fe:a9fe ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1
    2001::1 2001:db8::1 2002:7f00:1::1 2002:0808:0808::1 3fff::1 5f00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1
    ff02::1 ff0e::1 4000::1
    localhost 127.1 0x7f.1 2130706433 0177.0.0.1 1.2.3 1.2.3.4.5 [::1] 8.8.8.8:80
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_addresses_of_the_internet_are_allowed(address: str) -> None:
    assert is_allowed(address)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_of_ones_own_network_are_allowed_when_a_setting_says_so(address: str) -> None:
    assert not is_allowed(address)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize("address", [*NEVER.split(), "", "::1%lo\n", "\u0661.1.1.1"])
def test_metadata_and_what_is_no_address_of_one_host_is_never_allowed(address: str) -> None:
    assert not is_allowed(address)
    assert not is_allowed(address, private=True)


@given(st.ip_addresses())
def test_what_is_allowed_is_global_for_python_too(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_allowed(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_hides_in_no_ipv6_address(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in ("::ffff:0:0", "::", "64:ff9b::"):
        hidden = str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number))
        assert not is_allowed(hidden, private=True) or hidden == "::1"
    for shifted in (0x2002 << 112 | number << 80, 0x2001_0000 << 96 | number):
        assert not is_allowed(str(ipaddress.IPv6Address(shifted)), private=True)


def ask(*answers: str, private: bool = False) -> str:
    return resolve_once("hooks.example", 443, private=private, timeout=5, resolve=lambda _host, _port: list(answers))


def test_one_forbidden_address_refuses_the_name() -> None:
    assert ask("8.8.8.8", "1.1.1.1") == "8.8.8.8"
    for answers in (["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::1"]):
        with pytest.raises(SinkError, match="not public") as caught:
            ask(*answers)
        assert not caught.value.retry
    assert ask("10.0.0.1", private=True) == "10.0.0.1"


def test_a_name_without_an_address_is_tried_again() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    def empty(_host: str, _port: int) -> list[str]:
        return []

    for resolve in (unknown, empty):
        with pytest.raises(SinkError, match="has no address") as caught:
            resolve_once("hooks.example", 443, private=False, timeout=5, resolve=resolve)
        assert caught.value.retry


def test_a_resolver_that_hangs_is_left_behind() -> None:
    over = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        over.wait(10)
        return []

    with pytest.raises(SinkError, match=r"within 0\.05 s"):
        resolve_once("hooks.example", 443, private=False, timeout=0.05, resolve=hang)
    over.set()


def test_names_are_looked_up_by_the_system() -> None:
    assert resolve_once("localhost", 80, private=True, timeout=5) in {"127.0.0.1", "::1"}
    with pytest.raises(SinkError, match="has no address"):
        resolve_once("a" * 64, 80, private=True, timeout=5)
