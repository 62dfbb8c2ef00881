"""Step 2B: what fits a strategy's holdings and orders in flight."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.model.order import ExecutionType, Order, OrderIntent, Product, Side, Tag
from core.model.positions import GuardLine, Holding
from core.rules.guard import Blocked, GuardBook, Passed
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

ENTRY, EXIT, ADJUST = ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST
BUY, SELL = Side.BUY, Side.SELL


def check(book: GuardBook, intent: OrderIntent) -> Passed | Blocked:
    return book.check_and_reserve(an_order(intent), NOON)


def passed(book: GuardBook, intent: OrderIntent) -> Order:
    verdict = check(book, intent)
    assert isinstance(verdict, Passed), verdict
    return verdict.order


def blocked(book: GuardBook, intent: OrderIntent, tag: Tag = Tag.EXECUTION_GUARD_BLOCKED) -> str:
    verdict = check(book, intent)
    assert isinstance(verdict, Blocked), verdict
    assert verdict.tag is tag
    return verdict.reason


def filled(book: GuardBook, intent: OrderIntent) -> Order:
    """Let an order pass, fill whole and settle."""
    order = passed(book, intent)
    book.book_fill(order, a_fill(order.quantity), NOON)
    book.force_clear_symbol(order, NOON)
    return order


def lines(book: GuardBook) -> list[tuple[str, str, int, int]]:
    return [(line.strategy, line.symbol, line.held, line.reserved) for line in book.lines()]


def test_an_entry_reserves_its_quantity_until_it_fills() -> None:
    book = GuardBook()
    order = passed(book, an_intent(ENTRY, BUY, 50))
    assert lines(book) == [("alpha", "INFY-EQ", 0, 50)]
    book.book_fill(order, a_fill(20), NOON)
    assert lines(book) == [("alpha", "INFY-EQ", 20, 30)]
    book.book_fill(order, a_fill(30), NOON)
    book.force_clear_symbol(order, NOON)
    assert lines(book) == [("alpha", "INFY-EQ", 50, 0)]


@pytest.mark.parametrize(
    ("quantity", "fills", "left"), [(500, (300,), 200), (500, (100, 200), 200), (40, (30,), 10), (40, (40,), 0)]
)
def test_c12_what_is_reserved_of_a_changed_order_is_its_quantity_less_what_filled(
    quantity: int, fills: tuple[int, ...], left: int
) -> None:
    book = GuardBook()
    order = passed(book, an_intent(ENTRY, BUY, 100))
    book.note_sent(order)
    changed = replace(order, quantity=quantity, filled_quantity=sum(fills))
    held = 0
    for one in fills:
        held = book.book_fill(changed, a_fill(one), NOON)
        # Between the messages of one report nothing more may fit either.
        assert lines(book) == [("alpha", "INFY-EQ", held, quantity - held)]
    book.reserve(changed, NOON)
    assert lines(book) == [("alpha", "INFY-EQ", held, left)]
    assert [(one.quantity, one.filled_quantity) for one, _ in book.in_flight()] == [(quantity, held)]


def test_c12_a_fill_before_its_changed_quantity_is_known_is_not_counted_as_in_flight_again() -> None:
    book = GuardBook()
    order = passed(book, an_intent(ENTRY, BUY, 100))
    book.note_sent(order)
    filled_more = replace(order, filled_quantity=300)
    book.book_fill(filled_more, a_fill(300), NOON)
    book.reserve(replace(filled_more, quantity=500), NOON)
    assert lines(book) == [("alpha", "INFY-EQ", 300, 200)]


def test_a_second_entry_is_refused_while_the_first_is_in_flight_or_held() -> None:
    book = GuardBook()
    order = passed(book, an_intent())
    assert order.command_id in blocked(book, an_intent(symbol="TCS-EQ"))
    book.book_fill(order, a_fill(50), NOON)
    book.force_clear_symbol(order, NOON)
    assert "holds +50 INFY-EQ" in blocked(book, an_intent(symbol="TCS-EQ"))


def test_d1_an_unrelated_position_of_the_account_does_not_block_an_entry() -> None:
    book = GuardBook()
    book.reconcile([a_position(500, symbol="SBIN-EQ"), a_position(-70)], NOON)
    passed(book, an_intent(ENTRY, BUY))


def test_d2_a_rejected_entry_frees_its_reservation() -> None:
    book = GuardBook()
    order = passed(book, an_intent())
    book.force_clear_symbol(order, NOON)
    assert lines(book) == []
    passed(book, an_intent())


def test_b8_a_rejected_add_on_leaves_the_position() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50))
    add_on = passed(book, an_intent(ADJUST, BUY, 25))
    book.force_clear_symbol(add_on, NOON)
    assert lines(book) == [("alpha", "INFY-EQ", 50, 0)]


def test_d5_opposite_directions_of_two_strategies_in_one_symbol_are_refused_exits_excepted() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50))
    assert "strategy alpha holds +50" in blocked(book, an_intent(ENTRY, SELL, strategy="beta"))
    filled(book, an_intent(ENTRY, BUY, 10, strategy="beta"))
    passed(book, an_intent(EXIT, SELL, 10, strategy="beta"))


def test_d5_counts_orders_in_flight_too_but_not_exits() -> None:
    book = GuardBook()
    passed(book, an_intent(ENTRY, BUY, 50))
    blocked(book, an_intent(ENTRY, SELL, strategy="beta"))
    other = GuardBook()
    filled(other, an_intent(ENTRY, BUY, 50))
    passed(other, an_intent(EXIT, SELL, 50))
    passed(other, an_intent(ENTRY, BUY, 10, strategy="beta"))


@pytest.mark.parametrize("fills", [True, False])
def test_d6_an_entry_of_a_basket_does_not_turn_its_own_holding_around(fills: bool) -> None:
    book = GuardBook()
    first = an_intent(ENTRY, BUY, 10, basket="one")
    if fills:
        filled(book, first)
    else:
        passed(book, first)
    blocked(book, an_intent(ENTRY, SELL, 15, basket="one"))
    passed(book, an_intent(ENTRY, SELL, 15, symbol="TCS-EQ", basket="one"))


def test_d6_both_legs_of_one_basket_pass_and_a_second_basket_is_refused() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, symbol="NIFTY24NOV26C26000", basket="one"))
    passed(book, an_intent(ENTRY, SELL, symbol="NIFTY24NOV26C26500", basket="one"))
    blocked(book, an_intent(ENTRY, BUY, symbol="NIFTY24NOV26P25000", basket="two"))
    blocked(book, an_intent(ENTRY, BUY, symbol="NIFTY24NOV26P25000"))


def test_c1_two_exits_before_the_first_fills_are_one_exit() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, SELL, 50))
    assert passed(book, an_intent(EXIT, BUY, 50)).quantity == 50
    assert "exits in flight already cover" in blocked(book, an_intent(EXIT, BUY, 50), Tag.POSITION_ALREADY_FLAT)


def test_c4_an_exit_of_a_part_is_that_part() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 150))
    assert passed(book, an_intent(EXIT, SELL, 50)).quantity == 50
    assert passed(book, an_intent(EXIT, SELL, 150)).quantity == 100


def test_c5_an_exit_without_a_product_takes_the_products_of_the_position() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50, product=Product.NRML))
    assert passed(book, an_intent(EXIT, SELL, 50, product=None)).product is Product.NRML


def test_c6_of_two_products_the_open_one_is_exited_and_two_open_ones_are_asked_about() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50, product=Product.NRML, basket="b"))
    filled(book, an_intent(ENTRY, BUY, 30, product=Product.MIS, basket="b"))
    assert "name the product" in blocked(book, an_intent(EXIT, SELL, 50, product=None))
    filled(book, an_intent(EXIT, SELL, 30, product=Product.MIS))
    assert passed(book, an_intent(EXIT, SELL, 50, product=None)).product is Product.NRML


def test_c9_an_exit_never_opens_the_opposite_position() -> None:
    book = GuardBook()
    blocked(book, an_intent(EXIT, SELL, 50), Tag.POSITION_ALREADY_FLAT)
    filled(book, an_intent(ENTRY, BUY, 50))
    assert passed(book, an_intent(EXIT, SELL, 500)).quantity == 50
    assert "would add" in blocked(book, an_intent(EXIT, BUY, 10))


def test_an_adjust_needs_a_position_and_may_not_turn_it_around() -> None:
    book = GuardBook()
    assert "send ENTRY" in blocked(book, an_intent(ADJUST, BUY, 10))
    filled(book, an_intent(ENTRY, BUY, 50))
    passed(book, an_intent(ADJUST, SELL, 30))
    assert "20 can still be taken off" in blocked(book, an_intent(ADJUST, SELL, 30))


def test_b12_a_fill_after_the_end_of_an_order_is_held() -> None:
    book = GuardBook()
    order = passed(book, an_intent(ENTRY, BUY, 50))
    book.force_clear_symbol(order, NOON)
    book.book_fill(order, a_fill(20), NOON)
    assert lines(book) == [("alpha", "INFY-EQ", 20, 0)]


def test_reconcile_names_what_no_strategy_made_once_and_again_when_it_changes() -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50))
    at = [NOON + timedelta(seconds=n) for n in range(1, 4)]
    [difference] = book.reconcile([a_position(80)], at[0])
    assert (difference.broker, difference.held, difference.unattributed) == (80, 50, 30)
    assert book.reconcile([a_position(80)], at[1]) == ()
    assert book.differences == (difference,)
    assert book.reconcile([a_position(50)], at[2]) == ()
    assert book.differences == ()


@pytest.mark.parametrize("late_s", [-1, 0])
def test_a_read_asked_for_before_the_last_fill_says_nothing(late_s: int) -> None:
    book = GuardBook()
    filled(book, an_intent(ENTRY, BUY, 50))
    assert book.reconcile([], NOON + timedelta(seconds=late_s)) == ()


@pytest.mark.parametrize(("net", "told"), [(0, False), (50, False), (-1, True), (51, True)])
def test_g9_what_no_order_in_flight_can_have_filled_is_a_difference(net: int, told: bool) -> None:
    """An order whose outcome is not known for a day must not hide what somebody else did in its symbol."""
    book = GuardBook()
    passed(book, an_intent(ENTRY, BUY, 50))
    found = [book.reconcile([a_position(net)], NOON + timedelta(seconds=9 + again)) for again in (0, 1)]
    assert [[one.unattributed for one in read] for read in found] == ([[net], []] if told else [[], []])


def test_a_symbol_with_orders_in_flight_is_not_reconciled() -> None:
    book = GuardBook()
    passed(book, an_intent(ENTRY, BUY, 50))
    assert book.reconcile([a_position(20)], NOON + timedelta(seconds=9)) == ()


def test_restore_rebuilds_holdings_reservations_and_keeps_what_passed_and_is_not_sent() -> None:
    book = GuardBook()
    waiting = passed(book, an_intent(ENTRY, BUY, 10, strategy="beta", symbol="TCS-EQ"))
    gone = passed(book, an_intent(ENTRY, BUY, 10, strategy="gamma", symbol="ACC-EQ"))
    sent = replace(an_order(an_intent(ADJUST, BUY, 40)), filled_quantity=15)
    held = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 65, None)
    book.restore([held], [sent], NOON, frozenset({waiting.command_id}))
    assert list(book.lines()) == [
        GuardLine("alpha", "NSE", "INFY-EQ", Product.MIS, 65, 25, None),
        GuardLine("beta", "NSE", "TCS-EQ", Product.MIS, 0, 10, None),
    ]
    assert gone.command_id not in str(list(book.lines()))


@pytest.mark.parametrize("same_symbol", [False, True])
def test_d11_a_check_does_not_look_at_other_strategies_resting_orders(same_symbol: bool) -> None:
    class Counting(dict):  # type: ignore[type-arg]
        reads = 0

        def __getitem__(self, key: object) -> object:
            Counting.reads += 1
            return super().__getitem__(key)

    book = GuardBook()
    for n in range(500):
        passed(book, an_intent(strategy=f"s{n}", symbol="LAST-EQ" if same_symbol else f"SYM{n}-EQ"))
    book._lines = Counting(book._lines)
    passed(book, an_intent(strategy="last", symbol="LAST-EQ"))
    blocked(book, an_intent(EXIT, SELL, strategy="other", symbol="LAST-EQ"), Tag.POSITION_ALREADY_FLAT)
    assert Counting.reads < 5


def test_what_the_last_read_says_nothing_about_is_unsettled_until_a_later_read() -> None:
    book = GuardBook()
    book.reconcile([], NOON, NOON)
    assert book.unsettled() == ()
    filled(book, an_intent(ENTRY, BUY, 50))
    assert book.unsettled() == (("NSE", "INFY-EQ"),), "held since, and the read cannot show it"
    later = NOON + timedelta(seconds=1)
    assert book.reconcile([a_position(50)], later, later) == ()
    assert book.unsettled() == ()
    passed(book, an_intent(EXIT, SELL, 50))
    assert book.unsettled() == (("NSE", "INFY-EQ"),), "it may have filled there already"
