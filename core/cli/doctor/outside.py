"""What the doctor looks at outside: the way to the broker, its clock, the session, and Telegram.

Only what the settings name is called. Nothing here places, changes or cancels an order.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import requests

from core.cli.doctor.check import Check, fail, ok, skip, warn
from core.model.outcomes import LoggedIn, LoginFailed, LoginOutcome, ReadError
from core.noren import BrokerProfile, FeedDown, FeedValue, KeptSession, LoginStyle, NorenClient, PushFeed
from core.runtime.clock import Clock
from core.settings import Settings
from core.telegram.client import TelegramAccount, plain_trouble

__all__ = ["Feeds", "network", "session", "telegram"]

Feeds = Callable[[Callable[[FeedValue], object]], PushFeed]

_QUOTED = ("NSE", "INFY-EQ")
# A Date header tells whole seconds.
_HEADER = timedelta(seconds=0.5)
_APART, _TOO_FAR = timedelta(seconds=2), timedelta(seconds=30)
# After a token of an earlier session was refused the client asks to be called again at once.
_LOGIN_CALLS = 3
_AT_ONCE_S = 1.0


def network(settings: Settings, broker: BrokerProfile, clock: Clock) -> Iterator[Check]:
    """Name, TCP, TLS and one HTTP answer of `[broker] host`; its clock; the address that calls leave from."""
    given = settings.broker
    with requests.Session() as caller:
        # As the service's own calls: proxies of the environment count but for this machine, and no .netrc.
        caller.trust_env = not _on_this_machine(broker.host)
        caller.auth = lambda request: request
        before, started = clock.now(), clock.monotonic()
        try:
            limits = (given.connect_timeout_s, given.read_timeout_s)
            with caller.get(broker.host, timeout=limits, allow_redirects=False, stream=True) as reply:
                took = timedelta(seconds=clock.monotonic() - started)
                status, date = reply.status_code, reply.headers.get("Date")
        except requests.RequestException as error:
            yield _unreached(broker.host, error)
            yield skip("clock", "the broker's could not be asked", "timedatectl says whether this machine's is kept")
            return
        proxy = requests.utils.select_proxy(broker.host, requests.utils.get_environ_proxies(broker.host))
    found = f"{broker.host} answers HTTP {status} in {took.total_seconds():.2f} s"
    if status >= 500:
        yield warn("network", found, "the broker's server is not well, or [broker] host is an old one")
    else:
        yield ok("network", found)
    yield _clock(date, before + took / 2, took)
    yield _address(broker.host, proxy if caller.trust_env else None)


def _unreached(host: str, error: requests.RequestException) -> Check:
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(error, requests.exceptions.SSLError):
        fix = "look at the machine's clock and CA certificates, and whether [broker] host is the right one"
        return fail("network", f"{host}: TLS fails: {cause}", fix)
    if isinstance(error, requests.Timeout):
        return fail("network", f"{host} does not answer in time", "look at firewall and network, then ask again")
    if isinstance(cause, socket.gaierror):
        return fail("network", f"the name in {host} is not known: {cause}", "look at [broker] host and at DNS")
    return fail("network", f"{host}: {cause}", "look at [broker] host, firewall and network")


def _clock(date: str | None, ours: datetime, took: timedelta) -> Check:
    try:
        theirs = parsedate_to_datetime(date or "") + _HEADER
        ahead = ours - theirs
    except (TypeError, ValueError):
        return warn("clock", "the broker says no time", "timedatectl says whether this machine's is kept")
    apart = abs(ahead)
    which = f"{apart.total_seconds():.1f} s {'ahead of' if ahead > timedelta() else 'behind'} the broker's"
    fix = "keep it with systemd-timesyncd or chrony: one-time passwords, signatures and days depend on it"
    if apart > _TOO_FAR:
        return fail("clock", which, fix)
    if apart > _APART + _HEADER + took / 2:
        return warn("clock", which, fix)
    return ok("clock", "goes with the broker's")


def _address(host: str, proxy: str | None) -> Check:
    """Where calls come from, as far as this machine can know."""
    name, compare = "address", "compare it with the address registered at the broker"
    if _on_this_machine(host):
        return skip(name, "the broker is on this machine")
    if proxy is not None:
        return skip(name, f"calls leave through the proxy {urlsplit(proxy).hostname}", f"{compare}: the proxy's counts")
    place = urlsplit(host)
    try:
        family, _, _, _, there = socket.getaddrinfo(place.hostname, place.port or 443, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Nothing is sent: the system only says which of its addresses it would use.
            probe.connect(there)
            ours = ipaddress.ip_address(probe.getsockname()[0])
    except OSError as error:
        return warn(name, f"no way out: {error}", "look at the network")
    if ours.is_global:
        return ok(name, f"calls leave from {ours}", compare)
    return skip(
        name, f"calls leave from {ours}, and a router puts its own address in its place", f"{compare}: the router's"
    )


def session(
    settings: Settings, open_client: Callable[[], NorenClient], open_feed: Feeds, *, login: bool
) -> Iterator[Check]:
    """The session that exists, or with `login` one that is begun; then what needs one."""
    client = open_client()
    try:
        if not login and not _has_token(settings, client.profile):
            yield skip("login", "not tried: at many brokers a login ends another session", "--login tries it")
            return
        outcome = _login(client, login=login)
        if not isinstance(outcome, LoggedIn):
            yield fail("login", outcome.reason, _login_fix(client.profile, login=login))
            return
        yield ok("login", "the broker takes this session")
        yield _rights(client)
        yield _quote(client)
        yield _push(settings, open_feed, outcome.token, login=login)
    finally:
        client.close()


def _has_token(settings: Settings, broker: BrokerProfile) -> bool:
    """Whether a login would only try a token that is there."""
    given = settings.broker
    kept = KeptSession(
        settings.service.data_dir / "broker-session",
        profile=broker.name,
        host=broker.host,
        user_id=given.user_id or settings.account,
    )
    return given.access_token is not None or (broker.login is LoginStyle.QUICKAUTH and kept.token() is not None)


def _login(client: NorenClient, *, login: bool) -> LoginOutcome:
    outcome = client.login()
    for _ in range(_LOGIN_CALLS if login else 0):
        if not isinstance(outcome, LoginFailed) or (outcome.retry_in_s or _AT_ONCE_S) >= _AT_ONCE_S:
            break
        outcome = client.login()
    return outcome


def _login_fix(broker: BrokerProfile, *, login: bool) -> str:
    if broker.login is not LoginStyle.QUICKAUTH:
        return "python run.py login"
    return "look at [broker] user_id, password, totp_secret" if login else "the service logs in anew when it starts"


def _rights(client: NorenClient) -> Check:
    try:
        may = client.rights()
    except ReadError as error:
        return warn("rights", f"UserDetails cannot be read: {error.reason}", "look at them in the broker's app")
    if not may.order_types:
        return warn("rights", "UserDetails does not say them", "look at them in the broker's app")
    listed = {"exchanges": may.exchanges, "products": may.products, "types": may.order_types}
    told = "; ".join(f"{name} {', '.join(codes)}" for name, codes in listed.items())
    if "LMT" not in may.order_types:
        return warn("rights", told, "ask the broker why limit orders are not among the account's rights")
    return ok("rights", told)


def _quote(client: NorenClient) -> Check:
    try:
        quote = client.quote(*_QUOTED)
    except ReadError as error:
        return warn(
            "quote", f"{':'.join(_QUOTED)}: {error.reason}", "without quotes no MARKET order is sent as a limit"
        )
    return ok("quote", f"{':'.join(_QUOTED)} at {quote.last_price}")


def _push(settings: Settings, open_feed: Feeds, token: str, *, login: bool) -> Check:
    given = settings.broker
    if not given.push_feed:
        return skip("push feed", "off by [broker] push_feed")
    if not login:
        return skip("push feed", "not tried: a second connection of the user ends the first", "--login tries it")
    heard: SimpleQueue[FeedValue] = SimpleQueue()
    feed = open_feed(heard.put)
    feed.start(token)
    try:
        first = heard.get(timeout=given.connect_timeout_s + given.ws_ack_timeout_s)
    except Empty:
        return fail("push feed", "it does not answer in time", "look at [broker] websocket")
    finally:
        feed.stop()
    if isinstance(first, FeedDown):
        return fail("push feed", first.reason, "look at [broker] websocket; or push_feed = false")
    return ok("push feed", "connects, and takes the session")


def telegram(settings: Settings, *, send: bool) -> Check:
    """A message to the chat of the alerts, when asked for."""
    given = settings.telegram
    account = TelegramAccount(
        token=given.token.get_secret_value() if given.token else None, chat_id=given.chat_id, base_url=given.base_url
    )
    if not account.enabled:
        fix = "set [telegram] token and chat_id"
        return fail("telegram", "not set up", fix) if send else skip("telegram", "not set up: alerts reach nobody", fix)
    if not send:
        return skip("telegram", "set up, not tried", "--telegram sends a message")
    try:
        with requests.Session() as caller:
            wait_s = account.send(caller, "Sixstep doctor: alerts reach this chat.")
    except (OSError, ValueError) as error:
        return fail("telegram", account.hide(plain_trouble(error)), "look at [telegram] token, chat_id and base_url")
    if wait_s > 0:
        return warn("telegram", f"Telegram asks to wait {wait_s:.0f} s", "ask again then")
    return ok("telegram", "it took a message")


def _on_this_machine(host: str) -> bool:
    name = urlsplit(host).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
