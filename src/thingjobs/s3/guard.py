"""Where a connection to storage may go: addresses are judged after the name was resolved, and only once.

The host is the configured one, never one that a caller named. Still its name may come to mean an address
inside: by mistake, or because somebody else answers for that name. So every address it resolves to is
judged, all must pass, and the connection goes to an address that passed. Nothing is resolved again between
the judgment and the connection, when the answer could be another.

| Address | Allowed |
|---|---|
| public | yes |
| loopback, private, shared (100.64.0.0/10), unique local | with ``private_network`` |
| link-local, metadata of clouds, unspecified, multicast, reserved | never |

An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) is judged as what it is.

Source: IANA's registries of special-purpose addresses (RFC 6890 and what updates it).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from thingjobs.s3.endpoint import Location

Address = IPv4Address | IPv6Address
Resolve = Callable[..., Sequence[tuple[int, int, int, str, tuple[object, ...]]]]
"""As ``socket.getaddrinfo``."""


def _networks(*texts: str) -> Sequence[IPv4Network | IPv6Network]:
    return tuple(ip_network(text) for text in texts)


_NEVER: Mapping[str, Sequence[IPv4Network | IPv6Network]] = {
    "a link-local": _networks("169.254.0.0/16", "fe80::/10"),
    # Instance metadata of AWS, Google Cloud, Alibaba, Oracle and Azure where it is not link-local.
    "a cloud's metadata": _networks(
        "fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"
    ),
    "an unspecified": _networks("0.0.0.0/8", "::/128"),
    "a multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "a reserved": _networks(
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "100::/64",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    ),
}
_PRIVATE: Mapping[str, Sequence[IPv4Network | IPv6Network]] = {
    "a loopback": _networks("127.0.0.0/8", "::1/128"),
    "a private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
}
_USABLE_IPV6 = _networks("2000::/3", "::1/128", "fc00::/7")
_IPV4_IN_LAST_BITS = _networks("::ffff:0:0/96", "::/96", "64:ff9b::/96")


class AddressRefused(Exception):
    """The host has an address that no connection may go to.

    The text is for the log; ``why`` is the same without the address (``a loopback address, which …``).
    """

    def __init__(self, address: str, kind: str) -> None:
        rule = "needs --s3-private-network" if kind in _PRIVATE else "is never allowed"
        self.why = f"{kind} address, which {rule}"
        super().__init__(f"{address} is {self.why}")


def check_address(text: str, *, private_network: bool) -> None:
    """Return if a connection may go to this numeric address. Errors: AddressRefused."""
    for meant in _meant(ip_address(text)):
        kind = _refused_kind(meant, private_network=private_network)
        if kind is not None:
            raise AddressRefused(text, kind)


def vetted_addresses(
    location: Location, *, private_network: bool, resolve: Resolve
) -> Sequence[tuple[int, tuple[object, ...]]]:
    """Family and socket address of each address of the host, all of which may be connected to.

    Errors: AddressRefused if one of them may not; OSError if the host cannot be resolved.
    """
    found = resolve(location.host, location.port, type=socket.SOCK_STREAM)
    if not found:
        raise OSError(f"{location.host} has no address")
    for *_, address in found:
        check_address(str(address[0]), private_network=private_network)
    return [(family, address) for family, *_, address in found]


def connect(addresses: Sequence[tuple[int, tuple[object, ...]]], *, deadline: float) -> socket.socket:
    """A connection to the first address that accepts one; each has its share of the time that is left.

    Units:  ``deadline`` in seconds of ``time.monotonic``.
    Errors: OSError, TimeoutError.
    """
    failure: OSError = TimeoutError()
    for number, (family, address) in enumerate(addresses):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(time_left(deadline) / (len(addresses) - number))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def time_left(deadline: float) -> float:
    """Seconds until ``deadline``. Errors: TimeoutError if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refused_kind(address: Address, *, private_network: bool) -> str | None:
    for kind, networks in (_NEVER if private_network else {**_NEVER, **_PRIVATE}).items():
        if any(address in network for network in networks):
            return kind
    if isinstance(address, IPv6Address) and not any(address in network for network in _USABLE_IPV6):
        return "a reserved"
    return None


def _meant(address: Address) -> Sequence[Address]:
    """The address itself, or the IPv4 addresses in it that its packets end up at."""
    if isinstance(address, IPv4Address) or int(address) <= 1:  # unspecified and loopback are compatible forms
        return (address,)
    if any(address in network for network in _IPV4_IN_LAST_BITS):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or (address,)
