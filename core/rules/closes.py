"""Which external orders closed which holdings: pure functions over what strategies hold and what others filled.

An order can have closed only what was held when it filled: neither an entry of later, nor what was added to a holding
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.model.order import Order, Product, Side
from core.model.positions import Correction, ExternalClose, ExternalFill, OwnFill
from core.rules.lines import Stake, later

__all__ = [
    "PROOF_READS",
    "Close",
    "Residual",
    "Room",
    "closed_of",
    "closings",
    "determined",
    "external_close",
    "gone",
    "grown",
    "later",
    "room",
    "unbooked",
    "who_closed",
]

PROOF_READS = 2
"""Successive reads that must agree on a change of positions which no order explains."""

_ALWAYS = datetime.min.replace(tzinfo=UTC)

# A time so much older than the read that did not show the fill yet (times have whole seconds) is that of the order.
_OLDER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Close:
    """A part of an external order that closes a holding: which order, how much (unsigned)."""

    order: ExternalFill
    quantity: int


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be closed. `proven`: nothing in it rests on one read alone. `reason` says what was subtracted."""

    quantity: int
    proven: bool
    reason: str


@dataclass(slots=True)
class Residual:
    """A change of the unattributed quantity that no order explains, and how many reads in a row agreed on it.

    `since` is the number of the read that showed it first, `absorbed_at` that after which it counts as nobody's,
    and `when` its time; `proved` is what enough reads agreed on last. `ahead` is what orders had filled while
    positions stood still: these may be late, or had it already. `carried` is what of that was there when something
    else was added to it. `held` is the most that was held against it for certain as it happened; None where that is
    not known. `holders` are the strategies that may have lost it, each with what it held when it was seen; None for
    anybody. `beside` is what was nobody's of a position that is gone as a whole.
    """

    value: int = 0
    agreed: int = 0
    since: int = 0
    absorbed_at: int = 0
    proved: int = 0
    ahead: int = 0
    carried: int = 0
    held: int | None = None
    holders: Mapping[str, int] | None = None
    beside: int = 0
    when: datetime | None = None

    def note(self, value: int, read: int, held: int | None, *, certain: bool, anew: bool, ahead: bool) -> None:
        """A read shows this.

        Args:
            value: What no order explains.
            read: The number of the read.
            held: The most that strategies held against it for certain as it happened; None if that is not known.
            certain: Whether no order of ours may have filled meanwhile.
            anew: Whether it is a new read.
            ahead: Whether orders filled, and positions stand still.
        """
        self.agreed = self.agreed + anew if certain and self.agreed and value == self.value else int(certain)
        if value != self.value:
            self.since, self.carried = read, self.ahead if value else 0
            self.ahead = value if ahead else 0
            self.held = held
            self.holders = None
        self.value = value
        self.proved = value if self.agreed >= PROOF_READS else self.proved

    def most(self, sign: int) -> int:
        """The most that it may hide of what was bought (sign 1) or sold (-1)."""
        hidden = self.proved if self.value and self.agreed < PROOF_READS else 0
        return max(0, self.value * sign, (self.value - self.carried) * sign, hidden * sign)

    def absorb(self, read: int, when: datetime | None) -> Residual:
        """It counts as nobody's from now on, the time of that read; what it was."""
        was = Residual(self.value, self.agreed, self.since, read, when=when)
        self.value = self.proved = self.ahead = self.carried = self.beside = 0
        return was


def closings(stakes: Iterable[Stake], fills: Iterable[ExternalFill], used: Mapping[str, int], sign: int) -> list[Close]:
    """The external fills of this sign that close what these strategies hold, oldest first.

    Args:
        stakes: Holdings of the other sign.
        fills: What external orders filled.
        used: How much of each has been booked as a close already.
        sign: 1 for what buys, -1 for what sells.
    """
    holders = tuple(stakes)
    found = [
        Close(fill, free)
        for fill in fills
        if fill.quantity * sign > 0
        and (free := abs(fill.quantity) - fill.settled - used.get(fill.number, 0)) > 0
        and any(stake.had(fill) for stake in holders)
    ]
    return sorted(found, key=_when)


