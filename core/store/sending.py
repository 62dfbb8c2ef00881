"""Steps 3 and 5: the row says SENT_TO_BROKER before the broker is called, and what came of the call after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.model.order import Order, Status, Tag
from core.store.errors import ConstraintViolated, IllegalChange
from core.store.rows import ALL, OrderRows
from core.store.values import clean_text, order_from, product_text, time_text

__all__ = ["NotMarked", "NumberConflict", "Sending", "with_more"]

# All conditions of step 3 in one statement: one that holds costs nothing extra, one that does not is looked up after.
_MARK = """
UPDATE orders SET status = 'SENT_TO_BROKER', quantity = ?, product = ?, updated_at = ?
WHERE command_id = ? AND status = 'CREATED'
AND NOT EXISTS (
    SELECT 1 FROM orders AS other WHERE other.status = 'SENT_TO_BROKER' AND other.account = ?
    AND other.strategy = ? AND other.exchange = ? AND other.symbol = ?
)
AND (execution_type = 'EXIT' OR NOT EXISTS (SELECT 1 FROM halts WHERE account = orders.account AND cleared_at IS NULL))
"""
_OPEN_OTHER = (
    "SELECT command_id FROM orders WHERE status = 'SENT_TO_BROKER' AND account = ? AND strategy = ? "
    "AND exchange = ? AND symbol = ?"
)
_HALTED = "SELECT reason FROM halts WHERE account = ? AND cleared_at IS NULL"
_FAIL = (
    "UPDATE orders SET status = 'FAILED', tag = ?, reason = ?, unknown = FALSE, updated_at = ? "
    f"WHERE command_id = ? AND status = ? RETURNING {ALL}"
)
_ACCEPT = f"""
UPDATE orders SET broker_order_id = ?, unknown = FALSE, reason = NULL, updated_at = ?
WHERE command_id = ? AND status = 'SENT_TO_BROKER' AND broker_order_id IS NULL
AND NOT EXISTS (
    SELECT 1 FROM orders AS other WHERE other.account = orders.account AND other.trading_day = orders.trading_day
    AND other.broker_order_id = ?
)
RETURNING {ALL}
"""
_UNKNOWN = (
    "UPDATE orders SET unknown = TRUE, reason = ?, updated_at = ? WHERE command_id = ? "
    f"AND status = 'SENT_TO_BROKER' AND broker_order_id IS NULL AND unknown = FALSE RETURNING {ALL}"
)
_ABSENT = (
    "UPDATE orders SET status = 'FAILED', tag = ?, reason = ?, unknown = FALSE, updated_at = ? "
    f"WHERE command_id = ? AND status = 'SENT_TO_BROKER' AND broker_order_id IS NULL RETURNING {ALL}"
)
_NUMBER_OWNER = "SELECT command_id FROM orders WHERE account = ? AND trading_day = ? AND broker_order_id = ?"
_NUMBER_TOLD = "SELECT 1 FROM order_events WHERE command_id = ? AND other_number = ?"


@dataclass(frozen=True, slots=True)
class NotMarked:
    """The order may not be sent. `order` is the row as it stands now; `tag` is None when the row had moved on."""

    order: Order
    tag: Tag | None
    reason: str


@dataclass(frozen=True, slots=True)
class NumberConflict:
    """The broker_order_id does not fit the row (scenario A14). Recorded as an event; a person must look.

    `order` is the row as it stands now, `broker_order_id` the number that came; `foreign` says that it is the number
    of another command's order.
    """

    order: Order
    broker_order_id: str
    reason: str
    foreign: bool = False

    def __str__(self) -> str:
        return f"{self.order.command_id}: {self.reason}"


class Sending(OrderRows):
    """Operations of steps 3 and 5."""

    # Step 3

    def mark_sent(
        self, order: Order, at: datetime, cause: str, steady: datetime | None = None, why: str = ""
    ) -> Order | NotMarked:
        """CREATED to SENT_TO_BROKER with the quantity and product of `order`, if nothing stands against it.

        Against it stand: another open order of the strategy in this symbol (2C), a halt unless this is an EXIT, and
        a passed deadline; the row then FAILS in the same step. A row that is no longer CREATED is left as it is.

        Args:
            order: As it is to be sent.
            at: The date and time, for the database.
            cause: The envelope that brought it.
            steady: The time by which its deadline is judged, where that is not `at`.
            why: Why it was cut, or goes unverified; kept with the event.

        Raises:
            UnknownOrder: There is no such row.
        """
        steady = steady or at
        if steady <= order.deadline and self._claim(order, at):
            sent = replace(order, status=Status.SENT_TO_BROKER, updated_at=at)
            self._write_event(sent, Status.CREATED, at, cause, reason=_amended(order, why))
            return sent
        stored = self._order_to_change(order.command_id)
        if stored.status is not Status.CREATED:
            return NotMarked(stored, stored.tag, f"the row is {stored.status} and no longer CREATED")
        obstacle = self._obstacle(order, steady)
        if obstacle is None:
            # Gone since the claim: a halt was cleared, or the other order ended, by another writer.
            raise IllegalChange(f"{order.command_id} could not be marked, and nothing stands against it any more")
        tag, reason = obstacle
        failed = self.fail(order.command_id, Status.CREATED, tag, reason, at, cause)
        assert failed is not None, "the row was CREATED a moment ago, in this transaction"
        return NotMarked(failed, tag, reason)

    def _claim(self, order: Order, at: datetime) -> bool:
        where = (order.account, order.strategy, order.exchange, order.symbol)
        what = (order.quantity, product_text(order.product), time_text(at), order.command_id)
        try:
            with self._db.recoverable():
                return bool(self._db.write(_MARK, what + where).rowcount)
        except ConstraintViolated as error:
            # A second writer was faster, and only the partial unique index could see it (law 4).
            if error.unique:
                return False
            raise

    def _obstacle(self, order: Order, steady: datetime) -> tuple[Tag, str] | None:
        where = (order.account, order.strategy, order.exchange, order.symbol)
        other = self._db.execute(_OPEN_OTHER, where).fetchone()
        if other is not None:
            return Tag.DUPLICATE_ORDER_BLOCKED, f"order {other[0]} of this strategy and symbol is open"
        halt = self._db.execute(_HALTED, (order.account,)).fetchone()
        if halt is not None and order.execution_type.value != "EXIT":
            return Tag.RISK_LIMITS_EXCEEDED, f"trading halted: {halt[0]}"
        if steady > order.deadline:
            late = (steady - order.deadline).total_seconds()
            return Tag.DEADLINE_PASSED, f"not sent: the send deadline passed {late:.3f} s ago"
        return None

    # Steps 2 and 5

    def fail(  # noqa: PLR0917
        self, command_id: str, expected: Status, tag: Tag, reason: str, at: datetime, cause: str
    ) -> Order | None:
        """To FAILED, if the row still has status `expected`; otherwise None and nothing written."""
        reason = clean_text(reason)
        values = self._db.write(
            _FAIL, (tag.value, reason, time_text(at), command_id, Status(expected).value)
        ).fetchone()
        return self._changed(values, expected, at, cause)

    def accept(self, command_id: str, broker_order_id: str, at: datetime, cause: str) -> Order | NumberConflict | None:
        """Store the broker_order_id (5A); an unknown outcome is known with it.

        Returns:
            The order; None if the row has this number already; `NumberConflict` if the number does not fit.

        Raises:
            UnknownOrder: There is no such row.
            IllegalChange: The row is CREATED: nothing can have been sent for it.
        """
        values = self._db.write(_ACCEPT, (broker_order_id, time_text(at), command_id, broker_order_id)).fetchone()
        if values is not None:
            return self._changed(values, Status.SENT_TO_BROKER, at, cause, number=broker_order_id)
        order = self._order_to_change(command_id)
        if order.broker_order_id == broker_order_id:
            return None
        return self._number_conflict(order, broker_order_id, at, cause)

    def note_price(self, command_id: str, text: str, at: datetime, cause: str) -> None:
        """Add an event that tells by which price the order was sent; a push may have ended its row before."""
        order = self._order_to_change(command_id)
        if order.status is not Status.FAILED:
            noted = replace(order, updated_at=at, reason=with_more(order, clean_text(text)))
            self._amend(noted, order.status, at, cause, note=clean_text(text))

    def mark_unknown(self, command_id: str, reason: str, at: datetime, cause: str) -> Order | None:
        """The broker's answer is not known (scenarios A4-A6). Only for a row sent and without a number."""
        values = self._db.write(_UNKNOWN, (clean_text(reason), time_text(at), command_id)).fetchone()
        return self._changed(values, Status.SENT_TO_BROKER, at, cause)

    def absent(
        self, command_id: str, reason: str, at: datetime, cause: str, tag: Tag = Tag.BROKER_NOT_FOUND
    ) -> Order | None:
        """The broker never had the order, as repeated reads prove (scenario A2), or its day is over (B7): FAILED."""
        values = self._db.write(_ABSENT, (tag.value, clean_text(reason), time_text(at), command_id)).fetchone()
        return self._changed(values, Status.SENT_TO_BROKER, at, cause)

    def _changed(
        self, values: tuple[str, ...] | None, before: Status, at: datetime, cause: str, *, number: str | None = None
    ) -> Order | None:
        if values is None:
            return None
        order = order_from(values)
        told = order.reason if number is None else f"broker order {number}"
        self._write_event(order, before, at, cause, reason=told)
        return order

    # Numbers that do not fit

    def _number_conflict(self, order: Order, number: str, at: datetime, cause: str) -> NumberConflict:
        """Record a number that does not fit, once, and say why it does not."""
        if order.status is Status.CREATED:
            raise IllegalChange(f"{order.command_id} is CREATED and was never sent, but the broker numbers it {number}")
        owner = self._number_owner(order, number)
        attach = False
        if owner is not None:
            reason = f"the broker_order_id {number} belongs to order {owner} already"
        elif order.broker_order_id is not None:
            reason = f"two broker orders for one command: {order.broker_order_id} and {number}"
        else:
            attach = True
            reason = f"the broker has it as {number} although it was {order.status} with {order.tag}; it may be live"
        if not self._is_number_told(order.command_id, number):
            order = replace(
                order,
                updated_at=at,
                broker_order_id=number if attach else order.broker_order_id,
                reason=with_more(order, reason),
            )
            self._amend(order, order.status, at, cause, note=reason, other_number=number)
        return NumberConflict(order, number, reason, foreign=owner is not None)

    def _number_owner(self, order: Order, number: str) -> str | None:
        """The other command that has this number, if any."""
        found = self._db.execute(_NUMBER_OWNER, (order.account, order.trading_day.isoformat(), number)).fetchone()
        return None if found is None or found[0] == order.command_id else str(found[0])

    def _is_number_told(self, command_id: str, number: str) -> bool:
        return self._db.execute(_NUMBER_TOLD, (command_id, number)).fetchone() is not None


def with_more(order: Order, more: str) -> str | None:
    """The row's reason with something added. Only rows that FAILED or are unknown keep a reason; events keep all."""
    if order.status is not Status.FAILED and not order.unknown:
        return None
    return f"{order.reason}; {more}" if order.reason else more


def _amended(order: Order, why: str) -> str | None:
    """How what is sent differs from what was asked: the guard cuts an EXIT, or fills in its product (C4, C5)."""
    notes = []
    if order.quantity != order.intent.quantity:
        notes.append(f"quantity {order.intent.quantity} cut to {order.quantity}")
    if order.product is not order.intent.product:
        notes.append(f"product {order.product} as held")
    if why:
        notes.append(clean_text(why))
    return "; ".join(notes) or None
