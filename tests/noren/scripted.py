"""An HTTP server on loopback that does exactly what a test tells it, down to the byte and the reset.

A test puts one step for each request it expects; a step is given the connection and says whether it stays open. What
was received is kept.
"""

from __future__ import annotations

import json
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from core.runtime.clock import VirtualClock

Step = Callable[[socket.socket], bool]

BOUND_S = 10.0
"""How long anything here waits for what must happen. Reaching it is a failure, never a way to pass."""

_TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def parts(self) -> list[str]:
        """The body as a Noren server takes it: split on `&` before anything else (protocol 2.1)."""
        return self.body.decode().split("&")

    @property
    def values(self) -> dict[str, Any]:
        """The JSON after `jData=`."""
        first = self.parts[0]
        assert first.startswith("jData=")
        found: dict[str, Any] = json.loads(first.removeprefix("jData="))
        return found

    def decoded(self, name: str) -> str:
        """A field that servers of the first generation percent-decode after parsing."""
        return unquote_plus(self.values[name])


class ScriptedServer:
    """Listens until closed. A request without a step is answered with HTTP 599 and shows in `received`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.closed_connections: queue.Queue[int] = queue.Queue()
        self._steps: queue.Queue[Step] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._spawn(self._accept)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/NorenWClientTP"

    def will(self, *steps: Step) -> None:
        """Do these, one a request."""
        for step in steps:
            self._steps.put(step)

    def paths(self) -> list[str]:
        """The last parts of the paths received."""
        return [request.path.rsplit("/", 1)[-1] for request in self.received]

    def wait_closed(self) -> None:
        """Until a connection has been closed from this side."""
        self.closed_connections.get(timeout=BOUND_S)

    def close(self) -> None:
        self._stopping.set()
        # close() alone leaves accept() waiting.
        _shut(self._listener)
        for connection in self._open:
            _shut(connection)
        for thread in self._threads:
            thread.join(BOUND_S)
            assert not thread.is_alive()

    def hang(self, _: socket.socket) -> bool:
        """A step: say nothing until the test is over (scenario A12)."""
        self._stopping.wait(BOUND_S)
        return False

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            self._open.append(connection)
            self._spawn(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Plain HTTP here\r\n\r\n")
                return
            for request in _requests(connection, number):
                self.received.append(request)
                try:
                    step = self._steps.get_nowait()
                except queue.Empty:
                    step = reply("no step", status=599)
                if not step(connection):
                    break
        except OSError:
            pass
        finally:
            _shut(connection)
            self.closed_connections.put(number)


def reply(
    document: object, *, status: int = 200, content_type: str = "application/json", headers: str = "", keep: bool = True
) -> Step:
    """Answer with JSON, or with a str as it is. Without `keep` the connection is closed after it, unannounced."""
    body = (document if isinstance(document, str) else json.dumps(document)).encode()

    def step(connection: socket.socket) -> bool:
        head = f"HTTP/1.1 {status} Told\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)
        return keep

    return step


def raw(data: bytes) -> Step:
    """Send these bytes and close."""

    def step(connection: socket.socket) -> bool:
        connection.sendall(data)
        return False

    return step


def close(_: socket.socket) -> bool:
    """Close without an answer, as a server does whose idle limit ends in this moment."""
    return False


def reset(connection: socket.socket) -> bool:
    """Cut the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


class WatchedClock(VirtualClock):
    """Knows how often it was asked, so that a server can tell that its client has looked at the time."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._asked = 0
        self._changed = threading.Condition()

    def monotonic(self) -> float:
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
        return super().monotonic()

    @property
    def asked(self) -> int:
        return self._asked

    def wait_asked_after(self, asked: int, connection: socket.socket) -> None:
        """Until it was asked again, or the client is gone."""
        with self._changed:
            while self._asked <= asked and not _is_closed(connection):
                self._changed.wait(0.02)


def drip(clock: WatchedClock, at_once: bytes, dripped: bytes) -> Step:
    """Send the first part, then one byte a second of virtual time, each after the client has looked at the time.

    It does end: a client without a deadline gets a whole answer.
    """

    def step(connection: socket.socket) -> bool:
        connection.sendall(at_once)
        for byte in dripped:
            asked = clock.asked
            clock.advance(1)
            connection.sendall(bytes((byte,)))
            clock.wait_asked_after(asked, connection)
        return True

    return step


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _requests(connection: socket.socket, number: int) -> Iterator[Received]:
    stream = connection.makefile("rb")
    while line := stream.readline():
        words = line.decode("latin-1").split()
        if len(words) != 3:
            return
        headers: dict[str, str] = {}
        while (header := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
        yield Received(words[1], headers, body, number)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        connection.close()
