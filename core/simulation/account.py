"""Law 6 with everybody trading, judged from the exchange's own sequence of trades and from nothing of ours.

What is the strategies' own in a contract and product follows from that sequence alone: their trades make it, and an
external trade opposite to it closes it first. What stood before, and what an external trade opens, is nobody's here.
An EXIT may take the account no further than what is the strategies' own. Where the exchange traded a moment before, so
that no reply and no frame could have told of it, the EXIT cannot be stopped; then the service must say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from core.paper.orders import Order, Trade

__all__ = ["AccountJudge", "Move", "Place", "own_of"]

Place = tuple[str, str, str]
"""Exchange, trading symbol and product code: what the broker nets."""

# A reply or a frame that came back so long before a call must have been acted upon.
_SLACK_S = 1.0
# The exchange's times are whole microseconds.
_MOMENT_S = 2e-6
# What an external trade did longer ago than this and no reply told: then the service was blind, and has to say so.
_BLIND_S = 30.0


@dataclass(slots=True, eq=False)
class Move:
    """A change of what the account holds in one place.

    Attributes:
        at: Seconds since the world began.
        signed: Units, positive for bought.
        order: Whose trade it is; None for a conversion.
        ours: Whether it is a trade of an order of the service.
        seen_at: When the first true reply or frame that tells of it came back; None as long as none did.
    """

    at: float
    signed: int
    order: Order | None
    ours: bool
    seen_at: float | None = None


@dataclass(slots=True)
class _Books:
    """One place's history."""

    moves: list[Move] = field(default_factory=list)
    unseen: list[Move] = field(default_factory=list)


def own_of(moves: Iterable[Move], counts: Callable[[Move], bool] = lambda _: True) -> int:
    """What is the strategies' own after these moves: positive for long.

    Args:
        moves: In the exchange's sequence.
        counts: Whether an external move is to be reckoned with.
    """
    own = 0
    for move in moves:
        if move.ours:
            own += move.signed
        elif own * move.signed < 0 and counts(move):
            own += move.signed if abs(move.signed) <= abs(own) else -own
    return own


