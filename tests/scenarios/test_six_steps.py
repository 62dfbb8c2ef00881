"""Each row of the flow's table: all actors, NorenRestApiPy and the paper exchange over HTTP."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.messages import ClearHalt, HaltChanged, SetHalt
from core.model.order import ExecutionType, Status, Tag
from tests.factories import an_intent
from tests.scenarios.orders import BUY, EXIT, SELL, absent_tag, marketable, resting
from tests.support import wait_until
from tests.support_service import Running, running

NSE_INFY = {"exch": "NSE", "tsym": "INFY-EQ"}


def test_registered_is_created(service: Running) -> None:
    result = service.submit(resting())
    row = service.row(result.command_id)
    assert service.path(result.command_id)[0] == "CREATED"
    assert row["created_at"] <= row["updated_at"]
    assert row["events"][0]["from_status"] is None


def test_risk_blocked_is_failed_with_its_tag_and_never_reaches_the_broker(service: Running) -> None:
    halted = service.service.runtime.open_reply()
    service.service.runtime.tell("order_repo", SetHalt("test", "operator", halted.name))
    assert isinstance(halted.future.result(5), HaltChanged)
    result = service.submit(resting())
    assert (result.success, result.status, result.tag) == (False, Status.FAILED, Tag.RISK_LIMITS_EXCEEDED)
    assert "halted by operator: test" in (result.reason or "")
    assert service.path(result.command_id) == ["CREATED", "FAILED"]
    assert service.row(result.command_id)["broker_order_id"] is None
    assert service.sent() == []


def test_d10_a_halt_ends_when_it_is_cleared(service: Running) -> None:
    runtime = service.service.runtime
    for message in (lambda name: SetHalt("test", "operator", name), lambda name: ClearHalt("operator", name)):
        box = runtime.open_reply()
        runtime.tell("order_repo", message(box.name))
        box.future.result(5)
    assert service.submit(resting()).success


def test_guard_blocked_is_failed_with_its_tag(service: Running) -> None:
    first = service.submit(resting())
    result = service.submit(resting(symbol="RELIANCE-EQ"))
    assert (result.success, result.tag) == (False, Tag.EXECUTION_GUARD_BLOCKED)
    assert first.command_id in (result.reason or "")
    assert service.path(result.command_id) == ["CREATED", "FAILED"]
    assert len(service.sent()) == 1


def test_duplicate_blocked_is_failed_with_its_tag(service: Running) -> None:
    """An ADJUST passes the guard while its strategy's ENTRY rests; the open order of the same symbol stops it (2C)."""
    first = service.submit(resting())
    result = service.submit(resting(ExecutionType.ADJUST))
    assert (result.success, result.tag) == (False, Tag.DUPLICATE_ORDER_BLOCKED)
    assert first.command_id in (result.reason or "")
    assert service.path(result.command_id) == ["CREATED", "FAILED"]
    assert len(service.sent()) == 1
    assert service.guard_lines() == [("alpha", "INFY-EQ", 0, 50)]


def test_all_passed_is_sent_to_broker_without_a_number_yet(tmp_path: Path) -> None:
    """The exchange takes the order and answers late: meanwhile the row says SENT_TO_BROKER and has no number.

    Without the push feed, which would bring the number before the answer does.
    """
    with running(tmp_path, SIXSTEP_BROKER__PUSH_FEED="false") as service:
        service.set_price("1500")
        service.control("add_fault", kind="reply_delay", path="PlaceOrder", seconds=0.8)
        box = service.begin(resting(idempotency_key="once"))
        row = service.wait_for_key("once", "SENT_TO_BROKER")
        assert row["broker_order_id"] is None
        assert row["unknown"] is False
        assert service.answer(box).success


def test_accepted_stores_the_brokers_number(service: Running) -> None:
    result = service.submit(resting())
    assert (result.success, result.status, result.tag) == (True, Status.SENT_TO_BROKER, None)
    [order] = service.sent()
    assert result.broker_order_id == order["norenordno"]
    row = service.row(result.command_id)
    assert (row["status"], row["broker_order_id"]) == ("SENT_TO_BROKER", order["norenordno"])


