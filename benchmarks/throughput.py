"""Orders a second through the whole path, alone and beside much that is there already; restart; memory.

    python benchmarks/throughput.py [--rounds 3] [--orders 1000] [--burst 10000] [--old-rows 1000000]
                                    [--resting 10000] [--directory DIR] [--only empty|history|restart|memory]

The whole cast on threads with its SQLite database (WAL, synchronous=FULL) and trace files as in the service, and a
broker object that answers at once; its order book shows the orders it took. An actor submits as a strategy does. Timed
from the submission to the `OrderAnswer`, which is after the broker_order_id was committed: three durable commits.

- one at a time: the next order is submitted when the one before was answered.
- burst: all at once; a second is counted until the last answer. Commits are shared by what stands in the mailbox.
- empty, and beside history: resting orders that the broker's book shows OPEN, and old rows, each with four events and
  a fill, on twenty earlier days. Both in turn, each round on a fresh copy.
- restart: a new process on a database with the old rows and 1,000 open orders, until orders are taken.
- memory: the peak of a process that takes a day of orders, all filled, entries and exits of 2,000 strategies.

Left out: HTTP entry points, the wire to the broker and the parsing of its books, market data, a busy strategy,
PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import AtOnce, Run, Sixstep, intent_number, machine, open_report, quantile, say, settings_for
from loguru import logger

from core.model.broker import BrokerOrderReport
from core.model.calendar import trading_day
from core.model.order import ExecutionType, Order, OrderIntent, Side, Source, Status
from core.store import Store

DAYS = 20
STRATEGIES = 2_000
OPEN_AT_RESTART = 1_000
DAY_OF_ORDERS = 50_000
RUN = "bench"

# An old order as the store has written it: registered, sent, numbered, filled. `n` is its number, `d` its day.
_DAY = f"date('2025-01-01', '+' || (n % {DAYS}) || ' days')"
_NUMBERS = f"""
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :rows),
olds AS (
    SELECT n, {_DAY} AS d, printf('%s-olden-%d', strftime('%y%m%d', {_DAY}), n) AS c,
        printf('%sT04:%02d:%02d.%06d+00:00', {_DAY}, n / 60 % 60, n % 60, n % 1000000) AS t
    FROM numbers
)"""
_OLD_ORDERS = f"""{_NUMBERS}
INSERT INTO orders (command_id, account, strategy, source, execution_type, exchange, symbol, side, quantity,
    requested_quantity, product, requested_product, order_type, price, validity, deadline, status, unknown,
    broker_order_id, filled_quantity, average_price, created_at, updated_at, trading_day, run)
SELECT c, :account, 'old' || (n % 50), 'WEBHOOK', 'ENTRY', 'NSE', 'SYMBOL' || (n % 200) || '-EQ', 'BUY', 50, 50, 'MIS',
    'MIS', 'LIMIT', '1500.05', 'DAY', t, 'EXECUTED', FALSE, printf('%014d', n), 50, '1500.0500', t, t, d, 'olden'
FROM olds ORDER BY c"""
_OLD_EVENTS = f"""{_NUMBERS}, steps(seq, before, after, number, filled) AS (VALUES (1, NULL, 'CREATED', 0, 0),
    (2, 'CREATED', 'SENT_TO_BROKER', 0, 0), (3, 'SENT_TO_BROKER', 'SENT_TO_BROKER', 1, 0),
    (4, 'SENT_TO_BROKER', 'EXECUTED', 1, 50))
INSERT INTO order_events (command_id, seq, at, from_status, to_status, cause, quantity, product, unknown,
    broker_order_id, filled_quantity, average_price)
SELECT c, seq, t, before, after, 'olden:' || n, 50, 'MIS', FALSE, CASE number WHEN 1 THEN printf('%014d', n) END,
    filled, CASE filled WHEN 50 THEN '1500.0500' END
FROM olds, steps ORDER BY c, seq"""
_OLD_FILLS = f"""{_NUMBERS}
INSERT INTO fills (command_id, account, trading_day, exchange, broker_trade_id, broker_order_id, quantity, price, at,
    booked_at)
