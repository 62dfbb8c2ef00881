"""A square-off under way: what to cancel and which exits to send now, and when a person must take over (scenario D7).

It is of what is held and works as it begins; what is entered elsewhere later is another matter. Orders that rest stand
in its way: what opens is cancelled at once, an exit once it has had its time. An exit is sent only where no order of
its strategy works in the symbol any more, so there are never two at once; that an order is gone the books have proven,
not the broker's answer to the cancel.

Whether an exit rests or has filled is known by reading the books, so none is cancelled, and no cancel repeated, before
they were read anew: while calls wait for the rate limits, cancels would only keep the reading back.

An exit may be refused, rejected, cancelled or never sent while the loss goes on, and a cancel may be lost. So both are
tried again after growing pauses, a bounded number of times, and what is left then is handed to a person. Never an
endless loop, never a silent stop.

A flatten is worked on in the same way, narrowed to what EXITs opened of the lines that a person named; and so is the
exit of a protection that has fired, narrowed to its position.

While the broker cannot be read nothing is given up: tries go on slowly and are not counted, and once it is back all of
them and the whole time are left. A person is told when that begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.model.order import ExecutionType, Order, OrderIntent, OrderType, Product, Side, Source
from core.model.positions import GuardLine

__all__ = [
    "EXIT_PATIENCE_S",
    "OUTAGE_S",
    "PAUSES_S",
    "TIME_LIMIT_S",
    "InFlight",
    "SquareOffRun",
    "Step",
    "exits_to_come",
    "follows_text",
    "given_up_text",
    "in_vain_text",
    "market_exit",
]

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before each further exit of one holding, or cancel of one order; after the last of them it is given up."""

EXIT_PATIENCE_S = 5.0
"""Seconds an exit has to fill, and the books to show it, before it is cancelled for another to take its place."""

TIME_LIMIT_S = 120.0
"""Seconds after which what is still held or works at the broker is given up. Those of an outage do not count."""

OUTAGE_S = 20.0
"""Seconds without a read of positions after which the broker counts as away: nothing is given up while it is."""

# So many cancels of one order may come to nothing before a person is told; more of them follow.
_IN_VAIN = 3

_Key = tuple[str, str, str, Product]
# What may have one open order at a time (2C).
_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class InFlight:
    """An order that may still fill, and the seconds since its quantity was reserved."""

    order: Order
    age_s: float


