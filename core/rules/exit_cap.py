"""How much of a holding an EXIT may still close: never more than is the strategies' own (law 6).

The account is not ours alone. What stood before a strategy's entry, and what a person buys beside it, is nobody's to
touch. What a person sells of it closes the holding first. The cases are a table in `docs/guarantees.md`; this module
is that table as code.

Two sources are read for each EXIT after it arrived: the order book, which names external orders, and the positions.
A filled external order of the book is evidence by itself. A change of positions that no order explains counts once two
reads agree on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.messages import AccountRead
from core.model.broker import BrokerHolding, BrokerOrderReport
from core.model.order import Fill, Order, Product, Side
from core.model.positions import Baseline, Correction, Departure, ExternalClose, ExternalFill, OwnFill
from core.rules.closes import (
    PROOF_READS,
    Residual,
    Room,
    closed_of,
    closings,
    determined,
    external_close,
    gone,
    grown,
    room,
    unbooked,
)
from core.rules.exit_fills import ExitFills
from core.rules.guard import GuardBook
from core.rules.lines import Stake
from core.rules.pushed import Account, PushedFills, external_fills

__all__ = ["ExitCap"]

_REMEMBERED = 200
# Corrections of what no order explained: the difference is settled by them.
_SETTLING = frozenset({Correction.WRITTEN_OFF, Correction.CONVERTED, Correction.EXIT_OPENED, Correction.EXPIRED})


class ExitCap:
    """What of the account's positions is not the strategies' own, from reads of both books.

    `raw` is the broker's net quantity less our own fills. It moves with external orders, each counted once; the rest of
    its movement is the residual, which no order explains. A residual against a holding stays, also over a restart,
    until a person settles it, since it counts as closing.
    """

    def __init__(self) -> None:
        self._bases: dict[Account, Baseline] = {}
        self._residuals: dict[Account, Residual] = {}
        self._fills: dict[Account, list[ExternalFill]] = {}
        self._pushed = PushedFills()
        self._used: dict[str, int] = {}
        self._corrected: dict[Account, int] = {}
        self._booked: dict[str, int] = {}
        # Positions of which the order book shows fills of ours that are not booked: when they happened is not known.
        self._unbooked: set[Account] = set()
        self._over: tuple[OwnFill, ...] = ()
        self._net: dict[Account, int] = {}
        # What strategies held as the read before was taken in.
        self._held: dict[Account, int] = {}
        self._prices: dict[Account, Decimal] = {}
        # What was taken into the baseline last although no order explains it, since nobody loses by it.
        self._absorbed: dict[Account, Residual] = {}
        self._reads = 0
        # When the positions of the last read were asked for: told again beside a newer order book they are no new read.
        self._asked_at: datetime | None = None
        # Delivered shares by listing, once they were read, and what of them stands for a position that was delivered.
        self._delivered: dict[tuple[str, str], int] = {}
        self._holdings_known = False
        self._as_holding: dict[Account, int] = {}
        self._exits = ExitFills()
        # What EXITs opened while another strategy holds the other side, by external order and strategy.
        self.beside: dict[tuple[str, str], ExternalClose] = {}
        # Corrections that are told and not recorded yet: until then nothing more is concluded of that position.
        self._telling: dict[Account, int] = {}
        # What others closed lately, for the words of a refusal.
        self._closed: deque[ExternalClose] = deque(maxlen=_REMEMBERED)
        self._read_before = False
        # When the positions of this read were answered, and when the order book before this one was read.
        self._read_at: datetime | None = None
        self._orders_seen_at: datetime | None = None

    def restore(
        self,
        baselines: Iterable[Baseline],
        corrections: Iterable[tuple[str, str, Product, int]],
        used: Iterable[tuple[str, int]],
        departures: Iterable[Departure] = (),
    ) -> None:
        """Begin from the database."""
        self._bases = {base.account: base for base in baselines}
        self._corrected = {(exchange, symbol, product): quantity for exchange, symbol, product, quantity in corrections}
        self._used = dict(used)
        self._telling.clear()
        self._exits.restore(departures, self._reads)

    # What happens

    def note_fill(self, order: Order, fill: Fill, held: Stake | None, *, closes: bool) -> None:
        """A fill of ours was booked. `held` is the holding before it, which it `closes` or adds to."""
        if order.product is not None:
            self._net.pop((order.exchange, order.symbol, order.product), None)
        self._booked[order.command_id] = max(order.filled_quantity, self._booked.get(order.command_id, 0))
        while len(self._booked) > 10_000:
            del self._booked[next(iter(self._booked))]
        if closes and order.product is not None:
            account = (order.exchange, order.symbol, order.product)
            self._exits.note(account, order, fill, held, self._reads)

    def note_pushed(self, report: BrokerOrderReport, at: datetime, traded_at: datetime | None = None) -> None:
        """A push told of an external order that filled; `at` is now, by the steady clock."""
        self._pushed.note(report, at, traded_at)

    def note_close(self, close: ExternalClose, baselines: Iterable[Baseline] = ()) -> None:
        """A correction was recorded: so much of the external order is used up, or of no order at all."""
        account = (close.exchange, close.symbol, close.product)
        self._corrected[account] = self._corrected.get(account, 0) + close.quantity
        self._telling[account] = max(0, self._telling.get(account, 0) - 1)
        self._net.pop(account, None)
        self._bases |= {base.account: base for base in baselines}
        self._closed.append(close)
        self._exits.note_lost(close)
        if close.broker_order_id:
            self._used[close.broker_order_id] = self._used.get(close.broker_order_id, 0) + abs(close.quantity)

    def note_telling(self, close: ExternalClose) -> None:
        """A correction is told and not recorded yet."""
        account = (close.exchange, close.symbol, close.product)
        self._telling[account] = self._telling.get(account, 0) + 1
        self._net.pop(account, None)

    def rebased(self, close: ExternalClose) -> Baseline | None:
        """The baseline after a correction that settles what no order explained."""
        account = (close.exchange, close.symbol, close.product)
        if close.kind not in _SETTLING:
            return None
        absorbed = self._absorbed.get(account)
        if absorbed is not None and absorbed.value * close.quantity > 0 and abs(close.quantity) <= abs(absorbed.value):
            # The other side of a conversion, which the baseline has taken in already, of this strategy or of several.
            absorbed.value -= close.quantity
            if not absorbed.value:
                del self._absorbed[account]
            return None
        base = self._bases.get(account) or Baseline(*account, 0)
        return replace(base, quantity=base.quantity + close.quantity)

    def note_holdings(self, holdings: Iterable[BrokerHolding]) -> None:
        """The delivered shares were read."""
        self._holdings_known = True
        self._delivered = {(h.exchange, h.symbol): h.quantity for h in holdings}

    # What the last read said

    def wants_another_read(self, book: GuardBook) -> bool:
        """Whether the last reads show that a holding lost something to nobody known, and too few agreed to act on it.

        One more than proves it is wanted: an EXIT that rests is cancelled by an order book of after the proof.
        """
        return any(
            noted.value and 0 < noted.agreed <= PROOF_READS and book.loses_by(account, noted.value)
            for account, noted in self._residuals.items()
        )

    def lacks_delivery(self, book: GuardBook) -> bool:
        """Whether a delivery position is gone that may have become a holding."""
        return any(
            residual.value < 0 and account[2] is Product.CNC and book.loses_by(account, residual.value)
            for account, residual in self._residuals.items()
        )

    def delivered(self) -> Mapping[Account, int]:
        """What of strategies' positions is held as delivered shares now."""
        return self._as_holding

    def net(self, account: Account) -> int | None:
        """The broker's net quantity by the last read that counts; None where something changed since."""
        return self._net.get(account)

    def price(self, account: Account) -> Decimal | None:
        """The broker's average price of a position, else its last price."""
        return self._prices.get(account)

    def unexplained(self, account: Account) -> int:
        """The change of a position that no order explains, once reads agree on it; else 0."""
        noted = self._residuals.get(account, Residual())
        return noted.value if self.proven(account) else 0

    def lost(self, account: Account) -> int:
        """What of `unexplained` strategies held for certain as it happened (signed)."""
        value = self.unexplained(account)
        held = self._residuals[account].held if value else None
        return value if held is None else max(-held, min(held, value))

    def gained(self, account: Account, when: Account) -> int:
        """What a position gained without an order, at the time when the position `when` lost something; else 0."""
        lost = self._residuals.get(when, Residual())
        found = self._absorbed.get(account) or self._residuals.get(account, Residual())
        proven = found.agreed >= PROOF_READS and abs(found.since - lost.since) <= 1
        return found.value if proven and not self._telling.get(account) else 0

    def overtaken(self) -> Iterator[tuple[Account, str, int]]:
        """Whose EXIT went beyond a holding that no order had closed, and by how much (signed), by position.

        The account lost that much before the fill, or as it came, and stands on the EXIT's side since.
        """
        for account, lost in self._absorbed.items():
            net, value = self._net.get(account, 0), lost.value
            filled = self._exits.between(account, lost.since - 1, lost.absorbed_at)
            whose = [strategy for strategy, quantity in filled.items() if abs(quantity) >= abs(value)]
            sure = lost.agreed >= PROOF_READS and not self._telling.get(account) and len(whose) == 1
            if sure and net * value > 0 and abs(net) >= abs(value) and filled[whose[0]] * value > 0:
                yield account, whose[0], value

    def proven(self, account: Account) -> bool:
        """Whether successive reads agreed on a position, and nothing told of it waits to be recorded."""
        noted = self._residuals.get(account, Residual())
        return noted.agreed >= PROOF_READS and not self._telling.get(account) and account not in self._unbooked

    def read(self, message: AccountRead, book: GuardBook) -> tuple[Baseline, ...]:
        """Take in a read of both books; the baselines that changed are to be recorded."""
        listed_fills = external_fills(message)
        broker = {(p.exchange, p.symbol, p.product): p.net_quantity for p in message.positions if p.product is not None}
        listed = {own.command_id for own in message.own if own.filled is not None}
        uncertain = {account for command_id, account in book.sent() if command_id not in listed}
        unbooked: dict[Account, int] = {}
        for own in message.own:
            booked = max(own.booked, self._booked.get(own.command_id, 0))
            if own.filled is not None and own.filled > booked:
                account = (own.exchange, own.symbol, own.product)
                unbooked[account] = unbooked.get(account, 0) + own.sign * (own.filled - booked)
        self._unbooked = set(unbooked)  # also where a buy and a sale make up for each other: whose it is, they change
        reserved = {order.command_id for order, _ in book.in_flight()}
        self._over = tuple(own for own in message.own if own.command_id not in reserved)
        self._reads, self._read_at = self._reads + 1, message.read_at
        shown = (fill.number for fills in listed_fills.values() for fill in fills if fill.quantity)
        self._pushed.forget(shown, min(message.asked_at, message.orders_asked_at))
        for p in message.positions:
            if p.product is not None and (price := p.average_price or p.last_price) is not None:
                self._prices[p.exchange, p.symbol, p.product] = price
        changed = []
        anew, self._asked_at = message.asked_at != self._asked_at, message.asked_at
        places = broker.keys() | book.accounts() | self._bases.keys() | listed_fills.keys()
        for account in sorted(places):
            self._remember(account, listed_fills.get(account, ()), book)
            own_fills = book.held_in(account) - self._corrected.get(account, 0) + unbooked.get(account, 0)
            certain = account not in uncertain
            # While a correction waits to be recorded, the baseline that goes with it must not be overtaken.
            net = broker.get(account, 0)
            base = self._weigh(account, net, net - own_fills, book, certain=certain, anew=anew)
            if certain and account not in self._unbooked and not self._telling.get(account):
                self._net[account] = net + self._as_holding.get(account, 0)
            else:
                self._net.pop(account, None)
            if base is not None and not self._telling.get(account):
                self._bases[account] = base
                changed.append(base)
        self._read_before = True
        self._held = {account: book.held_in(account) for account in book.accounts()}
        self._orders_seen_at = message.read_at - (message.asked_at - message.orders_asked_at)
        return tuple(changed)

    def _remember(self, account: Account, listed: Iterable[ExternalFill], book: GuardBook) -> None:
        """The external fills of a position: those of the book, and where somebody holds, those of before it."""
        known = (*self._bases.get(account, Baseline(*account, 0)).fills, *self._fills.get(account, ()))
        fills = {fill.number: fill for fill in known}
        # A fill of ours that is not booked yet is a holding: of an order that was given up, no other trace is left.
        idle = book.idle_in(account) and account not in self._unbooked
        stakes = [stake for sign in (1, -1) for stake in book.stakes(account, sign, frozenset())]
        now: dict[str, ExternalFill] = {}
        for shown in listed:
            before, fill = fills.get(shown.number), shown
            if before is not None and not shown.quantity:
                # A row that lacks what it had filled takes nothing back.
                fill = replace(shown, quantity=before.quantity, price=before.price)
            now[fill.number] = self._pushed.timed(fill)
            if before is not None and abs(before.quantity) <= abs(fill.quantity):
                used = self._used.get(fill.number, 0)
                now[fill.number] = self._pushed.timed(grown(before, fill, stakes, used, self._orders_seen_at))
                if abs(before.quantity) < abs(fill.quantity):
                    known_time = now[fill.number].at is not None
                    self._exits.note_time(fill.number, known=known_time, reads=self._reads)
        self._fills[account] = list(now.values() if idle else (fills | now).values())
        if idle:
            # What others did meanwhile to what an EXIT opened, which is not booked yet, is no less a close of it.
            self._fills[account] = [
                fill
                if self._exits.overtook(account, fill) or self._opened_against(account, fill.quantity)
                else replace(fill, settled=abs(fill.quantity))
                for fill in now.values()
            ]

    def _weigh(
        self, account: Account, net: int, raw: int, book: GuardBook, *, certain: bool, anew: bool
    ) -> Baseline | None:
        """Note what no order explains; the new baseline where all is explained or nobody can lose by it."""
        base = self._bases.get(account) or Baseline(*account, 0)
        before = {fill.number: fill.quantity for fill in base.fills}
        fills = tuple(sorted(self._fills[account], key=lambda fill: fill.number))
        more = sum(fill.quantity - before.get(fill.number, 0) for fill in fills)
        late = self._explained_late(account, fills, before) if certain else 0
        residual, ahead = raw - base.quantity - more + late, more != late and raw == base.quantity
        shares = min(-residual, self._delivered.get(account[:2], 0)) if account[2] is Product.CNC else 0
        self._as_holding.pop(account, None)
        if shares > 0 and not self._went_elsewhere(account, residual):
            # A position that was delivered is a holding now: the strategy keeps it (scenario G9).
            self._as_holding[account] = shares
            raw, residual = raw + shares, residual + shares
        noted = self._residuals.setdefault(account, Residual())
        nobodys = base.quantity - self._corrected.get(account, 0)
        if not residual or (net and residual != noted.value - noted.beside):
            # Something is left: the position was not gone as a whole, or is back.
            noted.beside = 0
        elif not net and (residual + nobodys) * residual > 0 and book.loses_by(account, residual):
            # A position that is gone as a whole took what was nobody's of it along, as at the end of a broker's day.
            noted.beside = nobodys
        residual += noted.beside
        side = -1 if residual > 0 else 1
        came = sum(max(0, side * (fill.quantity - before.get(fill.number, 0))) for fill in fills)
        # What others cannot have lost, strategies lost, even where they entered after the read before.
        held = max(0, side * self._held.get(account, 0), abs(residual) - max(0, side * nobodys) - came)
        known = held if self._read_before else None
        noted.note(residual, self._reads, known, certain=certain, anew=anew, ahead=ahead)
        if residual and noted.holders is None and certain and account not in self._unbooked:
            against = book.stakes(account, 1 if residual > 0 else -1, frozenset())
            noted.holders = {stake.strategy: stake.quantity for stake in against}
        if not certain:
            return None
        if residual:
            first = not self._read_before and book.idle_in(account)
            loses = book.loses_by(account, residual) or self._opened_against(account, residual)
            if loses or not (first or noted.agreed >= PROOF_READS):
                # What orders explain is kept, what they do not explain stays.
                raw -= residual - noted.beside
                if noted.agreed >= PROOF_READS:
                    raw, noted.beside = raw - noted.beside, 0
            else:
                self._absorbed[account] = noted.absorb(self._reads, self._read_at)
        now = Baseline(*account, raw, fills)
        return now if now != base else None

    def _explained_late(self, account: Account, fills: Iterable[ExternalFill], before: Mapping[str, int]) -> int:
        """What of a change that was taken for nobody's the orders of it explain, which are listed only now (signed)."""
        absorbed = self._absorbed.get(account)
        if absorbed is None or self._telling.get(account):
            return 0
        sign = 1 if absorbed.value > 0 else -1
        listed = sum(
            sign * (fill.quantity - before.get(fill.number, 0))
            for fill in fills
            if fill.at is not None and absorbed.when is not None and fill.at <= absorbed.when
        )
        late = sign * max(0, min(listed, abs(absorbed.value)))
        absorbed.value -= late
        if not absorbed.value:
            del self._absorbed[account]
        return late

    def _went_elsewhere(self, account: Account, lost: int) -> bool:
        """Whether another product gained what this one lost, at the same time: converted, and not delivered."""
        noted = self._residuals.get(account, Residual())
        since = noted.since if noted.value == lost else self._reads
        others = [(*account[:2], product) for product in Product if product is not account[2]]
        changes = [found for other in others if (found := self._absorbed.get(other) or self._residuals.get(other))]
        return any(found.value == -lost and abs(found.since - since) <= 1 for found in changes)

    # What follows from it

    def judge(self, order: Order, book: GuardBook, without: frozenset[str]) -> Room:
        """How much of `order`, an EXIT with its product, may go.

        Args:
            order: The EXIT, or the ADJUST that reduces.
            book: Holdings and orders in flight.
            without: Orders whose reservations do not count: this one, and those that came after it.
        """
        assert order.product is not None
        account, sign = (order.exchange, order.symbol, order.product), order.side.sign
        stakes = book.stakes(account, sign, without)
        fills = self._pushed.beside(account, self._fills.get(account, ()))
        closes = closings(stakes, fills, self._used, sign)
        noted = self._residuals.get(account, Residual())
        unexplained = noted.most(sign) + unbooked(self._over, self._booked, account, sign)
        holders = noted.holders if unexplained == noted.value * sign else None
        explained_room = min(order.quantity, room(stakes, closes, 0, order.strategy))
        whole_room = min(order.quantity, room(stakes, closes, unexplained, order.strategy, holders))
        proven = whole_room == explained_room or noted.agreed >= PROOF_READS
        proven = proven and account not in self._unbooked
        if unexplained and account[2] is Product.CNC and not self._holdings_known:
            # It may have been delivered overnight; the holdings are being read.
            proven = proven and whole_room == explained_room
        reason = gone(order, stakes, closes, unexplained)
        return Room(whole_room, proven, "; ".join(filter(None, (self.closed_of(order), reason))))

    def claimed(self, account: Account, sign: int, stakes: tuple[Stake, ...]) -> bool:
        """Whether others may have closed something of these holdings that is not booked."""
        unexplained = self._residuals.get(account, Residual()).value * sign > 0
        return unexplained or bool(closings(stakes, self._fills.get(account, ()), self._used, sign))

    def filled_at(self, close: ExternalClose) -> datetime | None:
        """When an external order took off what it closed, or an EXIT opened what it shows; None if not known."""
        order = self._order_of(close)
        at = order.at if order is not None else None
        return self._exits.filled_at(close, at) if close.beyond else at

    def _order_of(self, close: ExternalClose) -> ExternalFill | None:
        fills = self._fills.get((close.exchange, close.symbol, close.product), ())
        return next((fill for fill in fills if fill.number == close.broker_order_id), None)

    def note_drained(self, close: ExternalClose, book: GuardBook) -> None:
        """After a close was booked: if nothing is left of what was held then, what exits opened before is gone too."""
        account, sign = (close.exchange, close.symbol, close.product), 1 if close.quantity > 0 else -1
        order = self._order_of(close)
        if close.beyond or order is None or order.at is None:
            return
        if any(stake.had(order) for stake in book.stakes(account, sign, frozenset())):
            return
        self._exits.forget(account, sign, order.at)

    def closed_of(self, order: Order) -> str:
        """Who closed what `order`, an EXIT, would have closed; empty where nobody did."""
        return closed_of(order, self._closed)

    def corrections(self, book: GuardBook) -> tuple[ExternalClose, ...]:
        """The closes that an external order and the positions prove, and whose holder is certain.

        Among them: an EXIT of ours that filled although an external order had closed the holding before. It opened a
        position, which is its strategy's, so that it can be closed.
        """
        found: list[ExternalClose] = []
        self.beside = {}
        for account, fills in sorted(self._fills.items()):
            if self._telling.get(account) or account in self._unbooked:
                continue
            noted = self._residuals.get(account, Residual())
            for side in Side:
                agrees = noted.agreed > 0 and noted.value == 0
                if not agrees and noted.agreed < PROOF_READS:
                    continue
                stakes = book.stakes(account, side.sign, frozenset())
                if agrees or noted.value * side.sign > 0:
                    closes = [c for c in closings(stakes, fills, self._used, side.sign) if c.order.price is not None]
                    sure = determined(stakes, closes) if closes else []
                    found += [external_close(account, strategy, side.sign, close) for strategy, close in sure]
                # What an exit opened is its strategy's also if it has gone elsewhere since.
                if account in self._net:
                    shown = (self._net[account] - book.held_in(account)) * side.sign
                    found += self._exits.beyond(
                        *(account, side.sign, stakes),
                        fills=fills,
                        used=self._used,
                        shown=shown,
                        explained=not noted.value,
                        beside=self.beside,
                    )
        for close in found:
            self.note_telling(close)
        return tuple(found)

    def _opened_against(self, account: Account, change: int) -> bool:
        """Whether a change is against what an EXIT opened, which is booked as its strategy's next."""
        return self._exits.opened_against(account, change, self._fills[account], self._used)
