"""Stops, targets and trails as pure decisions: which level stands where, which price reaches it, which is believed.

A level is rounded outward to the price step, away from the position's price, so that rounding never fires early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.model.broker import Quote, SecondSource
from core.model.order import OrderIntent, Side
from core.model.protect import Distance, Protect, Unit
from core.model.protection import Protection
from core.rules.prices import APART_S, SECOND_S

__all__ = [
    "OLD_S",
    "Levels",
    "Watch",
    "follow",
    "in_json",
    "levels",
    "misplaced",
    "reached",
    "read_protect",
    "unusable",
]

OLD_S = 30.0
"""Seconds after which a price fires nothing: it says what the market was, not what it is."""

_MAX = Decimal(10_000_000)
_STEP = Decimal("0.0001")
_NAMES = ("stop", "target", "trail")
_UNSPOKEN = (SecondSource.NONE, SecondSource.BAND)


# What is wanted, read from outside


def read_protect(value: object) -> Protect | str:
    """`{"stop": {"points": 5}, "target": {"percent": 2}, "trail": {"points": 3}}`, or what is wrong with it."""
    if isinstance(value, Protect):
        value = {name: {distance.unit.value: distance.value} for name, distance in value.given()}
    if not isinstance(value, Mapping) or not value:
        return 'must be an object with stop, target or trail, such as {"stop": {"points": 5}}'
    found: dict[str, Distance] = {}
    for name, given in value.items():
        if name not in _NAMES:
            return f"knows stop, target and trail, not {str(name)[:40]!r}"
        if given is None:
            continue
        distance = _distance(given)
        if distance is None:
            return f"{name} must be one of points, percent and price with a number above 0 and at most 4 decimals"
        if name == "trail" and distance.unit is Unit.PRICE:
            return "trail must be points or percent: a price does not follow the market; use stop"
        if distance.unit is Unit.PERCENT and distance.value >= 100:
            return f"{name} must be below 100 per cent; got {distance.value}"
        found[name] = distance
    return Protect(**found) if found else "must have a stop, a target or a trail"


def _distance(given: object) -> Distance | None:
    if not isinstance(given, Mapping) or len(given) != 1:
        return None
    [(unit, value)] = given.items()
    if unit not in set(Unit) or isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value))
        if not number.is_finite() or not 0 < number <= _MAX or number != number.quantize(_STEP):
            return None
    except (ArithmeticError, ValueError):
        return None
    # As a price reads back: 100 and 1E+2 are one number.
    return Distance(Unit(unit), Decimal(format(number, "f")))


def in_json(rule: Protect) -> dict[str, dict[str, str]]:
    """As `read_protect` takes it, with numbers as text."""
    return {name: {distance.unit.value: format(distance.value, "f")} for name, distance in rule.given()}


# Levels


@dataclass(frozen=True, slots=True)
class Levels:
    """Where the three stand now; None where one is not set."""

    stop: Decimal | None
    target: Decimal | None
    trail: Decimal | None


def levels(protection: Protection, tick: Decimal | None = None) -> Levels:
    """The levels of a protection that has an anchor. Stop and trail lie below a long position, the target above."""
    sign, rule, anchor = protection.sign, protection.rule, protection.anchor
    stop = _level(rule.stop, anchor, -sign, tick)
    return Levels(stop, _level(rule.target, anchor, sign, tick), protection.trail)


def _level(distance: Distance | None, of: Decimal | None, away: int, tick: Decimal | None) -> Decimal | None:
    """`away` is 1 for a level above the price it is counted from, -1 for one below."""
    if distance is None:
        return None
    if distance.unit is Unit.PRICE:
        return _outward(distance.value, away, tick)
    if of is None:
        return None
    points = distance.value if distance.unit is Unit.POINTS else of * distance.value / 100
    return _outward(of + away * points, away, tick)


def _outward(level: Decimal, away: int, tick: Decimal | None) -> Decimal:
    if tick is None or tick <= 0:
        return level
    return (level / tick).to_integral_value(ROUND_CEILING if away > 0 else ROUND_FLOOR) * tick


def follow(protection: Protection, price: Decimal, tick: Decimal | None = None) -> Protection:
    """With this price as the best one, if it is, and the trail drawn after it. The trail never loosens."""
    sign, best = protection.sign, protection.best
    if best is None or (price - best) * sign > 0:
        best = price
    level = _level(protection.rule.trail, best, -sign, tick)
    if level is not None and protection.trail is not None and (level - protection.trail) * sign < 0:
        level = protection.trail
    if best == protection.best and level == protection.trail:
        return protection
    return replace(protection, best=best, trail=level)


def reached(protection: Protection, price: Decimal, tick: Decimal | None = None) -> tuple[str, Decimal] | None:
    """Which level this price has reached, and where that stands. Of stop and trail the nearer one is named."""
    sign, at = protection.sign, levels(protection, tick)
    losses = [(name, level) for name, level in (("stop", at.stop), ("trail", at.trail)) if level is not None]
    if losses:
        name, level = max(losses, key=lambda one: one[1] * sign)
        if (price - level) * sign <= 0:
            return name, level
    if at.target is not None and (price - at.target) * sign >= 0:
        return "target", at.target
    return None


def unusable(protection: Protection, price: Decimal, tick: Decimal | None = None) -> str | None:
    """Why a protection is refused: a level that cannot be one, or one that the price has reached already."""
    at = levels(protection, tick)
    if any(level is not None and level <= 0 for level in (at.stop, at.target, at.trail)):
        return "a level lies at or below 0: choose a smaller distance"
    if (found := reached(protection, price, tick)) is not None:
        name, level = found
        held = "long" if protection.sign > 0 else "short"
        return f"the {name} at {level} of this {held} position is reached already: the price is {price}"
    return None


def misplaced(rule: Protect, intent: OrderIntent) -> str | None:
    """Why a protection does not go with an order that names its price."""
    if intent.price is None:
        return None
    sign = 1 if intent.side is Side.BUY else -1
    for name, distance, away in (("stop", rule.stop, -sign), ("target", rule.target, sign)):
        if distance is not None and distance.unit is Unit.PRICE and (distance.value - intent.price) * away <= 0:
            where = "above" if away > 0 else "below"
            return f"{name} must be {where} the price {intent.price} of this {intent.side}; got {distance.value}"
    return None


# Which price is believed


class Watch:
    """Decides whether a price that reaches a level may fire. Times are monotonic seconds.

    Args:
        max_jump: Share of the last price beyond which one that nothing speaks for needs a second price.
    """

    def __init__(self, max_jump: Decimal) -> None:
        self._max_jump = max_jump
        self._doubted: tuple[Quote, float] | None = None

    def believes(self, quote: Quote, reference: Decimal | None, now: float) -> bool:
        """Whether this price, which reaches a level, may fire it.

        One that has a second source or follows its last price may. The first after a start or a silence may unless it
        lies beyond the bound off `reference`; then a second price is waited for, of the other source or well apart.
        """
        spoken_for = quote.second not in _UNSPOKEN
        if self._doubted is not None:
            first, at = self._doubted
            apart = quote.source is not first.source or now - at >= APART_S
            if now - at <= SECOND_S and not self._far(quote.last_price, first.last_price):
                if not apart:
                    return False
                self._doubted = None
                return True
            self._doubted = None
        if spoken_for or reference is None or not self._far(quote.last_price, reference):
            return True
        self._doubted = (quote, now)
        return False

    @property
    def waits(self) -> bool:
        """Whether a second price is waited for."""
        return self._doubted is not None

    def forget(self) -> None:
        """The price came back: there is nothing to confirm."""
        self._doubted = None

    def _far(self, one: Decimal, other: Decimal) -> bool:
        return abs(one - other) > other * self._max_jump
