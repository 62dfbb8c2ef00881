"""A `requests` transport that ends in a paper exchange in the same process: no socket, no thread, no real time.

    session = requests.Session()
    session.mount("http://paper/", InMemoryAdapter(exchange, clock, deliver=frames.extend))
    session.post("http://paper/NorenWClientTP/PlaceOrder", data="jData=...&jKey=...", timeout=(3, 8))

What the client gets is what the server's REST face would have sent, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import RemoteDisconnected
from io import BytesIO
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.exceptions import ProtocolError
from urllib3.exceptions import ReadTimeoutError as PoolReadTimeoutError
from urllib3.response import HTTPResponse

from core.paper.exchange import Exchange
from core.paper.http_connection import HttpReply, HttpRequest
from core.paper.rest import file_here, refused_here, to_exchange, to_http
from core.paper.wire import Fate, Out
from core.runtime.clock import Clock


def _ignore(_: object) -> None:
    return None


class InMemoryAdapter(BaseAdapter):
    """Carries prepared requests to an exchange and its replies back.

    Args:
        exchange: The exchange behind the URL this adapter is mounted at.
        clock: Where the time of each call comes from.
        deliver: Takes what a call pushes to the WebSocket connections, with the time each frame is due, before the call
            returns. Who sends it on, and when, is the caller's affair.
        wait: Takes the seconds a real client would have been blocked: the reply's delay, or on a hanging call the read
            timeout. A simulator lets that much virtual time pass here; by default none does.
        peer: The address the calls come from, as the exchange's check of static addresses sees it.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        deliver: Callable[[tuple[Out, ...]], object] = _ignore,
        wait: Callable[[float], object] = _ignore,
        peer: str = "127.0.0.1",
    ) -> None:
        super().__init__()
        self._exchange = exchange
        self._clock = clock
        self._deliver = deliver
        self._wait = wait
        self._peer = peer

    def send(  # noqa: PLR0917 - the signature is requests' own
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: ARG002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Carry one request.

        Raises:
            requests.exceptions.ReadTimeout: The exchange took the request and never answers, or answers later than the
                read timeout. A call without a timeout, which would block for ever, raises it too.
            requests.exceptions.ConnectionError: The connection broke after the request was written.
        """
        received = self._as_received(request)
        here = file_here(received, self._exchange.symbol_file) or refused_here(received)
        if here is not None:
            return _response(request, here)
        step = self._exchange.handle(to_exchange(received), self._clock.now())
        if step.out:
            self._deliver(step.out)
        reply = step.reply
        if reply is None:
            raise RuntimeError("the exchange gave no reply to a request")
        patience_s = timeout[1] if isinstance(timeout, tuple) else timeout
        if reply.fate is Fate.HANG or (patience_s is not None and reply.delay_s > patience_s):
            self._wait(patience_s or 0.0)
            raise _read_timeout(request, patience_s)
        if reply.delay_s > 0:
            self._wait(reply.delay_s)
        if reply.fate is Fate.CLOSE:
            raise _closed(request)
        return _response(request, to_http(received, reply))

    def close(self) -> None:
        """Nothing is held open."""

    def _as_received(self, request: requests.PreparedRequest) -> HttpRequest:
        url = urlsplit(request.url or "")
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        body = request.body or b""
        if not isinstance(body, str | bytes):
            raise TypeError("InMemoryAdapter: only bodies of str and bytes are carried")
        return HttpRequest(
            request.method or "GET",
            target,
            {str(name).lower(): _text(value) for name, value in request.headers.items()},
            body.encode() if isinstance(body, str) else body,
            self._peer,
        )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _response(request: requests.PreparedRequest, reply: HttpReply) -> requests.Response:
    headers = {**dict(reply.all_headers()), "Content-Length": str(len(reply.body))}
    raw = HTTPResponse(
        body=BytesIO(reply.body),
        headers=headers,
        status=reply.status,
        reason=reply.reason,
        preload_content=False,
        request_method=request.method,
    )
    response = requests.Response()
    response.status_code = reply.status
    response.headers = CaseInsensitiveDict(headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = raw
    response.reason = reply.reason
    response.url = request.url or ""
    response.request = request
    return response


def _read_timeout(request: requests.PreparedRequest, patience_s: float | None) -> requests.exceptions.ReadTimeout:
    # The same nesting and words as a real session raises, for a client that looks into them.
    told = f"Read timed out. (read timeout={patience_s})"
    return requests.exceptions.ReadTimeout(PoolReadTimeoutError(None, request.url, told), request=request)  # type: ignore[arg-type]


def _closed(request: requests.PreparedRequest) -> requests.exceptions.ConnectionError:
    cause = RemoteDisconnected("Remote end closed connection without response")
    return requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", cause), request=request)
