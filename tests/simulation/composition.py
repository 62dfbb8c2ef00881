"""The actors for the simulator: how it is built and stopped there, and strategies good, bad and greedy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from actors.addresses import Addresses
from actors.strategy import Strategy
from actors.system import STOP_ORDER, spawn_actors
from actors.system import Outside as ServiceOutside
from core.instruments.checking import InstrumentCheck
from core.messages import Drain, OrderUpdate, ServiceStopping
from core.model.broker import PriceBand, Quote
from core.model.order import ExecutionType, OrderIntent, OrderType, Problem, Product, Side, Validity
from core.rules.order_check import MOST_SLICES, Verdict
from core.rules.slices import cut
from core.runtime import Runtime
from core.settings import Settings
from tests.simulation.system import Outside, System

__all__ = ["SYSTEM", "Bad", "Greedy", "Steady"]

_BARRIER_S = 20.0
_DRAIN_S = 12.0
_STOP_S = 20.0
_SYMBOLS = (("NSE", "INFY-EQ"), ("NSE", "SBIN-EQ"), ("NSE", "M&M-EQ"))


class _Simulated(Strategy):
    """A strategy that falls silent after a moment, so that the world can come to rest."""

    def __init__(
        self, runtime: Runtime, name: str, *, addresses: Addresses, strategy: str, quiet_after_s: float
    ) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._quiet_after_s = quiet_after_s
        # What the orders of this process made of it; a strategy that survives restarts would ask for more.
        self._held = 0

    @property
    def quiet(self) -> bool:
        return self.clock.monotonic() > self._quiet_after_s

    def intent(self, kind: ExecutionType, symbol: str, side: Side, quantity: int, **more: Any) -> OrderIntent:
        terms: dict[str, Any] = {"order_type": OrderType.MARKET, "product": Product.MIS, **more}
        return OrderIntent(
            strategy=self.strategy,
            execution_type=kind,
            exchange="NSE",
            symbol=symbol,
            side=side,
            quantity=quantity,
            **terms,
        )


class Steady(_Simulated):
    """Enters, waits until it is filled, leaves, waits until that is filled; adds to what it holds now and then."""

    def on_start(self) -> None:
        self.every("look", 2.0)
        self.quotes("NSE", "SBIN-EQ", every_s=7.0)

    def on_tick(self, quote: Quote) -> None:
        self._last = quote.last_price

    def on_order_update(self, update: OrderUpdate) -> None:
        if update.fill is not None:
            self._held += update.order.side.sign * update.fill.quantity

    def on_timer(self, _: str) -> None:
        if self.quiet:
            return
        if self._held == 0:
            side = self.clock.rng.choice((Side.BUY, Side.SELL))
            self.submit(self.intent(ExecutionType.ENTRY, "SBIN-EQ", side, 20))
        elif self.clock.rng.random() < 0.3:
            side = Side.BUY if self._held > 0 else Side.SELL
            self.submit(self.intent(ExecutionType.ADJUST, "SBIN-EQ", side, 10))
        else:
            side = Side.SELL if self._held > 0 else Side.BUY
            self.submit(self.intent(ExecutionType.EXIT, "SBIN-EQ", side, abs(self._held)))


class Greedy(_Simulated):
    """Sends several orders at once, for the same thing, and exits twice."""

    def on_start(self) -> None:
        self.every("grab", 3.0)

    def on_timer(self, key: str) -> None:
        if self.quiet:
            return
        if key == "again":
            self.submit(self._again)
            return
        rng = self.clock.rng
        symbol = rng.choice(_SYMBOLS)[1]
        side = rng.choice((Side.BUY, Side.SELL))
        kind = rng.choice((ExecutionType.ENTRY, ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST))
        for _again in range(rng.choice((1, 2, 3))):
            self.submit(self.intent(kind, symbol, side, rng.choice((5, 50, 300))))
        if rng.random() < 0.5:
            self.submit(self.intent(ExecutionType.EXIT, symbol, side.opposite, 300, product=None))

    def on_order_update(self, update: OrderUpdate) -> None:
        """Exits what was filled, and once more a little later, as somebody who does not trust the first."""
        order, rng = update.order, self.clock.rng
        if update.fill is None or self.quiet or order.execution_type is ExecutionType.EXIT or rng.random() < 0.5:
            return
        self._again = self.intent(ExecutionType.EXIT, order.symbol, order.side.opposite, update.fill.quantity)
        self.submit(self._again)
        self.after("again", rng.choice((0.2, 0.7, 1.3, 2.1)))


class Bad(_Simulated):
    """Raises in its hooks, sends nonsense, exits what it does not hold, leaves orders lying about."""

    def on_start(self) -> None:
        self.every("err", 4.0)

    def on_timer(self, _: str) -> None:
        if self.quiet:
            return
        rng = self.clock.rng
        match rng.randrange(5):
            case 0:
                self.submit(self.intent(ExecutionType.ENTRY, "INFY-EQ", Side.BUY, -5))
            case 1:
                self.submit(self.intent(ExecutionType.EXIT, "INFY-EQ", Side.SELL, 10_000))
            case 2:
                price = Decimal(1400)
                self.submit(
                    self.intent(ExecutionType.ENTRY, "INFY-EQ", Side.BUY, 7, order_type=OrderType.LIMIT, price=price)
                )
            case 3:
                terms = {"order_type": OrderType.LIMIT, "price": Decimal("1.05"), "validity": Validity.IOC}
                self.submit(self.intent(ExecutionType.ENTRY, "NO-SUCH-EQ", Side.BUY, 1, **terms))
            case 4:
                self.submit(self.intent(ExecutionType.EXIT, "INFY-EQ", Side.SELL, 7, product=None))


class _FreezeKnown(InstrumentCheck):
    """Believes freeze quantities that some orders here exceed, and knows nothing else of any instrument."""

    most: ClassVar[Mapping[str, int]] = {"NSE": 200, "NFO": 520}

    def __init__(self) -> None:
        """There is no file to read."""

    def verdict(self, intent: OrderIntent, now: datetime) -> Verdict:
        if intent.execution_type is ExecutionType.EXIT or len(cut(intent.quantity, self._of(intent))) <= MOST_SLICES:
            return Verdict()
        return Verdict(refused=(Problem("quantity", "too many slices"),))

    def most_at_once(self, intent: OrderIntent, now: datetime) -> int:
        return self._of(intent)

    def _of(self, intent: OrderIntent) -> int:
        return self.most.get(intent.exchange, 0)

    def lacks(self, intent: OrderIntent) -> bool:
        return False

    def keep_band(self, exchange: str, symbol: str, band: PriceBand) -> None:
        pass

    def close(self) -> None:
        pass


def _build(runtime: Runtime, settings: Settings, outside: Outside) -> None:
    spawn_actors(
        runtime,
        settings,
        ServiceOutside(
            open_store=outside.open_store,
            open_client=outside.open_client,
            open_telegram=outside.open_telegram,
            open_feed=outside.open_feed,
            open_call_log=outside.open_call_log,
            open_check=_FreezeKnown,
        ),
        after_each=lambda name: runtime.barrier(name, _BARRIER_S),
    )


def _stop(runtime: Runtime) -> list[str]:
    stopping = ServiceStopping("the service is stopping")
    runtime.tell("command_service", stopping)
    runtime.tell("broker_proxy", stopping)
    drained = runtime.open_reply("drained")
    runtime.tell("order_repo", Drain(drained.name))
    try:
        runtime.await_reply(drained, _DRAIN_S)
    except TimeoutError:
        pass
    finally:
        drained.close()
    order = [name for name in runtime.names() if name.startswith("strategy:")]
    order += [name for name in STOP_ORDER if name in runtime.names()]
    return runtime.stop(_STOP_S, order)


def _strategies(quiet_after_s: float) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "class_path": f"{cls.__module__}.{cls.__name__}",
            "name": cls.__name__.lower(),
            "parameters": {"quiet_after_s": quiet_after_s},
        }
        for cls in (Steady, Greedy, Bad)
    )


SYSTEM = System(build=_build, stop=_stop, strategies=_strategies)
"""The whole cast with its strategies, to be handed to the simulator."""
