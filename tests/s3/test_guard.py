"""Where a connection to storage may go."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from storage_servers import RawServer, answers, resolves
from thingjobs.s3.endpoint import Location
from thingjobs.s3.guard import AddressRefused, check_address, connect, vetted_addresses

PUBLIC = ["8.8.8.8", "52.218.1.1", "172.32.0.1", "100.128.0.1", "2600:9000::1", "2a05:d018::1"]
PRIVATE = {
    "a loopback": ["127.0.0.1", "127.1.2.3", "::1"],
    "a private": [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "fc00::1",
        "fd12::1",
    ],
}
NEVER = {
    "a link-local": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::a9fe:a9fe%1"],
    "a cloud's metadata": [
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
    ],
    "an unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "a multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "a reserved": [
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8::1",
        "fec0::1",
        "4000::1",
    ],
}
# The same IPv4 address in each way that IPv6 can carry it.
EMBEDDING = {
    "mapped": "::ffff:{0}",
    "compatible": "::{0}",
    "NAT64": "64:ff9b::{0}",
    "6to4": "2002:{1}::1",
    "Teredo": "2001:0:{1}:0:0:f7f7:f7f7",
}


def embedded(form: str, ipv4: str) -> str:
    number = int.from_bytes(socket.inet_aton(ipv4), "big")
    return form.format(ipv4, f"{number >> 16:x}:{number & 0xFFFF:x}")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    check_address(address, private_network=False)


@pytest.mark.parametrize(("kind", "address"), [(kind, each) for kind in PRIVATE for each in PRIVATE[kind]])
def test_addresses_inside_need_the_setting(kind: str, address: str) -> None:
    check_address(address, private_network=True)
    with pytest.raises(AddressRefused) as refused:
        check_address(address, private_network=False)
    assert refused.value.why == f"{kind} address, which needs --s3-private-network"


@pytest.mark.parametrize(("kind", "address"), [(kind, each) for kind in NEVER for each in NEVER[kind]])
@pytest.mark.parametrize("private_network", [True, False])
def test_other_special_addresses_are_never_allowed(kind: str, address: str, private_network: bool) -> None:
    with pytest.raises(AddressRefused) as refused:
        check_address(address, private_network=private_network)
    assert refused.value.why == f"{kind} address, which is never allowed"


@pytest.mark.parametrize("form", EMBEDDING.values(), ids=EMBEDDING)
def test_an_ipv4_address_in_an_ipv6_one_is_judged_as_what_it_is(form: str) -> None:
    check_address(embedded(form, "8.8.4.4"), private_network=False)
    check_address(embedded(form, "192.168.1.1"), private_network=True)
    for address in ("127.0.0.1", "10.0.0.1", "100.64.0.1"):
        with pytest.raises(AddressRefused):
            check_address(embedded(form, address), private_network=False)
    for private_network in (True, False):
        with pytest.raises(AddressRefused):
            check_address(embedded(form, "169.254.169.254"), private_network=private_network)


def test_nat64_of_a_local_network_is_not_guessed_at() -> None:
    with pytest.raises(AddressRefused, match="reserved"):
        check_address("64:ff9b:1::a9fe:a9fe", private_network=True)


@pytest.mark.parametrize("bad", ["169.254.169.254", "127.0.0.1", "fe80::1"])
@pytest.mark.parametrize("first", [True, False])
def test_one_bad_address_among_good_ones_refuses_them_all(bad: str, first: bool) -> None:
    addresses = [bad, "8.8.8.8"] if first else ["8.8.8.8", bad]
    location = Location("https", "storage.example.net", 443, "")
    with pytest.raises(AddressRefused):
        vetted_addresses(location, private_network=False, resolve=resolves(*addresses))


def test_a_host_without_an_address_cannot_be_connected_to() -> None:
    location = Location("https", "storage.example.net", 443, "")
    with pytest.raises(OSError, match="no address"):
        vetted_addresses(location, private_network=False, resolve=resolves())


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "::1"])
def test_spellings_of_the_loopback_are_seen_through(host: str) -> None:
    location = Location("http", host, 80, "")
    with pytest.raises(AddressRefused, match="a loopback"):
        vetted_addresses(location, private_network=False, resolve=socket.getaddrinfo)


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """A second answer of the name server cannot lead elsewhere: it is not asked a second time."""
    asked = []

    def resolve(host: str, port: int, **options: Any) -> Any:
        asked.append(host)
        return resolves("127.0.0.1")(host, port)

    with RawServer(answers(200)) as server:
        location = Location("http", "storage.example.net", server.port, "")
        addresses = vetted_addresses(location, private_network=True, resolve=resolve)
        with connect(addresses, deadline=time.monotonic() + 5) as connection:
            assert connection.getpeername() == ("127.0.0.1", server.port)
    assert asked == ["storage.example.net"]


def test_an_address_that_refuses_is_followed_by_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        addresses = [(socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port))]
        with connect(addresses, deadline=time.monotonic() + 5) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)


def test_nothing_is_tried_after_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        connect([(socket.AF_INET, ("127.0.0.1", 9))], deadline=time.monotonic())
