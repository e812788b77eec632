"""Where storage is: an endpoint as configured, and its location for one region.

    https://s3.example.net            one name for everything
    http://127.0.0.1:9000             plain HTTP, with a port
    https://s3.{region}.example.net   a name for each region
    https://gateway.example.net/s3    a prefix in front of the bucket

Buckets are always addressed in the path (``{endpoint}/{bucket}/{key}``): every storage can do that, and no
bucket becomes a part of a host name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<prefix>(?:/[a-z0-9._~-]+)*)/?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class InvalidEndpoint(ValueError):
    """A text that names no endpoint; the message says why, without what might be a password."""


@dataclass(frozen=True, slots=True)
class Location:
    """An endpoint in one region. ``host`` is lower-case, and an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def authority(self) -> str:
        """What the ``Host`` header says: the port is left out where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``text`` as configured, and the ``region`` of objects that do not say theirs."""

    text: str
    region: str

    def signing_region(self, named: str | None) -> str:
        """The region an object named counts where names differ by region; elsewhere there is one."""
        return named.lower() if named is not None and "{region}" in self.text else self.region

    def location(self, region: str) -> Location:
        """Errors: InvalidEndpoint."""
        return _location(self.text, region)


AWS = "https://s3.{region}.amazonaws.com"
_AWS_CHINA = "https://s3.{region}.amazonaws.com.cn"


def checked_endpoint(text: str, region: str) -> Endpoint:
    """The endpoint, if it is one in ``region``. Errors: InvalidEndpoint."""
    _location(text, region)
    return Endpoint(text, region)


def is_region(text: str) -> bool:
    """Whether ``text`` can be a part of a host name and of a signature's scope."""
    return _REGION.fullmatch(text) is not None


@lru_cache(maxsize=256)
def _location(text: str, region: str) -> Location:
    if not is_region(region):
        raise InvalidEndpoint(f"{region!r} is not the name of a region")
    if text == AWS and region.startswith("cn-"):
        text = _AWS_CHINA
    url = text.replace("{region}", region)
    if "@" in url:
        raise InvalidEndpoint("it must not have credentials in it")
    if "?" in url or "#" in url:
        raise InvalidEndpoint("it must not have a query or a fragment")
    if not url.lower().startswith(("http://", "https://")):
        raise InvalidEndpoint("it must begin with http:// or https://")
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidEndpoint("it must have the form https://host:port, with nothing but a path after it")
    host = (match["ipv6"] or match["name"]).lower()
    if not (_is_ipv6(host) if match["ipv6"] else _is_name(host)):
        raise InvalidEndpoint(f"{host!r} is not the name of a host")
    scheme = match["scheme"].lower()
    port = int(match["port"] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65_535:
        raise InvalidEndpoint("its port must be from 1 to 65535")
    prefix = match["prefix"]
    if any(segment in (".", "..") for segment in prefix.split("/")):
        raise InvalidEndpoint("its path must not have . or .. in it")
    return Location(scheme, host, port, prefix)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))
