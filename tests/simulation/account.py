"""Law 6 with everybody trading, judged from the exchange's own sequence of trades and from nothing of ours.

What is the strategies' own in a contract and product follows from that sequence alone: their trades make it, and an
external trade opposite to it closes it first. What stood before, and what an external trade opens, is nobody's here.
An EXIT may take the account no further than what is the strategies' own. Where the exchange traded a moment before, so
that no reply and no frame could have told of it, the EXIT cannot be stopped; then the service must say so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from core.paper.orders import Order, Trade
from tests.simulation.moves import MOMENT_S, Move, in_any_sequence, net_with, own_of, shifted, shifts

__all__ = ["AccountJudge", "Place"]

Place = tuple[str, str, str]
"""Exchange, trading symbol and product code: what the broker nets."""

# A reply or a frame that came back so long before a call must have been acted upon.
_SLACK_S = 1.0
# From then on what was seen is acted upon for certain, whatever needed two reads.
_SETTLED_S = 20.0
# For so long it is open whether the broker has cleared its books or cannot read them.
_CLEARED_S = 75.0
# What an external trade did longer ago than this and no reply told: then the service was blind, and has to say so.
_BLIND_S = 30.0


@dataclass(slots=True)
class _Books:
    """One place's history."""

    moves: list[Move] = field(default_factory=list)
    unseen: list[Move] = field(default_factory=list)


def command_of(tag: str) -> str:
    """The command of a client_order_id: further broker orders of one are `command_id.2` and so on."""
    return tag.partition(".")[0]