def test_a8_refused_is_failed_in_the_brokers_own_words_without_a_number(service: Running) -> None:
    service.control("add_fault", kind="refuse_text", path="PlaceOrder", text="Rejected : ORA:Product not enabled")
    result = service.submit(resting())
    assert (result.success, result.status, result.tag) == (False, Status.FAILED, Tag.BROKER_REJECTED)
    assert "ORA:Product not enabled" in (result.reason or "")
    assert service.path(result.command_id) == ["CREATED", "SENT_TO_BROKER", "FAILED"]
    assert service.row(result.command_id)["broker_order_id"] is None
    assert service.sent() == []
    service.wait_for_guard([])


def test_watched_to_executed(service: Running) -> None:
    result = service.submit(marketable())
    row = service.wait_for(result.command_id, "EXECUTED")
    assert service.path(result.command_id)[:2] == ["CREATED", "SENT_TO_BROKER"]
    assert service.path(result.command_id)[-1] == "EXECUTED"
    assert (row["filled_quantity"], row["broker_order_id"]) == (50, result.broker_order_id)
    assert Decimal("1490") < Decimal(row["average_price"]) <= Decimal("1510")
    assert sum(fill["quantity"] for fill in row["fills"]) == 50
    assert row["tag"] is None
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])


@pytest.mark.parametrize(
    ("spelling", "tag"),
    [
        ("CANCELED", Tag.BROKER_CANCELLED),
        ("CANCELLED", Tag.BROKER_CANCELLED),
        ("Cancelled", Tag.BROKER_CANCELLED),
        ("EXPIRED", Tag.BROKER_EXPIRED),
    ],
)
def test_b1_watched_to_cancelled_or_expired_in_any_spelling(service: Running, spelling: str, tag: Tag) -> None:
    if spelling != "CANCELED":
        service.control("add_fault", kind="status_spelling", count=0, **{"from": "CANCELED", "to": spelling})
    result = service.submit(resting())
    service.wait_at_exchange(result.broker_order_id)
    service.control("cancel_order", norenordno=result.broker_order_id)
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["broker_order_id"]) == (tag, result.broker_order_id)
    service.wait_for_guard([])


@pytest.mark.parametrize("spelling", ["REJECTED", "REJECT", "Rejected"])
def test_b1_watched_to_rejected_in_any_spelling(service: Running, spelling: str) -> None:
    if spelling != "REJECTED":
        service.control("add_fault", kind="status_spelling", count=0, **{"from": "REJECTED", "to": spelling})
    service.control("add_fault", kind="reject_order", text="RED:Margin Shortfall:INR 203.50")
    result = service.submit(resting())
    assert result.success, "the broker took it; its risk engine rejects it later"
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["broker_order_id"]) == (Tag.BROKER_REJECTED, result.broker_order_id)
    assert "Margin Shortfall" in row["reason"]
    service.wait_for_guard([])


@pytest.mark.parametrize("spelling", ["TRIGGER_PENDING", "TRIGGER PENDING", "Trigger Pending"])
def test_b1_a_waiting_stop_is_open_in_any_spelling(service: Running, spelling: str) -> None:
    from core.model.order import OrderType

    if spelling != "TRIGGER_PENDING":
        service.control("add_fault", kind="status_spelling", count=0, **{"from": "TRIGGER_PENDING", "to": spelling})
    stop = an_intent(order_type=OrderType.SL, price=Decimal(1530), trigger_price=Decimal(1520))
    result = service.submit(stop)
    service.wait_for_polls(3)
    assert service.row(result.command_id)["status"] == "SENT_TO_BROKER"
    assert service.alerts("odd_status") == []