SELECT c, :account, d, 'NSE', 't' || n, printf('%014d', n), 50, '1500.05', t, t FROM olds"""


def make_history(file: Path, rows: int, account: str) -> None:
    """A database with so many orders of days gone by, every one executed and closed again."""
    Store.open(f"sqlite:///{file}").close()
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF; PRAGMA cache_size=-400000; BEGIN")
    # The triggers hold the way a row takes; these come as they ended.
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in (_OLD_ORDERS, _OLD_EVENTS, _OLD_FILLS):
        wanted = {"rows": rows, "account": account} if ":account" in statement else {"rows": rows}
        connection.execute(statement, wanted)
    for _, sql in triggers:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def add_resting(file: Path, orders: int, account: str) -> tuple[BrokerOrderReport, ...]:
    """Orders of today, sent and numbered, written by the store; returns the rows of the broker's book for them."""
    store = Store.open(f"sqlite:///{file}")
    now = datetime.now(UTC)
    reports = []
    with store.transaction():
        store.start_run(RUN, now)
        for number in range(1, orders + 1):
            intent = replace(intent_number(number), strategy=f"r{number}")
            order = _order(f"{trading_day(now):%y%m%d}-{RUN}-{number}", intent, account, now)
            store.register(order, now, f"{RUN}:1")
            store.mark_sent(order, now, f"{RUN}:2")
            store.accept(order.command_id, f"{number:014d}", now, f"{RUN}:3")
            reports.append(open_report(order, f"{number:014d}"))
    store.close()
    return tuple(reports)


def _order(command_id: str, intent: OrderIntent, account: str, now: datetime) -> Order:
    return Order(
        command_id=command_id,
        account=account,
        source=Source.WEBHOOK,
        intent=intent,
        quantity=intent.quantity,
        product=intent.product,
        status=Status.CREATED,
        created_at=now,
        updated_at=now,
        trading_day=trading_day(now),
        deadline=now + timedelta(seconds=60),
    )


class Cases:
    """What is measured, in a directory that keeps the old rows between rounds."""

    def __init__(self, directory: Path, given: argparse.Namespace) -> None:
        self._directory = directory
        self._given = given
        self._account = settings_for(directory).account
        self._kept = 0

    def history(self) -> Path:
        """The file with the old rows, made at its first use."""
        file = self._directory / f"history-{self._given.old_rows}.db"
        if not file.exists():
            started = time.perf_counter()
            making = file.with_suffix(".making")
            make_history(making, self._given.old_rows, self._account)
            making.rename(file)
            size = file.stat().st_size / 2**30
            say(f"made {self._given.old_rows:,} old rows in {time.perf_counter() - started:.0f} s, {size:.1f} GiB")
        return file

    def fresh(self, *, resting: int) -> tuple[Path, tuple[BrokerOrderReport, ...]]:
        """A directory with a copy of the old rows and with resting orders."""
        place = Path(tempfile.mkdtemp(dir=self._directory))
        shutil.copyfile(self.history(), place / "path.db")
        return place, add_resting(place / "path.db", resting, self._account)

    def run_in(self, place: Path, resting: tuple[BrokerOrderReport, ...]) -> dict[str, Run]:
        addresses = Sixstep(place, AtOnce(resting))
        try:
            addresses.submit(200, 1)
            addresses.settle()
            one = addresses.submit(self._given.orders, 1)
            addresses.settle()
            return {"one at a time": one, f"burst of {self._given.burst}": addresses.submit(self._given.burst, 0)}
        finally:
            addresses.close()

    def empty(self) -> dict[str, Run]:
        place = Path(tempfile.mkdtemp(dir=self._directory))
        try:
            return self.run_in(place, ())
        finally:
            shutil.rmtree(place)

    def beside_history(self) -> dict[str, Run]:
        place, resting = self.fresh(resting=self._given.resting)
        try:
            return self.run_in(place, resting)
        finally:
            shutil.rmtree(place)


