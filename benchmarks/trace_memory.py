"""What a day of large order books and many orders leaves in memory and on disk.

    python benchmarks/trace_memory.py [--reads 1000] [--rows 2000] [--orders 50000] [--directory DIR]

Watcher and tracer as in the service, driven in virtual time: each second an order book of `--rows` filled orders, of
which two have changed, is decoded and read as the client does, compared by the watcher, and traced; beside it the
envelopes of `--orders` orders, twenty each, go through the tracer and its file. Printed: resident memory at a tenth and
at the end, the CPU time a read takes, bytes of trace an order. Left out: the broker's wire, the database, the other
actors.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from actors.addresses import Addresses
from actors.order_watcher import OrderWatcher
from core.messages import (
    Alert,
    BrokerReadable,
    GetOpenOrders,
    OpenOrders,
    OrderBookRead,
    OrderSettled,
    PlaceOrder,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordReport,
)
from core.messages.envelope import Envelope
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order, OrderIntent, OrderType, Product, Side, Source, Status
from core.noren import parse
from core.noren.classify import row_texts
from core.noren.transport import Delivery, RawReply
from core.runtime import Actor, Outcome, StepRuntime, Tracer, VirtualClock

_NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
_LETTERS = 20


class _Deaf(Actor):
    """Stands for the rest of the actors."""

    def on_anything(
        self,
        message: Alert | BrokerReadable | GetOpenOrders | ReadOrderBook | ReadPositions | ReadTradeBook | RecordReport,
    ) -> None:
        """Takes everything."""


def _order(number: int) -> Order:
    intent = OrderIntent(
        strategy="alpha",
        execution_type=ExecutionType.ENTRY,
        exchange="NSE",
        symbol="INFY-EQ",
        side=Side.BUY,
        quantity=50,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=Decimal("1500.00"),
    )
    return Order(
        command_id=f"261123-bench-{number}",
        account="PAPER",
        source=Source.WEBHOOK,
        intent=intent,
        quantity=50,
        product=Product.MIS,
        status=Status.EXECUTED,
        created_at=_NOON,
        updated_at=_NOON,
        trading_day=_NOON.date(),
        deadline=_NOON + timedelta(seconds=30),
        broker_order_id=f"26112300{number:06}",
        filled_quantity=50,
        average_price=Decimal("1500.00"),
    )


def _row(number: int) -> dict[str, str]:
    said = {
        "stat": "Ok",
        "norenordno": f"26112300{number:06}",
        "remarks": f"261123-bench-{number}",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "trantype": "B",
        "qty": "50",
        "status": "COMPLETE",
        "fillshares": "50",
        "avgprc": "1500.00",
        "prc": "1500.00",
        "prd": "I",
    }
    return said | {f"field{number}": "something a broker says of every order" for number in range(20)}


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        _run(given.reads, given.rows, given.orders, Path(directory))


def _run(reads: int, rows: int, orders: int, directory: Path) -> None:
    clock = VirtualClock(_NOON)
    tracer = Tracer(clock, ring=20_000, directory=directory, threaded=False)
    runtime = StepRuntime(clock, tracer)
    addresses = Addresses.of(runtime)
    for name in Addresses.__dataclass_fields__:
        if name != "order_watcher":
            runtime.spawn(_Deaf, name)
    runtime.spawn(OrderWatcher, "order_watcher", addresses=addresses, calendar=TradingCalendar(), interval_s=3600.0)
    runtime.run_until_idle()
    runtime.tell("order_watcher", OpenOrders(()))
    for number in range(rows):
        runtime.tell("order_watcher", OrderSettled(_order(number)))
    runtime.run_until_idle()
    tracer.flush()
    reader, book, written, spent = parse.RowMemory(parse.order_report), [_row(number) for number in range(rows)], 0, 0.0
    for read in range(reads):
        for number in (read % rows, (read * 7) % rows):
            book[number]["rejreason"] = str(read)
        text = json.dumps(book)
        reply = RawReply(Delivery.ANSWERED, 200, text)
        began = time.process_time()
        reports = reader.book(row_texts(reply) or [], [])
        runtime.tell("order_watcher", OrderBookRead(reports, clock.steady(), clock.now()))
        runtime.run_until_idle()
        tracer.flush()
        spent += time.process_time() - began
        clock.advance(1.0)
        while written < orders * (read + 1) // reads:
            _trace_order(tracer, written)
            written += 1
        if read + 1 in (reads // 10, reads):
            gc.collect()
            print(
                f"after {read + 1} reads of {rows} rows and {written} orders: {_resident_mb():.0f} MB resident, "
                f"{tracer.ring_bytes / 1e6:.1f} MB reckoned for the trace in memory"
            )
    size = sum(file.stat().st_size for file in directory.iterdir())
    print(f"one read: {spent / reads * 1000:.1f} ms; trace: {size / orders / 1000:.1f} kB an order of 20 envelopes")
    runtime.stop()


def _trace_order(tracer: Tracer, number: int) -> None:
    order = _order(1_000_000 + number)
    for envelope in range(_LETTERS):
        message = PlaceOrder(replace(order, filled_quantity=envelope))
        name = f"bench:{number * _LETTERS + envelope}"
        tracer.record(
            Envelope(name, order.command_id, name, "trading_bot", "broker_proxy", message, message.lane, 0.0),
            0.0,
            0.0,
            Outcome.DONE,
        )
    tracer.flush()


if __name__ == "__main__":
    main()
