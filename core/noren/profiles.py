"""A broker is data: where it listens, how one logs in, what its servers want mended in a request.

Values are those of protocol sections 1.2, 4.2 and 5.1. Where they are not documented, or documentation and observation
disagree, the comment beside the value says so: verify with one cheap order before trusting it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

__all__ = ["PROFILES", "AmpersandEscape", "BrokerProfile", "CodeExchange", "LoginStyle", "TokenPlace", "profile"]


class LoginStyle(StrEnum):
    """How a session begins (protocol 4.1, 4.2)."""

    QUICKAUTH = "quickauth"
    """User, password and a one-time code; no person needed."""

    OAUTH_CODE = "oauth_code"
    """A person logs in with a browser and brings a code, which is exchanged for a token."""

    ACCESS_TOKEN = "access_token"
    """A token made elsewhere is handed in."""


class TokenPlace(StrEnum):
    """Where the session token travels."""

    JKEY = "jkey"
    """`&jKey=` after the JSON in the body."""

    BEARER = "bearer"
    """`Authorization: Bearer` in the head."""


class AmpersandEscape(StrEnum):
    """How `&` inside a value is written, since servers split the body on it before they parse (protocol 2.1)."""

    PERCENT = "percent"
    """`%26`, as the library itself writes symbols; right for servers that decode."""

    JSON = "json"
    r"""`\u0026`, which any JSON parser reads as `&`; right for servers that do not decode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExchange:
    """How an OAuth code becomes a token (protocol 4.2, step 3).

    Attributes:
        url: Absolute, or a path under the broker's host.
        json_body: The body is a JSON object with Flattrade's field names; otherwise `jData=` with Noren's.
        code_before_secret: The checksum is sha256 of client id + code + secret; otherwise client id + secret + code.
        sends_uid: `uid` goes with the code.
        authorize_url: Where the person logs in; `{client_id}` is filled in.
    """

    url: str
    authorize_url: str
    json_body: bool = False
    code_before_secret: bool = False
    sends_uid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerProfile:
    """One broker, or one generation of a broker's servers.

    Attributes:
        name: The name in `[broker] profile`.
        host: REST base URL, without a slash at the end; empty where only the settings know it.
        websocket: URL of the push socket; empty likewise.
        login: How a session begins.
        token: Where the session token travels.
        socket_dialect: `c` (generation 1, `susertoken`, acknowledged by `ck`) or `a` (`accesstoken`, `ak`).
        subscribe_orders: Whether order updates are asked for with `t:"o"` after the acknowledgement.
        ampersand: How `&` is written inside a value.
        omit_amo: Leave out `amo` unless it says Yes: newer servers refuse the library's constant "NO".
        omit_none_trigger: Leave out `trgprc` where the library writes the word "None".
        omit_null_remarks: Leave out `remarks` where the library writes null.
        modify_sends_validity: Add `ret` to ModifyOrder, which the library never sends.
        content_type: The Content-Type of requests; None sends none, as the library does.
        code_exchange: For `LoginStyle.OAUTH_CODE`.
        refuses_market: It takes no MARKET and SL-M orders from programs.
        no_ioc: The exchanges on which it takes no IOC orders.
        symbol_files: Where its symbol files lie, in Flattrade's form (11.1); empty: zipped ones, at the root of `host`.
    """

    name: str
    host: str
    websocket: str
    login: LoginStyle
    token: TokenPlace
    socket_dialect: str
    subscribe_orders: bool = True
    ampersand: AmpersandEscape = AmpersandEscape.JSON
    omit_amo: bool = True
    omit_none_trigger: bool = True
    omit_null_remarks: bool = True
    modify_sends_validity: bool = False
    content_type: str | None = None
    code_exchange: CodeExchange | None = None
    refuses_market: bool = False
    no_ioc: frozenset[str] = frozenset()
    symbol_files: str = ""


# What the current library of the brokers (0.0.37) sends together with the Bearer header.
_JSON_CONTENT = "application/json; charset=utf-8"