def compare(cases: Cases, given: argparse.Namespace) -> None:
    """Empty and beside history, in turn."""
    measured = {"empty": cases.empty}
    if given.only != "empty":
        measured["beside history"] = cases.beside_history
        cases.history()
    runs: dict[str, dict[str, list[Run]]] = {}
    for _ in range(given.rounds):
        for case, measure in measured.items():
            for label, run in measure().items():
                say(f"  {case:15} {label:15} {run}")
                runs.setdefault(label, {}).setdefault(case, []).append(run)
    for label, by_case in runs.items():
        say(f"{label}:")
        for case, found in by_case.items():
            say(f"  {case:15} median {quantile([run.per_second for run in found], 0.5):6.0f} orders/s")
        if len(by_case) == 2:
            seconds, cpu = (
                [quantile([value(run) for run in found], 0.5) for found in by_case.values()]
                for value in (lambda run: run.seconds, lambda run: run.cpu_s)
            )
            say(f"  ratio history/empty: time {seconds[1] / seconds[0]:.2f}, CPU {cpu[1] / cpu[0]:.2f}")


def restart(cases: Cases, rounds: int) -> None:
    """From the start of a process until it takes orders."""
    place, resting = cases.fresh(resting=OPEN_AT_RESTART)
    times, inside = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        command = [sys.executable, __file__, "--child", f"restart:{place}:{len(resting)}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            inside.append(json.loads(process.stdout.readline())["seconds"])
            times.append(time.perf_counter() - started)
    shutil.rmtree(place)
    say(f"restart to ready: {quantile(times, 0.5):.2f} s from the start of the process (slowest {max(times):.2f} s),")
    say(f"  {quantile(inside, 0.5):.2f} s of it from opening the database; {rounds} starts")


def restart_child(place: Path, resting: int) -> None:
    reports = []
    store = Store.open(f"sqlite:///{place / 'path.db'}", read_only=True)
    for order in store.open_orders():
        assert order.broker_order_id is not None
        reports.append(open_report(order, order.broker_order_id))
    store.close()
    assert len(reports) == resting
    started = time.perf_counter()
    addresses = Sixstep(place, AtOnce(tuple(reports)))
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
    sys.stdout.flush()
    addresses.close()


def memory(directory: Path) -> None:
    place = Path(tempfile.mkdtemp(dir=directory))
    command = [sys.executable, __file__, "--child", f"memory:{place}:{DAY_OF_ORDERS}"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    told = json.loads(output.splitlines()[-1])
    shutil.rmtree(place)
    say(
        f"peak memory of a day of {DAY_OF_ORDERS:,} orders: {told['peak']:.0f} MiB ({told['start']:.0f} MiB when ready)"
    )
    say(f"  {told['executed']:,} executed, in {told['seconds']:.0f} s")


def day_intent(number: int) -> OrderIntent:
    """Entries of all strategies, then their exits, and again."""
    wave, strategy = divmod(number - 1, STRATEGIES)
    intent = replace(intent_number(strategy), strategy=f"s{strategy}")
    if wave % 2:
        return replace(intent, execution_type=ExecutionType.EXIT, side=Side.SELL)
    return intent


def memory_child(place: Path, orders: int) -> None:
    addresses = Sixstep(place, AtOnce(fills=True))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    reader = sqlite3.connect(place / "path.db")
    for _ in range(orders // STRATEGIES):
        run = addresses.submit(STRATEGIES, 50, make=day_intent)
        assert not run.refused, run.refused[0]
        while reader.execute("SELECT COUNT(*) FROM orders WHERE status = 'SENT_TO_BROKER'").fetchone()[0]:
            time.sleep(0.1)
        addresses.settle()
    executed = reader.execute("SELECT COUNT(*) FROM orders WHERE status = 'EXECUTED'").fetchone()[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    addresses.close()
    told = {"start": start, "peak": peak, "executed": executed, "seconds": time.perf_counter() - began}
    say(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=1_000, help="one at a time")
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--old-rows", type=int, default=1_000_000)
    parser.add_argument("--resting", type=int, default=10_000)
    parser.add_argument("--directory", type=Path, help="keeps the old rows for the next time; temporary by default")
    parser.add_argument("--only", choices=("empty", "history", "restart", "memory"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logger.remove()
    if given.child:
        what, place, number = given.child.split(":")
        {"restart": restart_child, "memory": memory_child}[what](Path(place), int(number))
        return
    say(machine())
    with tempfile.TemporaryDirectory() as name:
        directory = given.directory or Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        cases = Cases(directory, given)
        if given.only in (None, "empty", "history"):
            compare(cases, given)
        if given.only in (None, "restart"):
            restart(cases, given.rounds)
        if given.only in (None, "memory"):
            memory(directory)


if __name__ == "__main__":
    main()
