"""Steps 3 and 5: SENT_TO_BROKER before the call, and the outcome after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.model.order import ExecutionType, Order, Product, Side, Status, Tag
from core.store import IllegalChange, NotMarked, NumberConflict, Store, UnknownOrder, check
from tests.store.factories import T0, accepted, an_order, failed, later, registered, sent


def mark(store: Store, order: Order, seconds: float = 1) -> Order | NotMarked:
    with store.transaction():
        return store.mark_sent(order, later(seconds), "letter-2")


def reasons(store: Store, command_id: str) -> list[str | None]:
    row = store.row(command_id)
    assert row is not None
    return [event["reason"] for event in row["events"]]


def test_a_created_order_becomes_sent(store: Store) -> None:
    order = registered(store)
    marked = mark(store, order)
    assert marked == replace(order, status=Status.SENT_TO_BROKER, updated_at=later(1))
    assert store.order(order.command_id) == marked


def test_law_1_a_second_connection_reads_sent_as_soon_as_the_transaction_is_over(store: Store, url: str) -> None:
    other = Store.open(url, read_only=True)
    order = registered(store)
    with store.transaction():
        store.mark_sent(order, later(1), "letter-2")
        [row] = other.rows()
        assert row["status"] == "CREATED"
    [row] = other.rows()
    assert row["status"] == "SENT_TO_BROKER"
    other.close()


def test_c5_an_exit_cut_by_the_guard_is_sent_as_cut_and_says_so(store: Store) -> None:
    order = registered(store, execution_type=ExecutionType.EXIT, side=Side.SELL, product=None)
    marked = mark(store, replace(order, quantity=50, product=Product.NRML))
    assert isinstance(marked, Order)
    assert (marked.quantity, marked.product, marked.intent.quantity) == (50, Product.NRML, 100)
    assert store.order(order.command_id) == marked
    assert reasons(store, order.command_id) == [None, "quantity 100 cut to 50; product NRML as held"]
    assert check(store) == []


def test_a11_an_order_cancelled_before_step_4_is_not_marked(store: Store) -> None:
    order = registered(store)
    with store.transaction():
        cancelled = store.fail(
            order.command_id, Status.CREATED, Tag.CANCELLED_BEFORE_SENDING, "by a person", later(1), "letter-5"
        )
    answer = mark(store, order)
    assert isinstance(answer, NotMarked)
    assert answer.order == cancelled
    assert (answer.tag, len(reasons(store, order.command_id))) == (Tag.CANCELLED_BEFORE_SENDING, 2)


def test_an_order_is_marked_once(store: Store) -> None:
    order = registered(store)
    marked = mark(store, order)
    again = mark(store, order, 2)
    assert isinstance(again, NotMarked)
    assert (again.order, again.tag) == (marked, None)


def test_marking_an_order_that_was_never_registered_is_an_error(store: Store) -> None:
    with store.transaction(), pytest.raises(UnknownOrder):
        store.mark_sent(an_order("nobody"), T0, "letter-2")


def test_d3_a_second_open_order_of_the_symbol_is_blocked_and_names_the_first(store: Store) -> None:
    sent(store, "first")
    answer = mark(store, registered(store, "second"))
    assert isinstance(answer, NotMarked)
    assert (answer.tag, answer.order.status) == (Tag.DUPLICATE_ORDER_BLOCKED, Status.FAILED)
    assert "first" in answer.reason
    row = store.row("second")
    assert row is not None
    assert (row["tag"], row["reason"]) == ("DUPLICATE_ORDER_BLOCKED", answer.reason)
    assert check(store) == []


@pytest.mark.parametrize("other", [{"strategy": "mean"}, {"symbol": "TCS-EQ"}, {"exchange": "BSE"}, {"account": "FA2"}])
def test_law_4_counts_per_account_strategy_exchange_and_symbol(store: Store, other: dict[str, str]) -> None:
    sent(store, "first")
    assert isinstance(mark(store, registered(store, "second", **other)), Order)


def test_the_symbol_is_free_again_when_the_first_order_is_final(store: Store) -> None:
    sent(store, "first")
    with store.transaction():
        store.absent("first", "not in three reads", later(2), "letter-4")
    assert isinstance(mark(store, registered(store, "second")), Order)


def test_law_4_holds_when_only_the_unique_index_sees_the_other_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second writer commits between our look and our write. Here the look is taken out of the statement."""
    from core.store import sending

    blind = sending._MARK.replace("other.status = 'SENT_TO_BROKER'", "other.status = 'nothing'")
    assert blind != sending._MARK
    sent(store, "first")
    order = registered(store, "second")
    monkeypatch.setattr(sending, "_MARK", blind)
    with store.transaction():
        kept = store.register(an_order("third", symbol="TCS-EQ"), T0, "letter-3")
        answer = store.mark_sent(order, later(1), "letter-2")
    assert isinstance(answer, NotMarked)
    assert (answer.tag, "first" in answer.reason) == (Tag.DUPLICATE_ORDER_BLOCKED, True)
    assert store.order("third") == kept
    assert check(store) == []


