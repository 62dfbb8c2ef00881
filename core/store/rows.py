"""What every operation on orders shares: reading a row, and writing the event that goes with each change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model.order import Order, Status
from core.store.database import Database, Engine
from core.store.errors import UnknownOrder
from core.store.values import COLUMNS, SqlValue, decimal_text, is_complete, order_from, product_text, time_text

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
    "broker_order_id = ?, filled_quantity = ?, average_price = ?, updated_at = ? WHERE command_id = ?"
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
        return order_from(values) if values is not None and is_complete(values) else None

    def _order_to_change(self, command_id: str) -> Order:
        """The row, held until the commit. SQLite has held the whole file since the transaction began."""
        held = _ONE if self._db.engine is Engine.SQLITE else f"{_ONE} FOR UPDATE"
        values = self._db.execute(held, (command_id,)).fetchone()
        if values is None or not is_complete(values):
            raise UnknownOrder(command_id)
        return order_from(values)

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
            order.command_id,
        )
        self._db.write(_AMEND, values)
        reason = note if order.reason is None else order.reason
        self._write_event(order, before, at, cause, reason=reason, other_number=other_number)
