"""Migrations: all or nothing, nothing dropped in silence, nothing newer than the program touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.store import DatabaseNotOpened, Store, StoreError, check
from core.store.database import Database, Engine, open_database
from core.store.migrations import MIGRATIONS, Migration, migrate, schema_version
from tests.store.factories import accepted, registered

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


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_data_of_every_earlier_version_is_kept(url: str, version: int) -> None:
    database = open_database(url)
    migrate(database, MIGRATIONS[:version])
    old = Store(database)
    order = accepted(old, idempotency_key="k-1")
    before = old.row(order.command_id)
    old.close()
    new = Store.open(url)
    assert schema_version(new.database) == MIGRATIONS[-1].number
    assert new.order(order.command_id) == order
    assert new.row(order.command_id) == before
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
