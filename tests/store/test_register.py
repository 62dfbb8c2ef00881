"""Step 1: rows for taken and refused intents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from core.model.order import ExecutionType, Order, OrderType, Product, Side, Source, Status, Tag, Validity
from core.store import CommandIdTaken, ConstraintViolated, KeyTaken, Store, StoreError, check
from tests.store.factories import DAY, T0, an_order, later, registered, sent


def test_an_order_comes_back_exactly_as_it_was_registered(store: Store) -> None:
    order = an_order(
        price=Decimal("0.0500"),
        trigger_price=Decimal("1E+2"),
        order_type=OrderType.SL,
        validity=Validity.IOC,
        idempotency_key="key & 'quotes' \N{SNOWMAN}",
        basket="straddle-1",
        source=Source.DASHBOARD,
    )
    with store.transaction():
        assert store.register(order, T0, "letter-1") == order
    read = store.order(order.command_id)
    assert read == order
    assert read is not None
    assert str(read.intent.price) == "0.0500"
    assert str(read.intent.trigger_price) == "100"


def test_times_come_back_as_the_same_instant_and_are_stored_in_utc_with_one_width(store: Store) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 2, 9, 15, tzinfo=india)
    order = registered(store, created_at=at, deadline=at + timedelta(microseconds=1))
    read = store.order(order.command_id)
    assert read is not None
    assert (read.created_at, read.deadline) == (at, at + timedelta(microseconds=1))
    row = store.row(order.command_id)
    assert row is not None
    assert row["created_at"] == "2026-03-02T03:45:00.000000+00:00"


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with store.transaction(), pytest.raises(ValueError, match="without a zone"):
        store.register(an_order(), datetime(2026, 3, 2), "letter-1")  # noqa: DTZ001


def test_registering_writes_the_first_event(store: Store) -> None:
    registered(store)
    row = store.row("260302-r1-1")
    assert row is not None
    assert row["events"] == [
        {
            "at": "2026-03-02T03:45:00.123456+00:00",
            "from_status": None,
            "to_status": "CREATED",
            "tag": None,
            "reason": None,
        }
    ]


def test_a13_a_known_idempotency_key_returns_the_first_order_unchanged(store: Store) -> None:
    first = sent(store, "first", idempotency_key="k-1")
    with store.transaction():
        again = store.register(an_order("second", idempotency_key="k-1"), later(9), "letter-7")
    assert again == first
    assert store.order("second") is None
    assert len(store.rows()) == 1
    assert check(store) == []


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "other"},
        {"execution_type": ExecutionType.EXIT},
        {"exchange": "BSE"},
        {"symbol": "TCS-EQ"},
        {"side": Side.SELL},
        {"quantity": 7},
        {"product": Product.NRML},
        {"order_type": OrderType.MARKET, "price": None},
        {"price": Decimal("1500.55")},
        {"order_type": OrderType.SL, "trigger_price": Decimal(1500)},
        {"validity": Validity.IOC},
        {"basket": "pair"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_g8_another_order_under_a_known_key_is_refused_and_leaves_no_row(store: Store, change: dict[str, Any]) -> None:
    first = sent(store, "first", idempotency_key="k-1")
    with store.transaction():
        with pytest.raises(KeyTaken) as raised, store.savepoint():
            store.register(an_order("second", idempotency_key="k-1", **change), later(9), "letter-7")
        store.register(an_order("third"), later(10), "letter-8")
    assert raised.value.first == first
    assert store.order("second") is None
    assert store.order("third") is not None
    assert check(store) == []


def test_g8_the_same_price_with_other_decimals_and_an_order_cut_since_are_the_same_order(store: Store) -> None:
    exit_order = an_order("first", idempotency_key="k-1", execution_type=ExecutionType.EXIT, product=None, quantity=50)
    with store.transaction():
        store.register(exit_order, T0, "letter-1")
        cut = replace(exit_order, quantity=20, product=Product.MIS)
        assert isinstance(store.mark_sent(cut, later(1), "letter-2", later(1)), Order)
    wanted = replace(exit_order, command_id="second", intent=replace(exit_order.intent, price=Decimal("1500.5")))
    with store.transaction():
        assert store.register(wanted, later(9), "letter-7").command_id == "first"


def test_a13_after_a_restart_the_key_is_still_known(url: str) -> None:
    before = Store.open(url)
    first = registered(before, "first", idempotency_key="k-1")
    before.close()
    after = Store.open(url)
    with after.transaction():
        again = after.register(an_order("second", idempotency_key="k-1"), later(9), "letter-7")
    assert again == first
    after.close()


def test_a13_keys_belong_to_an_account(store: Store) -> None:
    registered(store, "first", idempotency_key="k-1")
    assert registered(store, "second", idempotency_key="k-1", account="FA2").command_id == "second"


def test_a13_the_same_command_id_twice_is_an_error_and_the_transaction_goes_on(store: Store) -> None:
    first = registered(store, "first", idempotency_key="k-1")
    with store.transaction():
        with pytest.raises(CommandIdTaken, match="first"):
            store.register(replace(first, quantity=5), later(9), "letter-7")
        store.register(an_order("second"), later(9), "letter-8")
    assert store.order("first") == first
    assert store.order("second") is not None


def test_an_order_that_is_not_created_cannot_be_registered(store: Store) -> None:
    with store.transaction(), pytest.raises(ValueError, match="begins as CREATED"):
        store.register(an_order(status=Status.SENT_TO_BROKER), T0, "letter-1")


def test_nothing_is_written_outside_a_transaction(store: Store) -> None:
    with pytest.raises(StoreError, match="no transaction"):
        store.register(an_order(), T0, "letter-1")
    assert store.rows() == []


def test_an_order_with_a_quantity_of_zero_is_refused_by_the_database(store: Store) -> None:
    with store.transaction(), pytest.raises(ConstraintViolated, match="sensible_quantity"), store.savepoint():
        store.register(an_order(quantity=0), T0, "letter-1")


def test_an_entry_without_a_product_is_refused_by_the_database(store: Store) -> None:
    with store.transaction(), pytest.raises(ConstraintViolated, match="product"), store.savepoint():
        store.register(an_order(product=None), T0, "letter-1")


def test_an_exit_may_leave_its_product_open(store: Store) -> None:
    order = registered(store, execution_type=ExecutionType.EXIT, product=None, side=Side.SELL)
    assert store.order(order.command_id) == order


def test_rows_know_the_run_that_registered_them(store: Store) -> None:
    with store.transaction():
        store.start_run("r1", T0)
    registered(store)
    found = store.database.execute("SELECT run FROM orders").fetchall()
    assert [tuple(row) for row in found] == [("r1",)]


# Refusals


def refuse(store: Store, *fields: tuple[str, str | int], tag: Tag = Tag.VALIDATION_FAILED, reason: str = "bad") -> None:
    with store.transaction():
        result = store.register_refusal("bad-1", "FA1", Source.WEBHOOK, fields, tag, reason, T0, DAY, "letter-1")
    assert (result.success, result.status, result.tag) == (False, Status.FAILED, tag)


def test_d4_a_refused_intent_has_a_row_with_what_could_be_read(store: Store) -> None:
    refuse(store, ("strategy", "trend"), ("quantity", -5), ("side", "BYE"), reason="side: must be BUY or SELL")
    row = store.row("bad-1")
    assert row is not None
    assert (row["status"], row["tag"], row["reason"]) == ("FAILED", "VALIDATION_FAILED", "side: must be BUY or SELL")
    assert (row["strategy"], row["quantity"], row["side"], row["symbol"]) == ("trend", -5, "BYE", None)
    assert [event["to_status"] for event in row["events"]] == ["FAILED"]
    assert store.order("bad-1") is None
    assert check(store) == []


def test_d4_an_intent_refused_while_not_ready_is_a_whole_order(store: Store) -> None:
    refuse(
        store,
        ("strategy", "trend"),
        ("execution_type", "ENTRY"),
        ("exchange", "NSE"),
        ("symbol", "INFY-EQ"),
        ("side", "BUY"),
        ("quantity", 10),
        ("product", "MIS"),
        ("order_type", "LIMIT"),
        ("price", "1500.50"),
        ("validity", "DAY"),
        tag=Tag.SERVICE_NOT_READY,
    )
    order = store.order("bad-1")
    assert order is not None
    assert (order.tag, order.intent.price) == (Tag.SERVICE_NOT_READY, Decimal("1500.50"))


def test_d4_only_a_failed_validation_excuses_missing_columns(store: Store) -> None:
    with store.transaction(), pytest.raises(ConstraintViolated, match="refused_or_complete"), store.savepoint():
        store.register_refusal(
            "bad-1", "FA1", Source.WEBHOOK, (), Tag.SERVICE_NOT_READY, "starting", T0, DAY, "letter-1"
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symbol", "NUL \0 inside"),
        ("symbol", "half a pair \ud800"),
        ("symbol", "\N{PILE OF POO}' \"; DROP TABLE orders; -- %s ?"),
        ("quantity", 10**30),
        ("quantity", "ten"),
        ("no_such_column", "x"),
    ],
)
def test_f4_hostile_fields_still_leave_a_row(store: Store, name: str, value: str | int) -> None:
    refuse(store, (name, value), reason=f"{name}: {value}")
    row = store.row("bad-1")
    assert row is not None
    assert row["tag"] == "VALIDATION_FAILED"


def test_a_refused_key_stays_free(store: Store) -> None:
    refuse(store, ("idempotency_key", "k-1"))
    assert registered(store, "good", idempotency_key="k-1").command_id == "good"


def test_a_refusal_with_a_taken_command_id_is_an_error(store: Store) -> None:
    refuse(store)
    with store.transaction(), pytest.raises(CommandIdTaken):
        store.register_refusal("bad-1", "FA1", Source.CLI, (), Tag.VALIDATION_FAILED, "bad", T0, DAY, "letter-2")
