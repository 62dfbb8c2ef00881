"""Prices and the synthetic order book around them.

The walk is a sum of noise on doubling time scales, each value of it a hash of seed, contract and time. It looks like a
random walk up to some hours and, unlike one, can be read at any moment without stepping through all before: ten
thousand idle contracts cost nothing, a clock that jumps a day costs nothing, and candles of last week are there.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from datetime import time as time_of_day
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from core.paper.config import ExchangeConfig, PriceSource, Tick
from core.paper.instruments import Instrument, Master
from core.paper.times import at_time

__all__ = ["Candle", "Depth", "Level", "Prices", "to_tick"]

Level = tuple[Decimal, int]
"""Price and quantity of one line of an order book."""

Depth = tuple[list[Level], list[Level]]
"""Bids and asks, best first."""

Key = tuple[str, str]

_MASK = (1 << 64) - 1
_OCTAVES = 14
_DAY_S = 86_400.0
_OPTION_VOLATILITY = 0.13
_EXPIRY_CLOCK = time_of_day(15, 30)
_BANDS = {"EQ": Decimal("0.10"), "BE": Decimal("0.05")}
_FUTURE_BAND = Decimal("0.10")
_MIN_LOTS = 10
# So many moves of one contract by command are remembered for its candles.
_MOST_CHANGES = 100


def to_tick(price: Decimal, tick: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """`price` on the grid of `tick`."""
    return (price / tick).quantize(Decimal(1), rounding=rounding) * tick


class Candle(NamedTuple):
    """Prices and units of one interval."""

    begin: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class _Before(NamedTuple):
    """What was decided of a contract's price for the steps before one."""

    until: int
    factor: float | None
    fixed: tuple[Decimal, int] | None
    held: bool


