"""Step 6: what the broker's books say of an order becomes fills, a position, and in the end a final row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import Fill, Order, Status, Tag, Terms
from core.rules.modifying import agrees, changes, terms_of, with_terms
from core.rules.slices import STOPPED, named, with_parts
from core.store.positions import Positions, weighted_average
from core.store.sending import Sending, unsent, with_more
from core.store.values import SqlValue, clean_text, day_text, decimal_text, terms_text, time_text

__all__ = ["PRICE_PLACES", "Reported", "Reporting"]

PRICE_PLACES = Decimal("0.0001")

_BOOKED = "SELECT broker_trade_id, broker_order_id, quantity, price, part FROM fills WHERE command_id = ?"
_BOOK = (
    "INSERT INTO fills (command_id, account, trading_day, exchange, broker_trade_id, broker_order_id, quantity, price, "
    "at, booked_at, part) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_FIRST_TERMS = "UPDATE orders SET first_terms = COALESCE(first_terms, ?) WHERE command_id = ?"

_ENDS = {
    BrokerStatus.REJECTED: Tag.BROKER_REJECTED,
    BrokerStatus.CANCELLED: Tag.BROKER_CANCELLED,
    BrokerStatus.EXPIRED: Tag.BROKER_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report came to.

    Attributes:
        order: The row as it stands now.
        new_fills: The fills that were not known before.
        settled: The row is final. False although the broker says the order is over means: fills are missing, and the
            trade book must be read again (scenario B4).
        changed: Something was written.
        notes: What a person should know.
        was: The terms that the row had, if they changed at the broker.
        modified: They are those asked for here; else somebody changed them there.
    """

    order: Order
    new_fills: tuple[Fill, ...]
    settled: bool
    changed: bool
    notes: tuple[str, ...] = ()
    was: Terms | None = None
    modified: bool = False