def grown(
    before: ExternalFill, now: ExternalFill, stakes: Sequence[Stake], used: int, seen_at: datetime | None
) -> ExternalFill:
    """An external order that was known, as a later read shows it: each fill is judged by itself, not by its order.

    Args:
        before: As it was known.
        now: As the book shows it, of the same quantity or more.
        stakes: What strategies hold now.
        used: How much of it has been booked as a close.
        seen_at: When the book was read that showed it as it was before; None if that was in another run.

    Returns:
        It with the quantity that can have closed nothing settled, and without a time where the book gives that of
        the order and not that of its last fill.
    """
    settled = min(before.settled, abs(now.quantity))
    if abs(now.quantity) == abs(before.quantity):
        return replace(now, settled=settled, at=now.at if before.at is not None else None)
    if stakes and before.quantity and not any(stake.had(before) for stake in stakes):
        settled = max(settled, abs(before.quantity) - used)
    moved = now.at is not None and before.at is not None and now.at > before.at
    if moved or (now.at is not None and seen_at is not None and now.at >= seen_at - _OLDER):
        return replace(now, settled=settled)
    return replace(now, settled=settled, at=None)


def _when(close: Close) -> tuple[bool, datetime, str]:
    return close.order.at is None, close.order.at or _ALWAYS, close.order.number


def _by_age(stakes: Iterable[Stake]) -> list[Stake]:
    return sorted(stakes, key=lambda s: (s.opened_at is not None, s.opened_at or _ALWAYS, s.strategy))


def room(
    stakes: Iterable[Stake],
    closes: Iterable[Close],
    unexplained: int,
    strategy: str,
    holders: Mapping[str, int] | None = None,
) -> int:
    """How much `strategy` may close, beside all exits in flight, so that no holding is closed twice.

    Of it alone, and of the oldest holdings for each number of them, no more may be closed than they hold less what the
    others cannot have lost. What no order explains is of `holders`, as far as they held it; without them, anybody's.
    """
    ordered, all_closes = _by_age(stakes), sorted(closes, key=_when)
    closed_of_all = _closed_by(ordered, all_closes)[-1]

    def left(group: list[Stake]) -> int:
        others = [stake for stake in ordered if stake not in group]
        held = sum(stake.quantity for stake in group)
        closed = closed_of_all - _closed_by(others, all_closes)[-1] + max(0, unexplained - may_have_lost(others))
        return held - min(held, closed) - sum(stake.leaving for stake in group)

    def may_have_lost(others: list[Stake]) -> int:
        if holders is None:
            return unexplained if others else 0
        return sum(min(stake.quantity, holders.get(stake.strategy, 0)) for stake in others)

    mine = next((number for number, stake in enumerate(ordered) if stake.strategy == strategy), None)
    if mine is None:
        return 0
    groups = [[ordered[mine]], *(ordered[:end] for end in range(mine + 1, len(ordered) + 1))]
    return max(0, min(left(group) for group in groups))


def _closed_by(stakes: list[Stake], closes: list[Close]) -> list[int]:
    """How much of these holdings is closed before the first of these orders, and after each."""
    closed = [0]
    for close in closes:
        held = sum(stake.had(close.order) for stake in stakes)
        closed.append(max(closed[-1], min(closed[-1] + close.quantity, held)))
    return closed


