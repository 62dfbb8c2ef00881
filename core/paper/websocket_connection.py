"""One WebSocket connection of a client: the handshake, text frames in, text frames out.

The frames are read and written by the `websockets` package without its own input and output, so a push is written the
moment it is due, in the same turn of the loop in which the HTTP reply follows it: the order of push and reply is what
the exchange says, not what a scheduler makes of it (protocol section 9.2).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from loguru import logger
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from core.paper.foreign import foreign_host, foreign_page
from core.paper.http_connection import BACKLOG_LIMIT_BYTES, CONNECTION_LIMIT

FRAME_LIMIT_BYTES = 256 * 1024
"""The longest message a client may send; a longer one closes its socket with 1009."""

REASON_LIMIT_BYTES = 123
"""What fits into a close frame besides its code."""

HANDSHAKE_LIMIT_S = 10.0
"""How long a peer may take to ask for the upgrade."""

CLOSE_LIMIT_S = 2.0
"""How long a peer may take to close after our close frame."""

# The package logs each frame at DEBUG, tokens included; nothing of that may reach a log.
_SILENT = logging.getLogger("core.paper.websocket")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_SILENT.setLevel(logging.CRITICAL + 1)


class SocketEvents(Protocol):
    """Who is told of a socket's life. Calls come on the loop's thread."""

    def opened(self, socket: WebSocketConnection) -> None:
        """The handshake is done."""
        ...

    def received(self, socket: WebSocketConnection, text: str) -> None:
        """A whole text message came."""
        ...

    def lost(self, socket: WebSocketConnection) -> None:
        """The socket is gone; called once, and only after `opened`."""
        ...


class WebSocketConnection(asyncio.Protocol):
    """One accepted socket.

    Args:
        events: Told when it opens, receives and ends.
        crowd: The sockets open on this port; the socket enters and leaves it by itself.
        name: What the exchange calls this connection.
        host: The address the port is bound to.

    Attributes:
        name: What the exchange calls this connection.
        deaf: True makes it a half-open socket: it stays up and neither answers nor reads, PING frames included
            (protocol section 14.2).
    """

    def __init__(self, events: SocketEvents, crowd: set[WebSocketConnection], name: str, host: str) -> None:
        self.name = name
        self._host = host
        self.deaf = False
        self._events = events
        self._crowd = crowd
        self._protocol = ServerProtocol(max_size=FRAME_LIMIT_BYTES, logger=_SILENT)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the upgrade request, a bounded time."""
        assert isinstance(transport, asyncio.Transport)
        if len(self._crowd) >= CONNECTION_LIMIT:
            transport.abort()
            return
        self._transport = transport
        self._crowd.add(self)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_LIMIT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell that the socket is gone."""
        self._transport = None
        self._crowd.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._open:
            self._open = False
            self._events.lost(self)

    def data_received(self, data: bytes) -> None:
        """Read frames; PING is answered here, text goes to the exchange."""
        if self.deaf:
            return
        self._protocol.receive_data(data)
        try:
            self._after_reading()
        except Exception:
            # A fault of ours, not one asked for.
            logger.exception("paper exchange: socket {} failed", self.name)
            self.close(1011, "internal error")

    def eof_received(self) -> bool:
        """The peer sends no more: finish the closing handshake."""
        self._protocol.receive_eof()
        self._after_reading()
        return False

    def send(self, text: str) -> None:
        """Send one text message; nothing happens where the socket is closing or gone."""
        if self._transport is None or self._protocol.state is not OPEN:
            return
        self._protocol.send_text(text.encode())
        self._flush()
        if self._transport is not None and self._transport.get_write_buffer_size() > BACKLOG_LIMIT_BYTES:
            self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Close with a close frame; a peer that does not close in turn is cut off after a while.

        A code that may not stand in a close frame, such as 1006, cuts the connection without one.
        """
        if self._transport is None or self._protocol.state is not OPEN:
            return
        try:
            self._protocol.send_close(code, reason.encode()[:REASON_LIMIT_BYTES].decode("utf-8", "ignore"))
        except ProtocolError:
            self.drop()
        self._flush()

    def drop(self) -> None:
        """Cut the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def _after_reading(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame):
                self._take_frame(event)
        self._flush()

    def _shake_hands(self, request: Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        reason = foreign_host(headers, self._host) or foreign_page(headers)
        refused = None if reason is None else self._protocol.reject(403, f"{reason}\n")
        self._protocol.send_response(refused or self._protocol.accept(request))
        self._flush()
        if self._protocol.state is not OPEN:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._open = True
        self._events.opened(self)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT} or not self._open:
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            text = b"".join(self._parts).decode("utf-8", "replace")
            self._parts.clear()
            self._events.received(self, text)

    def _flush(self) -> None:
        transport, data_to_send = self._transport, self._protocol.data_to_send()
        if transport is None or transport.is_closing() or self.deaf:
            return
        for data in data_to_send:
            if data:
                transport.write(data)
            elif self._protocol.close_rcvd is not None:
                transport.close()
            else:
                # Half a close: what the peer still sends is read away, or a reset would overtake our close frame.
                transport.write_eof()
        if self._deadline is None and self._protocol.close_expected():
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, transport.abort)
