"""Settings that are possible one by one and cannot be meant: refused where money is at stake, else warned of (G23).

Money is at stake with every profile but paper, unless `[broker] host` is this machine itself: then somebody practises
at an exchange of their own, and what would be refused is a warning.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from core.settings.checks import is_loopback
from core.settings.models import (
    BrokerSettings,
    DatabaseSettings,
    LimitSettings,
    LogLevel,
    LogSettings,
    Profile,
    RiskSettings,
    Section,
    ServiceSettings,
    TelegramSettings,
    WatcherSettings,
    WebSettings,
)

__all__ = ["Doubt", "doubts"]


class Doubt(NamedTuple):
    """One setting that cannot be meant, why, and what to do; `refused` where nothing may start with it."""

    section: str
    key: str
    message: str
    refused: bool


class _Bound(NamedTuple):
    """From which value on a number cannot be meant with real money, and what it would do."""

    key: str
    below: float | None
    above: float | None
    refused: bool
    why: str


# For each key the bound that refuses stands before the one that warns: one line is enough.
_BOUNDS: tuple[_Bound, ...] = (
    _Bound(
        "broker.absence_grace_s",
        5,
        None,
        True,
        "an order that the broker's book shows a little late would be called absent, and a second one be sent for it",
    ),
    _Bound("broker.absence_grace_s", None, 300, False, "an order of unknown outcome would hold its symbol so long"),
    _Bound(
        "broker.read_timeout_s", 1, 60, True, "ordinary answers come after up to a second; a silent call holds up exits"
    ),
    _Bound("broker.connect_timeout_s", 0.2, 60, True, "a far server needs that long; a dead one holds up exits"),
    _Bound("broker.ws_silence_s", None, 600, False, "a push feed that died would be noticed so late"),
    _Bound("limits.send_deadline_s", 1, 300, True, "an order is for the moment it was meant in, and needs that moment"),
    _Bound("limits.exit_deadline_s", 10, 3600, True, "an exit outlives a full minute of calls, and not the market"),
    _Bound("limits.broker_calls_per_s", None, 10, False, "brokers of this family refuse more than 10 calls a second"),
    _Bound("limits.broker_calls_per_min", None, 200, False, "none of these brokers documents more than 200 a minute"),
    _Bound("limits.mailbox_letters", 100, None, True, "envelopes would be refused in ordinary trading"),
    _Bound("risk.pnl_max_age_s", None, 300, True, "an ENTRY would be judged by a P&L of long ago"),
    _Bound("watcher.interval_s", None, 30, True, "fills and rejections would be noticed so late"),
    _Bound("watcher.interval_s", None, 5, False, "without the push feed fills are noticed so late"),
    _Bound("watcher.positions_interval_s", None, 60, True, "loss limits would be judged by figures of so long ago"),
    _Bound("watcher.unreadable_alarm_after", None, 60, False, "orders would be sent that long while nothing is seen"),
    _Bound("telegram.poll_s", None, 30, False, "a /halt would be heard so late"),
    _Bound("trace.ring", None, 1_000_000, False, "each message takes about 1 KB of memory"),
)

_LIMITS_OF_RISK = (
    "max_daily_loss",
    "max_loss",
    "max_order_quantity",
    "max_order_value",
    "max_open_orders",
    "max_orders_per_day",
)
_LOST_AT_BOOT = ("/tmp/", "/dev/shm/", "/run/", "/var/tmp/")
_TRADING_ZONE = "Asia/Kolkata"


def doubts(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    """Everything that cannot be meant, in sections that are valid by themselves."""
    broker = sections.get("broker")
    live = isinstance(broker, BrokerSettings) and broker.profile is not Profile.PAPER
    if live:
        practises = _on_loopback(cast(BrokerSettings, broker).host)
        for doubt in _with_real_money(sections):
            # No practice needs another zone: trading days would be others than the exchange's.
            hard = doubt.key == "timezone" or not practises
            yield doubt._replace(refused=doubt.refused and hard)
    for needed, check in _ANYWHERE:
        if all(name in sections for name in needed):
            yield from check(sections)


def _with_real_money(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    yield from _numbers(sections)
    for needed, check in _LIVE:
        if all(name in sections for name in needed):
            yield from check(sections)


def _numbers(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    told = set()
    for bound in _BOUNDS:
        section, key = bound.key.split(".")
        if section not in sections or bound.key in told:
            continue
        value = getattr(sections[section], key)
        too_low = bound.below is not None and value < bound.below
        if too_low or (bound.above is not None and value > bound.above):
            told.add(bound.key)
            limit = bound.below if too_low else bound.above
            side = "below" if too_low else "above"
            fix = "at least" if too_low else "at most"
            yield Doubt(
                section, key, f"is {value:g}, {side} {limit:g}: {bound.why}; make it {fix} {limit:g}", bound.refused
            )


def _zone(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    zone = cast(ServiceSettings, sections["service"]).timezone
    if zone != _TRADING_ZONE:
        message = f'is {zone}: the exchanges\' days and hours are those of {_TRADING_ZONE}; write "{_TRADING_ZONE}"'
        yield Doubt("service", "timezone", message, True)


def _no_limits(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    risk = cast(RiskSettings, sections["risk"])
    if not any(getattr(risk, key) for key in _LIMITS_OF_RISK):
        yield Doubt(
            "risk",
            "max_daily_loss",
            f"is 0, as are all limits ({', '.join(_LIMITS_OF_RISK)}): nothing would stop a program that errs; set at "
            "least one of them, however high",
            True,
        )
        return
    if not risk.max_daily_loss and not risk.max_loss:
        yield _no_limit("max_daily_loss", "and so is max_loss: NO LOSS STOPS TRADING; set one of them")
    if not risk.max_order_quantity and not risk.max_order_value:
        yield _no_limit("max_order_quantity", "and so is max_order_value: AN ORDER MAY BE OF ANY SIZE; set one of them")
    if not risk.max_orders_per_day:
        yield _no_limit("max_orders_per_day", "a strategy that errs may trade without end; set a limit")
    if not risk.max_open_orders:
        yield _no_limit("max_open_orders", "any number of orders may be open at once; set a limit")


def _no_limit(key: str, why: str) -> Doubt:
    return Doubt("risk", key, f"is 0, which is no limit, {why}", False)


def _credentials(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    broker = cast(BrokerSettings, sections["broker"])
    secret = broker.totp_secret.get_secret_value() if broker.totp_secret else ""
    if secret and not re.fullmatch(r"[A-Z2-7 ]{8,}=*", secret.upper()):
        message = "is no base 32 text (A-Z and 2-7): give the secret itself, not a one-time password made from it"
        yield Doubt("broker", "totp_secret", message, True)
    if broker.host and not broker.websocket and broker.profile is not Profile.NOREN_GEN1:
        message = (
            f"is empty while host is set: the push feed of profile {broker.profile} itself would be used; set both"
        )
        yield Doubt("broker", "websocket", message, False)
    if not broker.market_as_limit:
        message = "is false: brokers refuse MARKET and SL-M orders from programs since 2026; make it true"
        yield Doubt("broker", "market_as_limit", message, False)


def _record(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    database, service = cast(DatabaseSettings, sections["database"]), cast(ServiceSettings, sections["service"])
    url = database.url.get_secret_value() if database.url else f"sqlite:///{service.data_dir}/"
    if url.removeprefix("sqlite:///").startswith(_LOST_AT_BOOT):
        section, key = ("database", "url") if database.url else ("service", "data_dir")
        message = "is where a restart of the machine, or a clean-up, removes the database; put it onto a lasting disk"
        yield Doubt(section, key, message, False)


def _log_level(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    level = cast(LogSettings, sections["log"]).level
    if level in (LogLevel.TRACE, LogLevel.DEBUG):
        yield Doubt("log", "level", f"is {level}: it slows orders down and fills the disk; INFO is for trading", False)


def _clear_text(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    broker = cast(BrokerSettings, sections["broker"])
    live = broker.profile is not Profile.PAPER
    for key, scheme in (("host", "https"), ("websocket", "wss")):
        url = getattr(broker, key)
        if url and not url.startswith(f"{scheme}://") and not _on_loopback(url):
            message = (
                f"is {_without_login(url)}: session and orders would cross the network for all to read and change; "
                f"write {scheme}://"
            )
            yield Doubt("broker", key, message, live)


def _bot_in_clear_text(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    telegram = cast(TelegramSettings, sections["telegram"])
    if telegram.token and not telegram.base_url.startswith("https://") and not _on_loopback(telegram.base_url):
        message = "would send the bot's token across the network for all to read; write https://"
        yield Doubt("telegram", "base_url", message, True)
    if telegram.command_chats and not telegram.token:
        yield Doubt("telegram", "command_chats", "is set, and no command is taken without token; set it too", False)
    if telegram.chat_id and not telegram.token:
        yield Doubt("telegram", "chat_id", "is set, and no alert is sent without token; set it too", False)


def _reads(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    watcher, limits = cast(WatcherSettings, sections["watcher"]), cast(LimitSettings, sections["limits"])
    reads = 60 / watcher.interval_s + 60 / watcher.positions_interval_s
    left = limits.broker_calls_per_min - limits.reserve_calls_for_exits_per_min
    if reads > left > 0:
        message = (
            f"is {watcher.interval_s:g} s, and positions are read each {watcher.positions_interval_s:g} s: {reads:.0f} "
            f"calls a minute, of {left} that broker_calls_per_min leaves beside reserve_calls_for_exits_per_min: the "
            f"order book is read every {watcher.interval_s * reads / left:.1f} s, quotes hardly ever; read less often"
        )
        yield Doubt("watcher", "interval_s", message, False)


def _square_off(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    risk = cast(RiskSettings, sections["risk"])
    if risk.square_off_on_max_loss and not risk.max_loss:
        yield Doubt(
            "risk", "square_off_on_max_loss", "is true, and max_loss is 0: it never happens; set max_loss", False
        )


def _everybody(sections: Mapping[str, Section]) -> Iterator[Doubt]:
    web = cast(WebSettings, sections["web"])
    for key, what in (
        ("trusted_proxies", "anybody could name any address as theirs"),
        ("allow_from", "it keeps nobody out"),
    ):
        parts = (getattr(web, key) or "").split(",")
        if any(part.strip() and ipaddress.ip_network(part.strip(), strict=False).prefixlen == 0 for part in parts):
            yield Doubt("web", key, f"names every address there is: {what}; name those that are meant", False)


def _on_loopback(url: str | None) -> bool:
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


_Check = Callable[[Mapping[str, Section]], Iterator[Doubt]]
_LIVE: tuple[tuple[tuple[str, ...], _Check], ...] = (
    (("service",), _zone),
    (("risk",), _no_limits),
    (("broker",), _credentials),
    (("service", "database"), _record),
    (("log",), _log_level),
)
_ANYWHERE: tuple[tuple[tuple[str, ...], _Check], ...] = (
    (("broker",), _clear_text),
    (("telegram",), _bot_in_clear_text),
    (("watcher", "limits"), _reads),
    (("risk",), _square_off),
    (("web",), _everybody),
)