class AccountJudge:
    """Keeps every trade of the account, and judges each EXIT of the service as the exchange takes it.

    Args:
        now: Seconds since the world began.
        is_exit: Whether an order of ours, by its client tag, is an EXIT.
        whose: The strategy of an order of ours, by its client tag.
        broken: Told of a law that does not hold.
        slack_s: How long the service may take to act upon what a reply told it.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        is_exit: Callable[[str], bool],
        whose: Callable[[str], str],
        broken: Callable[[str, str], object],
        slack_s: float = _SLACK_S,
    ) -> None:
        self._now = now
        self._is_exit = is_exit
        self._whose = whose
        self._broken = broken
        self._slack_s = slack_s
        self._places: dict[Place, _Books] = {}
        self._exits: dict[Place, list[Order]] = {}
        self._called_at: dict[str, float] = {}
        self._arrived_at: dict[str, float] = {}
        self._cleared_at: list[float] = []
        self._registered_at: dict[str, float] = {}
        # Of each book: when the last true reply came back, and what moment it showed.
        self._shown: dict[str, tuple[float, float]] = {}
        # Of each order that a frame told of: the moment that the first one showed.
        self._framed: dict[str, float] = {}
        self._told_fills: set[str] = set()
        # When the positions stood as true replies showed them.
        self._positions_at: list[tuple[float, float]] = []
        self._ended_at: list[float] = []
        self._alerts: list[tuple[float, str, str, bool]] = []
        self.overdrawn: dict[Place, tuple[float, str]] = {}
        """Where an EXIT took the account past what was the strategies' own: when, and which."""

    # What happens at the exchange

    def traded(self, order: Order, trade: Trade, at: float, *, ours: bool, late: bool) -> None:
        """An order of the account, whoever placed it, traded; `late` if it had ended before."""
        signed = trade.qty if order.entry.side == "B" else -trade.qty
        place = (order.instrument.exch, order.instrument.tsym, order.entry.prd)
        exits = ours and self._is_exit(order.remarks)
        histories = [self._books(place).moves, *self._of_one_side(order, place)]
        before = in_any_sequence(histories) if exits and net_with(histories[0], signed) * signed > 0 else []
        self._add(place, Move(at, signed, order, ours, exits, sure=ours and not late, late=ours and late))
        if before and all(own * (own + signed) <= 0 and own + signed for own in before):
            self.overdrawn[place] = (at, order.remarks)

    def converted(self, before: Place, after: Place, signed: int, at: float) -> None:
        """Units went from one product to the other; what may have been the strategies' own among them stays so."""
        sign = 1 if signed > 0 else -1
        own = max(0, *(own * sign for own in in_any_sequence([self._books(before).moves])))
        taken = min(own, abs(signed)) * sign
        self._add(before, Move(at, -signed, None, ours=False, exits=False, sure=False))
        for part, ours in ((taken, True), (signed - taken, False)):
            if part:
                self._add(after, Move(at, part, None, ours, exits=False, sure=False))

    def made_anew(self, orders: Mapping[str, Order]) -> None:
        """The exchange has started again: its orders are other objects now."""
        for books in self._places.values():
            for move in books.moves:
                if move.order is not None:
                    move.order = orders.get(move.order.number, move.order)
        self._exits = {place: [orders.get(o.number, o) for o in found] for place, found in self._exits.items()}

    def expired(self, place: Place) -> None:
        """Nothing is left here by the contract's own end."""
        self._places.pop(place, None)

    def day_ends(self, net: Mapping[Place, int]) -> None:
        """The books are cleared: what the service has not read of its own orders by now, no order book tells it.

        Where nothing is left of an intraday position, nothing of it is anybody's: the broker closes what the account
        has, and that nets what is nobody's with what is the strategies' own.
        """
        self._cleared_at.append(self._now())
        gone = [place for place in self._places if place[2] == "I" and not net.get(place)]
        for place in gone:
            if held := self.own(place):
                self._add(place, Move(self._now(), -held, None, ours=False, exits=False, sure=False))
        for books in self._places.values():
            for move in books.unseen:
                move.sure = False

    def process_ended(self) -> None:
        """The process of the service has ended: what it was told last it may not have acted on."""
        self._ended_at.append(self._now())

    def own(self, place: Place) -> int:
        """What is the strategies' own now."""
        return own_of(self._books(place).moves)

    def _books(self, place: Place) -> _Books:
        return self._places.setdefault(place, _Books())

    def _add(self, place: Place, move: Move) -> None:
        books = self._books(place)
        books.moves.append(move)
        books.unseen.append(move)

    # What the service can know

    def reply_told(self, path: str, handled_at: float) -> None:
        """A true reply came back: of orders, or of positions, as they were at `handled_at`."""
        self._shown[path] = (self._now(), handled_at)
        if path == "PositionBook":
            self._positions_at.append((handled_at, self._now()))
        for books in self._places.values():
            self._see(
                books,
                lambda move: move.at <= handled_at + MOMENT_S and (path == "PositionBook" or move.order is not None),
            )

    def frame_told(self, number: str, sent_at: float, filled: int) -> None:
        """A frame about this order, sent at that moment, arrived; it says that so much has filled."""
        self._framed[number] = min(sent_at, self._framed.get(number, sent_at))
        if filled:
            self._told_fills.add(number)
        for books in self._places.values() if filled else ():
            trades = [move for move in books.moves if move.order is not None and move.order.number == number]
            sums = accumulate(abs(move.signed) for move in trades)
            told = {id(move) for move, so_far in zip(trades, sums, strict=True) if so_far <= filled}
            self._see(books, lambda move, told=told: id(move) in told)  # type: ignore[misc]

    def order_shown(self, order: Order) -> bool:
        """Whether a true reply has shown this order of ours."""
        return self._arrived_at.get(order.number, 0.0) < self._shown.get("OrderBook", (0.0, -1.0))[1]

    def _see(self, books: _Books, which: Callable[[Move], bool]) -> None:
        if not books.unseen:
            return
        now = self._now()
        for move in books.unseen:
            if which(move):
                move.seen_at = now
        books.unseen = [move for move in books.unseen if move.seen_at is None]

    def alerted(self, kind: str, text: str, *, critical: bool) -> None:
        """A person was alerted."""
        self._alerts.append((self._now(), kind, text, critical))

    # Orders of the service

    def registered(self, tag: str) -> None:
        """The order has been asked for: from now on the account can be read for it."""
        self._registered_at[tag] = self._now()

    def call_begins(self, tag: str) -> None:
        """The call that sends this order begins: what the service decides by, it knows now."""
        self._called_at[tag] = self._now()

    def since_call(self, tag: str) -> float | None:
        """Seconds since the call that sends this order began; None if none has."""
        return self._now() - self._called_at[tag] if tag in self._called_at else None

    def order_arrives(self, order: Order) -> None:
        """Law 6: this EXIT and all that still work take the account no further than what is the strategies' own."""
        self._arrived_at[order.number] = self._now()
        if not self._is_exit(order.remarks):
            return
        place = (order.instrument.exch, order.instrument.tsym, order.entry.prd)
        working = [o for o in self._exits.get(place, ()) if not o.status.is_final]
        self._exits[place] = [*working, order]
        called_at = self._called_at.get(order.remarks, self._now())
        same = [o for o in (*working, order) if o.entry.side == order.entry.side]
        known = self._most(order, [*self._of_one_side(order, place), self._books(place).moves], called_at)
        strategy, sign = self._whose(order.remarks), 1 if order.entry.side == "B" else -1
        held = self._most(order, self._of_strategy(strategy, place, sign), called_at)
        self._judge(order, same, known, f"{place[1]} {place[2]} is the strategies' own{self._why(place)}")
        mine = [o for o in same if self._whose(o.remarks) == strategy]
        self._judge(order, mine, held, f"{place[1]} is what {strategy} bought and sold")

    def _of_one_side(self, order: Order, place: Place) -> list[list[Move]]:
        """What happened in a place, without the trades of strategies that stand on the other side than this EXIT's.

        They can only since an order filled after its end, or an EXIT opened what somebody else had closed before; what
        an EXIT may take off is not less for what they hold. What was converted may have been theirs, or not.
        """
        moves = self._books(place).moves
        if place not in self.overdrawn and not any(move.late for move in moves):
            return []
        net: Counter[str] = Counter()
        for move in moves:
            if move.ours and move.order is not None:
                net[self._whose(move.order.remarks)] += move.signed
        sign = 1 if order.entry.side == "B" else -1
        others = {strategy for strategy, held in net.items() if held * sign > 0}
        if place in self.overdrawn:
            others.add(self._whose(self.overdrawn[place][1]))
        others.discard(self._whose(order.remarks))
        mine = [m for m in moves if not m.ours or m.order is None or self._whose(m.order.remarks) not in others]
        return [mine, [m for m in mine if m.order is not None]]

    def _most(self, order: Order, histories: list[list[Move]], called_at: float) -> int:
        """The most that this EXIT may take off.

        In the sequence that suits it where whole seconds do not tell which, and by what the service knew at any moment
        between the last at which it had to act and the call.
        """
        sign = 1 if order.entry.side == "B" else -1
        found = [
            own_of(shifted(moves, by), counts, clamped=clamped)
            for history in histories
            for moves in self._dated(history)
            for clamped in (False, True)
            for by in shifts(moves)
            for counts in self._known_by(moves, called_at)
        ]
        return min(found, key=lambda own: own * sign)

    def _dated(self, moves: list[Move]) -> list[list[Move]]:
        """The moves, and as they are where external orders that were seen to work filled when that was seen."""
        later = [
            replace(move, at=move.seen_at)
            if not move.ours and move.seen_at is not None and self._worked_before(move)
            else move
            for move in moves
        ]
        return [moves] if later == moves else [moves, sorted(later, key=lambda move: move.at)]

    def _known_by(self, moves: list[Move], called_at: float) -> Iterable[Callable[[Move], bool]]:
        """What may have been reckoned with: what had to be, what each moment since told besides, and everything."""
        must = called_at - self._slack_s
        told = {move.seen_at for move in moves if move.seen_at is not None and must < move.seen_at <= called_at}
        for until in sorted({must, *told}):

            def counts(move: Move, until: float = until) -> bool:
                return self._is_known(move, called_at) or (move.seen_at is not None and move.seen_at <= until)

            yield counts
        yield lambda _: True

    def _judge(self, order: Order, working: list[Order], own: int, what: str) -> None:
        sign = 1 if order.entry.side == "B" else -1
        wanted = sum(o.remaining for o in working)
        if wanted > max(0, -own * sign) and not self._went_unverified(order.remarks):
            others = f", {wanted} with others that work," if len(working) > 1 else ""
            self._broken("6", f"{order.remarks}, an EXIT of {order.remaining}{others} when {own:+d} {what}")

    def _of_strategy(self, strategy: str, place: Place, order_side: int) -> list[list[Move]]:
        """The strategy's trades: here, in the symbol as a whole, since what was converted stays its own, and each with
        those of others that may have closed some of it; here also with no more of those than `_left_for`.
        """
        moves = self._books(place).moves
        mine = {
            id(move)
            for product in "CMI"
            for move in self._books((place[0], place[1], product)).moves
            if move.ours and move.order is not None and self._whose(move.order.remarks) == strategy
        }
        # Whose a conversion was is not known here: it may have been this one's.
        merged = [move for move in moves if not move.ours or move.order is None or id(move) in mine]
        # What a conversion moves out of one product it moves into another.
        traded = [
            move
            for product in "CMI"
            for move in self._books((place[0], place[1], product)).moves
            if move.order is not None and (not move.ours or id(move) in mine)
        ]
        traded.sort(key=lambda move: move.at)
        least = self._left_for(mine, moves, order_side)
        histories = [[move for move in found if id(move) in mine] for found in (merged, traded)]
        return [*histories, merged, traded, least]

    @staticmethod
    def _left_for(mine: set[int], moves: list[Move], order_side: int) -> list[Move]:
        """A strategy's trades with the external ones that nobody else's holding explains, as suits its EXIT.

        Which of two strategies lost what a person closed is not judged: what an EXIT of this side could close, others
        have lost first, and of what it could not, this one.
        """
        left: list[Move] = []
        own = theirs = 0
        for move in moves:
            sign = 1 if move.signed > 0 else -1
            if id(move) in mine:
                own += move.signed
                left.append(move)
                continue
            if move.ours:
                theirs += move.signed
                continue
            size = abs(move.signed)
            first = size if sign == order_side else size - min(size, max(0, -own * sign))
            took = min(first, max(0, -theirs * sign))
            theirs += took * sign
            own += min(size - took, max(0, -own * sign)) * sign
            if size > took:
                left.append(replace(move, signed=(size - took) * sign))
        return left

    def _is_known(self, move: Move, called_at: float) -> bool:
        """Whether the service had to know of a move when it called the broker."""
        if move.sure or (move.seen_at is not None and move.seen_at <= called_at - self._slack_s):
            return True
        return move.at <= called_at - _BLIND_S and not self._said_blind(move.at, called_at)

    def _said_blind(self, since: float, until: float) -> bool:
        return any(since <= at <= until and kind in _BLIND for at, kind, _, _ in self._alerts)

    def _went_unverified(self, tag: str) -> bool:
        """Scenario G4: the books could not be read for this EXIT, and a person was told that it goes all the same."""
        told = any(kind == "exit_unverified" and command_of(tag) in text for _, kind, text, _ in self._alerts)
        asked_at = self._registered_at.get(command_of(tag), 0.0)
        until = self._called_at.get(tag, self._now()) - self._slack_s
        shown = [
            back_at <= until and showed_at > asked_at
            for back_at, showed_at in (self._shown.get(path, (0.0, -1.0)) for path in ("OrderBook", "PositionBook"))
        ]
        # A book that the broker has just cleared lacks rows: it is not believed at once.
        cleared = any(asked_at - _CLEARED_S <= at <= until for at in self._cleared_at)
        return told and (cleared or not all(shown))

    def _why(self, place: Place) -> str:
        """What happened here lately."""
        told = []
        for move in self._books(place).moves[-8:]:
            seen = "" if move.ours else ", seen never" if move.seen_at is None else f", seen {move.seen_at:.1f}"
            told.append(f"{'ours' if move.ours else 'external'} {move.signed:+d} at {move.at:.1f}{seen}")
        return f" ({'; '.join(told)})" if told else ""

    # At rest

    def forgotten(self, place: Place, held: int) -> str | None:
        """Law 5: what is the strategies' own, in whatever sequence whole seconds allow, is never forgotten.

        Where a conversion, or a trade that nobody was shown, makes it uncertain whose it is, a person was told.
        """
        moves = self._books(place).moves
        owns = in_any_sequence([moves])
        least = min(owns, key=abs)
        if any(own * least <= 0 for own in owns) or abs(held) >= abs(least) or held * least < 0:
            return None
        unsure = [move.at for move in moves if move.seen_at is None or move.order is None or self._was_cleared(move)]
        if unsure and self._difference_told(place, min(unsure)):
            return None
        # A book may give the time of an order instead of its fill's: what was seen to work, and filled unread, counts
        # as closing what is held, and a person is told which order that was.
        undated = {m.order.number: 0 for m in moves if not m.ours and m.order is not None and m.signed * least < 0}
        for move in moves:
            if move.order is not None and move.order.number in undated and self._worked_before(move):
                undated[move.order.number] += abs(move.signed)
        told = [text for _, kind, text, _ in self._alerts if kind == "external_close"]
        if abs(least) - abs(held) <= sum(q for number, q in undated.items() if any(number in text for text in told)):
            return None
        return f"strategies hold {held:+d} {place[1]} {place[2]}, and {least:+d} is their own{self._why(place)}"

    def _was_cleared(self, move: Move) -> bool:
        """Whether the broker itself closed this as it cleared its books, so that no book ever names the order."""
        return not move.ours and any(abs(move.at - cleared) < _SLACK_S for cleared in self._cleared_at)

    def _worked_before(self, move: Move) -> bool:
        """Whether the service was shown this order before this trade of it, by a frame or in a book."""
        if move.order is None:
            return False
        number = move.order.number
        told = (text for _, kind, text, _ in self._alerts if kind == "external_order" and number in text)
        return self._framed.get(number, move.at) < move.at or any("COMPLETE" not in text for text in told)

    def undisputed(self, place: Place) -> int:
        """What is the strategies' own where nobody else has ever traded, and a reply or a frame showed every trade."""
        moves = self._books(place).moves
        plain = all(move.ours and move.order is not None and move.seen_at is not None for move in moves)
        return sum(move.signed for move in moves) if plain else 0

    def _difference_told(self, place: Place, since: float) -> bool:
        """Whether a person was told that this symbol is not as the strategies' fills say."""
        return any(
            at >= since and place[1] in text and (critical or kind == "position_difference")
            for at, kind, text, critical in self._alerts
        )

    def refused(self, order_side: int, strategy: str, place: Place) -> str | None:
        """Law 6: an EXIT that nothing stands against is not refused: what stood before the entry blocks nothing."""
        moves = self._books(place).moves
        now = self._now()
        if any(move.seen_at is None or move.seen_at > now - _SETTLED_S for move in moves) or self._overdrawn_in(place):
            return None
        if any(not order.status.is_final for order in self._exits.get(place, ())):
            return None
        if any(move.ours and not self._attributed(move) for move in moves):
            return None
        histories = [moves, *self._of_strategy(strategy, place, order_side)]
        owns = in_any_sequence(histories)
        if any(own * order_side >= 0 for own in owns):
            return None
        least = min(owns, key=abs)
        return f"although {least:+d} {place[1]} {place[2]} is its own{self._why(place)}"

    def _attributed(self, move: Move) -> bool:
        """Whether the order book, or a frame, has told whose trade this is: positions alone do not."""
        read_to = self._shown.get("OrderBook", (0.0, -1.0))[1]
        return move.order is None or move.order.number in self._told_fills or move.at <= read_to

    def _lived_on(self, at: float) -> bool:
        """Whether the process of that time lived for a while longer."""
        return not any(at <= ended < at + _SETTLED_S for ended in self._ended_at)

    def _overdrawn_in(self, place: Place) -> bool:
        return any(other[:2] == place[:2] for other in self.overdrawn)

    def amiss(self) -> Iterable[tuple[str, str]]:
        """An EXIT that went too far although nobody could know is told to a person, with what to do."""
        for place, (at, tag) in self.overdrawn.items():
            # What a conversion left in two products is flat in all, and what the broker closed as it cleared its books
            # no order explains: such a difference is named.
            unexplained = any(move.order is None for move in self._books(place).moves)
            unexplained = unexplained or any(abs(at - cleared) < _CLEARED_S for cleared in self._cleared_at)
            # What soon was made good does not stand: who closed what was told all the same.
            moves = self._books(place).moves
            opened = next((move.signed for move in moves if move.exits and move.at == at), 0)
            ends = [n for n, move in enumerate(moves, 1) if move.at >= at and own_of(moves[:n]) * opened <= 0]
            flat_at = moves[ends[0] - 1].at if ends else math.inf
            made_good = opened != 0 and flat_at <= at + _SETTLED_S
            if opened and not any(at <= of <= flat_at and self._lived_on(told) for of, told in self._positions_at):
                # It was made good before any reply showed it to a process that lived to act on it.
                continue
            kinds = _CLOSES if made_good else frozenset()
            if made_good and any(move.at >= at and not move.ours and move.signed * opened < 0 for move in moves):
                # The person closed it himself: each of his orders is named, and nothing is left to do.
                kinds |= {"external_order"}
            told = any(
                when >= at and place[1] in text and (critical or unexplained or kind in kinds)
                for when, kind, text, critical in self._alerts
            )
            if not told:
                yield "6", f"{tag}, an EXIT, took the account past the strategies' own {place[1]}, and nobody was told"


# Kinds of alerts that say what others closed.
_CLOSES = frozenset({"external_close", "position_difference"})
# Kinds of alerts that say that books, or the session, cannot be read.
_BLIND = frozenset({"unreadable", "session", "login", "exit_unverified"})
