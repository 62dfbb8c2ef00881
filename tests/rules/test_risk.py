"""Step 2A: limits, halts, cooldowns and the day's P&L."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.messages import RiskState
from core.model.broker import BrokerPosition
from core.model.calendar import trading_day
from core.model.order import ExecutionType, OrderType, Product, Side, Tag
from core.model.positions import Holding
from core.model.risk_state import Breach, Halt, LossRun
from core.rules.losses import day_pnl
from core.rules.risk import Lot, RiskBook, RiskLimits
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

ENTRY, EXIT, ADJUST = ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST
TODAY = trading_day(NOON)


def a_book(**limits: object) -> RiskBook:
    """A book whose P&L was read at noon and is zero."""
    book = RiskBook(RiskLimits(**limits), TODAY)  # type: ignore[arg-type]
    book.note_positions([], NOON)
    return book


def read_twice(book: RiskBook, position: BrokerPosition, at: datetime = NOON) -> Breach | None:
    """Two reads that agree; returns the breach they make."""
    assert book.note_positions([position], at) is None, "one read decides nothing"
    return book.note_positions([position], at)


def lose(book: RiskBook, points: str = "-10") -> tuple[LossRun, ...]:
    """One round trip of alpha; returns the loss runs it changed."""
    entry, leave = an_order(), an_order(an_intent(EXIT, Side.SELL))
    book.note_fill(entry, a_fill(50, "1500"))
    book.note_fill(leave, a_fill(50, str(1500 + Decimal(points))))
    book.note_settled(entry, NOON)
    return book.note_settled(leave, NOON)


def test_day_pnl_is_realised_plus_unrealised_without_delivery_holdings() -> None:
    rows = [
        a_position(50, realised="-2000.50", unrealised="100"),
        a_position(0, symbol="TCS-EQ", realised="-239.50"),
        a_position(10, symbol="ACC-EQ", product=Product.CNC, unrealised="-99999"),
    ]
    assert day_pnl(rows) == Decimal("-2140.00")


def test_d8_a_row_that_cannot_be_parsed_makes_the_pnl_unknown_not_smaller() -> None:
    assert day_pnl([a_position(50, realised="-9000"), a_position(1, unrealised=None)]) is None


def test_the_daily_limit_blocks_entry_and_adjust_with_its_numbers_and_lets_exit_pass() -> None:
    book = a_book(max_daily_loss=Decimal(2000))
    breach = read_twice(book, a_position(50, unrealised="-2140"))
    assert breach == Breach(TODAY, Decimal(-2140), Decimal(2000))
    for kind in (ENTRY, ADJUST):
        reason = book.check(an_order(an_intent(kind)), NOON)
        assert reason is not None
        assert "day P&L -2140.00, limit -2000.00" in reason
    assert book.check(an_order(an_intent(EXIT, Side.SELL)), NOON) is None


def test_a_breach_stays_although_the_pnl_recovers_and_is_told_once() -> None:
    book = a_book(max_daily_loss=Decimal(2000))
    assert read_twice(book, a_position(50, unrealised="-2140")) is not None
    for unrealised in ("500", "-3000", "-3000"):
        assert book.note_positions([a_position(50, unrealised=unrealised)], NOON) is None
    assert book.check(an_order(), NOON) is not None


def test_d9_a_breach_ends_with_its_trading_day_and_not_before() -> None:
    book = a_book(max_daily_loss=Decimal(2000))
    read_twice(book, a_position(50, unrealised="-2140"))
    book.roll_to(TODAY)
    assert book.check(an_order(), NOON) is not None
    tomorrow = NOON + timedelta(days=1)
    book.roll_to(trading_day(tomorrow))
    book.note_positions([], tomorrow)
    assert book.check(an_order(), tomorrow) is None


def test_d9_breach_halt_cooldown_and_counts_survive_a_restart() -> None:
    halt = Halt("fat finger", "operator", NOON)
    breach = Breach(TODAY, Decimal(-5000), Decimal(2000))
    run = LossRun("alpha", 2, NOON + timedelta(seconds=60))
    book = a_book(max_orders_per_day=7, max_open_orders=1)
    book.restore(RiskState(None, None, (run,), (), 0, TODAY))
    assert "cools down" in (book.check(an_order(), NOON) or "")
    book.restore(RiskState(None, breach, (), (), 0, TODAY))
    assert "-5000.00" in (book.check(an_order(), NOON) or "")
    book.restore(RiskState(halt, None, (), (), 0, TODAY))
    assert "halted by operator: fat finger" in (book.check(an_order(), NOON) or "")
    book.restore(RiskState(None, None, (), (), 7, TODAY))
    assert "7 orders today, limit 7" in (book.check(an_order(), NOON) or "")
    book.restore(RiskState(None, None, (), (an_order(),), 0, TODAY))
    assert "1 open orders, limit 1" in (book.check(an_order(), NOON) or "")


def test_d9_a_losing_exit_after_a_restart_knows_the_entry_price() -> None:
    book = a_book(cooldown_s=60)
    held = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 50)
    book.restore(RiskState(None, None, (), (), 0, TODAY, ((held, Decimal(1500)),)))
    leave = an_order(an_intent(EXIT, Side.SELL))
    book.note_fill(leave, a_fill(50, "1490"))
    assert [run.losses for run in book.note_settled(leave, NOON)] == [1, 1]


def test_d8_pnl_that_was_never_read_or_is_too_old_blocks_entry_and_not_exit() -> None:
    book = RiskBook(RiskLimits(pnl_max_age_s=30), TODAY)
    assert "not known" in (book.check(an_order(), NOON) or "")
    book.note_positions([], NOON)
    late = NOON + timedelta(seconds=45)
    assert "45.0 s old, limit 30.0 s" in (book.check(an_order(), late) or "")
    assert book.check(an_order(an_intent(EXIT, Side.SELL)), late) is None


def test_d8_an_unreadable_read_lets_the_last_figure_grow_old() -> None:
    book = a_book(pnl_max_age_s=30)
    later = NOON + timedelta(seconds=31)
    book.note_positions([a_position(1, realised=None)], later)
    assert "31.0 s old" in (book.check(an_order(), later) or "")


def test_g15_the_hard_threshold_halts_at_each_further_max_loss() -> None:
    book = a_book(max_loss=Decimal(5000))

    def passed(pnl: str) -> Decimal | None:
        book.note_positions([a_position(50, unrealised=pnl)], NOON)
        book.note_positions([a_position(50, unrealised=pnl)], NOON)
        return book.passed_max_loss()

    assert passed("-4999.99") is None
    assert passed("-5100") == Decimal(-5100)
    assert book.passed_max_loss() is None, "once"
    assert passed("-10099") is None
    assert passed("-10100") == Decimal(-10100), "as much again"


def test_g15_a_resume_makes_max_loss_count_on_from_the_loss_of_then() -> None:
    book = a_book(max_loss=Decimal(2000))
    read_twice(book, a_position(50, unrealised="-2100"))
    assert book.passed_max_loss() == -2100
    read_twice(book, a_position(50, unrealised="-3900"))
    assert book.rearm() == -3900
    assert read_twice(book, a_position(50, unrealised="-5890")) is None
    assert book.passed_max_loss() is None
    read_twice(book, a_position(50, unrealised="-10030"))
    assert book.passed_max_loss() == -10030, "halted a second time"


def test_g15_a_resume_never_moves_the_next_halt_nearer_and_without_a_halt_moves_nothing() -> None:
    book = a_book(max_loss=Decimal(2000))
    assert book.rearm() is None
    book.restore(RiskState(None, None, (), (), 0, TODAY, max_loss_mark=Decimal(-2100)))
    assert book.rearm() is None, "the P&L is not known"
    read_twice(book, a_position(50, unrealised="-500"))
    assert book.rearm() is None
    read_twice(book, a_position(50, unrealised="-4099"))
    assert book.passed_max_loss() is None, "the mark of before the restart counts"
    read_twice(book, a_position(50, unrealised="-4100"))
    assert book.passed_max_loss() == -4100


def test_g13_one_read_that_shows_a_loss_refuses_entries_and_decides_nothing() -> None:
    book = a_book(max_daily_loss=Decimal(2000), max_loss=Decimal(5000))
    good, bad = a_position(50, unrealised="-10"), a_position(50, unrealised="-9000")
    assert book.note_positions([bad], NOON) is None
    assert book.wants_second_read
    assert "no other confirms yet" in (book.check(an_order(), NOON) or "")
    assert book.check(an_order(an_intent(EXIT, Side.SELL)), NOON) is None
    assert book.passed_max_loss() is None
    assert book.note_positions([good], NOON) is None
    assert not book.wants_second_read
    assert book.check(an_order(), NOON) is None, "the second read did not agree"
    assert read_twice(book, bad) == Breach(TODAY, Decimal(-9000), Decimal(2000))
    assert book.passed_max_loss() == -9000


def priced(price: str, unrealised: str) -> BrokerPosition:
    return replace(a_position(50, unrealised=unrealised), last_price=Decimal(price))


def test_g13_a_loss_that_comes_with_a_price_far_from_the_last_is_believed_only_when_it_lasts() -> None:
    book = a_book(max_daily_loss=Decimal(2000))
    book.note_positions([priced("1500", "0")], NOON)
    false = priced("15", "-74250")
    for seconds in (0, 1, 5, 9):
        assert book.note_positions([false], NOON + timedelta(seconds=seconds)) is None
        assert book.check(an_order(), NOON) is not None
    assert book.note_positions([priced("1500", "0")], NOON + timedelta(seconds=9)) is None
    assert book.breach is None
    for seconds in (10, 15):
        assert book.note_positions([false], NOON + timedelta(seconds=seconds)) is None
    assert book.note_positions([false], NOON + timedelta(seconds=20)) is not None, "it lasted"


def test_g13_a_far_price_is_told_from_our_own_entry_where_no_read_came_before() -> None:
    book = RiskBook(RiskLimits(max_daily_loss=Decimal(2000)), TODAY)
    held = Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 50)
    book.restore(RiskState(None, None, (), (), 0, TODAY, ((held, Decimal(1500)),)))
    for seconds in (0, 1, 2):
        assert book.note_positions([priced("15", "-74250")], NOON + timedelta(seconds=seconds)) is None
    assert book.breach is None


def test_g13_a_row_that_lost_its_price_makes_the_pnl_unknown() -> None:
    book = a_book(pnl_max_age_s=30, max_daily_loss=Decimal(2000))
    book.note_positions([priced("1500", "0")], NOON)
    later = NOON + timedelta(seconds=31)
    for _ in range(2):
        book.note_positions([a_position(50, unrealised="-75000")], later)
    assert book.breach is None
    assert "31.0 s old" in (book.check(an_order(), later) or "")


LOST = a_position(0, realised="-2140")


def rolled_over(**limits: object) -> RiskBook:
    """The day after one that lost 2,140."""
    book = a_book(max_daily_loss=Decimal(2000), max_loss=Decimal(2000), **limits)
    read_twice(book, LOST)
    assert book.roll_to(TODAY + timedelta(days=1))
    return book


@pytest.mark.parametrize("before_markets", [True, False])
def test_g7_figures_that_the_broker_still_shows_of_the_earlier_day_never_count(before_markets: bool) -> None:
    book = rolled_over()
    for _ in range(3):
        assert book.note_positions([LOST], NOON, before_markets=before_markets) is None
    assert (book.pnl, book.breach, book.passed_max_loss()) == (0, None, None)
    assert book.check(an_order(), NOON) is None


def test_g7_a_service_that_starts_before_the_markets_open_counts_only_what_was_traded_today() -> None:
    book = RiskBook(RiskLimits(max_daily_loss=Decimal(2000)), TODAY)
    other = a_position(0, symbol="TCS-EQ", realised="-100")
    for _ in range(2):
        assert book.note_positions([LOST, other], NOON, before_markets=True) is None
    assert book.pnl == 0
    today = frozenset({("NSE", "INFY-EQ")})
    book.restore(RiskState(None, None, (), (), 0, TODAY, traded=today))
    assert read_twice_early(book, [LOST, other]) == Breach(TODAY, Decimal(-2140), Decimal(2000))


def read_twice_early(book: RiskBook, rows: list[BrokerPosition]) -> Breach | None:
    assert book.note_positions(rows, NOON, before_markets=True) is None
    return book.note_positions(rows, NOON, before_markets=True)


def test_g7_a_fill_of_today_makes_the_figures_of_its_symbol_todays_and_one_of_yesterdays_order_does_not() -> None:
    book = rolled_over()
    book.note_fill(an_order(), a_fill(50, "1500"))
    assert book.note_positions([LOST], NOON) is None
    assert book.pnl == 0
    book.note_fill(replace(an_order(), trading_day=book.trading_day), a_fill(50, "1500"))
    assert read_twice(book, LOST) is not None


def test_g7_after_the_roll_the_same_symbol_counts_from_its_first_change() -> None:
    book = rolled_over()
    book.note_positions([LOST], NOON, before_markets=True)
    book.note_positions([], NOON, before_markets=True)
    assert read_twice(book, LOST) is not None, "made again today"


def test_d9_a_cooldown_of_a_clock_that_was_ahead_lasts_no_longer_than_one_does() -> None:
    book = a_book(cooldown_s=60)
    ahead = LossRun("alpha", 1, NOON + timedelta(days=1))
    book.restore(RiskState(None, None, (ahead,), (), 0, TODAY))
    book.note_positions([], NOON + timedelta(seconds=61))
    assert "another 60 s" in (book.check(an_order(), NOON) or "")
    assert book.check(an_order(), NOON + timedelta(seconds=61)) is None


def test_a_losing_exit_cools_its_strategy_down_and_no_other() -> None:
    book = a_book(cooldown_s=60)
    lose(book)
    assert "strategy alpha cools down for another 60 s" in (book.check(an_order(), NOON) or "")
    assert book.check(an_order(an_intent(strategy="beta")), NOON) is None
    book.note_positions([], NOON + timedelta(seconds=60))
    assert book.check(an_order(), NOON + timedelta(seconds=60)) is None


def test_losses_in_a_row_cool_the_account_down_and_a_win_ends_the_run() -> None:
    book = a_book(cooldown_s=60, max_consecutive_losses=2)
    lose(book)
    lose(book, "+5")
    lose(book)
    assert book.check(an_order(an_intent(strategy="beta")), NOON) is None
    lose(book)
    assert "the account cools down" in (book.check(an_order(an_intent(strategy="gamma")), NOON) or "")


def test_a_losing_exit_is_told_from_all_its_fills_together() -> None:
    book = a_book(cooldown_s=60)
    entry, leave = an_order(), an_order(an_intent(EXIT, Side.SELL))
    book.note_fill(entry, a_fill(50, "1500"))
    book.note_fill(leave, a_fill(20, "1490"))
    book.note_fill(leave, a_fill(30, "1510"))
    assert [run.losses for run in book.note_settled(leave, NOON)] == [0, 0]


@pytest.mark.parametrize(
    ("limits", "intent", "words"),
    [
        ({"max_order_quantity": 49}, an_intent(), "quantity 50, limit 49"),
        ({"max_order_value": Decimal(74999)}, an_intent(), "order value 75000.00, limit 74999.00"),
        (
            {"max_order_value": Decimal(1)},
            an_intent(order_type=OrderType.MARKET, price=None),
            "cannot be held against max_order_value",
        ),
    ],
)
def test_one_order_may_not_be_too_big(limits: dict[str, object], intent: object, words: str) -> None:
    assert words in (a_book(**limits).check(an_order(intent), NOON) or "")  # type: ignore[arg-type]


def test_zero_switches_limits_off() -> None:
    book = a_book()
    book.note_positions([a_position(1, realised="-1e9")], NOON)
    assert book.check(an_order(an_intent(quantity=10**9)), NOON) is None
    assert not book.passed_max_loss()


def test_an_order_counts_once_until_it_settles_and_not_at_all_when_it_was_never_sent() -> None:
    book = a_book(max_open_orders=2)
    order = an_order()
    book.check(order, NOON)
    book.check(order, NOON)
    assert (book.open_orders, book.orders_today) == (1, 1)
    book.note_settled(replace(order, tag=Tag.EXECUTION_GUARD_BLOCKED), NOON)
    assert (book.open_orders, book.orders_today) == (0, 0)
    book.check(an_order(), NOON)
    sent = an_order()
    book.check(sent, NOON)
    book.note_settled(replace(sent, tag=Tag.BROKER_REJECTED), NOON)
    assert (book.open_orders, book.orders_today) == (1, 2)


def test_a_lot_averages_additions_realises_reductions_and_turns_around() -> None:
    lot = Lot(0, Decimal(0))
    assert lot.trade(100, Decimal(10)) == 0
    assert lot.trade(100, Decimal(20)) == 0
    assert (lot.quantity, lot.price) == (200, Decimal(15))
    assert lot.trade(-50, Decimal(18)) == 150
    assert lot.trade(-200, Decimal(14)) == -150
    assert (lot.quantity, lot.price) == (-50, Decimal(14))
    assert lot.trade(50, Decimal(10)) == 200


def test_e9_a_strategy_halted_alone_opens_no_risk_until_trading_is_resumed() -> None:
    book = a_book()
    assert book.halt_strategy("alpha", "it keeps failing")
    assert not book.halt_strategy("alpha", "again"), "the first reason is kept"
    for kind in (ENTRY, ADJUST):
        assert book.check(an_order(an_intent(kind)), NOON) == "strategy alpha is halted: it keeps failing"
    assert book.check(an_order(an_intent(EXIT, Side.SELL)), NOON) is None
    assert book.check(an_order(an_intent(strategy="beta")), NOON) is None
    halt = Halt("test", "operator", NOON)
    book.note_halt(halt)
    assert "halted by operator" in (book.blocked("alpha", NOON) or "")
    book.note_halt(None)
    assert book.blocked("alpha", NOON) is None
