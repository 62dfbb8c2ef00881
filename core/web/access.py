"""Who may call. Secrets are compared in constant time; without a secret only this machine is let in."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.process.command_key import COMMAND_KEY_HEADER
from core.runtime.clock import Clock
from core.settings import WebSettings
from core.settings.checks import is_loopback
from core.web.guesses import Guesses
from core.web.origin import Addresses, by_tls, source_of
from core.web.plain import PlainResponse
from core.web.sessions import CSRF_HEADER, Password, Session, Sessions
from core.web.signature import Signatures, Unsigned

__all__ = ["Access", "Denied", "Lock", "LoginNeeded", "denied"]

# A request that came through a proxy is not from this machine, whatever its peer address says.
# One that adds nothing and calls us by our own name cannot be told from a program here; docs/web-access.md says so.
_OF_PROXIES = ("x-forwarded", "cf-", "x-original-", "x-envoy-", "fly-", "x-amzn-", "x-azure-")
_OF_A_PROXY = frozenset(
    {"forwarded", "via", "x-real-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-proxyuser-ip"}
    | {"client-ip", "fastly-client-ip", "x-host", "x-scheme", "proxy-connection"}
)


class Denied(Exception):
    """The caller may not do this (401); the text says what is missing, never what was wrong with a secret."""


class LoginNeeded(Exception):
    """The pages want a password first."""


class Access:
    """The rules of `[web]`: secrets for the webhook and for `/api`.

    Args:
        settings: The secrets, and where requests may come from.
        clock: Time and chance.
        command_key: What commands on this machine show instead of any secret (`core.process.command_key`).
    """

    def __init__(self, settings: WebSettings, clock: Clock, command_key: SecretStr | None = None) -> None:
        self._command_key = command_key
        self._webhook_secret = settings.webhook_secret
        self._api_token = settings.api_token
        self._locked_api = settings.api_token is not None or settings.dashboard_password is not None
        self._password = Password(settings.dashboard_password) if settings.dashboard_password is not None else None
        self.sessions = Sessions(clock)
        """Who is logged in to the pages."""
        self._signatures = Signatures(clock)
        self._guesses = Guesses(clock)
        self._allowed = _addresses(settings.allow_from)
        self._proxies = _addresses(settings.trusted_proxies)

    def source(self, connection: HTTPConnection) -> str:
        """The address a request comes from, behind the proxies that are trusted."""
        return source_of(connection, self._proxies)

    async def wrong(self, connection: HTTPConnection, what: str) -> None:
        """A caller showed a secret that is wrong: returns when that may be answered."""
        await self._guesses.wrong(self.source(connection), what)

    def note_wrong_password(self, connection: HTTPConnection) -> None:
        """A wrong password was given; how many may be is bounded where it is asked for."""
        self._guesses.note(self.source(connection), "password")

    def is_near(self, address: str) -> bool:
        """Whether many people may come from an address: this machine, or a proxy that is trusted."""
        return is_loopback(address) or address in self._proxies

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
        if self._is_command(connection):
            return None
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

    def must_look_into_body(self, connection: HTTPConnection, address: Mapping[str, str]) -> bool:
        """Whether the webhook secret can only be in the body: neither a header, a signature nor the address has one."""
        if self._webhook_secret is None or self._is_command(connection):
            return False
        headers = connection.headers
        return not ("x-signature" in headers or "x-webhook-secret" in headers or "secret" in address)

    def address(self, source: str) -> None:
        """Let an address post orders, if `[web] allow_from` names any.

        Raises:
            Denied: It is not among them.
        """
        if self._allowed and source not in self._allowed:
            raise Denied("this address is not among those of [web] allow_from")

    def api(self, connection: HTTPConnection) -> None:
        """Let a caller of `/api` in, by its bearer token or as a page that is logged in.

        Raises:
            Denied: The token is missing or wrong.
        """
        if self._is_command(connection):
            return
        if not self._locked_api:
            _local_only(connection, "api_token")
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if self._api_token is not None and scheme.lower() == "bearer" and _same(given.strip(), self._api_token):
            return
        session = None if self._password is None else self.sessions.of(connection)
        if session is None:
            raise Denied("the API token is missing or wrong: header Authorization: Bearer <api_token>")
        if not _changes_nothing(connection) and not session.is_own_form(connection.headers.get(CSRF_HEADER)):
            raise Denied(f"a page's request that changes something must carry its header {CSRF_HEADER}")

    def page(self, connection: HTTPConnection) -> Session | None:
        """The session of a page's request; None when there is none and one may be begun without a password.

        Raises:
            Denied: Nobody is let in this way, or the request is another page's.
            LoginNeeded: A password is wanted first.
        """
        if self._password is None:
            if self._api_token is not None:
                raise Denied("the pages are closed: [web] dashboard_password is not set")
            _local_only(connection, "dashboard_password")
            return self.sessions.of(connection)
        self.own_page(connection)
        session = self.sessions.of(connection)
        if session is None:
            raise LoginNeeded
        return session

    def own_page(self, connection: HTTPConnection) -> None:
        """Let only pages of this server in.

        Raises:
            Denied: A page of another origin sent it.
        """
        if not _is_own_page(connection):
            raise Denied("pages of other origins are not let in")

    def _is_command(self, connection: HTTPConnection) -> bool:
        """Whether it shows the key that only the owner of data_dir can read."""
        given = connection.headers.get(COMMAND_KEY_HEADER)
        return given is not None and self._command_key is not None and _same(given, self._command_key)

    @property
    def password(self) -> Password | None:
        """What the pages ask for; None where they ask for nothing."""
        return self._password

    def by_tls(self, connection: HTTPConnection) -> bool:
        """Whether the browser spoke TLS, to us or to a proxy in front."""
        return by_tls(connection)


class Lock:
    """Guards every path that is not named open, so that a route added later is guarded without being told.

    Paths below `open_below` ask for a key of their own.
    """

    def __init__(self, app: ASGIApp, access: Access, *, open_below: tuple[str, ...] = ()) -> None:
        self._app = app
        self._access = access
        self._open = (_ASSETS, *open_below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] in _OPEN or scope["path"].startswith(self._open):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            if f"{scope['path']}/".startswith(_FOR_PROGRAMS):
                self._access.api(connection)
            else:
                scope.setdefault("state", {})["session"] = self._access.page(connection)
        except Denied as error:
            if "authorization" in connection.headers:
                await self._access.wrong(connection, "API token")
            await denied(error)(scope, receive, send)
        except LoginNeeded:
            await _to_login(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


# /webhook asks for its own secret, /login for the password; the rest holds nothing of the account.
_OPEN = frozenset({"/webhook", "/healthz", "/readyz", "/login", "/docs", "/openapi.json", "/favicon.ico"})
_ASSETS = "/assets/"
_FOR_PROGRAMS = ("/api/", "/metrics/")


def _to_login(scope: Scope) -> Response:
    if scope["method"] not in ("GET", "HEAD") or scope["path"] == "/live":
        return denied(Denied("log in first"))
    wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)


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
    if any(name in _OF_A_PROXY or name.startswith(_OF_PROXIES) for name in headers):
        raise Denied(f"nothing is let in through a proxy while [web] {key} is not set")
    if not _is_own_page(connection):
        raise Denied(f"pages of other origins are not let in while [web] {key} is not set")


def _changes_nothing(connection: HTTPConnection) -> bool:
    return connection.scope["method"] in ("GET", "HEAD", "OPTIONS")


def _is_own_page(connection: HTTPConnection) -> bool:
    """Whether no page of another origin sent this (scenario F5). A browser names the origin of all that matters."""
    headers = connection.headers
    if "origin" in headers and _split(headers["origin"]).netloc != headers.get("host", ""):
        return False
    # A link from elsewhere may open a page; it may not do anything, nor be embedded.
    site = headers.get("sec-fetch-site", "same-origin")
    opens = headers.get("sec-fetch-mode") == "navigate" and _changes_nothing(connection)
    return site in ("same-origin", "none") or opens


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
