"""Over loopback HTTP: our broker client beside bare posts, and the webhook beside the path inside the process.

    python benchmarks/http_path.py [--orders 300] [--rounds 5] [--directory DIR]

Client: `NorenClient.place_order` to the paper exchange, which runs in a process of its own, beside
`requests.Session.post` of the same bodies to the same exchange over one keep-alive connection, reading the answer as
JSON. The difference is what the Noren library, our mending of its body, the parsing of the answer and the telling apart
of outcomes cost; and what a session kept alive saves the library, which by itself makes a connection for each call.

Webhook: `POST /webhook` to our web server over one keep-alive connection, until the broker object is called, beside
`SubmitOrder` told in the process; and until the answer is back. CPU is that of the service's process without the
caller's: the caller runs in a process of its own.

In turn, one order at a time. Left out: TLS, a real network, the exchange's own cost (it is in both figures).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests
from common import AtOnce, Sixstep, intent_number, machine, quantile, say, settings_for
from loguru import logger
from requests.adapters import HTTPAdapter

from actors.addresses import Addresses
from core.model.order import Order, Source, Status
from core.model.outcomes import Accepted, LoggedIn
from core.noren import Credentials, NorenClient, profile
from core.paper.config import ExchangeConfig
from core.paper.server import PaperServer, run_paper
from core.runtime import SystemClock, tune_interpreter
from core.store import Store
from core.web import Gateway, WebServer, create_app

PREFIX = "/NorenWClientTP"
SECRET = "benchmark"


def serve(pipe: Connection) -> None:
    """Run the paper exchange until this process is told to stop."""

    def tell(server: PaperServer) -> None:
        pipe.send((server.rest_url, server.ws_url))

    run_paper(ExchangeConfig(), on_ready=tell)


class Keeping(HTTPAdapter):
    """Keeps the last request, so that the same body can be posted without the library."""

    url = ""
    body: bytes | str | None = None
    headers: Any = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.url, self.body, self.headers = str(request.url), request.body, request.headers
        return super().send(request, *args, **kwargs)


class Exchange:
    """The paper exchange, our client to it, and a bare session to it."""

    def __init__(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
        self._process.start()
        assert ours.poll(30), "the exchange did not start"
        rest_url, ws_url = ours.recv()
        broker = profile("paper", host=rest_url + PREFIX, websocket=ws_url)
        self._keeping = Keeping()
        self._client = self._logged_in(broker, None)
        # A second client of the same account, to learn the bodies from.
        model = self._logged_in(broker, self._keeping)
        self._numbers = count(1)
        assert isinstance(model.place_order(self._order()), Accepted)
        assert isinstance(self._client.login(), LoggedIn)
        self._session = requests.Session()
        self._key = self._client.session_token

    @staticmethod
    def _logged_in(broker: Any, adapter: HTTPAdapter | None) -> NorenClient:
        client = NorenClient(
            broker,
            Credentials(
                user_id="BENCH",
                password="paper",
                totp_secret="PAPERPAPERPAPERP",
                vendor_code="",
                api_secret="",
                imei="benchmark",
                access_token="",
            ),
            clock=SystemClock(),
            connect_timeout_s=5,
            read_timeout_s=10,
            adapter=adapter,
        )
        assert isinstance(client.login(), LoggedIn)
        return client

    def _order(self) -> Order:
        now = SystemClock().now()
        number = next(self._numbers)
        intent = replace(intent_number(number), symbol="RELIANCE-EQ", quantity=1, price=intent_number(1).price)
        return Order(
            command_id=f"{now:%y%m%d}-bench-{number}",
            account="BENCH",
            source=Source.CLI,
            intent=intent,
            quantity=1,
            product=intent.product,
            status=Status.SENT_TO_BROKER,
            created_at=now,
            updated_at=now,
            trading_day=now.date(),
            deadline=now,
        )

    def by_client(self) -> float:
        order = self._order()
        started = time.perf_counter()
        outcome = self._client.place_order(order)
        took = time.perf_counter() - started
        assert isinstance(outcome, Accepted), outcome
        return took

    def bare(self) -> float:
        values, _, _ = str(bytes(self._keeping.body or b""), "ascii").removeprefix("jData=").partition("&jKey=")
        body = f"jData={json.dumps(json.loads(values) | {'remarks': self._order().command_id})}&jKey={self._key}"
        started = time.perf_counter()
        answer = self._session.post(self._keeping.url, data=body.encode("ascii"), timeout=10).json()
        took = time.perf_counter() - started
        assert answer["stat"] == "Ok", answer
        return took

    def close(self) -> None:
        self._process.terminate()
        self._process.join(10)


def call(pipe: Connection) -> None:
    """The caller's process: posts what it is told to, and answers with when it began and when it had the answer."""
    session = requests.Session()
    url = pipe.recv()
    while (body := pipe.recv()) is not None:
        began = time.perf_counter()
        reply = session.post(url, json=body, headers={"X-Webhook-Secret": SECRET}, timeout=10)
        done = time.perf_counter()
        pipe.send((began, done, reply.status_code, reply.text))


