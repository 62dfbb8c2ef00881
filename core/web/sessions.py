"""Who is logged in to the pages: passwords checked by argon2, sessions in memory, a token against forged forms."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import Response

from core.runtime.clock import Clock, token

__all__ = ["COOKIE", "CSRF_FIELD", "CSRF_HEADER", "Password", "Session", "Sessions"]

COOKIE = "sixstep_session"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"

_IDLE_S = 12 * 3600.0
_MOST_SESSIONS = 1000
_TOKEN_LENGTH = 52  # of 32 letters each: 260 bits
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
    """Sessions by the hash of their cookie. They end with the process, or after half a day without a request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self) -> tuple[str, Session]:
        """Begin a session: the cookie to hand over, and the session it stands for."""
        cookie = token(self._clock, _TOKEN_LENGTH)
        session = Session(token(self._clock, _TOKEN_LENGTH), self._clock.monotonic() + _IDLE_S)
        self._sessions[_key(cookie)] = session
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie, session

    @staticmethod
    def hand_over(response: Response, cookie: str, *, secure: bool) -> None:
        """Give the browser its cookie. `secure`: it came by TLS, and must not go by anything else."""
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure, path="/")

    def of(self, connection: HTTPConnection) -> Session | None:
        """The session of a request; None if it has none that is still good."""
        cookie = connection.cookies.get(COOKIE)
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
        session.expires_at = now + _IDLE_S
        self._sessions.move_to_end(key)
        return session

    def holds(self, session: Session) -> bool:
        """Whether a session is still good; asking does not prolong it."""
        return session.expires_at >= self._clock.monotonic() and session in self._sessions.values()

    def end(self, connection: HTTPConnection, response: Response) -> None:
        """Log out."""
        cookie = connection.cookies.get(COOKIE)
        if cookie is not None:
            self._sessions.pop(_key(cookie), None)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _key(cookie: str) -> bytes:
    # By its hash: looking a hash up tells nothing about the cookie by the time it takes.
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