def test_entry_and_exit_leave_the_strategy_flat(service: Running) -> None:
    entry = service.submit(marketable())
    service.wait_for(entry.command_id, "EXECUTED")
    leave = service.submit(marketable(EXIT, SELL, 50))
    service.wait_for(leave.command_id, "EXECUTED")
    service.wait_for_guard([])
    [position] = service.snapshot()["positions"]
    assert int(position["netqty"]) == 0


def test_d1_an_unrelated_position_of_the_account_does_not_block_an_entry(service: Running) -> None:
    service.control(
        "external_order", account="PAPER", **NSE_INFY, trantype="S", qty=7, prctyp="LMT", prc="1490", prd="I"
    )
    assert service.submit(marketable(side=BUY)).success


def test_d2_a_rejected_entry_frees_the_guard_and_the_caller_is_told(service: Running) -> None:
    service.control("add_fault", kind="refuse_text", path="PlaceOrder", text="Rejected : ORA:no")
    assert service.submit(resting()).tag is Tag.BROKER_REJECTED
    assert service.submit(resting()).success


def test_d3_five_identical_entries_at_the_same_moment_are_one_order(service: Running) -> None:
    boxes = [service.begin(resting()) for _ in range(5)]
    results = [service.answer(box) for box in boxes]
    assert [result.success for result in results].count(True) == 1
    failed = [result for result in results if not result.success]
    assert {result.tag for result in failed} <= {Tag.EXECUTION_GUARD_BLOCKED, Tag.DUPLICATE_ORDER_BLOCKED}
    assert all(service.row(result.command_id)["status"] == "FAILED" for result in failed)
    assert len(service.sent()) == 1


def test_d4_every_refusal_leaves_a_row_with_tag_and_reason(service: Running) -> None:
    from core.model.order import RawIntent

    service.submit(resting())
    service.submit(resting(symbol="RELIANCE-EQ"))
    service.submit(RawIntent((("strategy", "alpha"), ("symbol", "INFY-EQ"), ("quantity", 1.5))))
    service.submit(an_intent(EXIT, SELL, strategy="nobody"))
    failed = [row for row in service.rows() if row["status"] == "FAILED"]
    assert {row["tag"] for row in failed} == {
        Tag.EXECUTION_GUARD_BLOCKED,
        Tag.VALIDATION_FAILED,
        Tag.POSITION_ALREADY_FLAT,
    }
    assert all(row["reason"] for row in failed)
    [invalid] = [row for row in failed if row["tag"] == Tag.VALIDATION_FAILED]
    assert "quantity" in invalid["reason"]
    assert (invalid["strategy"], invalid["symbol"], invalid["quantity"]) == ("alpha", "INFY-EQ", None)


def test_d5_opposite_directions_of_two_strategies_are_refused_for_the_second(service: Running) -> None:
    service.submit(resting(side=BUY))
    result = service.submit(resting(side=SELL, strategy="beta"))
    assert result.tag is Tag.EXECUTION_GUARD_BLOCKED
    assert "alpha" in (result.reason or "")


def test_d6_both_legs_of_a_basket_pass_and_a_second_basket_is_refused(service: Running) -> None:
    one = service.submit(resting(basket="one"))
    two = service.submit(an_intent(symbol="TCS-EQ", price=Decimal(1), basket="one"))
    assert one.success
    assert two.tag is not Tag.EXECUTION_GUARD_BLOCKED
    assert service.submit(resting(symbol="ACC-EQ", basket="two")).tag is Tag.EXECUTION_GUARD_BLOCKED


def test_the_daily_loss_limit_blocks_with_its_numbers(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_RISK__MAX_DAILY_LOSS="2000") as service:
        service.set_price("1500")
        entry = service.submit(marketable(quantity=100))
        service.wait_for(entry.command_id, "EXECUTED")
        service.set_price("1470")
        service.wait_for_risk(lambda risk: risk.breach is not None)
        blocked = service.submit(marketable(symbol="RELIANCE-EQ", strategy="beta"))
        assert blocked.tag is Tag.RISK_LIMITS_EXCEEDED
        assert "limit -2000.00" in (blocked.reason or "")
        leave = service.submit(an_intent(EXIT, SELL, 100, price=Decimal(1460)))
        assert leave.success, "an EXIT passes always"
        service.wait_for(leave.command_id, "EXECUTED")


