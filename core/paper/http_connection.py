"""One HTTP/1.1 connection, carried byte by byte.

h11 reads and writes the protocol and does no input or output of its own; asyncio moves the bytes. A broker that fails
does things no web framework offers - it takes a request and never answers, or drops the connection without a word - so
the connection is in our hands. uvicorn, measured, costs as much CPU and can do neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

import h11
from loguru import logger

BODY_LIMIT_BYTES = 256 * 1024
"""The longest request body that is read; a longer one is answered 413 and the connection closed."""

HEAD_LIMIT_BYTES = 16 * 1024
"""The longest request line and headers together; longer ones are answered 431 and the connection closed."""

BACKLOG_LIMIT_BYTES = 4 * 1024 * 1024
"""What may wait for a peer that does not read; beyond it the connection is dropped."""

CONNECTION_LIMIT = 1000
"""How many connections one port holds open at the same time; beyond it a new one is closed at once."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, read whole.

    Attributes:
        method: The verb, in capitals.
        target: Path and query as sent. A path may begin with two slashes (protocol section 1.2).
        headers: By lower-case name; of a repeated header the last one.
        body: The bytes as sent.
        peer: The address of the other end.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    peer: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, still encoded; empty without one."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One reply, whole.

    Attributes:
        status: The HTTP status code.
        body: The bytes to send.
        content_type: The value of Content-Type.
        headers: Further headers, sent after the usual ones.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def all_headers(self) -> list[tuple[str, str]]:
        """The headers of this reply as they go out, Content-Length apart."""
        # "nginx" is what stands in front of the brokers' OMS (protocol section 2.2).
        return [("Server", "nginx"), ("Content-Type", self.content_type), *self.headers]

    @property
    def reason(self) -> str:
        """The words that follow the status code on the wire."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return ""


def plain(status: int, text: str) -> HttpReply:
    """A reply of one line of text."""
    return HttpReply(status, (text + "\n").encode(), "text/plain; charset=utf-8")


Serve = Callable[[HttpRequest, "HttpConnection"], None]
"""Takes one request and calls one of the connection's `answer`, `begin_stream` or `drop`, now or later, or never."""


class HttpConnection(asyncio.Protocol):
    """One accepted connection: hands each request to `serve`, one at a time, and carries what it answers.

    Args:
        serve: Called with each request on the loop's thread.
        crowd: The connections open on this port; the connection enters and leaves it by itself.
    """

    def __init__(self, serve: Serve, crowd: set[HttpConnection]) -> None:
        self._serve = serve
        self._crowd = crowd
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT_BYTES)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._in_hand = False  # a request was handed to serve and its answer is not complete
        self._pumping = False
        self._unread = 0
        self.on_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take up the connection, or close it where the port is full."""
        assert isinstance(transport, asyncio.Transport)
        if len(self._crowd) >= CONNECTION_LIMIT:
            transport.abort()
            return
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._crowd.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget the connection; an answer that comes later goes nowhere."""
        self._transport = None
        self._crowd.discard(self)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        """Read on; requests that arrive while one is in hand wait their turn."""
        if self._in_hand:
            # Reading is not paused meanwhile, or a peer that hangs up would not be noticed; so it is bounded.
            self._unread += len(data)
            if self._unread > BODY_LIMIT_BYTES:
                self.drop()
                return
        self._http.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        """The peer sends no more. False: asyncio closes our side too, also under a request that hangs."""
        return False

    def answer(self, reply: HttpReply) -> None:
        """Send `reply` to the request in hand; nothing happens where the peer has gone."""
        if self._transport is None or not self._in_hand:
            return
        self._write(*self._events(reply), h11.EndOfMessage())
        self._answered()

    def begin_stream(self, reply: HttpReply) -> None:
        """Send the head of `reply` and its body so far; `send_chunk` sends the rest, for as long as the peer stays."""
        if self._transport is None or not self._in_hand:
            return
        self._write(
            h11.Response(status_code=reply.status, headers=reply.all_headers(), reason=reply.reason.encode()),
            h11.Data(data=reply.body),
        )

    def send_chunk(self, data: bytes) -> None:
        """Send more of a body begun with `begin_stream`."""
        if self._transport is not None:
            self._write(h11.Data(data=data))

    def drop(self) -> None:
        """Cut the connection without an answer."""
        if self._transport is not None:
            self._transport.abort()

    def _pump(self) -> None:
        # answer() may run inside serve(); the outer loop then goes on, not one stack frame per pipelined request.
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._transport is not None and not self._in_hand and self._next_event():
                pass
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)
        finally:
            self._pumping = False

    def _next_event(self) -> bool:
        """Take one event of the protocol; False when there is none to go on with."""
        event = self._http.next_event()
        if isinstance(event, h11.Request):
            self._head = event
            self._body.clear()
            if self._http.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            return True
        if isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > BODY_LIMIT_BYTES:
                self._refuse(413)
                return False
            return True
        if isinstance(event, h11.EndOfMessage):
            self._hand_over()
            return True
        if isinstance(event, h11.ConnectionClosed) and self._transport is not None:
            self._transport.close()
        return False

    def _hand_over(self) -> None:
        head = self._head
        assert head is not None
        request = HttpRequest(
            head.method.decode("ascii"),
            head.target.decode("latin-1"),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
            bytes(self._body),
            self._peer,
        )
        self._in_hand = True
        self._unread = 0
        try:
            self._serve(request, self)
        except Exception:
            # A fault of ours, not one asked for: told in our log, and to the client as a broker's nginx tells it.
            logger.exception("paper exchange: {} {} failed", request.method, request.path)
            self.answer(plain(500, "Internal Server Error"))

    def _answered(self) -> None:
        self._in_hand = False
        if self._http.our_state is h11.MUST_CLOSE:
            assert self._transport is not None
            self._transport.close()
            return
        self._http.start_next_cycle()
        self._pump()

    def _refuse(self, status: int) -> None:
        """Answer a request that is not to be read to its end, and close."""
        if self._transport is None:
            return
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            reply = plain(status, HTTPStatus(status).phrase)
            self._write(*self._events(replace(reply, headers=(("Connection", "close"),))), h11.EndOfMessage())
        self._transport.close()

    def _events(self, reply: HttpReply) -> list[h11.Event]:
        """The head and the body of a whole reply; HEAD gets the head alone."""
        headers = [*reply.all_headers(), ("Content-Length", str(len(reply.body)))]
        response = h11.Response(status_code=reply.status, headers=headers, reason=reply.reason.encode())
        if self._head is not None and self._head.method == b"HEAD":
            return [response]
        return [response, h11.Data(data=reply.body)]

    def _write(self, *events: h11.Event) -> None:
        assert self._transport is not None
        # One write, one packet: head and body of a small reply arrive together.
        data = b"".join(self._http.send(event) or b"" for event in events)
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > BACKLOG_LIMIT_BYTES:
            self._transport.abort()
