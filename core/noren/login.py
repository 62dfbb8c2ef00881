"""Beginning a session: what is sent beyond the library's QuickAuth, and what the answers mean (protocol 4).

A wrong password or a spent code never leads to another attempt by itself: brokers lock accounts (scenario E2). So an
answer that refuses needs a person; only where there was no verdict may one try again.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyotp

from core.model.outcomes import LoggedIn, LoginFailed, LoginOutcome, LoginRefused, ReadError, ReadFailure
from core.noren.body import jdata
from core.noren.classify import Meaning, meaning, object_outcome
from core.noren.credentials import Credentials, Redactor
from core.noren.profiles import AmpersandEscape, BrokerProfile, CodeExchange
from core.noren.transport import Delivery, RawReply

__all__ = [
    "CodeMemory",
    "code_request",
    "code_verdict",
    "one_time_code",
    "probe_verdict",
    "quickauth_verdict",
    "usable_token",
]

# A token goes into a header or after `&jKey=`: visible ASCII without the separator.
_TOKEN = re.compile(r"[!-%'-~]+", re.ASCII)
_UNAUTHORISED = (401, 403)
# How long a one-time password is good (RFC 6238).
_STEP_S = 30


class CodeMemory:
    """Which one-time password was used last: a broker takes each once, and refuses the login that repeats it.

    Args:
        path: A small file that a restart finds; not synced, because a machine that lost its power is not back within
            the half minute. None remembers within the process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._last: int | None = None
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                self._last = int(path.read_text(encoding="ascii"))

    def wait_s(self, now: datetime) -> float:
        """Seconds until there is a code that was not used; zero when that of this moment was not."""
        seconds = now.timestamp()
        return (self._last + 1) * _STEP_S - seconds if int(seconds // _STEP_S) == self._last else 0.0

    def use(self, now: datetime) -> None:
        """The code of this moment is about to be used. Where that cannot be written, the process still knows it."""
        self._last = int(now.timestamp() // _STEP_S)
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(f"{self._last}\n", encoding="ascii")


class _Totp(pyotp.TOTP):
    """Takes secrets of any length: pyotp 2.12 refuses those under 112 bits, and which length it is the broker chose."""

    def byte_secret(self) -> bytes:
        return base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)


def one_time_code(totp_secret: str, now: datetime) -> str | None:
    """The six digits of this half minute; empty without a secret, None when the secret is not base 32."""
    if not totp_secret:
        return ""
    try:
        return _Totp("".join(totp_secret.split()).rstrip("=")).at(now)
    except ValueError:
        return None


def usable_token(token: object) -> str | None:
    """The token as text, if it can travel unharmed; None otherwise."""
    if not isinstance(token, str):
        return None
    stripped = token.strip()
    return stripped if _TOKEN.fullmatch(stripped) else None


def quickauth_verdict(reply: RawReply, user_id: str, redactor: Redactor) -> LoginOutcome:
    """What the answer of QuickAuth means."""
    return _verdict(reply, user_id, redactor, ("susertoken",))


def code_verdict(reply: RawReply, user_id: str, redactor: Redactor) -> LoginOutcome:
    """What the answer of GenAcsTok, or of Flattrade's `apitoken`, means.

    A success may lack `stat` (protocol 4.2): the token decides.
    """
    return _verdict(reply, user_id, redactor, ("access_token", "token", "susertoken"))


def probe_verdict(error: ReadError) -> LoginOutcome:
    """What a failed read with a token that was handed in says about the token (protocol 15.2 rule 7)."""
    if error.failure is ReadFailure.SESSION_EXPIRED:
        return LoginRefused(f"the access token is not accepted: {error.reason}")
    return LoginFailed(error.reason, answered=error.failure is ReadFailure.UNREADABLE)


def code_request(
    exchange: CodeExchange, profile: BrokerProfile, credentials: Credentials, code: str
) -> tuple[str, bytes, dict[str, str]]:
    """URL, body and headers that turn a code into a token. The library 0.0.22 has no such call."""
    given = credentials
    middle, last = (code, given.api_secret) if exchange.code_before_secret else (given.api_secret, code)
    checksum = hashlib.sha256(f"{given.vendor_code}{middle}{last}".encode()).hexdigest()
    url = exchange.url if "://" in exchange.url else profile.host + exchange.url
    if exchange.json_body:
        values = {"api_key": given.vendor_code, "request_code": code, "api_secret": checksum}
        return url, json.dumps(values).encode("ascii"), {"Content-Type": "application/json"}
    values = {"code": code, "checksum": checksum}
    if exchange.sends_uid:
        values["uid"] = given.user_id
    # Not percent-escaped even where symbols are: a code is compared byte by byte, and JSON reads `\u0026` as `&`.
    return url, jdata(values, AmpersandEscape.JSON).encode("ascii"), {}


def _verdict(reply: RawReply, user_id: str, redactor: Redactor, names: tuple[str, ...]) -> LoginOutcome:
    if reply.delivery is not Delivery.ANSWERED:
        return LoginFailed(reply.problem)
    document = _object(reply.text)
    refused = str(document.get("stat", "Ok")).strip().lower() != "ok"
    token = None if refused else next(filter(None, (usable_token(document.get(name)) for name in names)), None)
    if token is not None:
        redactor.remember(token)
        return LoggedIn(user_id, token)
    return _no_token(reply, document, redactor)


def _no_token(reply: RawReply, document: Mapping[str, Any], redactor: Redactor) -> LoginOutcome:
    emsg = document.get("emsg")
    words = emsg.strip() if isinstance(emsg, str) else ""
    try:
        object_outcome(reply, redactor)
    except ReadError as error:
        refused = words and meaning(words) in (Meaning.REFUSED, Meaning.SESSION_EXPIRED, Meaning.UNRECOGNISED)
        if not error.rate_limited and (refused or reply.status in _UNAUTHORISED):
            return LoginRefused(error.reason)
        return LoginFailed(error.reason)
    return LoginFailed("the broker says Ok and gives no usable token")


def _object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
