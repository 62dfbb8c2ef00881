"""What live prices cost: so many instruments at so many ticks a second each, from the broker's socket to a strategy.

    python benchmarks/prices.py [--instruments N] [--ticks N] [--seconds N] [--json]

A process of its own speaks the broker's side: a whole frame for each instrument, then frames of what changed, evenly
over the second, and four order updates a second among them. Measured is the process with the push feed, the actors
OrderFeed and Prices, and one strategy that follows every instrument: its CPU, what reached the strategy, and how long
an order update took from the broker's side to OrderWatcher. Left out: the other actors, and TLS.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from actors.addresses import Addresses
from actors.order_feed import OrderFeed
from actors.prices import Prices
from benchmarks.common import machine, quantile, say
from core.instruments import InstrumentIndex
from core.messages import (
    Alert,
    FeedSession,
    FeedState,
    MoreTicks,
    OrderPushed,
    PushesMissed,
    ReadQuote,
    SubscribePrices,
    TicksTold,
)
from core.model.instrument import Instrument, Kind
from core.noren import PushFeed, profile
from core.rules.prices import PriceBook
from core.runtime import Actor, Runtime, SystemClock, ThreadRuntime, freeze_start, tune_interpreter

BURSTS_A_S = 20
UPDATES_EVERY = 5
WARM_S = 3.0


def broker(port: Connection, ticks: int) -> None:
    """The broker's side, in a process of its own."""

    def act(socket: ServerConnection) -> None:
        json.loads(socket.recv())
        socket.send('{"t":"ck","s":"OK"}')
        tokens: list[str] = []
        try:
            while True:
                frame = read(socket, 0.0 if tokens else None)
                if frame is None:
                    break
                if frame["t"] == "t":
                    tokens += [key.partition("|")[2] for key in frame["k"].split("#")]
            for token in tokens:
                socket.send(whole(token))
            push(socket, tokens, ticks)
        except ConnectionClosed:
            return

    with serve(act, "127.0.0.1", 0, compression=None) as server:
        port.send(server.socket.getsockname()[1])
        server.serve_forever()


def read(socket: ServerConnection, wait_s: float | None) -> dict[str, Any] | None:
    try:
        return dict(json.loads(socket.recv(timeout=None if wait_s is None else 0.5)))
    except TimeoutError:
        return None


def whole(token: str) -> str:
    fields = {"ts": f"S{token}-EQ", "pp": "2", "ti": "0.05", "ls": "1", "lp": "1500.00", "o": "1490.00", "h": "1510.00"}
    fields |= {"l": "1480.00", "c": "1495.00", "v": "100000", "lc": "1345.50", "uc": "1644.50", "bp1": "1499.95"}
    return json.dumps({"t": "tk", "e": "NSE", "tk": token, **fields, "bq1": "100", "sp1": "1500.05", "sq1": "100"})


def push(socket: ServerConnection, tokens: list[str], ticks: int) -> None:
    """Frames of change evenly over the second, each with what a trade changes, and order updates among them."""
    a_burst = len(tokens) * ticks // BURSTS_A_S
    began, sent = time.monotonic(), 0
    for burst in range(10**9):
        for _ in range(a_burst):
            token, move = tokens[sent % len(tokens)], sent * 7 % 100
            lp = f"{1500 + move / 20:.2f}"
            change = {"t": "tf", "e": "NSE", "tk": token, "lp": lp, "bp1": lp, "sp1": f"{1500.05 + move / 20:.2f}"}
            socket.send(json.dumps({**change, "bq1": str(100 + move), "v": str(100000 + sent), "ft": "1793681400"}))
            sent += 1
        if burst % UPDATES_EVERY == 0:
            update = {"t": "om", "norenordno": str(burst), "exch": "NSE", "tsym": "S1-EQ", "trantype": "B", "qty": "1"}
            remarks = f"{time.time():.6f}"
            socket.send(json.dumps({**update, "status": "OPEN", "reporttype": "New", "remarks": remarks}))
        time.sleep(max(0.0, began + (burst + 1) / BURSTS_A_S - time.monotonic()))