def test_law_4_holds_between_two_stores(store: Store, url: str) -> None:
    second = Store.open(url)
    one, two = registered(store, "one"), registered(second, "two")
    assert isinstance(mark(store, one), Order)
    answer = mark(second, two)
    assert isinstance(answer, NotMarked)
    assert answer.tag is Tag.DUPLICATE_ORDER_BLOCKED
    second.close()


@pytest.mark.parametrize("kind", [ExecutionType.ENTRY, ExecutionType.ADJUST])
def test_d10_a_halt_stops_what_could_open_risk(store: Store, kind: ExecutionType) -> None:
    order = registered(store, execution_type=kind)
    with store.transaction():
        store.halt("FA1", "P&L -5100.00, limit -5000.00", "risk", T0)
    answer = mark(store, order)
    assert isinstance(answer, NotMarked)
    assert (answer.tag, answer.reason) == (
        Tag.RISK_LIMITS_EXCEEDED,
        "trading halted: P&L -5100.00, limit -5000.00",
    )


def test_c13_a_halt_lets_an_exit_pass(store: Store) -> None:
    order = registered(store, execution_type=ExecutionType.EXIT, side=Side.SELL)
    with store.transaction():
        store.halt("FA1", "stop", "ravi", T0)
    assert isinstance(mark(store, order), Order)


def test_a_cleared_halt_stops_nothing(store: Store) -> None:
    order = registered(store)
    with store.transaction():
        store.halt("FA1", "stop", "ravi", T0)
        store.clear_halt("FA1", "ravi", later(1))
    assert isinstance(mark(store, order), Order)


def test_a15_an_order_past_its_deadline_is_not_sent(store: Store) -> None:
    on_time, late = registered(store, "on-time"), registered(store, "late", symbol="TCS-EQ")
    assert isinstance(mark(store, on_time, 5), Order)
    answer = mark(store, late, 5.000001)
    assert isinstance(answer, NotMarked)
    assert (answer.tag, answer.order.status) == (Tag.DEADLINE_PASSED, Status.FAILED)


# Step 5


def test_accepted_stores_the_number(store: Store) -> None:
    order = accepted(store, number="26030200000001")
    assert (order.status, order.broker_order_id, order.unknown) == (Status.SENT_TO_BROKER, "26030200000001", False)
    assert store.order(order.command_id) == order
    assert reasons(store, order.command_id)[-1] == "broker order 26030200000001"


def test_accepting_the_same_number_again_changes_nothing(store: Store) -> None:
    order = accepted(store, number="1")
    with store.transaction():
        assert store.accept(order.command_id, "1", later(9), "letter-9") is None
    assert store.order(order.command_id) == order


def test_a14_a_second_number_is_told_and_recorded_once_and_the_first_is_kept(store: Store) -> None:
    order = accepted(store, number="1")
    for _ in range(2):
        with store.transaction():
            conflict = store.accept(order.command_id, "2", later(9), "letter-9")
        assert isinstance(conflict, NumberConflict)
        assert (conflict.order.broker_order_id, conflict.broker_order_id) == ("1", "2")
        assert str(conflict) == "260302-r1-1: two broker orders for one command: 1 and 2"
    assert reasons(store, order.command_id)[3:] == ["two broker orders for one command: 1 and 2"]
    assert check(store) == []


def test_a_number_that_belongs_to_another_order_is_told_and_recorded(store: Store) -> None:
    accepted(store, "first", "1")
    sent(store, "second", symbol="TCS-EQ")
    with store.transaction():
        conflict = store.accept("second", "1", later(9), "letter-9")
    assert isinstance(conflict, NumberConflict)
    assert conflict.foreign
    assert "belongs to order first" in conflict.reason
    assert conflict.order.broker_order_id is None
    assert reasons(store, "second")[-1] == conflict.reason


