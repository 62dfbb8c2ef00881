"""Reading: what the actors asks for at start, and what entry points show."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from core.model.broker import BrokerStatus
from core.model.order import ExecutionType, Side, Status, Tag
from core.store import Store, StoreError
from core.store.reading import ROW_NAMES
from tests.store.factories import DAY, T0, accepted, failed, fill, later, registered, report, sent

# As design.md section 7 lists them.
CONTRACT = (
    "command_id, idempotency_key, account, strategy, source, execution_type, exchange, symbol, side, quantity, "
    "product, order_type, price, trigger_price, validity, status, tag, reason, unknown, broker_order_id, "
    "filled_quantity, average_price, created_at, updated_at, trading_day, modifying"
)


def test_rows_have_exactly_the_names_of_the_contract_and_are_json(store: Store) -> None:
    sent(store)
    [row] = store.rows()
    assert ", ".join(row) == CONTRACT
    assert json.loads(json.dumps(row)) == row
    assert row["unknown"] is False
    assert (row["price"], row["trigger_price"], row["trading_day"]) == ("1500.50", None, "2026-03-02")


def test_one_row_adds_its_events_and_fills(store: Store) -> None:
    accepted(store)
    with store.transaction():
        store.report("260302-r1-1", report(BrokerStatus.OPEN), (fill("t1", 40),), later(4), "letter-5")
    row = store.row("260302-r1-1")
    assert row is not None
    assert list(row) == [*ROW_NAMES, "broker_orders", "events", "fills"]
    assert [(event["from_status"], event["to_status"]) for event in row["events"]] == [
        (None, "CREATED"),
        ("CREATED", "SENT_TO_BROKER"),
        ("SENT_TO_BROKER", "SENT_TO_BROKER"),
        ("SENT_TO_BROKER", "SENT_TO_BROKER"),
    ]
    assert list(row["fills"][0]) == ["at", "quantity", "price", "broker_trade_id"]
    assert json.loads(json.dumps(row)) == row


def test_a_row_that_is_not_there_is_none(store: Store) -> None:
    assert store.row("nobody") is None
    assert store.order("nobody") is None
    assert store.order_by_key("FA1", "nothing") is None


def test_rows_are_the_newest_first_and_can_be_narrowed(store: Store) -> None:
    yesterday = date(2026, 3, 1)
    registered(store, "old", trading_day=yesterday, created_at=later(-86400), symbol="A")
    registered(store, "b", created_at=later(1), symbol="B", strategy="mean")
    registered(store, "c", created_at=later(2), symbol="C")
    failed(store, "b")

    def found(**narrowed: object) -> list[str]:
        return [row["command_id"] for row in store.rows(**narrowed)]  # type: ignore[arg-type]

    assert found() == ["c", "b", "old"]
    assert found(status=Status.CREATED) == ["c", "old"]
    assert found(status="FAILED") == ["b"]
    assert found(strategy="mean") == ["b"]
    assert found(day=yesterday) == found(day="2026-03-01") == ["old"]
    assert found(limit=1) == ["c"]
    assert found(before="c") == ["b", "old"]
    assert found(before="b", status="CREATED") == ["old"]
    assert found(before="nobody") == []


def test_an_order_is_found_by_its_number_of_the_day_and_trades_with_their_orders(store: Store) -> None:
    accepted(store)
    with store.transaction():
        store.report("260302-r1-1", report(BrokerStatus.OPEN), (fill("t1", 40), fill("t2", 10)), later(4), "letter-5")
    row = store.row("260302-r1-1")
    assert row is not None
    number, account = str(row["broker_order_id"]), str(row["account"])
    assert store.command_of(account, DAY, number) == "260302-r1-1"
    assert store.command_of(account, date(2026, 3, 1), number) is None
    assert store.command_of("another", DAY, number) is None
    trades = store.trades(account, DAY)
    assert [(one["broker_trade_id"], one["quantity"]) for one in trades] == [("t1", 40), ("t2", 10)]
    for one in trades:
        assert all(one[name] == row[name] for name in ("strategy", "exchange", "symbol", "side", "product"))
        assert one["broker_order_id"] == number
    assert json.loads(json.dumps(trades)) == trades
    assert store.trades(account, date(2026, 3, 1)) == store.trades("another", DAY) == []


def test_rows_refuse_a_status_that_does_not_exist(store: Store) -> None:
    with pytest.raises(ValueError, match="DONE"):
        store.rows(status="DONE' OR '1'='1")


def test_rows_are_found_by_their_idempotency_key(store: Store) -> None:
    registered(store, "a", idempotency_key="k-1")
    registered(store, "b", symbol="TCS-EQ")
    assert [row["command_id"] for row in store.rows(idempotency_key="k-1")] == ["a"]


def test_created_and_open_orders_are_found_oldest_first(store: Store) -> None:
    first = registered(store, "z", symbol="A")
    second = registered(store, "a", symbol="B", created_at=later(1), updated_at=later(1))
    third = sent(store, "m", symbol="C")
    accepted(store, "f", "1", symbol="D", account="FA2")
    assert store.created_orders() == (first, second)
    assert [order.command_id for order in store.open_orders()] == ["f", "m"]
    assert store.open_orders(account="FA1") == (third,)
    assert store.created_orders(account="FA2") == ()


def test_orders_sent_on_counts_what_went_to_the_broker(store: Store) -> None:
    accepted(store, "open", "1", symbol="A")
    accepted(store, "refused", "2", symbol="B")
    with store.transaction():
        store.report("refused", report(BrokerStatus.REJECTED, "2"), (), later(4), "letter-5")
    registered(store, "created", symbol="C")
    registered(store, "blocked", symbol="D")
    failed(store, "blocked", Tag.EXECUTION_GUARD_BLOCKED)
    sent(store, "not-sent", symbol="E")
    with store.transaction():
        store.fail("not-sent", Status.SENT_TO_BROKER, Tag.BROKER_NOT_SENT, "no route", later(4), "letter-5")
    sent(store, "tomorrow", symbol="F", trading_day=date(2026, 3, 3))
    assert store.orders_sent_on(DAY) == 2
    assert store.orders_sent_on(DAY, account="FA2") == 0


def test_a_read_only_store_reads_and_refuses_to_write(store: Store, url: str) -> None:
    order = registered(store, execution_type=ExecutionType.EXIT, side=Side.SELL)
    reader = Store.open(url, read_only=True)
    assert reader.order(order.command_id) == order
    with pytest.raises(StoreError, match="read-only"), reader.transaction():
        pass
    with pytest.raises(Exception, match=r"readonly|read-only"):
        reader.database.execute("DELETE FROM orders")
    assert reader.row(order.command_id) is not None
    reader.close()
    assert store.order(order.command_id) == order


def test_a_reader_may_be_used_by_several_threads(store: Store, url: str) -> None:
    registered(store)
    reader = Store.open(url, read_only=True)

    def read(_number: int) -> tuple[int, int]:
        row = reader.row("260302-r1-1")
        assert row is not None
        return len(reader.rows()), len(row["events"])

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(read, range(40))) == {(1, 1)}
    reader.close()


def test_a_record_can_be_read_while_no_service_runs(store: Store, url: str) -> None:
    order = registered(store)
    store.close()
    reader = Store.open(url, read_only=True)
    assert reader.order(order.command_id) == order
    reader.close()


def test_two_stores_in_one_process_do_not_mix(store: Store, new_url: object) -> None:
    assert callable(new_url)
    other = Store.open(new_url())
    registered(store, "here")
    with other.transaction():
        other.halt("FA1", "elsewhere", "test", T0)
    assert (len(other.rows()), store.current_halt("FA1")) == (0, None)
    assert [row["command_id"] for row in store.rows()] == ["here"]
    other.close()
