"""What the database itself refuses, whatever program writes to it."""

from __future__ import annotations

from itertools import product

import pytest

from core.model.broker import BrokerStatus
from core.model.order import Status, legal
from core.store import ConstraintViolated, Store
from core.store.tables import EventRow, FillRow, OrderRow, PositionRow
from tests.store.factories import T0, accepted, an_order, fill, later, registered, report, sent


def raw(store: Store, sql: str, *parameters: str | int | None) -> None:
    with store.transaction():
        store.database.write(sql, parameters)


def refused(store: Store, sql: str, *parameters: str | int | None, match: str | None = None) -> bool:
    with pytest.raises(ConstraintViolated, match=match):
        raw(store, sql, *parameters)
    return True


def executed(store: Store, command_id: str = "260302-r1-1") -> None:
    accepted(store, command_id, f"N-{command_id}")
    with store.transaction():
        told = report(BrokerStatus.COMPLETE, f"N-{command_id}", filled_quantity=100)
        store.report(command_id, told, (fill(f"t-{command_id}", 100),), later(3), "letter-5")


def at_status(store: Store, status: Status) -> None:
    """One row at `status`, by legal steps."""
    if status is Status.EXECUTED:
        executed(store)
    elif status is Status.SENT_TO_BROKER:
        accepted(store)
        raw(store, "UPDATE orders SET filled_quantity = 1, average_price = '1'")
    else:
        registered(store)
        if status is Status.FAILED:
            raw(store, "UPDATE orders SET status = 'FAILED', tag = 'NEVER_SENT'")


_CHANGE = {
    Status.CREATED: "UPDATE orders SET status = 'CREATED', tag = NULL",
    Status.SENT_TO_BROKER: "UPDATE orders SET status = 'SENT_TO_BROKER', tag = NULL",
    Status.EXECUTED: (
        "UPDATE orders SET status = 'EXECUTED', tag = NULL, broker_order_id = '1', filled_quantity = 1, "
        "average_price = '1'"
    ),
    Status.FAILED: "UPDATE orders SET status = 'FAILED', tag = 'NEVER_SENT'",
}


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)), ids=str)
def test_law_3_raw_sql_can_make_legal_transitions_only(store: Store, before: Status, after: Status) -> None:
    """The trigger is text of its own; here it is held against `core.model.order.TRANSITIONS`."""
    at_status(store, before)
    if legal(before, after) or before is after:
        raw(store, _CHANGE[after])
    else:
        assert refused(store, _CHANGE[after], match="illegal status transition")


@pytest.mark.parametrize("status", list(Status))
def test_law_3_a_row_begins_as_created_or_failed(store: Store, status: Status) -> None:
    executed(store)
    columns = "account, strategy, source, execution_type, exchange, side, quantity, requested_quantity, product"
    columns += ", order_type, validity, deadline, unknown, filled_quantity, average_price, created_at, updated_at"
    tag = "'NEVER_SENT'" if status is Status.FAILED else "NULL"
    sql = (
        f"INSERT INTO orders (command_id, symbol, trading_day, broker_order_id, status, tag, {columns}) "
        f"SELECT 'new', 'NEW', '2030-01-01', 'N', '{status.value}', {tag}, {columns} FROM orders"
    )
    if legal(None, status):
        raw(store, sql)
    else:
        assert refused(store, sql, match="illegal first status")


