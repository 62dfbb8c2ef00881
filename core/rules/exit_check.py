"""The EXITs that passed every other check and wait for reads of the account that began after they came.

An ADJUST that takes something off a holding is an EXIT here: it could open a position as well.

A read that shows enough lets an EXIT go at once. One that shows less is no verdict until an external order explains it
or a second read agrees. What cannot be read within a bound is settled by `[exits] when_unverified`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.messages import AccountRead
from core.model.order import Order, Tag
from core.rules.closes import Room
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook

__all__ = ["ExitChecks", "Refused", "Released", "Unverified"]

# Of an order's remaining time to its send deadline, the part that may be spent on verifying it.
_SHARE_OF_DEADLINE = 0.5


@dataclass(frozen=True, slots=True)
class Released:
    """The EXIT may go, as `order` says; `reason` where it was cut."""

    order: Order
    reason: str = ""
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Refused:
    """The EXIT would take the account past what is the strategies' own."""

    order: Order
    tag: Tag
    reason: str
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Unverified:
    """The account could not be read in time; `sent` says what the setting does then."""

    order: Order
    sent: bool
    reason: str
    since: datetime
    looks: int = 1


@dataclass(slots=True)
class _Waiting:
    order: Order
    since: datetime
    until: datetime
    looks: int = 1
    cut: str = ""  # why it asks for less than it did when it came
    rooms: dict[datetime, int] = field(default_factory=dict)  # by when the positions were asked for
    longer: bool = False  # one read denied it, and it waits once more as long for the second


