"""Section B: polling, pushes, fills, terminal states. B1 and a B2 are in test_six_steps.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.messages import (
    ExternalOrders,
    GetExternalOrders,
    GetGuardSnapshot,
    GetReadiness,
    GuardSnapshot,
    OrderPushed,
)
from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.model.order import Tag
from core.paper.server import PaperServer
from core.runtime import SystemClock
from core.store.check import check
from tests.scenarios.orders import ADJUST, BUY, EXIT, SELL, marketable, resting
from tests.scenarios.strategies import Recorder, with_strategy
from tests.support import wait_until
from tests.support_service import Running, SettableClock, running


@pytest.fixture(autouse=True)
def _forget_what_strategies_were_told() -> None:
    Recorder.told.clear()
    Recorder.failing.clear()


def open_at_exchange(service: Running, **changes: Any) -> str:
    """Submit an order that rests; its command id, once the exchange has confirmed it."""
    result = service.submit(resting(**changes))
    assert result.success, result
    service.wait_at_exchange(result.broker_order_id)
    return result.command_id


def number_of(service: Running, command_id: str) -> str:
    return str(service.row(command_id)["broker_order_id"])


def filled(row: dict[str, Any]) -> tuple[int, Decimal]:
    return row["filled_quantity"], Decimal(row["average_price"])


def test_b2_filled_in_part_then_cancelled_is_final_and_says_so(service: Running) -> None:
    command_id = open_at_exchange(service, quantity=100)
    number = number_of(service, command_id)
    service.control("fill_order", norenordno=number, qty=40, prc="1450")
    service.control("cancel_order", norenordno=number)
    row = service.wait_for(command_id, "FAILED")
    assert (row["tag"], *filled(row)) == (Tag.BROKER_CANCELLED, 40, Decimal(1450))
    assert "40 of 100" in row["reason"]
    service.wait_for_guard([("alpha", "INFY-EQ", 40, 0)])


def test_b3_a_partial_fill_is_seen_at_once_by_strategy_guard_and_risk(tmp_path: Path) -> None:
    with running(tmp_path, settings=with_strategy("alpha")) as service:
        service.set_price("1500")
        command_id = open_at_exchange(service, quantity=100)
        service.control("fill_order", norenordno=number_of(service, command_id), qty=40, prc="1450")
        service.wait_for_guard([("alpha", "INFY-EQ", 40, 60)])
        wait_until(lambda: Recorder.fills("alpha") == [(40, False)])
        row = service.row(command_id)
        assert (row["status"], *filled(row)) == ("SENT_TO_BROKER", 40, Decimal(1450))
        leave = service.submit(marketable(EXIT, SELL, quantity=40))
        assert leave.tag is Tag.DUPLICATE_ORDER_BLOCKED, "the entry is still open: one open order a symbol (2C)"


@pytest.mark.parametrize("pushed", [True, False])
def test_b4_complete_without_figures_is_taken_from_the_trade_book(service: Running, pushed: bool) -> None:
    if not pushed:
        service.mute()
    service.control("add_fault", kind="row_without_fill", count=0)
    result = service.submit(marketable())
    row = service.wait_for(result.command_id, "EXECUTED")
    assert row["filled_quantity"] == 50
    assert Decimal(1490) < Decimal(row["average_price"]) <= Decimal(1510)
    assert sum(fill["quantity"] for fill in row["fills"]) == 50
    assert check(service.store) == []


def test_b5_books_that_cannot_be_read_change_no_state_and_raise_an_alarm(service: Running) -> None:
    service.mute()
    command_id = open_at_exchange(service)
    before = service.row(command_id)
    service.control("add_fault", kind="book_502", path="OrderBook", count=0)
    wait_until(lambda: service.alerts("unreadable"))
    readiness = service.ask("command_service", GetReadiness())
    assert not readiness.ready
    assert "order book" in " ".join(readiness.reasons)
    assert service.submit(resting(strategy="beta")).tag is Tag.SERVICE_NOT_READY
    assert service.row(command_id) == before
    service.control("clear_faults")
    wait_until(lambda: service.ask("command_service", GetReadiness()).ready)
    assert service.row(command_id) == before


def test_b6_no_data_is_an_empty_book_and_no_error_while_nothing_was_in_it_today(service: Running) -> None:
    assert service.sent() == []
    service.wait_for_polls(10)
    assert service.alerts("unreadable") == []
    assert service.ask("command_service", GetReadiness()).ready


def test_b6_an_expired_session_is_renewed(service: Running) -> None:
    service.control("kill_token")
    wait_until(lambda: service.alerts("session"))
    wait_until(lambda: service.ask("command_service", GetReadiness()).ready)
    assert service.submit(resting()).success


def test_b6_a_server_timeout_is_unknown_and_read_again(service: Running) -> None:
    service.mute()
    service.control("add_fault", kind="book_server_timeout", path="OrderBook", count=2)
    result = service.submit(marketable())
    service.wait_for(result.command_id, "EXECUTED")
    assert service.alerts("unreadable") == []
    assert service.alerts("session") == []


def test_b7_an_order_of_yesterday_is_resolved_and_not_polled_for_ever(tmp_path: Path) -> None:
    clock = SettableClock()
    with running(tmp_path, clock=clock) as service:
        service.set_price("1500")
        service.mute()
        command_id = open_at_exchange(service)
        service.control("add_fault", kind="book_502", path="OrderBook", count=0)
        service.control("end_of_day")
        clock.step(timedelta(days=1))
        service.control("clear_faults")
        row = service.wait_for(command_id, "FAILED")
        assert row["tag"] == Tag.BROKER_EXPIRED
        assert "trading day" in row["reason"]
        assert "compare positions" in row["reason"]
        wait_until(lambda: service.alerts("never_resolved"))
        service.wait_for_guard([])
        wait_until(lambda: service.ask("command_service", GetReadiness()).ready)
        service.wait_for_risk(lambda risk: risk.entry_blocked is None)
        assert service.submit(resting()).success, "a new day"


def test_b7_an_unknown_outcome_of_yesterday_says_that_no_book_can_tell(tmp_path: Path, exchange: PaperServer) -> None:
    clock = SettableClock()
    with running(tmp_path, exchange=exchange, clock=clock, SIXSTEP_BROKER__ABSENCE_GRACE_S="60") as service:
        service.mute()
        service.control("add_fault", kind="drop_502", path="PlaceOrder")
        result = service.submit(resting())
        assert result.unknown
    clock.step(timedelta(days=1))
    exchange.control("end_of_day")
    with running(tmp_path, exchange=exchange, clock=clock, SIXSTEP_BROKER__ABSENCE_GRACE_S="0.2") as service:
        row = service.wait_for(result.command_id, "FAILED")
        assert row["tag"] == Tag.BROKER_EXPIRED
        assert "compare positions" in row["reason"]
        wait_until(lambda: service.alerts("never_resolved"))


def test_b8_a_rejected_add_on_leaves_the_position_with_the_guard(service: Running) -> None:
    held = service.submit(marketable())
    service.wait_for(held.command_id, "EXECUTED")
    service.control("add_fault", kind="reject_order", text="RED:Margin Shortfall")
    more = service.submit(marketable(ADJUST, BUY, 20))
    assert service.wait_for(more.command_id, "FAILED")["tag"] == Tag.BROKER_REJECTED
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])


def external(service: Running, side: str, quantity: int, price: str, account: str = "PAPER") -> str:
    """An order from the phone."""
    return str(
        service.control(
            "external_order",
            account=account,
            exch="NSE",
            tsym="INFY-EQ",
            trantype=side,
            qty=quantity,
            prctyp="LMT",
            prc=price,
            prd="I",
        )["norenordno"]
    )


def test_b9_an_order_nobody_here_placed_is_shown_alarmed_and_left_alone(service: Running) -> None:
    number = external(service, "B", 30, "1510")
    wait_until(lambda: service.alerts("external_order"))

    def shown() -> list[tuple[str, int | None]]:
        orders = service.ask("order_watcher", GetExternalOrders())
        assert isinstance(orders, ExternalOrders)
        return [(order.broker_order_id, order.filled_quantity) for order in orders.orders]

    wait_until(lambda: shown() == [(number, 30)])

    wait_until(lambda: unattributed(service) == [("INFY-EQ", 30)])
    assert service.rows() == []
    assert len(service.sent()) == 1
    assert len(service.alerts("external_order")) == 1


def test_b9_a_position_closed_from_outside_heals_the_guard_by_that_order_and_for_good(
    tmp_path: Path, exchange: PaperServer
) -> None:
    with running(tmp_path, exchange=exchange) as service:
        held = service.submit(marketable())
        service.wait_for(held.command_id, "EXECUTED")
        service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
        number = external(service, "S", 50, "1490", account="FA00001")
        service.wait_for_guard([])
        wait_until(lambda: service.alerts("external_close"))
        assert number in service.alerts("external_close")[0]
        assert check(service.store) == []
    with running(tmp_path, exchange=exchange) as service:
        service.wait_for_guard([])
        assert service.submit(resting()).success, "the strategy is flat and may enter again"


def two_holders(service: Running) -> None:
    """alpha holds 50 and beta 30 of INFY-EQ: the broker nets them to 80."""
    for strategy, quantity in (("alpha", 50), ("beta", 30)):
        held = service.submit(marketable(strategy=strategy, quantity=quantity))
        service.wait_for(held.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0), ("beta", "INFY-EQ", 30, 0)])


def test_b9_what_two_strategies_hold_closed_from_outside_in_full_leaves_both_flat(
    tmp_path: Path, exchange: PaperServer
) -> None:
    """Nothing is left at the broker and nothing works there: whoever held something holds nothing."""
    with running(tmp_path, exchange=exchange) as service:
        two_holders(service)
        external(service, "S", 80, "1490", account="FA00001")
        service.wait_for_guard([])
        wait_until(lambda: len(service.alerts("external_close")) == 2)
        closes = " ".join(service.alerts("external_close"))
        assert "closed 50 INFY-EQ MIS of strategy alpha" in closes
        assert "closed 30 INFY-EQ MIS of strategy beta" in closes
        assert check(service.store) == []
    with running(tmp_path, exchange=exchange) as service:
        service.wait_for_guard([])


def test_b9_a_part_closed_from_outside_of_what_two_strategies_hold_is_nobodys_and_names_both(service: Running) -> None:
    two_holders(service)
    external(service, "S", 20, "1490")
    wait_until(lambda: service.alerts("position_difference"))
    [alarm] = service.alerts("position_difference")
    assert "the broker shows +60, strategies hold +80 by their fills (alpha +50, beta +30)" in alarm
    assert "whose part is gone cannot be told" in alarm
    service.wait_for_polls(10)
    assert service.guard_lines() == [("alpha", "INFY-EQ", 50, 0), ("beta", "INFY-EQ", 30, 0)], "not guessed"
    assert unattributed(service) == [("INFY-EQ", -20)], "80 held less 20 is what the broker has"
    # Once one of them is out it can be told: who is left holds what is left.
    leave = service.submit(marketable(EXIT, SELL, 50, strategy="alpha"))
    service.wait_for(leave.command_id, "EXECUTED")
    service.wait_for_guard([("beta", "INFY-EQ", 10, 0)])
    wait_until(lambda: unattributed(service) == [])


def unattributed(service: Running) -> list[tuple[str, int]]:
    snapshot = service.ask("execution_guard", GetGuardSnapshot())
    assert isinstance(snapshot, GuardSnapshot)
    return [(difference.symbol, difference.unattributed) for difference in snapshot.differences]


def test_b9_positions_alone_heal_nothing(service: Running) -> None:
    """What the positions show less than is held is a difference; no order explains it, so it stays one."""
    held = service.submit(marketable())
    service.wait_for(held.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
    external(service, "S", 50, "1490")
    service.control("add_fault", kind="book_missing_order", count=0)
    wait_until(lambda: service.alerts("position_difference"))
    service.wait_for_polls(10)
    assert service.guard_lines() == [("alpha", "INFY-EQ", 50, 0)]


def test_b10_a_fill_of_the_time_between_two_runs_is_told_to_its_strategy(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange, settings=with_strategy("alpha")) as service:
        command_id = open_at_exchange(service)
        number = number_of(service, command_id)
    exchange.control("fill_order", {"norenordno": number})
    # The trades come late: were orders taken before them, the exit would find nothing to exit.
    exchange.control("add_fault", {"kind": "reply_delay", "path": "TradeBook", "seconds": 0.5})
    soon = {"SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "0.1"}
    with running(tmp_path, exchange=exchange, settings=with_strategy("alpha"), **soon) as service:
        leave = service.submit(marketable(EXIT, SELL))
        assert leave.success, "booked, and known to the guard, before the first order is taken"
        assert service.row(command_id)["status"] == "EXECUTED"
        wait_until(lambda: Recorder.fills("alpha")[:1] == [(50, False)])
        service.wait_for(leave.command_id, "EXECUTED")
        wait_until(lambda: Recorder.fills("alpha") == [(50, False), (50, False)])
    with running(tmp_path, exchange=exchange, settings=with_strategy("alpha")) as service:
        service.wait_for_polls(2)
        assert len(Recorder.fills("alpha")) == 2, "told once, a fill is not told again"


def test_b10_a_fill_its_strategy_had_not_taken_is_told_again_after_a_restart(
    tmp_path: Path, exchange: PaperServer
) -> None:
    Recorder.failing.add("alpha")
    with running(tmp_path, ("OrderUpdate",), exchange=exchange, settings=with_strategy("alpha")) as service:
        result = service.submit(marketable())
        service.wait_for(result.command_id, "EXECUTED")
        wait_until(lambda: Recorder.fills("alpha") == [(50, False)])
    Recorder.failing.clear()
    Recorder.told.clear()
    with running(tmp_path, exchange=exchange, settings=with_strategy("alpha")):
        wait_until(lambda: Recorder.fills("alpha") == [(50, True)])


def pushed_fill(service: Running, command_id: str, quantity: int, total: int, trade: str) -> OrderPushed:
    """What the push feed would say of one trade of an order."""
    row = service.row(command_id)
    report = BrokerOrderReport(
        broker_order_id=row["broker_order_id"],
        client_tag=command_id,
        exchange="NSE",
        symbol="INFY-EQ",
        side=BUY,
        quantity=50,
        status=BrokerStatus.COMPLETE if total >= 50 else BrokerStatus.OPEN,
        raw_status="COMPLETE" if total >= 50 else "OPEN",
        filled_quantity=total,
        average_price=Decimal(1450),
    )
    fill = BrokerTrade(
        broker_order_id=row["broker_order_id"],
        broker_trade_id=trade,
        client_tag=command_id,
        exchange="NSE",
        symbol="INFY-EQ",
        side=BUY,
        quantity=quantity,
        price=Decimal(1450),
        at=SystemClock().now(),
    )
    return OrderPushed(report, fill)


def push(service: Running, message: OrderPushed) -> None:
    service.service.runtime.tell("order_watcher", message)


def test_b11_a_fill_pushed_twice_and_polled_is_counted_once(service: Running) -> None:
    service.control("add_fault", kind="push_doubled", count=0)
    command_id = open_at_exchange(service)
    service.control("fill_order", norenordno=number_of(service, command_id), qty=20)
    service.wait_for_guard([("alpha", "INFY-EQ", 20, 30)])
    service.wait_for_polls(3)
    service.control("fill_order", norenordno=number_of(service, command_id))
    row = service.wait_for(command_id, "EXECUTED")
    service.wait_for_polls(3)
    assert service.row(command_id) == row
    assert [fill["quantity"] for fill in row["fills"]] == [20, 30]
    assert service.guard_lines() == [("alpha", "INFY-EQ", 50, 0)]


def test_b11_one_fill_under_two_ids_is_counted_once(service: Running) -> None:
    service.mute()
    command_id = open_at_exchange(service)
    number = number_of(service, command_id)
    service.control("fill_order", norenordno=number, qty=20)
    service.wait_for_guard([("alpha", "INFY-EQ", 20, 30)])
    push(service, pushed_fill(service, command_id, 20, 20, "another-id"))
    wait_until(lambda: service.alerts("another-id"))
    assert service.guard_lines() == [("alpha", "INFY-EQ", 20, 30)]
    service.control("fill_order", norenordno=number)
    assert service.wait_for(command_id, "EXECUTED")["filled_quantity"] == 50


def test_b12_a_fill_after_the_cancel_is_booked_as_an_amendment(service: Running) -> None:
    service.mute()
    command_id = open_at_exchange(service)
    number = number_of(service, command_id)
    service.control("cancel_order", norenordno=number)
    service.wait_for(command_id, "FAILED")
    service.wait_for_guard([])
    service.control("late_fill", norenordno=number, qty=30, prc="1450")
    wait_until(lambda: service.row(command_id)["filled_quantity"] == 30)
    row = service.row(command_id)
    assert (row["status"], row["tag"]) == ("FAILED", Tag.BROKER_CANCELLED)
    assert "late fill of 30" in row["reason"]
    assert service.path(command_id)[-2:] == ["FAILED", "FAILED"]
    service.wait_for_guard([("alpha", "INFY-EQ", 30, 0)])
    assert check(service.store) == []


def test_b12_an_exit_that_fills_after_another_took_its_place_is_told_as_critical(service: Running) -> None:
    entered = service.submit(marketable())
    service.wait_for(entered.command_id, "EXECUTED")
    first = service.submit(resting(EXIT, SELL, 50))
    service.control("cancel_order", norenordno=first.broker_order_id)
    service.wait_for(first.command_id, "FAILED")
    second = service.submit(marketable(EXIT, SELL, 50))
    service.wait_for(second.command_id, "EXECUTED")
    service.wait_for_guard([])
    assert service.alerts("exit_overfilled") == []
    service.control("late_fill", norenordno=first.broker_order_id, qty=20)
    service.wait_for_guard([("alpha", "INFY-EQ", -20, 0)])
    wait_until(lambda: service.alerts("exit_overfilled"))
    [told] = service.alerts("exit_overfilled")
    assert "alpha holds -20 INFY-EQ" in told
    assert f"{first.command_id}, an EXIT, filled beyond the position" in told
    assert "CRITICAL" in told


def test_b12_a_late_fill_of_the_time_between_two_runs_is_booked(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        command_id = open_at_exchange(service)
        number = number_of(service, command_id)
        service.control("cancel_order", norenordno=number)
        service.wait_for(command_id, "FAILED")
    exchange.control("late_fill", {"norenordno": number, "qty": 30, "prc": "1450"})
    with running(tmp_path, exchange=exchange) as service:
        leave = service.submit(marketable(EXIT, SELL, 30))
        assert leave.success, "booked before the first order is taken"
        assert service.row(command_id)["filled_quantity"] == 30


@pytest.mark.parametrize("fault", ["push_before_reply", "push_reordered", "push_bare", "push_lost"])
def test_b13_whatever_the_order_of_events_the_end_is_the_same(service: Running, fault: str) -> None:
    service.control("add_fault", kind=fault, count=0, probability=0.5 if fault == "push_reordered" else 1)
    result = service.submit(marketable())
    assert result.success
    row = service.wait_for(result.command_id, "EXECUTED")
    assert (row["filled_quantity"], row["broker_order_id"]) == (50, service.sent()[0]["norenordno"])
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
    service.wait_for_polls(5)
    assert service.row(result.command_id) == row
    assert service.alerts("external_order") == []


def test_b13_a_late_word_does_not_resurrect_a_final_row(service: Running) -> None:
    result = service.submit(marketable())
    row = service.wait_for(result.command_id, "EXECUTED")
    late = pushed_fill(service, result.command_id, 0, 0, "-").report
    push(service, OrderPushed(replace(late, status=BrokerStatus.OPEN, filled_quantity=0)))
    push(service, OrderPushed(replace(late, status=BrokerStatus.PENDING, filled_quantity=None)))
    push(service, OrderPushed(replace(late, status=BrokerStatus.CANCELLED, filled_quantity=0)))
    service.wait_for_polls(3)
    assert service.row(result.command_id) == row


def test_b14_a_push_that_got_lost_is_found_by_the_next_poll(service: Running) -> None:
    command_id = open_at_exchange(service)
    service.control("add_fault", kind="push_lost", report="Fill", count=0)
    service.control("fill_order", norenordno=number_of(service, command_id))
    service.wait_for_polls(2)
    assert service.wait_for(command_id, "EXECUTED", 2.0)["filled_quantity"] == 50


@pytest.mark.parametrize("kind", ["unknown_status", "unknown_report"])
def test_b15_an_unknown_word_is_not_final_and_is_read_again(service: Running, kind: str) -> None:
    command_id = open_at_exchange(service)
    service.control("add_fault", kind=kind, count=0, text="GONE FISHING")
    service.wait_for_polls(6)
    assert service.row(command_id)["status"] == "SENT_TO_BROKER"
    wait_until(lambda: len(service.alerts("odd_status")) == (1 if kind == "unknown_status" else 0))
    service.control("clear_faults")
    service.control("fill_order", norenordno=number_of(service, command_id))
    service.wait_for(command_id, "EXECUTED")


def test_b16_more_filled_than_ordered_is_recorded_and_alarmed(service: Running) -> None:
    service.mute()
    command_id = open_at_exchange(service)
    push(service, pushed_fill(service, command_id, 60, 60, "too-much"))
    row = service.wait_for(command_id, "EXECUTED")
    assert row["filled_quantity"] == 60
    wait_until(lambda: service.alerts("more filled than ordered"))
    service.wait_for_guard([("alpha", "INFY-EQ", 60, 0)])


@pytest.mark.parametrize("pushed", [True, False])
def test_b16_more_filled_than_ordered_at_the_exchange_is_recorded_and_alarmed(service: Running, pushed: bool) -> None:
    """Told by the exchange itself, over its WebSocket or in its books: 50 ordered, 60 filled."""
    if pushed:
        # No book shows the order: what is known of it came over the WebSocket.
        service.control("add_fault", kind="book_missing_order", count=0)
    else:
        service.mute()
    command_id = open_at_exchange(service)
    service.control("fill_order", norenordno=number_of(service, command_id), prc="1450", beyond=10)
    row = service.wait_for(command_id, "EXECUTED")
    assert filled(row) == (60, Decimal(1450))
    wait_until(lambda: service.alerts("more filled than ordered: 60 of 50"))
    service.wait_for_guard([("alpha", "INFY-EQ", 60, 0)])
    assert [int(position["netqty"]) for position in service.snapshot()["positions"]] == [60]
    assert check(service.store) == []


def test_b17_a_fresh_order_the_book_forgets_for_a_while_is_not_given_up(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_BROKER__ABSENCE_GRACE_S="2.5") as service:
        service.set_price("1500")
        service.mute()
        service.control("add_fault", kind="book_lag", path="OrderBook", count=0, seconds=1.5)
        service.control("add_fault", kind="accept_502", path="PlaceOrder")
        result = service.submit(resting())
        assert result.unknown
        service.wait_for_polls(3)
        assert service.row(result.command_id)["unknown"] is True
        service.wait_for_number(result.command_id)
        assert service.path(result.command_id)[-1] == "SENT_TO_BROKER"
        assert "FAILED" not in service.path(result.command_id)
