"""Rows cannot vanish from the broker's books before the trading day ends (scenario G12)."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest

from core.messages import Alert, BrokerReadable
from core.model.calendar import INDIA, TradingCalendar
from core.model.order import Product
from core.model.outcomes import Book
from core.rules.books import BookMemory, Doubt, Readability
from tests.factories import a_position

DAY = datetime(2026, 11, 23, tzinfo=INDIA)


def at(clock: str, days: int = 0) -> datetime:
    return datetime.combine(DAY.date() + timedelta(days=days), time.fromisoformat(clock), INDIA)


def a_memory(clock: str = "10:00", starts_at: str = "06:00") -> BookMemory:
    memory = BookMemory(TradingCalendar(INDIA, time.fromisoformat(starts_at)))
    memory.begin(at(clock))
    return memory


@pytest.mark.parametrize("book", list(Book))
def test_g12_a_book_that_had_rows_today_cannot_become_empty(book: Book) -> None:
    memory = a_memory()
    assert memory.doubt(book, (), at("10:00")) is None, "nothing yet"
    memory.note(book, ["1"], at("10:00"))
    for _ in range(3):
        doubt = memory.doubt(book, (), at("15:30"))
        assert doubt is not None
        assert (doubt.unreadable, doubt.cleared) == (True, False)
    assert memory.doubt(book, ["1", "2"], at("15:30")) is None


def test_g7_what_was_traded_before_the_markets_open_may_yet_be_cleared() -> None:
    memory = a_memory("05:00", "00:00")
    memory.note(Book.ORDERS, ["1"], at("05:00"))
    memory.note_filled("NSE", "INFY-EQ", at("05:00"), at("05:00"))
    assert memory.doubt(Book.ORDERS, (), at("06:01")) is None
    assert memory.completed((), at("06:01"), at("06:01")) == ()
    assert memory.doubt(Book.ORDERS, (), at("10:00")) is None


@pytest.mark.parametrize(("shown", "unreadable"), [("12", True), ("123", False), ("1234", False)])
def test_g12_a_book_that_lacks_rows_proves_no_absence_and_without_most_is_not_read_at_all(
    shown: str, unreadable: bool
) -> None:
    memory = a_memory()
    memory.note(Book.ORDERS, "12345", at("10:00"))
    doubt = memory.doubt(Book.ORDERS, shown, at("10:00"))
    assert doubt is not None
    assert doubt.unreadable is unreadable


@pytest.mark.parametrize(
    ("clock", "days", "cleared"), [("23:59", 0, False), ("00:00", 1, True), ("05:30", 1, True), ("05:59", 1, True)]
)
def test_g7_a_book_that_empties_between_midnight_and_the_start_of_the_day_is_no_news_and_no_alarm(
    clock: str, days: int, cleared: bool
) -> None:
    memory = a_memory()
    memory.note(Book.ORDERS, ["1"], at("10:00"))
    assert not memory.begin(at(clock, days))
    doubt = memory.doubt(Book.ORDERS, (), at(clock, days))
    assert doubt is not None
    assert doubt.cleared is cleared


@pytest.mark.parametrize("clears_at", ["06:00", "06:01", "07:30"])
def test_g7_a_broker_that_clears_its_books_after_the_day_began_leaves_nothing_that_could_be_missed(
    clears_at: str,
) -> None:
    memory = a_memory()
    memory.note(Book.ORDERS, ["1", "2"], at("10:00"))
    assert memory.begin(at("06:00", 1))
    memory.note(Book.ORDERS, ["1", "2"], at("06:00", 1))
    assert memory.doubt(Book.ORDERS, (), at(clears_at, 1)) is None
    memory.note(Book.ORDERS, ["7"], at("09:15", 1))
    assert memory.doubt(Book.ORDERS, (), at("09:16", 1)) is not None, "rows of the new day"


def test_g12_a_flat_symbol_that_vanishes_keeps_its_profit_and_loss() -> None:
    memory = a_memory()
    lost, held = a_position(0, symbol="TCS-EQ", realised="-900"), a_position(50)
    memory.note_positions((lost, held), at("10:00"))
    assert memory.completed((held,), at("10:01"), at("10:01")) == (held, lost)


def test_g12_a_held_symbol_that_vanishes_is_neither_held_nor_flat() -> None:
    memory = a_memory()
    lost, held = a_position(0, symbol="TCS-EQ", realised="-900"), a_position(50)
    memory.note_positions((lost, held), at("10:00"))
    assert isinstance(memory.completed((lost,), at("10:01"), at("10:01")), Doubt)
    assert isinstance(memory.completed((), at("10:01"), at("10:01")), Doubt)


def test_g12_a_conversion_moves_a_position_to_another_product_and_hides_nothing() -> None:
    memory = a_memory()
    memory.note_positions((a_position(50),), at("10:00"))
    converted = (a_position(50, product=Product.NRML),)
    assert memory.completed(converted, at("10:01"), at("10:01")) == converted


def test_g12_a_symbol_that_filled_must_be_shown_to_whoever_asks_later() -> None:
    memory = a_memory()
    memory.note_filled("NSE", "INFY-EQ", at("10:00"), at("10:00"))
    assert memory.completed((), at("09:59"), at("10:00")) == (), "asked for before"
    assert isinstance(memory.completed((), at("10:01"), at("10:01")), Doubt)
    assert memory.completed((a_position(50),), at("10:02"), at("10:02")) == (a_position(50),)


def test_g7_positions_that_all_reads_lack_for_long_after_midnight_are_cleared_and_not_sooner() -> None:
    memory = a_memory()
    memory.note_positions((a_position(50),), at("23:50"))
    memory.note_filled("NSE", "INFY-EQ", at("23:50"), at("23:50"))
    assert isinstance(memory.completed((), at("23:58"), at("23:58")), Doubt)
    assert isinstance(memory.completed((), at("23:59:30"), at("23:59:30")), Doubt), "they stand until midnight"
    assert not memory.cleared
    assert memory.completed((a_position(50),), at("23:59:50"), at("23:59:50")) == (a_position(50),)
    assert isinstance(memory.completed((), at("00:00:05", 1), at("00:00:05", 1)), Doubt)
    assert isinstance(memory.completed((), at("00:01:04", 1), at("00:01:04", 1)), Doubt)
    assert memory.completed((), at("00:01:05", 1), at("00:01:05", 1)) == ()
    assert memory.cleared, "their profit and loss stays the day's"
    assert memory.begin(at("06:00", 1))
    assert not memory.cleared


def test_g12_positions_shown_before_the_markets_open_do_not_vanish_with_one_read() -> None:
    memory = a_memory("06:30")
    memory.note_positions((a_position(-7),), at("06:30"))
    doubt = memory.completed((), at("06:31"), at("06:31"))
    assert isinstance(doubt, Doubt)
    assert doubt.cleared, "nobody need be alarmed"
    assert memory.completed((a_position(-7),), at("06:31:30"), at("06:31:30")) == (a_position(-7),)
    assert isinstance(memory.completed((), at("08:59:30"), at("08:59:30")), Doubt)
    assert memory.completed((), at("09:00:30"), at("09:00:30")) == (), "cleared before the opening, also if seen after"
    assert not memory.cleared
    memory.note_positions((a_position(5),), at("09:15"))
    assert isinstance(memory.completed((), at("09:16"), at("09:16")), Doubt)
    assert isinstance(memory.completed((), at("10:16"), at("10:16")), Doubt), "what is shown since the opening stays"


def test_e5_the_broker_can_be_read_once_both_books_were_and_no_book_keeps_failing() -> None:
    readability = Readability(alarm_after=2)
    assert readability.read(Book.ORDERS, explained=True) == []
    assert readability.read(Book.POSITIONS, explained=False) == [], "fills of the time before are not booked"
    assert readability.read(Book.POSITIONS, explained=True) == [BrokerReadable(True, "")]
    assert readability.failed(Book.TRADES, "502") == []
    alert, told = readability.failed(Book.TRADES, "502")
    assert isinstance(alert, Alert)
    assert told == BrokerReadable(False, "the trade book cannot be read: 502")
    assert readability.read(Book.ORDERS, explained=True) == []
    assert readability.read(Book.TRADES, explained=True) == [BrokerReadable(True, "")]
