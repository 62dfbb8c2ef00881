"""What is asked of the broker, what it answered, and how the connection to it stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from core.messages.base import Lane, Message
from core.messages.orders import AboutOrder
from core.messages.system import _SHOWN, _count
from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerTrade
from core.model.order import (
    Fill,
    Order,
    Tag,
)
from core.model.outcomes import Book, ReadFailure

__all__ = [
    "BookUnreadable",
    "BrokerReadable",
    "BrokerUse",
    "ExternalFilled",
    "FeedSession",
    "FeedSessionLost",
    "FeedState",
    "FeedStatus",
    "GetBrokerUse",
    "GetFeedState",
    "GetOpenOrders",
    "OpenOrders",
    "OrderBookRead",
    "OrderPushed",
    "PositionsRead",
    "PushesMissed",
    "ReadOrderBook",
    "ReadPositions",
    "ReadShare",
    "ReadTradeBook",
    "ReadingSlowed",
    "RecordAbsent",
    "RecordReport",
    "RepublishBrokerStatus",
    "SessionChanged",
    "TradeBookRead",
    "WatchOrder",
]


def _asked(at: datetime) -> str:
    return f"asked at {at:%H:%M:%S.%f}"


def _positions_text(positions: tuple[BrokerPosition, ...]) -> str:
    held = [row for row in positions if row.net_quantity]
    shown = ", ".join(f"{row.net_quantity:+d} {row.symbol}" for row in held[:_SHOWN])
    return f"{_count(positions, 'position')}, {len(held)} open{': ' if shown else ''}{shown}"


@dataclass(frozen=True, slots=True)
class WatchOrder(AboutOrder):
    """To OrderWatcher: the row is SENT_TO_BROKER; its number or unknown outcome may follow by another WatchOrder."""

    order: Order


@dataclass(frozen=True, slots=True)
class ReadOrderBook(Message):
    """To BrokerProxy: read the order book. `urgent` is a read for an exit: it is served, and counted, as one."""

    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str:
        # Not merged into one that is not urgent: that one may wait.
        return "order_book:urgent" if self.urgent else "order_book"


@dataclass(frozen=True, slots=True)
class ReadTradeBook(Message):
    """To BrokerProxy: read the trade book. `urgent` is a read for an exit: it is served, and counted, as one."""

    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str:
        return "trade_book:urgent" if self.urgent else "trade_book"


@dataclass(frozen=True, slots=True)
class ReadPositions(Message):
    """To BrokerProxy: read the position book. `urgent` is a read for an exit: it is served, and counted, as one."""

    urgent: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.urgent else Lane.READ

    @property
    def conflation_key(self) -> str:
        # Not merged into one that is not urgent: that one may wait.
        return "positions:urgent" if self.urgent else "positions"


@dataclass(frozen=True, slots=True)
class OrderBookRead(Message):
    """The whole book of the day.

    `asked_at` is when the call began, by the steady clock: a verdict on absence needs it. `read_at` is the date and
    time of the answer.
    """

    reports: tuple[BrokerOrderReport, ...]
    asked_at: datetime
    read_at: datetime
    changed: tuple[str, ...] = ()
    """The broker's numbers of the rows that are not as in the read before."""

    def trace_text(self) -> str:
        """A stub: a book has all orders of the day in it."""
        shown = ", ".join(self.changed[:_SHOWN]) + (", …" if len(self.changed) > _SHOWN else "")
        news = f"{len(self.changed)} changed" + (f": {shown}" if shown else "")
        return f"OrderBookRead({_count(self.reports, 'order')}, {news}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class TradeBookRead(Message):
    trades: tuple[BrokerTrade, ...]
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub: a book has all trades of the day in it."""
        return f"TradeBookRead({_count(self.trades, 'trade')}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class PositionsRead(Message):
    """The position book; also passed on by OrderWatcher to RiskManager."""

    positions: tuple[BrokerPosition, ...]
    asked_at: datetime
    read_at: datetime

    def trace_text(self) -> str:
        """A stub: how many there are, and the first that are open."""
        return f"PositionsRead({_positions_text(self.positions)}, {_asked(self.asked_at)})"


@dataclass(frozen=True, slots=True)
class BookUnreadable(Message):
    """A read failed: states stay as they are; never read as "nothing there" (scenario B5)."""

    book: Book
    failure: ReadFailure
    reason: str


@dataclass(frozen=True, slots=True)
class RecordReport(Message):
    """To OrderRepo: what the broker says of a broker order of this command, with its trades known so far."""

    carries_on = True

    command_id: str
    report: BrokerOrderReport
    fills: tuple[Fill, ...]
    part: int = 1

    @property
    def conflation_key(self) -> str | None:
        """Each read of the book says the same again until OrderRepo has come to it: once is enough to wait."""
        return None if self.fills else f"{self.command_id} {hash(self.report)}"


@dataclass(frozen=True, slots=True)
class RecordAbsent(Message):
    """To OrderRepo: an unknown order is proven absent: enough successful reads after the grace period (scenario A2).

    With `Tag.BROKER_EXPIRED`: its trading day is over, so no book can show it any more (scenario B7).
    """

    carries_on = True

    command_id: str
    reason: str
    tag: Tag = Tag.BROKER_NOT_FOUND
    part: int = 1


@dataclass(frozen=True, slots=True)
class FeedSession(Message):
    """From BrokerProxy to OrderFeed: a session is up; the push connection needs its token."""

    token: str


@dataclass(frozen=True, slots=True)
class FeedSessionLost(Message):
    """To OrderFeed: REST does not accept the token any more; another one follows, or a person must look."""


@dataclass(frozen=True, slots=True)
class ExternalFilled(Message):
    """A push says that an order nobody here placed filled: EXITs reckon with it before a book shows it.

    Before the EXITs of the same mailbox: none goes without it. `traded_at` is the exchange's time of the trade, where
    the push brought it.
    """

    lane = Lane.CONTROL
    report: BrokerOrderReport
    traded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderPushed(Message):
    """From OrderFeed to OrderWatcher: an order changed at the broker, and the trade if the change is one."""

    report: BrokerOrderReport
    trade: BrokerTrade | None = None


@dataclass(frozen=True, slots=True)
class PushesMissed(Message):
    """From OrderFeed to OrderWatcher: read the books, something may have been missed (protocol 9.3 rule 5)."""

    reason: str


class FeedStatus(StrEnum):
    """Whether the push feed makes things sooner now. Orders are taken in each case: the books are read as always."""

    OFF = "OFF"
    """Switched off by `[broker] push_feed`."""
    WAITING = "WAITING"
    """Not connected yet in this run."""
    CONNECTED = "CONNECTED"
    DOWN = "DOWN"
    """It connects again by itself, or waits for a new session where the broker refused the token."""


@dataclass(frozen=True, slots=True)
class GetFeedState(Message):
    """Asked of OrderFeed; answered with `FeedState`."""


@dataclass(frozen=True, slots=True)
class FeedState(Message):
    """The push feed: how it stands `since` when and why, and when the broker's last frame of any kind came."""

    standing: FeedStatus
    since: datetime
    reason: str
    heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class GetOpenOrders(Message):
    """To OrderRepo; answered to OrderWatcher with `OpenOrders`. `ended_since` is a trading day, `today` too."""

    ended_since: date
    today: date


