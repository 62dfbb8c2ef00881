"""Who is logged in to the pages: passwords checked by argon2, sessions in memory, a token against forged forms."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import Response

from core.runtime.clock import Clock, token
from core.web.origin import by_tls

__all__ = ["COOKIE", "CSRF_FIELD", "CSRF_HEADER", "Password", "Session", "Sessions"]

COOKIE = "sixstep_session"
_KNOWN = "sixstep_known"
# Under TLS: such a name is taken by browsers only from this host, over TLS, and for all of it.
_HOST = "__Host-"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"

_IDLE_S = 8 * 3600.0
_LONGEST_S = 12 * 3600.0
_KNOWN_FOR_S = 180 * 24 * 3600
_MOST_SESSIONS = 1000
_TOKEN_LENGTH = 52  # of 32 envelopes each: 260 bits
_HASH_PREFIX = "$argon2"


class Password:
    """The dashboard's password. Hashing is slow on purpose, so it has a thread of its own.

    Args:
        given: The password itself, or its argon2 hash.
    """

    def __init__(self, given: SecretStr) -> None:
        self._given = given.get_secret_value()
        self._hash = self._given if self._given.startswith(_HASH_PREFIX) else None
        self._hasher = PasswordHasher()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="web-password")

    async def matches(self, tried: str) -> bool:
        """Whether `tried` is the password."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._matches, tried)

    @staticmethod
    def hash_of(password: str) -> str:
        """The argon2 hash that may stand in the settings instead of the password."""
        return PasswordHasher().hash(password)

    def close(self) -> None:
        """Take no further passwords."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _matches(self, tried: str) -> bool:
        if self._hash is None:
            self._hash = self._hasher.hash(self._given)
        try:
            return self._hasher.verify(self._hash, tried)
        except (Argon2Error, InvalidHashError):
            return False


@dataclass(slots=True, eq=False)
class Session:
    """One browser that is logged in. `csrf` stands in each of its forms; `notes` are shown once, on its next page."""

    csrf: str
    expires_at: float
    ends_at: float
    notes: list[tuple[str, str]] = field(default_factory=list)

    def is_own_form(self, given: object) -> bool:
        """Whether a form or request carries this session's token."""
        return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf.encode())

    def note(self, kind: str, text: str) -> None:
        """Show `text` on the next page; `kind` is good, bad or info."""
        self.notes.append((kind, text))

    def take_notes(self) -> list[tuple[str, str]]:
        """What was noted since it was last asked."""
        taken, self.notes = self.notes, []
        return taken


class Sessions:
    """Sessions by the hash of their cookie.

    They end with the process, after eight hours without a request, and after twelve in any case.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        # Browsers that were logged in once: their tries are counted apart from those of strangers.
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, instead_of: HTTPConnection | None = None) -> tuple[str, Session]:
        """Begin a session: the cookie to hand over, and the session it stands for.

        Args:
            instead_of: The request that begins it; the session it came with ends.
        """
        if instead_of is not None:
            self._sessions.pop(_key(_cookie(instead_of, COOKIE) or ""), None)
        cookie = token(self._clock, _TOKEN_LENGTH)
        now = self._clock.monotonic()
        session = Session(token(self._clock, _TOKEN_LENGTH), now + _IDLE_S, now + _LONGEST_S)
        self._sessions[_key(cookie)] = session
        _bound(self._sessions)
        return cookie, session

    @staticmethod
    def hand_over(response: Response, cookie: str, *, secure: bool) -> None:
        """Give the browser its cookie. `secure`: it came by TLS, and must not go by anything else."""
        response.set_cookie(
            _name(COOKIE, secure=secure), cookie, httponly=True, samesite="strict", secure=secure, path="/"
        )

    def know(self, response: Response, *, secure: bool) -> None:
        """Let a browser that has logged in be known by its tries to log in later."""
        cookie = token(self._clock, _TOKEN_LENGTH)
        self._known[_key(cookie)] = None
        _bound(self._known)
        response.set_cookie(
            _name(_KNOWN, secure=secure),
            cookie,
            max_age=_KNOWN_FOR_S,
            httponly=True,
            samesite="strict",
            secure=secure,
            path="/",
        )

    def known(self, connection: HTTPConnection) -> str | None:
        """What the tries of a browser that was logged in before are counted by; None for a stranger's."""
        key = _key(_cookie(connection, _KNOWN) or "")
        return f"browser {key.hex()}" if key in self._known else None

    def of(self, connection: HTTPConnection) -> Session | None:
        """The session of a request; None if it has none that is still good."""
        cookie = _cookie(connection, COOKIE)
        if cookie is None:
            return None
        key = _key(cookie)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock.monotonic()
        if now > session.expires_at:
            del self._sessions[key]
            return None
        session.expires_at = min(now + _IDLE_S, session.ends_at)
        self._sessions.move_to_end(key)
        return session

    def holds(self, session: Session) -> bool:
        """Whether a session is still good; asking does not prolong it."""
        return session.expires_at >= self._clock.monotonic() and session in self._sessions.values()

    def end(self, connection: HTTPConnection, response: Response, *, everywhere: bool = False) -> None:
        """Log out: this browser, or all of them, which then are strangers again."""
        self._sessions.pop(_key(_cookie(connection, COOKIE) or ""), None)
        if everywhere:
            self._sessions.clear()
            self._known.clear()
        secure = by_tls(connection)
        response.delete_cookie(_name(COOKIE, secure=secure), path="/", httponly=True, samesite="strict", secure=secure)


def _name(cookie: str, *, secure: bool) -> str:
    return f"{_HOST}{cookie}" if secure else cookie


def _cookie(connection: HTTPConnection, name: str) -> str | None:
    return connection.cookies.get(_name(name, secure=by_tls(connection)))


def _bound(kept: OrderedDict[bytes, Any]) -> None:
    while len(kept) > _MOST_SESSIONS:
        kept.popitem(last=False)


def _key(cookie: str) -> bytes:
    # By its hash: looking a hash up tells nothing about the cookie by the time it takes.
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
