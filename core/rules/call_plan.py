"""Who gets how many of the broker's calls a minute: what readers want, and what that leaves them (scenarios G18, G19).

The books come first: those with a fixed interval get it, or are stretched by one factor. Quotes and the rest share what
the books leave; who wants little gets all of it, the others get the same each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from core.messages import ReadShare

__all__ = ["BOOKS", "MINUTE_S", "Use", "Wants", "in_words", "is_short", "read_gaps", "shares"]

MINUTE_S = 60.0


class Use(IntEnum):
    """What a call is for: the lower number is served first."""

    EXIT = 0
    """Exits, cancels, logins, and reads without which an exit cannot go."""
    ENTRY = 1
    ORDER_BOOK = 2
    TRADE_BOOK = 3
    POSITIONS = 4
    HOLDINGS = 5
    QUOTE = 6
    SEARCH = 7
    HISTORY = 8
    """Candles: nobody waits for them whose money is at stake, so they have no floor."""


BOOKS = (Use.ORDER_BOOK, Use.TRADE_BOOK, Use.POSITIONS)

_NAMES = {
    Use.ORDER_BOOK: "order book",
    Use.TRADE_BOOK: "trade book",
    Use.POSITIONS: "positions",
    Use.HOLDINGS: "holdings",
    Use.QUOTE: "quotes",
    Use.SEARCH: "searches",
}
# From this much more than what is wanted on, reading counts as slower: the books, and what is read besides.
_NOTICEABLE, _NOTICEABLE_BESIDES = 1.5, 1.25
# A reader that stated how often it wants something wants it no more when it has not asked so many times.
_STANDS_TIMES = 3.0


class Wants:
    """What is wanted beside the books: by readers that say how often, and by those that ask once."""

    def __init__(self) -> None:
        # By reader: for what, each so many seconds, until when that stands; while it waits for its turn, for ever.
        self._stated: dict[str, tuple[Use, float, float]] = {}
        self._once: dict[Use, list[float]] = {}

    def state(self, use: Use, reader: str, every_s: float) -> None:
        """A reader waits for this, and wants it each `every_s` seconds."""
        self._stated[reader] = (use, every_s, float("inf"))

    def withdrawn(self, reader: str | None) -> None:
        """The reader wants nothing any more."""
        self._stated.pop(reader or "", None)

    def served(self, now: float, reader: str | None) -> None:
        """The reader waits no more; unless it asks again in time, it wants no more."""
        if reader is not None and reader in self._stated:
            use, every_s, _ = self._stated[reader]
            self._stated[reader] = (use, every_s, now + _STANDS_TIMES * every_s)

    def once(self, now: float, use: Use) -> None:
        """Somebody wants this now; maybe again, nobody says."""
        self._once.setdefault(use, []).append(now)

    def forget(self, now: float) -> None:
        """Drop what is over."""
        for reader in [reader for reader, (_, _, until) in self._stated.items() if until <= now]:
            del self._stated[reader]
        for stamps in self._once.values():
            del stamps[: bisect_right(stamps, now - MINUTE_S)]

    def intervals(self) -> list[tuple[Use, float]]:
        """For what and how often each is wanted; what is asked for once counts as in the last minute."""
        found = [(use, every_s) for use, every_s, _ in self._stated.values()]
        return found + [(use, MINUTE_S / len(stamps)) for use, stamps in self._once.items() if stamps]

    def has(self, use: Use) -> bool:
        """Whether anybody wants this."""
        return bool(self._once.get(use)) or any(stated[0] is use for stated in self._stated.values())


def read_gaps(
    allowance: float, intervals: Mapping[Use, float], rates: Mapping[Use, float], floors: Mapping[Use, float]
) -> dict[Use, float]:
    """Seconds to keep between two reads of a kind, so that all of them together stay within `allowance` a minute.

    The books are stretched by one factor, so that none goes blind before another; what is read besides shares what the
    books leave, and has one gap, which is to be kept between two reads of any of these kinds. None is stretched beyond
    its floor. Kinds that get what they want are not in the answer.

    Args:
        allowance: Calls a minute that reads may use.
        intervals: How often the books are wanted, in seconds.
        rates: How often a minute the kinds are wanted that have no interval.
        floors: The longest gap of each kind.
    """
    of_books = {use: rate for use, rate in rates.items() if rate and use in BOOKS}
    of_books |= {use: MINUTE_S / seconds for use, seconds in intervals.items()}
    besides = {use: rate for use, rate in rates.items() if rate and use not in BOOKS}
    books = sum(of_books.values())
    stretch = books / allowance if allowance > 0 else float("inf")
    gaps = {use: MINUTE_S / rate * stretch for use, rate in of_books.items()} if stretch > 1.0 else {}
    if Use.TRADE_BOOK in gaps and Use.ORDER_BOOK in gaps:
        # What explains a fill is wanted now and then, and at once: it waits no longer than the book that shows fills.
        gaps[Use.TRADE_BOOK] = gaps[Use.ORDER_BOOK]
    left = allowance - books
    if sum(besides.values()) > left:
        gaps |= dict.fromkeys(besides, MINUTE_S / left if left > 0 else float("inf"))
    return {use: min(gap, floors[use]) for use, gap in gaps.items()}


def shares(
    allowance: float,
    intervals: Mapping[Use, float],
    besides: Iterable[tuple[Use, float]],
    floors: Mapping[Use, float],
    *,
    lasting: float | None = None,
) -> tuple[ReadShare, ...]:
    """What each reader wants and gets, in the order of worth.

    Args:
        allowance: Calls a minute that reads may use.
        intervals: How often the books are wanted, in seconds.
        besides: The readers without a fixed interval: for what, and how often.
        floors: The longest gap of each kind.
        lasting: Calls a minute that reads may use in the long run, where that is more.
    """
    books = sum(MINUTE_S / seconds for seconds in intervals.values())
    stretch = max(1.0, books / allowance if allowance > 0 else float("inf"))
    told = [
        ReadShare(_NAMES[use], 1, seconds, min(seconds * stretch, max(floors[use], seconds)), book=True)
        for use, seconds in sorted(intervals.items())
    ]
    wanted = Counter(besides)
    least = MINUTE_S / max((floors[use] for use, _ in wanted), default=MINUTE_S)
    shortest = _fair_interval(max((lasting or allowance) - books, least), list(wanted.elements()))
    return (
        *told,
        *(
            ReadShare(_NAMES[use], count, seconds, max(seconds, shortest))
            for (use, seconds), count in sorted(wanted.items())
        ),
    )


def _fair_interval(calls: float, wanted: Sequence[tuple[Use, float]]) -> float:
    """The interval that nobody's may go below, so that all together make so many calls a minute."""
    seconds = sorted((every_s for _, every_s in wanted), reverse=True)
    left = calls
    for served, every_s in enumerate(seconds):
        # Were all the others read as often as this one, would there be enough?
        if MINUTE_S / every_s * (len(seconds) - served) > left:
            return MINUTE_S * (len(seconds) - served) / left
        left -= MINUTE_S / every_s
    return 0.0


def is_short(share: ReadShare) -> bool:
    """Whether a reader gets noticeably less than it wants."""
    return share.given_s > share.wanted_s * (_NOTICEABLE if share.book else _NOTICEABLE_BESIDES)


def in_words(told: Iterable[ReadShare]) -> str:
    """What those who get less than they want get."""
    return ", ".join(
        f"{f'{share.count} ' if share.count > 1 else ''}{share.what}{' each' if share.count > 1 else ''} "
        f"every {_seconds(share.given_s)} s instead of {_seconds(share.wanted_s)} s"
        for share in told
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{round(seconds, 1):g}"