class Webhook:
    """The actors with its web server, and a caller in another process."""

    def __init__(self, directory: Path) -> None:
        self.addresses = Sixstep(directory, AtOnce())
        settings = settings_for(directory)
        secret = {"webhook_secret": SECRET, "requests_per_min": 10_000_000}
        settings = settings.model_validate(settings.model_dump() | {"web": settings.web.model_dump() | secret})
        names = asdict_of(Addresses.of(self.addresses.runtime))
        wanted = {name: names[name] for name in Gateway.__dataclass_fields__ if name in names}
        gateway = Gateway(
            runtime=self.addresses.runtime,
            clock=SystemClock(),
            open_record=lambda: Store.open(f"sqlite:///{directory / 'path.db'}", read_only=True),
            trace=lambda _: [],
            timings=self.addresses.runtime.tracer.timings,
            **wanted,
        )
        self._server = WebServer(create_app(gateway, settings), "127.0.0.1", 0)
        self._server.start()
        self._pipe, theirs = multiprocessing.Pipe()
        self._caller = multiprocessing.get_context("spawn").Process(target=call, args=(theirs,))
        self._caller.start()
        self._pipe.send(f"{self._server.url}/webhook")
        self._numbers = count(1_000_000)
        self.answers: list[float] = []

    def once(self) -> float:
        fields = {
            name: value for name, value in asdict(intent_number(next(self._numbers))).items() if value is not None
        }
        self._pipe.send(fields | {"price": str(fields["price"])})
        began, done, status, text = self._pipe.recv()
        assert status == 202, text
        assert self.addresses.broker.called.acquire(timeout=10)
        # One clock for both processes: perf_counter is the machine's monotonic clock.
        self.answers.append(done - began)
        return self.addresses.broker.at - began

    def close(self) -> None:
        self._pipe.send(None)
        self._caller.join(10)
        self._server.stop()
        self.addresses.close()


def asdict_of(addresses: Addresses) -> dict[str, Any]:
    return {name: getattr(addresses, name) for name in Addresses.__dataclass_fields__}


def in_turn(variants: dict[str, Callable[[], float]], orders: int, rounds: int) -> dict[str, tuple[list[float], float]]:
    """Microseconds of each order, and of this process's CPU an order; the first round of each is not counted."""
    times: dict[str, list[float]] = {label: [] for label in variants}
    cpu = dict.fromkeys(variants, 0.0)
    for turn in range(rounds + 1):
        for label, once in variants.items():
            before = time.process_time()
            took = [once() * 1e6 for _ in range(orders if turn else orders // 4)]
            if turn:
                times[label] += took
                cpu[label] += time.process_time() - before
    return {label: (values, cpu[label] / len(values) * 1e6) for label, values in times.items()}


def tell(title: str, measured: dict[str, tuple[list[float], float]]) -> None:
    say(title)
    for label, (values, cpu) in measured.items():
        say(
            f"  {label:34} p50 {quantile(values, 0.5):6.0f} us, p99 {quantile(values, 0.99):6.0f} us, "
            f"CPU of this process {cpu:5.0f} us an order"
        )
    (first, first_cpu), (second, second_cpu) = measured.values()
    say(f"  ratio: p50 {quantile(first, 0.5) / quantile(second, 0.5):.2f}, CPU {first_cpu / second_cpu:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=300, help="orders a round and variant")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the database is; a fresh temporary one by default")
    given = parser.parse_args()
    logger.remove()
    tune_interpreter()
    say(machine())
    exchange = Exchange()
    try:
        variants = {"NorenClient.place_order": exchange.by_client, "bare requests.Session.post": exchange.bare}
        measured = in_turn(variants, given.orders, given.rounds)
    finally:
        exchange.close()
    tell(f"to the paper exchange and back, {given.rounds} rounds of {given.orders} orders in turn:", measured)
    with tempfile.TemporaryDirectory(dir=given.directory) as name:
        webhook = Webhook(Path(name))
        try:
            variants = {
                "POST /webhook -> broker call": webhook.once,
                "SubmitOrder -> broker call": webhook.addresses.once,
            }
            measured = in_turn(variants, given.orders, given.rounds)
        finally:
            webhook.close()
    tell("to the broker call, with the actors's own work and its commits in both:", measured)
    say(f"  POST /webhook, until its answer:    p50 {quantile(webhook.answers, 0.5) * 1e6:6.0f} us")


if __name__ == "__main__":
    main()
