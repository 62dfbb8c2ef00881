"""What every operation on orders shares: reading a row, and writing the event that goes with each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.model.order import Order, Status, Tag
from core.rules.slices import with_parts
from core.store.database import Database, Engine
from core.store.errors import UnknownOrder
from core.store.values import (
    COLUMNS,
    SqlValue,
    day_text,
    decimal_from,
    decimal_text,
    is_complete,
    modification_text,
    order_from,
    product_text,
    time_from,
    time_text,
)

__all__ = ["Evidence", "OrderRows"]

ALL = ", ".join(COLUMNS)

_ONE = f"SELECT {ALL} FROM orders WHERE command_id = ?"
_EVENT = (
    "INSERT INTO order_events (command_id, seq, at, from_status, to_status, tag, reason, cause, quantity, product, "
    "unknown, broker_order_id, other_number, filled_quantity, average_price) VALUES "
    "(?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM order_events WHERE command_id = ?), "
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_AMEND = (
    "UPDATE orders SET quantity = ?, requested_quantity = ?, status = ?, tag = ?, reason = ?, unknown = ?, "
    "broker_order_id = ?, filled_quantity = ?, average_price = ?, updated_at = ?, order_type = ?, price = ?, "
    "trigger_price = ?, modifying = ? WHERE command_id = ?"
)
_PARTS = (
    "SELECT part, quantity, status, tag, reason, unknown, broker_order_id, filled_quantity, average_price, updated_at "
    "FROM broker_orders WHERE command_id = ? ORDER BY part"
)
_AMEND_PART = (
    "UPDATE broker_orders SET quantity = ?, status = ?, tag = ?, reason = ?, unknown = ?, broker_order_id = ?, "
    "filled_quantity = ?, average_price = ?, updated_at = ? WHERE client_order_id = ?"
)
_INSERT_PART = (
    "INSERT INTO broker_orders (quantity, status, tag, reason, unknown, broker_order_id, filled_quantity, "
    "average_price, updated_at, client_order_id, command_id, part, account, trading_day) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that one transaction wrote and no other does; by it one tells whether a commit was made.

    An event of `command_id` that `cause` caused; without a command, what the run notes as its last commit.
    """

    command_id: str | None
    cause: str


class OrderRows:
    """The ground of `Store`: one database, and the two halves of every change, the row and its event."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._run: str | None = None
        self.newest_event: Evidence | None = None
        """The event written last, until somebody takes it away: it stands exactly if its transaction does."""

    def order(self, command_id: str) -> Order | None:
        """The order of this row; None without a row, or for a refused intent of which too little was readable."""
        values = self._db.execute(_ONE, (command_id,)).fetchone()
        return self._loaded(values) if values is not None and is_complete(values) else None

    def _order_to_change(self, command_id: str) -> Order:
        """The row, held until the commit. SQLite has held the whole file since the transaction began."""
        held = _ONE if self._db.engine is Engine.SQLITE else f"{_ONE} FOR UPDATE"
        values = self._db.execute(held, (command_id,)).fetchone()
        if values is None or not is_complete(values):
            raise UnknownOrder(command_id)
        return self._loaded(values)

    def _loaded(self, values: Sequence[str]) -> Order:
        """The order of a row, with its broker orders where it has several."""
        order = order_from(values)
        if order.parts == 1:
            return order
        found = self._db.execute(_PARTS, (order.command_id,)).fetchall()
        return replace(order, broker_orders=tuple(_part_of(order, part) for part in found))

    def _put(
        self,
        order: Order,
        *changed: Order,
        at: datetime,
        cause: str,
        note: str | None = None,
        other_number: str | None = None,
        average: Decimal | None = None,
        reason: str | None = None,
    ) -> Order:
        """Write what became of broker orders of `order`, and what the command amounts to with them, with one event.

        Args:
            order: The command as it is stored.
            changed: These of its broker orders, as they are now.
            at: The date and time.
            cause: The envelope that brought it.
            note: The event's reason where the row keeps none.
            other_number: A broker_order_id that does not fit.
            average: The average price of all fills, where it changed.
            reason: What the row keeps, where that is not what its broker orders amount to.
        """
        whole = replace(with_parts(order, changed), updated_at=at)
        whole = replace(whole, average_price=average or whole.average_price, reason=reason or whole.reason)
        self._amend(whole, order.status, at, cause, note=note, other_number=other_number)
        for part in changed:
            if self._db.write(_AMEND_PART, (*_part_values(part, at), part.client_tag)).rowcount == 0:
                # It was never sent, and the broker has one under its tag all the same.
                self._insert_part(part, at)
        return whole

    def _insert_part(self, part: Order, at: datetime) -> None:
        where = (part.client_tag, part.command_id, part.part, part.account, day_text(part.trading_day))
        self._db.write(_INSERT_PART, (*_part_values(part, at), *where))

    def _write_event(
        self,
        order: Order,
        before: Status | None,
        at: datetime,
        cause: str,
        *,
        reason: str | None = None,
        other_number: str | None = None,
    ) -> None:
        """Record that `order` is now what it is. `other_number` is a broker_order_id that does not fit it."""
        self.newest_event = Evidence(order.command_id, cause)
        self._db.write(
            _EVENT,
            (
                order.command_id,
                order.command_id,
                time_text(at),
                None if before is None else before.value,
                order.status.value,
                None if order.tag is None else order.tag.value,
                reason,
                cause,
                order.quantity,
                product_text(order.product),
                order.unknown,
                order.broker_order_id,
                other_number,
                order.filled_quantity,
                decimal_text(order.average_price),
            ),
        )

    def _amend(
        self,
        order: Order,
        before: Status,
        at: datetime,
        cause: str,
        *,
        note: str | None = None,
        other_number: str | None = None,
    ) -> None:
        """Write `order` over its row, with an event. `note` is the event's reason where the row keeps none."""
        values: tuple[SqlValue, ...] = (
            order.quantity,
            order.intent.quantity,
            order.status.value,
            None if order.tag is None else order.tag.value,
            order.reason,
            order.unknown,
            order.broker_order_id,
            order.filled_quantity,
            decimal_text(order.average_price),
            time_text(at),
            order.intent.order_type.value,
            decimal_text(order.intent.price),
            decimal_text(order.intent.trigger_price),
            modification_text(order.modifying),
            order.command_id,
        )
        self._db.write(_AMEND, values)
        reason = note if order.reason is None else order.reason
        self._write_event(order, before, at, cause, reason=reason, other_number=other_number)


def _part_of(order: Order, values: Sequence[Any]) -> Order:
    part, quantity, status, tag, reason, unknown, number, filled, average, updated_at = values
    return replace(
        order,
        part=int(part),
        quantity=int(quantity),
        status=Status(status),
        tag=Tag(tag) if tag else None,
        reason=reason,
        unknown=bool(unknown),
        broker_order_id=number,
        filled_quantity=int(filled),
        average_price=decimal_from(average),
        updated_at=time_from(updated_at),
    )


def _part_values(part: Order, at: datetime) -> tuple[SqlValue, ...]:
    return (
        part.quantity,
        part.status.value,
        None if part.tag is None else part.tag.value,
        part.reason,
        part.unknown,
        part.broker_order_id,
        part.filled_quantity,
        decimal_text(part.average_price),
        time_text(at),
    )
