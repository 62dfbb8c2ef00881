"""Strategies for the scenarios: named by dotted path in settings, they tell the test what they were told."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar

from actors.strategy import Strategy
from core.messages import ChainFound, InstrumentTold, OrderUpdate
from core.model.broker import Quote
from core.settings import Settings, StrategySettings

__all__ = ["Asker", "Burner", "Follower", "Raiser", "Recorder", "with_strategy"]


def with_strategy(name: str, class_name: str = "Recorder") -> Callable[[Settings], Settings]:
    """For `running(settings=...)`: one strategy of this module."""
    entry = StrategySettings(class_path=f"{__name__}.{class_name}", name=name)

    def add(settings: Settings) -> Settings:
        return settings.model_copy(update={"strategies": (*settings.strategies, entry)})

    return add


class Recorder(Strategy):
    """Keeps every update, by strategy."""

    told: dict[str, list[OrderUpdate]] = defaultdict(list)
    failing: set[str] = set()
    """Strategies whose hook raises at a fill, after having kept it."""

    @classmethod
    def fills(cls, name: str) -> list[tuple[int, bool]]:
        """Quantity of each fill told, and whether it was told as missed."""
        return [(update.fill.quantity, update.missed) for update in cls.told[name] if update.fill is not None]

    def on_order_update(self, update: OrderUpdate) -> None:
        self.told[self.strategy].append(update)
        if update.fill is not None and self.strategy in self.failing:
            raise ArithmeticError("planted")


class Asker(Strategy):
    """Asks for instruments and chains once told to, and keeps what it is told."""

    told: ClassVar[list[InstrumentTold | ChainFound]] = []
    asking: ClassVar[threading.Event] = threading.Event()

    def on_start(self) -> None:
        self.every("look", 0.05)

    def on_timer(self, key: str) -> None:
        if self.asking.is_set():
            self.cancel_timer(key)
            self.instrument("RELIANCE")
            self.instrument("RELIANSE", "NSE")
            self.chain("NIFTY", around=Decimal(26030), strikes=1)

    def on_instrument(self, told: InstrumentTold) -> None:
        self.told.append(told)

    def on_chain(self, chain: ChainFound) -> None:
        self.told.append(chain)


class Follower(Strategy):
    """Follows prices of NSE, and keeps what it is told, by strategy."""

    symbols: tuple[str, ...] = ("INFY-EQ", "SBIN-EQ")
    every_s: float | None = None
    """Seconds between quotes; None: it subscribes."""

    told: dict[str, list[Quote]] = defaultdict(list)
    busy = threading.Event()
    """While this is set, its hook does not return."""

    def on_start(self) -> None:
        if self.every_s is None:
            self.subscribe(*self.symbols)
        else:
            for symbol in self.symbols:
                self.quotes("NSE", symbol, every_s=self.every_s)

    def on_tick(self, quote: Quote) -> None:
        self.told[self.strategy].append(quote)
        while self.busy.is_set():
            threading.Event().wait(0.01)


class Burner(Strategy):
    """Burns the CPU in its hook until it is released."""

    released = threading.Event()

    def on_start(self) -> None:
        while not self.released.is_set():
            sum(range(1000))


class Raiser(Strategy):
    """Raises at every timer while it is told to."""

    raising = threading.Event()

    def on_start(self) -> None:
        self.every("again", 0.02)

    def on_timer(self, key: str) -> None:
        if self.raising.is_set():
            raise ArithmeticError(f"planted: {key}")
