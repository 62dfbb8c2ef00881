"""What a broker reports, in our types: orders, trades, positions, quotes.

`core.noren` parses the wire into these; actors and decisions know nothing else of a broker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from core.model.order import OrderType, Product, Side

__all__ = [
    "BrokerHolding",
    "BrokerOrderReport",
    "BrokerPosition",
    "BrokerStatus",
    "BrokerTrade",
    "Funds",
    "PriceBand",
    "PriceSource",
    "MarginLeg",
    "Quote",
    "SecondSource",
    "Ticks",
    "WrongQuote",
]


class BrokerStatus(StrEnum):
    """The broker's order states after normalising spelling and case (protocol 6.1, scenario B1)."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Whether the order is over at the broker. UNKNOWN is not: it is read again (scenario B15)."""
        return self in _OVER


_OVER = frozenset({BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrderReport:
    """One order as the broker's book shows it (protocol 7.2).

    `filled_quantity` and `average_price` are None where the row is silent, never zero by default (scenario B4).
    `raw_status` keeps the broker's spelling. `client_tag` is the row's `remarks`. `at` is the exchange's time of the
    last event, `product` None for one we do not trade. `price` and `trigger_price` are None where there is none.
    """

    broker_order_id: str
    client_tag: str | None
    exchange: str
    symbol: str
    side: Side | None
    quantity: int | None
    status: BrokerStatus
    raw_status: str
    filled_quantity: int | None = None
    average_price: Decimal | None = None
    reason: str | None = None
    product: Product | None = None
    at: datetime | None = None
    order_type: OrderType | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None

    def trace_text(self) -> str:
        """The row in a trace, where each push and each change of it stands."""
        said = [f"{self.status.value}{'' if self.raw_status == self.status.value else f' {self.raw_status!r}'}"]
        if self.filled_quantity is None or self.filled_quantity:
            said.append(f"filled {self.filled_quantity} at {self.average_price}")
        if self.reason is not None:
            said.append(repr(self.reason))
        if self.at is not None:
            said.append(f"{self.at}")
        what = f"{self.client_tag!r} {self.side} {self.quantity} {self.exchange}:{self.symbol} {self.product}"
        return f"BrokerOrderReport({self.broker_order_id} {what}: {' '.join(said)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTrade:
    """One trade from the trade book (protocol 7.4). Unique by (exchange, broker_trade_id, broker_order_id)."""

    broker_order_id: str
    broker_trade_id: str
    client_tag: str | None
    exchange: str
    symbol: str
    side: Side | None
    quantity: int
    price: Decimal
    at: datetime | None

    def trace_text(self) -> str:
        """The trade in a trace."""
        what = f"{self.side} {self.quantity} {self.exchange}:{self.symbol} at {self.price} {self.at}"
        return f"BrokerTrade({self.broker_trade_id} of {self.broker_order_id} {self.client_tag!r} {what})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """One row of the position book (protocol 7.5): `net_quantity` is signed, short is negative; money in rupees.

    `realised` and `unrealised` are None when the row could not be read: the day's P&L is then unknown (scenario D8).
    """

    exchange: str
    symbol: str
    product: Product | None
    net_quantity: int
    realised: Decimal | None
    unrealised: Decimal | None
    last_price: Decimal | None = None
    average_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHolding:
    """Shares delivered (protocol 7.7), by one of their listings; what was sold of them today is still in `quantity`."""

    exchange: str
    symbol: str
    quantity: int


class PriceSource(StrEnum):
    """Who told a price: the push feed, or the broker's answer to a request."""

    FEED = "feed"
    QUOTE = "quote"


class SecondSource(StrEnum):
    """What else speaks for a price: the other of feed and quote, the price before, the day's band; or nothing."""

    FEED = "feed"
    QUOTE = "quote"
    LAST = "last"
    BAND = "band"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """The account's money in rupees (protocol 7.8); None where the broker is silent, which it often is about zero."""

    cash: Decimal | None
    payin: Decimal | None
    margin_used: Decimal | None
    collateral: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLeg:
    """An order that a margin is asked for: a limit, or a stop with a limit, for no broker reckons with less."""

    exchange: str
    symbol: str
    side: Side
    quantity: int
    product: Product
    order_type: OrderType
    price: Decimal
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A touchline (protocol 7.9). Prices in rupees; `bid` and `ask` are None when that side is empty.

    `tick_size`, the day's price band and `instrument` (EQ, FUTIDX, OPTIDX, …) are None where the broker is silent.

    Attributes:
        at: The broker's time of it.
        received_at: When it came in, by our clock.
        source: Push feed or request.
        second: What else speaks for it.
        age_s: How old it was when it was handed over; filled in there.
        bids: Price and quantity of up to five levels, best first, where depth was asked for; `asks` likewise.
        last_quantity: Of the last trade.
        buy_quantity: All that is bid for, at any price; `sell_quantity` likewise.
        open_interest: Of a future or an option.
        missed: Ticks of this instrument before it that were not handed over, because newer ones came.
    """

    exchange: str
    symbol: str
    last_price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime
    tick_size: Decimal | None = None
    lower_limit: Decimal | None = None
    upper_limit: Decimal | None = None
    instrument: str | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: int | None = None
    bids: tuple[tuple[Decimal, int], ...] = ()
    asks: tuple[tuple[Decimal, int], ...] = ()
    last_quantity: int | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None
    open_interest: int | None = None
    received_at: datetime | None = None
    source: PriceSource = PriceSource.QUOTE
    second: SecondSource = SecondSource.NONE
    age_s: float = 0.0
    missed: int = 0

    @property
    def place(self) -> str:
        """`NSE:RELIANCE-EQ`."""
        return f"{self.exchange}:{self.symbol}"

    def aged(self, now: datetime) -> Quote:
        """The same with its age at `now`: from the broker's time of it, where that is well before it came in."""
        since = self.at if self.received_at is None or self.received_at - self.at > _RESOLUTION else self.received_at
        return replace(self, age_s=max(0.0, (now - since).total_seconds()))


# A feed's time has whole seconds.
_RESOLUTION = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class WrongQuote:
    """A price frame that cannot be of the instrument it was subscribed for, and why."""

    exchange: str
    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ticks:
    """What the push feed brought since it was last asked: the newest price of each instrument that changed."""

    quotes: tuple[Quote, ...]
    wrong: tuple[WrongQuote, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Between which prices, in rupees, an exchange takes orders for an instrument; `at` is when the broker told."""

    lower: Decimal
    upper: Decimal
    at: datetime
