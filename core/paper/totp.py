"""One-time passwords, from secrets as brokers give them."""

from __future__ import annotations

import base64
from datetime import datetime

import pyotp

__all__ = ["check_totp_secret", "totp_is_good"]


class _Totp(pyotp.TOTP):
    """Takes secrets of any length: pyotp 2.12 refuses those under 112 bits, and brokers give shorter ones."""

    def byte_secret(self) -> bytes:
        secret = "".join(self.secret.split()).rstrip("=")
        return base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)


def check_totp_secret(secret: str) -> None:
    """Raise ValueError for a secret from which no password can be made."""
    _Totp(secret).byte_secret()


def totp_is_good(secret: str, code: str, now: datetime) -> bool:
    """Whether a one-time password is that of now or of the half minute next to it."""
    return _Totp(secret).verify(code, for_time=now, valid_window=1)
