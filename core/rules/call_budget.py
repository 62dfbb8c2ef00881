"""The broker's rate limits, obeyed by us first, and what is left of them for whom (scenarios E8, G18)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum

__all__ = ["FLOOR_S", "HISTORY_GAP_S", "RateLimiter", "Use", "read_gaps"]

_MINUTE_S = 60.0


class Use(IntEnum):
    """What a call is for: the lower number is served first."""

    EXIT = 0
    """Exits, cancels, logins, and reads without which an exit cannot go."""
    ENTRY = 1
    ORDER_BOOK = 2
    TRADE_BOOK = 3
    POSITIONS = 4
    SEARCH = 5
    QUOTE = 6
    HISTORY = 7
    """Candles: nobody waits for them whose money is at stake, so they have no floor."""


_BOOKS = (Use.ORDER_BOOK, Use.TRADE_BOOK, Use.POSITIONS)

FLOOR_S: Mapping[Use, float] = {
    Use.ORDER_BOOK: 6.0,
    Use.TRADE_BOOK: 12.0,
    Use.POSITIONS: 12.0,
    Use.SEARCH: 20.0,
    Use.QUOTE: 20.0,
}
"""Seconds after which a read that waits goes before everything but exits, and for which its calls are kept free.

Who sends orders and reads no book is blind. Together they are 18 of 120 calls a minute, 26 with trades and quotes; with
a smaller limit they are stretched so that they stay that share of it."""

HISTORY_GAP_S = 1.0
"""Seconds between two reads of candles at least; of 120 calls a minute, and stretched as the floors are."""

_LEAST_HISTORY = 3
_FLOOR_LIMIT = 120
_LATELY_S = 10.0
# A call is thought to take so long at least.
_CALL_S = 1.0


def read_gaps(
    allowance: float, intervals: Mapping[Use, float], asked: Mapping[Use, int], floors: Mapping[Use, float]
) -> dict[Use, float]:
    """Seconds to keep between two reads of a kind, so that all of them together stay within `allowance` a minute.

    The books are stretched by one factor, so that none goes blind before another; quotes and searches share what the
    books leave. None is stretched beyond its floor.

    Args:
        allowance: Calls a minute that reads may use.
        intervals: How often the books are wanted, in seconds.
        asked: How often, in the last minute, the kinds were asked for that have no interval.
        floors: The longest gap of each kind.
    """
    rates = {use: float(count) for use, count in asked.items() if count} | {
        use: _MINUTE_S / seconds for use, seconds in intervals.items()
    }
    books = sum(rate for use, rate in rates.items() if use in _BOOKS)
    stretch = max(1.0, books / allowance) if allowance > 0 else float("inf")
    gaps = {use: _MINUTE_S / rate * stretch for use, rate in rates.items() if use in _BOOKS}
    left, others = allowance - books, sum(rate for use, rate in rates.items() if use not in _BOOKS)
    if others > left:
        gaps |= {use: _MINUTE_S / left if left > 0 else float("inf") for use in rates if use not in _BOOKS}
    return {use: min(gap, floors[use]) for use, gap in gaps.items()}


class RateLimiter:
    """At most so many calls in any second and in any minute, with some of them kept for exits and for reads.

    Both are sliding windows, not buckets that refill: a broker that counts by its own second or minute never sees more
    than the limit in one, wherever it starts. A call counts from its end, since nobody knows when between its beginning
    and its end the broker took it. Times are monotonic seconds, handed in. Zero means no limit.

    In the minute, exits find `reserve_per_minute` calls whatever entries and reads have used. Nothing else, exits
    included, may take the calls that reads need to go on at their floors (`FLOOR_S`).
    """

    def __init__(
        self,
        *,
        per_second: int,
        per_minute: int,
        reserve: int = 0,
        reserve_per_minute: int = 0,
        intervals: Mapping[Use, float] | None = None,
    ) -> None:
        """`reserve`, `reserve_per_minute`: calls of each window that only exits, cancels and logins may use.

        `intervals`: how often order book and positions are wanted, in seconds.

        Raises:
            ValueError: a reserve leaves nothing for anything else.
        """
        for key, limit, kept, kept_key in (
            ("broker_calls_per_s", per_second, reserve, "reserve_calls_for_exits"),
            ("broker_calls_per_min", per_minute, reserve_per_minute, "reserve_calls_for_exits_per_min"),
        ):
            if limit and kept >= limit:
                raise ValueError(f"[limits] {kept_key} ({kept}) must be below {key} ({limit})")
        self.per_second = per_second
        """Calls allowed in any second; 0: no limit."""
        self.per_minute = per_minute
        """Calls allowed in any minute; 0: no limit."""
        self._reserve = reserve
        self._minute_reserve = reserve_per_minute
        self.intervals = dict(intervals or {})
        """How often order book and positions are wanted, in seconds."""
        scale = max(1.0, _FLOOR_LIMIT / per_minute) if per_minute else 1.0
        self.floors = {use: max(floor * scale, self.intervals.get(use, 0.0)) for use, floor in FLOOR_S.items()}
        """The longest gap between two reads of a kind, in seconds, while somebody wants them."""
        self._history_gap = HISTORY_GAP_S * scale
        self._calls: list[float] = []
        self._exits: list[float] = []
        self._orders: list[float] = []
        self._histories: list[float] = []
        # Calls whose end is not known yet: the last of each list.
        self._open, self._open_exits = 0, 0
        self._lent = 0
        self._read_at: dict[Use, float] = {}
        self._asked: dict[Use, list[float]] = {use: [] for use in FLOOR_S}
        self._closed_until = 0.0
        # The end of each slow call of the last minute, and how long it took.
        self._slow: list[tuple[float, float]] = []

    # What is told

    def asked(self, now: float, use: Use) -> None:
        """Somebody wants a read of this kind."""
        if use in self._asked:
            self._asked[use].append(now)

    def spend(self, now: float, use: Use, calls: int = 1) -> None:
        """Calls begin now."""
        self._calls += [now] * calls
        self._open += calls
        if use in (Use.EXIT, Use.ENTRY):
            self._orders += [now] * calls
        if use is Use.EXIT:
            self._exits += [now] * calls
            self._open_exits += calls

    def lend(self, calls: int) -> None:
        """Somebody else makes calls from now on: until they are given back, they are in every second and minute."""
        self._lent += calls

    def give_back(self, now: float, calls: int) -> None:
        """Calls that were lent have their answers: from now on they count from now."""
        calls = min(calls, self._lent)
        self._lent -= calls
        self._calls[len(self._calls) - self._open : len(self._calls) - self._open] = [now] * calls

    def read(self, now: float, use: Use) -> None:
        """A read of this kind begins now, as whatever its call is counted."""
        self._read_at[use] = now
        if use is Use.HISTORY:
            self._histories.append(now)

    def ended(self, now: float) -> None:
        """The calls that began have their answers: from now on they count from now."""
        if self._open and now - self._calls[-self._open] > _CALL_S:
            self._slow.append((now, now - self._calls[-self._open]))
        for stamps, count in ((self._calls, self._open), (self._exits, self._open_exits)):
            if count:
                stamps[-count:] = [now] * count
        self._open = self._open_exits = 0

    def remember(self, stamps: Iterable[float]) -> None:
        """Calls of an earlier process, by this clock; what they were for is not known any more."""
        self._calls = sorted([*stamps, *self._calls])

    def close_for(self, now: float, seconds: float) -> None:
        """The broker said that a limit was exceeded: make no call for so long."""
        self._closed_until = max(self._closed_until, now + seconds)

    # What is asked

    def used(self, now: float) -> tuple[int, int]:
        """Calls made in the last second and the last minute."""
        self._forget(now)
        return len(self._calls) - _gone(self._calls, now, 1.0) + self._lent, len(self._calls) + self._lent

    def wait_s(self, now: float, use: Use, calls: int = 1) -> float:
        """Seconds until `calls` may be made; zero when they may be made now."""
        self._forget(now)
        due = self.overdue(now, use)
        at = max(now, self._closed_until)
        if use in FLOOR_S and not due:
            at = max(at, self._read_at.get(use, -_MINUTE_S) + self.gaps(now).get(use, 0.0))
        if use is Use.HISTORY:
            at = max(at, self._history_free(now))
        at = self._second_free(at, use, calls, due=due)
        return self._minute_free(at, use, calls, due=due) - now

    def call_s(self, now: float) -> float:
        """How long the next call may take: as long as the slowest of the last minute, and at least a second."""
        self._slow = [(end, took) for end, took in self._slow if end + _MINUTE_S > now]
        return max([_CALL_S, *(took for _, took in self._slow)])

    def overdue(self, now: float, use: Use) -> bool:
        """Whether a read of this kind has been kept back for as long as it may be."""
        return use in FLOOR_S and now >= self.due_at(use)

    def due_at(self, use: Use) -> float:
        """When a read of this kind will have been kept back for as long as it may be."""
        return self._read_at.get(use, -_MINUTE_S) + self.floors[use]

    def gaps(self, now: float) -> dict[Use, float]:
        """Seconds kept between two reads of a kind, for those that are kept apart: reading thins out evenly (G18)."""
        if not self.per_minute:
            return {}
        asked, wanted = self._plan(now)
        allowance = self._allowance(now, wanted)
        return read_gaps(allowance, self.intervals, asked, self.floors) if wanted > allowance else {}

    def _plan(self, now: float) -> tuple[dict[Use, int], float]:
        """How often reads without an interval were asked for in the last minute; and how many reads it wants in all."""
        self._forget(now)
        asked = {use: len(stamps) for use, stamps in self._asked.items() if use not in self.intervals}
        # A subscription that began just now is known by its last seconds.
        quotes = self._asked[Use.QUOTE]
        lately = len(quotes) - _gone(quotes, now, _LATELY_S)
        asked[Use.QUOTE] = max(asked[Use.QUOTE], round(lately * _MINUTE_S / _LATELY_S))
        return asked, sum(_MINUTE_S / seconds for seconds in self.intervals.values()) + sum(asked.values())

    def _history_free(self, now: float) -> float:
        """When candles may be read next: they have half of what nobody else wants of the minute, and three reads."""
        if not self.per_minute or not self._histories:
            return now
        spare = (self.per_minute - self._minute_reserve - self._plan(now)[1] - len(self._orders)) / 2
        most = max(_LEAST_HISTORY, int(spare))
        after = self._histories[-most] + _MINUTE_S if len(self._histories) >= most else now
        return max(after, self._histories[-1] + self._history_gap)

    def _allowance(self, now: float, wanted: float) -> float:
        """Calls a minute at which reads may go on evenly without being stopped, if orders come as they did of late."""
        room, orders = self._room(now), len(self._orders)
        if room >= wanted + orders:
            return wanted
        least = (room + len(self._calls)) / _MINUTE_S
        for freed, stamp in enumerate(self._calls):
            # Until this call leaves the minute there is no more room than that.
            least = min(least, (room + freed) / max(stamp + _MINUTE_S - now, 1e-3))
        return max(0.0, least * _MINUTE_S - orders)

    def _room(self, at: float) -> int:
        """How many calls the minute bears at this moment, beside what is kept for exits."""
        made = len(self._calls) - _gone(self._calls, at, _MINUTE_S)
        exits = len(self._exits) - _gone(self._exits, at, _MINUTE_S)
        return self.per_minute - self._lent - made - max(0, self._minute_reserve - exits)

    # The windows

    def _second_free(self, at: float, use: Use, calls: int, *, due: bool) -> float:
        allowed = (self.per_second if use is Use.EXIT or due else self.per_second - self._reserve) - self._lent
        if not self.per_second or len(self._calls) <= allowed - calls:
            return at
        # The call that must leave the second before these may enter; more than it holds enter one empty.
        kept = max(0, allowed - calls)
        return max(at, self._calls[-kept - 1] + 1.0) if len(self._calls) > kept else at

    def _minute_free(self, at: float, use: Use, calls: int, *, due: bool) -> float:
        if not self.per_minute or self._fits(at, use, calls, due=due):
            return at
        ends = [stamp + _MINUTE_S for stamp in self._calls[_gone(self._calls, at, _MINUTE_S) :]]
        # The first moment at which it fits; it goes on fitting from there, since nothing else is told meanwhile.
        low, high = 0, len(ends) - 1
        while low < high:
            middle = (low + high) // 2
            if self._fits(ends[middle], use, calls, due=due):
                high = middle
            else:
                low = middle + 1
        return ends[low] if ends else at

    def _fits(self, at: float, use: Use, calls: int, *, due: bool) -> bool:
        """Whether the minute bears these calls, and the reads that must follow them."""
        gone = _gone(self._calls, at, _MINUTE_S)
        first = use is Use.EXIT or due
        room = (self.per_minute - self._lent - (len(self._calls) - gone) if first else self._room(at)) - calls
        if due or room < 0:
            return room >= 0
        for number, due_at in enumerate(self._due_times(at, use), 1):
            if number > room + _gone(self._calls, due_at, _MINUTE_S) - gone:
                return False
        return True

    def _due_times(self, at: float, use: Use) -> list[float]:
        """When, in the minute after `at`, the reads that somebody wants reach their floors."""
        return sorted(
            due_at for kind, floor in self.floors.items() for due_at in self._floor_times(kind, floor, at, use)
        )

    def _floor_times(self, kind: Use, floor: float, at: float, use: Use) -> Iterator[float]:
        if not self._wanted(kind):
            return
        due_at = at + floor if kind is use else max(at, self.due_at(kind))
        while due_at < at + _MINUTE_S:
            yield due_at
            due_at += floor

    def _wanted(self, kind: Use) -> bool:
        return kind in self.intervals or bool(self._asked[kind])

    def _forget(self, now: float) -> None:
        for stamps in (self._calls, self._exits, self._orders, self._histories, *self._asked.values()):
            if stamps and stamps[0] + _MINUTE_S <= now:
                del stamps[: _gone(stamps, now, _MINUTE_S)]


def _gone(stamps: list[float], at: float, window_s: float) -> int:
    """How many of `stamps` have left the window that ends at `at`."""
    return bisect_right(stamps, at, key=lambda stamp: stamp + window_s)
