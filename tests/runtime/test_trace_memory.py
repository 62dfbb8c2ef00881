"""What the trace keeps in memory has a bound in bytes, whatever the messages hold (G26)."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.messages.envelope import Envelope
from core.runtime import Message, Outcome, Tracer, VirtualClock
from tests.runtime.harness import START

_RING = 1_000
_BYTES = 1_500_000


class _Row:
    """Something large that a message carries."""

    __slots__ = ("__weakref__", "text")

    def __init__(self, number: int) -> None:
        self.text = f"row {number}" * 10


@dataclass(frozen=True, slots=True)
class _Book(Message):
    rows: tuple[_Row, ...]

    def trace_text(self) -> str:
        return f"Book({len(self.rows)} rows)"


@dataclass(frozen=True, slots=True)
class _Wide(Message):
    text: str


def _envelope(number: int, message: Message) -> Envelope:
    return Envelope(f"run:{number}", None, None, "broker_proxy", "order_watcher", message, message.lane, 0.0)


@pytest.fixture(params=[True, False])
def tracer(request: pytest.FixtureRequest, tmp_path: Path) -> Tracer:
    directory = tmp_path if request.param else None
    return Tracer(VirtualClock(START), ring=_RING, ring_bytes=_BYTES, directory=directory, threaded=False)


def test_g26_a_book_in_the_trace_is_a_stub_and_the_book_itself_is_let_go(tracer: Tracer) -> None:
    rows = tuple(_Row(number) for number in range(100))
    kept = [weakref.ref(row) for row in rows]
    tracer.record(_envelope(1, _Book(rows)), 0.0, 0.0, Outcome.DONE)
    assert tracer.recent()[0].text == "Book(100 rows)"
    del rows
    gc.collect()
    assert [row for row in kept if row() is not None] == []


def test_g26_the_ring_holds_what_its_bound_says_after_a_day_of_large_books(tracer: Tracer) -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(3 * _RING):
        message = _Book(tuple(_Row(row) for row in range(50))) if number % 2 else _Wide("₹" * 5_000)
        tracer.record(_envelope(number, message), 0.0, 0.0, Outcome.DONE)
        if number % 100 == 0:
            tracer.flush()
    tracer.flush()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(tracer.recent()) <= _RING
    assert tracer.ring_bytes <= _BYTES
    assert grown < 1.5 * _BYTES, f"{grown} bytes are kept, {tracer.ring_bytes} are reckoned"


def test_g26_the_oldest_envelopes_go_where_bytes_are_the_tighter_bound() -> None:
    tracer = Tracer(VirtualClock(START), ring=_RING, ring_bytes=10_000)
    for number in range(100):
        tracer.record(_envelope(number, _Wide("x")), 0.0, 0.0, Outcome.DONE)
    kept = [record.id for record in tracer.recent()]
    assert 5 < len(kept) < 20
    assert kept[-1] == "run:99"
    assert kept == [f"run:{number}" for number in range(100 - len(kept), 100)]
