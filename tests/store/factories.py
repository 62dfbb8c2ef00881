"""Orders, reports and times for the tests of the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Fill, Order, OrderIntent, OrderType, Product, Side, Source, Status, Tag
from core.store import NotMarked, Store

__all__ = ["DAY", "T0", "accepted", "an_order", "fill", "later", "registered", "report", "sent"]

T0 = datetime(2026, 3, 2, 3, 45, 0, 123456, tzinfo=UTC)
DAY = date(2026, 3, 2)


def later(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def an_order(command_id: str = "260302-r1-1", **changes: Any) -> Order:
    """An ENTRY of 100 INFY-EQ by the strategy `trend`; `changes` may be fields of the intent or of the order."""
    in_intent = {name: changes.pop(name) for name in list(changes) if name in OrderIntent.__dataclass_fields__}
    intent = OrderIntent(
        strategy="trend",
        execution_type=ExecutionType.ENTRY,
        exchange="NSE",
        symbol="INFY-EQ",
        side=Side.BUY,
        quantity=100,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=Decimal("1500.50"),
    )
    intent = replace(intent, **in_intent)
    order = Order(
        command_id=command_id,
        account="FA1",
        source=Source.WEBHOOK,
        intent=intent,
        quantity=intent.quantity,
        product=intent.product,
        status=Status.CREATED,
        created_at=T0,
        updated_at=T0,
        trading_day=DAY,
        deadline=later(5),
    )
    return replace(order, **changes)


def registered(store: Store, command_id: str = "260302-r1-1", **changes: Any) -> Order:
    with store.transaction():
        return store.register(an_order(command_id, **changes), T0, "letter-1")


def sent(store: Store, command_id: str = "260302-r1-1", **changes: Any) -> Order:
    order = registered(store, command_id, **changes)
    with store.transaction():
        marked = store.mark_sent(order, later(1), "letter-2")
    assert not isinstance(marked, NotMarked), marked.reason
    return marked


def accepted(store: Store, command_id: str = "260302-r1-1", number: str = "26030200000001", **changes: Any) -> Order:
    sent(store, command_id, **changes)
    with store.transaction():
        order = store.accept(command_id, number, later(2), "letter-3")
    assert isinstance(order, Order)
    return order


def report(status: BrokerStatus, number: str = "26030200000001", **changes: Any) -> BrokerOrderReport:
    told = BrokerOrderReport(
        broker_order_id=number,
        client_tag="260302-r1-1",
        exchange="NSE",
        symbol="INFY-EQ",
        side=Side.BUY,
        quantity=100,
        status=status,
        raw_status=status.value,
    )
    return replace(told, **changes)


def fill(trade: str, quantity: int, price: str = "1500.50") -> Fill:
    return Fill(trade, quantity, Decimal(price), later(3))


def failed(store: Store, command_id: str, tag: Tag = Tag.NEVER_SENT) -> Order:
    with store.transaction():
        order = store.fail(command_id, Status.CREATED, tag, "the service stopped", later(2), "letter-9")
    assert order is not None
    return order