@pytest.mark.parametrize("table", ["order_events", "fills"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_events_and_fills_cannot_be_changed_or_deleted(store: Store, table: str, verb: str) -> None:
    executed(store)
    sql = f"UPDATE {table} SET quantity = 1" if verb == "UPDATE" else f"DELETE FROM {table}"
    before = store.row("260302-r1-1")
    assert refused(store, sql, match="append-only")
    assert store.row("260302-r1-1") == before


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["order_events", "fills CASCADE"])
def test_events_and_fills_cannot_be_truncated(store: Store, engine: str, table: str) -> None:
    assert engine == "postgresql"
    executed(store)
    assert refused(store, f"TRUNCATE {table}", match="append-only")


def test_orders_with_a_history_cannot_be_deleted(store: Store) -> None:
    registered(store)
    assert refused(store, "DELETE FROM orders", match=r"(?i)foreign key")


@pytest.mark.parametrize(
    "change",
    [
        "status = 'DONE'",
        "status = 'FAILED'",
        "tag = 'NEVER_SENT'",
        "filled_quantity = -1",
        "filled_quantity = 5",
        "average_price = '5'",
        "quantity = 0",
        "quantity = 101",
        "side = 'HOLD'",
        "execution_type = NULL",
        "account = NULL",
        "strategy = NULL",
        "symbol = NULL",
        "deadline = NULL",
        "product = NULL",
        "product = 'BO'",
        "order_type = 'ICEBERG'",
        "validity = 'GTC'",
        "unknown = TRUE",
        "unknown = NULL",
        "trading_day = NULL",
    ],
)
def test_a_row_that_makes_no_sense_is_refused(store: Store, change: str) -> None:
    registered(store)
    assert refused(store, f"UPDATE orders SET {change}")


def test_law_7_executed_needs_number_quantity_and_price(store: Store) -> None:
    sent(store)
    assert refused(store, "UPDATE orders SET status = 'EXECUTED'", match="executed_is_told")
    complete = "broker_order_id = '1', filled_quantity = 5, average_price = '1'"
    for missing in ("broker_order_id = NULL", "filled_quantity = 0, average_price = NULL"):
        left = ", ".join(part for part in complete.split(", ") if part.split()[0] not in missing)
        assert refused(store, f"UPDATE orders SET status = 'EXECUTED', {left}, {missing}", match="executed_is_told")


def test_law_4_raw_sql_cannot_open_a_second_order(store: Store) -> None:
    sent(store, "one")
    registered(store, "two")
    with pytest.raises(ConstraintViolated) as told:
        raw(store, "UPDATE orders SET status = 'SENT_TO_BROKER' WHERE command_id = 'two'")
    assert told.value.unique


def test_a13_raw_sql_cannot_use_a_key_twice(store: Store) -> None:
    registered(store, "one", idempotency_key="k")
    registered(store, "two", symbol="TCS-EQ")
    assert refused(store, "UPDATE orders SET idempotency_key = 'k' WHERE command_id = 'two'")


def test_raw_sql_cannot_give_a_number_twice_on_one_day(store: Store) -> None:
    accepted(store, "one", "1")
    sent(store, "two", symbol="TCS-EQ")
    assert refused(store, "UPDATE orders SET broker_order_id = '1' WHERE command_id = 'two'")


def test_b11_raw_sql_cannot_book_a_trade_twice(store: Store) -> None:
    executed(store)
    columns = "command_id, account, trading_day, exchange, broker_trade_id, broker_order_id, quantity, price, at"
    assert refused(store, f"INSERT INTO fills ({columns}, booked_at) SELECT {columns}, booked_at FROM fills")


def test_an_event_needs_its_order(store: Store) -> None:
    sql = (
        "INSERT INTO order_events (command_id, seq, at, to_status, cause, unknown, filled_quantity) "
        "VALUES ('nobody', 1, 'now', 'CREATED', 'x', FALSE, 0)"
    )
    # SQLite tells of a broken foreign key at the statement, PostgreSQL too; neither waits for the commit.
    assert refused(store, sql, match=r"(?i)foreign key")


def test_one_halt_of_an_account_is_in_force_at_most(store: Store) -> None:
    halt = "INSERT INTO halts (account, reason, halted_by, at) VALUES ('FA1', 'x', 'y', 'z')"
    raw(store, halt)
    raw(store, halt.replace("FA1", "FA2"))
    assert refused(store, halt)


def test_g17_one_owner_at_most(store: Store) -> None:
    raw(store, "INSERT INTO owner (id, profile, host, account, since) VALUES (1, 'paper', '', 'PAPER', 'z')")
    assert refused(store, "INSERT INTO owner (id, profile, host, account, since) VALUES (2, 'zebu', 'h', 'FA1', 'z')")


@pytest.mark.parametrize("model", [OrderRow, EventRow, FillRow, PositionRow], ids=lambda model: model.__name__)
def test_the_models_are_the_tables(store: Store, model: type[OrderRow]) -> None:
    columns = store.database.peewee.get_columns(model._meta.table_name)
    assert sorted(column.name for column in columns) == sorted(model._meta.columns)


def test_registering_keeps_what_raw_sql_cannot_break(store: Store) -> None:
    with store.transaction(), pytest.raises(ConstraintViolated), store.savepoint():
        store.register(an_order(exchange=None), T0, "letter-1")
