"""What recording an order costs beside the bare durable commit under it, on SQLite and PostgreSQL, in one run.

    python benchmarks/store.py [--orders N] [--rounds N] [--old-rows N] [--engine sqlite|postgresql] [--directory DIR]

Each figure is the median time of one operation with its own transaction and commit, as OrderRepo pays it for an order
that comes alone. There are two floors, on the same connection with the same settings. `bare INSERT` is BEGIN, one
INSERT of the same values into a table without keys, indexes or constraints, COMMIT; the ratios are to this one. `bare
rows` inserts what no record can do without, the order and its event, into two tables with their primary keys only. All
are measured in turn, order by order, so that a slow moment of the disk falls on all. `--old-rows` fills the database
first, to see whether history costs anything.

Left out on purpose: everything outside the store (actors, trace, broker). PostgreSQL runs on this machine, reached over
a Unix socket: a network adds a round trip per statement. Figures, with machine and date, are printed and stand in
`docs/store.md`.
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from time import perf_counter_ns

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Fill, Order, OrderIntent, OrderType, Product, Side, Source, Status
from core.store import NotMarked, Store
from core.store.values import COLUMNS, order_values, time_text

DAY = date(2026, 3, 2)
MORNING = datetime(2026, 3, 2, 3, 45, tzinfo=UTC)
OPERATIONS = ("bare INSERT", "bare rows", "register", "mark_sent", "accept", "report")


def order_number(number: int) -> Order:
    """The `number`th order of the day: a strategy and symbol of its own, so that all may be open at once."""
    at = MORNING + timedelta(milliseconds=number)
    intent = OrderIntent(
        strategy=f"strategy-{number % 50}",
        execution_type=ExecutionType.ENTRY,
        exchange="NSE",
        symbol=f"SYMBOL{number}-EQ",
        side=Side.BUY,
        quantity=100,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=Decimal("1500.50"),
        idempotency_key=f"alert-{number:012d}",
    )
    return Order(
        command_id=f"260302-k7q2xw-{number}",
        account="FA12345",
        source=Source.WEBHOOK,
        intent=intent,
        quantity=100,
        product=Product.MIS,
        status=Status.CREATED,
        created_at=at,
        updated_at=at,
        trading_day=DAY,
        deadline=at + timedelta(seconds=30),
    )


def in_transaction(store: Store, operation: Callable[[], object]) -> float:
    """Microseconds of one operation with its own durable commit."""
    begin = perf_counter_ns()
    with store.transaction(), store.savepoint():
        operation()
    return (perf_counter_ns() - begin) / 1000


def bare_insert(store: Store, order: Order) -> float:
    """Microseconds of the floor: one INSERT of the same values, and its durable commit."""
    database = store.database
    values = order_values(order, time_text(order.updated_at), None)
    sql = f"INSERT INTO bare VALUES ({', '.join('?' * len(values))})"
    begin = perf_counter_ns()
    with database.transaction():
        database.write(sql, values)
    return (perf_counter_ns() - begin) / 1000


def bare_rows(store: Store, order: Order) -> float:
    """Microseconds of an order and its event in tables that have nothing but their primary keys."""
    database = store.database
    at = time_text(order.updated_at)
    values = order_values(order, at, None)
    sql = f"INSERT INTO bare_orders VALUES ({', '.join('?' * len(values))})"
    event = (order.command_id, 1, at, "CREATED", "k7q2xw-1001", 100, "MIS")
    begin = perf_counter_ns()
    with database.transaction():
        database.write(sql, values)
        database.write("INSERT INTO bare_events VALUES (?, ?, ?, ?, ?, ?, ?)", event)
    return (perf_counter_ns() - begin) / 1000


def make_bare_tables(store: Store) -> None:
    """The tables of the two floors. Integers and booleans are typed, for PostgreSQL would refuse them as text."""
    typed = {9: "BIGINT", 10: "BIGINT", 22: "BOOLEAN", 24: "BIGINT"}
    columns = [f"c{place} {typed.get(place, 'TEXT')}" for place in range(len(COLUMNS))]
    with store.transaction():
        store.database.write(f"CREATE TABLE bare ({', '.join(columns)})")
        columns[0] += " PRIMARY KEY"
        store.database.write(f"CREATE TABLE bare_orders ({', '.join(columns)})")
        store.database.write(
            "CREATE TABLE bare_events (command_id TEXT, seq BIGINT, at TEXT, status TEXT, cause TEXT, "
            "quantity BIGINT, product TEXT, PRIMARY KEY (command_id, seq))"
        )


def one_order(store: Store, numbers: Iterator[int]) -> Iterator[float]:
    """Take one order through its life; yields the time of each of `OPERATIONS`."""
    number = next(numbers)
    order = order_number(number)
    at = order.created_at
    broker_order_id = f"2603020{number:08d}"
    report = BrokerOrderReport(
        broker_order_id=broker_order_id,
        client_tag=order.command_id,
        exchange="NSE",
        symbol=order.symbol,
        side=Side.BUY,
        quantity=100,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=100,
    )
    fills = (Fill(f"trade-{number}", 100, Decimal("1500.45"), at),)
    yield bare_insert(store, order)
    yield bare_rows(store, order)
    yield in_transaction(store, lambda: store.register(order, at, "k7q2xw-1001"))
    yield in_transaction(store, lambda: marked(store, order, at))
    yield in_transaction(store, lambda: store.accept(order.command_id, broker_order_id, at, "k7q2xw-1009"))
    yield in_transaction(store, lambda: store.report(order.command_id, report, fills, at, "k7q2xw-1015"))


def marked(store: Store, order: Order, at: datetime) -> None:
    outcome = store.mark_sent(order, at, "k7q2xw-1006")
    assert not isinstance(outcome, NotMarked), outcome.reason


def fill_with_history(store: Store, rows: int, numbers: Iterator[int]) -> None:
    """Finished orders of earlier days, a thousand to a transaction."""
    for first in range(0, rows, 1000):
        with store.transaction():
            for _ in range(min(1000, rows - first)):
                number = next(numbers)
                order = replace(order_number(number), trading_day=DAY - timedelta(days=1 + number % 200))
                store.register(order, order.created_at, "old")
                marked(store, order, order.created_at)
                number_text = f"OLD{number}"
                store.accept(order.command_id, number_text, order.created_at, "old")
                report = BrokerOrderReport(
                    broker_order_id=number_text,
                    client_tag=order.command_id,
                    exchange="NSE",
                    symbol=order.symbol,
                    side=Side.BUY,
                    quantity=100,
                    status=BrokerStatus.CANCELLED,
                    raw_status="CANCELED",
                )
                store.report(order.command_id, report, (), order.created_at, "old")


def measure(name: str, url: str, orders: int, rounds: int, old_rows: int) -> None:
    """Print a table for one engine."""
    store = Store.open(url)
    make_bare_tables(store)
    numbers = count(1)
    fill_with_history(store, old_rows, numbers)
    for _ in range(200):
        list(one_order(store, numbers))
    ratios: list[list[float]] = []
    times: list[list[float]] = [[] for _ in OPERATIONS]
    for _ in range(rounds):
        samples = [list(one_order(store, numbers)) for _ in range(orders)]
        by_operation = [sorted(sample) for sample in zip(*samples, strict=True)]
        medians = [statistics.median(sample) for sample in by_operation]
        ratios.append([median / medians[0] for median in medians])
        for mine, sample in zip(times, by_operation, strict=True):
            mine.extend(sample)
    print(f"\n{name}, {old_rows} old rows, {rounds} rounds of {orders} orders")
    print(f"{'operation with its commit':28}{'p50 us':>9}{'p99 us':>9}{'ratio':>8}{'lowest':>8}{'highest':>9}")
    for place, operation in enumerate(OPERATIONS):
        sample = sorted(times[place])
        of_rounds = [ratio[place] for ratio in ratios]
        print(
            f"{operation:28}{statistics.median(sample):9.0f}{sample[int(len(sample) * 0.99)]:9.0f}"
            f"{statistics.median(of_rounds):8.2f}{min(of_rounds):8.2f}{max(of_rounds):9.2f}"
        )
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="What recording an order costs beside the bare durable commit.")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--old-rows", type=int, default=0)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--directory", type=Path, help="Where the databases are made; default: a temporary directory.")
    arguments = parser.parse_args()
    engines = arguments.engine or ["sqlite", "postgresql"]
    print(f"{platform.platform()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        sizes = (arguments.orders, arguments.rounds, arguments.old_rows)
        if "sqlite" in engines:
            measure("SQLite", f"sqlite:///{directory}/record.db", *sizes)
        if "postgresql" in engines:
            sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
            from tests.store.databases import postgresql_server

            with postgresql_server(Path(directory)) as schemas:
                measure("PostgreSQL", schemas.empty(), *sizes)


if __name__ == "__main__":
    main()
