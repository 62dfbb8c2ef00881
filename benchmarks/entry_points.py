"""What the entry points add to an order's way, and whether the pages stay live on a busy day, in one run.

    python benchmarks/entry_points.py [--orders 300] [--rounds 3] [--rows 5000] [--pages 20] [--directory DIR]

The way to the broker: from the moment an order is submitted to the moment `place_order` is called; in process, by a
message; and by POST /webhook and OpenAlgo's POST /api/v1/placeorder with keep-alive on loopback, from the moment the
client sends. All in turn on one whole cast with its real database, symbol files of the shares that are traded, and a
broker client that answers at once; all threads asleep before each order. CPU is that
of the whole process, so the client's own share is in it; it is measured alone, against a socket that answers at once
with the same bytes, and taken off.

The pages: a day of `--rows` orders, `--pages` streams of Orders and Now. Orders come by the webhook; told is the time
from sending until the row stands in a stream, until the slowest stream has it, and what an order's way to the broker
takes meanwhile. Left out: what a browser does with an event.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from common import SYMBOLS, AtOnce, Sixstep, intent_number, machine, quantile, say, settings_for
from loguru import logger
from pydantic import SecretStr

from actors.addresses import Addresses
from core.instruments import InstrumentIndex, open_for_reading
from core.instruments.symbol_file import read_symbol_file
from core.messages import SubmitOrder
from core.model.instrument import SymbolFile
from core.model.order import Source
from core.runtime import tune_interpreter
from core.settings import OpenAlgoSettings
from core.store import Store
from core.web import Gateway, WebServer, create_app

IDLE_S = 0.01
KEY = "a key of some length 0123456789"
SETTLE_S = 2.0


class Doored:
    """A cast with its web server."""

    def __init__(self, directory: Path) -> None:
        self.broker = AtOnce()
        self.addresses = Sixstep(directory, self.broker)
        runtime = self.addresses.runtime
        names = Addresses.of(runtime)
        url = f"sqlite:///{directory / 'path.db'}"
        settings = settings_for(directory)
        rate = {"requests_per_min": 1_000_000}
        own = OpenAlgoSettings(enabled=True, api_key=SecretStr(KEY), **rate)
        settings = settings.model_copy(update={"web": settings.web.model_copy(update=rate), "openalgo": own})
        list_shares(directory)
        app = create_app(
            Gateway(
                runtime=runtime,
                clock=runtime.clock,
                command_service=names.command_service,
                execution_guard=names.execution_guard,
                risk_manager=names.risk_manager,
                order_watcher=names.order_watcher,
                position_manager=names.position_manager,
                order_repo=names.order_repo,
                broker_proxy=names.broker_proxy,
                notifier=names.notifier,
                order_feed=names.order_feed,
                instruments=names.instruments,
                prices=names.prices,
                history=names.history,
                open_instruments=lambda: open_for_reading(directory),
                open_record=lambda: Store.open(url, read_only=True),
                trace=lambda command_id: [asdict(record) for record in runtime.tracer.envelopes_of(command_id)],
                timings=runtime.tracer.timings,
            ),
            settings,
        )
        self.web = WebServer(app, "127.0.0.1", 0, before_stop=app.state.close_streams)
        self.web.start()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.web.port)
        self._number = 0

    def body(self) -> tuple[str, bytes]:
        """A further order's strategy and body."""
        self._number += 1
        intent = intent_number(self._number)
        fields = {
            "strategy": intent.strategy,
            "execution_type": "ENTRY",
            "exchange": "NSE",
            "symbol": intent.symbol,
            "side": "BUY",
            "quantity": 50,
            "product": "MIS",
            "order_type": "LIMIT",
            "price": "1500.05",
        }
        return intent.strategy, json.dumps(fields).encode()

    def by_message(self) -> float:
        """Seconds from submit to the broker call."""
        self._number += 1
        intent = intent_number(self._number)
        box = self.addresses.runtime.open_reply()
        began = time.perf_counter()
        self.addresses.runtime.tell("command_service", SubmitOrder(intent, Source.STRATEGY, box.name))
        box.future.result(10)
        self.broker.called.acquire()
        return self.broker.at - began

    def by_webhook(self) -> float:
        """Seconds from sending the request to the broker call."""
        _, body = self.body()
        began = time.perf_counter()
        post(self.connection, body)
        self.broker.called.acquire()
        return self.broker.at - began

    def by_placeorder(self) -> float:
        """The same over OpenAlgo's API."""
        fields = json.loads(self.body()[1])
        body = json.dumps(
            {
                **{name: fields[name] for name in ("strategy", "exchange", "symbol", "product", "price")},
                **{"apikey": KEY, "action": fields["side"], "quantity": "50", "pricetype": fields["order_type"]},
            }
        ).encode()
        began = time.perf_counter()
        post(self.connection, body, "/api/v1/placeorder")
        self.broker.called.acquire()
        return self.broker.at - began

    def close(self) -> None:
        self.connection.close()
        self.web.stop()
        self.addresses.close()


def list_shares(directory: Path) -> None:
    """The index of instruments as a service has it, with the shares that are traded here."""
    rows = [f"NSE,{number + 1},1,SYMBOL{number},SYMBOL{number}-EQ,EQ,0.05," for number in range(SYMBOLS)]
    text = "\n".join(["Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,", *rows, ""])
    index = InstrumentIndex.open(directory)
    index.replace(SymbolFile("NSE", "made up", datetime.now(UTC), 0), read_symbol_file(text.encode(), "NSE"))
    index.close()


def post(connection: http.client.HTTPConnection, body: bytes, path: str = "/webhook") -> None:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status not in (200, 202):
        raise RuntimeError(f"HTTP {response.status}: {text!r}")


