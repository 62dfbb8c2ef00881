"""A TCP proxy in front of PostgreSQL that cuts a connection around a COMMIT: the reply is lost, done or not done."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["Cut", "CuttingProxy", "cutting_proxy"]

_COMMIT = b"COMMIT\x00"
_LONGEST = 64
# The driver prepares what it sends often: from then on the text is missing, and only this name says what is run.
_PREPARED = re.compile(rb"(_pg3_\d+\x00)COMMIT\x00")


class Cut(StrEnum):
    """What the server has done of the COMMIT whose reply is lost."""

    BEFORE = "before"
    """Nothing: it never arrived. The server's side stays open, as when a network falls silent."""

    AFTER = "after"
    """It was executed."""


class CuttingProxy:
    """Passes bytes between clients and a server's socket; told to, it loses the reply of one COMMIT."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed: tuple[Cut, bytes] | None = None
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, cut: Cut, marker: bytes = b"") -> None:
        """Cut at the next COMMIT of a transaction that sent `marker` within one of its statements."""
        with self._lock:
            self._armed = (cut, marker)

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            _close(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server))
            except OSError:
                _close(client)
                continue
            self._open += [client, server]
            link = _Link(client, server)
            threading.Thread(target=self._requests, args=(link,), daemon=True).start()
            threading.Thread(target=self._replies, args=(link,), daemon=True).start()

    def _requests(self, link: _Link) -> None:
        sent = tail = b""
        while data := _receive(link.client):
            sent += data
            # A name may arrive in two pieces: what ends in this one counts.
            window, tail = tail + data, data[-_LONGEST:]
            known = len(window) - len(data)
            if found := _PREPARED.search(window):
                link.commit = found[1]
                # To prepare it is not to run it: what loses the answer to that loses nothing.
                window = window[: found.start()] + bytes(len(found[0])) + window[found.end() :]
            if any(name and name in window[max(0, known - len(name) + 1) :] for name in (_COMMIT, link.commit)):
                cut, sent = self._fires(sent), b""
                if cut is Cut.BEFORE:
                    # The server's side stays open, as it does when a network falls silent.
                    _close(link.client)
                    return
                link.losing = cut is Cut.AFTER
            try:
                link.server.sendall(data)
            except OSError:
                break
        _close(link.server)

    def _fires(self, sent: bytes) -> Cut | None:
        with self._lock:
            if self._armed is None or self._armed[1] not in sent:
                return None
            cut, self._armed = self._armed[0], None
            self.cuts += 1
            return cut

    def _replies(self, link: _Link) -> None:
        while data := _receive(link.server):
            if link.losing and _COMMIT in data:
                break
            try:
                link.client.sendall(data)
            except OSError:
                return
        _close(link.client)


@dataclass(slots=True)
class _Link:
    """One client and its connection to the server."""

    client: socket.socket
    server: socket.socket
    commit: bytes = b""
    losing: bool = False


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def cutting_proxy(url: str) -> Iterator[tuple[CuttingProxy, str]]:
    """A proxy in front of the server of `url`, which listens on a Unix socket; and the URL that leads through it."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    directory = query.pop("host")
    proxy = CuttingProxy(Path(directory) / ".s.PGSQL.5432")
    user = f"{parts.username}@" if parts.username else ""
    through = parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}", query=urlencode(query))
    try:
        yield proxy, urlunsplit(through)
    finally:
        proxy.close()
