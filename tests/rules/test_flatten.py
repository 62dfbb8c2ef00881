"""What may be flattened: what EXITs opened, as far as the account has it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.messages import AccountRead, FlattenAnswer, FlattenPosition
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Product, Side, Source
from core.model.positions import Baseline, Correction, ExternalClose, Holding
from core.rules.exit_cap import ExitCap
from core.rules.flatten import flatten, standing
from core.rules.guard import Blocked, GuardBook, Passed
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

INFY = ("NSE", "INFY-EQ", Product.MIS)


def flattened(book: GuardBook, net: int, quantity: int, unattributed: int = 0) -> FlattenAnswer | None:
    """The answer after a read that shows `net`."""
    cap = ExitCap()
    cap.restore((Baseline(*INFY, unattributed),), (), ())
    cap.read(AccountRead((a_position(net),), (), (), NOON, NOON, NOON), book)
    return flatten(FlattenPosition(*INFY, quantity, Source.DASHBOARD, "me"), book, cap, "a")


def opened(*quantities: tuple[str, int]) -> GuardBook:
    """Strategies that stand where EXITs of theirs took them."""
    book = GuardBook()
    for strategy, quantity in quantities:
        close = ExternalClose(strategy, *INFY, quantity, Decimal(1500), "E1", beyond=True)
        book.book_external_close(close, NOON, NOON)
    return book


def test_each_strategy_exits_what_its_exit_opened() -> None:
    answer = flattened(opened(("alpha", -40), ("beta", -10)), -50, -50)
    assert answer is not None
    assert [(one.strategy, one.side, one.quantity) for one in answer.exits] == [
        ("alpha", Side.BUY, 40),
        ("beta", Side.BUY, 10),
    ]
    keys = {one.idempotency_key for one in answer.exits}
    assert len(keys) == 2
    assert all(key is not None and len(key) <= 64 for key in keys)


def test_a_position_of_which_the_broker_shows_no_row_is_refused_at_once_with_what_there_is() -> None:
    book = opened(("alpha", -40))
    for wanted in (("NSE", "SBIN-EQ", Product.MIS), ("NSE", "INFY-EQ", Product.CNC)):
        answer = flatten(FlattenPosition(*wanted, -40, Source.DASHBOARD, "me"), book, ExitCap(), "a")
        assert answer is not None
        assert "no strategy holds any" in answer.reason
        assert "EXITs opened INFY-EQ MIS -40" in answer.reason
    assert flatten(FlattenPosition(*INFY, -40, Source.DASHBOARD, "me"), book, ExitCap(), "a") is None, "not read yet"


def test_the_account_never_goes_past_zero() -> None:
    """Alpha stands at -40 by the records and the broker shows less: somebody has closed a part."""
    for net in (0, -39, 40):
        answer = flattened(opened(("alpha", -40)), net, -40, unattributed=net + 40)
        assert answer is not None
        assert not answer.exits
        assert f"the broker has {net:+d}" in answer.reason
        assert "past zero" in answer.reason


def test_what_stands_beside_it_stays() -> None:
    answer = flattened(opened(("alpha", -40)), -100, -40, unattributed=-60)
    assert answer is not None
    assert [one.quantity for one in answer.exits] == [40]


def test_a_position_with_an_order_in_flight_is_left_alone() -> None:
    book = opened(("alpha", -40))
    entry = an_order(an_intent(strategy="beta", side=Side.SELL))
    book.reserve(entry, NOON)
    answer = flattened(book, -40, -40)
    assert answer is not None
    assert (answer.exits, answer.under_way) == ((), ())
    assert entry.command_id in answer.reason
    exiting = an_order(an_intent(ExecutionType.EXIT, Side.BUY, 40))
    book.reserve(exiting, NOON)
    answer = flattened(book, -40, -40)
    assert answer is not None
    assert answer.under_way == (exiting.command_id,)


def test_what_is_entered_adopted_or_restored_as_meant_was_not_opened_by_an_exit() -> None:
    book = GuardBook()
    entry = an_order(an_intent(side=Side.SELL, quantity=40))
    book.book_fill(entry, a_fill(40), NOON)
    assert not any(line.unintended for line in book.lines())
    book = GuardBook()
    adopted = ExternalClose("alpha", *INFY, -40, Decimal(1500), "", kind=Correction.ADOPTED)
    book.book_external_close(adopted, NOON, NOON)
    assert not any(line.unintended for line in book.lines())
    book.restore((Holding("alpha", *INFY, -40),), (), NOON)
    assert not any(line.unintended for line in book.lines())
    book.restore((Holding("alpha", *INFY, -40),), (), NOON, unintended=frozenset({("alpha", *INFY)}))
    assert [line.unintended for line in book.lines()] == [True]


def test_what_exits_opened_is_told_at_a_start_and_on_each_later_day_that_it_stands() -> None:
    calendar, later_day = TradingCalendar(), NOON + timedelta(days=1)
    for product, again in ((Product.NRML, 1), (Product.MIS, 0)):
        mine = ("alpha", "NSE", "INFY-EQ", product)
        book = GuardBook()
        book.restore((Holding(*mine, -40, opened_at=NOON),), (), NOON, unintended=frozenset({mine}))
        assert len(list(standing(book, calendar, NOON, {}))) == 1
        assert list(standing(book, calendar, NOON, {mine: calendar.day(NOON)})) == []
        assert len(list(standing(book, calendar, later_day, {mine: calendar.day(NOON)}))) == again
        assert len(list(standing(book, calendar, later_day, {}))) == again
        book.reconcile((), later_day)
        assert len(list(standing(book, calendar, later_day, {}))) == again, "the broker may have closed it with its day"
        book.reconcile([replace(a_position(-40), product=product)], later_day)
        assert len(list(standing(book, calendar, later_day, {}))) == 1
        early = later_day.replace(hour=1)
        assert len(list(standing(book, calendar, early, {mine: calendar.day(NOON)}))) == again, "before the markets"


def test_nothing_is_added_to_what_an_exit_opened() -> None:
    """The strategy believes that it holds the other side; and a flatten closes what the EXIT opened, all of it."""
    for kind in (ExecutionType.ADJUST, ExecutionType.ENTRY):
        book = GuardBook()
        book.book_fill(an_order(an_intent(quantity=40, basket="pair")), a_fill(40), NOON)
        book.book_fill(an_order(an_intent(ExecutionType.EXIT, Side.SELL, 80, basket="pair")), a_fill(80), NOON)
        order = an_order(an_intent(kind, Side.SELL, 10, basket="pair"))
        verdict = book.check_and_reserve(order, NOON)
        assert isinstance(verdict, Blocked)
        assert "-40 INFY-EQ" in verdict.reason
    assert isinstance(book.check_and_reserve(an_order(an_intent(ExecutionType.ADJUST, Side.BUY, 10)), NOON), Passed)


def test_what_a_person_writes_off_is_no_difference_any_more() -> None:
    book = GuardBook()
    book.restore((Holding("alpha", *INFY, 40),), (), NOON)
    for missing, left in ((10, [-30]), (30, [])):
        if missing == 10:
            book.reconcile((), NOON)
        gone = ExternalClose("alpha", *INFY, -missing, Decimal(1500), "", kind=Correction.WRITTEN_OFF)
        book.book_external_close(gone, NOON)
        assert [one.unattributed for one in book.differences] == left


def test_an_exit_that_fills_beyond_the_holding_opened_what_is_beyond() -> None:
    book = GuardBook()
    book.book_fill(an_order(an_intent(quantity=40)), a_fill(40), NOON)
    exiting = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 60))
    book.reserve(exiting, NOON)
    book.book_fill(exiting, a_fill(60), NOON)
    [line] = book.lines()
    assert (line.held, line.unintended) == (-20, True)