class AccountJudge:
    """Keeps every trade of the account, and judges each EXIT of the service as the exchange takes it.

    Args:
        now: Seconds since the world began.
        is_exit: Whether an order of ours, by its client tag, is an EXIT.
        broken: Told of a law that does not hold.
        slack_s: How long the service may take to act upon what a reply told it.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        is_exit: Callable[[str], bool],
        broken: Callable[[str, str], object],
        slack_s: float = _SLACK_S,
    ) -> None:
        self._now = now
        self._is_exit = is_exit
        self._broken = broken
        self._slack_s = slack_s
        self._places: dict[Place, _Books] = {}
        self._exits: dict[Place, list[Order]] = {}
        self._called_at: dict[str, float] = {}
        self._alerts: list[tuple[float, str, str]] = []
        self.overdrawn: dict[Place, tuple[float, str]] = {}
        """Where an EXIT took the account past what was the strategies' own: when, and which."""

    # What happens at the exchange

    def traded(self, order: Order, trade: Trade, at: float, *, ours: bool) -> None:
        """An order of the account, whoever placed it, traded."""
        signed = trade.qty if order.entry.side == "B" else -trade.qty
        place = (order.instrument.exch, order.instrument.tsym, order.entry.prd)
        before = own_of(self._books(place).moves) if ours else 0
        self._add(place, Move(at, signed, order, ours))
        if ours and before * (before + signed) <= 0 and before + signed and self._is_exit(order.remarks):
            self.overdrawn[place] = (at, order.remarks)

    def converted(self, before: Place, after: Place, signed: int, at: float) -> None:
        """Units went from one product to the other; what was the strategies' own among them stays so."""
        own = self.own(before)
        taken = min(abs(own), abs(signed)) * (1 if signed > 0 else -1) if own * signed > 0 else 0
        self._add(before, Move(at, -signed, None, ours=False))
        for part, ours in ((taken, True), (signed - taken, False)):
            if part:
                self._add(after, Move(at, part, None, ours))

    def expired(self, place: Place) -> None:
        """Nothing is left here by the contract's own end."""
        self._places.pop(place, None)

    def own(self, place: Place) -> int:
        """What is the strategies' own now."""
        return own_of(self._books(place).moves)

    def _books(self, place: Place) -> _Books:
        return self._places.setdefault(place, _Books())

    def _add(self, place: Place, move: Move) -> None:
        books = self._books(place)
        books.moves.append(move)
        if not move.ours:
            books.unseen.append(move)

    # What the service can know

    def reply_told(self, path: str, handled_at: float) -> None:
        """A true reply came back: of orders, or of positions, as they were at `handled_at`."""
        for books in self._places.values():
            self._see(
                books,
                lambda move: move.at <= handled_at + _MOMENT_S and (path == "PositionBook" or move.order is not None),
            )

    def frame_told(self, number: str, sent_at: float) -> None:
        """A frame about this order, sent at that moment, arrived."""
        for books in self._places.values():
            self._see(
                books,
                lambda move: move.order is not None and move.order.number == number and move.at <= sent_at + _MOMENT_S,
            )

    def _see(self, books: _Books, which: Callable[[Move], bool]) -> None:
        if not books.unseen:
            return
        now = self._now()
        for move in books.unseen:
            if which(move):
                move.seen_at = now
        books.unseen = [move for move in books.unseen if move.seen_at is None]

    def alerted(self, kind: str, text: str) -> None:
        """A critical alert was told."""
        self._alerts.append((self._now(), kind, text))

    # Orders of the service

    def call_begins(self, tag: str) -> None:
        """The call that sends this order begins: what the service decides by, it knows now."""
        self._called_at[tag] = self._now()

    def order_arrives(self, order: Order) -> None:
        """Law 6: this EXIT and all that still work take the account no further than what is the strategies' own."""
        if not self._is_exit(order.remarks):
            return
        place = (order.instrument.exch, order.instrument.tsym, order.entry.prd)
        sign = 1 if order.entry.side == "B" else -1
        working = [o for o in self._exits.get(place, ()) if not o.status.is_final]
        self._exits[place] = [*working, order]
        called_at = self._called_at.get(order.remarks, self._now())
        known = own_of(self._books(place).moves, lambda move: self._is_known(move, called_at))
        may = max(0, -known * sign)
        wanted = sum(o.remaining for o in (*working, order) if o.entry.side == order.entry.side)
        if wanted > may:
            others = f", with {len(working)} that work {wanted}" if working else ""
            self._broken(
                "6",
                f"{order.remarks}, an EXIT of {order.remaining}{others}, when {known:+d} {place[1]} {place[2]} is the "
                f"strategies' own{self._why(place)}",
            )

    def _is_known(self, move: Move, called_at: float) -> bool:
        """Whether the service had to know of an external move when it called the broker."""
        if move.seen_at is not None and move.seen_at <= called_at - self._slack_s:
            return True
        return move.at <= called_at - _BLIND_S and not self._said_blind(move.at, called_at)

    def _said_blind(self, since: float, until: float) -> bool:
        return any(since <= at <= until and kind in _BLIND for at, kind, _ in self._alerts)

    def _why(self, place: Place) -> str:
        external = [move for move in self._books(place).moves if not move.ours][-3:]
        told = ", ".join(
            f"{move.signed:+d} at {move.at:.1f} s, seen {'never' if move.seen_at is None else f'{move.seen_at:.1f} s'}"
            for move in external
        )
        return f" (external: {told})" if told else ""

    # At rest

    def amiss(self) -> Iterable[tuple[str, str]]:
        """An EXIT that went too far although nobody could know is told to a person, with what to do."""
        for place, (at, tag) in self.overdrawn.items():
            told = Counter(kind for when, kind, text in self._alerts if when >= at and place[1] in text)
            if not told:
                yield "6", f"{tag}, an EXIT, took the account past the strategies' own {place[1]}, and nobody was told"


# Kinds of alerts that say that books, or the session, cannot be read.
_BLIND = frozenset({"unreadable", "session", "login", "exit_unverified"})