class Watcher(Actor):
    """In OrderWatcher's place: notes how long each order update was under way."""

    def __init__(self, runtime: Runtime, name: str, *, took: list[float]) -> None:
        super().__init__(runtime, name)
        self._took = took

    def on_pushed(self, message: OrderPushed | PushesMissed | FeedState) -> None:
        if isinstance(message, OrderPushed):
            self._took.append(time.time() - float(message.report.client_tag or 0))


class Silent(Actor):
    """In the place of those who are told of trouble, of which there is none."""

    def on_anything(self, _: Alert | ReadQuote) -> None:
        pass


class Follower(Actor):
    """A strategy that follows everything."""

    def __init__(self, runtime: Runtime, name: str, *, counts: list[int]) -> None:
        super().__init__(runtime, name)
        self._counts = counts

    def on_ticks_told(self, message: TicksTold) -> None:
        self._counts[0] += len(message.quotes)
        self._counts[1] += sum(quote.missed for quote in message.quotes)
        self.tell_name("prices", MoreTicks())


@contextmanager
def no_file(index: InstrumentIndex) -> Iterator[InstrumentIndex]:
    yield index


def index_of(names: list[str]) -> InstrumentIndex:
    index = InstrumentIndex.in_memory()
    for number, symbol in enumerate(names):
        index.remember(Instrument(exchange="NSE", symbol=symbol, token=str(number), kind=Kind.SHARE))
    return index


class Told(Prices):
    """Prices with its index on its own thread."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses, names: list[str]) -> None:
        self._names = names
        super().__init__(
            runtime,
            name,
            addresses=addresses,
            book=PriceBook(Decimal("0.1")),
            silence_s=600.0,
            open_index=lambda: no_file(self._index),
            is_open=lambda _exchange, _at: True,
        )

    def started(self) -> None:
        self._index = index_of(self._names)


def measure(instruments: int, ticks: int, seconds: float) -> dict[str, float]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=broker, args=(theirs, ticks), daemon=True)
    process.start()
    url = f"ws://127.0.0.1:{ours.recv()}/"
    clock = SystemClock()
    runtime = ThreadRuntime(clock)
    addresses = Addresses.of(runtime)
    took: list[float] = []
    counts = [0, 0]
    names = [f"S{number}-EQ" for number in range(instruments)]
    for name in ("notifier", "broker_proxy"):
        runtime.spawn(Silent, name)
    runtime.spawn(Watcher, "order_watcher", took=took)
    runtime.spawn(Follower, "strategy:all", counts=counts)
    runtime.spawn(Told, "prices", addresses=addresses, names=names)
    to = profile("paper", host="http://127.0.0.1:9", websocket=url)
    limits = {"connect_timeout_s": 5.0, "ack_timeout_s": 5.0, "silence_s": 60.0}
    runtime.spawn(
        OrderFeed,
        "order_feed",
        addresses=addresses,
        open_feed=lambda deliver: PushFeed(to, "FA00001", clock=clock, deliver=deliver, **limits),
    )
    runtime.tell("prices", SubscribePrices("NSE", tuple(names), "strategy:all"))
    runtime.barrier("prices", 30.0)
    runtime.tell("order_feed", FeedSession("token"))
    pause = threading.Event()
    pause.wait(WARM_S)
    took.clear()
    before, cpu, wall = list(counts), time.process_time(), time.monotonic()
    pause.wait(seconds)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    told, missed = (now - then for now, then in zip(counts, before, strict=True))
    delays = sorted(took)
    runtime.stop(5.0)
    process.terminate()
    return {
        "instruments": instruments,
        "ticks_a_s": instruments * ticks,
        "told_a_s": round(told / wall),
        "missed_a_s": round(missed / wall),
        "cpu_percent": round(100 * cpu / wall, 1),
        "order_update_p50_ms": round(1000 * quantile(delays, 0.5), 2),
        "order_update_p99_ms": round(1000 * quantile(delays, 0.99), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--ticks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    tune_interpreter()
    freeze_start()
    head = machine()
    found = measure(given.instruments, given.ticks, given.seconds)
    if given.json:
        sys.stdout.write(json.dumps({"benchmark": "prices", "machine": head, **found}) + "\n")
        return
    say(head)
    for name, value in found.items():
        say(f"{name:<22} {value}")


if __name__ == "__main__":
    main()
