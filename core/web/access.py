"""Who may call. Secrets are compared in constant time; without a secret only this machine is let in."""

from __future__ import annotations

import hmac
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.runtime.clock import Clock
from core.settings import WebSettings
from core.settings.checks import is_loopback
from core.web.origin import Addresses, source_of
from core.web.plain import PlainResponse
from core.web.signature import Signatures, Unsigned

__all__ = ["Access", "ApiLock", "Denied", "denied"]

# A request that came through a proxy is not from this machine, whatever its peer address says.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Denied(Exception):
    """The caller may not do this (401); the text says what is missing, never what was wrong with a secret."""


class Access:
    """The rules of `[web]`: secrets for the webhook and for `/api`."""

    def __init__(self, settings: WebSettings, clock: Clock) -> None:
        self._webhook_secret = settings.webhook_secret
        self._api_token = settings.api_token
        self._locked_api = settings.api_token is not None or settings.dashboard_password is not None
        self._signatures = Signatures(clock)
        self._allowed = _addresses(settings.allow_from)
        self._proxies = _addresses(settings.trusted_proxies)

    def source(self, connection: HTTPConnection) -> str:
        """The address a request comes from, behind the proxies that are trusted."""
        return source_of(connection, self._proxies)

    def webhook(self, connection: HTTPConnection, body: bytes, in_body: object) -> str | None:
        """Let a sender of orders in: by signature, by the header X-Webhook-Secret, or by the body field `secret`.

        Args:
            connection: The request.
            body: The bytes a signature is over.
            in_body: The value of the body field `secret`.

        Returns:
            A key of this one request if it was signed.

        Raises:
            Denied: The secret or signature is missing or wrong.
            Replayed: The signature was used before.
        """
        if self._webhook_secret is None:
            _local_only(connection, "webhook_secret")
            return None
        headers = connection.headers
        if "x-signature" in headers:
            try:
                return self._signatures.check(
                    self._webhook_secret, headers.get("x-timestamp"), headers["x-signature"], body
                )
            except Unsigned as error:
                raise Denied(str(error)) from error
        given = headers.get("x-webhook-secret", in_body)
        if not isinstance(given, str) or not _same(given, self._webhook_secret):
            raise Denied(
                "the webhook secret is missing or wrong: header X-Webhook-Secret, the body field secret, or a signature"
            )
        return None

    def address(self, source: str) -> None:
        """Let an address post orders, if `[web] allow_from` names any.

        Raises:
            Denied: It is not among them.
        """
        if self._allowed and source not in self._allowed:
            raise Denied("this address is not among those of [web] allow_from")

    def api(self, connection: HTTPConnection) -> None:
        """Let a caller of `/api` in, by its bearer token.

        Raises:
            Denied: The token is missing or wrong.
        """
        if not self._locked_api:
            _local_only(connection, "api_token")
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if self._api_token is None or scheme.lower() != "bearer" or not _same(given.strip(), self._api_token):
            raise Denied("the API token is missing or wrong: header Authorization: Bearer <api_token>")


class ApiLock:
    """Guards everything below /api, so that a route added there is guarded without being told."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and f"{scope['path']}/".startswith("/api/"):
            try:
                self._access.api(HTTPConnection(scope))
            except Denied as error:
                await denied(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def denied(error: Exception) -> Response:
    """The answer to whoever may not."""
    return PlainResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})


def _same(given: str, secret: SecretStr) -> bool:
    wanted = secret.get_secret_value().encode("utf-8", "surrogatepass")
    # Header values come decoded as Latin-1, body fields as UTF-8: both are tried, so both spellings of a secret work.
    as_header = hmac.compare_digest(given.encode("latin-1", "replace"), wanted)
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted) or as_header


def _addresses(text: str | None) -> Addresses:
    return Addresses(part.strip() for part in text.split(",")) if text else Addresses(())


def _local_only(connection: HTTPConnection, key: str) -> None:
    """Only this machine, and no page of another origin that a browser on this machine has open."""
    client, headers = connection.client, connection.headers
    # The name it was called by counts too: a page may point its own domain at 127.0.0.1.
    named = _split(f"//{headers.get('host', '')}").hostname or ""
    if client is None or not is_loopback(client.host) or not is_loopback(named):
        raise Denied(f"only this machine is let in while [web] {key} is not set")
    if any(name in headers for name in _FORWARDED):
        raise Denied(f"nothing is let in through a proxy while [web] {key} is not set")
    if "origin" in headers and _split(headers["origin"]).netloc != headers["host"]:
        raise Denied(f"pages of other origins are not let in while [web] {key} is not set")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
