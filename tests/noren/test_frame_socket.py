"""Reading ahead changes nothing of what is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import websocket

from core.noren.frame_socket import FrameSocket


def frame(text: bytes) -> bytes:
    head = bytes([0x81]) + (bytes([len(text)]) if len(text) < 126 else bytes([126]) + len(text).to_bytes(2, "big"))
    return head + text


@pytest.fixture
def ends() -> Iterator[tuple[FrameSocket, socket.socket]]:
    near, far = socket.socketpair()
    reading = FrameSocket()
    reading.sock, reading.connected = near, True
    near.settimeout(0.2)
    yield reading, far
    near.close()
    far.close()


def test_frames_that_came_at_once_are_read_one_by_one(ends: tuple[FrameSocket, socket.socket]) -> None:
    reading, far = ends
    texts = [b"a", b"b" * 200, "₹".encode(), b"\xff no UTF-8"]
    far.sendall(b"".join(frame(text) for text in texts))
    read = []
    while reading.has_more:
        read.append(reading.recv_data_frame()[1].data)
    assert read == texts


def test_a_frame_may_come_in_parts(ends: tuple[FrameSocket, socket.socket]) -> None:
    reading, far = ends
    whole = frame(b"c" * 300)
    far.sendall(frame(b"first") + whole[:3])
    assert reading.recv_data_frame()[1].data == b"first"
    with pytest.raises(websocket.WebSocketTimeoutException):
        reading.recv_data_frame()
    far.sendall(whole[3:])
    assert reading.recv_data_frame()[1].data == b"c" * 300
    assert not reading.has_more


def test_a_peer_that_is_gone_is_told(ends: tuple[FrameSocket, socket.socket]) -> None:
    reading, far = ends
    far.sendall(frame(b"last"))
    far.close()
    assert reading.recv_data_frame()[1].data == b"last"
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        reading.recv_data_frame()
    assert not reading.has_more
