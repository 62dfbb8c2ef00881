"""What strategies hold, what the broker holds, and how the one follows the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.messages.base import Lane, Message
from core.messages.broker import _asked, _positions_text
from core.messages.system import _SHOWN, _count
from core.model.broker import BrokerHolding, BrokerOrderReport, BrokerPosition, Funds, MarginLeg
from core.model.order import (
    Order,
    OrderIntent,
    Product,
    Source,
)
from core.model.positions import Baseline, Departure, Difference, ExternalClose, GuardLine, Holding, OwnFill

__all__ = [
    "AccountRead",
    "AdoptPosition",
    "ExternalOrders",
    "FlattenAnswer",
    "FlattenPosition",
    "FundsRead",
    "GetExternalOrders",
    "GetGuardSnapshot",
    "GetGuardState",
    "GetPositions",
    "GuardSnapshot",
    "GuardState",
    "HoldingClosed",
    "HoldingsRead",
    "MarginRead",
    "PositionAdopted",
    "PositionsDoubted",
    "ReadFunds",
    "ReadMargin",
    "ReadHoldings",
    "RecordBaselines",
    "RecordExternalClose",
    "VerifyAccount",
]


@dataclass(frozen=True, slots=True)
class PositionsDoubted(Message):
    """From RiskManager to OrderWatcher: one read shows a loss beyond a limit; read positions again at once (G13)."""


@dataclass(frozen=True, slots=True)
class ReadHoldings(Message):
    """To BrokerProxy: read the delivered shares; answered with `HoldingsRead` to the name `reply_to`."""

    lane = Lane.READ
    reply_to: str

    @property
    def conflation_key(self) -> str:
        return f"holdings:{self.reply_to}"


@dataclass(frozen=True, slots=True)
class HoldingsRead(Message):
    """Delivered shares; None where they could not be read, which `problem` says."""

    holdings: tuple[BrokerHolding, ...] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReadFunds(Message):
    """To BrokerProxy: read the account's money; answered with `FundsRead` to the name `reply_to`."""

    lane = Lane.READ
    reply_to: str


@dataclass(frozen=True, slots=True)
class FundsRead(Message):
    """The account's money; None where it could not be read, which `problem` says."""

    funds: Funds | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReadMargin(Message):
    """To BrokerProxy: read what orders would take together; answered with `MarginRead` to the name `reply_to`."""

    lane = Lane.READ
    legs: tuple[MarginLeg, ...]
    reply_to: str


@dataclass(frozen=True, slots=True)
class MarginRead(Message):
    """Rupees; None where they could not be read, which `problem` says."""

    margin: Decimal | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VerifyAccount(Message):
    """From ExecutionGuard to OrderWatcher: an EXIT waits for reads of order book and positions begun after it came."""

    lane = Lane.URGENT
    conflation_key = "verify_account"


@dataclass(frozen=True, slots=True)
class AccountRead(Message):
    """From OrderWatcher to ExecutionGuard: positions, beside what the last order book read says of the account.

    `externals` are filled orders nobody here placed, `own` ours that are listed. `asked_at` and `orders_asked_at` are
    when each of the two reads began, by the steady clock; `read_at` is the date and time of the positions' answer.
    """

    positions: tuple[BrokerPosition, ...]
    externals: tuple[BrokerOrderReport, ...]
    own: tuple[OwnFill, ...]
    orders_asked_at: datetime
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub, as for the books it is made of."""
        return (
            f"AccountRead({_positions_text(self.positions)}, {_count(self.externals, 'external order')}, "
            f"{_count(self.own, 'order')} of ours, {_asked(self.asked_at)})"
        )


@dataclass(frozen=True, slots=True)
class RecordBaselines(Message):
    """To OrderRepo, from ExecutionGuard: what is nobody's now, kept for the next run."""

    baselines: tuple[Baseline, ...]