class ExitChecks:
    """EXITs in the order they came. Times are steady.

    Args:
        send_unverified: What happens to an EXIT whose account cannot be read: sent, or held.
        within_s: How long it may wait for the reads.
    """

    def __init__(self, *, send_unverified: bool, within_s: float) -> None:
        self._send = send_unverified
        self._within_s = within_s
        self._waiting: dict[str, _Waiting] = {}
        # Let go, and not seen in an order book yet, in the order they were; and when.
        self._let_go: dict[str, tuple[Order, datetime]] = {}

    @property
    def waiting(self) -> bool:
        """Whether an EXIT waits."""
        return bool(self._waiting)

    def begin(self, order: Order, now: datetime, looks: int = 1, cut: str = "") -> None:
        """An EXIT passed the other checks, which may have `cut` it; at a later look its row says SENT_TO_BROKER."""
        left = (order.deadline - now).total_seconds() * _SHARE_OF_DEADLINE
        until = now + timedelta(seconds=max(0.0, min(self._within_s, left)))
        self._waiting[order.command_id] = _Waiting(order, now, until, looks, cut)
        self._let_go.pop(order.command_id, None)
        # Those that are looked at again came before all others.
        self._waiting = dict(sorted(self._waiting.items(), key=lambda item: item[1].looks == 1))

    def drop(self, command_id: str) -> None:
        """The order is over, for another reason."""
        self._waiting.pop(command_id, None)
        self._let_go.pop(command_id, None)

    def keep(self, reserved: set[str]) -> None:
        """After a restore: what is not reserved any more does not wait."""
        self._waiting = {name: waiting for name, waiting in self._waiting.items() if name in reserved}
        self._let_go = {name: gone for name, gone in self._let_go.items() if name in reserved}

    def step(
        self, cap: ExitCap, book: GuardBook, now: datetime, read: AccountRead | None
    ) -> tuple[list[Released | Refused | Unverified], bool]:
        """Decide what can be decided, first come first.

        Returns:
            The verdicts, and whether an EXIT came too late for this read, so that another is wanted at once.
        """
        verdicts: list[Released | Refused | Unverified] = []
        too_old = False
        for command_id in tuple(self._waiting):
            waiting = self._waiting[command_id]
            verdict: Released | Refused | Unverified | None = None
            if read is not None and min(read.asked_at, read.orders_asked_at) >= waiting.since:
                verdict = self._judge(waiting, cap, book, read.asked_at)
            elif read is not None:
                too_old = True
            if verdict is None and now >= waiting.until and not self._waits_longer(waiting):
                verdict = self._unverified(waiting, cap, book)
            if verdict is not None:
                del self._waiting[command_id]
                verdict = replace(verdict, looks=waiting.looks)
                if not isinstance(verdict, Refused):
                    verdict = replace(verdict, reason="; ".join(filter(None, (waiting.cut, verdict.reason))))
                    # What is let go counts for those that came after it, as it was cut.
                    book.note_sent(verdict.order)
                    if isinstance(verdict, Released) or verdict.sent:
                        self._let_go[command_id] = verdict.order, now
                else:
                    book.force_clear_symbol(verdict.order, now)
                verdicts.append(verdict)
        return verdicts, too_old and bool(self._waiting)

    def doubted(self, cap: ExitCap, book: GuardBook, now: datetime, read: AccountRead) -> list[Order]:
        """The EXITs let go before a read came, which `cap` has taken in, that it leaves less for than they would close.

        Proven or not: one that waits for its call can be looked at again. One that a book shows is at the broker.
        """
        listed = {own.command_id for own in read.own if own.filled is not None}
        self._let_go = {name: gone for name, gone in self._let_go.items() if name not in listed}
        names = (*self._let_go, *self._waiting)
        found = [
            order
            for number, (order, at) in enumerate(self._let_go.values())
            if at < now and cap.judge(order, book, frozenset(names[number:])).quantity < order.quantity
        ]
        for order in found:
            # Once is enough: looked at again, it is let go anew.
            del self._let_go[order.command_id]
        return found

    def _waits_longer(self, waiting: _Waiting) -> bool:
        """Whether the books come, and slowly: one read denied the EXIT, and no second one came in time."""
        waited = waiting.until - waiting.since
        if waiting.longer or len(waiting.rooms) != 1 or waiting.order.deadline < waiting.until + 2 * waited:
            return False
        waiting.longer = True
        waiting.until += waited
        return True

    def _room(self, waiting: _Waiting, cap: ExitCap, book: GuardBook) -> Room:
        names = list(self._waiting)
        # Those that came later do not count, nor does it itself.
        without = frozenset(names[names.index(waiting.order.command_id) :])
        return cap.judge(waiting.order, book, without)

    def _judge(self, waiting: _Waiting, cap: ExitCap, book: GuardBook, asked_at: datetime) -> Released | Refused | None:
        room = self._room(waiting, cap, book)
        waiting.rooms[asked_at] = room.quantity
        return _verdict(waiting, room)

    def _unverified(self, waiting: _Waiting, cap: ExitCap, book: GuardBook) -> Unverified | Refused:
        order, kind = waiting.order, waiting.order.execution_type
        # What earlier reads proved stays true while nothing can be read.
        room = self._room(waiting, cap, book)
        known = _verdict(waiting, room) if room.proven else None
        if isinstance(known, Refused):
            return known
        tried = f"the account could not be verified within {(waiting.until - waiting.since).total_seconds():g} s"
        if waiting.rooms:
            tried += f"; single reads left {', '.join(map(str, waiting.rooms.values()))} of {order.quantity} to close"
        # No two reads deny more than the greatest of them.
        quantity = max(waiting.rooms.values()) if len(waiting.rooms) > 1 else order.quantity
        if known is not None:
            quantity = min(quantity, known.order.quantity)
        if not self._send:
            held = f"{kind} not sent: {tried} ([exits] when_unverified = hold)"
        elif quantity == 0:
            held = f"{kind} not sent: {tried}; no read showed anything to close"
        elif quantity < order.quantity and waiting.looks > 1:
            held = f"{kind} not sent: {tried}; send it again"
        else:
            how = f"{kind} of {quantity} sent unverified: {tried} ([exits] when_unverified = send)"
            return Unverified(replace(order, quantity=quantity), sent=True, reason=how, since=waiting.since)
        return Unverified(order, sent=False, reason=held, since=waiting.since)


def _verdict(waiting: _Waiting, room: Room) -> Released | Refused | None:
    """What a room means for an order; None while nothing is proven."""
    order, kind = waiting.order, waiting.order.execution_type
    if room.quantity >= order.quantity:
        return Released(order)
    if not room.proven:
        return None
    if room.quantity > 0 and waiting.looks > 1:
        return Refused(
            order,
            Tag.EXECUTION_GUARD_BLOCKED,
            f"{kind} of {order.quantity} not sent: while it waited for its call, "
            f"only {room.quantity} {order.symbol} {order.product} were left to close: {room.reason}; send it again",
        )
    if room.quantity > 0:
        return Released(
            replace(order, quantity=room.quantity),
            f"{kind} of {order.quantity} cut to {room.quantity} {order.symbol} {order.product}: {room.reason}",
        )
    return Refused(
        order,
        Tag.POSITION_ALREADY_FLAT,
        f"{kind} refused: nothing of {order.symbol} {order.product} is left to close for {order.strategy}: "
        f"{room.reason}",
    )
