"""The composition root: builds the actors from settings on any runtime, starts it in order and stops it in reverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import requests

from actors.addresses import STREAM, Addresses, strategy_name
from actors.broker_calls import BrokerClient
from actors.broker_proxy import BrokerProxy
from actors.command_service import CommandService
from actors.execution_guard import ExecutionGuard
from actors.history import History, HistoryClient
from actors.instruments import Instruments
from actors.notifier import Notifier
from actors.order_feed import Feed, OrderFeed
from actors.order_repo import OrderRepo
from actors.order_watcher import OrderWatcher
from actors.position_manager import PositionManager
from actors.prices import Prices
from actors.risk_manager import RiskManager
from actors.strategy_classes import addresses_keyword, strategy_classes, unusable
from actors.supervisor import Supervisor
from actors.telegram_gateway import TelegramGateway
from actors.trading_bot import TradingBot
from core.files.note import Note
from core.instruments import InstrumentIndex, SymbolFileSource, open_for_reading
from core.instruments.checking import CheckRules, InstrumentCheck
from core.instruments.hours import market_hours
from core.model.alerts import AlertSwitch
from core.model.calendar import INDIA
from core.noren import FeedValue
from core.process.call_log import CallLog
from core.rules.call_budget import RateLimiter
from core.rules.call_plan import Use
from core.rules.chase import ChaseRules
from core.rules.order_check import BrokerTerms
from core.rules.prices import PriceBook
from core.rules.risk import RiskLimits
from core.runtime import Runtime
from core.settings import ClosedCheck, OrderCheck, Profile, Settings, Slices, WhenUnverified
from core.store import Store
from core.telegram.client import TelegramAccount

__all__ = ["START_ORDER", "STOP_ORDER", "Outside", "dispatchers", "spawn_actors", "strategy_classes"]

# An actor is there before anybody tells it something without being asked: the broker's session, which sets all in
# motion, comes last but one.
START_ORDER = (
    "notifier",
    "supervisor",
    "order_repo",
    "risk_manager",
    "execution_guard",
    "trading_bot",
    "command_service",
    "prices",
    "position_manager",
    "order_feed",
    "broker_proxy",
    "order_watcher",
    "instruments",
    "history",
)
# Sources first, then the way an order takes, the database and those who tell of trouble last.
STOP_ORDER = (
    "account_keeper",
    "telegram_gateway",
    STREAM,
    "history",
    "instruments",
    "order_feed",
    "position_manager",
    "prices",
    "order_watcher",
    "command_service",
    "trading_bot",
    "broker_proxy",
    "execution_guard",
    "risk_manager",
    "order_repo",
    "supervisor",
    "notifier",
)

# Actors that only decide, and wait for nothing outside the process: what one tells another needs no change of thread.
# CommandService is not among them, since it looks symbols up in a file, however many ask for one that does not exist.
_DECIDE = ("trading_bot", "risk_manager", "execution_guard")

# How long Telegram may take without that being worth an alarm of its own.
_TELEGRAM_S = 30.0
# How long one symbol file may take to be fetched and read.
_SYMBOL_FILE_S = 60.0
# How long a question to the database may take that no order waits for.
_DATABASE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the actors touches outside the process; the simulator hands in its own."""

    open_store: Callable[[], Store]
    open_client: Callable[[], BrokerClient]
    open_telegram: Callable[[], requests.Session] = requests.Session
    open_feed: Callable[[Callable[[FeedValue], object]], Feed] | None = None
    open_record: Callable[[], Store] | None = None
    """Opens a reader of the database; without one, `open_store` serves."""
    read_token: Callable[[], str | None] | None = None
    """Reads the access token that a person, or `run.py login`, left for the service."""
    open_call_log: Callable[[], CallLog] | None = None
    """Opens what is known of the broker calls of the last process; without one, nothing is."""
    open_check: Callable[[], InstrumentCheck] | None = None
    """Opens another look at the instrument of an order than that into the symbol files."""
    symbol_files: SymbolFileSource | None = None
    """Gives the symbol files; without one, nobody knows instruments but the broker."""
    open_history: Callable[[], HistoryClient] | None = None
    """Opens the reader of the broker's candles; without one, there are none."""
    broker_terms: BrokerTerms = field(default_factory=BrokerTerms)
    """Which orders the broker takes from no program."""
    halt_file: Path | None = None
    square_off_file: Path | None = None
    """Where a halt is kept that the database cannot take; None: nowhere."""


def dispatchers(settings: Settings) -> dict[str, str]:
    """The thread of each actor that shares one: those that decide, and beside SQLite the one that writes.

    A server's answer may take seconds; a commit to a file on this machine is on the way of every order anyway.
    """
    writer = ("order_repo",) if settings.database_url.startswith("sqlite") else ()
    return dict.fromkeys((*_DECIDE, *writer), "decisions")


