"""NautilusTrader's live execution path with a client that answers at once: run by `against_nautilus.py`.

Takes the port of its Redis server as argument and one JSON line per measurement on its standard input; prints one
JSON line for each. Runs in an environment of its own, and imports nothing of Sixstep.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import nautilus_trader
from nautilus_trader.cache.config import CacheConfig
from nautilus_trader.common.config import DatabaseConfig, LoggingConfig
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import LiveExecClientConfig, LiveExecEngineConfig, LiveRiskEngineConfig, TradingNodeConfig
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import AccountId, ClientId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

VENUE = "XNAS"


class AtOnceClient(LiveExecutionClient):
    """Accepts every order at once."""

    def __init__(self, loop: Any, name: str, msgbus: Any, cache: Any, clock: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(name),
            venue=Venue(VENUE),
            oms_type=OmsType.NETTING,
            # Served best: a cash account sums up every open order at each event.
            account_type=AccountType.MARGIN,
            base_currency=USD,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{VENUE}-001"))
        self._number = 0

    async def _connect(self) -> None:
        money = Money(1e12, USD)
        self.generate_account_state(
            balances=[AccountBalance(money, Money(0, USD), money)],
            margins=[],
            reported=True,
            ts_event=self._clock.timestamp_ns(),
        )
        await self._await_account_registered()

    async def _disconnect(self) -> None:
        pass

    async def _submit_order(self, command: Any) -> None:
        order = command.order
        now = self._clock.timestamp_ns()
        self.generate_order_submitted(order.strategy_id, order.instrument_id, order.client_order_id, now)
        self._number += 1
        self.generate_order_accepted(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            VenueOrderId(f"{self._number:014d}"),
            now,
        )


class AtOnceFactory(LiveExecClientFactory):
    @staticmethod
    def create(loop: Any, name: str, *, msgbus: Any, cache: Any, clock: Any, **_: Any) -> AtOnceClient:
        return AtOnceClient(loop, name, msgbus, cache, clock)


class Submitter(Strategy):
    """Submits so many orders, one at a time or all at once, and notes when each was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.instrument = TestInstrumentProvider.equity("AAPL", VENUE)
        self.done = threading.Event()

    def begin(self, orders: int, at_a_time: int) -> None:
        self.left = orders
        self.orders = orders
        self.at_a_time = at_a_time
        self.sent_at: dict[Any, float] = {}
        self.answers: list[float] = []
        self.cpu = time.process_time()
        self.began = time.perf_counter()
        for _ in range(at_a_time or orders):
            self.submit_one()

    def submit_one(self) -> None:
        if not self.left:
            return
        self.left -= 1
        started = time.perf_counter()
        order = self.order_factory.limit(
            instrument_id=self.instrument.id,
            order_side=OrderSide.BUY,
            quantity=Quantity.from_int(50),
            price=Price.from_str("150.05"),
        )
        self.sent_at[order.client_order_id] = started
        self.submit_order(order)

    def on_order_accepted(self, event: Any) -> None:
        now = time.perf_counter()
        self.answers.append(now - self.sent_at[event.client_order_id])
        if len(self.answers) == self.orders:
            self.seconds = now - self.began
            self.cpu = time.process_time() - self.cpu
            self.done.set()
        elif self.at_a_time:
            self.submit_one()


def main() -> None:
    port = int(sys.argv[1])
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id="BENCH-001",
            logging=LoggingConfig(log_level="ERROR"),
            cache=CacheConfig(
                database=DatabaseConfig(type="redis", host="127.0.0.1", port=port),
                flush_on_start=True,
            ),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            risk_engine=LiveRiskEngineConfig(
                max_order_submit_rate="1000000/00:00:01", max_order_modify_rate="1000000/00:00:01"
            ),
            exec_clients={VENUE: LiveExecClientConfig()},
        )
    )
    node.add_exec_client_factory(VENUE, AtOnceFactory)
    node.build()
    submitter = Submitter()
    node.cache.add_instrument(submitter.instrument)
    node.trader.add_strategy(submitter)
    loop = node.get_event_loop()
    assert loop is not None

    def measure() -> None:
        while not node.is_running() or not submitter.is_running:
            time.sleep(0.05)
        time.sleep(0.5)
        for line in sys.stdin:
            order = json.loads(line)
            submitter.done.clear()
            loop.call_soon_threadsafe(submitter.begin, order["orders"], order["at_a_time"])
            if not submitter.done.wait(300):
                print(json.dumps({"error": f"{len(submitter.answers)} of {order['orders']} answered"}), flush=True)
                continue
            answer = {"seconds": submitter.seconds, "cpu_s": submitter.cpu, "answers_s": submitter.answers}
            print(json.dumps(answer), flush=True)
        loop.call_soon_threadsafe(node.stop)

    print(json.dumps({"version": nautilus_trader.__version__}), flush=True)
    threading.Thread(target=measure, daemon=True).start()
    node.run()
    node.dispose()


if __name__ == "__main__":
    main()
