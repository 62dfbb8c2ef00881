"""Steps 3 and 5: the row says SENT_TO_BROKER before the broker is called, and what came of the call after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.model.order import ExecutionType, Order, Status, Tag
from core.rules.slices import STOPPED, cut, named
from core.store.errors import ConstraintViolated, IllegalChange, UnknownOrder
from core.store.rows import ALL, OrderRows
from core.store.values import clean_text, order_from, product_text, time_text

__all__ = ["NotMarked", "NumberConflict", "Sending", "unsent", "with_more"]

# All conditions of step 3 in one statement: one that holds costs nothing extra, one that does not is looked up after.
_MARK = """
UPDATE orders SET status = 'SENT_TO_BROKER', quantity = ?, product = ?, parts = ?, updated_at = ?
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
    f"WHERE command_id = ? AND status = 'CREATED' RETURNING {ALL}"
)
_NUMBER_OWNER = (
    "SELECT client_order_id FROM broker_orders WHERE account = ? AND trading_day = ? AND broker_order_id = ?"
)
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
        self,
        order: Order,
        at: datetime,
        cause: str,
        steady: datetime | None = None,
        why: str = "",
        *,
        in_parallel: bool = False,
    ) -> Order | NotMarked:
        """CREATED to SENT_TO_BROKER with the quantity and product of `order`, if nothing stands against it.

        Against it stand: another open order of the strategy in this symbol (2C), a halt unless this is an EXIT, and
        a passed deadline; the row then FAILS in the same step. A row that is no longer CREATED is left as it is.

        An order above what the exchange takes at once gets several broker orders. Only the first of them may be sent,
        and the others by `mark_next`; all of them `in_parallel`.

        Args:
            order: As it is to be sent.
            at: The date and time, for the database.
            cause: The envelope that brought it.
            steady: The time by which its deadline is judged, where that is not `at`.
            why: Why it was cut, or goes unverified; kept with the event.
            in_parallel: Whether its slices go out at once.

        Raises:
            UnknownOrder: There is no such row.
        """
        steady = steady or at
        pieces = cut(order.quantity, order.most_at_once)
        if steady <= order.deadline and self._claim(order, len(pieces), at):
            sent = replace(order, status=Status.SENT_TO_BROKER, updated_at=at, parts=len(pieces), most_at_once=0)
            self._write_event(sent, Status.CREATED, at, cause, reason=_amended(order, why, pieces))
            return self._with_pieces(sent, pieces, at, in_parallel=in_parallel)
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

    def _with_pieces(self, sent: Order, pieces: tuple[int, ...], at: datetime, *, in_parallel: bool) -> Order:
        parts = []
        for part, quantity in enumerate(pieces, 1):
            status = Status.SENT_TO_BROKER if part == 1 or in_parallel else Status.CREATED
            one = replace(sent, part=part, quantity=quantity, status=status)
            self._insert_part(one, at)
            parts.append(one)
        return replace(sent, broker_orders=tuple(parts)) if len(parts) > 1 else sent

    def mark_next(
        self, command_id: str, at: datetime, cause: str, steady: datetime
    ) -> tuple[Order, Order | None] | None:
        """The next slice of an order to SENT_TO_BROKER, after the one before it was taken; if nothing stands against.

        Against it stand a halt and a passed deadline, as at the mark; then the rest FAILS.

        Returns:
            The order, and the slice that may be sent now, if any may; None where none waits.

        Raises:
            UnknownOrder: There is no such row.
        """
        order = self._order_to_change(command_id)
        waiting = next((one for one in order.broker_orders if one.status is Status.CREATED), None)
        if waiting is None:
            return None
        obstacle = self._risk_obstacle(order, steady)
        if obstacle is not None:
            return self._put(order, *unsent(order, *obstacle), at=at, cause=cause, note=obstacle[1]), None
        part = replace(waiting, status=Status.SENT_TO_BROKER, updated_at=at)
        return self._put(order, part, at=at, cause=cause, note=named(part, "may be sent")), part

    def stop_rest(self, command_id: str, tag: Tag, reason: str, at: datetime, cause: str) -> Order | None:
        """The slices of an order that were not sent yet never will be; None where there are none."""
        order = self._order_to_change(command_id)
        rest = unsent(order, tag, clean_text(reason))
        return self._put(order, *rest, at=at, cause=cause, note=named(rest[0], reason)) if rest else None

    def _claim(self, order: Order, parts: int, at: datetime) -> bool:
        where = (order.account, order.strategy, order.exchange, order.symbol)
        what = (order.quantity, product_text(order.product), parts, time_text(at), order.command_id)
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
        return self._risk_obstacle(order, steady)

    def _risk_obstacle(self, order: Order, steady: datetime) -> tuple[Tag, str] | None:
        halt = self._db.execute(_HALTED, (order.account,)).fetchone()
        if halt is not None and order.execution_type.value != "EXIT":
            return Tag.RISK_LIMITS_EXCEEDED, f"trading halted: {halt[0]}"
        if steady > order.deadline:
            late = (steady - order.deadline).total_seconds()
            return Tag.DEADLINE_PASSED, f"not sent: the send deadline passed {late:.3f} s ago"
        return None

    # Steps 2 and 5. `part` is which of the broker orders of the command it is about.

    def fail(  # noqa: PLR0917
        self, command_id: str, expected: Status, tag: Tag, reason: str, at: datetime, cause: str, part: int = 1
    ) -> Order | None:
        """To FAILED, if the row still has status `expected`; otherwise None and nothing written.

        Slices that were not sent yet FAIL with it: what was not taken of one is not tried with the next.
        """
        reason = clean_text(reason)
        if expected is Status.CREATED:
            values = self._db.write(_FAIL, (tag.value, reason, time_text(at), command_id)).fetchone()
            if values is None:
                return None
            order = order_from(values)
            self._write_event(order, expected, at, cause, reason=reason)
            return order
        found = self._sent_part(command_id, part)
        if found is None:
            return None
        failed = replace(found[1], status=Status.FAILED, tag=tag, reason=reason, unknown=False)
        return self._put_failed(found[0], failed, at, cause)

    def accept(
        self, command_id: str, broker_order_id: str, at: datetime, cause: str, part: int = 1
    ) -> Order | NumberConflict | None:
        """Store the broker_order_id (5A); an unknown outcome is known with it.

        Returns:
            The order; None if the row has this number already; `NumberConflict` if the number does not fit.

        Raises:
            UnknownOrder: There is no such row.
            IllegalChange: The row is CREATED: nothing can have been sent for it.
        """
        order = self._order_to_change(command_id)
        one = order.at_broker[part - 1]
        if one.broker_order_id == broker_order_id:
            return None
        fits = one.status is Status.SENT_TO_BROKER and one.broker_order_id is None
        if not fits or self._number_owner(one, broker_order_id) is not None:
            return self._number_conflict(order, one, broker_order_id, at, cause)
        taken = replace(one, broker_order_id=broker_order_id, unknown=False, reason=None)
        return self._put(order, taken, at=at, cause=cause, note=named(one, f"broker order {broker_order_id}"))

    def note_price(self, command_id: str, text: str, at: datetime, cause: str) -> None:
        """Add an event that tells by which price the order was sent; a push may have ended its row before."""
        order = self._order_to_change(command_id)
        if order.status is not Status.FAILED:
            noted = replace(order, updated_at=at, reason=with_more(order, clean_text(text)))
            self._amend(noted, order.status, at, cause, note=clean_text(text))

    def mark_unknown(self, command_id: str, reason: str, at: datetime, cause: str, part: int = 1) -> Order | None:
        """The broker's answer is not known (scenarios A4-A6). Only for a row sent and without a number.

        Of an order that opens, slices that were not sent yet FAIL; an EXIT goes on with them.
        """
        found = self._sent_part(command_id, part)
        if found is None or found[1].broker_order_id is not None or found[1].unknown:
            return None
        order, one = found
        rest = []
        if order.execution_type is not ExecutionType.EXIT:
            rest = unsent(order, STOPPED, f"not sent: the outcome of slice {part} is unknown")
        unknown = replace(one, unknown=True, reason=clean_text(reason))
        note = named(one, f"outcome unknown: {reason}")
        return self._put(order, unknown, *rest, at=at, cause=cause, note=clean_text(note))

    def absent(  # noqa: PLR0917
        self,
        command_id: str,
        reason: str,
        at: datetime,
        cause: str,
        tag: Tag = Tag.BROKER_NOT_FOUND,
        part: int = 1,
    ) -> Order | None:
        """The broker never had the order, as repeated reads prove (scenario A2), or its day is over (B7): FAILED."""
        found = self._sent_part(command_id, part)
        if found is None or found[1].broker_order_id is not None:
            return None
        gone = replace(found[1], status=Status.FAILED, tag=tag, reason=clean_text(reason), unknown=False)
        return self._put_failed(found[0], gone, at, cause)

    def _sent_part(self, command_id: str, part: int) -> tuple[Order, Order] | None:
        """A command and one of its broker orders, if that is SENT_TO_BROKER."""
        try:
            order = self._order_to_change(command_id)
        except UnknownOrder:
            return None
        one = order.at_broker[part - 1]
        return (order, one) if one.status is Status.SENT_TO_BROKER else None

    def _put_failed(self, order: Order, failed: Order, at: datetime, cause: str) -> Order:
        rest = unsent(order, STOPPED, f"not sent: slice {failed.part} FAILED")
        note = named(failed, f"{failed.tag}: {failed.reason}")
        return self._put(order, failed, *rest, at=at, cause=cause, note=note)

    # Numbers that do not fit

    def _number_conflict(self, order: Order, part: Order, number: str, at: datetime, cause: str) -> NumberConflict:
        """Record a number that does not fit a broker order of `order`, once, and say why it does not."""
        name = part.client_tag
        if part.status is Status.CREATED:
            raise IllegalChange(f"{name} is CREATED and was never sent, but the broker numbers it {number}")
        owner = self._number_owner(part, number)
        attach = False
        if owner is not None:
            reason = f"the broker_order_id {number} belongs to order {owner} already"
        elif part.broker_order_id is not None:
            reason = f"two broker orders for one command: {part.broker_order_id} and {number}"
        else:
            attach = True
            reason = f"the broker has it as {number} although it was {part.status} with {part.tag}; it may be live"
        reason = named(part, reason)
        if not self._is_number_told(order.command_id, number):
            attached = number if attach else part.broker_order_id
            told = replace(part, broker_order_id=attached, reason=with_more(part, reason))
            kept = with_more(order, reason)
            order = self._put(order, told, at=at, cause=cause, note=reason, other_number=number, reason=kept)
        return NumberConflict(order, number, reason, foreign=owner is not None)

    def _number_owner(self, part: Order, number: str) -> str | None:
        """The other broker order that has this number, if any, by its client_order_id."""
        found = self._db.execute(_NUMBER_OWNER, (part.account, part.trading_day.isoformat(), number)).fetchone()
        return None if found is None or found[0] == part.client_tag else str(found[0])

    def _is_number_told(self, command_id: str, number: str) -> bool:
        return self._db.execute(_NUMBER_TOLD, (command_id, number)).fetchone() is not None


def with_more(order: Order, more: str) -> str | None:
    """The row's reason with something added. Only rows that FAILED or are unknown keep a reason; events keep all."""
    if order.status is not Status.FAILED and not order.unknown:
        return None
    return f"{order.reason}; {more}" if order.reason else more


def unsent(order: Order, tag: Tag, reason: str) -> list[Order]:
    """The slices of an order that were not sent yet, as FAILED."""
    waiting = (one for one in order.broker_orders if one.status is Status.CREATED)
    return [replace(one, status=Status.FAILED, tag=tag, reason=reason) for one in waiting]


def _amended(order: Order, why: str, pieces: tuple[int, ...]) -> str | None:
    """How what is sent differs from what was asked: the guard cuts an EXIT, or fills in its product (C4, C5)."""
    notes = []
    if len(pieces) > 1:
        notes.append(f"above the freeze quantity: sent as {' + '.join(map(str, pieces))}")
    if order.quantity != order.intent.quantity:
        notes.append(f"quantity {order.intent.quantity} cut to {order.quantity}")
    if order.product is not order.intent.product:
        notes.append(f"product {order.product} as held")
    if why:
        notes.append(clean_text(why))
    return "; ".join(notes) or None
