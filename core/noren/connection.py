"""Connections that know whether a request was written, and that hold a deadline over the whole answer.

`requests` and urllib3 cannot say either: an `SSLError` may come before or after the request went out, and their read
timeout starts anew with every byte, so a server that drips holds its caller for ever (scenario A12). Both are settled
here, at the socket.

What urllib3 does with a pooled connection the server has closed while it was idle: it looks whether the socket is
readable before it writes, and opens a new one (`is_connection_dropped`). What remains is the server closing in the very
moment we write; that ends as `RemoteDisconnected` or a reset after writing, and is unknown.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Mapping
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Retry

from core.runtime.clock import Clock

__all__ = ["NotWritten", "WatchedAdapter"]


class NotWritten(requests.ConnectionError):
    """The call failed, and it is certain that no byte of the request was written."""


class _Watch:
    """The call in hand: has it been written, and until when may its answer take."""

    def __init__(self, clock: Clock, read_timeout_s: float) -> None:
        self._clock = clock
        self._read_timeout_s = read_timeout_s
        self._deadline = 0.0
        self.written = False

    def begin(self) -> None:
        self.written = False
        # For the answer of a proxy to CONNECT, which is read before our request is written.
        self._deadline = self._clock.monotonic() + self._read_timeout_s

    def writing(self) -> None:
        if not self.written:
            self.written = True
            self._deadline = self._clock.monotonic() + self._read_timeout_s

    def remaining_s(self) -> float:
        """Seconds left for the answer. Raises TimeoutError when there are none."""
        remaining = self._deadline - self._clock.monotonic()
        if remaining <= 0:
            raise self.too_late()
        return remaining

    def too_late(self) -> TimeoutError:
        return TimeoutError(f"no whole answer within {self._read_timeout_s:g} s")


class _BoundedReader(io.RawIOBase):
    """The socket's raw stream, each read given only what is left of the deadline."""

    def __init__(self, sock: socket.socket, watch: _Watch) -> None:
        # Through makefile, so that the socket stays open until the reply is read, as http.client expects.
        self._raw = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._watch.remaining_s())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            raise self._watch.too_late() from None

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """http.client's response, head and body read through a `_BoundedReader`."""

    def __init__(self, sock: socket.socket, *args: Any, watch: _Watch, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedReader(sock, watch))


class _Watched:
    """Mixed into urllib3's connections; both of them call these."""

    sock: Any

    def __init__(self, *args: Any, watch: _Watch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch = watch
        self._established = False
        self.response_class = partial(_BoundedResponse, watch=watch)

    def connect(self) -> None:
        # Until this returns, what is written is a proxy's CONNECT or a TLS handshake, not our request.
        self._established = False
        super().connect()  # type: ignore[misc]
        self._established = True

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self._established:
            self._watch.writing()
        super().send(data)  # type: ignore[misc]


# `response_class` is a class in urllib3's types; a callable that makes one is all that http.client needs.
class _WatchedHttp(_Watched, HTTPConnection):  # type: ignore[misc]
    pass


class _WatchedHttps(_Watched, HTTPSConnection):  # type: ignore[misc]
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHttps


class WatchedAdapter(HTTPAdapter):
    """A `requests` adapter over watched connections; one call at a time, never retried.

    Args:
        clock: Where the deadline is reckoned.
        read_timeout_s: How long the whole answer may take, from the first byte written.
    """

    def __init__(self, clock: Clock, read_timeout_s: float) -> None:
        self._watch = _Watch(clock, read_timeout_s)
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=Retry(0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes()
        return manager

    def send(  # noqa: PLR0917 - the signature is requests' own
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Carry one request.

        Raises:
            NotWritten: It failed before the first byte of the request was written.
            requests.RequestException: It failed later.
        """
        self._watch.begin()
        try:
            return super().send(request, stream, timeout, verify, cert, proxies)
        except Exception as error:
            # Not only RequestException: a missing CA file, for one, is a plain OSError.
            if not self._watch.written:
                raise NotWritten(error, request=request) from error
            raise

    def _pool_classes(self) -> dict[str, Any]:
        return {"http": partial(_HttpPool, watch=self._watch), "https": partial(_HttpsPool, watch=self._watch)}