def spawn_actors(
    runtime: Runtime,
    settings: Settings,
    outside: Outside,
    *,
    ready_listener: str | None = None,
    after_each: Callable[[str], None] = lambda _: None,
) -> Addresses:
    """Spawn all actors and the strategies on `runtime`.

    Args:
        runtime: threads, or a simulator.
        settings: checked settings.
        outside: database, broker and Telegram.
        ready_listener: a name that is told `ServiceReady` once orders are taken, beside the strategies.
        after_each: called with each name before the next actor is spawned, for instance with a barrier.

    Raises:
        SettingsError: a strategy cannot be loaded, made or started.
    """
    classes = strategy_classes(settings)
    addresses = Addresses.of(runtime)
    runtime.supervisor = addresses.supervisor
    listeners = ["position_manager", *(strategy_name(entry.name) for entry, _ in classes)]
    if ready_listener is not None:
        listeners.append(ready_listener)
    makers = _makers(settings, outside, addresses, tuple(listeners))
    if outside.symbol_files is not None:
        makers["instruments"] = _maker_of_instruments(settings, outside.symbol_files, addresses)
    open_history = outside.open_history
    if open_history is not None:
        makers["history"] = lambda runtime, name: runtime.spawn(
            History, name, addresses=addresses, open_client=open_history
        )
    for name in START_ORDER:
        # After all they may speak to, since fills of the last run come to them at once; before the session comes up.
        if name == "broker_proxy":
            for entry, strategy_class in classes:
                try:
                    runtime.spawn(
                        strategy_class,
                        strategy_name(entry.name),
                        strategy=entry.name,
                        **{addresses_keyword(strategy_class): addresses},
                        **entry.parameters,
                    )
                    after_each(strategy_name(entry.name))
                except Exception as error:
                    raise unusable(entry, error) from error
        if name in makers:
            makers[name](runtime, name)
            after_each(name)
    if settings.telegram.token is not None and settings.telegram.command_chats is not None:
        _spawn_telegram_gateway(runtime, settings, outside, addresses)
        after_each("telegram_gateway")
    return addresses


def _makers(
    settings: Settings, outside: Outside, addresses: Addresses, listeners: tuple[str, ...]
) -> dict[str, Callable[[Runtime, str], object]]:
    limits, watcher, telegram = settings.limits, settings.watcher, settings.telegram
    return {
        "notifier": lambda runtime, name: runtime.spawn(
            Notifier,
            name,
            account=_telegram_account(settings),
            muted=frozenset(switch for switch in AlertSwitch if not getattr(telegram, switch)),
            open_session=outside.open_telegram,
        ),
        "supervisor": lambda runtime, name: runtime.spawn(
            Supervisor,
            name,
            addresses=addresses,
            slow={
                "broker_proxy": _longest_call_s(settings),
                "notifier": _TELEGRAM_S,
                "account_keeper": _DATABASE_S,
                "telegram_gateway": _TELEGRAM_S,
                "instruments": _SYMBOL_FILE_S,
                "history": _longest_call_s(settings),
            },
        ),
        "order_repo": lambda runtime, name: runtime.spawn(
            OrderRepo,
            name,
            addresses=addresses,
            account=settings.account,
            open_store=outside.open_store,
            slices_in_parallel=settings.limits.slices is Slices.PARALLEL,
            halt_note=Note(outside.halt_file),
            strategies=frozenset(entry.name for entry in settings.strategies),
        ),
        "risk_manager": lambda runtime, name: runtime.spawn(
            RiskManager, name, addresses=addresses, limits=_risk_limits(settings), calendar=settings.calendar
        ),
        "execution_guard": lambda runtime, name: runtime.spawn(
            ExecutionGuard,
            name,
            addresses=addresses,
            calendar=settings.calendar,
            square_off_note=Note(outside.square_off_file),
            send_unverified=settings.exits.when_unverified is WhenUnverified.SEND,
            positions_interval_s=watcher.positions_interval_s,
            verify_within_s=settings.exits.verify_within_s,
        ),
        "trading_bot": lambda runtime, name: runtime.spawn(TradingBot, name, addresses=addresses),
        "command_service": lambda runtime, name: runtime.spawn(
            CommandService,
            name,
            addresses=addresses,
            account=settings.account,
            calendar=settings.calendar,
            send_deadline_s=limits.send_deadline_s,
            exit_deadline_s=limits.exit_deadline_s,
            ready_listeners=listeners,
            check=_instrument_check(settings, outside),
        ),
        "prices": lambda runtime, name: runtime.spawn(
            Prices,
            name,
            addresses=addresses,
            book=PriceBook(Decimal(settings.prices.max_jump_percent) / 100),
            silence_s=settings.prices.silence_s,
            open_index=(lambda: open_for_reading(settings.service.data_dir)) if outside.symbol_files else None,
            is_open=_always_open if settings.broker.profile is Profile.PAPER else _is_open,
            tells_bands=outside.symbol_files is not None,
            at_all_hours=settings.broker.profile is Profile.PAPER and not settings.paper.enforce_session_hours,
        ),
        "position_manager": lambda runtime, name: runtime.spawn(
            PositionManager,
            name,
            addresses=addresses,
            max_jump=Decimal(settings.prices.max_jump_percent) / 100,
            alarm_naked_after_s=settings.protection.alarm_naked_after_s,
            is_open=_always_open if settings.broker.profile is Profile.PAPER else _is_open,
        ),
        "order_feed": lambda runtime, name: runtime.spawn(
            OrderFeed, name, addresses=addresses, open_feed=outside.open_feed if settings.broker.push_feed else None
        ),
        "broker_proxy": lambda runtime, name: runtime.spawn(
            BrokerProxy,
            name,
            addresses=addresses,
            open_client=outside.open_client,
            limiter=RateLimiter(
                per_second=limits.broker_calls_per_s,
                per_minute=limits.broker_calls_per_min,
                reserve=limits.reserve_calls_for_exits,
                reserve_per_minute=limits.reserve_calls_for_exits_per_min,
                intervals={Use.ORDER_BOOK: watcher.interval_s, Use.POSITIONS: watcher.positions_interval_s},
            ),
            open_call_log=outside.open_call_log,
            read_token=outside.read_token,
            market_as_limit=settings.broker.market_as_limit,
            max_order_value=settings.risk.max_order_value,
            max_jump=Decimal(settings.prices.max_jump_percent) / 100,
        ),
        "order_watcher": lambda runtime, name: runtime.spawn(
            OrderWatcher,
            name,
            addresses=addresses,
            calendar=settings.calendar,
            interval_s=watcher.interval_s,
            quiet_interval_s=watcher.quiet_interval_s,
            positions_interval_s=watcher.positions_interval_s,
            absence_grace_s=settings.broker.absence_grace_s,
            unreadable_alarm_after=watcher.unreadable_alarm_after,
            chase=ChaseRules(**settings.chase.model_dump()),
        ),
    }


