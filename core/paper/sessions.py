"""Logins and the tokens they give (protocol section 4)."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from core.paper import replies
from core.paper.config import AccountConfig
from core.paper.replies import Refusal
from core.paper.times import at_time
from core.paper.totp import totp_is_good

__all__ = ["Credentials", "LoginCode", "Session", "Sessions", "check_quick_auth", "expires_at"]


@dataclass(slots=True)
class Session:
    """One token.

    Attributes:
        uid: The user it belongs to.
        source: API, WEB or MOB; a new login replaces the older of the same source only.
        issued_at: When.
        expires_at: When it ends by itself; None for never.
    """

    uid: str
    source: str
    issued_at: datetime
    expires_at: datetime | None


@dataclass(slots=True)
class LoginCode:
    """A one-time code of the OAuth login.

    Attributes:
        uid: Who logged in.
        client_id: For which client.
        expires_at: When it is worthless.
    """

    uid: str
    client_id: str
    expires_at: datetime


class Sessions:
    """All tokens and codes that are good.

    Args:
        rng: Where tokens come from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[str, Session] = {}
        self._codes: dict[str, LoginCode] = {}
        self.revision = 0
        """Goes up with each change."""

    def open(self, uid: str, source: str, now: datetime, expiry: time | None, replace: bool) -> str:
        """Give a new token; with `replace`, older ones of the same user and source end."""
        if replace:
            self._drop(lambda s: s.uid == uid and s.source == source)
        token = f"{self._rng.getrandbits(256):064x}"
        self._tokens[token] = Session(uid, source, now, expires_at(now, expiry))
        self.revision += 1
        return token

    def find(self, token: str, now: datetime) -> Session | None:
        """The session of a token, if it is good."""
        session = self._tokens.get(token)
        if session is None or (session.expires_at is not None and now >= session.expires_at):
            return None
        return session

    def close(self, token: str) -> None:
        """End one token."""
        if self._tokens.pop(token, None) is not None:
            self.revision += 1

    def kill(self, uid: str | None = None) -> int:
        """End every token, or those of one user; how many there were."""
        return self._drop(lambda s: uid is None or s.uid == uid)

    def count(self, uid: str, now: datetime) -> int:
        """How many good tokens a user has."""
        return sum(1 for token, s in self._tokens.items() if s.uid == uid and self.find(token, now))

    def forget_dead(self, now: datetime) -> None:
        """Drop what has expired, so that nothing grows for ever."""
        self._drop(lambda s: s.expires_at is not None and now >= s.expires_at)
        self._codes = {code: c for code, c in self._codes.items() if now < c.expires_at}

    def issue_code(self, uid: str, client_id: str, now: datetime, lifetime_s: float) -> str:
        """A one-time code after a login on the OAuth page."""
        code = f"{self._rng.getrandbits(128):032x}"
        self._codes[code] = LoginCode(uid, client_id, now + timedelta(seconds=lifetime_s))
        self.revision += 1
        return code

    def take_code(self, code: str, now: datetime) -> LoginCode | None:
        """Use a code up; None if it is unknown, used or too old."""
        found = self._codes.pop(code, None)
        self.revision += found is not None
        return found if found is not None and now < found.expires_at else None

    def memory(self) -> dict[str, object]:
        """All that is remembered."""
        return {"tokens": self._tokens, "codes": self._codes}

    @property
    def tokens(self) -> Mapping[str, Session]:
        """The session of each token."""
        return self._tokens

    @property
    def codes(self) -> Mapping[str, LoginCode]:
        """The login of each one-time code."""
        return self._codes

    def restore(self, tokens: Mapping[str, Session], codes: Mapping[str, LoginCode]) -> None:
        """Take up the tokens and codes of an earlier run."""
        self._tokens, self._codes = dict(tokens), dict(codes)

    def _drop(self, condition: Callable[[Session], bool]) -> int:
        dead = [token for token, session in self._tokens.items() if condition(session)]
        for token in dead:
            del self._tokens[token]
        self.revision += bool(dead)
        return len(dead)


def expires_at(now: datetime, expiry: time | None) -> datetime | None:
    """The next moment after `now` at which an Indian clock shows `expiry`."""
    if expiry is None:
        return None
    today = at_time(now.date(), expiry)
    return today if today > now else today + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What QuickAuth sends: `pwd` and `appkey` are digests, `factor2` the one-time password, `vc` the vendor code."""

    uid: str
    pwd: str
    factor2: str
    appkey: str
    vc: str


def check_quick_auth(account: AccountConfig | None, sent: Credentials, now: datetime) -> None:
    """Check what was sent against the account; what the account does not name is taken as it comes.

    Raises:
        Refusal: Something is missing or wrong.
    """
    if not sent.uid:
        raise Refusal(replies.INVALID_ORDER)
    if not sent.pwd or not sent.factor2:
        raise Refusal(replies.WRONG_PASSWORD, 200)
    if account is None:
        return
    if account.password and not same(sent.pwd, sha256(account.password)):
        raise Refusal(replies.WRONG_PASSWORD, 200)
    if account.totp_secret and not totp_is_good(account.totp_secret, sent.factor2, now):
        raise Refusal(replies.WRONG_TOTP, 200)
    wrong_key = account.api_secret and not same(sent.appkey, sha256(f"{sent.uid}|{account.api_secret}"))
    if wrong_key or (account.vendor_code and sent.vc != account.vendor_code):
        raise Refusal(replies.WRONG_APP_KEY, 200)


def sha256(text: str) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two digests are equal, whatever their case, in constant time."""
    return hmac.compare_digest(given.lower().encode(), wanted.encode())
