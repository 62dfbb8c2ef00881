"""Which prices are believed: held against the last price, the other source and the day's band (scenario G11).

A price of another instrument, or one that has jumped, is not used until a second source says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from core.model.broker import PriceSource, Quote, SecondSource

__all__ = ["FORGET_S", "SECOND_S", "Doubt", "PriceBook", "doubt_of", "words_of"]

FORGET_S = 300.0
"""A last price older than this says nothing of a jump: the market may have been closed."""

SECOND_S = 30.0
"""How old the other source's price may be that speaks for one, or against it."""

APART_S = 1.0
"""Two answers of the broker are two readings when they are so far apart."""

_OPTION = 5
"""Options move so many times as far as what is behind them."""

_TICKS = 20
"""A jump is more than so many price steps: an option of 0.10 may well be 0.20."""

_STEP = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A price that is not used, and why. `open`: a second source may yet speak for it."""

    reason: str
    open: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    quote: Quote
    at: float


class PriceBook:
    """The last believed price of each instrument. All times are monotonic seconds.

    Args:
        max_jump: Share of the last price that a price may lie off it without a second source; options five times that.
    """

    def __init__(self, max_jump: Decimal) -> None:
        self._max_jump = max_jump
        self._last: dict[str, _Reading] = {}
        self._by_source: dict[tuple[str, PriceSource], _Reading] = {}
        self._doubted: dict[str, _Reading] = {}

    def take(self, quote: Quote, now: float, *, option: bool = False) -> Quote | Doubt:
        """The price with what speaks for it, kept as the last one; or why it is not used."""
        place = quote.place
        last = self._last.get(place)
        recent = last.quote if last is not None and now - last.at <= FORGET_S else None
        doubt = doubt_of(quote, recent, self._max_jump, option=option)
        if doubt is None:
            second = self._second(quote, now, last, option=option)
        elif not doubt.open or (spoken := self._confirmed(quote, now, option=option)) is None:
            return doubt
        else:
            second = spoken
        if (doubted := self._doubted.get(place)) is not None and doubted.quote.source in (quote.source, second):
            del self._doubted[place]
        believed = replace(quote, second=second)
        self._last[place] = self._by_source[place, quote.source] = _Reading(believed, now)
        return believed

    def last(self, place: str) -> Quote | None:
        """The last believed price."""
        reading = self._last.get(place)
        return None if reading is None else reading.quote

    def told_by(self, place: str, source: PriceSource) -> Quote | None:
        """The last believed price of one source."""
        reading = self._by_source.get((place, source))
        return None if reading is None else reading.quote

    def age_s(self, place: str, now: float, source: PriceSource | None = None) -> float | None:
        """Seconds since a price, or one of this source, was believed; None where there was none."""
        reading = self._last.get(place) if source is None else self._by_source.get((place, source))
        return None if reading is None else now - reading.at

    def forget(self, place: str) -> None:
        """Its prices are not wanted any more."""
        self._last.pop(place, None)
        self._doubted.pop(place, None)
        for source in PriceSource:
            self._by_source.pop((place, source), None)

    def _confirmed(self, quote: Quote, now: float, *, option: bool) -> SecondSource | None:
        """Who spoke for a jump before; if nobody, it is kept to be spoken for."""
        doubted = self._doubted.get(quote.place)
        fresh = doubted is not None and now - doubted.at <= SECOND_S
        if doubted is not None and fresh and not self._far(quote, doubted.quote, option=option):
            if doubted.quote.source is not quote.source:
                return SecondSource(doubted.quote.source)
            # Frames of one feed are one source however many they are; two answers are two readings.
            if quote.source is PriceSource.QUOTE:
                return SecondSource.QUOTE if now - doubted.at >= APART_S else None
        self._doubted[quote.place] = _Reading(quote, now)
        return None

    def _second(self, quote: Quote, now: float, last: _Reading | None, *, option: bool) -> SecondSource:
        other = PriceSource.QUOTE if quote.source is PriceSource.FEED else PriceSource.FEED
        reading = self._by_source.get((quote.place, other))
        if reading is not None and now - reading.at <= SECOND_S and not self._far(quote, reading.quote, option=option):
            return SecondSource(other)
        if last is not None and now - last.at <= FORGET_S:
            return SecondSource.LAST
        banded = quote.lower_limit is not None and quote.upper_limit is not None
        return SecondSource.BAND if banded else SecondSource.NONE

    def _far(self, one: Quote, other: Quote, *, option: bool) -> bool:
        return _far(one, other, self._max_jump, option=option)


def doubt_of(quote: Quote, before: Quote | None, max_jump: Decimal, *, option: bool = False) -> Doubt | None:
    """Why a price is not used: it cannot be one of the instrument, or lies far off the price `before` it."""
    price, lower, upper = quote.last_price, quote.lower_limit, quote.upper_limit
    if lower is not None and upper is not None and not lower <= price <= upper:
        possible, why = False, f"it lies outside the day's band {lower} to {upper}"
    elif before is not None and _far(quote, before, max_jump, option=option):
        off = abs(price - before.last_price) * 100 / before.last_price
        possible, why = True, f"{off:.0f} % off the last price {before.last_price}"
    else:
        return None
    return Doubt(f"{quote.place} {price} ({words_of(quote.source)}) is not used: {why}", open=possible)


def _far(one: Quote, other: Quote, max_jump: Decimal, *, option: bool) -> bool:
    option = option or (one.instrument or other.instrument or "").startswith("OPT")
    bound = other.last_price * max_jump * (_OPTION if option else 1)
    return abs(one.last_price - other.last_price) > max(bound, (one.tick_size or _STEP) * _TICKS)


def words_of(source: PriceSource) -> str:
    """Who told a price."""
    return "push feed" if source is PriceSource.FEED else "broker's quote"
