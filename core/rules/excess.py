"""EXITs that work at the exchange for more than is left to close, and what to do about them (scenario G1).

A stop or limit EXIT may rest for hours. When a person closes the holding meanwhile, what still rests would open the
opposite position. So with each read of the account all EXITs of a position are judged again, first come first, as a new
EXIT is. Those beyond the room are cancelled: of each position and side one at a time, the newest first. Whether a
cancel did anything is told by the next read. It is repeated only after one, a bounded number of times; then a person is
told. A part cannot be taken off an order here, so the whole of it is cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.messages import AccountRead, CancelStatus
from core.model.order import ExecutionType, Order, Product
from core.rules.closes import Room
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook

__all__ = ["PAUSES_S", "Excess", "ExcessExits", "excess_text"]

PAUSES_S = (2.0, 5.0, 10.0, 20.0)
"""Seconds after each cancel of an EXIT before the next; after the last of them a person must end it."""

# Exchange, symbol and product; with the side's sign.
Account = tuple[str, str, Product]
_Place = tuple[Account, int]


@dataclass(frozen=True, slots=True)
class Excess:
    """An EXIT that may fill `open_quantity` more where `room` is left, since `reason`.

    It is to be cancelled, unless it is `given_up`. `unanswered`: no answer came to the cancel before.
    """

    order: Order
    open_quantity: int
    room: int
    reason: str
    given_up: bool = False
    unanswered: bool = False


@dataclass(slots=True)
class _Try:
    attempts: int
    made_at: datetime
    next_at: datetime
    asked: Excess | None
    given_up: bool = False


class ExcessExits:
    """The EXITs that are being cancelled because nothing is left for them. Times are steady."""

    def __init__(self) -> None:
        self._tries: dict[str, _Try] = {}
        # When positions were asked for that first showed an EXIT to lack room although no order explains it.
        self._doubted: dict[str, datetime] = {}

    def step(self, cap: ExitCap, book: GuardBook, read: AccountRead, now: datetime) -> list[Excess]:
        """What to cancel, or to hand to a person, after a read of both books that `cap` has taken in."""
        working = sorted(book.in_flight(), key=lambda one: (one[1], one[0].created_at))
        everything = frozenset(order.command_id for order, _ in working)
        self._tries = {name: made for name, made in self._tries.items() if name in everything}
        self._doubted = {name: at for name, at in self._doubted.items() if name in everything}
        at_broker = {command_id for command_id, _ in book.sent()}
        # One that the book does not list yet neither counts nor is touched: the next read tells.
        at_broker &= {own.command_id for own in read.own if own.filled is not None}
        places: dict[_Place, list[Order]] = {}
        for order, _ in working:
            if order.execution_type is ExecutionType.EXIT and order.product and order.command_id in at_broker:
                place = ((order.exchange, order.symbol, order.product), order.side.sign)
                places.setdefault(place, []).append(order)
        found = []
        for (account, sign), exits in places.items():
            if _covered(cap, book, account, sign, exits):
                continue
            beyond = []
            within: set[str] = set()
            for order in exits:
                room = cap.judge(order, book, everything - within)
                if room.quantity >= _open(order):
                    within.add(order.command_id)
                    self._doubted.pop(order.command_id, None)
                elif room.proven and self._sure(order, read, unexplained=cap.unexplained(account) * sign > 0):
                    beyond.append((order, room))
            if (excess := self._next(beyond, read, now)) is not None:
                found.append(excess)
        return found

    def _sure(self, order: Order, read: AccountRead, *, unexplained: bool) -> bool:
        """Whether no fill of ours, which the order book did not show yet, can be what is missing in the positions."""
        if not unexplained:
            return True
        first = self._doubted.setdefault(order.command_id, read.asked_at)
        return read.orders_asked_at > first

    def _next(self, beyond: list[tuple[Order, Room]], read: AccountRead, now: datetime) -> Excess | None:
        """The one to cancel now: the newest that no person was told of, once its pause is over and it was read anew."""
        for order, room in reversed(beyond):
            made = self._tries.get(order.command_id)
            if made is not None and made.given_up:
                continue
            excess = Excess(order, _open(order), room.quantity, room.reason)
            if made is None:
                self._tries[order.command_id] = _Try(1, now, now + timedelta(seconds=PAUSES_S[0]), excess)
                return excess
            if now < made.next_at or min(read.asked_at, read.orders_asked_at) <= made.made_at:
                return None
            unanswered = made.asked is not None
            made.given_up = made.attempts >= len(PAUSES_S)
            if not made.given_up:
                made.made_at, made.next_at = now, now + timedelta(seconds=PAUSES_S[made.attempts])
                made.attempts, made.asked = made.attempts + 1, excess
            return Excess(order, excess.open_quantity, excess.room, excess.reason, made.given_up, unanswered)
        return None

    def answered(self, command_id: str) -> Excess | None:
        """What an answer to a cancel is about; None where it is about nothing asked here, or the order is over."""
        made = self._tries.get(command_id)
        if made is None or made.asked is None:
            return None
        asked, made.asked = made.asked, None
        return asked


def _open(order: Order) -> int:
    return order.quantity - order.filled_quantity


def _covered(cap: ExitCap, book: GuardBook, account: Account, sign: int, exits: list[Order]) -> bool:
    """Whether each strategy holds what its EXITs may fill, and nobody else closed any: the usual case, told quickly."""
    stakes = book.stakes(account, sign, frozenset())
    left = {stake.strategy: stake.quantity for stake in stakes}
    for order in exits:
        left[order.strategy] = left.get(order.strategy, 0) - _open(order)
    return min(left.values()) >= 0 and not cap.claimed(account, sign, stakes)


def excess_text(excess: Excess, standing: CancelStatus | None, answer: str = "") -> str | None:
    """What a person is told of a cancel and its answer, if any came; None where the order was over before."""
    order = excess.order
    if standing is CancelStatus.OVER:
        return None
    text = (
        f"{order.command_id}: EXIT of {order.strategy} works at the exchange for "
        f"{order.side} {excess.open_quantity} {order.symbol} {order.product}, and {excess.room or 'nothing'} "
        f"is left to close: {excess.reason or 'the holding is gone'}; "
    )
    if excess.given_up:
        return f"{text}{len(PAUSES_S)} cancels came to nothing; a person must cancel it"
    match standing:
        case None:
            text += "no answer to its cancel came; it is cancelled again"
        case CancelStatus.CANCELLED:
            text += f"cancelled: {answer}"
        case CancelStatus.TAKEN:
            text += f"it is being cancelled: {answer}"
        case CancelStatus.UNKNOWN:
            text += f"whether its cancel was done is not known ({answer}); tried again after the next read"
        case _:
            text += f"its cancel failed ({answer}); tried again after the next read"
    if excess.room:
        text += f"; once it is cancelled, send it again for {excess.room}"
    return text
