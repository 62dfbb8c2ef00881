"""The browser login of a broker, driven by a person: an address to open, a code brought back, the day's token kept."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from core.cli.client import CliError
from core.files.private import write_private
from core.model.outcomes import LoggedIn
from core.noren import PROFILES, BrokerProfile, Credentials, NorenClient, profile
from core.runtime.clock import Clock, SystemClock
from core.settings import Settings

__all__ = ["BrowserLogin", "keep_token"]

_NEEDED = ("vendor_code", "api_secret")
_CODES = ("code", "request_code")


class BrowserLogin:
    """One login of the account in these settings.

    Args:
        settings: `[broker]` says where, and who.
        clock: Time for deadlines.

    Raises:
        CliError: The broker has no browser login, or a setting it needs is missing.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._broker = _broker(settings)
        self._settings = settings.broker
        self._clock = clock or SystemClock()

    @property
    def address(self) -> str:
        """Where the person logs in."""
        exchange = self._broker.code_exchange
        assert exchange is not None, "`_broker` refuses brokers without one"
        return exchange.authorize_url.format(client_id=self._settings.vendor_code)

    def token(self, given: str) -> str:
        """The session's token for a code; one call, because a code is good once.

        Args:
            given: The code, or the whole address the browser ended at.

        Raises:
            CliError: There is no code in it, or the broker gives no token for it; in its own words.
        """
        broker, code = self._settings, _code(given)
        secret = broker.api_secret
        client = NorenClient(
            self._broker,
            Credentials(
                user_id=broker.user_id or "",
                vendor_code=broker.vendor_code or "",
                api_secret=secret.get_secret_value() if secret else "",
                imei=broker.imei,
            ),
            clock=self._clock,
            connect_timeout_s=broker.connect_timeout_s,
            read_timeout_s=broker.read_timeout_s,
        )
        outcome = client.exchange_code(code)
        client.close()
        if not isinstance(outcome, LoggedIn):
            raise CliError(f"no token: {outcome.reason}; log in again for a new code")
        return outcome.token


def keep_token(file: Path, token: str) -> None:
    """Put the token where `[broker] access_token_file` says, readable by its owner alone, whole or not at all.

    Raises:
        CliError: It cannot be written.
    """
    try:
        write_private(file, token)
    except OSError as error:
        raise CliError(f"the token cannot be kept in {file}: {error.strerror}; log in again for a new one") from error


def _broker(settings: Settings) -> BrokerProfile:
    given = settings.broker
    if PROFILES[given.profile.value].code_exchange is None:
        raise CliError(f"profile {given.profile} has no browser login: the service logs in by itself when it starts")
    missing = [key for key in _NEEDED if not getattr(given, key)]
    if missing:
        raise CliError(f"missing in [broker]: {', '.join(missing)}; the login needs it")
    return profile(given.profile.value, host=given.host, websocket=given.websocket)


def _code(given: str) -> str:
    text = given.strip()
    if "://" in text:
        query = parse_qs(urlsplit(text).query)
        text = next((query[name][0] for name in _CODES if name in query), "")
    if not text:
        raise CliError("there is no code in it: hand over the code, or the whole address the browser ended at")
    return text
