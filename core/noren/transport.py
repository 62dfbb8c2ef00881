"""Carries one request of the library over HTTP and keeps what came back.

The library throws the broker's words away and has no timeout (protocol 3.2). This transport stands in the place of its
`requests`: one session with keep-alive, no retries, no redirects, a bound on the whole answer, and for every call a
`RawReply` that tells apart what the six steps must never confuse: *not sent*, *answered*, *unknown* (protocol 15.1).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from core.noren.body import mend
from core.noren.connection import NotWritten, WatchedAdapter
from core.noren.credentials import Redactor
from core.noren.profiles import BrokerProfile, TokenPlace
from core.runtime.clock import Clock

__all__ = ["CallFailed", "Delivery", "RawReply", "Transport"]

IDLE_LIMIT_S = 20.0
"""A connection unused for longer is not used again: servers and address translators drop idle ones, often silently, and
an order written into a dead connection has an unknown outcome. A fresh connection costs a handshake instead."""

MAX_REPLY_BYTES = 128 * 1024 * 1024
"""A longer reply is given up as unreadable. An order book of 100,000 rows has about 100 MB."""

_CHUNK_BYTES = 256 * 1024


class Delivery(StrEnum):
    """How far a call got."""

    NOT_SENT = "NOT_SENT"
    """Nothing of the request was written: the broker cannot know of it."""

    ANSWERED = "ANSWERED"
    """A whole HTTP reply was read, whatever it says."""

    UNKNOWN = "UNKNOWN"
    """Something was written and no whole reply came back."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """What became of one call.

    Attributes:
        delivery: How far it got.
        status: The HTTP status, when answered.
        text: The body, when answered. It may hold secrets: it goes to the classifier and never into a log.
        problem: In words, when not answered; free of secrets.
    """

    delivery: Delivery
    status: int | None = None
    text: str = ""
    problem: str = ""


class CallFailed(Exception):
    """Leaves the library when there is nothing for it to parse; the reply is in `Transport.last`."""


@dataclass(frozen=True, slots=True)
class _LibraryReply:
    """As much of a `requests.Response` as the library looks at."""

    status_code: int
    text: str


class Transport:
    """Stands in the place of the library's `requests`.

    One call at a time: it belongs to the one actor that speaks to the broker.

    Args:
        profile: Says how bodies are mended and where the token goes.
        redactor: Cleans what is told of failures.
        clock: Where deadlines are reckoned.
        connect_timeout_s: For each address of the host, and once more for the TLS handshake.
        read_timeout_s: For the whole answer, from the moment the request begins to be written to the last byte. A
            server that sends one byte a second is cut off there too.
        adapter: Carries the requests instead of sockets. It raises as a `requests` adapter does; a `ConnectTimeout`
            or a `NotWritten` means that nothing was written.

    Attributes:
        token: The session's token, None before login.
        last: What became of the last call; None when the library gave up before making one.
        additions: Fields added to the next call.
    """

    def __init__(
        self,
        profile: BrokerProfile,
        redactor: Redactor,
        *,
        clock: Clock,
        connect_timeout_s: float,
        read_timeout_s: float,
        adapter: BaseAdapter | None = None,
    ) -> None:
        self.token: str | None = None
        self.last: RawReply | None = None
        self.additions: Mapping[str, str] = {}
        self._profile = profile
        self._redactor = redactor
        self._clock = clock
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._read_timeout_s = read_timeout_s
        self._used_at = clock.monotonic()
        self._adapter = adapter or WatchedAdapter(clock, read_timeout_s)
        self._session = _session(self._adapter)
        self._environment = _environment(self._session, profile.host)

    def post(self, url: str, data: str, headers: Mapping[str, str] | None = None) -> _LibraryReply:
        """What the library calls. Its body is mended for this broker and sent once.

        Raises:
            CallFailed: There is no HTTP reply; `last` says what is known.
            BadBody: The library wrote something we do not know; nothing was sent.
        """
        body = mend(data, self._profile, self.token, self.additions)
        head = dict(headers or {})
        if self._profile.content_type is not None:
            head["Content-Type"] = self._profile.content_type
        if self._profile.token is TokenPlace.BEARER and self.token is not None:
            head["Authorization"] = f"Bearer {self.token}"
        reply = self.send(url, body, head)
        if reply.delivery is not Delivery.ANSWERED:
            raise CallFailed(reply.problem)
        # A book is read from `last`; the library would parse thousands of rows, for nobody.
        return _LibraryReply(reply.status or 0, "[]" if reply.text.startswith("[") else reply.text)

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> RawReply:
        """Post a body as it is; the reply is returned and kept in `last`. Raises nothing."""
        try:
            request = requests.Request("POST", url, data=body, headers=dict(headers))
            prepared = self._session.prepare_request(request)
        except (requests.RequestException, ValueError) as error:
            self.last = RawReply(Delivery.NOT_SENT, problem=self._told(error))
            return self.last
        # Whatever goes wrong from here on, even an error of our own, the broker may have the request.
        self.last = RawReply(Delivery.UNKNOWN, problem="the call was interrupted")
        self.last = self._carry(prepared)
        return self.last

    def close(self) -> None:
        """Drop all connections."""
        self._session.close()

    def _carry(self, request: requests.PreparedRequest) -> RawReply:
        self._drop_idle_connection()
        try:
            response = self._session.send(request, timeout=self._timeout, allow_redirects=False, **self._environment)
            with response:
                text = self._read(response)
        except (NotWritten, requests.ConnectTimeout) as error:
            return RawReply(Delivery.NOT_SENT, problem=self._told(error))
        except (requests.RequestException, OSError, ValueError) as error:
            return RawReply(Delivery.UNKNOWN, problem=self._told(error))
        finally:
            self._used_at = self._clock.monotonic()
        return RawReply(Delivery.ANSWERED, status=response.status_code, text=text)

    def _read(self, response: requests.Response) -> str:
        """The body as text. The deadline is held by the connection underneath, head and body alike."""
        parts: list[bytes] = []
        size = 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                raise ValueError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
            parts.append(chunk)
        # Noren writes JSON, which is UTF-8 whatever the Content-Type says; guessing costs milliseconds a call.
        return b"".join(parts).decode("utf-8", errors="replace")

    def _drop_idle_connection(self) -> None:
        if isinstance(self._adapter, WatchedAdapter) and self._clock.monotonic() - self._used_at > IDLE_LIMIT_S:
            self._adapter.close()

    def _told(self, error: BaseException) -> str:
        """The innermost cause: `requests` wraps it up to four times in texts that repeat the URL."""
        cause, inner = error, _beneath(error)
        while inner is not None:
            cause, inner = inner, _beneath(inner)
        return self._redactor.clean(f"{type(cause).__name__}: {cause}")


def _beneath(error: BaseException) -> BaseException | None:
    """What a traceback would show above `error`."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _session(adapter: BaseAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # An authentication of our own that does nothing: otherwise a .netrc entry would replace the Bearer header.
    session.auth = _as_it_is
    # The library opens a new connection for each call and so has never sent a cookie back; neither do we.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _environment(session: requests.Session, host: str) -> dict[str, Any]:
    """Proxy and CA settings of the environment, looked up once. A proxy is how some users get their static address.

    A host on this machine is never reached through a proxy.
    """
    found = dict(session.merge_environment_settings(host, {}, True, None, None))
    return {**found, "proxies": {}} if _is_local(host) else found


def _is_local(host: str) -> bool:
    name = urlsplit(host).hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
