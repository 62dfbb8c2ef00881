"""What must hold between settings. Each check sees only sections that are valid by themselves."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast

from core.paper.config import PriceSource
from core.settings.models import (
    BrokerSettings,
    DatabaseSettings,
    LimitSettings,
    PaperSettings,
    Profile,
    RiskSettings,
    Section,
    StrategySettings,
    TelegramSettings,
    WatcherSettings,
    WebSettings,
)
from core.settings.openalgo import OpenAlgoSettings

__all__ = ["CHECKS", "Conflict", "is_loopback"]


class Conflict(NamedTuple):
    """One setting that does not go with the others."""

    section: str
    key: str
    message: str


# What a MARKET order takes where market_as_limit is on: the symbol's number, its quote, the order.
_MARKET_CALLS = 3

Check = Callable[[Mapping[str, Section]], Iterator[Conflict]]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


SHORTEST_SECRET = 16
"""Characters of a secret that other machines may try to guess."""

_LONGEST_KEY = 256


def _loss_limits(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    risk = cast(RiskSettings, sections["risk"])
    if risk.max_loss and risk.max_daily_loss and risk.max_loss < risk.max_daily_loss:
        yield Conflict(
            "risk",
            "max_loss",
            f"is {risk.max_loss}, below max_daily_loss {risk.max_daily_loss}: the hard threshold would be reached "
            "first; make it at least max_daily_loss, or 0 for none",
        )


def _pnl_age(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    risk, watcher = cast(RiskSettings, sections["risk"]), cast(WatcherSettings, sections["watcher"])
    if risk.pnl_max_age_s <= watcher.positions_interval_s:
        yield Conflict(
            "risk",
            "pnl_max_age_s",
            f"is {risk.pnl_max_age_s:g} s, not above watcher.positions_interval_s {watcher.positions_interval_s:g} s: "
            "the P&L would be too old for an ENTRY most of the time; raise it or read positions more often",
        )


def _reserve(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    limits = cast(LimitSettings, sections["limits"])
    for key, limit_key in (
        ("reserve_calls_for_exits", "broker_calls_per_s"),
        ("reserve_calls_for_exits_per_min", "broker_calls_per_min"),
    ):
        kept, limit = getattr(limits, key), getattr(limits, limit_key)
        if kept >= limit:
            yield Conflict(
                "limits",
                key,
                f"is {kept}, and only {limit} calls are allowed at all ({limit_key}): nothing would be left for "
                "entries and reads; make it smaller",
            )


def _market_calls(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    limits, broker = cast(LimitSettings, sections["limits"]), cast(BrokerSettings, sections["broker"])
    left = limits.broker_calls_per_s - limits.reserve_calls_for_exits
    if broker.market_as_limit and 0 < left < _MARKET_CALLS:
        yield Conflict(
            "limits",
            "broker_calls_per_s",
            f"leaves {left} a second for entries, and a MARKET order takes {_MARKET_CALLS} at once the first time "
            "(symbol, quote, order): raise it, or lower reserve_calls_for_exits",
        )


def _deadlines(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    limits = cast(LimitSettings, sections["limits"])
    if limits.exit_deadline_s < limits.send_deadline_s:
        yield Conflict(
            "limits",
            "exit_deadline_s",
            f"is {limits.exit_deadline_s:g} s, below send_deadline_s {limits.send_deadline_s:g} s: an exit would be "
            "given up before an entry; raise it",
        )


# What a login needs; any of them may stand in its `_file` key instead, which is read before this is checked.
_LOGIN_KEYS = ("user_id", "password", "totp_secret", "vendor_code", "api_secret")
_TOKEN_KEYS = ("user_id", "access_token")


def _credentials(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    broker = cast(BrokerSettings, sections["broker"])
    if broker.profile is Profile.PAPER:
        return
    generation_1 = broker.profile is Profile.NOREN_GEN1
    needed = _TOKEN_KEYS if broker.access_token or not generation_1 else _LOGIN_KEYS
    if generation_1:
        needed = ("host", "websocket", *needed)
    for key in needed:
        if not getattr(broker, key):
            in_file = f" (or {key}_file)" if f"{key}_file" in BrokerSettings.model_fields else ""
            yield Conflict("broker", key, f"is missing: profile {broker.profile} needs it{in_file}")


def _open_doors(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    web = cast(WebSettings, sections["web"])
    if is_loopback(web.host):
        return
    outside = f"host {web.host} can be reached from other machines"
    if not web.webhook_secret:
        yield Conflict("web", "webhook_secret", f"is missing: {outside}; set it, or listen on 127.0.0.1")
    if not (web.api_token or web.dashboard_password):
        yield Conflict(
            "web", "api_token", f"is missing: {outside}; set it or dashboard_password, or listen on 127.0.0.1"
        )
    for key in ("webhook_secret", "api_token", "dashboard_password"):
        secret = getattr(web, key)
        text = secret.get_secret_value() if secret else ""
        if text and len(text) < SHORTEST_SECRET and not text.startswith("$argon2"):
            message = f"is shorter than {SHORTEST_SECRET} characters: {outside}; take a longer one"
            yield Conflict("web", key, message)


def _openalgo_key(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    openalgo = cast(OpenAlgoSettings, sections["openalgo"])
    if not openalgo.enabled:
        return
    key = openalgo.api_key.get_secret_value() if openalgo.api_key else ""
    if not key:
        # Then those of `run.py keys` alone let callers in.
        return
    if key.startswith("sha256:"):
        if re.fullmatch(r"sha256:[0-9a-f]{64}", key) is None:
            yield Conflict("openalgo", "api_key", 'must have 64 hex digits after "sha256:", in lower case')
    elif not SHORTEST_SECRET <= len(key) <= _LONGEST_KEY:
        message = f"must have {SHORTEST_SECRET} to {_LONGEST_KEY} characters"
        yield Conflict("openalgo", "api_key", f"{message}; take random ones")


def _telegram_chat(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    telegram = cast(TelegramSettings, sections["telegram"])
    if telegram.token and not telegram.chat_id:
        yield Conflict("telegram", "chat_id", "is missing: with a token, name the chat that gets the alerts")


def _database_kind(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    url = cast(DatabaseSettings, sections["database"]).url
    if url and not url.get_secret_value().startswith(("sqlite:///", "postgresql://")):
        yield Conflict("database", "url", "must begin with sqlite:/// or postgresql://")


def _ports(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    web, paper = cast(WebSettings, sections["web"]), cast(PaperSettings, sections["paper"])
    taken = {web.port: "web.port"}
    openalgo = cast(OpenAlgoSettings, sections["openalgo"])
    for key in ("port", "ws_port") if openalgo.enabled else ():
        own: int = getattr(openalgo, key)
        if own and own in taken:
            message = f"is {own}, as is {taken[own]}; make it 0, which is the port of the rest, or another one"
            yield Conflict("openalgo", key, message)
        taken.setdefault(own, f"openalgo.{key}")
    for key in ("rest_port", "ws_port", "control_port"):
        port: int = getattr(paper, key)
        if port and port in taken:
            yield Conflict("paper", key, f"is {port}, as is {taken[port]}; give it another port, or 0 for a free one")
        taken.setdefault(port, f"paper.{key}")


def _recording(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    paper = cast(PaperSettings, sections["paper"])
    replays = paper.price_source is PriceSource.REPLAY
    if replays and paper.recording is None:
        yield Conflict("paper", "recording", "is missing: price_source replay plays a recording; name its file")
    if paper.recording is not None and not replays:
        message = f'is set and would not be played: price_source is {paper.price_source}; make it "replay"'
        yield Conflict("paper", "recording", message)


def _accounts(sections: Mapping[str, Section]) -> Iterator[Conflict]:
    uids = [account.uid for account in cast(PaperSettings, sections["paper"]).accounts]
    for uid in sorted({uid for uid in uids if uids.count(uid) > 1}):
        yield Conflict("paper", "accounts", f"uid {uid} is used more than once; each account needs its own")


# Each check with the sections it reads.
CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    (("risk",), _loss_limits),
    (("risk", "watcher"), _pnl_age),
    (("limits",), _reserve),
    (("limits",), _deadlines),
    (("limits", "broker"), _market_calls),
    (("broker",), _credentials),
    (("database",), _database_kind),
    (("web",), _open_doors),
    (("openalgo",), _openalgo_key),
    (("telegram",), _telegram_chat),
    (("web", "openalgo", "paper"), _ports),
    (("paper",), _recording),
    (("paper",), _accounts),
)


def repeated_names(strategies: tuple[StrategySettings, ...]) -> Iterator[str]:
    """Strategy names that occur more than once, each once: a name is an address and a column."""
    names = [strategy.name for strategy in strategies]
    yield from sorted({name for name in names if names.count(name) > 1})