_PROFILES = (
    # The exchange of this project says where it listens once it is started.
    BrokerProfile(
        name="paper",
        host="",
        websocket="",
        login=LoginStyle.QUICKAUTH,
        token=TokenPlace.JKEY,
        socket_dialect="c",
    ),
    # Any server of generation 1. Host and socket come from the settings: Shoonya's own are gone (HTTP 502 since April
    # 2026). Requests go out as library 0.0.22 writes them, which is what these servers were used with for years.
    BrokerProfile(
        name="noren-gen1",
        host="",
        websocket="",
        login=LoginStyle.QUICKAUTH,
        token=TokenPlace.JKEY,
        socket_dialect="c",
        ampersand=AmpersandEscape.PERCENT,
        omit_amo=False,
        omit_none_trigger=False,
        omit_null_remarks=False,
    ),
    BrokerProfile(
        name="shoonya",
        host="https://api.shoonya.com/NorenWClientAPI",
        websocket="wss://api.shoonya.com/NorenWSAPI/",
        refuses_market=True,
        login=LoginStyle.OAUTH_CODE,
        token=TokenPlace.BEARER,
        socket_dialect="a",
        # Observed in August 2026 on the data endpoints: the body is not decoded. The order endpoints are a guess.
        ampersand=AmpersandEscape.JSON,
        content_type=_JSON_CONTENT,
        code_exchange=CodeExchange(
            url="/GenAcsTok",
            authorize_url="https://trade.shoonya.com/OAuthlogin/authorize/oauth?client_id={client_id}",
            # Without it some users got INVALID_VERIFIER (June 2026).
            sends_uid=True,
        ),
    ),
    BrokerProfile(
        name="flattrade",
        host="https://piconnect.flattrade.in/PiConnectAPI",
        websocket="wss://piconnect.flattrade.in/PiConnectWSAPI/",
        refuses_market=True,
        login=LoginStyle.OAUTH_CODE,
        no_ioc=frozenset({"MCX"}),
        symbol_files="https://flattrade.s3.ap-south-1.amazonaws.com/scripmaster",
        # Second generation socket, but the token still travels in the body.
        token=TokenPlace.JKEY,
        socket_dialect="a",
        # Documented: symbols are to be URL-encoded.
        ampersand=AmpersandEscape.PERCENT,
        modify_sends_validity=True,
        code_exchange=CodeExchange(
            url="https://authapi.flattrade.in/trade/apitoken",
            authorize_url="https://auth.flattrade.in/?app_key={client_id}",
            json_body=True,
            code_before_secret=True,
        ),
    ),
    BrokerProfile(
        name="zebu",
        host="https://go.mynt.in/NorenWClientAPI",
        websocket="wss://go.mynt.in/NorenWSAPI/",
        refuses_market=True,
        login=LoginStyle.OAUTH_CODE,
        token=TokenPlace.BEARER,
        socket_dialect="a",
        content_type=_JSON_CONTENT,
        code_exchange=CodeExchange(
            url="/GenAcsTok",
            authorize_url="https://go.mynt.in/OAuthlogin/authorize/oauth?client_id={client_id}",
        ),
    ),
    BrokerProfile(
        name="tradesmart",
        host="https://v2api.tradesmartonline.in/NorenWClientAPIv2",
        websocket="wss://v2api.tradesmartonline.in/NorenWSAPI/",
        refuses_market=True,
        login=LoginStyle.OAUTH_CODE,
        token=TokenPlace.BEARER,
        socket_dialect="a",
        content_type=_JSON_CONTENT,
        code_exchange=CodeExchange(
            url="/GenAcsTok",
            authorize_url="https://v2api.tradesmartonline.in/OAuthlogin/authorize/oauth?client_id={client_id}",
        ),
    ),
)

PROFILES: Mapping[str, BrokerProfile] = {profile.name: profile for profile in _PROFILES}


def profile(name: str, *, host: str | None = None, websocket: str | None = None) -> BrokerProfile:
    """The shipped profile of this name, listening elsewhere if told so.

    Args:
        name: One of `PROFILES`.
        host: REST base URL instead of the profile's; a slash at its end is dropped. On another server than the
            profile's, a person logs in there too and codes are exchanged there: nothing goes to the broker the profile
            is named after.
        websocket: Socket URL instead of the profile's.

    Raises:
        ValueError: There is no such profile, or it needs a host.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown broker profile {name!r}; there are {', '.join(PROFILES)}")
    found = PROFILES[name]
    base = (host or found.host).rstrip("/")
    if not base:
        raise ValueError(f"broker profile {name!r} needs a host")
    moved = replace(found, host=base, websocket=websocket or found.websocket)
    exchange, there = found.code_exchange, urlsplit(base)
    if exchange is None or there.netloc.lower() == urlsplit(found.host).netloc:
        return moved

    def at_that_server(address: str) -> str:
        return urlsplit(address)._replace(scheme=there.scheme, netloc=there.netloc).geturl()

    login = at_that_server(exchange.authorize_url)
    token = at_that_server(exchange.url) if "://" in exchange.url else exchange.url
    return replace(moved, symbol_files="", code_exchange=replace(exchange, authorize_url=login, url=token))
