"""What a broker reports, in our types: orders, trades, positions, quotes.

`core.noren` parses the wire into these; actors and decisions know nothing else of a broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.model.order import Product, Side

__all__ = [
    "BrokerHolding",
    "BrokerOrderReport",
    "BrokerPosition",
    "BrokerStatus",
    "BrokerTrade",
    "Funds",
    "Quote",
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
    last event, `product` None for one we do not trade.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """The account's money in rupees (protocol 7.8); None where the broker is silent, which it often is about zero."""

    cash: Decimal | None
    payin: Decimal | None
    margin_used: Decimal | None
    collateral: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A touchline (protocol 7.9). Prices in rupees; `bid` and `ask` are None when that side is empty.

    `tick_size`, the day's price band and `instrument` (EQ, FUTIDX, OPTIDX, …) are None where the broker is silent.
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
