"""Values for tests: orders, fills and positions with plain defaults."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.model.broker import BrokerPosition
from core.model.calendar import trading_day
from core.model.candle import Candle
from core.model.order import (
    ExecutionType,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Source,
    Status,
    Validity,
)

NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
"""A Monday at noon in India."""

_numbers = itertools.count(1)


def an_intent(
    execution_type: ExecutionType = ExecutionType.ENTRY,
    side: Side = Side.BUY,
    quantity: int = 50,
    *,
    strategy: str = "alpha",
    symbol: str = "INFY-EQ",
    product: Product | None = Product.MIS,
    order_type: OrderType = OrderType.LIMIT,
    price: Decimal | None = Decimal("1500.00"),
    trigger_price: Decimal | None = None,
    idempotency_key: str | None = None,
    basket: str | None = None,
) -> OrderIntent:
    """An intent of strategy alpha to buy 50 INFY-EQ, unless told otherwise."""
    return OrderIntent(
        strategy=strategy,
        execution_type=execution_type,
        exchange="NSE",
        symbol=symbol,
        side=side,
        quantity=quantity,
        product=product,
        order_type=order_type,
        price=price,
        trigger_price=trigger_price,
        validity=Validity.DAY,
        idempotency_key=idempotency_key,
        basket=basket,
    )


def an_order(intent: OrderIntent | None = None, *, command_id: str | None = None, at: datetime = NOON) -> Order:
    """A row CREATED from an intent."""
    intent = intent or an_intent()
    return Order(
        command_id=command_id or f"261123-tests-{next(_numbers)}",
        account="PAPER",
        source=Source.WEBHOOK,
        intent=intent,
        quantity=intent.quantity,
        product=intent.product,
        status=Status.CREATED,
        created_at=at,
        updated_at=at,
        trading_day=trading_day(at),
        deadline=at + timedelta(seconds=30),
    )


def a_fill(quantity: int = 50, price: str = "1500.00", *, at: datetime = NOON) -> Fill:
    """A trade with a number of its own."""
    return Fill(str(next(_numbers)), quantity, Decimal(price), at)


def a_position(
    net: int,
    *,
    symbol: str = "INFY-EQ",
    product: Product = Product.MIS,
    realised: str | None = "0",
    unrealised: str | None = "0",
    price: str | None = None,
) -> BrokerPosition:
    """A row of the broker's position book."""
    return BrokerPosition(
        exchange="NSE",
        symbol=symbol,
        product=product,
        net_quantity=net,
        realised=None if realised is None else Decimal(realised),
        unrealised=None if unrealised is None else Decimal(unrealised),
        last_price=None if price is None else Decimal(price),
    )


def a_candle(
    begin: datetime, prices: str = "100 110 90 101", volume: int | None = 10, length: timedelta = timedelta(minutes=5)
) -> Candle:
    """A candle of four prices: open, high, low, close."""
    opened, high, low, closed = map(Decimal, prices.split())
    return Candle(begin, begin + length, opened, high, low, closed, volume)
