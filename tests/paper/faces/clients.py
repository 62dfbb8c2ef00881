"""What the tests of the paper exchange's faces share: plain clients, and waiting with a bound."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import websocket

from core.paper.server import PaperServer
from core.runtime.clock import SystemClock

BOUND_S = 10.0
"""How long a test waits for what must happen. Reaching it is a failure, never a way to pass."""


class Received:
    """Collects what callbacks deliver, and waits for it."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()

    def add(self, item: Any = None) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait_for(self, told: Callable[[list[Any]], Any]) -> Any:
        """Wait until `told(items)` is true, and return it."""
        with self._changed:
            if not self._changed.wait_for(lambda: told(self.items), BOUND_S):
                raise AssertionError(f"not within {BOUND_S:g} s; received: {self.items}")
            return told(self.items)


def wait_until(told: Callable[[], Any]) -> bool:
    """Ask until the answer is yes, a bounded time."""
    clock = SystemClock()
    deadline = clock.monotonic() + BOUND_S
    while clock.monotonic() < deadline:
        if told():
            return True
    return False


class Socket:
    """A plain WebSocket client that takes frames one by one."""

    def __init__(self, url: str) -> None:
        self.raw = websocket.create_connection(url, timeout=BOUND_S)

    def send(self, frame: dict[str, str]) -> None:
        self.raw.send(json.dumps(frame))

    def receive(self) -> dict[str, Any]:
        text = self.raw.recv()
        assert text, "the server closed the socket"
        return dict(json.loads(text))

    def waiting(self) -> bool:
        """Whether something is there to be read now."""
        self.raw.settimeout(0.0)
        try:
            self.raw.sock.recv(1, 2)  # 2: MSG_PEEK
        except BlockingIOError:
            return False
        finally:
            self.raw.settimeout(BOUND_S)
        return True

    def close_code(self) -> int | None:
        """Read until the close frame and return its code; None where the connection just ended."""
        while True:
            try:
                opcode, data = self.raw.recv_data(control_frame=True)
            except websocket.WebSocketConnectionClosedException:
                return None
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")


Start = Callable[..., PaperServer]
"""Starts a server: takes its settings, a clock and whatever else `PaperServer` takes."""
