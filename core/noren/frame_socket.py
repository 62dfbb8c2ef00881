"""The library's WebSocket, reading ahead: thousands of small price frames a second in one call of the system a batch.

The library asks the system for two bytes of head, then for the length, then for the text of each frame, and checks the
text for UTF-8 in Python. At 2,000 frames a second that takes most of a core, and order updates wait behind prices.
"""

from __future__ import annotations

import select
from typing import Any

import websocket

__all__ = ["FrameSocket"]

_AHEAD_BYTES = 65_536


class FrameSocket(websocket.WebSocket):
    """One connection, used by one thread."""

    def __init__(self) -> None:
        # What is no UTF-8 is replaced where the text is decoded.
        super().__init__(enable_multithread=False, skip_utf8_validation=True)
        self._ahead = b""
        self._read_to = 0

    @property
    def has_more(self) -> bool:
        """Whether something can be read without waiting."""
        if self._read_to < len(self._ahead):
            return True
        # Any: the library is typed in part. TLS may hold what it has read already.
        raw: Any = self.sock
        if raw is None:
            return False
        pending = getattr(raw, "pending", None)
        if pending is not None and pending():
            return True
        # Not `select`, which takes no descriptor of 1024 and above.
        poller = select.poll()
        poller.register(raw, select.POLLIN)
        return bool(poller.poll(0))

    def _recv(self, bufsize: int) -> bytes:
        if self._read_to >= len(self._ahead):
            self._ahead, self._read_to = super()._recv(_AHEAD_BYTES), 0  # type: ignore[no-untyped-call]
        begin = self._read_to
        self._read_to += bufsize
        return self._ahead[begin : self._read_to]