def _is_open(exchange: str, at: datetime) -> bool:
    day = market_hours().day(exchange, at.astimezone(INDIA).date())
    return day is None or day.is_open(at)


def _always_open(_exchange: str, _at: datetime) -> bool:
    """The paper exchange's prices move at any time."""
    return True


def _instrument_check(settings: Settings, outside: Outside) -> InstrumentCheck | None:
    if outside.open_check is not None:
        return outside.open_check()
    if outside.symbol_files is None:
        return None
    checks, closed = settings.order_check, settings.closed_check
    rules = CheckRules(
        refuses=None if checks is OrderCheck.OFF else checks is OrderCheck.REFUSE,
        refuses_closed=None if closed is ClosedCheck.PASS else closed is ClosedCheck.REFUSE,
        terms=outside.broker_terms,
        refresh_at=settings.instruments.refresh_at,
        calendar=settings.calendar,
    )
    return InstrumentCheck(settings.service.data_dir, rules)


def _maker_of_instruments(
    settings: Settings, source: SymbolFileSource, addresses: Addresses
) -> Callable[[Runtime, str], object]:
    return lambda runtime, name: runtime.spawn(
        Instruments,
        name,
        addresses=addresses,
        open_index=lambda: InstrumentIndex.open(settings.service.data_dir),
        source=source,
        exchanges=settings.instruments.exchanges,
        refresh_at=settings.instruments.refresh_at,
        calendar=settings.calendar,
        may_lack=settings.broker.profile is Profile.PAPER,
    )


def _longest_call_s(settings: Settings) -> float:
    """How long BrokerProxy may be silent with one order in hand: quote, symbol and order, each in full."""
    return 3 * (settings.broker.connect_timeout_s + settings.broker.read_timeout_s)


def _telegram_account(settings: Settings) -> TelegramAccount:
    telegram = settings.telegram
    token = telegram.token.get_secret_value() if telegram.token else None
    return TelegramAccount(token=token, chat_id=telegram.chat_id, base_url=telegram.base_url)


def _spawn_telegram_gateway(runtime: Runtime, settings: Settings, outside: Outside, addresses: Addresses) -> None:
    chats = (settings.telegram.command_chats or "").split(",")
    runtime.spawn(
        TelegramGateway,
        "telegram_gateway",
        addresses=addresses,
        account=_telegram_account(settings),
        allowed=frozenset(chat.strip() for chat in chats),
        calendar=settings.calendar,
        open_record=outside.open_record or outside.open_store,
        strategies=frozenset(entry.name for entry in settings.strategies),
        poll_s=settings.telegram.poll_s,
        open_session=outside.open_telegram,
    )


def _risk_limits(settings: Settings) -> RiskLimits:
    return RiskLimits(**settings.risk.model_dump(), market_orders_are_priced=settings.broker.market_as_limit)