def test_numbers_may_begin_anew_on_another_day_or_account(store: Store) -> None:
    accepted(store, "first", "1")
    assert accepted(store, "second", "1", account="FA2").broker_order_id == "1"


def test_a_number_for_an_order_that_had_failed_is_attached_and_told(store: Store) -> None:
    sent(store)
    with store.transaction():
        store.absent("260302-r1-1", "not in three reads", later(2), "letter-4")
        conflict = store.accept("260302-r1-1", "1", later(3), "letter-5")
    assert isinstance(conflict, NumberConflict)
    assert (conflict.order.status, conflict.order.broker_order_id) == (Status.FAILED, "1")
    assert "may be live" in conflict.reason
    assert store.order("260302-r1-1") == conflict.order
    assert check(store) == []


def test_a_number_for_a_row_that_was_never_sent_is_an_error(store: Store) -> None:
    registered(store)
    with store.transaction(), pytest.raises(IllegalChange, match="never sent"):
        store.accept("260302-r1-1", "1", later(3), "letter-5")


def test_a4_an_unknown_outcome_stays_sent_and_the_number_resolves_it(store: Store) -> None:
    sent(store)
    with store.transaction():
        order = store.mark_unknown("260302-r1-1", "read timeout", later(2), "letter-3")
        assert order is not None
        assert (order.status, order.unknown, order.reason) == (Status.SENT_TO_BROKER, True, "read timeout")
        assert store.mark_unknown("260302-r1-1", "again", later(2), "letter-3") is None
    assert check(store) == []
    with store.transaction():
        known = store.accept("260302-r1-1", "1", later(3), "letter-4")
    assert isinstance(known, Order)
    assert (known.unknown, known.reason, known.broker_order_id) == (False, None, "1")
    assert check(store) == []


def test_a_conflict_on_an_unknown_order_keeps_it_unknown(store: Store) -> None:
    accepted(store, "first", "1")
    sent(store, "second", symbol="TCS-EQ")
    with store.transaction():
        store.mark_unknown("second", "read timeout", later(2), "letter-3")
        conflict = store.accept("second", "1", later(3), "letter-4")
    assert isinstance(conflict, NumberConflict)
    assert conflict.order.unknown
    assert store.order("second") == conflict.order
    assert check(store) == []


@pytest.mark.parametrize(
    "prepare", [registered, accepted, lambda store: (registered(store), failed(store, "260302-r1-1"))]
)
def test_only_an_order_sent_without_a_number_can_be_unknown_or_absent(
    store: Store, prepare: Callable[[Store], object]
) -> None:
    prepare(store)
    before = store.row("260302-r1-1")
    with store.transaction():
        assert store.mark_unknown("260302-r1-1", "timeout", later(4), "letter-6") is None
        assert store.absent("260302-r1-1", "not there", later(4), "letter-6") is None
    assert store.row("260302-r1-1") == before


def test_a2_an_order_proven_absent_fails(store: Store) -> None:
    sent(store)
    with store.transaction():
        store.mark_unknown("260302-r1-1", "read timeout", later(2), "letter-3")
        order = store.absent("260302-r1-1", "not in 2 reads over 10 s", later(12), "letter-4")
    assert order is not None
    assert (order.status, order.tag, order.unknown) == (Status.FAILED, Tag.BROKER_NOT_FOUND, False)
    assert check(store) == []


def test_fail_needs_the_expected_status(store: Store) -> None:
    sent(store)
    with store.transaction():
        assert store.fail("260302-r1-1", Status.CREATED, Tag.NEVER_SENT, "x", later(2), "letter-3") is None
        assert store.fail("nobody", Status.CREATED, Tag.NEVER_SENT, "x", later(2), "letter-3") is None
        order = store.fail(
            "260302-r1-1", Status.SENT_TO_BROKER, Tag.BROKER_REJECTED, "RMS: \0 margin", later(2), "letter-3"
        )
    assert order is not None
    assert (order.status, order.tag, order.reason) == (Status.FAILED, Tag.BROKER_REJECTED, "RMS: \ufffd margin")
