"""How values stand in the database: text that sorts, compares and comes back exactly on both engines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from core.model.order import (
    ExecutionType,
    Modification,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Source,
    Status,
    Tag,
    Terms,
    Validity,
)

__all__ = [
    "COLUMNS",
    "Row",
    "SqlValue",
    "clean_text",
    "day_text",
    "decimal_from",
    "decimal_text",
    "is_complete",
    "modification_from",
    "modification_text",
    "order_from",
    "order_values",
    "product_text",
    "terms_from",
    "terms_text",
    "time_from",
    "time_text",
]

SqlValue: TypeAlias = str | int | bool | None
Row: TypeAlias = Mapping[str, SqlValue]

# The columns of `orders` in the order in which they are written and read.
COLUMNS = (
    "command_id",
    "idempotency_key",
    "account",
    "strategy",
    "source",
    "execution_type",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "requested_quantity",
    "product",
    "requested_product",
    "order_type",
    "price",
    "trigger_price",
    "validity",
    "basket",
    "deadline",
    "status",
    "tag",
    "reason",
    "unknown",
    "broker_order_id",
    "filled_quantity",
    "average_price",
    "created_at",
    "updated_at",
    "trading_day",
    "run",
    "parts",
    "modifying",
)

# What an order cannot do without; a refused intent may lack any of them. An EXIT may leave its product open.
_REQUIRED = ("strategy", "execution_type", "exchange", "symbol", "side", "requested_quantity", "order_type", "validity")
_REQUIRED_AT = tuple(COLUMNS.index(name) for name in _REQUIRED)


def time_text(at: datetime) -> str:
    """UTC, ISO-8601, always with microseconds: text of one width, which sorts as time does."""
    if at.tzinfo is not UTC:
        if at.utcoffset() is None:
            raise ValueError(f"a time without a zone cannot be recorded: {at!r}")
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")


def time_from(text: str) -> datetime:
    """The instant that `time_text` wrote, in UTC."""
    return datetime.fromisoformat(text)


def day_text(day: date) -> str:
    """A trading day as ISO text."""
    return day.isoformat()


def decimal_text(value: Decimal | None) -> str | None:
    """Plain digits without an exponent, as many as were given: neither engine's numeric type would keep them."""
    if value is None:
        return None
    if not value.is_finite():
        raise ValueError(f"not a finite number: {value}")
    return format(value, "f")


def decimal_from(text: str | None) -> Decimal | None:
    """The number that `decimal_text` wrote."""
    return None if text is None else Decimal(text)


def clean_text(text: str) -> str:
    """Foreign text that every engine can hold: PostgreSQL takes no NUL, and neither takes half a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def product_text(product: Product | None) -> str | None:
    """A product as it stands in the database."""
    return None if product is None else product.value


def order_values(order: Order, updated_at: str, run: str | None) -> tuple[SqlValue, ...]:
    """The row of an order, in the order of `COLUMNS`."""
    intent = order.intent
    return (
        order.command_id,
        intent.idempotency_key,
        order.account,
        intent.strategy,
        order.source.value,
        intent.execution_type.value,
        intent.exchange,
        intent.symbol,
        intent.side.value,
        order.quantity,
        intent.quantity,
        product_text(order.product),
        product_text(intent.product),
        intent.order_type.value,
        decimal_text(intent.price),
        decimal_text(intent.trigger_price),
        intent.validity.value,
        intent.basket,
        time_text(order.deadline),
        order.status.value,
        None if order.tag is None else order.tag.value,
        order.reason,
        order.unknown,
        order.broker_order_id,
        order.filled_quantity,
        decimal_text(order.average_price),
        time_text(order.created_at),
        updated_at,
        day_text(order.trading_day),
        run,
        order.parts,
        modification_text(order.modifying),
    )


def is_complete(values: Sequence[object]) -> bool:
    """Whether a row holds a whole order. A refused intent may not: it has only what could be read."""
    return all(values[place] is not None for place in _REQUIRED_AT)


def order_from(values: Sequence[str]) -> Order:
    """The order of a complete row in the order of `COLUMNS`.

    Integers and booleans come as themselves; the type says `str` because most columns are text, and the few others
    pass through `int` and `bool`, which take both.
    """
    return Order(
        command_id=values[0],
        account=values[2],
        source=Source(values[4]),
        intent=OrderIntent(
            strategy=values[3],
            execution_type=ExecutionType(values[5]),
            exchange=values[6],
            symbol=values[7],
            side=Side(values[8]),
            quantity=int(values[10]),
            product=Product(values[12]) if values[12] else None,
            order_type=OrderType(values[13]),
            price=decimal_from(values[14]),
            trigger_price=decimal_from(values[15]),
            validity=Validity(values[16]),
            idempotency_key=values[1],
            basket=values[17],
        ),
        quantity=int(values[9]),
        status=Status(values[19]),
        created_at=time_from(values[26]),
        updated_at=time_from(values[27]),
        trading_day=date.fromisoformat(values[28]),
        deadline=time_from(values[18]),
        product=Product(values[11]) if values[11] else None,
        tag=Tag(values[20]) if values[20] else None,
        reason=values[21],
        unknown=bool(values[22]),
        broker_order_id=values[23],
        filled_quantity=int(values[24]),
        average_price=decimal_from(values[25]),
        parts=int(values[30]),
        modifying=modification_from(values[31]),
    )


def terms_text(terms: Terms) -> str:
    """Terms as JSON text."""
    return json.dumps(_fields_of(terms))


def terms_from(text: str) -> Terms:
    """The terms that `terms_text` wrote."""
    return _terms(json.loads(text))


def modification_text(pending: Modification | None) -> str | None:
    """A modification as JSON text."""
    if pending is None:
        return None
    return json.dumps({**_fields_of(pending.terms), "by": clean_text(pending.by), "answered": pending.answered})


def modification_from(text: str | None) -> Modification | None:
    """The modification that `modification_text` wrote."""
    if not text:
        return None
    found = json.loads(text)
    return Modification(terms=_terms(found), by=found["by"], answered=found["answered"])


def _fields_of(terms: Terms) -> dict[str, SqlValue]:
    prices = {"price": decimal_text(terms.price), "trigger_price": decimal_text(terms.trigger_price)}
    return {"quantity": terms.quantity, "order_type": terms.order_type.value, **prices}


def _terms(found: Mapping[str, Any]) -> Terms:
    return Terms(
        quantity=int(found["quantity"]),
        order_type=OrderType(found["order_type"]),
        price=decimal_from(found["price"]),
        trigger_price=decimal_from(found["trigger_price"]),
    )
