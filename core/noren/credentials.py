"""Who logs in, and what must never be seen of it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

__all__ = ["Credentials", "Redactor"]

# A permanent account number: its fourth letter says what kind of holder. Brokers put it into book rows (protocol 7.2).
_PAN = re.compile(r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b")
_HIDDEN = "***"
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a login needs; which fields are used depends on the profile's login style.

    Attributes:
        user_id: Client code.
        password: For QuickAuth.
        totp_secret: Base-32 seed of the one-time codes, for QuickAuth.
        vendor_code: Vendor code, client id or API key, as the broker calls it.
        api_secret: Secret of the API key.
        imei: Any stable text that names this installation.
        access_token: A token made elsewhere; used instead of a login.
    """

    user_id: str
    password: str = field(default="", repr=False)
    totp_secret: str = field(default="", repr=False)
    vendor_code: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    imei: str = field(default="sixstep", repr=False)
    access_token: str = field(default="", repr=False)


class Redactor:
    """Takes secrets out of texts that leave this package (law 11).

    It knows the secrets it was told of, so that a server which echoes a request does not put a token into our log.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._secrets: set[str] = set()
        given = credentials
        app_key = f"{given.user_id}|{given.api_secret}"
        for secret in (given.password, given.totp_secret, given.api_secret, given.access_token):
            self.remember(secret)
        for hashed in (given.password, app_key):
            self.remember(hashlib.sha256(hashed.encode()).hexdigest())

    def remember(self, secret: str) -> None:
        """From now on hide this text too; very short ones are not hidden, they would hide everything."""
        if len(secret) >= _SHORTEST_SECRET:
            self._secrets.add(secret)

    def clean(self, text: str, limit: int = 300) -> str:
        """`text` on one printable line without secrets and account numbers, cut to `limit` characters."""
        # The longest first: a token may contain another secret.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        text = _PAN.sub(_HIDDEN, text)
        line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return line if len(line) <= limit else line[: limit - 3] + "..."