def determined(stakes: Iterable[Stake], closes: Iterable[Close]) -> list[tuple[str, Close]]:
    """The closes whose holder is certain, as (strategy, close).

    Certain is: one strategy alone can have lost it, or everybody who can have lost it lost all.
    """
    ordered, left = _by_age(stakes), sorted(closes, key=_when)
    lost: dict[str, int] = {}
    found: list[tuple[str, Close]] = []
    closed = _closed_by(ordered, left)
    drained = 0
    for number, close in enumerate(left, 1):
        if closed[number] and closed[number] == sum(stake.had(close.order) for stake in ordered):
            drained = number
    if drained:
        # All that was held at that time is closed, whoever lost it to which of the orders.
        last = left[drained - 1].order
        for close in left[:drained]:
            free = close.quantity
            for stake in ordered:
                missing = min(stake.had(last), stake.quantity) - lost.get(stake.strategy, 0)
                free -= _take(stake, close, min(free, missing, stake.had(close.order)), lost, found)
    for close in left[drained:]:
        can = [stake for stake in ordered if stake.had(close.order) > lost.get(stake.strategy, 0)]
        if len(can) > 1:
            break
        for stake in can:
            most = min(stake.had(close.order), stake.quantity) - lost.get(stake.strategy, 0)
            _take(stake, close, min(close.quantity, most), lost, found)
    return found


def _take(stake: Stake, close: Close, took: int, lost: dict[str, int], found: list[tuple[str, Close]]) -> int:
    """Note what a strategy lost to an order; how much that is."""
    if took <= 0:
        return 0
    lost[stake.strategy] = lost.get(stake.strategy, 0) + took
    found.append((stake.strategy, Close(close.order, took)))
    return took


def gone(order: Order, stakes: Iterable[Stake], closes: Iterable[Close], unexplained: int) -> str:
    """What is gone of a holding, by whom, and who else holds or leaves."""
    traded = "sold" if order.side is Side.SELL else "bought"
    parts = [f"external order {close.order.number} {traded} {close.quantity}" for close in closes]
    if unexplained:
        parts.append(f"{unexplained} left the position without an order that explains it (`run.py adopt --write-off`)")
    parts += [
        f"{stake.strategy} holds {stake.quantity * -order.side.sign:+d} by its fills"
        + f", {stake.leaving} of it in exits in flight" * bool(stake.leaving)
        for stake in stakes
    ]
    return "; ".join(parts)


def who_closed(close: ExternalClose) -> str:
    """Who took something off a holding, as the beginning of a sentence that goes on with how much."""
    match close.kind:
        case Correction.EXTERNAL_ORDER:
            return f"external order {close.broker_order_id} closed"
        case Correction.WRITTEN_OFF:
            return "a person wrote off"
        case Correction.CONVERTED:
            return "a conversion at the broker moved"
        case Correction.EXPIRED:
            # An intraday position ends with its day, whatever it is of.
            return "the end of its trading day closed" if close.product is Product.MIS else "the contract's end closed"
        case _:
            return "a person corrected"


def closed_of(order: Order, closes: Iterable[ExternalClose]) -> str:
    """Who closed what `order`, an EXIT, would have closed; empty where nobody did."""
    return "; ".join(
        f"{who_closed(close)} {abs(close.quantity)} {close.symbol} {close.product}"
        for close in closes
        if (close.strategy, close.exchange, close.symbol) == (order.strategy, order.exchange, order.symbol)
        and close.quantity * order.side.sign > 0
        and not close.beyond
    )


def unbooked(own: Iterable[OwnFill], booked: Mapping[str, int], account: tuple[str, str, object], sign: int) -> int:
    """What these orders of ours filled on one side of a position, as far as it is not booked."""
    return sum(
        max(0, (one.filled or 0) - max(one.booked, booked.get(one.command_id, 0)))
        for one in own
        if (one.exchange, one.symbol, one.product) == account and one.sign == sign
    )


def external_close(account: tuple[str, str, Product], strategy: str, sign: int, close: Close) -> ExternalClose:
    """The correction of what a strategy holds that an external order of this sign makes."""
    assert close.order.price is not None
    return ExternalClose(strategy, *account, sign * close.quantity, close.order.price, close.order.number)
