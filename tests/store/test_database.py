"""Opening, committing, undoing, and a database that cannot be written (scenarios A9, A10, E10)."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from core.model.broker import BrokerStatus
from core.model.order import Order, Status, Tag
from core.store import ConstraintViolated, DatabaseNotOpened, Evidence, Store, StoreError, StoreUnavailable, check
from tests.store.factories import T0, an_order, fill, later, registered, report
from tests.support import wait_until
from tests.support_proxy import Cut, cutting_proxy

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


def command_ids(store: Store) -> set[str]:
    return {row["command_id"] for row in store.rows()}


def register(store: Store, command_id: str, **changes: object) -> Order:
    return store.register(an_order(command_id, **changes), T0, "letter-1")


def register_and_fail(store: Store, *names: str) -> None:
    for name in names:
        register(store, name, symbol=f"{name}-EQ")
    raise RuntimeError("halfway")


def fill_the_disk(store: Store) -> None:
    for number in range(1000):
        register(store, f"full-{number}", symbol=f"S{number}")


def limit_pages(store: Store) -> None:
    pages = store.database.execute("PRAGMA page_count").fetchone()[0]
    store.database.execute(f"PRAGMA max_page_count = {pages + 3}")


# Opening


@only_sqlite
def test_the_directory_of_a_new_database_is_made(tmp_path: Path, engine: str) -> None:
    odd = tmp_path / "a b" / "100% #1?"
    Store.open(f"sqlite:///{odd}/sixstep.db").close()
    assert engine == "sqlite"
    assert (odd / "sixstep.db").exists()


@only_sqlite
def test_every_commit_that_is_to_last_is_synced_and_foreign_keys_hold(store: Store, engine: str) -> None:
    def pragma(name: str) -> object:
        return store.database.execute(f"PRAGMA {name}").fetchone()[0]

    assert engine == "sqlite"
    assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)
    for lasting, synced in ((False, 1), (False, 1), (True, 2)):
        with store.transaction(lasting=lasting):
            assert pragma("synchronous") == synced


@only_postgresql
def test_every_commit_that_is_to_last_is_on_disk_whatever_the_server_says(store: Store, engine: str) -> None:
    assert engine == "postgresql"
    for lasting, synced in ((False, "off"), (True, "on")):
        with store.transaction(lasting=lasting):
            assert store.database.execute("SHOW synchronous_commit").fetchone()[0] == synced
    assert store.database.execute("SHOW synchronous_commit").fetchone()[0] == "on"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/db", "'mysql' is not a database"),
        ("sqlite:///", "a file is needed"),
        ("sqlite:///:memory:", "a file is needed"),
        ("postgresql://someone:hunter2@127.0.0.1:1/none", "127.0.0.1"),
    ],
)
def test_a_url_that_cannot_be_opened_is_told_by_the_name_of_its_setting(url: str, words: str) -> None:
    with pytest.raises(DatabaseNotOpened) as told:
        Store.open(url)
    assert str(told.value).startswith("[database] url: ")
    assert words in str(told.value)
    assert "hunter2" not in str(told.value)


def test_a_path_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseNotOpened, match="cannot be made"):
        Store.open(f"sqlite:///{tmp_path}/file/sixstep.db")


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("not a database, and longer than a header " * 20)
    with pytest.raises(DatabaseNotOpened, match="not a database"):
        Store.open(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database")


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DatabaseNotOpened, match=r"sixstep\[postgres\]"):
        Store.open("postgresql://localhost/sixstep")


def test_a_database_that_does_not_exist_cannot_be_opened_for_reading(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotOpened, match="start the service once"):
        Store.open(f"sqlite:///{tmp_path}/none.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


# Transactions


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="halfway"), store.transaction():
        register_and_fail(store, "a")
    assert command_ids(store) == set()
    registered(store, "b")
    assert command_ids(store) == {"b"}


@pytest.mark.parametrize("before", [(), ("first",)])
def test_a_savepoint_that_raises_undoes_only_itself(store: Store, before: tuple[str, ...]) -> None:
    """With something written before it, and as the first thing in the transaction."""
    with store.transaction():
        for number, command_id in enumerate(before):
            register(store, command_id, symbol=f"S{number}")
        with pytest.raises(RuntimeError), store.savepoint():
            register_and_fail(store, "undone")
        with store.savepoint():
            register(store, "kept")
    assert command_ids(store) == {*before, "kept"}


def nested_and_fail(store: Store) -> None:
    with store.savepoint():
        register(store, "d")
    raise RuntimeError("halfway")


def test_savepoints_nest(store: Store) -> None:
    with store.transaction(), store.savepoint():
        register(store, "a")
        with store.savepoint():
            register(store, "b")
            with pytest.raises(RuntimeError), store.savepoint(), store.savepoint():
                register_and_fail(store, "c")
        with pytest.raises(RuntimeError), store.savepoint():
            nested_and_fail(store)
        register(store, "e")
    assert command_ids(store) == {"a", "b", "e"}


def test_a_refused_row_undoes_only_its_savepoint(store: Store) -> None:
    with store.transaction():
        with store.savepoint():
            register(store, "a")
        with pytest.raises(ConstraintViolated), store.savepoint():
            register(store, "bad", quantity=-1)
        with store.savepoint():
            register(store, "b")
    assert command_ids(store) == {"a", "b"}


def test_transactions_do_not_nest(store: Store) -> None:
    with store.transaction():
        register(store, "a")
        with pytest.raises(StoreError, match="open already"), store.transaction():
            pass
    assert command_ids(store) == {"a"}


def test_a_savepoint_needs_a_transaction(store: Store) -> None:
    with pytest.raises(StoreError, match="no transaction"), store.savepoint():
        pass


def test_a_transaction_entered_by_hand_can_be_rolled_back_and_forgotten(store: Store) -> None:
    abandoned = store.transaction()
    abandoned.__enter__()
    register(store, "a")
    store.rollback()
    store.rollback()
    with store.transaction():
        del abandoned
        register(store, "b")
    assert command_ids(store) == {"b"}


@only_postgresql
def test_a_commit_that_the_server_turned_into_a_rollback_is_an_error(store: Store, engine: str) -> None:
    assert engine == "postgresql"
    store.transaction().__enter__()
    register(store, "a")
    with pytest.raises(ConstraintViolated):
        register(store, "bad", quantity=-1)
    with pytest.raises(StoreError, match="rolled back"):
        store.database.commit()
    assert command_ids(store) == set()


def test_closing_undoes_what_was_not_committed(store: Store, url: str) -> None:
    store.transaction().__enter__()
    register(store, "a")
    store.close()
    after = Store.open(url)
    assert command_ids(after) == set()
    after.close()


# Unavailable


@only_sqlite
def test_e10_a_full_disk_is_told_and_nothing_is_half_recorded(store: Store, engine: str) -> None:
    assert engine == "sqlite"
    registered(store, "before")
    limit_pages(store)
    with pytest.raises(StoreUnavailable, match="full"), store.transaction():
        fill_the_disk(store)
    assert command_ids(store) == {"before"}
    store.database.execute("PRAGMA max_page_count = 1073741823")
    registered(store, "after", symbol="TCS-EQ")
    assert command_ids(store) == {"before", "after"}
    assert check(store) == []


@only_sqlite
def test_a9_after_the_disk_was_full_the_same_transaction_records_nothing_more(store: Store, engine: str) -> None:
    assert engine == "sqlite"
    limit_pages(store)
    transaction = store.transaction()
    transaction.__enter__()
    register(store, "before-it-was-full")
    with pytest.raises(StoreUnavailable, match="full"), store.savepoint():
        fill_the_disk(store)
    store.database.execute("PRAGMA max_page_count = 1073741823")
    with pytest.raises(StoreUnavailable, match="rolled back"):
        register(store, "too-late")
    with pytest.raises(StoreUnavailable, match="rolled back"):
        transaction.__exit__(None, None, None)
    assert command_ids(store) == set()


@only_sqlite
def test_a9_a_database_locked_by_another_writer_is_told_and_usable_after(
    new_url: Callable[[], str], engine: str
) -> None:
    assert engine == "sqlite"
    url = new_url()
    store = Store.open(url, busy_timeout_s=0.02)
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"), store.transaction():
        register(store, "a")
    assert command_ids(store) == set()
    writer.execute("ROLLBACK")
    registered(store, "b")
    assert command_ids(store) == {"b"}
    writer.close()
    store.close()


@only_postgresql
def test_a9_a_table_locked_by_another_writer_is_told_and_usable_after(new_url: Callable[[], str], engine: str) -> None:
    import psycopg

    assert engine == "postgresql"
    url = new_url()
    store = Store.open(url, busy_timeout_s=0.02)
    with psycopg.connect(url) as writer:
        writer.execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="lock timeout"), store.transaction():
            register(store, "a")
        assert command_ids(store) == set()
    registered(store, "b")
    assert command_ids(store) == {"b"}
    store.close()


@only_postgresql
def test_a10_a_lost_connection_is_told_and_made_anew(store: Store, url: str, engine: str) -> None:
    import psycopg

    assert engine == "postgresql"
    registered(store, "before")
    backend = store.database.execute("SELECT pg_backend_pid()").fetchone()[0]
    store.transaction().__enter__()
    register(store, "lost", symbol="TCS-EQ")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (backend,))
    with pytest.raises(StoreUnavailable):
        register(store, "lost-too", symbol="SBIN-EQ")
    assert command_ids(store) == {"before"}
    assert store.database.execute("SHOW synchronous_commit").fetchone()[0] == "on"
    registered(store, "after", symbol="TCS-EQ")
    assert command_ids(store) == {"before", "after"}


@only_postgresql
def test_a_connection_lost_between_transactions_costs_nothing(store: Store, url: str, engine: str) -> None:
    import psycopg

    assert engine == "postgresql"
    backend = store.database.execute("SELECT pg_backend_pid()").fetchone()[0]
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (backend,))
    registered(store, "a")
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sixstep'")
    assert command_ids(store) == {"a"}
    assert store.database.execute("SHOW synchronous_commit").fetchone()[0] == "on"


@only_postgresql
def test_g6_a_transaction_whose_connection_was_lost_is_ended_before_its_rows_are_read(url: str, engine: str) -> None:
    """A server that did not see the connection go would keep it open, and its locks, and might still commit it."""
    import psycopg

    assert engine == "postgresql"
    with cutting_proxy(url) as (proxy, through):
        writer = Store.open(through, busy_timeout_s=5)
        proxy.cut_next(Cut.BEFORE)
        evidence = registered_in_doubt(writer, "a")
        with psycopg.connect(url, autocommit=True) as other:
            left = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            assert other.execute(left).fetchone() == (1,)
            wait_until(lambda: is_told(writer, evidence))
            assert writer.is_committed(evidence) is False
            assert other.execute(left).fetchone() == (0,)
        proxy.cut_next(Cut.AFTER)
        evidence = registered_in_doubt(writer, "b")
        wait_until(lambda: is_told(writer, evidence))
        assert writer.is_committed(evidence) is True
        assert command_ids(writer) == {"b"}
        writer.close()


def registered_in_doubt(store: Store, command_id: str) -> Evidence:
    """Register an order in a transaction whose commit is not answered; what tells whether it was made."""
    transaction = store.transaction()
    transaction.__enter__()
    register(store, command_id)
    evidence = store.newest_event
    assert evidence is not None
    with pytest.raises(StoreUnavailable):
        transaction.__exit__(None, None, None)
    return evidence


def is_told(store: Store, evidence: Evidence) -> bool:
    try:
        store.is_committed(evidence)
    except StoreUnavailable:
        return False
    return True


def test_g6_a_commit_that_writes_no_event_is_known_by_the_note_of_its_run(store: Store) -> None:
    with store.transaction():
        store.start_run("r1", T0)
    with store.transaction():
        store.halt("FA1", "stop", "ravi", T0)
        made = store.note_commit("1")
    store.transaction().__enter__()
    lost = store.note_commit("2")
    store.rollback()
    assert (store.is_committed(made), store.is_committed(lost)) == (True, False)


def test_a_bug_is_not_taken_for_an_unavailable_database(store: Store) -> None:
    with pytest.raises(Exception, match="no_such_table") as told, store.transaction():
        store.database.write("INSERT INTO no_such_table VALUES (1)")
    assert not isinstance(told.value, StoreError)


# The hot path


def test_d11_no_statement_of_an_orders_life_reads_a_table_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, tuple[object, ...]] = {}
    database = store.database
    execute = database.execute

    def spy(sql: str, parameters: tuple[object, ...] = ()) -> object:
        seen.setdefault(sql, parameters)
        return execute(sql, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "execute", spy)
    order = registered(store, "a", idempotency_key="k")
    with store.transaction():
        store.mark_sent(order, later(1), "envelope")
        store.mark_unknown("a", "timeout", later(1), "envelope")
        store.accept("a", "1", later(1), "envelope")
        store.accept("a", "2", later(1), "envelope")
        store.report(
            "a", report(BrokerStatus.COMPLETE, "1", filled_quantity=100), (fill("t", 100),), later(2), "envelope"
        )
        store.fail("a", Status.CREATED, Tag.NEVER_SENT, "x", later(2), "envelope")
        store.absent("a", "x", later(2), "envelope")
        store.order_by_key("FA1", "k")
        store.created_orders()
        store.open_orders()
        store.orders_sent_on(order.trading_day)
        duplicate = store.register(an_order("b", symbol="B"), T0, "envelope")
        store.mark_sent(duplicate, later(60), "envelope")
    monkeypatch.undo()
    tables = ("orders", "order_events", "fills")
    explain = "EXPLAIN QUERY PLAN " if "sqlite" in str(type(database.peewee)).lower() else "EXPLAIN "
    whole = []
    for sql, parameters in seen.items():
        if not any(word in sql for word in ("SELECT", "UPDATE", "INSERT")) or "pg_" in sql:
            continue
        for line in database.execute(explain + sql, parameters).fetchall():  # type: ignore[arg-type]
            text = str(line[-1])
            reads_all = text.startswith("SCAN") or "Seq Scan" in text
            if reads_all and any(f" {table}" in text or f"on {table}" in text for table in tables):
                by_partial_index = "USING INDEX orders_created" in text or "USING INDEX orders_one_open" in text
                if not by_partial_index:
                    whole.append(f"{sql}: {text}")
    assert len(seen) > 15
    assert whole == []
