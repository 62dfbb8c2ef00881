"""Where a request comes from: its peer, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.requests import HTTPConnection

__all__ = ["Addresses", "by_tls", "network_of", "source_of"]


class Addresses:
    """A set of addresses and networks, such as `10.0.0.7, 192.168.0.0/16`."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        try:
            parsed = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def source_of(connection: HTTPConnection, proxies: Addresses) -> str:
    """The address a request comes from.

    A proxy that is trusted appends its peer to X-Forwarded-For; whatever stands further left was written by strangers.
    So the list is read from its right end, up to the first address that is no trusted proxy.
    """
    address = connection.client.host if connection.client else ""
    named = [part.strip() for value in connection.headers.getlist("x-forwarded-for") for part in value.split(",")]
    while named and address in proxies:
        address = named.pop()
    return address


def network_of(address: str) -> str:
    """Whom an address stands for: itself, or its /64, of which one IPv6 client has every address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network(f"{parsed}/64", strict=False))


def by_tls(connection: HTTPConnection) -> bool:
    """Whether a browser spoke TLS, to us or to the first of the proxies. Believed of anybody: it only asks for more."""
    named = ",".join(connection.headers.getlist("x-forwarded-proto")).lower()
    return connection.scope.get("scheme") == "https" or "https" in {part.strip() for part in named.split(",")}
