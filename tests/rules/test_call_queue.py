"""Who calls the broker next, as properties: exits first, limits kept, nothing that waits is starved (G18)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.messages import ReadShare
from core.rules.call_budget import FLOOR_S, RateLimiter
from core.rules.call_plan import Use
from core.rules.call_queue import CallQueue, Telling, Thinning

_INTERVALS = {Use.ORDER_BOOK: 1.0, Use.POSITIONS: 5.0}
_CALL_S = 0.02


@dataclass(frozen=True)
class _Wish:
    use: Use
    at: float
    calls: int = 1


def _limiter(per_second: int = 10, per_minute: int = 120) -> RateLimiter:
    return RateLimiter(
        per_second=per_second,
        per_minute=per_minute,
        reserve=2,
        reserve_per_minute=24,
        intervals=_INTERVALS,
    )


class _Day:
    """Lets wishes come at their times beside books that are read as the watcher does, and notes what was served when.

    `quotes_every_s`: how often one instrument's quote is asked for besides.
    """

    def __init__(self, limiter: RateLimiter, wishes: list[_Wish], *, quotes_every_s: float | None = None) -> None:
        self.limiter = limiter
        self.queue: CallQueue[_Wish] = CallQueue(limiter)
        self.served: list[tuple[float, _Wish]] = []
        self._coming = sorted(wishes, key=lambda wish: wish.at)
        self._every = dict(_INTERVALS) | ({Use.QUOTE: quotes_every_s} if quotes_every_s else {})
        self._next = dict.fromkeys(self._every, 0.0)
        self.now = 0.0

    def run(self, until: float) -> None:
        while self.now < until:
            while self._coming and self._coming[0].at <= self.now:
                wish = self._coming.pop(0)
                self.queue.put(self.now, wish, wish.use)
            for use, at in self._next.items():
                if at <= self.now:
                    self.queue.put(self.now, _Wish(use, self.now), use, str(use), self._every[use])
                    self._next[use] = self.now + self._every[use]
            found = self.queue.take(self.now, lambda wish: wish.calls)
            if isinstance(found, tuple):
                wish, use = found
                self.served.append((self.now, wish))
                self.limiter.spend(self.now, use, wish.calls)
                if use in FLOOR_S:
                    self.limiter.read(self.now, use)
                self.now += _CALL_S
                self.limiter.ended(self.now)
            else:
                coming = [*self._next.values(), *(wish.at for wish in self._coming[:1])]
                self.now = max(self.now + 1e-3, min([*coming, self.now + (found or 60.0)]))

    def times(self, use: Use) -> list[float]:
        return [at for at, wish in self.served if wish.use is use]

    def gaps(self, use: Use, after: float = 0.0) -> list[float]:
        times = [at for at in self.times(use) if at >= after]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


def _burst(use: Use, count: int, at: float) -> list[_Wish]:
    return [_Wish(use, at, 2) for _ in range(count)]


def test_g18_after_as_many_entries_as_the_budget_bears_exits_go_at_once_and_the_rest_as_the_minute_frees() -> None:
    day = _Day(_limiter(), [*_burst(Use.ENTRY, 45, 0.0), *_burst(Use.EXIT, 44, 15.0)])
    day.run(200.0)
    exits = day.times(Use.EXIT)
    assert len(exits) == 44
    assert exits[11] < 15.0 + 3.0, "24 calls are kept for them: twelve go within the second's limit"
    assert exits[-1] < 15.0 + 62.0, "the others as soon as the minute lets them"
    entries = [at for at in day.times(Use.ENTRY) if at >= 15.0]
    assert not [at for at in entries if at < exits[-1]], "no entry goes before an exit that waits"
    # As long as exits go without a pause no read goes before them.
    assert max(day.gaps(Use.ORDER_BOOK)) < 15.0
    assert max(day.gaps(Use.POSITIONS)) < 20.0


def test_t23_a_quote_each_second_blinds_no_book() -> None:
    day = _Day(_limiter(), [], quotes_every_s=1.0)
    day.run(600.0)
    assert max(day.gaps(Use.ORDER_BOOK)) < 1.3
    assert max(day.gaps(Use.POSITIONS)) < 5.3
    assert max(day.gaps(Use.QUOTE)) < 4.0, "quotes come evenly, as often as the books leave room"
    assert len(day.times(Use.QUOTE)) > 180


def test_t23_an_exit_beside_a_quote_each_second_goes_at_once() -> None:
    day = _Day(_limiter(), [_Wish(Use.EXIT, at + 0.5, 2) for at in range(100, 600, 10)], quotes_every_s=1.0)
    day.run(620.0)
    assert max(at - wish.at for at, wish in day.served if wish.use is Use.EXIT) < 0.1


def test_g18_reads_slow_down_evenly_while_entries_use_the_minute() -> None:
    day = _Day(_limiter(), [_Wish(Use.ENTRY, float(at), 2) for at in range(60, 600, 3)])
    day.run(600.0)
    gaps = day.gaps(Use.ORDER_BOOK, after=130.0)
    assert max(gaps) < 2.5
    assert len(gaps) > 250


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(_Wish, st.sampled_from([Use.EXIT, Use.ENTRY, Use.SEARCH]), st.floats(0, 150), st.integers(1, 3)),
        max_size=250,
    ),
    st.sampled_from([None, 0.2, 1.0]),
    st.sampled_from([120, 150, 300]),
)
@example([*_burst(Use.ENTRY, 60, 0.0), *_burst(Use.EXIT, 30, 20.0), *_burst(Use.ENTRY, 40, 60.0)], 1.0, 120)
def test_g18_limits_hold_exits_come_first_and_no_read_starves(
    wishes: list[_Wish], quotes_every_s: float | None, per_minute: int
) -> None:
    day = _Day(_limiter(per_minute=per_minute), wishes, quotes_every_s=quotes_every_s)
    day.run(300.0)
    calls = [at for at, wish in day.served for _ in range(wish.calls)]
    for first in range(len(calls)):
        second, minute = calls[first + 10 : first + 11], calls[first + per_minute : first + per_minute + 1]
        assert not second or second[0] >= calls[first] + 1.0 - 1e-6
        assert not minute or minute[0] >= calls[first] + 60.0 - 1e-6
    for use, floor in ((Use.ORDER_BOOK, 6.0), (Use.POSITIONS, 12.0), (Use.QUOTE, 20.0)):
        # As long as exits may go, one each tenth of a second, nothing goes before them.
        assert max(day.gaps(use), default=0.0) < floor + per_minute / 10 + 1.5
    for at, wish in day.served:
        if wish.use is Use.ENTRY:
            waiting = [exit_at for exit_at, other in day.served if other.use is Use.EXIT and other.at < at - 0.1]
            assert all(exit_at <= at + 0.1 for exit_at in waiting), "an entry went before an exit that waited"


def test_g18_an_order_book_that_waits_long_goes_before_entries_and_never_before_an_exit_that_may_go() -> None:
    limiter = _limiter()
    queue: CallQueue[str] = CallQueue(limiter)
    limiter.read(0.0, Use.ORDER_BOOK)
    for item, use in (("entry", Use.ENTRY), ("book", Use.ORDER_BOOK), ("exit", Use.EXIT)):
        queue.put(7.0, item, use)
    assert [queue.take(7.0, lambda _: 1) for _ in range(3)] == [
        ("exit", Use.EXIT),
        ("book", Use.ORDER_BOOK),
        ("entry", Use.ENTRY),
    ]


@pytest.mark.parametrize(("took_s", "goes"), [(0.1, True), (9.0, False)])
def test_g18_an_overdue_read_goes_before_an_exit_that_waits_longer_than_a_call_may_take(
    took_s: float, goes: bool
) -> None:
    """The broker hung for nine seconds lately: a read that does so again must be over before the exit may go."""
    limiter = _limiter()
    queue: CallQueue[str] = CallQueue(limiter)
    limiter.spend(0.0, Use.ORDER_BOOK)
    limiter.ended(took_s)
    limiter.read(0.0, Use.ORDER_BOOK)
    for call in range(13):
        limiter.spend(10.0 + call, Use.EXIT, 9)
        limiter.ended(10.0 + call)
    queue.put(65.0, "exit", Use.EXIT)
    queue.put(65.0, "book", Use.ORDER_BOOK)
    found = queue.take(65.0, lambda item: 1 if item == "book" else 9)
    if goes:
        assert found == ("book", Use.ORDER_BOOK)
    else:
        assert isinstance(found, float)
        assert 1.0 < found < 9.0, "when the exit may go"


def test_reads_of_one_kind_are_merged_while_they_wait() -> None:
    queue: CallQueue[str] = CallQueue(_limiter())
    assert queue.put(0.0, "a", Use.QUOTE, "quote:INFY")
    assert not queue.put(0.0, "b", Use.QUOTE, "quote:INFY")
    assert queue.put(0.0, "c", Use.QUOTE, "quote:SBIN")
    assert queue.items() == ["a", "c"]


# What is told of it


def _share(what: str, wanted_s: float, given_s: float) -> ReadShare:
    return ReadShare(what, 1, wanted_s, given_s, book=True)


def test_g18_slower_reading_is_told_once_when_it_has_lasted_and_once_when_it_is_over() -> None:
    thinning = Thinning()
    slow = (_share("order book", 1.0, 2.4), _share("positions", 5.0, 12.0))
    told = [(now, thinning.note) for now in range(10) if thinning.look(float(now), slow)]
    assert told == [
        (
            3,
            "the broker's call budget is short, reading is slowed down: order book every 2.4 s instead of 1 s, "
            "positions every 12 s instead of 5 s",
        ),
    ]
    told = [(now, thinning.note) for now in range(10, 40) if thinning.look(float(now), ())]
    assert told == [(25, "")]


def test_g18_a_moment_of_slowness_is_not_told() -> None:
    thinning = Thinning()
    flicker = [(_share("order book", 1.0, 2.4),), (), ()]
    assert not [now for now in range(60) if thinning.look(float(now), flicker[now % 3])]


def test_g18_what_the_run_before_used_is_told_once_and_calmly() -> None:
    thinning = Thinning()
    slow = (_share("order book", 1.0, 2.4),)
    told = [
        (now, thinning.note) for now in range(20) if thinning.look(float(now), slow, (98, 24.0 - now)) is Telling.ALERT
    ]
    assert told == [
        (
            3,
            "98 calls of the run before count in the broker's minute for 21 s more; until then reading is slower: "
            "order book every 2.4 s instead of 1 s",
        ),
    ]
    assert thinning.passes
    told = [(now, thinning.note) for now in range(20, 60) if thinning.look(float(now), ())]
    assert told == [(35, "")]
    assert thinning.passes
    assert thinning.look(61.0, ()) is Telling.NOTHING


def test_g18_what_stays_slow_when_the_run_before_counts_no_more_is_told_as_a_shortage() -> None:
    thinning = Thinning()
    slow = (_share("order book", 1.0, 2.4),)
    told = [
        (now, thinning.passes)
        for now in range(40)
        if thinning.look(float(now), slow, (9, 20.0 - now) if now < 20 else (0, 0.0)) is Telling.ALERT
    ]
    assert told == [(3, True), (23, False)]
    assert thinning.note.startswith("the broker's call budget is short")


def test_g19_how_it_stands_is_told_anew_when_it_has_changed_and_alarms_nobody_again() -> None:
    thinning = Thinning()
    found = [thinning.look(float(now), (_share("order book", 1.0, 6.0 if now < 9 else 2.4),)) for now in range(60)]
    assert [(now, telling) for now, telling in enumerate(found) if telling] == [(3, Telling.ALERT), (18, Telling.NOTE)]
    assert thinning.note.endswith("order book every 2.4 s instead of 1 s")