@dataclass(frozen=True, slots=True)
class RecordExternalClose(Message):
    """To OrderRepo, from ExecutionGuard: positions and an external order prove this close, or `close.kind` says what.

    `baselines` are kept together with it. `reply_to` is told `PositionAdopted`.
    """

    close: ExternalClose
    trading_day: date
    baselines: tuple[Baseline, ...] = ()
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class AdoptPosition(Message):
    """To ExecutionGuard, from a person: give so much of a position to a strategy, or write so much off.

    `quantity` is unsigned. Answered with `PositionAdopted` to the name `reply_to`.
    """

    strategy: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    write_off: bool
    by: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class FlattenPosition(Message):
    """To ExecutionGuard, from a person: close what EXITs opened in a position, which is `quantity` (signed).

    Answered with `FlattenAnswer` to the name `reply_to`, after a read of the account that began later.
    """

    exchange: str
    symbol: str
    product: Product
    quantity: int
    source: Source
    reply_to: str


@dataclass(frozen=True, slots=True)
class FlattenAnswer(Message):
    """The EXITs that are submitted, the orders that close it already, or why nothing is sent."""

    exits: tuple[OrderIntent, ...] = ()
    under_way: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PositionAdopted(Message):
    """What came of it: the correction that is recorded, or why it is refused."""

    correction: ExternalClose | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HoldingClosed(Message):
    """From OrderRepo to ExecutionGuard and RiskManager, committed: what the strategy holds is corrected."""

    close: ExternalClose
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True, slots=True)
class GetGuardState(Message):
    """To OrderRepo; answered to ExecutionGuard with `GuardState`."""

    trading_day: date


@dataclass(frozen=True, slots=True)
class GuardState(Message):
    """Holdings from the booked fills, and every order at the broker (its open quantity is reserved).

    `created` names the rows still CREATED: a reservation the guard has made for one of them stands. `closes` says how
    much of each external order has explained a close already, `corrections` the sum of all corrections of a position,
    `baselines` what of the account was nobody's when it was last reconciled, `departures` what EXITs of the day filled,
    `unintended` the holdings (strategy, exchange, symbol, product) that EXITs opened.
    """

    holdings: tuple[Holding, ...]
    open_orders: tuple[Order, ...]
    created: frozenset[str] = frozenset()
    closes: tuple[tuple[str, int], ...] = ()
    corrections: tuple[tuple[str, str, Product, int], ...] = ()
    baselines: tuple[Baseline, ...] = ()
    departures: tuple[Departure, ...] = ()
    unintended: frozenset[tuple[str, str, str, Product]] = frozenset()


@dataclass(frozen=True, slots=True)
class GetGuardSnapshot(Message):
    """Asked of ExecutionGuard; answered with `GuardSnapshot`, with the lines of `strategy` alone where it is named."""

    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class GuardSnapshot(Message):
    """`differences` are as of the read compared last; of what is `unsettled` (exchange, symbol) that says nothing.

    An order is in flight there, or something was booked since that read was asked for.
    """

    lines: tuple[GuardLine, ...]
    differences: tuple[Difference, ...]
    reconciled_at: datetime | None
    unsettled: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GetPositions(Message):
    """Asked of OrderWatcher; answered with the last `PositionsRead`, or `BookUnreadable` before the first."""


@dataclass(frozen=True, slots=True)
class GetExternalOrders(Message):
    """Asked of OrderWatcher; answered with `ExternalOrders`."""


@dataclass(frozen=True, slots=True)
class ExternalOrders(Message):
    """Orders of today's book that nobody here placed (scenario B9)."""

    orders: tuple[BrokerOrderReport, ...]

    def trace_text(self) -> str:
        """A stub: who trades by phone may have hundreds."""
        shown = ", ".join(report.broker_order_id for report in self.orders[:_SHOWN])
        return f"ExternalOrders({_count(self.orders, 'order')}{': ' if shown else ''}{shown})"
