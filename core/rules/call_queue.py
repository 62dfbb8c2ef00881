"""Who calls the broker next: exits, entries, order book, positions, quotes, candles (scenario G18).

No read is starved but that of candles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from core.messages import (
    CancelAtBroker,
    ClaimCall,
    FindInstruments,
    Lane,
    ModifyAtBroker,
    PlaceOrder,
    ReadFunds,
    ReadHoldings,
    ReadInstrument,
    ReadMargin,
    ReadOrderBook,
    ReadPositions,
    ReadQuote,
    ReadShare,
    ReadTradeBook,
)
from core.rules.call_budget import FLOOR_S, RateLimiter
from core.rules.call_plan import Use, in_words, is_short

__all__ = ["READS", "CallQueue", "Change", "Read", "Telling", "Thinning", "use_of"]

Read = (
    ReadOrderBook
    | ReadTradeBook
    | ReadPositions
    | ReadHoldings
    | ReadFunds
    | ReadMargin
    | ReadQuote
    | FindInstruments
    | ReadInstrument
    | ClaimCall
)
Change = PlaceOrder | CancelAtBroker | ModifyAtBroker

READS: Mapping[type, Use] = {
    ReadOrderBook: Use.ORDER_BOOK,
    ReadTradeBook: Use.TRADE_BOOK,
    ReadPositions: Use.POSITIONS,
    ReadHoldings: Use.HOLDINGS,
    ReadFunds: Use.HOLDINGS,
    ReadMargin: Use.HOLDINGS,
    FindInstruments: Use.SEARCH,
    ReadInstrument: Use.SEARCH,
    ReadQuote: Use.QUOTE,
    ClaimCall: Use.HISTORY,
}
"""What each read is counted as."""

T = TypeVar("T")


def use_of(message: Change | Read) -> Use:
    """What the call that a message asks for is for: an urgent read goes with the exit that waits for it."""
    if message.lane is Lane.URGENT:
        return Use.EXIT
    return Use.ENTRY if isinstance(message, Change) else READS[type(message)]


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    key: str | None


class CallQueue(Generic[T]):
    """What waits for a call, by what it is for, first come first served within.

    An order that must wait for the limits holds up all that comes after it, but for reads that have been kept back for
    as long as they may be (`RateLimiter.overdue`): those go before entries, one call each few seconds. Before an exit
    they go only while it must wait for the limits longer than a call may take (`RateLimiter.call_s`): one that hangs
    would hold it up. A read that is kept apart from the last one of its kind holds up no other kind.
    """

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._lanes: dict[Use, deque[_Waiting[T]]] = {use: deque() for use in Use}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, now: float, item: T, use: Use, key: str | None = None, every_s: float = 0.0) -> bool:
        """Let `item` wait; False when one with this key waits already, whose answer serves both.

        `every_s`: how often who asks will ask again, if it says so.
        """
        self._limiter.asked(now, use, key, every_s)
        lane = self._lanes[use]
        if key is not None and any(waiting.key == key for waiting in lane):
            return False
        lane.append(_Waiting(item, key))
        return True

    def take(self, now: float, calls: Callable[[T], int]) -> tuple[T, Use] | float | None:
        """The next one that may be served now; or the seconds until one may be; None when nothing waits.

        Args:
            now: Monotonic seconds.
            calls: How many calls an item takes.
        """
        waits: list[float] = []
        held_up = False
        for use in self._order(now):
            if held_up and not self._limiter.overdue(now, use):
                continue
            lane = self._lanes[use]
            wait = self._limiter.wait_s(now, use, calls(lane[0].item))
            if wait <= 0:
                taken = lane.popleft()
                self._limiter.served(now, taken.key)
                return taken.item, use
            waits.append(wait)
            if use is Use.EXIT and wait <= self._limiter.call_s(now):
                return wait
            held_up = held_up or use not in FLOOR_S
        if held_up:
            waits += [self._limiter.due_at(read) - now for read in self._kept_back(now)]
        return min(waits, default=None)

    def remove(self, which: Callable[[T], bool]) -> list[T]:
        """Take away all those, in the order in which they would have been served."""
        removed: list[T] = []
        for use, lane in self._lanes.items():
            gone = [waiting for waiting in lane if which(waiting.item)]
            for waiting in gone:
                self._limiter.withdrawn(waiting.key)
            removed += [waiting.item for waiting in gone]
            self._lanes[use] = deque(waiting for waiting in lane if not which(waiting.item))
        return removed

    def items(self) -> list[T]:
        """All that wait, in the order in which they would be served."""
        return [waiting.item for lane in self._lanes.values() for waiting in lane]

    def _order(self, now: float) -> list[Use]:
        waiting = [use for use, lane in self._lanes.items() if lane]
        return sorted(waiting, key=lambda use: (use is not Use.EXIT, not self._limiter.overdue(now, use), use))

    def _kept_back(self, now: float) -> list[Use]:
        return [use for use in FLOOR_S if self._lanes[use] and not self._limiter.overdue(now, use)]


_AS_WANTED, _AFTER_START, _QUOTES_SLOWER, _BOOKS_SLOWER = range(4)
_HOLDS_S = 3.0
_OVER_AFTER_S = 15.0
_NOTE_AGAIN_S = 15.0


class Telling(IntEnum):
    """What is to be told of the plan: nothing, how it stands now, or that it changed."""

    NOTHING = 0
    NOTE = 1
    ALERT = 2


class Thinning:
    """Whether reading is slower than it should be; a change is told once it has lasted, not each time it flickers."""

    def __init__(self) -> None:
        self._told = _AS_WANTED
        self._seen = _AS_WANTED
        self._seen_since = 0.0
        self._noted, self._noted_at = "", 0.0
        self.note = ""
        """What is slower, in words; empty when nothing is."""
        self.passes = False
        """Whether it is only so because calls of the process before count on: nothing is wrong."""

    def look(self, now: float, plan: Sequence[ReadShare], inherited: tuple[int, float] = (0, 0.0)) -> Telling:
        """Look at the plan; what there is to tell that was not told before.

        Args:
            now: Monotonic seconds.
            plan: What readers want and get.
            inherited: How many calls of the process before count on, and for how many seconds.
        """
        slow = [share for share in plan if is_short(share)]
        seen = _BOOKS_SLOWER if any(share.book for share in slow) else _QUOTES_SLOWER if slow else _AS_WANTED
        if slow and inherited[0]:
            seen = _AFTER_START
        if slow and self._told:
            self.note = _words(slow, seen, inherited)
        if seen != self._seen:
            self._seen, self._seen_since = seen, now
        # That it is better may be true for a moment only, so it must last longer.
        if seen == self._told or now - self._seen_since < (_HOLDS_S if seen > self._told else _OVER_AFTER_S):
            if not slow or self.note == self._noted or now < self._noted_at + _NOTE_AGAIN_S:
                return Telling.NOTHING
            self._noted, self._noted_at = self.note, now
            return Telling.NOTE
        self.passes = _AFTER_START in (seen, self._told) and seen <= _AFTER_START
        self._told = seen
        self.note = _words(slow, seen, inherited) if slow else ""
        self._noted, self._noted_at = self.note, now
        # That calls of the process before count no more is no news.
        return Telling.NOTE if self.passes and not slow else Telling.ALERT


def _words(slow: Sequence[ReadShare], seen: int, inherited: tuple[int, float]) -> str:
    if seen == _AFTER_START:
        calls, seconds = inherited
        return (
            f"{calls} calls of the run before count in the broker's minute for {seconds:.0f} s more; "
            f"until then reading is slower: {in_words(slow)}"
        )
    return f"the broker's call budget is short, reading is slowed down: {in_words(slow)}"
