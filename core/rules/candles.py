"""Candles from ticks and from the broker's history, aligned to the session's start.

The rules of ticks:

- A tick belongs to the interval that holds its exchange time. Ticks outside the session belong to none, but where the
  exchange trades at all hours, as on paper: intervals go on before and after the session, and are never of a day.
- A candle is over once a tick of a later interval came. A later tick that is older changes no candle: it is counted as
  late. Within the candle that is not over, an older tick may change its high, its low and its open, not its close.
- Volume is the growth of the day's volume since the tick before, and counts where it is heard of. What was traded
  before the first tick of all counts nowhere; on each later day the day's volume begins at zero.
- An interval without a tick has no candle; the next candle says how many are missing before it. Nor does a tick begin
  one that tells neither of a trade nor of another price: the order book has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from core.model.calendar import INDIA
from core.model.candle import Candle
from core.rules.market_hours import MarketHours

__all__ = [
    "DAY",
    "INTERVALS",
    "CandleBuilder",
    "Grid",
    "Hours",
    "aggregated",
    "history_minutes",
    "interval",
    "sessions",
]

Hours = Callable[[date], tuple[datetime, datetime]]
"""When the session of a day begins and ends."""

DAY = timedelta(days=1)
INTERVALS: Mapping[str, timedelta] = {
    **{f"{count}s": timedelta(seconds=count) for count in (1, 5, 10, 15, 30)},
    **{f"{count}m": timedelta(minutes=count) for count in (1, 2, 3, 5, 10, 15, 30)},
    **{f"{count}h": timedelta(hours=count) for count in (1, 2, 4)},
    "1d": DAY,
}
"""The lengths of candles, by name."""

_MIDNIGHT = time(0)
_LOCAL_MINUTES = (15, 5, 3, 1)


def interval(name: str) -> timedelta:
    """The length that a name means.

    Raises:
        ValueError: It names none; the text says which there are.
    """
    length = INTERVALS.get(name.strip().lower())
    if length is None:
        raise ValueError(f"interval is {name!r}; it is one of {', '.join(INTERVALS)}")
    return length


def history_minutes(length: timedelta) -> int | None:
    """Of how many minutes the broker's candles are to be that make up these; None for days.

    Brokers align longer candles in different ways. Up to 15 minutes, midnight and the opening at 9:00 or 9:15 come to
    the same.

    Raises:
        ValueError: The broker keeps none so short.
    """
    if length >= DAY:
        return None
    if length < timedelta(minutes=1):
        raise ValueError("the broker keeps no candles of less than 1m; a strategy has them from its ticks")
    return next(count for count in _LOCAL_MINUTES if not length % timedelta(minutes=count))


def sessions(hours: MarketHours, exchange: str) -> Hours:
    """The sessions of an exchange. A day with none that is known counts from midnight to midnight."""

    def of(day: date) -> tuple[datetime, datetime]:
        known = hours.day(exchange, day)
        if known is None or known.opens is None or known.closes is None:
            begin = datetime.combine(day, _MIDNIGHT, INDIA)
            return begin, begin + DAY
        return datetime.combine(day, known.opens, INDIA), datetime.combine(day, known.closes, INDIA)

    return of


class Grid:
    """The intervals of a length within the sessions; the last of a session ends with it."""

    def __init__(self, length: timedelta, hours: Hours) -> None:
        self.length = length
        self._hours = hours

    def slot(self, at: datetime, *, at_all_hours: bool = False) -> tuple[datetime, datetime] | None:
        """Begin and end of the interval that holds a moment; None outside the session, but `at_all_hours`."""
        at = at.astimezone(INDIA)
        opens, closes = self._hours(at.date())
        if not opens <= at < closes:
            if not at_all_hours or self.length >= DAY:
                return None
            since = opens if at < opens else closes
            begin = since + (at - since) // self.length * self.length
            return begin, begin + self.length
        begin = opens + (at - opens) // self.length * self.length
        return begin, min(begin + self.length, closes)

    def slot_of(self, candle: Candle) -> tuple[datetime, datetime] | None:
        """The interval that a shorter candle belongs to; one of a whole day belongs to the day's session."""
        if candle.end - candle.begin >= DAY:
            return self._hours(candle.begin.date())
        return self.slot(candle.begin)

    def marked(self, candle: Candle, before: Candle | None) -> Candle:
        """The candle with the number of intervals missing since the one before it, or since the session began."""
        opens = self._hours(candle.begin.date())[0]
        same_day = before is not None and before.begin.date() == candle.begin.date()
        since = before.end if before is not None and same_day else opens
        return replace(candle, gap_before=max(0, -(-(candle.begin - since) // self.length)))


def aggregated(candles: Iterable[Candle], grid: Grid) -> tuple[Candle, ...]:
    """Candles of the grid made of shorter ones, oldest first, gaps marked; those outside the session are left out."""
    found: dict[datetime, Candle] = {}
    for candle in sorted(candles, key=lambda one: one.begin):
        slot = grid.slot_of(candle)
        if slot is None:
            continue
        begin, end = slot
        before = found.get(begin)
        found[begin] = replace(candle, begin=begin, end=end) if before is None else _joined(before, candle)
    return _marked(found.values(), grid)


def _marked(candles: Iterable[Candle], grid: Grid) -> tuple[Candle, ...]:
    """The first is not marked: what is before it was not asked for, or not seen."""
    marked: list[Candle] = []
    for candle in candles:
        marked.append(grid.marked(candle, marked[-1]) if marked else replace(candle, gap_before=0))
    return tuple(marked)


def _joined(first: Candle, then: Candle) -> Candle:
    volumes = (first.volume, then.volume)
    return replace(
        first,
        high=max(first.high, then.high),
        low=min(first.low, then.low),
        close=then.close,
        volume=None if None in volumes else sum(volume for volume in volumes if volume is not None),
        whole=first.whole and then.whole,
    )


@dataclass(slots=True)
class _Running:
    candle: Candle
    first_at: datetime
    last_at: datetime


class CandleBuilder:
    """The candles of one instrument and length, from its ticks.

    Args:
        grid: The intervals.
        most: So many candles are kept, the newest.
    """

    def __init__(self, grid: Grid, most: int = 1000) -> None:
        self.grid = grid
        self.late = 0
        """Ticks that came after their candle was over."""
        self._most = most
        self._over: list[Candle] = []
        self._running: _Running | None = None
        # The first and the newest tick of all, and the day's volume at the newest.
        self._since: datetime | None = None
        self._heard: datetime | None = None
        self._volume: int | None = None
        self._price: Decimal | None = None
        self._lost = False

    def candles(self) -> tuple[Candle, ...]:
        """All that are kept, oldest first; the last one may not be over."""
        running = () if self._running is None else (self._running.candle,)
        return (*self._over, *running)

    def interrupted(self) -> None:
        """Ticks were lost: neither the candle that is not over nor the one of the next tick is whole."""
        self._lost = True
        if self._running is not None:
            self._running.candle = replace(self._running.candle, whole=False)

    def add(
        self,
        price: Decimal,
        volume: int | None,
        at: datetime,
        *,
        all_seen: bool = True,
        at_all_hours: bool = False,
    ) -> None:
        """Take a tick.

        Args:
            price: The last price.
            volume: What was traded in the day up to it; None where nobody tells.
            at: The exchange's time of it.
            all_seen: Whether every tick since the last one was handed over.
            at_all_hours: Whether the exchange trades outside its sessions too.
        """
        all_seen, self._lost = all_seen and not self._lost, False
        at = at.astimezone(INDIA)
        first = self._since is None
        traded = self._traded(volume, at)
        quiet = traded == 0 and price == self._price
        self._price = price
        self._since = self._since or at
        self._heard = at if self._heard is None else max(self._heard, at)
        slot = self.grid.slot(at, at_all_hours=at_all_hours)
        if slot is None:
            return
        running = self._running
        if running is not None and slot[0] < running.candle.begin:
            self.late += 1
        elif running is not None and slot[0] == running.candle.begin:
            self._grow(running, price, traded, at, all_seen=all_seen)
        elif not quiet:
            self._close()
            candle = Candle(*slot, price, price, price, price, traded, whole=all_seen and not first)
            before = self._over[-1] if self._over else None
            if before is not None or not first:
                candle = self.grid.marked(candle, before)
            self._running = _Running(candle, at, at)

    def seed(self, history: Iterable[Candle], until: datetime) -> None:
        """Take the broker's candles up to `until`, on the same grid. Those of ours that are whole stay."""
        found = {candle.begin: candle for candle in self.candles()}
        seen = self._since is not None and self._since <= until
        for told in history:
            ours = found.get(told.begin)
            if ours is None or (not ours.whole and told.end <= until):
                found[told.begin] = replace(told, whole=told.whole and (seen or told.end <= until))
            elif not ours.whole:
                # Both have a part of it. Nobody knows how much of the volume both have: it is at least that of one.
                volume = max((one.volume for one in (ours, told) if one.volume is not None), default=None)
                found[told.begin] = replace(_joined(told, ours), volume=volume, whole=seen)
        self._over = list(_marked((found[begin] for begin in sorted(found)), self.grid))[-self._most :]
        if self._over:
            last = self._over.pop()
            at = max(last.begin, min(self._heard or until, last.end))
            self._running = _Running(last, last.begin, at)

    def _close(self) -> None:
        if self._running is not None:
            self._over.append(self._running.candle)
            del self._over[: -self._most]

    def _grow(self, running: _Running, price: Decimal, traded: int | None, at: datetime, *, all_seen: bool) -> None:
        candle = running.candle
        running.candle = replace(
            candle,
            open=price if at < running.first_at else candle.open,
            high=max(candle.high, price),
            low=min(candle.low, price),
            close=price if at >= running.last_at else candle.close,
            volume=candle.volume if traded is None else (candle.volume or 0) + traded,
            whole=candle.whole and all_seen,
        )
        running.first_at, running.last_at = min(running.first_at, at), max(running.last_at, at)

    def _traded(self, volume: int | None, at: datetime) -> int | None:
        """How much the day's volume has grown; it never shrinks within a day."""
        if volume is None:
            return None
        before, heard = self._volume, self._heard
        if heard is not None and at.date() != heard.date():
            if at < heard:
                return 0
            self._volume = volume
            return volume
        self._volume = volume if before is None else max(before, volume)
        return 0 if before is None else self._volume - before
