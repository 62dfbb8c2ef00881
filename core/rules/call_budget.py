"""The broker's rate limits, obeyed by us first, and what is left of them for whom (scenarios E8, G18)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping

from core.messages import ReadShare
from core.rules.call_plan import BOOKS, MINUTE_S, Use, Wants, read_gaps, shares

__all__ = ["FLOOR_S", "HISTORY_GAP_S", "RateLimiter"]

FLOOR_S: Mapping[Use, float] = {
    Use.ORDER_BOOK: 6.0,
    Use.TRADE_BOOK: 12.0,
    Use.POSITIONS: 12.0,
    Use.HOLDINGS: 20.0,
    Use.QUOTE: 20.0,
    Use.SEARCH: 20.0,
}
"""Seconds after which a read that waits goes before everything but exits, and for which its calls are kept free.

Who sends orders and reads no book is blind. Together they are 18 of 120 calls a minute, 26 with trades and quotes; with
a smaller limit they are stretched so that they stay that share of it."""

HISTORY_GAP_S = 1.0
"""Seconds between two reads of candles at least; of 120 calls a minute, and stretched as the floors are."""

_LEAST_HISTORY = 3
_FLOOR_LIMIT = 120
# A call is thought to take so long at least.
_CALL_S = 1.0
# Reads that come a moment before an earlier call leaves the minute wait for it, and are even all the same.
_UNEVEN_CALLS = 2


class _Stamps:
    """Times of calls, oldest first; the last `open` of them are under way and count from now on when they end."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.open = 0

    def begin(self, now: float, calls: int) -> None:
        self.times += [now] * calls
        self.open += calls

    def end(self, now: float) -> None:
        if self.open:
            self.times[-self.open :] = [now] * self.open
            self.open = 0

    def add_ended(self, now: float, calls: int) -> None:
        """Calls that ended now, beside those under way."""
        self.times[len(self.times) - self.open : len(self.times) - self.open] = [now] * calls

    def made(self, at: float) -> int:
        """How many are in the minute that ends at `at`, nothing being told meanwhile."""
        return len(self.times) - _gone(self.times, at, MINUTE_S)

    def forget(self, now: float) -> None:
        if self.times and self.times[0] + MINUTE_S <= now:
            del self.times[: _gone(self.times, now, MINUTE_S)]