class Prices:
    """What every contract costs at every step.

    Args:
        config: Source, volatility, interval and depth.
        master: The contracts.
        closes: Previous closing prices in rupees where they are known.
        start: When step 0 begins.
        seed: The source of all chance in prices and depth.
    """

    def __init__(
        self, config: ExchangeConfig, master: Master, closes: Mapping[Key, Decimal], start: datetime, seed: int
    ) -> None:
        self._config = config
        self._master = master
        self._start = start
        self._interval = timedelta(seconds=config.walk_interval_s)
        self._seed = seed
        self._base = dict(closes)
        self._close: dict[Key, Decimal] = {}
        self._factor: dict[Key, float] = {}
        self._fixed: dict[Key, tuple[Decimal, int]] = {}
        self._held: set[Key] = set()
        self._band: dict[Key, tuple[Decimal, Decimal]] = {}
        self._before: dict[Key, list[_Before]] = {}
        self._rolled: int | None = None
        self._cache: dict[Key, tuple[int, Decimal]] = {}
        self._ticks = _by_instrument(config, start)
        self.revision = 0
        """Goes up with each change that does not follow from seed and time."""

    # -- time ---------------------------------------------------------------------------------------------------

    def step_at(self, now: datetime) -> int:
        """The step that `now` lies in."""
        return (now - self._start) // self._interval

    def time_of(self, step: int) -> datetime:
        """When `step` begins."""
        return self._start + step * self._interval

    # -- prices -------------------------------------------------------------------------------------------------

    def last(self, instrument: Instrument, step: int) -> Decimal:
        """The last traded price in rupees, on the tick and within the band."""
        key = instrument.key
        cached = self._cache.get(key)
        if cached is not None and cached[0] == step:
            return cached[1]
        price = self._last(instrument, step)
        self._cache[key] = (step, price)
        return price

    def close(self, instrument: Instrument) -> Decimal:
        """The previous day's closing price."""
        price = self._close.get(instrument.key)
        if price is None:
            price = self._on_grid(instrument, self._opening(instrument))
            self._close[instrument.key] = price
        return price

    def band(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """Lower and upper circuit price, `lc` and `uc`."""
        band = self._band.get(instrument.key)
        if band is None:
            band = self._natural_band(instrument)
            self._band[instrument.key] = band
        return band

    def set_price(self, instrument: Instrument, price: Decimal, step: int) -> None:
        """Put the price at `price` now; a walk goes on from there. The band is widened where it must be."""
        self._note(instrument.key, step)
        lower, upper = self.band(instrument)
        self._band[instrument.key] = (
            min(lower, to_tick(price * Decimal("0.9"), instrument.tick, ROUND_CEILING)),
            max(upper, to_tick(price * Decimal("1.1"), instrument.tick, ROUND_FLOOR)),
        )
        self._cache.pop(instrument.key, None)
        self.revision += 1
        if self._config.price_source is PriceSource.WALK and instrument.key not in self._held:
            # The factor is that of the undisturbed walk, not of the one that an earlier command has moved.
            self._factor.pop(instrument.key, None)
            self._factor[instrument.key] = float(price) / max(self._walk(instrument, step), 1e-9)
        else:
            self._fixed[instrument.key] = (price, step)
        self._forget_derivatives(instrument)

    def hold(self, instrument: Instrument, held: bool, step: int) -> None:
        """Stop the price of one contract where it is, or let it go on from there."""
        price = self.last(instrument, step)
        self._note(instrument.key, step)
        self.revision += 1
        if held:
            self._held.add(instrument.key)
            self._fixed[instrument.key] = (price, step)
        else:
            self._held.discard(instrument.key)
            self._fixed.pop(instrument.key, None)
            self.set_price(instrument, price, step)

    def is_held(self, instrument: Instrument) -> bool:
        """Whether its price stands still by command."""
        return instrument.key in self._held

    def roll_day(self, step: int) -> None:
        """Make today's last prices the closing prices of yesterday."""
        for instrument in self._master:
            self._close[instrument.key] = self.last(instrument, step)
        self._band.clear()
        self._rolled = step
        self.revision += 1

    def memory(self) -> dict[str, object]:
        """What was decided from outside and by the change of days; the rest follows from seed and time."""
        return {
            "before": self._before,
            "factor": self._factor,
            "fixed": self._fixed,
            "held": sorted(self._held),
            "rolled": self._rolled,
        }

    def decided(self) -> dict[str, Any]:
        """What does not follow from seed and time, but for closing prices, in JSON's own types."""
        widened = (self._factor.keys() | self._fixed.keys()) & self._band.keys()
        return {
            "before": [
                [*key, *one[:2], *((str(one.fixed[0]), one.fixed[1]) if one.fixed else (None, None)), one.held]
                for key, those in self._before.items()
                for one in those
            ],
            "factor": [[*key, factor] for key, factor in self._factor.items()],
            "fixed": [[*key, str(price), step] for key, (price, step) in self._fixed.items()],
            "held": sorted(self._held),
            "band": [[*key, *map(str, self._band[key])] for key in sorted(widened)],
            "rolled": self._rolled,
        }

    def closes(self) -> list[list[str]]:
        """The closing prices of the last day that ended, in JSON's own types."""
        return [[*key, str(price)] for key, price in self._close.items()]

    def restore(self, decided: Mapping[str, Any], closes: Iterable[Iterable[str]], *, relists: bool) -> None:
        """Take up what `decided` and `closes` of an earlier run have told.

        Args:
            decided: Empty for prices that begin anew.
            closes: Closing prices.
            relists: Whether a contract with an expiry may be another one than it was, though its number is the same.
        """
        gone = {i.key for i in self._master if i.expiry} if relists else set()

        def kept(name: str) -> Iterator[tuple[Key, list[Any]]]:
            rows = (((row[0], row[1]), row[2:]) for row in decided.get(name, ()))
            return ((key, values) for key, values in rows if key not in gone)

        self._before = {}
        for key, (until, factor, price, step, held) in kept("before"):
            fixed = None if price is None else (Decimal(price), step)
            self._before.setdefault(key, []).append(_Before(until, factor, fixed, held))
        self._factor = {key: factor for key, (factor,) in kept("factor")}
        self._fixed = {key: (Decimal(price), step) for key, (price, step) in kept("fixed")}
        self._held = {key for key, _ in kept("held")}
        self._band = {key: (Decimal(lower), Decimal(upper)) for key, (lower, upper) in kept("band")}
        self._rolled = decided.get("rolled")
        for exch, token, price in closes:
            if (exch, token) not in gone:
                self._close[exch, token] = Decimal(price)

    # -- the synthetic order book -------------------------------------------------------------------------------

    def depth(self, instrument: Instrument, step: int) -> Depth:
        """The levels that strangers offer during `step`, before anybody here took from them."""
        price = self.last(instrument, step)
        lower, upper = self.band(instrument)
        tick = instrument.tick
        best = self._recorded_quote(instrument, step) or (price - tick, price + tick)
        gap = max(tick, to_tick(price / 20_000, tick))
        salt = _salt(instrument)
        lots = max(_MIN_LOTS, int(self._config.depth_quantity * 1000 / float(price) / instrument.lot))
        bids: list[Level] = []
        asks: list[Level] = []
        for level in range(self._config.depth_levels):
            size = lots * (1 + level * 0.25)
            for side, levels, start in ((-1, bids, best[0]), (1, asks, best[1])):
                at = start + side * level * gap
                if lower <= at <= upper:
                    share = 0.75 + 0.5 * _hash(self._seed, salt, 101 + side, step * 128 + level)
                    levels.append((at, max(1, int(size * share)) * instrument.lot))
        return bids, asks

    def chance(self, instrument: Instrument, number: int) -> float:
        """A number in [-1, 1) for a contract, always the same; for what is not a price."""
        return _hash(self._seed, _salt(instrument), 97, number)

    # -- candles ------------------------------------------------------------------------------------------------

    def candle(self, instrument: Instrument, begin: datetime, end: datetime) -> tuple[Decimal, ...]:
        """Open, high, low and close between two moments, from samples of the price."""
        first, last = self.step_at(begin), self.step_at(end)
        count = min(12, max(1, last - first))
        return self.figures(instrument, [first + (last - first) * i // count for i in range(count + 1)])

    def figures(self, instrument: Instrument, steps: Sequence[int]) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Open, high, low and close of the prices at these steps, which rise."""
        prices = self.at(instrument, steps)
        return prices[0], max(prices), min(prices), prices[-1]

    def at(self, instrument: Instrument, steps: Sequence[int]) -> list[Decimal]:
        """The prices at these steps, at a tenth of the time of one by one."""
        if self._config.price_source is not PriceSource.WALK:
            return [self._last(instrument, step) for step in steps]
        found = zip(self._walks(instrument, steps), steps, strict=True)
        return [self._bounded(instrument, price, step) for price, step in found]

    def _walks(self, instrument: Instrument, steps: Sequence[int]) -> list[float]:
        """What the prices at these steps are before they are put on the grid."""
        source = (self._underlying(instrument) if instrument.expiry is not None else None) or instrument
        opening = float(self._opening(source))
        walk = [opening * math.exp(noise) for noise in self._noises(source, steps)]
        if instrument.expiry is None:
            return self._moved(instrument.key, walk, steps)
        if source is not instrument:
            spots = zip(self._moved(source.key, walk, steps), steps, strict=True)
            walk = [float(self._bounded(source, price, step)) for price, step in spots]
        fair = [
            _derivative(instrument, spot, self._days_left(instrument, step))
            for spot, step in zip(walk, steps, strict=True)
        ]
        return self._moved(instrument.key, fair, steps)

    def _moved(self, key: Key, walk: list[float], steps: Sequence[int]) -> list[float]:
        """A walk with what was decided from outside."""
        if not any(key in decided for decided in (self._before, self._factor, self._fixed)):
            return walk
        moved = []
        for price, step in zip(walk, steps, strict=True):
            factor, fixed, _ = self._decided(key, step)
            moved.append(float(fixed[0]) if fixed is not None else price if factor is None else price * factor)
        return moved

    # -- inside -------------------------------------------------------------------------------------------------

    def _last(self, instrument: Instrument, step: int) -> Decimal:
        recorded = self._recorded(instrument, step)
        if recorded is not None:
            return recorded
        _, fixed, _ = self._decided(instrument.key, step)
        if fixed is not None:
            return fixed[0]
        if self._config.price_source is not PriceSource.WALK:
            return self.close(instrument)
        return self._bounded(instrument, self._walk(instrument, step), step)

    def _bounded(self, instrument: Instrument, walk: float, step: int) -> Decimal:
        """On the grid and, today, within the band."""
        price = self._on_grid(instrument, Decimal(walk))
        if self._rolled is not None and step < self._rolled:
            return price
        lower, upper = self.band(instrument)
        return min(max(price, lower), upper)

    def _note(self, key: Key, step: int) -> None:
        """Keep what was decided up to now: prices that were told are not changed by what is decided later."""
        past = self._before.setdefault(key, [])
        if not past or past[-1].until < step:
            past.append(_Before(step, self._factor.get(key), self._fixed.get(key), key in self._held))
            del past[:-_MOST_CHANGES]

    def _decided(self, key: Key, step: int) -> tuple[float | None, tuple[Decimal, int] | None, bool]:
        """Factor, fixed price and whether it is held, as they were at a step."""
        for past in self._before.get(key, ()):
            if step < past.until:
                return past[1:]
        return self._factor.get(key), self._fixed.get(key), key in self._held

    def _recorded(self, instrument: Instrument, step: int) -> Decimal | None:
        tick = self._recorded_tick(instrument, step)
        return tick.price if tick is not None else None

    def _recorded_quote(self, instrument: Instrument, step: int) -> tuple[Decimal, Decimal] | None:
        tick = self._recorded_tick(instrument, step)
        return (tick.bid, tick.ask) if tick is not None and tick.bid and tick.ask else None

    def _recorded_tick(self, instrument: Instrument, step: int) -> Tick | None:
        ticks = self._ticks.get(instrument.key)
        if not ticks:
            return None
        _, fixed, held = self._decided(instrument.key, step)
        if held:
            return None
        index = bisect_right(ticks[0], self.time_of(step)) - 1
        if fixed is not None and (index < 0 or ticks[0][index] <= self.time_of(fixed[1])):
            return None
        return ticks[1][max(index, 0)]

    def _walk(self, instrument: Instrument, step: int) -> float:
        """The price of a walk before it is put on the grid."""
        decided = self._decided(instrument.key, step)[0]
        factor = 1.0 if decided is None else decided
        if instrument.expiry is not None:
            spot = self._spot(instrument, step)
            return _derivative(instrument, spot, self._days_left(instrument, step)) * factor
        return float(self._opening(instrument)) * math.exp(self._noise(instrument, step)) * factor

    def _spot(self, instrument: Instrument, step: int) -> float:
        underlying = self._underlying(instrument)
        if underlying is None:
            return float(self._opening(instrument)) * math.exp(self._noise(instrument, step))
        return float(self.last(underlying, step) if self._cached(underlying, step) else self._last(underlying, step))

    def _cached(self, instrument: Instrument, step: int) -> bool:
        cached = self._cache.get(instrument.key)
        return cached is not None and cached[0] == step

    def _underlying(self, instrument: Instrument) -> Instrument | None:
        index = instrument.underlying
        if index is not None:
            return self._master.by_token(*index)
        if instrument.expiry is None:
            return None
        return self._master.by_tsym("NSE", f"{instrument.symbol}-EQ")

    def _opening(self, instrument: Instrument) -> Decimal:
        """The price the contract starts its life with here."""
        known = self._base.get(instrument.key)
        if known is not None:
            return known
        underlying = self._underlying(instrument)
        if underlying is not None:
            spot = float(self._opening(underlying))
            price = Decimal(_derivative(instrument, spot, self._days_left(instrument, 0)))
        elif instrument.option:
            price = instrument.strike / 50
        else:
            # A contract of a real symbol file, which lists no prices: any will do, so long as it is always the same.
            salt = _salt(instrument)
            price = Decimal(100 + round(1900 * (_hash(self._seed, salt, 99, 0) + 1) / 2))
        self._base[instrument.key] = price
        return price

    def _natural_band(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        close = self.close(instrument)
        if instrument.option:
            return instrument.tick, self._on_grid(instrument, close * 5 + instrument.strike / 10)
        if not instrument.is_tradable:
            return Decimal(0), Decimal(10_000_000)
        share = _BANDS.get(instrument.kind, _FUTURE_BAND)
        lower = to_tick(close * (1 - share), instrument.tick, ROUND_CEILING)
        return max(instrument.tick, lower), to_tick(close * (1 + share), instrument.tick, ROUND_FLOOR)

    def _noise(self, instrument: Instrument, step: int) -> float:
        return self._noises(instrument, (step,))[0]

    def _noises(self, instrument: Instrument, steps: Sequence[int]) -> list[float]:
        salt = _salt(instrument)
        totals = [0.0] * len(steps)
        size = self._config.walk_volatility
        for octave in range(_OCTAVES):
            span, known, left, right = 1 << octave, None, 0.0, 0.0
            for at, step in enumerate(steps):
                index = step >> octave
                if index != known:
                    known, left = index, _hash(self._seed, salt, octave, index)
                    right = _hash(self._seed, salt, octave, index + 1) if octave else 0.0
                totals[at] += (left + (right - left) * (step - (index << octave)) / span) * size
            size *= math.sqrt(2)
        return totals

    def _on_grid(self, instrument: Instrument, price: Decimal) -> Decimal:
        return max(instrument.tick, to_tick(price, instrument.tick))

    def _days_left(self, instrument: Instrument, step: int) -> float:
        assert instrument.expiry is not None
        expires, now = at_time(instrument.expiry, _EXPIRY_CLOCK), self.time_of(step)
        if not self._config.walk_volatility and now < expires:
            # Prices that are to stand still lose no time value either, until the day changes.
            now = self.time_of(self._rolled or 0)
        return max((expires - now).total_seconds() / _DAY_S, 0.01)

    def _forget_derivatives(self, instrument: Instrument) -> None:
        if instrument.expiry is None:
            for key in [k for k in self._cache if k[0] in ("NFO", "BFO")]:
                del self._cache[key]


def _by_instrument(config: ExchangeConfig, start: datetime) -> dict[Key, tuple[list[datetime], list[Tick]]]:
    """Recorded ticks by contract, each with the moment at which it is played."""
    if config.price_source is not PriceSource.REPLAY:
        return {}
    ticks = sorted(config.ticks, key=lambda tick: tick.at)
    played: dict[Key, tuple[list[datetime], list[Tick]]] = {}
    for tick in ticks:
        times, those = played.setdefault((tick.exch, tick.token), ([], []))
        times.append(start + (tick.at - ticks[0].at) / config.replay_speed)
        those.append(tick)
    return played


def _derivative(instrument: Instrument, spot: float, days_left: float) -> float:
    """The fair price of a future or an option by Bachelier's formula; puts and calls keep parity."""
    if not instrument.option:
        return spot * (1 + 0.06 * days_left / 365)
    moneyness = spot - float(instrument.strike)
    deviation = _OPTION_VOLATILITY * spot * math.sqrt(days_left / 365)
    d = moneyness / deviation
    share = 0.5 * (1 + math.erf(d / math.sqrt(2)))
    call = moneyness * share + deviation * math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
    return call if instrument.option == "CE" else call - moneyness


@lru_cache(maxsize=4096)
def _hash(seed: int, salt: int, stream: int, index: int) -> float:
    """A number in [-1, 1) that looks random and is the same for the same arguments (splitmix64)."""
    x = (seed * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + stream * 0x8CB92BA72F3D8DD7 + index) & _MASK
    x = ((x + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) / 2**63 - 1.0


def _salt(instrument: Instrument) -> int:
    return zlib.crc32(f"{instrument.exch}|{instrument.token}".encode())
