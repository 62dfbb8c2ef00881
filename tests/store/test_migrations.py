"""Migrations: all or nothing, nothing dropped in silence, nothing newer than the program touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.model.broker import BrokerStatus
from core.store import DatabaseNotOpened, Store, StoreError, check
from core.store.database import Database, Engine, open_database
from core.store.migrations import MIGRATIONS, Migration, migrate, schema_version
from core.store.migrations.broker_orders import BROKER_ORDERS
from tests.store.factories import fill, later, registered, report

NEXT = MIGRATIONS[-1].number + 1


def column_names(database: Database, table: str) -> list[str]:
    return [column.name for column in database.peewee.get_columns(table)]


def a_migration(*statements: str, drops: frozenset[str] = frozenset()) -> tuple[Migration, ...]:
    return (*MIGRATIONS, Migration(NEXT, "for the test", lambda _engine: statements, drops))


def test_the_numbers_of_the_migrations_rise() -> None:
    numbers = [migration.number for migration in MIGRATIONS]
    assert numbers == sorted(set(numbers))


def test_a_new_database_is_at_the_newest_version(store: Store) -> None:
    assert schema_version(store.database) == MIGRATIONS[-1].number
    assert check(store) == []


def test_opening_again_changes_nothing(store: Store, url: str) -> None:
    order = registered(store)
    again = Store.open(url)
    assert again.order(order.command_id) == order
    assert schema_version(again.database) == MIGRATIONS[-1].number
    again.close()


_AT = "'2026-03-02T03:45:00.000000+00:00'"
_ROWS = (
    "INSERT INTO orders (command_id, idempotency_key, account, strategy, source, execution_type, exchange, symbol, "
    "side, quantity, requested_quantity, product, requested_product, order_type, price, validity, deadline, status, "
    "unknown, filled_quantity, created_at, updated_at, trading_day) VALUES ('c-1', 'k-1', 'FA1', 'trend', 'WEBHOOK', "
    "'ENTRY', 'NSE', 'INFY-EQ', 'BUY', 100, 100, 'MIS', 'MIS', 'LIMIT', '1500.50', 'DAY', {at}, 'CREATED', FALSE, 0, "
    "{at}, {at}, '2026-03-02')",
    "UPDATE orders SET status = 'SENT_TO_BROKER'",
    "UPDATE orders SET broker_order_id = '9', filled_quantity = 40, average_price = '1500.50'",
    "INSERT INTO order_events (command_id, seq, at, from_status, to_status, cause, quantity, product, unknown, "
    "broker_order_id, filled_quantity, average_price) VALUES "
    "('c-1', 1, {at}, NULL, 'CREATED', 'c', 100, 'MIS', FALSE, NULL, 0, NULL), "
    "('c-1', 2, {at}, 'CREATED', 'SENT_TO_BROKER', 'c', 100, 'MIS', FALSE, NULL, 0, NULL), "
    "('c-1', 3, {at}, 'SENT_TO_BROKER', 'SENT_TO_BROKER', 'c', 100, 'MIS', FALSE, '9', 40, '1500.50')",
    "INSERT INTO fills (command_id, account, trading_day, exchange, broker_trade_id, broker_order_id, quantity, "
    "price, at, booked_at) VALUES ('c-1', 'FA1', '2026-03-02', 'NSE', 't1', '9', 40, '1500.50', {at}, {at})",
    "INSERT INTO positions (account, strategy, exchange, symbol, product, quantity, average_price, updated_at) VALUES "
    "('FA1', 'trend', 'NSE', 'INFY-EQ', 'MIS', 40, '1500.50', {at})",
)
# From version 7 on, its order at the broker has a row of its own.
_BROKER_ORDER = (
    "INSERT INTO broker_orders (client_order_id, command_id, part, account, trading_day, quantity, status, unknown, "
    "broker_order_id, filled_quantity, average_price, updated_at) VALUES ('c-1', 'c-1', 1, 'FA1', '2026-03-02', 100, "
    "'SENT_TO_BROKER', FALSE, '9', 40, '1500.50', {at})"
)


@pytest.mark.parametrize("version", range(1, MIGRATIONS[-1].number))
def test_data_of_every_earlier_version_is_kept(url: str, version: int) -> None:
    """A row of the first version, which is one broker order; its rest is filled by today's program."""
    database = open_database(url)
    migrate(database, MIGRATIONS[:version])
    with database.transaction():
        for sql in (*_ROWS, _BROKER_ORDER) if version >= BROKER_ORDERS.number else _ROWS:
            database.write(sql.format(at=_AT))
    database.close()
    new = Store.open(url)
    assert schema_version(new.database) == MIGRATIONS[-1].number
    row = new.row("c-1")
    assert row is not None
    assert (row["status"], row["filled_quantity"], row["idempotency_key"]) == ("SENT_TO_BROKER", 40, "k-1")
    [broker_order] = row["broker_orders"]
    told = ("client_order_id", "broker_order_id", "quantity", "filled_quantity")
    assert [broker_order[name] for name in told] == ["c-1", "9", 100, 40]
    with new.transaction():
        rest = report(BrokerStatus.COMPLETE, "9", filled_quantity=100)
        assert new.report("c-1", rest, (fill("t2", 60),), later(3), "letter-5").settled
    assert check(new) == []
    new.close()


def test_a_column_added_later_keeps_the_rows(store: Store) -> None:
    order = registered(store)
    migrate(store.database, a_migration("ALTER TABLE orders ADD COLUMN colour TEXT"))
    assert schema_version(store.database) == NEXT
    assert "colour" in column_names(store.database, "orders")
    assert store.order(order.command_id) == order


def test_a_migration_that_fails_changes_nothing(store: Store) -> None:
    registered(store)
    broken = a_migration("ALTER TABLE orders ADD COLUMN colour TEXT", "ALTER TABLE no_such_table ADD COLUMN x TEXT")
    with pytest.raises(DatabaseNotOpened, match="for the test"):
        migrate(store.database, broken)
    assert schema_version(store.database) == MIGRATIONS[-1].number
    assert "colour" not in column_names(store.database, "orders")
    assert len(store.rows()) == 1


def test_a_column_dropped_in_silence_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"orders\.run"):
        migrate(store.database, a_migration("ALTER TABLE orders DROP COLUMN run"))
    assert "run" in column_names(store.database, "orders")


def test_a_column_dropped_by_name_is_dropped(store: Store) -> None:
    migrate(store.database, a_migration("ALTER TABLE orders DROP COLUMN run", drops=frozenset({"orders.run"})))
    assert "run" not in column_names(store.database, "orders")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_newer_than_the_program_is_refused_and_left_alone(store: Store, url: str, read_only: bool) -> None:
    with store.transaction():
        store.database.write("INSERT INTO schema_version (version, name) VALUES (999, 'from the future')")
    with pytest.raises(DatabaseNotOpened, match=r"version 999.*use a newer Sixstep"):
        Store.open(url, read_only=read_only)
    assert schema_version(store.database) == 999


def test_a_reader_does_not_migrate(new_url: Callable[[], str]) -> None:
    url = new_url()
    database = open_database(url)
    migrate(database, MIGRATIONS[:1])
    database.execute("DELETE FROM schema_version")
    with pytest.raises(DatabaseNotOpened, match="start the service once"):
        Store.open(url, read_only=True)
    assert schema_version(database) == 0
    database.close()


@pytest.mark.parametrize("engine_name", list(Engine))
def test_statements_are_the_same_each_time(engine_name: Engine) -> None:
    for migration in MIGRATIONS:
        assert list(migration.statements(engine_name)) == list(migration.statements(engine_name))
