"""A square-off is repeated until it is flat or a person must take over (scenario D7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.order import ExecutionType, OrderType, Product, Side, Source
from core.model.positions import GuardLine
from core.rules.square_off import (
    EXIT_PATIENCE_S,
    PAUSES_S,
    TIME_LIMIT_S,
    InFlight,
    SquareOffRun,
    exits_to_come,
    given_up_text,
    in_vain_text,
    market_exit,
)
from tests.factories import an_intent, an_order

ENTRY, EXIT = ExecutionType.ENTRY, ExecutionType.EXIT


def line(
    held: int,
    reserved: int = 0,
    product: Product = Product.MIS,
    strategy: str = "alpha",
    symbol: str = "INFY-EQ",
) -> GuardLine:
    return GuardLine(strategy, "NSE", symbol, product, held, reserved, None)


def in_flight(
    kind: ExecutionType,
    side: Side,
    quantity: int = 50,
    *,
    age_s: float = 0.0,
    product: Product = Product.MIS,
    strategy: str = "alpha",
) -> InFlight:
    return InFlight(an_order(an_intent(kind, side, quantity, product=product, strategy=strategy)), age_s)


def an_exit(quantity: int, age_s: float = 0.0) -> InFlight:
    return in_flight(EXIT, Side.SELL, quantity, age_s=age_s)


def flattening(strategy: str | None = None, symbol: str | None = None) -> SquareOffRun:
    return SquareOffRun("loss", Source.RISK, strategy, 0.0, symbol=symbol)


def test_what_is_held_is_exited_at_once_the_short_side_too() -> None:
    [sell] = flattening().step([line(50)], [], 0.0).exits
    assert (sell.side, sell.quantity, sell.execution_type, sell.order_type) == (
        Side.SELL,
        50,
        ExecutionType.EXIT,
        OrderType.MARKET,
    )
    [buy] = flattening().step([line(-50)], [], 0.0).exits
    assert (buy.side, buy.quantity) == (Side.BUY, 50)


OPENED = replace(line(-100), unintended=True)


def flatten(*lines: GuardLine) -> SquareOffRun:
    return SquareOffRun("flatten", Source.DASHBOARD, None, 0.0, opened=lines)


def buying(quantity: int, age_s: float, kind: ExecutionType = EXIT) -> InFlight:
    return in_flight(kind, Side.BUY, quantity, age_s=age_s)


def test_g20_the_exit_of_a_flatten_is_cancelled_when_it_rests_and_what_is_left_is_sent_anew() -> None:
    run, first = flatten(OPENED), market_exit(OPENED)
    step = run.begin((), [OPENED], [], 0.0, 0.0, sent=[first])
    assert (step.exits, step.cancels, step.done) == ((), (), False), "the first is on its way already"
    rests = buying(100, EXIT_PATIENCE_S)
    assert run.step([OPENED], [buying(100, 1.0)], 1.0, 1.0).cancels == ()
    assert run.step([OPENED], [rests], EXIT_PATIENCE_S, EXIT_PATIENCE_S).cancels == (rests.order.command_id,)
    [again] = run.step([replace(OPENED, held=-60)], [], 6.0, 6.0).exits
    assert (again.side, again.quantity, again.order_type) == (Side.BUY, 60, OrderType.MARKET)
    assert run.step([], [], 8.0, 8.0).done


def test_g20_a_flatten_whose_exits_fail_is_handed_to_a_person() -> None:
    run = flatten(OPENED)
    steps = [run.begin((), [OPENED], [], 0.0, 0.0, sent=[market_exit(OPENED)])]
    while not steps[-1].done and len(steps) < 1000:
        now = 0.25 * len(steps)
        steps.append(run.step([OPENED], [], now, now))
    assert [one.held for step in steps for one in step.given_up] == [-100]
    assert 2 <= sum(len(step.exits) for step in steps) <= len(PAUSES_S)
    assert not run.works_on(OPENED)


def test_g20_a_flatten_whose_order_rests_in_spite_of_its_cancels_is_handed_to_a_person_in_time() -> None:
    run, resting = flatten(OPENED), buying(100, 0.0)
    run.begin((), [OPENED], [], 0.0, 0.0, sent=[market_exit(OPENED)])
    given_up = [run.step([OPENED], [replace(resting, age_s=now)], now, now).given_up for now in (1.0, TIME_LIMIT_S)]
    assert given_up == [(), (OPENED,)]


def test_g20_a_flatten_exits_and_cancels_only_what_exits_opened() -> None:
    entered, other = replace(OPENED, unintended=False), replace(OPENED, strategy="beta")
    run = flatten(OPENED)
    step = run.begin((), [OPENED, other], [buying(10, 60.0, ENTRY)], 60.0, 60.0)
    assert (step.exits, step.cancels) == ((), ()), "an ENTRY in flight stays, and beta was not named"
    assert run.step([entered], [], 61.0, 61.0).done, "it is closed, and the strategy has entered anew"


def test_g20_a_flatten_never_exits_more_than_was_named() -> None:
    run, more = flatten(OPENED), replace(OPENED, held=-70)
    run.begin((), [OPENED], [], 0.0, 0.0, sent=[market_exit(OPENED)])
    run.step([replace(OPENED, held=-60)], [buying(60, 0.5)], 0.5, 0.5)
    step = run.step([more], [], 3.0, 3.0)
    assert (step.exits, step.given_up) == ((), (more,))


def test_a_later_press_takes_a_flatten_over_and_waits_for_the_exit_just_sent() -> None:
    first, second = flatten(OPENED), flatten(OPENED)
    first.begin((), [OPENED], [], 0.0, 0.0, sent=[market_exit(OPENED)])
    assert second.begin((first,), [OPENED], [], 0.0, 0.0, sent=[market_exit(OPENED)]).exits == ()
    assert first.step([OPENED], [], 2.0, 2.0).done
    assert len(second.step([OPENED], [], 2.0, 2.0).exits) == 1


ALPHA, BETA, TCS = line(50), line(-20, strategy="beta"), line(30, symbol="TCS-EQ")


@pytest.mark.parametrize(
    ("strategy", "symbol", "exited"),
    [
        ("alpha", "INFY-EQ", [ALPHA]),
        (None, "INFY-EQ", [ALPHA, BETA]),
        ("alpha", None, [ALPHA, TCS]),
        (None, None, [ALPHA, BETA, TCS]),
        ("beta", "TCS-EQ", []),
    ],
)
def test_what_is_exited_is_narrowed_by_strategy_and_symbol(
    strategy: str | None, symbol: str | None, exited: list[GuardLine]
) -> None:
    exits = flattening(strategy, symbol).step([ALPHA, BETA, TCS], [], 0.0).exits
    assert [(one.strategy, one.symbol, one.quantity) for one in exits] == [
        (one.strategy, one.symbol, abs(one.held)) for one in exited
    ]


def test_c2_an_exit_in_flight_is_not_joined_by_a_second_one() -> None:
    for quantity in (50, 20):
        step = flattening().step([line(50, -quantity)], [an_exit(quantity)], 0.0)
        assert (step.exits, step.cancels, step.done) == ((), (), False)


def test_c14_delivery_holdings_and_other_strategies_are_left_alone() -> None:
    delivery = in_flight(ENTRY, Side.BUY, product=Product.CNC, strategy="beta")
    lines = [line(50), line(50, 10, product=Product.CNC, strategy="beta")]
    step = flattening("beta").step(lines, [in_flight(ENTRY, Side.BUY), delivery], 0.0)
    assert (step.exits, step.cancels, step.done) == ((), (), True)


def test_c14_what_was_sold_short_for_delivery_is_bought_back() -> None:
    step = flattening().step([line(-50, product=Product.CNC)], [], 0.0)
    assert [(one.side, one.quantity, one.product) for one in step.exits] == [(Side.BUY, 50, Product.CNC)]


def test_d7_exits_that_fail_are_tried_again_with_growing_pauses_and_then_given_up() -> None:
    running, now, sent, given_up = flattening(), 0.0, [], []
    while now < TIME_LIMIT_S - 1:
        step = running.step([line(50)], [], now)
        sent += [now for _ in step.exits]
        given_up += [now for _ in step.given_up]
        if step.done:
            break
        now += 0.25
    assert sent == [0.0, 1.0, 3.0, 8.0, 18.0, 38.0]
    assert len(sent) == 1 + len(PAUSES_S)
    assert given_up == [58.0]


def test_d7_it_is_done_once_flat() -> None:
    running = flattening()
    running.step([line(50)], [], 0.0)
    step = running.step([], [], 0.5)
    assert (step.exits, step.given_up, step.done) == ((), (), True)


def test_d7_what_opens_is_cancelled_at_once_and_no_exit_goes_out_before_it_is_gone() -> None:
    """An ENTRY that filled in part: its rest would block the exit (2C), or fill after it."""
    running, entry = flattening(), in_flight(ENTRY, Side.BUY)
    step = running.step([line(20, 30)], [entry], 0.0)
    assert (step.cancels, step.exits, step.done) == ((entry.order.command_id,), (), False)
    assert running.step([line(20, 30)], [entry], 0.5).cancels == (), "asked for once, and not at every look"
    [leave] = running.step([line(25)], [], 0.75).exits
    assert leave.quantity == 25, "all that had filled until it was gone"


def test_d7_an_entry_that_only_rests_is_cancelled_too() -> None:
    running, entry = flattening(), in_flight(ENTRY, Side.BUY)
    assert running.step([line(0, 50)], [entry], 0.0).cancels == (entry.order.command_id,)
    assert running.step([], [], 0.5).done


def test_d7_an_exit_that_rests_is_cancelled_after_its_time_and_replaced_once_it_is_gone() -> None:
    running, resting = flattening(), an_exit(50, age_s=3.0)
    assert running.step([line(50, -50)], [resting], 0.0).cancels == ()
    step = running.step([line(50, -50)], [replace(resting, age_s=EXIT_PATIENCE_S)], EXIT_PATIENCE_S - 3.0)
    assert (step.cancels, step.exits) == ((resting.order.command_id,), ())
    assert running.step([line(30, -30)], [resting], 2.5).exits == (), "never two at once"
    [leave] = running.step([line(30)], [], 2.75).exits
    assert (leave.quantity, leave.order_type) == (30, OrderType.MARKET)


def test_d7_an_exit_that_has_rested_for_long_is_cancelled_at_once() -> None:
    stop_loss = an_exit(50, age_s=3600.0)
    assert flattening().step([line(50, -50)], [stop_loss], 0.0).cancels == (stop_loss.order.command_id,)


def test_d7_a_cancel_that_comes_to_nothing_is_tried_again_a_bounded_number_of_times_and_then_handed_over() -> None:
    running, resting, now, asked, given_up = flattening(), an_exit(50, age_s=60.0), 0.0, [], []
    held = line(50, -50)
    while now <= TIME_LIMIT_S:
        step = running.step([held], [resting], now)
        assert step.exits == ()
        asked += [now for _ in step.cancels]
        given_up += [(now, one) for one in step.given_up]
        now += 0.25
    assert asked == [0.0, 1.0, 3.0, 8.0, 18.0, 38.0]
    assert given_up == [(TIME_LIMIT_S, held)]
    assert running.step([held], [resting], now).done


def test_d7_the_last_exit_is_left_to_work() -> None:
    """Each exit in turn rests and is cancelled; none would take the place of the last one."""
    running, now, cancelled = flattening(), 0.0, 0
    for _ in range(1 + len(PAUSES_S)):
        while now < TIME_LIMIT_S and not running.step([line(50)], [], now).exits:
            now += 0.25
        mine = an_exit(50)
        running.step([line(50, -50)], [mine], now)
        now += EXIT_PATIENCE_S
        cancelled += len(running.step([line(50, -50)], [replace(mine, age_s=EXIT_PATIENCE_S)], now).cancels)
    assert cancelled == len(PAUSES_S)
    assert running.step([line(50, -50)], [mine], TIME_LIMIT_S).given_up == (line(50, -50),)


def test_two_products_of_one_symbol_are_exited_one_after_the_other() -> None:
    """One open order for a strategy and symbol (2C): the second would only be blocked."""
    both = [line(50), line(20, product=Product.NRML)]
    assert [one.product for one in flattening().step(both, [], 0.0).exits] == [Product.MIS]


def test_d7_no_exit_is_cancelled_before_the_books_could_show_that_it_rests() -> None:
    """It filled long ago, perhaps, and the read that says so waits for the rate limits behind the cancels."""
    running, leave, held = flattening(), an_exit(50, age_s=30.0), line(50, -50)
    assert running.step([held], [leave], 100.0, seen_at=70.0 + EXIT_PATIENCE_S - 0.1).cancels == ()
    assert running.step([held], [leave], 100.0, seen_at=70.0 + EXIT_PATIENCE_S).cancels == (leave.order.command_id,)


def test_d7_no_cancel_is_repeated_before_the_books_were_read_anew() -> None:
    running, entry, held = flattening(), in_flight(ENTRY, Side.BUY), line(0, 50)
    assert len(running.step([held], [entry], 0.0, seen_at=-9.0).cancels) == 1, "what opens, at once"
    assert running.step([held], [entry], 30.0, seen_at=-1.0).cancels == ()
    assert len(running.step([held], [entry], 30.0, seen_at=29.0).cancels) == 1


def test_d7_what_is_entered_elsewhere_after_it_began_is_left_alone() -> None:
    running = flattening()
    running.step([line(50)], [], 0.0)
    later = in_flight(ENTRY, Side.BUY, strategy="beta")
    step = running.step([line(50, -50), line(10, 40, strategy="beta")], [an_exit(50), later], 1.0)
    assert (step.exits, step.cancels, step.done) == ((), (), False)
    assert running.step([line(10, 40, strategy="beta")], [later], 2.0).done


def test_d7_a_further_square_off_begins_anew_what_was_given_up_and_waits_for_an_exit_just_sent() -> None:
    first, lines = flattening(), [line(50), line(30, symbol="TCS-EQ")]
    first.step(lines, [], 0.0)
    again = flattening("alpha", "INFY-EQ")
    assert again.begin([first], lines, [], 0.5).exits == (), "the exit of half a second ago may be on its way"
    assert [one.symbol for one in first.step(lines, [], 1.0).exits] == ["TCS-EQ"], "the other is no longer its own"
    assert [one.symbol for one in again.step(lines, [], 1.0).exits] == ["INFY-EQ"]
    given_up = first.step(lines, [], TIME_LIMIT_S).given_up
    assert [one.symbol for one in given_up] == ["TCS-EQ"]
    more = SquareOffRun("person", Source.DASHBOARD, "alpha", TIME_LIMIT_S)
    assert [one.symbol for one in more.begin([first], lines, [], TIME_LIMIT_S).exits] == ["INFY-EQ", "TCS-EQ"]


def test_d7_a_square_off_whose_first_step_raised_loses_nothing_to_a_narrower_one() -> None:
    wide, lines = flattening(), [line(50), line(30, symbol="TCS-EQ")]
    narrow = flattening("alpha", "INFY-EQ")
    assert [one.symbol for one in narrow.begin([wide], lines, [], 0.0).exits] == ["INFY-EQ"]
    assert "TCS-EQ" in [one.symbol for one in wide.step(lines, [], 0.25).exits]


def test_an_outage_gives_nothing_up_and_leaves_every_try_for_the_time_after_it() -> None:
    running, sent = flattening(), []
    told = []
    seen_at = 0.0
    for second in range(600):
        step = running.step([line(50)], [], float(second), seen_at)
        assert (step.given_up, step.done) == ((), False), second
        sent += [second] * len(step.exits)
        told += [second] * step.waits
    assert told == [21], "a person is told once"
    assert 10 < len(sent) < 40, "it goes on, slowly"
    after, now = [], 600.0
    while not (step := running.step([line(50)], [], now, now)).given_up:
        after += step.exits
        now += 1.0
    assert len(after) == len(PAUSES_S) + 1
    assert running.step([line(50)], [], now, now).done


def test_g24_an_exit_that_waits_for_a_stop_is_named_with_it() -> None:
    stop, other = an_exit(50, age_s=1.0), in_flight(ENTRY, Side.BUY, strategy="beta")
    lines = [line(50, -50), line(0, 50, strategy="beta"), line(20, symbol="TCS-EQ"), line(5, product=Product.CNC)]
    sent = [market_exit(line(20, symbol="TCS-EQ"))]
    [(leave, ids)] = exits_to_come(lines, [stop, other], None, None, sent)
    assert (leave.strategy, leave.side, leave.quantity, ids) == ("alpha", Side.SELL, 50, (stop.order.command_id,))
    assert exits_to_come(lines, [stop, other], "beta", None) == ()
    assert exits_to_come(lines, [stop, other], None, "TCS-EQ", sent) == ()


def test_g24_an_exit_that_another_square_off_has_just_sent_is_named() -> None:
    [(leave, ids)] = exits_to_come([line(50)], [], None, None)
    assert (leave.strategy, leave.side, leave.quantity, ids) == ("alpha", Side.SELL, 50, ())


def test_d7_an_order_whose_cancels_come_to_nothing_is_told_once_while_it_is_tried_on() -> None:
    running, told, cancels = flattening(), [], 0
    stop = InFlight(replace(an_exit(50).order, broker_order_id="N7"), 30.0)
    for second in range(60):
        step = running.step([line(50, -50)], [stop], float(second))
        told += [(cancels, second, order) for order in step.in_vain]
        cancels += len(step.cancels)
    assert told == [(3, 8, stop.order)]
    assert cancels == len(PAUSES_S) + 1
    text = in_vain_text("loss", stop.order)
    assert "3 cancels" in text
    assert f"{stop.order.command_id} (broker order N7)" in text


def test_d7_what_is_given_up_is_told_with_the_orders_that_stand_in_the_way() -> None:
    stop = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 50, strategy="alpha"))
    elsewhere = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 50, strategy="alpha", symbol="TCS-EQ"))
    working = [InFlight(replace(stop, broker_order_id="26112300000007"), 60.0), InFlight(elsewhere, 60.0)]
    text = given_up_text("max loss", line(50), working)
    assert "alpha still holds +50 INFY-EQ MIS; a person must end it" in text
    assert text.endswith(f"cancel at the broker: {stop.command_id} (broker order 26112300000007)")
    assert given_up_text("max loss", line(50), []).endswith("a person must end it")
