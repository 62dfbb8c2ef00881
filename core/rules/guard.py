"""Step 2B as a pure state: what each strategy holds and has in flight, and whether one more order fits.

`GuardBook` is owned by the ExecutionGuard actor; everything here can be tested without one. Quantities are signed:
long is positive. "Held" comes from booked fills only; "reserved" is what orders in flight may still fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from core.model.broker import BrokerPosition
from core.model.order import ExecutionType, Fill, Order, Product, Tag
from core.model.positions import Difference, ExternalClose, GuardLine, Holding, OwnFill
from core.rules.lines import Line, Reservation, Stake

__all__ = ["Blocked", "GuardBook", "Passed"]

# (strategy, exchange, symbol, product)
_Key = tuple[str, str, str, Product]
# (exchange, symbol, product): what the broker nets
_Account = tuple[str, str, Product]

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Passed:
    """The order may go, as `order` says: an EXIT may have been cut and given a product."""

    order: Order


@dataclass(frozen=True, slots=True)
class Blocked:
    """The order may not go."""

    tag: Tag
    reason: str


class GuardBook:
    """Holdings and reservations of all strategies of one account."""

    def __init__(self) -> None:
        self._lines: dict[_Key, Line] = {}
        self._by_strategy: dict[str, set[_Key]] = {}
        self._by_symbol: dict[tuple[str, str], set[_Key]] = {}
        self._where: dict[str, _Key] = {}
        # Which lines stand for buying (1) and selling (-1) a symbol: with thousands of strategies in one symbol, a
        # check still looks at a few (scenario D11).
        self._standing: dict[tuple[str, str, int], set[_Key]] = {}
        # When a symbol last changed here: a position read asked for before that says nothing about it.
        self._changed: dict[tuple[str, str], datetime] = {}
        self._differences: tuple[Difference, ...] = ()
        self._compared_at: datetime | None = None
        self.reconciled_at: datetime | None = None

    # Check and reserve

    def check_and_reserve(self, order: Order, at: datetime) -> Passed | Blocked:
        """Decide on `order` and, when it passes, reserve its quantity: one step, so that nothing fits in between."""
        match order.execution_type:
            case ExecutionType.ENTRY:
                verdict = self._check_entry(order)
            case ExecutionType.ADJUST:
                verdict = self._check_adjust(order)
            case ExecutionType.EXIT:
                verdict = self._check_exit(order)
        if isinstance(verdict, Passed):
            self.reserve(verdict.order, at)
        return verdict

    def _check_entry(self, order: Order) -> Passed | Blocked:
        basket = order.intent.basket
        for key in self._by_strategy.get(order.strategy, ()):
            line = self._lines[key]
            against = key[1:3] == (order.exchange, order.symbol) and -order.side.sign in line.directions()
            added = line.unintended and key == _key(order)
            if basket is not None and all(b == basket for b in _baskets(line)) and not (added or against):
                continue
            return Blocked(
                Tag.EXECUTION_GUARD_BLOCKED,
                f"ENTRY refused: strategy {order.strategy} {_describe(key, line)}; exit first, or send ADJUST",
            )
        return self._check_direction(order) or Passed(order)

    def _check_adjust(self, order: Order) -> Passed | Blocked:
        line = self._lines.get(_key(order))
        if line is None:
            return Blocked(
                Tag.EXECUTION_GUARD_BLOCKED,
                f"ADJUST refused: strategy {order.strategy} holds nothing in {order.symbol} and has no order there; "
                f"send ENTRY",
            )
        sign = order.side.sign
        if line.held * sign < 0:
            if order.quantity > line.reducible(sign):
                return Blocked(
                    Tag.EXECUTION_GUARD_BLOCKED,
                    f"ADJUST refused: {order.side} {order.quantity} would turn the holding of {line.held:+d} "
                    f"{order.symbol} around ({line.reducible(sign)} can still be taken off); send EXIT, then ENTRY",
                )
            return Passed(order)
        if line.unintended:
            why = f"an EXIT opened the holding of {line.held:+d} {order.symbol}, and this would add to it"
            return Blocked(Tag.EXECUTION_GUARD_BLOCKED, f"ADJUST refused: {why}; flatten it first")
        if -sign in line.directions():
            return Blocked(
                Tag.EXECUTION_GUARD_BLOCKED,
                f"ADJUST refused: strategy {order.strategy} has an order in flight the other way in {order.symbol}",
            )
        return self._check_direction(order) or Passed(order)

    def _check_direction(self, order: Order) -> Blocked | None:
        """Two strategies may not stand on opposite sides of one symbol: the account nets them (scenario D5)."""
        for key in self._standing.get((order.exchange, order.symbol, -order.side.sign), ()):
            if key[0] != order.strategy:
                return Blocked(
                    Tag.EXECUTION_GUARD_BLOCKED,
                    f"{order.execution_type} refused: strategy {key[0]} {_describe(key, self._lines[key])}, "
                    f"and the account would net {order.side} {order.quantity} against it",
                )
        return None

    def _check_exit(self, order: Order) -> Passed | Blocked:
        sign = order.side.sign
        mine = {
            product: line
            for product in Product
            if order.product in (None, product)
            and (line := self._lines.get((order.strategy, order.exchange, order.symbol, product))) is not None
        }
        open_products = [p for p, line in mine.items() if line.reducible(sign) > 0]
        if not open_products:
            return self._nothing_to_exit(order, mine)
        if len(open_products) > 1:
            return Blocked(
                Tag.EXECUTION_GUARD_BLOCKED,
                f"EXIT refused: {order.symbol} is held in {' and '.join(sorted(open_products))}; name the product",
            )
        product = open_products[0]
        available = mine[product].reducible(sign)
        return Passed(replace(order, product=product, quantity=min(order.quantity, available)))

    def _nothing_to_exit(self, order: Order, mine: dict[Product, Line]) -> Blocked:
        sign = order.side.sign
        for product, line in mine.items():
            if line.held * sign > 0:
                return Blocked(
                    Tag.EXECUTION_GUARD_BLOCKED,
                    f"EXIT refused: {order.side} would add to the holding of {line.held:+d} {order.symbol} {product}; "
                    f"send {order.side.opposite}",
                )
            if line.held:
                return Blocked(
                    Tag.POSITION_ALREADY_FLAT,
                    f"exits in flight already cover the holding of {line.held:+d} {order.symbol} {product}",
                )
        return Blocked(
            Tag.POSITION_ALREADY_FLAT,
            f"strategy {order.strategy} holds nothing in {order.symbol}"
            + (f" {order.product}" if order.product else ""),
        )

    # What happened to orders

    def reserve(self, order: Order, at: datetime) -> None:
        """Count the open quantity of `order` as in flight, or what it is now that somebody changed it at the broker."""
        if (known := self._where.get(order.command_id)) is not None:
            reservation = self._lines[known].reservations[order.command_id]
            if order.quantity != reservation.order.quantity:
                reservation.order = order
                reservation.remaining = max(0, order.quantity - order.filled_quantity)
                self._changed[order.exchange, order.symbol] = at
                self._file(known)
            return
        key = _key(order)
        remaining = order.quantity - order.filled_quantity
        closes = self.closes(order)
        self._line(key).reservations[order.command_id] = Reservation(order, remaining, at, closes=closes)
        self._where[order.command_id] = key
        self._changed[order.exchange, order.symbol] = at
        self._file(key)

    def closes(self, order: Order) -> bool:
        """Whether an order takes something off a holding: an EXIT, or an ADJUST against what is held."""
        if order.execution_type is ExecutionType.EXIT:
            return True
        if (line := self._lines.get(_key(order))) is None:
            return False
        reservation = line.reservations.get(order.command_id)
        return reservation.closes if reservation is not None else line.held * order.side.sign < 0

    def note_sent(self, order: Order) -> None:
        """The order, as it may be cut, is on its way to the broker."""
        key = self._where.get(order.command_id)
        if key is None:
            return
        reservation = self._lines[key].reservations[order.command_id]
        if not reservation.sent:
            reservation.order, reservation.sent = order, True
            reservation.remaining = order.quantity - order.filled_quantity

    def note_numbers(self, orders: Iterable[OwnFill]) -> None:
        """The numbers that the broker gave to orders in flight, for a person who must cancel one there."""
        for one in orders:
            if (key := self._where.get(one.command_id)) is not None:
                reservation = self._lines[key].reservations[one.command_id]
                if reservation.order.broker_order_id is None:
                    reservation.order = replace(reservation.order, broker_order_id=one.number)

    def note_kept(self, order: Order) -> None:
        """The order has come back from where it waited for its call: the broker has not got it."""
        if (key := self._where.get(order.command_id)) is not None:
            self._lines[key].reservations[order.command_id].sent = False

    def left_of(self, order: Order) -> Order:
        """All that may still fill of the command of a broker order."""
        key = self._where.get(order.command_id)
        left = order.quantity if key is None else self._lines[key].reservations[order.command_id].remaining
        return replace(order, quantity=max(left, order.quantity), filled_quantity=0)

    def book_fill(self, order: Order, fill: Fill, at: datetime) -> int:
        """Move a trade from reserved to held, also when it comes late, after the order was settled (scenario B12).

        Returns:
            The signed quantity that the strategy holds now.
        """
        key = _key(order)
        line, closes = self._line(key), self.closes(order)
        before = line.held
        if before == 0:
            line.basket = order.intent.basket
        line.change(order.side.sign * fill.quantity, fill.at)
        if before * line.held <= 0:
            line.opened_at, line.unintended = fill.at, closes and line.held != 0
        reservation = line.reservations.get(order.command_id)
        if reservation is not None:
            if order.quantity != reservation.order.quantity:
                # Somebody changed it at the broker before this fill.
                reservation.remaining += order.quantity - reservation.order.quantity
                reservation.order = order
            reservation.remaining = max(0, reservation.remaining - fill.quantity)
        self._changed[order.exchange, order.symbol] = at
        self._file(key)
        self._drop_if_flat(key)
        return line.held

    def book_external_close(self, close: ExternalClose, at: datetime, opened_at: datetime | None = None) -> None:
        """A holding was corrected: somebody else closed a part of it at the broker (scenario B9), or a person said so.

        `opened_at` is when: for a holding that only begins with this, and for what others closed of it later.
        """
        key = (close.strategy, close.exchange, close.symbol, close.product)
        line = self._line(key)
        before = line.held
        line.change_by_other(close.quantity, opened_at)
        if before * line.held <= 0:
            line.unintended = close.kind.shows_exit and line.held != 0
        # What was a difference until now is told no longer than it is one.
        told = {(d.exchange, d.symbol, d.product): d for d in self._differences}
        if (known := told.get(key[1:])) is not None:
            told[key[1:]] = replace(known, held=known.held + close.quantity)
            self._differences = tuple(d for d in told.values() if d.unattributed)
        self._changed[close.exchange, close.symbol] = at
        self._file(key)
        self._drop_if_flat(key)

    def force_clear_symbol(self, order: Order, at: datetime) -> None:
        """Free the reservation of an order that is over, and nothing else: the holding stays (scenarios B8, D2)."""
        key = self._where.pop(order.command_id, None)
        if key is None:
            return
        self._lines[key].reservations.pop(order.command_id, None)
        self._changed[order.exchange, order.symbol] = at
        self._file(key)
        self._drop_if_flat(key)

    def restore(
        self,
        holdings: Iterable[Holding],
        open_orders: Iterable[Order],
        at: datetime,
        created: frozenset[str] = frozenset(),
        unintended: frozenset[_Key] = frozenset(),
    ) -> None:
        """Begin anew from the database: fills, and orders at the broker.

        `created` names rows that are registered and not sent yet: what was reserved for one of them here stays.
        `unintended` are the holdings that EXITs opened.
        """
        passed = [
            self._lines[key].reservations[command_id]
            for command_id, key in self._where.items()
            if command_id in created
        ]
        self._lines.clear()
        self._by_strategy.clear()
        self._by_symbol.clear()
        self._where.clear()
        self._standing.clear()
        for holding in holdings:
            key = (holding.strategy, holding.exchange, holding.symbol, holding.product)
            line = self._line(key)
            line.unintended = key in unintended
            line.held, line.basket, line.opened_at = holding.quantity, holding.basket, holding.opened_at
            line.changes = list(holding.changes)
            if unknown := holding.quantity - sum(quantity for _, quantity in holding.changes):
                line.changes.insert(0, (holding.opened_at, unknown))
            self._file(key)
        for order in open_orders:
            self.reserve(order, at)
            self.note_sent(order)
        for reservation in passed:
            self.reserve(reservation.order, at)
            if reservation.sent:
                self.note_sent(reservation.order)

    # Looking at it

    def reconcile(
        self,
        positions: Iterable[BrokerPosition],
        asked_at: datetime,
        read_at: datetime | None = None,
        delivered: Mapping[_Account, int] = MappingProxyType({}),
    ) -> tuple[Difference, ...]:
        """Compare with the broker's positions; differences that are new or changed are returned, all are kept.

        A symbol that changed after the read was asked for is left as it was, and one with orders in flight that may
        explain what is new: the read says nothing certain about it. Times are steady, but for `read_at`, the date and
        time for people. What was `delivered` counts as the broker's: shares that are a holding now.
        """
        broker = {(p.exchange, p.symbol, p.product): p.net_quantity for p in positions if p.product is not None}
        broker |= {account: broker.get(account, 0) + shares for account, shares in delivered.items()}
        before = {(d.exchange, d.symbol, d.product): d for d in self._differences}
        after: list[Difference] = []
        for account in sorted(broker.keys() | self.accounts()):
            difference = Difference(*account, broker=broker.get(account, 0), held=self.held_in(account))
            known = before.get(account)
            change = difference.unattributed - (known.unattributed if known else 0)
            if not self._certain(account[:2], asked_at) and not self._beyond_flight(account, change, asked_at):
                after.extend(d for d in (known,) if d)
            elif difference.unattributed:
                after.append(difference)
        self._differences = tuple(after)
        self._compared_at = asked_at
        self.reconciled_at = read_at or asked_at
        return tuple(d for d in after if before.get((d.exchange, d.symbol, d.product)) != d)

    def unsettled(self) -> tuple[tuple[str, str], ...]:
        """Exchange and symbol of what the last read says nothing about: an order is in flight, or has filled since."""
        at = self._compared_at
        symbols = self._by_symbol.keys() | self._changed.keys()
        return tuple(sorted(symbol for symbol in symbols if at is None or not self._certain(symbol, at)))

    def _certain(self, symbol: tuple[str, str], asked_at: datetime) -> bool:
        if any(self._lines[key].reservations for key in self._by_symbol.get(symbol, ())):
            return False
        return self._settled(symbol, asked_at)

    def _settled(self, symbol: tuple[str, str], asked_at: datetime) -> bool:
        changed = self._changed.get(symbol)
        return changed is None or asked_at > changed

    def _beyond_flight(self, account: _Account, change: int, asked_at: datetime) -> bool:
        """Whether a position changed by more, or the other way, than orders in flight there can have filled."""
        sold, bought = (sum(line.reserved(sign) for _, line in self._lines_of(account)) for sign in (-1, 1))
        return self._settled(account[:2], asked_at) and not -sold <= change <= bought

    # What the cap of an exit asks

    def stakes(self, account: _Account, sign: int, without: frozenset[str]) -> tuple[Stake, ...]:
        """Who holds what an order of this sign closes, and what exits in flight close of it, but for `without`."""
        return tuple(line.stake(key[0], sign, without) for key, line in self._lines_of(account) if line.held * sign < 0)

    def sent(self) -> Iterator[tuple[str, _Account]]:
        """The orders in flight that the broker may have, with the position each counts in."""
        for command_id, (_, exchange, symbol, product) in self._where.items():
            line = self._lines[self._where[command_id]]
            if line.reservations[command_id].sent:
                yield command_id, (exchange, symbol, product)

    def changed_at(self, exchange: str, symbol: str) -> datetime | None:
        """When something of a symbol last changed here; None if nothing has since the start."""
        return self._changed.get((exchange, symbol))

    def accounts(self) -> set[tuple[str, str, Product]]:
        """The positions in which a strategy holds something or has an order in flight."""
        return {(exchange, symbol, product) for _, exchange, symbol, product in self._lines}

    def held_before(self, order: Order) -> Stake | None:
        """The holding that an order works on, as what it closes."""
        line = self._lines.get(_key(order))
        return line.stake(order.strategy, order.side.sign, frozenset()) if line is not None and line.held else None

    def opened_at_of(self, line: GuardLine) -> datetime | None:
        """When a holding began."""
        return self._lines[line.strategy, line.exchange, line.symbol, line.product].opened_at

    def held_by(self, strategy: str, account: _Account) -> int:
        """What one strategy holds of a position."""
        return line.held if (line := self._lines.get((strategy, *account))) is not None else 0

    def busy_in(self, account: _Account) -> bool:
        """Whether an order is in flight that counts in a position."""
        return any(line.reservations for _, line in self._lines_of(account))

    def held_in(self, account: _Account) -> int:
        """The sum of what strategies hold of a position."""
        return sum(line.held for _, line in self._lines_of(account))

    def idle_in(self, account: _Account) -> bool:
        """Whether no strategy holds anything of a position or has an order in flight there."""
        return not any(True for _ in self._lines_of(account))

    def loses_by(self, account: _Account, change: int) -> bool:
        """Whether a change of the position is against what a strategy holds, or is about to hold."""
        sign = -1 if change > 0 else 1
        return any(sign in line.directions() for _, line in self._lines_of(account))

    def _lines_of(self, account: _Account) -> Iterator[tuple[_Key, Line]]:
        exchange, symbol, product = account
        for key in sorted(self._by_symbol.get((exchange, symbol), ())):
            if key[3] is product:
                yield key, self._lines[key]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Symbols in which the broker's net quantity is not the sum of what strategies hold."""
        return self._differences

    def lines(self, of: str | None = None) -> Iterator[GuardLine]:
        """Every strategy and symbol with a holding or orders in flight, or those of one strategy."""
        for key in sorted(self._lines if of is None else self._by_strategy.get(of, ())):
            (strategy, exchange, symbol, product), line = key, self._lines[key]
            reserved = sum(r.signed for r in line.reservations.values())
            yield GuardLine(strategy, exchange, symbol, product, line.held, reserved, line.basket, line.unintended)

    def line_of(self, what: Order | ExternalClose) -> GuardLine | None:
        """The line of the position that an order or a close is about."""
        key = (what.strategy, what.exchange, what.symbol, what.product)
        return next((o for o in self.lines() if (o.strategy, o.exchange, o.symbol, o.product) == key), None)

    def in_flight(self) -> Iterator[tuple[Order, datetime]]:
        """Every order that may still fill, with what of it has filled, and when it was reserved."""
        for _, line in sorted(self._lines.items()):
            for reservation in line.reservations.values():
                order = reservation.order
                yield replace(order, filled_quantity=order.quantity - reservation.remaining), reservation.at

    # Keeping the indexes

    def _line(self, key: _Key) -> Line:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line()
            self._by_strategy.setdefault(key[0], set()).add(key)
            self._by_symbol.setdefault((key[1], key[2]), set()).add(key)
        return line

    def _file(self, key: _Key) -> None:
        """Note for which directions a changed line stands."""
        directions = self._lines[key].directions()
        for sign in (1, -1):
            place = (key[1], key[2], sign)
            if sign in directions:
                self._standing.setdefault(place, set()).add(key)
            elif place in self._standing:
                _discard(self._standing, place, key)

    def _drop_if_flat(self, key: _Key) -> None:
        line = self._lines.get(key)
        if line is None or not line.is_flat:
            return
        del self._lines[key]
        _discard(self._by_strategy, key[0], key)
        _discard(self._by_symbol, (key[1], key[2]), key)


def _discard(index: dict[_K, set[_Key]], name: _K, key: _Key) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]


def _key(order: Order) -> _Key:
    if order.product is None:
        raise ValueError(f"order {order.command_id} has no product; only an EXIT before its check may lack one")
    return (order.strategy, order.exchange, order.symbol, order.product)


def _baskets(line: Line) -> Iterator[str | None]:
    if line.held:
        yield line.basket
    for reservation in line.reservations.values():
        yield reservation.order.intent.basket


def _describe(key: _Key, line: Line) -> str:
    if line.held:
        return f"holds {line.held:+d} {key[2]} {key[3]}"
    order = next(iter(line.reservations.values())).order
    return f"has an order in flight: {order.side} {order.quantity} {order.symbol} ({order.command_id})"