class Found:
    """Times in ms of one variant, to the broker call and to the answer, and its CPU seconds."""

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.answers: list[float] = []
        self.cpu = 0.0


def measure(variants: dict[str, Callable[[], float]], orders: int, rounds: int) -> dict[str, Found]:
    """Each variant after each order of the one before it; the first round is not counted."""
    pause = threading.Event()
    found = {name: Found() for name in variants}
    for number in range(orders * rounds + orders // 4):
        for name, once in variants.items():
            pause.wait(IDLE_S)
            cpu, began = time.process_time(), time.perf_counter()
            took = once()
            if number >= orders // 4:
                found[name].calls.append(took * 1000)
                found[name].answers.append((time.perf_counter() - began) * 1000)
                found[name].cpu += time.process_time() - cpu
    return found


def clients_own(orders: int) -> float:
    """CPU seconds an order costs the client alone."""
    listener = socket.create_server(("127.0.0.1", 0))
    answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}"

    def serve() -> None:
        accepted, _ = listener.accept()
        while accepted.recv(65536):
            accepted.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    connection = http.client.HTTPConnection(*listener.getsockname())
    began = time.process_time()
    for _ in range(orders):
        post(connection, b"x" * 190)
    took = time.process_time() - began
    connection.close()
    listener.close()
    return took / orders


class Stream(threading.Thread):
    """One open page; notes when each row first stood in it."""

    def __init__(self, port: int, page: str) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.began = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._connection.request("GET", f"/live?page={page}")
        self._response = self._connection.getresponse()
        self.rows = page == "/orders"

    def run(self) -> None:
        while line := self._response.readline():
            now = time.perf_counter()
            if line.startswith(b"data: "):
                self.began.set()
                for html in json.loads(line[6:]).get("rows", {}).get("html", {}).values():
                    # The strategy stands in a cell of its own.
                    if (cell := re.search(r"<td[^>]*>s(\d+)</td>", html)) is not None:
                        self.seen.setdefault(cell[1], now)


def pages(doored: Doored, rows: int, count: int, orders: int) -> None:
    for _ in range(rows):
        post(doored.connection, doored.body()[1])
        doored.broker.called.acquire()
    say(f"{rows} orders are in the day")
    streams = [Stream(doored.web.port, "/orders" if number % 2 == 0 else "/") for number in range(count)]
    for stream in streams:
        stream.start()
    for stream in streams:
        stream.began.wait(30)
    pause = threading.Event()
    pause.wait(SETTLE_S)
    cpu, began = time.process_time(), time.perf_counter()
    pause.wait(5.0)
    idle = (time.process_time() - cpu) / (time.perf_counter() - began)
    sent: dict[str, float] = {}
    ways: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(orders):
        pause.wait(0.1)
        strategy, body = doored.body()
        at = sent[strategy.removeprefix("s")] = time.perf_counter()
        post(doored.connection, body)
        doored.broker.called.acquire()
        ways.append((doored.broker.at - at) * 1000)
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    pause.wait(SETTLE_S)
    tables = [stream for stream in streams if stream.rows]
    shown = [(s.seen[name] - at) * 1000 for name, at in sent.items() for s in tables if name in s.seen]
    slowest = [
        max(s.seen[name] for s in tables) - at for name, at in sent.items() if all(name in s.seen for s in tables)
    ]
    say(f"{count} open pages on a day of {rows} orders, 10 further orders a second:")
    say(f"  rows shown: {len(shown)} of {len(sent) * len(tables)}")
    say(f"  order sent to row in a stream: p50 {quantile(shown, 0.5):.0f} ms, p99 {quantile(shown, 0.99):.0f} ms; ")
    say(f"  in the slowest stream: p50 {quantile(slowest, 0.5) * 1000:.0f} ms")
    say(f"  POST to broker call meanwhile: p50 {quantile(ways, 0.5):.2f} ms, p99 {quantile(ways, 0.99):.2f} ms")
    say(f"  CPU of the process, readers of the streams included: {idle:.0%} of a core idle, {busy:.0%} busy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=300, help="orders a round and variant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="where the database is; a fresh temporary one by default")
    given = parser.parse_args()
    logger.remove()
    say(machine())
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        doored = Doored(Path(name))
        variants = {
            "in process": doored.by_message,
            "by webhook": doored.by_webhook,
            "by placeorder": doored.by_placeorder,
        }
        found = measure(variants, given.orders, given.rounds)
        client = clients_own(given.orders)
        for label, one in found.items():
            each = one.cpu / len(one.calls) - (0.0 if label == "in process" else client)
            way = f"p50 {quantile(one.calls, 0.5):.2f} ms, p99 {quantile(one.calls, 0.99):.2f} ms"
            answer = f"to the answer p50 {quantile(one.answers, 0.5):.2f} ms"
            say(f"  {label}: submit to broker call {way}, {answer}; CPU up to it {each * 1000:.2f} ms")
        webhook, placed = found["by webhook"], found["by placeorder"]
        added = quantile(webhook.calls, 0.5) - quantile(found["in process"].calls, 0.5)
        say(f"  the webhook adds {added:.2f} ms at p50")
        calls = quantile(placed.calls, 0.5) / quantile(webhook.calls, 0.5)
        answers = quantile(placed.answers, 0.5) / quantile(webhook.answers, 0.5)
        say(f"  placeorder takes {calls:.2f} times the webhook to the broker call, {answers:.2f} times to the answer")
        pages(doored, given.rows, given.pages, 100)
        doored.close()


if __name__ == "__main__":
    tune_interpreter()
    main()
