"""Between HTTP and the exchange: what both faces, the server and the in-memory adapter, do to a request and a reply.

Kept in one place so that the two give the same bytes for the same call.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from core.paper.foreign import foreign_host, foreign_page
from core.paper.http_connection import HttpReply, HttpRequest, plain
from core.paper.login_page import answer_to_form, login_form
from core.paper.symbol_files import exchange_of
from core.paper.wire import Reply, Request, is_login, parts_of


def foreign_here(request: HttpRequest, bound: str) -> HttpReply | None:
    """The refusal of what a browser sends for a page of another site; None for what a client or a person sends.

    A person may be led to the login page by a link of the client's own page; what is posted comes from our page.
    """
    reason = foreign_host(request.headers, bound)
    if reason is None and request.method not in {"GET", "HEAD"}:
        reason = foreign_page(request.headers)
    return None if reason is None else plain(403, reason)


def refused_here(request: HttpRequest) -> HttpReply | None:
    """The reply to a request that never reaches the exchange; None for one that does.

    The login page is shown on GET; every other path takes POST only (protocol sections 1.3 and 2.3).
    """
    if request.method == "POST":
        return None
    if is_login_page(request) and request.method in {"GET", "HEAD"}:
        return login_form(request)
    reply = plain(405, "405 Not Allowed")
    return HttpReply(reply.status, reply.body, reply.content_type, (("Allow", "POST"),))


def file_here(request: HttpRequest, file_of: Callable[[str], bytes | None]) -> HttpReply | None:
    """The symbol file that a request is for, which anybody may fetch (section 11.1); None for any other request."""
    exch = exchange_of(request.path) if request.method in {"GET", "HEAD"} else None
    if exch is None:
        return None
    data = file_of(exch)
    return plain(404, "404 Not Found") if data is None else HttpReply(200, data, "application/zip")


def is_login_page(request: HttpRequest) -> bool:
    """Whether a person asks for the login page: behind any prefix, or at the root as at Flattrade."""
    if not parts_of(request.path):
        return "app_key" in parse_qs(request.query)
    return is_login(request.path)


def to_exchange(request: HttpRequest) -> Request:
    """The request as the exchange takes it; the content type is ignored (protocol section 2.1)."""
    return Request(request.path, request.body, request.headers.get("authorization"), request.peer)


def to_http(request: HttpRequest, reply: Reply) -> HttpReply:
    """The reply of the exchange as it goes out over HTTP."""
    page = answer_to_form(request, reply) if is_login(request.path, request.body) else None
    if page is not None:
        return page
    headers = (("Location", reply.location),) if reply.location is not None else ()
    return HttpReply(reply.status, reply.body, reply.content_type, headers)
