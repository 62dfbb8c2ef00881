"""Step 6: fills, ends, late and double reports (section B of the scenarios)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Fill, Order, Side, Status, Tag
from core.store import Reported, Store, UnknownOrder, check
from tests.store.factories import accepted, fill, later, registered, report, sent

ORDER = "260302-r1-1"


def tell(store: Store, told: BrokerOrderReport, *fills: Fill, command_id: str = ORDER, seconds: float = 4) -> Reported:
    with store.transaction():
        return store.report(command_id, told, fills, later(seconds), "letter-5")


def last_reason(store: Store, command_id: str = ORDER) -> str | None:
    row = store.row(command_id)
    assert row is not None
    reason: str | None = row["events"][-1]["reason"]
    return reason


def test_complete_with_all_fills_is_executed(store: Store) -> None:
    accepted(store)
    outcome = tell(
        store, report(BrokerStatus.COMPLETE, filled_quantity=100), fill("t1", 40, "10.00"), fill("t2", 60, "10.0001")
    )
    order = outcome.order
    assert (outcome.settled, outcome.changed, outcome.notes) == (True, True, ())
    assert outcome.new_fills == (fill("t1", 40, "10.00"), fill("t2", 60, "10.0001"))
    assert (order.status, order.filled_quantity, order.tag) == (Status.EXECUTED, 100, None)
    assert str(order.average_price) == "10.0001"
    assert store.order(ORDER) == order
    assert check(store) == []


def test_the_average_is_exact_and_rounded_once(store: Store) -> None:
    accepted(store, quantity=3)
    prices = [fill("t1", 1, "0.1"), fill("t2", 1, "0.1"), fill("t3", 1, "0.2")]
    order = tell(store, report(BrokerStatus.COMPLETE, filled_quantity=3), *prices).order
    assert order.average_price == Decimal("0.1333")


def test_b2_cancelled_after_a_partial_fill_says_so(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.CANCELLED, filled_quantity=40, raw_status="CANCELED"), fill("t1", 40))
    order = outcome.order
    assert (order.status, order.tag, order.filled_quantity) == (Status.FAILED, Tag.BROKER_CANCELLED, 40)
    assert (order.reason, order.average_price) == (
        "CANCELED at the broker; partly filled: 40 of 100",
        Decimal("1500.5"),
    )
    [holding] = store.holdings()
    assert holding.quantity == 40
    assert check(store) == []


def test_b12_a_last_fill_that_the_books_still_call_cancelled_is_an_execution(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.CANCELLED, filled_quantity=100), fill("t1", 40), fill("t2", 60))
    assert (outcome.settled, outcome.order.status, outcome.order.tag) == (True, Status.EXECUTED, None)
    assert tell(store, report(BrokerStatus.COMPLETE, filled_quantity=100)).order.status is Status.EXECUTED
    assert check(store) == []


def test_b3_a_partial_fill_is_booked_at_once(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.OPEN, filled_quantity=40), fill("t1", 40))
    assert (outcome.settled, outcome.changed, outcome.order.status) == (False, True, Status.SENT_TO_BROKER)
    assert (outcome.order.filled_quantity, outcome.new_fills) == (40, (fill("t1", 40),))
    assert last_reason(store) == "filled 40 of 100"


def test_b4_complete_without_fills_is_not_believed_until_the_trades_are_known(store: Store) -> None:
    accepted(store)
    silent = report(BrokerStatus.COMPLETE)
    outcome = tell(store, silent)
    assert (outcome.settled, outcome.changed, outcome.order.status) == (False, False, Status.SENT_TO_BROKER)
    assert tell(store, silent, fill("t1", 40)).settled is False
    outcome = tell(store, silent, fill("t1", 40), fill("t2", 60))
    assert (outcome.settled, outcome.order.status) == (True, Status.EXECUTED)


def test_b4_complete_that_counts_zero_filled_is_not_believed(store: Store) -> None:
    accepted(store)
    assert tell(store, report(BrokerStatus.COMPLETE, filled_quantity=0)).settled is False


@pytest.mark.parametrize(
    ("status", "tag"),
    [
        (BrokerStatus.REJECTED, Tag.BROKER_REJECTED),
        (BrokerStatus.CANCELLED, Tag.BROKER_CANCELLED),
        (BrokerStatus.EXPIRED, Tag.BROKER_EXPIRED),
    ],
)
def test_6a_an_order_that_ends_at_the_broker_fails_with_its_tag_and_keeps_its_number(
    store: Store, status: BrokerStatus, tag: Tag
) -> None:
    accepted(store, number="7")
    order = tell(store, report(status, "7", reason="RED: margin\0short")).order
    assert (order.status, order.tag, order.broker_order_id) == (Status.FAILED, tag, "7")
    assert order.reason == "RED: margin\ufffdshort"


def test_b2_an_end_waits_for_the_fills_that_the_broker_counts(store: Store) -> None:
    accepted(store)
    told = report(BrokerStatus.CANCELLED, filled_quantity=70)
    assert tell(store, told, fill("t1", 40)).settled is False
    outcome = tell(store, told, fill("t1", 40), fill("t2", 30))
    assert (outcome.settled, outcome.order.filled_quantity) == (True, 70)


@pytest.mark.parametrize("status", [BrokerStatus.OPEN, BrokerStatus.PENDING, BrokerStatus.TRIGGER_PENDING])
def test_an_order_that_works_stays_as_it_is(store: Store, status: BrokerStatus) -> None:
    accepted(store)
    before = store.row(ORDER)
    assert tell(store, report(status, filled_quantity=0)).changed is False
    assert store.row(ORDER) == before


def test_b15_an_unknown_status_is_not_final(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.UNKNOWN, raw_status="MOON"), fill("t1", 40))
    assert (outcome.settled, outcome.order.filled_quantity) == (False, 40)


def test_b11_a_fill_told_twice_is_counted_once(store: Store) -> None:
    accepted(store)
    told = report(BrokerStatus.OPEN, filled_quantity=40)
    tell(store, told, fill("t1", 40), fill("t1", 40))
    again = tell(store, told, fill("t1", 40))
    assert (again.new_fills, again.changed, again.order.filled_quantity) == ((), False, 40)
    assert store.holdings()[0].quantity == 40


def test_b11_one_trade_number_in_two_orders_is_two_fills(store: Store) -> None:
    accepted(store, "one", "1")
    accepted(store, "two", "2", symbol="TCS-EQ")
    tell(store, report(BrokerStatus.OPEN, "1"), fill("t1", 10), command_id="one")
    assert tell(store, report(BrokerStatus.OPEN, "2"), fill("t1", 10), command_id="two").new_fills == (fill("t1", 10),)


def test_b12_an_order_called_cancelled_beside_trades_for_all_of_it_is_executed(store: Store) -> None:
    accepted(store)
    order = tell(store, report(BrokerStatus.CANCELLED, filled_quantity=0), fill("t1", 40), fill("t2", 60)).order
    assert (order.status, order.tag, order.reason, order.filled_quantity) == (Status.EXECUTED, None, None, 100)
    assert check(store) == []


def test_b12_a_fill_after_cancelled_is_booked_as_an_amendment(store: Store) -> None:
    accepted(store)
    tell(store, report(BrokerStatus.CANCELLED, filled_quantity=40), fill("t1", 40))
    outcome = tell(store, report(BrokerStatus.CANCELLED, filled_quantity=100), fill("t1", 40), fill("t2", 60))
    order = outcome.order
    assert (outcome.settled, outcome.changed, outcome.new_fills) == (True, True, (fill("t2", 60),))
    assert (order.status, order.tag, order.filled_quantity) == (Status.FAILED, Tag.BROKER_CANCELLED, 100)
    assert order.reason == "CANCELLED at the broker; partly filled: 40 of 100; late fill of 60: filled 100 of 100"
    assert store.holdings()[0].quantity == 100
    row = store.row(ORDER)
    assert row is not None
    assert (row["events"][-1]["from_status"], row["events"][-1]["to_status"]) == ("FAILED", "FAILED")
    assert check(store) == []


@pytest.mark.parametrize("status", [BrokerStatus.OPEN, BrokerStatus.COMPLETE, BrokerStatus.REJECTED])
def test_b13_a_final_row_is_never_resurrected(store: Store, status: BrokerStatus) -> None:
    accepted(store)
    tell(store, report(BrokerStatus.CANCELLED))
    before = store.row(ORDER)
    assert tell(store, report(status, filled_quantity=0)).changed is False
    assert store.row(ORDER) == before


def test_b13_a_late_new_after_complete_changes_nothing(store: Store) -> None:
    accepted(store)
    tell(store, report(BrokerStatus.COMPLETE, filled_quantity=100), fill("t1", 100))
    before = store.row(ORDER)
    assert tell(store, report(BrokerStatus.PENDING, filled_quantity=0)).changed is False
    assert store.row(ORDER) == before


def test_b13_the_report_before_the_reply_attaches_the_number_and_the_reply_changes_nothing(store: Store) -> None:
    sent(store)
    outcome = tell(store, report(BrokerStatus.COMPLETE, "7", filled_quantity=100), fill("t1", 100))
    assert (outcome.order.status, outcome.order.broker_order_id) == (Status.EXECUTED, "7")
    with store.transaction():
        assert store.accept(ORDER, "7", later(5), "letter-6") is None
    assert check(store) == []


def test_a1_an_unknown_order_found_by_its_tag_gets_its_number(store: Store) -> None:
    sent(store)
    with store.transaction():
        store.mark_unknown(ORDER, "read timeout", later(2), "letter-3")
    outcome = tell(store, report(BrokerStatus.OPEN, "7", filled_quantity=0))
    order = outcome.order
    assert (outcome.changed, order.broker_order_id, order.unknown, order.reason) == (True, "7", False, None)
    assert last_reason(store) == "broker order 7, found by its tag"
    assert check(store) == []


def test_b16_more_filled_than_ordered_is_recorded_and_told(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.COMPLETE, filled_quantity=120), fill("t1", 120))
    assert outcome.notes == ("more filled than ordered: 120 of 100",)
    assert (outcome.order.status, outcome.order.filled_quantity) == (Status.EXECUTED, 120)
    assert store.holdings()[0].quantity == 120
    again = tell(store, report(BrokerStatus.COMPLETE, filled_quantity=120), fill("t1", 120))
    assert again.notes == ()


def test_a14_a_second_live_order_under_one_tag_is_told_once_and_its_fills_are_booked(store: Store) -> None:
    accepted(store, number="1")
    outcome = tell(store, report(BrokerStatus.OPEN, "2"), fill("t1", 30))
    assert outcome.notes == ("two broker orders for one command: 1 and 2",)
    assert (outcome.order.broker_order_id, outcome.order.filled_quantity) == ("1", 30)
    assert tell(store, report(BrokerStatus.OPEN, "2"), fill("t1", 30)).notes == ()
    assert check(store) == []


def test_a14_a_third_order_under_one_tag_is_told_as_well(store: Store) -> None:
    accepted(store, number="1")
    for number in ("2", "3"):
        outcome = tell(store, report(BrokerStatus.OPEN, number))
        assert outcome.notes == (f"two broker orders for one command: 1 and {number}",)
        assert last_reason(store) == outcome.notes[0]
        assert tell(store, report(BrokerStatus.OPEN, number)).changed is False
    assert check(store) == []


def test_a14_the_end_of_the_second_order_does_not_end_the_first(store: Store) -> None:
    accepted(store, number="1")
    outcome = tell(store, report(BrokerStatus.COMPLETE, "2", filled_quantity=100), fill("t1", 100))
    assert (outcome.settled, outcome.order.status) == (False, Status.SENT_TO_BROKER)
    outcome = tell(store, report(BrokerStatus.COMPLETE, "1", filled_quantity=100), fill("t9", 100))
    assert (outcome.order.status, outcome.order.filled_quantity) == (Status.EXECUTED, 200)
    assert "more filled than ordered: 200 of 100" in outcome.notes
    assert check(store) == []


def test_a_report_with_the_number_of_another_order_books_nothing(store: Store) -> None:
    accepted(store, "one", "1")
    sent(store, "two", symbol="TCS-EQ")
    outcome = tell(store, report(BrokerStatus.COMPLETE, "1"), fill("t1", 100), command_id="two")
    assert (outcome.new_fills, outcome.order.status) == ((), Status.SENT_TO_BROKER)
    assert outcome.notes == ("the broker_order_id 1 belongs to order one already",)
    assert check(store) == []


def test_an_order_reported_although_it_was_proven_absent_is_tracked_and_told(store: Store) -> None:
    sent(store)
    with store.transaction():
        store.absent(ORDER, "not in 2 reads", later(3), "letter-4")
    outcome = tell(store, report(BrokerStatus.COMPLETE, "7", filled_quantity=100), fill("t1", 100))
    assert (outcome.order.status, outcome.order.tag) == (Status.FAILED, Tag.BROKER_NOT_FOUND)
    assert (outcome.order.broker_order_id, outcome.order.filled_quantity) == ("7", 100)
    assert "may be live" in outcome.notes[0]
    assert store.holdings()[0].quantity == 100
    assert check(store) == []


def test_a_report_for_a_row_that_was_never_sent_changes_nothing_and_is_told(store: Store) -> None:
    registered(store)
    outcome = tell(store, report(BrokerStatus.COMPLETE, "7"), fill("t1", 100))
    assert (outcome.changed, outcome.order.status, len(outcome.notes)) == (False, Status.CREATED, 1)


def test_a_report_for_an_unknown_command_is_an_error(store: Store) -> None:
    with store.transaction(), pytest.raises(UnknownOrder, match="nobody"):
        store.report("nobody", report(BrokerStatus.OPEN), (), later(4), "letter-5")


def test_a_fill_without_a_quantity_is_told_and_not_booked(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.OPEN), fill("t1", 0))
    assert (outcome.new_fills, outcome.notes) == ((), ("trade t1 has quantity 0 and was not booked",))


# Positions


def traded(store: Store, command_id: str, quantity: int, price: str, **changes: object) -> Order:
    accepted(store, command_id, f"N-{command_id}", quantity=quantity, **changes)
    told = report(BrokerStatus.COMPLETE, f"N-{command_id}", filled_quantity=quantity)
    outcome = tell(store, told, fill(f"t-{command_id}", quantity, price), command_id=command_id)
    assert outcome.settled
    return outcome.order


def test_positions_average_on_adding_and_keep_the_average_on_reducing(store: Store) -> None:
    traded(store, "a", 100, "10", basket="b1")
    traded(store, "b", 50, "13", execution_type=ExecutionType.ADJUST, basket="b2")
    traded(store, "c", 30, "99", execution_type=ExecutionType.EXIT, side=Side.SELL)
    [(holding, average)] = store.lots()
    assert (holding.quantity, holding.basket, average) == (120, "b1", Decimal(11))
    assert store.holdings() == (holding,)
    assert check(store) == []


def test_a_position_that_goes_flat_is_gone_and_its_next_basket_is_new(store: Store) -> None:
    traded(store, "a", 100, "10", basket="b1")
    traded(store, "b", 100, "12", execution_type=ExecutionType.EXIT, side=Side.SELL)
    assert store.holdings() == ()
    traded(store, "c", 10, "14", basket="b2")
    [(holding, average)] = store.lots()
    assert (holding.quantity, holding.basket, average) == (10, "b2", Decimal(14))


def test_a_position_that_turns_around_is_opened_anew_by_the_fill_that_turned_it(store: Store) -> None:
    traded(store, "a", 100, "10", basket="b1")
    traded(store, "b", 130, "12", execution_type=ExecutionType.ADJUST, side=Side.SELL, basket="b2")
    [(holding, average)] = store.lots()
    assert (holding.quantity, holding.basket, average) == (-30, "b2", Decimal(12))
    assert check(store) == []


def test_c1_a_short_position_is_negative(store: Store) -> None:
    traded(store, "a", 50, "10", side=Side.SELL)
    assert store.holdings()[0].quantity == -50


def test_holdings_of_one_account_leave_the_others_out(store: Store) -> None:
    traded(store, "a", 50, "10")
    traded(store, "b", 20, "10", account="FA2")
    assert [holding.quantity for holding in store.holdings(account="FA2")] == [20]
    assert len(store.holdings()) == 2


def test_a_fill_keeps_its_time_and_price_exactly(store: Store) -> None:
    accepted(store)
    tell(store, report(BrokerStatus.OPEN), replace(fill("t1", 1), price=Decimal("1500.500"), at=later(0.000001)))
    row = store.row(ORDER)
    assert row is not None
    assert row["fills"] == [
        {"at": "2026-03-02T03:45:00.123457+00:00", "quantity": 1, "price": "1500.500", "broker_trade_id": "t1"}
    ]


def test_c12_a_change_of_quantity_that_is_seen_as_the_order_ends_is_recorded_too(store: Store) -> None:
    accepted(store)
    outcome = tell(store, report(BrokerStatus.CANCELLED, quantity=130, filled_quantity=0, raw_status="CANCELED"))
    assert outcome.order.quantity == 130
    [ended] = [event for event in store.row(outcome.order.command_id)["events"] if event["to_status"] == "FAILED"]  # type: ignore[index]
    assert "quantity changed at the broker: 100 to 130" in ended["reason"]
