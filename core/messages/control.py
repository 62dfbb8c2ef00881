"""Risk state, halts and square-off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.messages.base import Lane, Message
from core.model.alerts import AlertKind
from core.model.order import (
    Order,
    OrderIntent,
    Product,
    Source,
)
from core.model.positions import Holding
from core.model.risk_state import Breach, Halt, LossRun

__all__ = [
    "ClearHalt",
    "GetRiskSnapshot",
    "GetRiskState",
    "HaltChanged",
    "HaltStrategy",
    "RecordPnl",
    "RiskSnapshot",
    "RiskState",
    "SaveBreach",
    "SaveLossRun",
    "SaveMaxLossMark",
    "SaveStrategyHalt",
    "SetHalt",
    "SquareOff",
    "SquareOffBegun",
]


@dataclass(frozen=True, slots=True)
class GetRiskState(Message):
    """To OrderRepo; answered to RiskManager with `RiskState`."""

    trading_day: date


@dataclass(frozen=True, slots=True)
class RiskState(Message):
    """`lots` are what strategies hold with their average entry prices, from which a losing exit is told.

    `halted_strategies` are those halted alone, name and reason; `max_loss_mark` is the day's loss from which max_loss
    counts on after it halted; `traded` are exchange and symbol of each order of the day that filled.
    """

    halt: Halt | None
    breach: Breach | None
    loss_runs: tuple[LossRun, ...]
    open_orders: tuple[Order, ...]
    orders_today: int
    trading_day: date
    lots: tuple[tuple[Holding, Decimal], ...] = ()
    halted_strategies: tuple[tuple[str, str], ...] = ()
    max_loss_mark: Decimal | None = None
    traded: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class SaveBreach(Message):
    """To OrderRepo: the daily limit is reached; kept for the trading day."""

    breach: Breach


@dataclass(frozen=True, slots=True)
class SaveMaxLossMark(Message):
    """To OrderRepo: max_loss halted trading at this P&L of the day, or a person resumed at it (scenario G15)."""

    trading_day: date
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class SaveStrategyHalt(Message):
    """To OrderRepo: a strategy is halted alone, until somebody resumes trading."""

    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class SaveLossRun(Message):
    """To OrderRepo: a strategy's losing exits in a row and its cooldown."""

    run: LossRun


@dataclass(frozen=True, slots=True)
class RecordPnl(Message):
    """To OrderRepo, from the dashboard once a minute: a point of the day's P&L in rupees, for the next run's chart.

    Where the database cannot take it, the point is lost and nothing else: the chart has others.
    """

    trading_day: date
    at: datetime
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class SetHalt(Message):
    """To OrderRepo: halt trading. Answered with `HaltChanged`; a further halt keeps the first reason and adds its own.

    `told`: the halt is in force, its caller is answered and people know; what is left is to record it. The alert is of
    the kind `alert`, and says `details` after the reason. `squares_off`: a square-off
    begins with it, and cancels what rests.
    """

    lane = Lane.URGENT
    reason: str
    by: str
    reply_to: str | None = None
    told: bool = False
    alert: AlertKind = AlertKind.HALT
    details: str = ""
    squares_off: bool = False


@dataclass(frozen=True, slots=True)
class ClearHalt(Message):
    """To OrderRepo: resume trading. Answered with `HaltChanged`, or `ResumeRefused` where it cannot be recorded."""

    lane = Lane.URGENT
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeRefused(Message):
    """Trading is not resumed, and will not be by that wish: the database could not be written."""

    reason: str


@dataclass(frozen=True, slots=True)
class HaltChanged(Message):
    """From OrderRepo, to RiskManager, BrokerProxy and whoever asked. None means trading is on.

    `recorded`: committed. A halt is in force before that while the database is away. `before`: the halt that was in
    force when this one was asked for. `still_open`: ENTRYs and ADJUSTs at the broker, which a halt leaves to work.
    """

    lane = Lane.URGENT
    halt: Halt | None
    recorded: bool = True
    before: Halt | None = None
    still_open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HaltStrategy(Message):
    """To RiskManager: this strategy keeps failing; it alone opens no risk until trading is resumed (scenario E9)."""

    lane = Lane.URGENT
    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class SquareOff(Message):
    """To ExecutionGuard: cancel what rests, and submit an EXIT for what strategies hold intraday or carried.

    Nothing for delivery (CNC) is touched, unless a protection names just that `position`. `strategy` and `symbol`
    narrow it. Answered with `SquareOffBegun` to the name `reply_to`. The idempotency keys of its EXITs begin with
    `key`, where there is one.
    """

    reason: str
    source: Source
    strategy: str | None = None
    symbol: str | None = None
    reply_to: str | None = None
    position: tuple[str, str, str, Product] | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class EndSquareOff(Message):
    """To ExecutionGuard: go no further with what `max_loss` began, for a person has resumed trading (scenario G15)."""


@dataclass(frozen=True, slots=True)
class SquareOffBegun(Message):
    """The EXITs submitted at once, as every order, and the command ids of the orders that are cancelled first.

    `waiting` are the EXITs that follow for what is held where orders are in flight, each with the command ids of these
    orders: once the book shows them gone; without any, another square-off has sent an EXIT a moment ago. An EXIT that
    rests is among `cancels` only once it has had its time to fill.
    """

    exits: tuple[OrderIntent, ...]
    cancels: tuple[str, ...] = ()
    waiting: tuple[tuple[OrderIntent, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class GetRiskSnapshot(Message):
    pass


@dataclass(frozen=True, slots=True)
class RiskSnapshot(Message):
    """Limits and their use.

    `entry_blocked` says why an ENTRY would be refused now; None when it would pass. `halted_strategies` has the name
    and the reason of each strategy that is halted alone (scenario E9).
    """

    trading_day: date
    pnl: Decimal | None
    pnl_age_s: float | None
    halt: Halt | None
    breach: Breach | None
    loss_runs: tuple[LossRun, ...]
    open_orders: int
    orders_today: int
    entry_blocked: str | None
    halted_strategies: tuple[tuple[str, str], ...] = ()
