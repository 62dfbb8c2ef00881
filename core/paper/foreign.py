"""Requests of foreign web pages: what a browser on this machine sends here for a page of another site.

A program sends no Origin, or that of the address it speaks to. A browser names the page's origin and, to an address of
this machine, how page and server belong together. Its DNS may have been made to point a site's name here: so the name
in Host must be an address of this server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["foreign_host", "foreign_page"]

_OWN_PAGE = frozenset({"same-origin", "none"})


def foreign_host(headers: Mapping[str, str], bound: str) -> str | None:
    """Why the name in Host is none of this server, for the client to read; None for one that is.

    Args:
        headers: By lower-case name.
        bound: The address the port is bound to.
    """
    host = headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    # A name that some site's DNS makes point at this machine would pass for that site's own origin.
    if name in {"localhost", bound} or _is_address(name):
        return None
    return f"Host: {host!r} is not an address of this server"


def foreign_page(headers: Mapping[str, str]) -> str | None:
    """Why a request that changes something comes from a page of another origin; None for one that does not."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_PAGE:
        return "Sec-Fetch-Site: requests come from this server's own page, or from no page at all"
    origin = headers.get("origin")
    # A page that names no referrer, as ours do, has its browser write null; the browser's own word stands beside it.
    if origin is None or (origin == "null" and site in _OWN_PAGE):
        return None
    if urlsplit(origin).netloc != headers.get("host", ""):
        return f"Origin: {origin!r} may not send requests here"
    return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
