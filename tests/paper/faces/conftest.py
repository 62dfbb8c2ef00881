"""Servers that are always stopped, sockets that are always closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer
from core.runtime.clock import Clock, SystemClock, VirtualClock
from tests.paper.faces.clients import Socket, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Start paper servers; all of them are stopped after the test."""
    servers: list[PaperServer] = []

    def begin(config: ExchangeConfig | None = None, *, clock: Clock | None = None, **options: Any) -> PaperServer:
        server = PaperServer(config or ExchangeConfig(), clock=clock or SystemClock(), **options)
        servers.append(server)
        server.start()
        return server

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture
def open_socket() -> Iterator[Callable[[str], Socket]]:
    """Open plain WebSocket clients; all of them are closed after the test."""
    sockets: list[Socket] = []

    def connect(url: str) -> Socket:
        sockets.append(Socket(url))
        return sockets[-1]

    yield connect
    for socket in sockets:
        socket.raw.shutdown()  # without waiting for a server that may be playing dead


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A Tuesday morning in the session, India time."""
    return VirtualClock(datetime(2026, 11, 3, 4, 45, tzinfo=UTC))
