"""`check` finds what should not be there, also where the database's own guards were taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.model.broker import BrokerStatus
from core.model.order import ExecutionType, Side, Status, Tag
from core.store import Store, check
from tests.store.factories import T0, accepted, an_order, fill, later, registered, report, sent


@pytest.fixture
def filled(store: Store) -> Store:
    """One order executed in two fills, one open, one failed, one created."""
    accepted(store, "done", "1")
    with store.transaction():
        told = report(BrokerStatus.COMPLETE, "1", filled_quantity=100)
        store.report("done", told, (fill("t1", 40, "10"), fill("t2", 60, "11")), later(4), "letter-5")
    sent(store, "open", symbol="TCS-EQ")
    sent(store, "failed", symbol="ACC-EQ")
    with store.transaction():
        store.fail("failed", Status.SENT_TO_BROKER, Tag.BROKER_REJECTED, "no", later(3), "letter-3")
    registered(store, "created", symbol="SBIN-EQ", execution_type=ExecutionType.EXIT, side=Side.SELL, product=None)
    assert check(store) == []
    return store


@pytest.fixture
def tamper(filled: Store, engine: str) -> Callable[[str], None]:
    """Runs SQL with triggers, constraints and foreign keys out of the way."""

    def run(sql: str) -> None:
        database = filled.database
        if engine == "sqlite":
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            unique = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%'"
            indexes = database.execute(unique).fetchall()
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute("PRAGMA ignore_check_constraints = ON")
            with filled.transaction():
                for (name,) in found:
                    database.write(f"DROP TRIGGER {name}")
                for (name,) in indexes:
                    database.write(f"DROP INDEX {name}")
                database.write(sql)
            return
        checks = database.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'f', 'u') "
            "AND conrelid IN ('orders'::regclass, 'order_events'::regclass, 'fills'::regclass, 'positions'::regclass, "
            "'broker_orders'::regclass)"
        ).fetchall()
        indexes = database.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE 'CREATE UNIQUE%' "
            "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        ).fetchall()
        with filled.transaction():
            for table, name in checks:
                database.write(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
            for table in ("orders", "order_events", "fills", "broker_orders"):
                database.write(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            for (name,) in indexes:
                database.write(f"DROP INDEX {name}")
            database.write(sql)

    return run


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE orders SET status = 'EXECUTED' WHERE command_id = 'created'", "created: status is 'EXECUTED'"),
        ("UPDATE orders SET status = 'EXECUTED' WHERE command_id = 'created'", "law 7: EXECUTED without"),
        ("UPDATE orders SET status = 'FAILED' WHERE command_id = 'created'", "law 7: FAILED without a tag"),
        ("UPDATE orders SET tag = 'NEVER_SENT' WHERE command_id = 'open'", "open: tag is 'NEVER_SENT'"),
        ("UPDATE orders SET reason = 'x' WHERE command_id = 'open'", "open: reason is 'x'"),
        ("UPDATE orders SET quantity = 99 WHERE command_id = 'open'", "open: quantity is 99"),
        ("UPDATE orders SET product = 'CNC' WHERE command_id = 'open'", "open: product is 'CNC'"),
        ("UPDATE orders SET unknown = TRUE WHERE command_id = 'done'", "EXECUTED and unknown at once"),
        ("UPDATE orders SET broker_order_id = '9' WHERE command_id = 'done'", "done: broker_order_id is '9'"),
        ("UPDATE orders SET filled_quantity = 90 WHERE command_id = 'done'", "its fills sum to 100"),
        ("UPDATE orders SET average_price = '10.5' WHERE command_id = 'done'", "not the average of its fills"),
        ("UPDATE orders SET updated_at = '2030' WHERE command_id = 'done'", "done: updated_at is '2030'"),
        ("UPDATE orders SET symbol = 'TCS-EQ', status = 'SENT_TO_BROKER', strategy = 'trend'", "law 4: 4 open orders"),
        ("DELETE FROM order_events WHERE command_id = 'open'", "open: has no events"),
        ("DELETE FROM order_events WHERE command_id = 'done' AND to_status = 'SENT_TO_BROKER'", "done: law 3"),
        ("UPDATE order_events SET from_status = 'FAILED', to_status = 'EXECUTED' WHERE seq = 2", "law 3: FAILED to"),
        ("DELETE FROM fills WHERE broker_trade_id = 't2'", "position FA1/trend/NSE/INFY-EQ/MIS"),
        ("UPDATE fills SET price = '12' WHERE broker_trade_id = 't2'", "not the average of its fills"),
        ("DELETE FROM positions", "stored None"),
        ("DELETE FROM order_events WHERE command_id = 'done' AND seq = 3", "done: law 3: an event is missing"),
        ("UPDATE order_events SET tag = NULL WHERE to_status = 'FAILED'", "law 7: an event says FAILED without"),
        ("UPDATE order_events SET filled_quantity = 120 WHERE command_id = 'done' AND seq = 3", "goes back from 120"),
        (
            "UPDATE order_events SET broker_order_id = '8' WHERE command_id = 'done' AND seq = 3",
            "broker_order_id 8 becomes 1",
        ),
        ("UPDATE order_events SET to_status = 'LOST' WHERE command_id = 'done' AND seq = 2", "CREATED to LOST is not"),
        ("UPDATE orders SET status = 'LOST' WHERE command_id = 'open'", "open: status is 'LOST'"),
        ("UPDATE orders SET unknown = TRUE WHERE command_id = 'open'", "open: unknown is True"),
        ("UPDATE orders SET average_price = 'x' WHERE command_id = 'done'", "not the average of its fills"),
        ("UPDATE orders SET side = 'HOLD' WHERE command_id = 'done'", "done: a fill of it cannot be read: HOLD"),
        ("UPDATE orders SET side = 'SELL' WHERE command_id = 'done'", "its fills say Lot(quantity=-100"),
        ("UPDATE orders SET basket = 'b' WHERE command_id = 'done'", "basket='b'"),
        ("UPDATE orders SET idempotency_key = 'k'", "law 2: 4 rows share the idempotency key k"),
        ("UPDATE broker_orders SET broker_order_id = '1'", "law 2: 3 rows share the broker_order_id 1"),
        ("UPDATE broker_orders SET filled_quantity = 99 WHERE command_id = 'done'", "its broker orders say 99 of 100"),
        ("UPDATE broker_orders SET status = 'EXECUTED'", "open: is SENT_TO_BROKER, and 0 of its broker orders"),
        ("UPDATE orders SET parts = 2 WHERE command_id = 'done'", "done: has 2 broker orders, and 1 are there"),
        ("UPDATE fills SET price = 'x'", "done: a fill of it cannot be read: BUY 40 at x"),
        ("UPDATE fills SET quantity = 39 WHERE broker_trade_id = 't1'", "its fills sum to 99"),
        ("UPDATE fills SET account = 'FA2' WHERE broker_trade_id = 't2'", "done: the fill t2 is of another account"),
        ("UPDATE fills SET exchange = 'BSE' WHERE broker_trade_id = 't2'", "done: the fill t2 is of another"),
        ("UPDATE fills SET trading_day = '2026-03-03' WHERE broker_trade_id = 't2'", "done: the fill t2 is of another"),
        ("UPDATE fills SET broker_order_id = '7' WHERE broker_trade_id = 't2'", "done: the fill t2 is of another"),
        ("UPDATE fills SET command_id = 'gone'", "gone: fills has it, and it has no row"),
        ("UPDATE order_events SET command_id = 'gone' WHERE command_id = 'open'", "gone: order_events has it"),
        ("UPDATE positions SET average_price = 'x'", "cannot be read: 100 at x"),
        ("UPDATE positions SET basket = 'b'", "basket='b'"),
        ("UPDATE positions SET quantity = 99", "stored Lot(quantity=99"),
        ("UPDATE positions SET average_price = '10'", "stored Lot(quantity=100, average_price=Decimal('10')"),
        ("UPDATE positions SET symbol = 'TCS-EQ'", "position FA1/trend/NSE/TCS-EQ/MIS"),
    ],
)
def test_check_finds(filled: Store, tamper: Callable[[str], None], sql: str, words: str) -> None:
    tamper(sql)
    found = check(filled)
    assert any(words in line for line in found), found


def test_check_reads_more_than_one_page_of_rows(store: Store) -> None:
    with store.transaction():
        for number in range(1203):
            store.register(an_order(f"c-{number}", symbol=f"S{number}"), T0, "letter-1")
    assert check(store) == []
    with store.transaction():
        store.database.write("UPDATE orders SET reason = 'x' WHERE command_id = 'c-999'")
    assert check(store) == ["c-999: reason is 'x', its events say None"]


@pytest.mark.usefixtures("filled")
def test_a_reader_can_check(url: str) -> None:
    reader = Store.open(url, read_only=True)
    assert check(reader) == []
    reader.close()
