"""Connections of the web server: none waits for ever, and none keeps others out (scenario G22).

uvicorn times out a connection that is idle after an answer. What it lets stay open for ever is a request that never
becomes whole, and an answer that nobody reads. Both are ended here, and the number of connections is bounded: in all,
and for each address. Where a bound is reached a connection that waits gives way, the oldest of the address that has the
most, so that a newcomer, such as the one that brings the kill switch, is let in at once. A WebSocket counts as one of
them, and gives way as a stream does: its client connects again.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from core.web.origin import network_of

__all__ = ["BoundedProtocol", "BoundedSocket", "Bounds", "Connections", "bounded_by"]

# What a WebSocket's client has not read yet is at most about this; it gets the newest once it reads on.
_SOCKET_BUFFER = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the server lends to whoever connects.

    Attributes:
        whole_s: Seconds within which headers and body must have come, from the first byte or the connection's begin.
        idle_s: Seconds a connection may be silent after an answer.
        unread_s: Seconds without any progress after which an answer that nobody reads is given up.
        in_all: Connections at the same time.
        of_one: Connections of one address, for IPv6 of one /64.
        of_near: The same for this machine and for trusted proxies, behind which are many people.
        near: Whether an address is this machine's or a trusted proxy's.
    """

    whole_s: float = 20.0
    idle_s: float = 30.0
    unread_s: float = 20.0
    in_all: int = 512
    of_one: int = 64
    of_near: int = 320
    near: Callable[[str], bool] = lambda address: address in ("127.0.0.1", "::1")


class Connections:
    """The connections of one server, on its event loop."""

    _EVERY_S = 0.5

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        # In the order in which they came.
        self._open: dict[BoundedProtocol | BoundedSocket, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: BoundedProtocol | BoundedSocket, address: str) -> None:
        """Take a new connection on; where there are too many, one that waits gives way."""
        group = network_of(address)
        self._open[connection] = group
        if self._timer is None:
            self._timer = connection.loop.call_later(self._EVERY_S, self._look, connection.loop)
        most = self.bounds.of_near if self.bounds.near(address) else self.bounds.of_one
        counts = Counter(self._open.values())
        if counts[group] > most:
            self._let_one_go(group)
        elif len(self._open) > self.bounds.in_all:
            self._let_one_go(max(counts, key=counts.__getitem__))

    def remove(self, connection: BoundedProtocol | BoundedSocket) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)

    def _let_one_go(self, group: str) -> None:
        *mine, newcomer = [connection for connection, its in self._open.items() if its == group]
        # Waiting for the client; then streams, which a page begins again; last the newcomer: no answer is cut off.
        oldest = next((one for one in mine if one.waits), None) or next((one for one in mine if one.streams), newcomer)
        self._abort(oldest)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in tuple(self._open):
            if connection.is_overdue(loop.time(), self.bounds):
                self._abort(connection)
        self._timer = loop.call_later(self._EVERY_S, self._look, loop) if self._open else None

    def _abort(self, connection: BoundedProtocol | BoundedSocket) -> None:
        # Not `close`, which waits until what was written has been read.
        self.remove(connection)
        connection.transport.abort()


class _Unread:
    """How long a client has not read what was written."""

    _unread_since: float | None = None
    _unread = 0

    def _is_unread(self, transport: asyncio.Transport, now: float, bounds: Bounds) -> bool:
        size = transport.get_write_buffer_size()
        if size == 0:
            self._unread_since = None
        elif self._unread_since is None or size < self._unread:
            self._unread_since = now
        self._unread = size
        return self._unread_since is not None and now - self._unread_since > bounds.unread_s


class BoundedProtocol(_Unread, H11Protocol):
    """uvicorn's connection, which knows since when it has been waiting for its client."""

    of_server: Connections
    _waiting_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self.of_server.add(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.of_server.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request came."""
        if self._waiting_since is None and not self._is_served:
            self._waiting_since = self.loop.time()
        super().data_received(data)
        if self._is_served:
            self._waiting_since = None

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection goes on as a WebSocket."""
        self.of_server.remove(self)
        super().handle_websocket_upgrade(event)

    @property
    def _is_served(self) -> bool:
        """Whether a whole request is being answered."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: to send the rest of a request, or the next one, or to read the answer."""
        return not self._is_served

    @property
    def streams(self) -> bool:
        """Whether an answer has begun and not ended."""
        return self._is_served and self.cycle.response_started

    def is_overdue(self, now: float, bounds: Bounds) -> bool:
        """Whether the client has had its time."""
        unread = self._is_unread(self.transport, now, bounds)
        if self._is_served:
            return unread
        if self._waiting_since is None and self.timeout_keep_alive_task is None:
            # A second request that came with the first, and not whole.
            self._waiting_since = now
        return unread or (self._waiting_since is not None and now - self._waiting_since > bounds.whole_s)


class BoundedSocket(_Unread, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket. Its application bounds how long it may take to say who it is."""

    of_server: Connections
    waits = False
    streams = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The upgrade was asked for."""
        transport.set_write_buffer_limits(_SOCKET_BUFFER)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        super().connection_made(transport)
        self.of_server.add(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.of_server.remove(self)
        super().connection_lost(exc)

    def is_overdue(self, now: float, bounds: Bounds) -> bool:
        """Whether nothing of what was sent has been read for too long."""
        return self._is_unread(self.transport, now, bounds)


def bounded_by(bounds: Bounds) -> tuple[type[BoundedProtocol], type[BoundedSocket]]:
    """The classes of connections of one server: of requests, and of WebSockets."""
    of_server = {"of_server": Connections(bounds)}
    return type("BoundedProtocol", (BoundedProtocol,), of_server), type("BoundedSocket", (BoundedSocket,), of_server)
