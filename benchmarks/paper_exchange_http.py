"""What one paper exchange serves over HTTP: PlaceOrder a second, and its own CPU time per request.

    python benchmarks/paper_exchange_http.py [--orders N] [--connections N] [--accounts N] [--sockets N]

The exchange runs in a process of its own, as `run.py paper` runs it; this process only loads it, over keep-alive
connections on loopback, with accounts that each log in first. Orders are resting limit orders, so the books grow while
the figures are taken; an order that is refused fails the benchmark.

Left out on purpose: TLS, a real network, a client library (one request of NorenRestApiPy costs its caller some
milliseconds, most of it a new connection), fills, and the cost of reading the growing books.

Figures, with the machine and the date they were taken on, stand in `docs/paper-exchange.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import platform
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from websockets.asyncio.client import connect

from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer, run_paper
from core.runtime.clock import SystemClock

PREFIX = "/NorenWClientTP/"


def serve(ready: Connection) -> None:
    """Run the exchange until this process is told to stop."""

    def tell(server: PaperServer) -> None:
        ready.send((server.rest_url, server.ws_url))
        threading.Thread(target=count, daemon=True).start()

    def count() -> None:
        while ready.recv():
            ready.send(time.process_time())

    run_paper(ExchangeConfig(), on_ready=tell)


def cpu_time_s(server: Connection) -> float:
    """The CPU time that the exchange's process has used so far."""
    server.send(True)
    return float(server.recv())


class Caller:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, url: str) -> Caller:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        return cls(reader, writer, f"{host}:{port}")

    def request(self, path: str, values: dict[str, str], token: str = "") -> bytes:
        body = f"jData={json.dumps(values)}" + (f"&jKey={token}" if token else "")
        head = f"POST {PREFIX}{path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n"
        return f"{head}User-Agent: benchmark\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n{body}".encode()

    async def send(self, request: bytes) -> Any:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        reply = json.loads(await self._reader.readexactly(length))
        if isinstance(reply, dict) and reply.get("stat") != "Ok":
            raise SystemExit(f"the exchange refused: {reply}")
        return reply


def login(uid: str) -> dict[str, str]:
    """What QuickAuth takes; any account is known to an exchange without settings."""
    password = hashlib.sha256(b"paper").hexdigest()
    key = hashlib.sha256(f"{uid}|secret".encode()).hexdigest()
    return {"source": "API", "apkversion": "1.0.0", "uid": uid, "pwd": password, "factor2": "123456", "vc": f"{uid}_U",
            "appkey": key, "imei": "abc1234"}  # fmt: skip


def order(uid: str, number: int) -> dict[str, str]:
    """A small limit order that rests, as the library writes it."""
    return {"ordersource": "API", "uid": uid, "actid": uid, "trantype": "B", "prd": "I", "exch": "NSE",
            "tsym": "RELIANCE-EQ", "qty": "1", "dscqty": "0", "prctyp": "LMT", "prc": PRICE, "trgprc": "None",
            "ret": "DAY", "remarks": f"bench-{number}"}  # fmt: skip


PRICE = "1400.0"
"""Below the market of the shipped instrument and within its band."""


async def load(rest_url: str, ws_url: str, server: Connection, options: argparse.Namespace) -> None:
    """Log in, open sockets, place the orders, print the figures."""
    callers = [await Caller.open(rest_url) for _ in range(options.connections)]
    uids = [f"BENCH{number:03d}" for number in range(options.accounts)]
    tokens = {uid: (await callers[0].send(callers[0].request("QuickAuth", login(uid))))["susertoken"] for uid in uids}
    sockets = []
    for uid in uids[: options.sockets]:
        socket = await connect(ws_url, max_queue=None)
        await socket.send(json.dumps({"t": "c", "uid": uid, "actid": uid, "source": "API", "susertoken": tokens[uid]}))
        sockets.append(socket)
    share = options.orders // options.connections
    latencies: list[float] = []

    async def place(caller: Caller, first: int) -> None:
        for number in range(first, first + share):
            uid = uids[number % len(uids)]
            request = caller.request("PlaceOrder", order(uid, number), tokens[uid])
            start = time.perf_counter()
            await caller.send(request)
            latencies.append(time.perf_counter() - start)

    before, start = cpu_time_s(server), time.perf_counter()
    await asyncio.gather(*(place(caller, number * share) for number, caller in enumerate(callers)))
    took, cpu = time.perf_counter() - start, cpu_time_s(server) - before
    await check(callers[0], uids[0], tokens[uids[0]])
    report(options, latencies, took, cpu)
    for socket in sockets:
        socket.transport.abort()


async def check(caller: Caller, uid: str, token: str) -> None:
    """Fail unless the orders of one account rest at the exchange, as they are meant to."""
    rows = await caller.send(caller.request("OrderBook", {"uid": uid, "actid": uid}, token))
    states = {row["status"] for row in rows}
    if not states <= {"OPEN", "PENDING"}:
        raise SystemExit(f"the orders do not rest: {states}")


def report(options: argparse.Namespace, latencies: list[float], took_s: float, cpu_s: float) -> None:
    """Print what was measured, where and when."""
    latencies.sort()
    count = len(latencies)
    system = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    say = sys.stdout.write
    say(f"machine     {system}, Python {platform.python_version()}\n")
    say(f"date        {SystemClock().now():%Y-%m-%d}\n")
    say(f"load        {count} orders, {options.accounts} accounts, {options.connections} keep-alive connections, ")
    say(f"{options.sockets} sockets taking order updates\n")
    say(f"PlaceOrder  {count / took_s:,.0f} a second\n")
    say(f"server CPU  {cpu_s / count * 1e6:,.0f} us per request, {cpu_s / took_s:.0%} of one core\n")
    say(f"latency     median {latencies[count // 2] * 1e3:.1f} ms, 99 % {latencies[count * 99 // 100] * 1e3:.1f} ms\n")


def main() -> None:
    """Start the exchange, load it, stop it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=8000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--accounts", type=int, default=50)
    parser.add_argument("--sockets", type=int, default=0)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    try:
        if not ours.poll(30):
            raise SystemExit("the exchange did not start")
        rest_url, ws_url = ours.recv()
        asyncio.run(load(rest_url, ws_url, ours, options))
    finally:
        process.terminate()
        process.join(10)


if __name__ == "__main__":
    main()