def test_d9_a_breach_names_the_entries_that_still_work_at_the_broker(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_RISK__MAX_DAILY_LOSS="2000") as service:
        service.set_price("1500")
        entry = service.submit(marketable(quantity=100))
        service.wait_for(entry.command_id, "EXECUTED")
        rests = service.submit(resting(strategy="beta"))
        service.set_price("1470")
        wait_until(lambda: any(rests.command_id in text for text in service.alerts("daily_loss")))


def test_law_1_sent_to_broker_is_committed_before_the_broker_hears_of_it(service: Running) -> None:
    """A second connection reads the row while the exchange has the request and has not done anything with it."""
    seen: list[str] = []
    service.control("add_fault", kind="drop_hang", path="PlaceOrder")
    box = service.begin(resting(idempotency_key="held"))
    row = service.wait_for_key("held", "SENT_TO_BROKER")
    seen.append(row["status"])
    assert service.sent() == []
    assert seen == ["SENT_TO_BROKER"]
    assert service.answer(box).unknown


def test_a4_a_read_timeout_is_unknown_not_failed_and_is_resolved_from_the_book(service: Running) -> None:
    service.mute()
    service.control("add_fault", kind="accept_hang", path="PlaceOrder")
    result = service.submit(resting())
    assert (result.success, result.unknown, result.status) == (False, True, Status.SENT_TO_BROKER)
    assert result.tag is None
    service.wait_for_number(result.command_id)
    row = service.row(result.command_id)
    [order] = service.sent()
    assert (row["broker_order_id"], row["unknown"], row["status"]) == (order["norenordno"], False, "SENT_TO_BROKER")


def test_a2_an_order_the_broker_never_had_fails_after_proof_of_absence(service: Running) -> None:
    service.control("add_fault", kind="drop_502", path="PlaceOrder")
    result = service.submit(resting())
    assert result.unknown
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["broker_order_id"]) == (absent_tag(row), None)
    assert service.sent() == []
    assert service.submit(resting()).success, "the symbol is free again"


def test_b2_a_part_filled_then_cancelled_is_kept_with_its_price(service: Running) -> None:
    result = service.submit(resting(quantity=100))
    service.wait_at_exchange(result.broker_order_id)
    service.control("fill_order", norenordno=result.broker_order_id, qty=40, prc="1450")
    service.wait_for_guard([("alpha", "INFY-EQ", 40, 60)])
    service.control("cancel_order", norenordno=result.broker_order_id)
    row = service.wait_for(result.command_id, "FAILED")
    assert (row["tag"], row["filled_quantity"], Decimal(row["average_price"])) == (
        Tag.BROKER_CANCELLED,
        40,
        Decimal(1450),
    )
    assert "40 of 100" in row["reason"]
    service.wait_for_guard([("alpha", "INFY-EQ", 40, 0)])


def test_the_trace_of_an_executed_order_is_one_connected_tree(service: Running) -> None:
    result = service.submit(marketable())
    service.wait_for(result.command_id, "EXECUTED")
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])

    def tree() -> tuple[list[str], list[str]]:
        """The types of all envelopes of the order, and of those whose cause is none of them."""
        records = service.service.runtime.tracer.envelopes_of(result.command_id)
        ids = {record.id for record in records}
        return [one.type for one in records], [one.type for one in records if one.cause not in ids]

    # An effect may be over, and so be in the trace, before the envelope that caused it.
    wait_until(lambda: tree()[1] == ["SubmitOrder"] and "OrderSettled" in tree()[0])
    types, _ = tree()
    for step in ("SubmitOrder", "RegisterOrder", "CheckRisk", "CheckGuard", "MarkSent", "PlaceOrder", "RecordAccepted"):
        assert step in types
    assert "RecordReport" in types