@dataclass(frozen=True, slots=True)
class _Booked:
    """A fill as it stands in the database."""

    broker_trade_id: str
    broker_order_id: str
    quantity: int
    price: Decimal
    part: int


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The row as it is stored, and the broker order as it will be with the number of the report.

    `foreign`: it is another order's number.
    """

    stored: Order
    part: Order
    notes: tuple[str, ...] = ()
    written: bool = False
    foreign: bool = False


class Reporting(Sending, Positions):
    """The operation of step 6."""

    def report(  # noqa: PLR0917
        self,
        command_id: str,
        report: BrokerOrderReport,
        fills: tuple[Fill, ...],
        at: datetime,
        cause: str,
        part: int = 1,
    ) -> Reported:
        """Apply what the broker says of an order: number, fills, and its end once all fills are booked.

        `part` is which of the broker orders of the command it says that of.

        Raises:
            UnknownOrder: There is no such row.
        """
        before = self._order_to_change(command_id)
        if before.at_broker[part - 1].status is Status.CREATED:
            # It cannot be ours: nothing is sent before its row says so (law 1). Somebody used our tag.
            note = f"the broker knows {report.broker_order_id} by this tag, and the row was never sent"
            return Reported(before, (), settled=False, changed=False, notes=(note,))
        numbered = self._with_number(before, before.at_broker[part - 1], report.broker_order_id, at, cause)
        stored, notes = numbered.stored, list(numbered.notes)
        if numbered.foreign:
            return Reported(stored, (), stored.is_final, numbered.written, numbered.notes)
        was = stored.at_broker[part - 1]
        all_booked = self._booked(command_id)
        booked = [fill for fill in all_booked if fill.part == part]
        new = self._book(was, report, fills, booked, at=at, notes=notes)
        one = _with_fills(_with_terms(numbered.part, report), booked, new)
        modified = was.modifying is not None and one.modifying is None
        if one.status is Status.SENT_TO_BROKER and one.broker_order_id == report.broker_order_id:
            one = _ended(one, report, booked)
        if one.terms != was.terms and one.reason is not None:
            one = replace(one, reason=with_more(one, _changed(was, one)))
        if new and one.filled_quantity > one.quantity:
            notes.append(named(one, f"more filled than ordered: {one.filled_quantity} of {one.quantity}"))
        if one == was:
            return Reported(stored, new, stored.is_final, numbered.written, tuple(notes))
        average = _average([*(fill for fill in all_booked if fill.part != part), *booked])
        number = one.broker_order_id if was.broker_order_id is None else None
        told = _told(was, one, new, number)
        rest = unsent(stored, STOPPED, f"not sent: slice {part} FAILED") if one.status is Status.FAILED else []
        order = self._put(
            *(stored, one, *rest),
            at=at,
            cause=cause,
            note=None if told is None else named(one, told),
            average=average,
            reason=_kept(stored, was, one, rest, new) if stored.broker_orders else None,
        )
        changed = stored.terms if order.terms != stored.terms else None
        if changed is not None:
            self._db.write(_FIRST_TERMS, (terms_text(changed), command_id))
        settled = order.is_final
        return Reported(order, new, settled, changed=True, notes=tuple(notes), was=changed, modified=modified)

    # The number

    def _with_number(self, order: Order, part: Order, number: str, at: datetime, cause: str) -> _Numbered:
        """Attach the number if the row has none (found by its tag); tell of one that does not fit (scenario A14)."""
        if part.broker_order_id == number:
            return _Numbered(order, part)
        if part.broker_order_id is None and not part.is_final and self._number_owner(part, number) is None:
            return _Numbered(order, replace(part, broker_order_id=number, unknown=False, reason=None))
        told = self._is_number_told(order.command_id, number)
        conflict = self._number_conflict(order, part, number, at, cause)
        notes = () if told else (conflict.reason,)
        now = conflict.order.at_broker[part.part - 1]
        return _Numbered(conflict.order, now, notes, written=not told, foreign=conflict.foreign)

    # The fills

    def _booked(self, command_id: str) -> list[_Booked]:
        found = self._db.execute(_BOOKED, (command_id,)).fetchall()
        return [
            _Booked(trade, number, int(quantity), Decimal(price), int(part))
            for trade, number, quantity, price, part in found
        ]

    def _book(
        self,
        order: Order,
        report: BrokerOrderReport,
        fills: Sequence[Fill],
        booked: list[_Booked],
        *,
        at: datetime,
        notes: list[str],
    ) -> tuple[Fill, ...]:
        """Book the fills that are not known yet (scenario B11), add them to `booked`, and return them.

        Never more than the broker says is filled in all: the same trade may come by another way under another id.
        """
        number, most = report.broker_order_id, _most(order, report)
        known = {(fill.broker_trade_id, fill.broker_order_id) for fill in booked}
        new = []
        for fill in fills:
            if (fill.broker_trade_id, number) in known:
                continue
            known.add((fill.broker_trade_id, number))
            if fill.quantity <= 0:
                notes.append(f"trade {fill.broker_trade_id} has quantity {fill.quantity} and was not booked")
            elif _quantity_of(number, booked) + fill.quantity > most:
                notes.append(
                    f"trade {fill.broker_trade_id} of {fill.quantity} was not booked: the broker counts {most} filled "
                    f"in all, and {_quantity_of(number, booked)} are booked"
                )
            elif not self._insert_fill(order, number, fill, at):
                notes.append(f"trade {fill.broker_trade_id} of {number} is booked for another order already")
            else:
                self._add_to_position(order, fill, at)
                booked.append(_Booked(fill.broker_trade_id, number, fill.quantity, fill.price, order.part))
                new.append(fill)
        return tuple(new)

    def _insert_fill(self, order: Order, number: str, fill: Fill, at: datetime) -> bool:
        values: tuple[SqlValue, ...] = (
            order.command_id,
            order.account,
            day_text(order.trading_day),
            order.exchange,
            fill.broker_trade_id,
            number,
            fill.quantity,
            decimal_text(fill.price),
            time_text(fill.at),
            time_text(at),
            order.part,
        )
        return bool(self._db.write(_BOOK, values).rowcount == 1)


def _quantity_of(number: str, booked: Sequence[_Booked]) -> int:
    return sum(fill.quantity for fill in booked if fill.broker_order_id == number)


def _most(order: Order, report: BrokerOrderReport) -> int:
    """How much can have been filled: what the report counts; the whole order where it counts nothing (scenario B4)."""
    return report.filled_quantity or order.quantity


def _with_terms(order: Order, report: BrokerOrderReport) -> Order:
    """The row with the terms that the order has at the broker: asked for here, or changed there by a person (C12)."""
    if order.is_final or order.broker_order_id != report.broker_order_id:
        return order
    terms, pending = terms_of(order, report), order.modifying
    changed = order if terms == order.terms else with_terms(order, terms)
    done = pending is not None and agrees(pending, report)
    return replace(changed, modifying=None) if done else changed


def _with_fills(order: Order, booked: Sequence[_Booked], new: Sequence[Fill]) -> Order:
    """The row after its fills: their sum and their exact average. After its end this is an amendment (B12)."""
    if not new:
        return order
    filled = sum(fill.quantity for fill in booked)
    order = replace(order, filled_quantity=filled, average_price=_average(booked))
    return replace(order, reason=with_more(order, _late(order, new))) if order.is_final else order


def _average(booked: Sequence[_Booked]) -> Decimal | None:
    return weighted_average(tuple((fill.quantity, fill.price) for fill in booked), PRICE_PLACES) if booked else None


def _late(order: Order, new: Sequence[Fill]) -> str:
    late = sum(fill.quantity for fill in new)
    return f"late fill of {late}: filled {order.filled_quantity} of {order.quantity}"


def _ended(order: Order, report: BrokerOrderReport, booked: Sequence[_Booked]) -> Order:
    """The final row, once the broker says that the order is over and every fill it counts is booked."""
    final = _final(order, report, booked)
    return replace(final, modifying=None) if final.is_final else final


def _final(order: Order, report: BrokerOrderReport, booked: Sequence[_Booked]) -> Order:
    booked_quantity = _quantity_of(report.broker_order_id, booked)
    if report.status is BrokerStatus.COMPLETE:
        # A COMPLETE order that does not say how much was filled, or says nothing was, is not believed (scenario B4).
        if booked_quantity < (report.filled_quantity or order.quantity):
            return order
        return replace(order, status=Status.EXECUTED)
    tag = _ENDS.get(report.status)
    if tag is None or booked_quantity < (report.filled_quantity or 0):
        return order
    if booked_quantity >= order.quantity:
        # Its last fill came while the books still called it cancelled (scenario B12): all of it was executed.
        return replace(order, status=Status.EXECUTED)
    reason = clean_text(report.reason) if report.reason else f"{clean_text(report.raw_status)} at the broker"
    if order.filled_quantity:
        reason = f"{reason}; partly filled: {order.filled_quantity} of {order.quantity}"
    return replace(order, status=Status.FAILED, tag=tag, reason=reason)


def _kept(stored: Order, was: Order, part: Order, rest: Sequence[Order], new: Sequence[Fill]) -> str | None:
    """What the row of an order in slices keeps beside how it ended, as that of a single one does."""
    whole = with_parts(stored, (part, *rest))
    if stored.is_final and new:
        return with_more(whole, named(part, _late(part, new)))
    return with_more(whole, named(part, _changed(was, part))) if part.terms != was.terms else None


def _changed(stored: Order, order: Order) -> str:
    before, now, pending = stored.terms, order.terms, stored.modifying
    if pending is not None and pending.terms == now:
        return f"modified as {pending.by} asked: {before} to {now}"
    return "; ".join(f"{what} changed at the broker: {how}" for what, how in changes(before, now))


def _told(stored: Order, order: Order, new: Sequence[Fill], number: str | None) -> str | None:
    """What the event says where the row keeps no reason."""
    told = [f"broker order {number}, found by its tag"] if number is not None else []
    if order.terms != stored.terms:
        told.append(_changed(stored, order))
    elif stored.modifying is not None and order.is_final:
        told.append(f"over before it was {stored.modifying.terms}")
    elif stored.modifying is not None and order.modifying is None:
        told.append(f"it is {order.terms}, as {stored.modifying.by} asked")
    if new:
        told.append(f"filled {order.filled_quantity} of {order.quantity}")
    return "; ".join(told) or None