@dataclass(slots=True)
class _Try:
    attempts: int
    next_at: float
    made_at: float = -math.inf

    def made(self, now: float, pauses_s: tuple[float, ...]) -> None:
        self.made_at = now
        self.next_at = now + pauses_s[min(self.attempts, len(pauses_s) - 1)]
        self.attempts += 1


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: exits to submit, orders to cancel, what to hand to a person, and whether that was the end.

    `waits` says that the broker is away from now on, and that the square-off goes on once it can be read again.
    `in_vain` are orders whose cancels have come to nothing so far, each once.
    """

    exits: tuple[OrderIntent, ...]
    cancels: tuple[str, ...]
    given_up: tuple[GuardLine, ...]
    done: bool
    waits: bool = False
    in_vain: tuple[Order, ...] = ()


class SquareOffRun:
    """One square-off, of one strategy or of all. Times are monotonic seconds.

    Args:
        reason: Why, for the alarm at its end.
        source: In whose name exits are submitted.
        strategy: Whose holdings; None for all.
        now: When it begins.
        pauses_s: As `PAUSES_S`.
        patience_s: As `EXIT_PATIENCE_S`.
        symbol: Only this symbol; None for all.
        outage_s: As `OUTAGE_S`.
        opened: Of a flatten: only these, as long as they are what EXITs opened, and no more than is held now. Of orders
            only EXITs stand in its way.
        position: Of a protection: only this position; also one for delivery.
        key: Of a protection: what the idempotency keys of its exits begin with.
    """

    def __init__(
        self,
        reason: str,
        source: Source,
        strategy: str | None,
        now: float,
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        patience_s: float = EXIT_PATIENCE_S,
        symbol: str | None = None,
        outage_s: float = OUTAGE_S,
        opened: Sequence[GuardLine] | None = None,
        position: _Key | None = None,
        key: str | None = None,
    ) -> None:
        self.reason = reason
        self.source = source
        self.strategy = strategy
        self.symbol = symbol
        self._pauses_s = pauses_s
        self._patience_s = patience_s
        self._until = now + TIME_LIMIT_S
        self._outage_s = outage_s
        self._away = False
        self._exits: dict[_Key, _Try] = {}
        self._cancels: dict[str, _Try] = {}
        self._given_up: set[_Key] = set()
        self._meant: set[_Key] | None = None
        self._opened = None if opened is None else {_key(line): abs(line.held) for line in opened}
        self._position = position
        self._idempotency_key = key
        self._keyed = 0

    @property
    def is_flatten(self) -> bool:
        """Whether it closes what EXITs opened, and nothing else."""
        return self._opened is not None

    def works_on(self, line: GuardLine) -> bool:
        """Whether it is at this line, and has not given it up."""
        return self._meant is not None and _key(line) in self._meant - self._given_up

    @property
    def scope(self) -> str:
        """What it is to exit, in words."""
        return " ".join(part for part in (self.strategy, self.symbol) if part) or "everything"

    def begin(
        self,
        others: Iterable[SquareOffRun],
        lines: Iterable[GuardLine],
        orders: Iterable[InFlight],
        now: float,
        seen_at: float | None = None,
        *,
        sent: Iterable[OrderIntent] = (),
    ) -> Step:
        """The first step. What `others` are at, or have given up, is begun anew; the rest stays with them.

        An exit that one of them sent a moment ago is waited for, and so are the first ones of a flatten, just `sent`.
        """
        earlier = tuple(others)
        for other in earlier:
            tries = other._exits.items()
            self._exits |= {key: _Try(0, made.next_at) for key, made in tries if key not in other._given_up}
        for one in sent:
            if one.product is not None:
                made = self._exits[one.strategy, one.exchange, one.symbol, one.product] = _Try(0, now)
                made.made(now, self._pauses_s)
        step = self.step(lines, orders, now, seen_at)
        for other in earlier:
            # One whose first step raised takes its first step yet, and finds then what is left for it.
            if other._meant is not None and self._meant is not None:
                other._meant -= self._meant
        return step

    def step(
        self, lines: Iterable[GuardLine], orders: Iterable[InFlight], now: float, seen_at: float | None = None
    ) -> Step:
        """What to do, given what strategies hold and have in flight now. What was bought for delivery stays (C14).

        Args:
            lines: What strategies hold and have reserved.
            orders: What may still fill.
            now: Monotonic seconds.
            seen_at: When the positions that were read last were asked for; None: now.
        """
        seen_at = now if seen_at is None else seen_at
        waits = self._note_outage(now, seen_at)
        working = tuple(orders)
        busy = {_place(one.order) for one in working}
        exits: list[OrderIntent] = []
        given_up: list[GuardLine] = []
        mine = [line for line in lines if self._concerns(line, busy)]
        if self._meant is None:
            self._meant = {_key(line) for line in mine}
        for line in mine:
            attempt = self._exits.setdefault(_key(line), _Try(0, now))
            free = line.held != 0 and _place(line) not in busy
            spent = now >= self._until or (free and self._spent(attempt) and now >= attempt.next_at)
            if self._has_grown(line) or (spent and not self._away):
                self._given_up.add(_key(line))
                given_up.append(line)
            elif free and now >= attempt.next_at:
                exits.append(self._exit(line))
                busy.add(_place(line))
                attempt.made(now, self._pauses_s)
        cancels = tuple(self._to_cancel(mine, working, now, seen_at))
        vain = {command_id for command_id in cancels if self._cancels[command_id].attempts == _IN_VAIN + 1}
        in_vain = tuple(one.order for one in working if one.order.command_id in vain)
        waits = waits and bool(mine)
        return Step(tuple(exits), cancels, tuple(given_up), done=not mine, waits=waits, in_vain=in_vain)

    def _exit(self, line: GuardLine) -> OrderIntent:
        if self._idempotency_key is None:
            return market_exit(line)
        self._keyed += 1
        return replace(market_exit(line), idempotency_key=f"{self._idempotency_key}-{self._keyed}")

    def _note_outage(self, now: float, seen_at: float) -> bool:
        """Whether an outage begins. When one ends, everything is tried anew."""
        was_away, self._away = self._away, now - seen_at > self._outage_s
        if was_away and not self._away:
            self._until = now + TIME_LIMIT_S
            for key, made in self._exits.items():
                if key not in self._given_up:
                    made.attempts = 0
            for cancel in self._cancels.values():
                cancel.attempts = 0
        return self._away and not was_away

    def _has_grown(self, line: GuardLine) -> bool:
        """Whether more is held now than a person wanted flattened."""
        if self._opened is None:
            return False
        most, held = self._opened[_key(line)], abs(line.held)
        self._opened[_key(line)] = min(most, held)
        return held > most

    def _concerns(self, line: GuardLine, busy: set[_Place]) -> bool:
        if self._opened is not None and not (_key(line) in self._opened and line.unintended and line.held):
            return False
        meant = self.strategy in (None, line.strategy) and self.symbol in (None, line.symbol)
        meant = meant and self._position in (None, _key(line))
        open_still = line.held != 0 or _place(line) in busy
        meant = meant and (self._meant is None or _key(line) in self._meant)
        stays = line.stays and self._position is None
        return meant and open_still and not stays and _key(line) not in self._given_up

    def _spent(self, attempt: _Try) -> bool:
        return attempt.attempts > len(self._pauses_s)

    def _to_cancel(
        self, mine: list[GuardLine], working: tuple[InFlight, ...], now: float, seen_at: float
    ) -> Iterator[str]:
        keys = {_key(line) for line in mine} - self._given_up
        for one in working:
            order = one.order
            key = (*_place(order), order.product)
            if key not in keys:
                continue
            leaves = order.execution_type is ExecutionType.EXIT
            if self.is_flatten and not leaves:
                continue
            rests = not leaves or seen_at >= now - one.age_s + self._patience_s
            attempt = self._cancels.setdefault(order.command_id, _Try(0, now))
            # The last exit of a holding is left to work: none would take its place.
            last = leaves and (exits := self._exits.get(key)) is not None and self._spent(exits)
            due = now >= attempt.next_at and seen_at > attempt.made_at and rests
            if due and not self._spent(attempt) and not last:
                attempt.made(now, self._pauses_s)
                yield order.command_id


def exits_to_come(
    lines: Iterable[GuardLine],
    orders: Iterable[InFlight],
    strategy: str | None,
    symbol: str | None,
    sent: Iterable[OrderIntent] = (),
) -> tuple[tuple[OrderIntent, tuple[str, ...]], ...]:
    """The exits beside those that are `sent` now, with the command ids of the orders in flight that they wait for.

    Without any, another square-off has sent one a moment ago.
    """
    now = {(one.strategy, one.exchange, one.symbol) for one in sent}
    waited_for: dict[_Place, list[str]] = {}
    for one in orders:
        waited_for.setdefault(_place(one.order), []).append(one.order.command_id)
    return tuple(
        (market_exit(line), tuple(waited_for.get(_place(line), ())))
        for line in lines
        if line.held
        and not line.stays
        and strategy in (None, line.strategy)
        and symbol in (None, line.symbol)
        and (_place(line) in waited_for or _place(line) not in now)
    )


def follows_text(ids: tuple[str, ...]) -> str:
    """When an exit of `exits_to_come` follows."""
    return f"once {', '.join(ids)} has filled or is cancelled" if ids else "if the one sent a moment ago does not fill"


def _key(line: GuardLine) -> _Key:
    return (line.strategy, line.exchange, line.symbol, line.product)


def _place(what: GuardLine | Order) -> _Place:
    return (what.strategy, what.exchange, what.symbol)


def market_exit(line: GuardLine) -> OrderIntent:
    """The EXIT at the market that closes all a strategy holds in one position."""
    return OrderIntent(
        strategy=line.strategy,
        execution_type=ExecutionType.EXIT,
        exchange=line.exchange,
        symbol=line.symbol,
        side=Side.SELL if line.held > 0 else Side.BUY,
        quantity=abs(line.held),
        product=line.product,
        order_type=OrderType.MARKET,
    )


def given_up_text(reason: str, line: GuardLine, working: Iterable[InFlight]) -> str:
    """What a person is told of a line that a square-off could not end, with the orders that stand in its way."""
    left = f"holds {line.held:+d}" if line.held else "has an order in flight in"
    text = f"square-off ({reason}): {line.strategy} still {left} {line.symbol} {line.product}; a person must end it"
    where = (line.strategy, line.exchange, line.symbol, line.product)
    names = [
        _named(order)
        for order in (one.order for one in working)
        if (order.strategy, order.exchange, order.symbol, order.product) == where
    ]
    return text + f"; cancel at the broker: {', '.join(names)}" * bool(names)


def in_vain_text(reason: str, order: Order) -> str:
    """What a person is told of an order that stands in the way while it is still tried to cancel it."""
    text = f"square-off ({reason}): {_IN_VAIN} cancels of {_named(order)} came to nothing, and {order.strategy} is not "
    return text + f"exited in {order.symbol} {order.product} before it is gone; it is tried on, or cancel at the broker"


def _named(order: Order) -> str:
    return f"{order.command_id} (broker order {order.broker_order_id or 'not known'})"