@dataclass(frozen=True, slots=True)
class OpenOrders(Message):
    """Every broker order that is open, and those of the days asked for that ended: a fill may still come (B12).

    `settled_halts` are the reasons of the halts over which a person has resumed trading today.
    """

    orders: tuple[Order, ...]
    ended: tuple[Order, ...] = ()
    settled_halts: tuple[str, ...] = ()

    def trace_text(self) -> str:
        """A stub: a day's orders."""
        return f"OpenOrders({len(self.orders)} open, {len(self.ended)} ended)"


@dataclass(frozen=True, slots=True)
class SessionChanged(Message):
    """From BrokerProxy: the broker session came up or went down. `needs_person` means no retry will help (E2)."""

    up: bool
    reason: str
    needs_person: bool = False


@dataclass(frozen=True, slots=True)
class BrokerReadable(Message):
    """From OrderWatcher: order book and positions were read, open rows are watched; or reads keep failing."""

    readable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ReadingSlowed(Message):
    """From BrokerProxy to CommandService: the call budget is short; empty when reading is as fast as it should be."""

    note: str


@dataclass(frozen=True, slots=True)
class RepublishBrokerStatus(Message):
    """From who starts, or whose handler failed, to those who tell of the broker, the feed and the database: say how it
    stands."""


@dataclass(frozen=True, slots=True)
class GetBrokerUse(Message):
    """Asked of BrokerProxy; answered with `BrokerUse`."""


@dataclass(frozen=True, slots=True)
class ReadShare:
    """What is read, by how many readers that want it each `wanted_s` seconds, and how often each of them gets it."""

    what: str
    count: int
    wanted_s: float
    given_s: float
    book: bool = False
    """Whether it is one of the books, which come before the others."""


@dataclass(frozen=True, slots=True)
class BrokerUse(Message):
    """Session, queue and rates of the broker. Limits of 0 mean none; `calls` counts by kind since the start."""

    session_up: bool
    session_reason: str
    needs_person: bool
    waiting: int
    last_second: int
    last_minute: int
    per_second: int
    per_minute: int
    calls: tuple[tuple[str, int], ...]
    slowed: str = ""
    """What is read more slowly than it should be, since the call budget is short; empty when nothing is."""
    plan: tuple[ReadShare, ...] = ()
    """What readers want of the minute and what they get, in the order in which they are served."""
