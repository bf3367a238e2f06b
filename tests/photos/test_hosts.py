"""Which hosts are allowed, and which addresses are of the open Internet."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.photos.hosts import ForbiddenError, UnknownHostError, checked_addresses, is_allowed, is_public

PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
)
PRIVATE_6 = ("::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1")


@pytest.mark.parametrize("address", [*PRIVATE, *PRIVATE_6, *(f"::ffff:{each}" for each in PRIVATE)])
def test_private_addresses_are_none_of_the_open_internet(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_counts_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    carried = [
        int(ipaddress.ip_address("64:ff9b::")) + number,
        (0x2002 << 112) + (number << 80),
        (0xFFFF << 32) + number,
    ]
    assert {is_public(str(ipaddress.IPv6Address(each))) for each in carried} == {is_public(str(address))}


def test_public_addresses_are() -> None:
    assert is_public("8.8.8.8")
    assert is_public("2606:4700::1111")


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("cdn.example", None, True),
        ("cdn.example", 8443, False),
        ("img.example", 8443, True),
        ("img.example", None, False),
        ("a.shop.example", None, True),
        ("a.b.shop.example", None, True),
        ("shop.example", None, False),
        ("ashop.example", None, False),
        ("cdn.example.evil", None, False),
        ("::1", 8080, True),
        ("::2", 8080, False),
    ],
)
def test_a_host_is_allowed_by_name_and_port(host: str, port: int | None, allowed: bool) -> None:
    assert is_allowed(host, port, ("CDN.example", "img.example:8443", "*.shop.example", "[::1]:8080")) is allowed


def test_a_name_without_an_address_is_unknown_and_one_with_private_ones_forbidden() -> None:
    with pytest.raises(UnknownHostError, match="the host's name is not known: gaierror"):
        checked_addresses("nowhere.invalid", 80, private=True)
    with pytest.raises(ForbiddenError, match=r"a private address alone \(input\.private_image_hosts\)"):
        checked_addresses("localhost", 80, private=False)
    assert checked_addresses("127.0.0.1", 80, private=True) == ["127.0.0.1"]