class RateLimiter:
    """At most so many calls in any second and in any minute, with some of them kept for exits and for reads.

    Both are sliding windows, not buckets that refill: a broker that counts by its own second or minute never sees more
    than the limit in one, wherever it starts. A call counts from its end, since nobody knows when between its beginning
    and its end the broker took it. Times are monotonic seconds, handed in. Zero means no limit.

    In the minute, exits find `reserve_per_minute` calls whatever entries and reads have used. Nothing else, exits
    included, may take the calls that reads need to go on at their floors (`FLOOR_S`). Quotes and what comes after them
    leave the books all the calls of their intervals, and half of each second to others.
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
        self._calls = _Stamps()
        self._exits = _Stamps()
        self._orders = _Stamps()
        # Reads of books that have an interval, and how many of them a minute takes.
        self._planned = _Stamps()
        self._share = sum(MINUTE_S / seconds for seconds in self.intervals.values())
        self._histories: list[float] = []
        self._lent = 0
        self._read_at: dict[Use, float] = {}
        self._wants = Wants()
        self._closed_until = 0.0
        # Calls of the process before.
        self._inherited = _Stamps()
        # The end of each slow call of the last minute, and how long it took.
        self._slow: list[tuple[float, float]] = []

    # What is told

    def asked(self, now: float, use: Use, reader: str | None = None, every_s: float = 0.0) -> None:
        """Somebody wants a read of this kind; `reader` may say how often it will."""
        if use not in FLOOR_S or use in self.intervals:
            return
        if reader is not None and every_s > 0:
            self._wants.state(use, reader, every_s)
        else:
            self._wants.once(now, use)

    def served(self, now: float, reader: str | None) -> None:
        """A reader that may have said how often it will ask waits no more."""
        self._wants.served(now, reader)

    def withdrawn(self, reader: str | None) -> None:
        """A reader will not be served."""
        self._wants.withdrawn(reader)

    def spend(self, now: float, use: Use, calls: int = 1) -> None:
        """Calls begin now."""
        for stamps, counts in (
            (self._calls, True),
            (self._exits, use is Use.EXIT),
            (self._orders, use in (Use.EXIT, Use.ENTRY)),
            (self._planned, use in self.intervals),
        ):
            if counts:
                stamps.begin(now, calls)

    def lend(self, calls: int) -> None:
        """Somebody else makes calls from now on: until they are given back, they are in every second and minute."""
        self._lent += calls

    def give_back(self, now: float, calls: int) -> None:
        """Calls that were lent have their answers: from now on they count from now."""
        calls = min(calls, self._lent)
        self._lent -= calls
        self._calls.add_ended(now, calls)

    def read(self, now: float, use: Use) -> None:
        """A read of this kind begins now, as whatever its call is counted."""
        self._read_at[use] = now
        if use is Use.HISTORY:
            self._histories.append(now)

    def ended(self, now: float) -> None:
        """The calls that began have their answers: from now on they count from now."""
        if self._calls.open and now - self._calls.times[-self._calls.open] > _CALL_S:
            self._slow.append((now, now - self._calls.times[-self._calls.open]))
        for stamps in (self._calls, self._exits, self._orders, self._planned):
            stamps.end(now)

    def remember(self, stamps: Iterable[float]) -> None:
        """Calls of an earlier process, by this clock; what they were for is not known any more."""
        self._inherited.times = sorted(stamps)
        self._calls.times = sorted([*self._inherited.times, *self._calls.times])

    def close_for(self, now: float, seconds: float) -> None:
        """The broker said that a limit was exceeded: make no call for so long."""
        self._closed_until = max(self._closed_until, now + seconds)

    # What is asked

    def used(self, now: float) -> tuple[int, int]:
        """Calls made in the last second and the last minute."""
        self._forget(now)
        calls = self._calls.times
        return len(calls) - _gone(calls, now, 1.0) + self._lent, len(calls) + self._lent

    def inherited(self, now: float) -> tuple[int, float]:
        """How many calls of the process before count on, and for how many seconds the last of them does."""
        made = self._inherited.made(now)
        return made, self._inherited.times[-1] + MINUTE_S - now if made else 0.0

    def wait_s(self, now: float, use: Use, calls: int = 1) -> float:
        """Seconds until `calls` may be made; zero when they may be made now."""
        self._forget(now)
        due = self.overdue(now, use)
        at = max(now, self._closed_until)
        if use in FLOOR_S and not due:
            at = max(at, self._paced(now, use))
        if use is Use.HISTORY:
            at = max(at, self._history_free(now))
        at = self._second_free(at, use, calls, due=due)
        return self._minute_free(at, use, calls, due=due) - now

    def _paced(self, now: float, use: Use) -> float:
        """When a read of this kind may come next, so that reading is even."""
        gap = self.gaps(now).get(use, 0.0)
        if use in BOOKS:
            return self._read_at.get(use, -MINUTE_S) + gap
        # What is read besides has one gap, and leaves half of what reads may use of a second to others.
        if self.per_second:
            gap = max(gap, 2.0 / (self.per_second - self._reserve))
        return max((at for kind, at in self._read_at.items() if kind not in BOOKS), default=-MINUTE_S) + gap

    def call_s(self, now: float) -> float:
        """How long the next call may take: as long as the slowest of the last minute, and at least a second."""
        self._slow = [(end, took) for end, took in self._slow if end + MINUTE_S > now]
        return max([_CALL_S, *(took for _, took in self._slow)])

    def overdue(self, now: float, use: Use) -> bool:
        """Whether a read of this kind has been kept back for as long as it may be."""
        return use in FLOOR_S and now >= self.due_at(use)

    def due_at(self, use: Use) -> float:
        """When a read of this kind will have been kept back for as long as it may be."""
        return self._read_at.get(use, -MINUTE_S) + self.floors[use]

    def gaps(self, now: float) -> dict[Use, float]:
        """Seconds kept between two reads of a kind, for those that are kept apart: reading thins out evenly (G18)."""
        if not self.per_minute:
            return {}
        wanted, rates = self._rates(now)
        allowance = self._allowance(now, wanted)
        return read_gaps(allowance, self.intervals, rates, self.floors) if wanted > allowance else {}

    def plan(self, now: float) -> tuple[ReadShare, ...]:
        """What each reader wants and gets as things are."""
        if not self.per_minute:
            return ()
        wanted, _ = self._rates(now)
        allowance = self._allowance(now, wanted)
        # Calls that came in one moment hold up what comes next, and not each minute. Those of the process before do.
        steady = self.per_minute - self._minute_reserve - len(self._orders.times)
        lasting = allowance if self._inherited.times else max(allowance, steady)
        besides = [(use, every_s) for use, every_s in self._wants.intervals() if use not in BOOKS]
        return shares(allowance, self.intervals, besides, self.floors, lasting=lasting)

    def _rates(self, now: float) -> tuple[float, dict[Use, float]]:
        """Calls a minute that reads want, and those of them that have no fixed interval."""
        self._forget(now)
        rates: dict[Use, float] = {}
        for use, every_s in self._wants.intervals():
            rates[use] = rates.get(use, 0.0) + MINUTE_S / every_s
        return self._share + sum(rates.values()), rates

    def _history_free(self, now: float) -> float:
        """When candles may be read next: they have half of what nobody else wants of the minute, and three reads."""
        if not self.per_minute or not self._histories:
            return now
        spare = (self.per_minute - self._minute_reserve - self._rates(now)[0] - len(self._orders.times)) / 2
        most = max(_LEAST_HISTORY, int(spare))
        after = self._histories[-most] + MINUTE_S if len(self._histories) >= most else now
        return max(after, self._histories[-1] + self._history_gap)

    def _allowance(self, now: float, wanted: float) -> float:
        """Calls a minute at which reads may go on evenly without being stopped, if orders come as they did of late."""
        room, orders = self._room(now), len(self._orders.times)
        if room >= wanted + orders:
            return wanted
        least = (room + len(self._calls.times)) / MINUTE_S
        for freed, stamp in enumerate(self._calls.times, _UNEVEN_CALLS):
            # Until this call leaves the minute there is no more room than that.
            least = min(least, (room + freed) / max(stamp + MINUTE_S - now, 1e-3))
        return max(0.0, least * MINUTE_S - orders)

    def _room(self, at: float, *, besides: bool = False) -> int:
        """How many calls the minute bears at this moment, beside what is kept for exits; `besides`: and for books."""
        kept = max(0, self._minute_reserve - self._exits.made(at))
        if besides:
            # Orders bring further reads of the books.
            kept += max(0, int(self._share) + self._orders.made(at) - self._planned.made(at))
        return self.per_minute - self._lent - self._calls.made(at) - kept

    # The windows

    def _second_free(self, at: float, use: Use, calls: int, *, due: bool) -> float:
        allowed = (self.per_second if use is Use.EXIT or due else self.per_second - self._reserve) - self._lent
        times = self._calls.times
        if not self.per_second or len(times) <= allowed - calls:
            return at
        # The call that must leave the second before these may enter; more than it holds enter one empty.
        kept = max(0, allowed - calls)
        return max(at, times[-kept - 1] + 1.0) if len(times) > kept else at

    def _minute_free(self, at: float, use: Use, calls: int, *, due: bool) -> float:
        if not self.per_minute or self._fits(at, use, calls, due=due):
            return at
        times = self._calls.times
        ends = [stamp + MINUTE_S for stamp in times[_gone(times, at, MINUTE_S) :]]
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
        gone = _gone(self._calls.times, at, MINUTE_S)
        if use is Use.EXIT or due:
            room = self.per_minute - self._lent - (len(self._calls.times) - gone) - calls
        else:
            room = self._room(at, besides=use > Use.POSITIONS) - calls
        if due or room < 0:
            return room >= 0
        for number, due_at in enumerate(self._due_times(at, use), 1):
            if number > room + _gone(self._calls.times, due_at, MINUTE_S) - gone:
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
        while due_at < at + MINUTE_S:
            yield due_at
            due_at += floor

    def _wanted(self, kind: Use) -> bool:
        return kind in self.intervals or self._wants.has(kind)

    def _forget(self, now: float) -> None:
        for stamps in (self._calls, self._exits, self._orders, self._planned, self._inherited):
            stamps.forget(now)
        while self._histories and self._histories[0] + MINUTE_S <= now:
            del self._histories[0]
        self._wants.forget(now)


def _gone(stamps: list[float], at: float, window_s: float) -> int:
    """How many of `stamps` have left the window that ends at `at`."""
    return bisect_right(stamps, at, key=lambda stamp: stamp + window_s)
