"""The control port: commands as JSON, snapshots, and the live page. For the person at the machine, not for a client.

It obeys nobody but that person: a page of another site that a browser on this machine has open can send requests here
too, so each request must name this server in Host, and a POST that a browser sends must come from our own page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from loguru import logger

from core.paper.driver import Driver
from core.paper.foreign import foreign_host, foreign_page
from core.paper.http_connection import HttpConnection, HttpReply, HttpRequest
from core.paper.page import render_live, render_page
from core.paper.page_forms import to_arguments

EVENT_INTERVAL_S = 0.5
"""How often the streams of events are told what is."""

STREAM_LIMIT = 16
"""How many streams of events may be open at the same time."""

_PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_ASSETS = {"/page.css": "text/css; charset=utf-8", "/page.js": "text/javascript; charset=utf-8"}


class ControlFace:
    """Serves the control port.

    Args:
        driver: The exchange to control.
        host: The address the port is bound to; requests may also name it by this.
        links: Name and URL of the other two faces, shown on the page.
    """

    def __init__(self, driver: Driver, host: str, links: Mapping[str, str]) -> None:
        self._driver = driver
        self._host = host
        self._links = links
        self._streams = _EventStreams(driver)
        self._assets = {path: files("core.paper").joinpath(path.removeprefix("/")).read_bytes() for path in _ASSETS}

    def serve(self, request: HttpRequest, connection: HttpConnection) -> None:
        """Answer one request."""
        reason = foreign(request, self._host)
        if reason is not None:
            connection.answer(_error(403, reason))
        elif request.method == "POST":
            connection.answer(self._command(request))
        elif request.method not in {"GET", "HEAD"}:
            connection.answer(_error(405, f"method: {request.method} is not taken here; GET or POST"))
        elif request.path == "/events" and request.method == "GET":
            self._open_stream(connection, as_html=request.query == "as=html")
        else:
            connection.answer(self._get(request))

    def _get(self, request: HttpRequest) -> HttpReply:
        if request.path == "/snapshot":
            return _json(200, self._driver.snapshot())
        if request.path == "/requests":
            return _json(200, self._driver.requests())
        if request.path == "/":
            page = render_page(self._driver.snapshot(), self._links)
            return HttpReply(200, page.encode(), "text/html; charset=utf-8", _PAGE_HEADERS)
        if request.path in self._assets:
            return HttpReply(200, self._assets[request.path], _ASSETS[request.path], _PAGE_HEADERS)
        return _error(404, f"path: there is nothing at {request.path}")

    def _command(self, request: HttpRequest) -> HttpReply:
        prefix, _, command = request.path.rpartition("/")
        if prefix != "/control" or not command:
            return _error(404, f"path: commands are posted to /control/<command>, not to {request.path}")
        # curl calls everything it posts a form, JSON too.
        is_form = "x-www-form-urlencoded" in request.headers.get("content-type", "") and request.body[:1] != b"{"
        try:
            arguments = to_arguments(_typed(request.body)) if is_form else _arguments(request.body)
            result = self._driver.control(command, arguments)
        except ValueError as error:
            return _error(422, str(error))
        if is_form and "application/json" not in request.headers.get("accept", ""):
            # A browser without our script posted it: back to the page with the button.
            return HttpReply(303, b"", "text/plain; charset=utf-8", (("Location", "/"),))
        return _json(200, result)

    def _open_stream(self, connection: HttpConnection, *, as_html: bool) -> None:
        if len(self._streams) >= STREAM_LIMIT:
            connection.answer(_error(503, f"events: {STREAM_LIMIT} streams are open already"))
        else:
            self._streams.add(connection, as_html=as_html)


class _EventStreams:
    """Server-sent events: a snapshot now, and again twice a second; as JSON, or rendered for the page.

    A snapshot of a full order book takes tens of milliseconds, so one is made for all streams together.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._streams: dict[HttpConnection, bool] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, connection: HttpConnection, *, as_html: bool) -> None:
        """Begin a stream on a connection."""
        headers = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
        first = _event(self._driver.snapshot(), as_html)
        connection.begin_stream(HttpReply(200, b"retry: 2000\n\n" + first, "text/event-stream", headers))
        connection.on_lost = lambda: self._remove(connection)
        self._streams[connection] = as_html
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVENT_INTERVAL_S, self._tell)

    def _remove(self, connection: HttpConnection) -> None:
        del self._streams[connection]
        if not self._streams and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVENT_INTERVAL_S, self._tell)
        try:
            snapshot = self._driver.snapshot()
            events = {as_html: _event(snapshot, as_html) for as_html in set(self._streams.values())}
        except Exception:
            logger.exception("paper exchange: no snapshot for the streams of events")
            return
        for connection, as_html in tuple(self._streams.items()):
            connection.send_chunk(events[as_html])


def _event(snapshot: dict[str, Any], as_html: bool) -> bytes:
    if not as_html:
        return b"event: snapshot\ndata: " + _dump(snapshot) + b"\n\n"
    lines = "\n".join(f"data: {line}" for line in render_live(snapshot).splitlines())
    return f"event: live\n{lines}\n\n".encode()


def foreign(request: HttpRequest, bound: str) -> str | None:
    """Why `request` is none of ours, naming the header; None for one that is.

    Args:
        request: The request, of a browser or a program.
        bound: The address the port is bound to.
    """
    reason = foreign_host(request.headers, bound)
    if reason is not None or request.method != "POST":
        return reason
    return foreign_page(request.headers)


def _arguments(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        arguments = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"body: not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise ValueError("body: a JSON object is expected, with the arguments by name")
    return arguments


def _typed(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)


def _dump(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=str).encode()


def _json(status: int, document: object) -> HttpReply:
    headers = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
    return HttpReply(status, _dump(document), "application/json", headers)


def _error(status: int, message: str) -> HttpReply:
    return _json(status, {"error": message})
