from __future__ import annotations

import pytest

from tollkeeper.capture.addresses import hide_addresses, shown_address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("192.0.2.77:4711", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("[2001:db8:1:2::1]:443", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("unix:", None),
        ("not an address", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_are_truncated_to_their_network(address: str | None, network: str | None) -> None:
    assert shown_address(address, "truncated") == network
    assert shown_address(address, "none") is None
    assert shown_address(address, "full") == (address or None)


def test_the_headers_of_proxies_go_with_the_address() -> None:
    headers = [("X-Forwarded-For", "192.0.2.77"), ("FORWARDED", "for=192.0.2.77"), ("Accept", "*/*")]
    assert hide_addresses(headers, "truncated") == hide_addresses(headers, "none") == [("Accept", "*/*")]
    assert hide_addresses(headers, "full") == headers
