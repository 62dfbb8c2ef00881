"""What the web needs of the service, and nothing more: addresses, a reader of the database, traces, time.

No file of this package knows an actor; the composition root fills in a `Gateway`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from core.instruments import InstrumentIndex
from core.messages import Message
from core.model.order import Order, OrderIntent, Status
from core.runtime import Address, Runtime
from core.runtime.clock import Clock
from core.runtime.errors import AskFailed
from core.runtime.reply import ReplyBox
from core.runtime.trace import EnvelopeTimes

__all__ = ["ASK_LIMIT_S", "Gateway", "Record", "Unanswered"]

ASK_LIMIT_S = 3.0
"""How long a page or an API call waits for an actor's answer."""


class Unanswered(Exception):
    """An actor gave no answer, or none in time; the text says which and what was asked."""


class Record(Protocol):
    """A reader of the database. Opened, used and closed on one thread."""

    def rows(
        self,
        *,
        status: Status | None = None,
        strategy: str | None = None,
        day: date | None = None,
        idempotency_key: str | None = None,
        before: str | None = None,
        limit: int = 500,
    ) -> Sequence[Mapping[str, Any]]:
        """Rows of `orders`, newest first, with the columns of the contract; only those older than row `before`."""
        ...

    def order_by_key(self, account: str, key: str) -> Order | None:
        """The order that was registered under an idempotency key."""
        ...

    def asked_the_same(self, order: Order, intent: OrderIntent) -> bool:
        """Whether an order was asked for by the same intent."""
        ...

    def counts(self, day: date) -> Sequence[tuple[str, str, str | None, int]]:
        """How many rows a trading day has of each strategy, status and tag."""
        ...

    def day_pnl(self, account: str, trading_day: date) -> Sequence[tuple[datetime, Decimal]]:
        """Points of an account's P&L on a trading day in rupees, oldest first."""
        ...

    def command_of(self, account: str, day: date, broker_order_id: str) -> str | None:
        """The command whose order has this number at the broker, on a trading day."""
        ...

    def trades(self, account: str, day: date) -> Sequence[Mapping[str, Any]]:
        """The trades of a trading day with the columns of their orders, oldest first."""
        ...

    def row(self, command_id: str) -> Mapping[str, Any] | None:
        """One row with its `events` and `fills`; None when there is none."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The service as the web sees it.

    Attributes:
        runtime: Carries questions and answers.
        clock: Time and chance.
        command_service: Takes `SubmitOrder`, answers `GetReadiness`.
        execution_guard: Answers `GetGuardSnapshot`.
        risk_manager: Answers `GetRiskSnapshot`.
        order_watcher: Answers `GetPositions` and `GetExternalOrders`.
        position_manager: Takes `ProtectPosition` and `CancelProtection`, answers `GetProtections`.
        order_repo: Takes `SetHalt`, `ClearHalt`, `CancelOrder` and `RecordPnl`.
        broker_proxy: Answers `GetBrokerUse`, takes `FindInstruments`, `ReadInstrument`, `ReadHoldings`,
            `ReadFunds` and `ReadMargin`.
        notifier: Answers `GetRecentAlerts`.
        order_feed: Answers `GetFeedState`.
        instruments: Takes `RefreshInstruments` and `RememberInstrument`.
        prices: Takes `GetQuote`.
        history: Answers `ReadHistory`.
        open_instruments: Opens the index of instruments to read, on one thread; None while there is nothing to read.
        open_record: Opens a reader of the database; called on the thread that will use it.
        trace: The envelopes of a command, oldest first; may read files, so it is called on a thread.
        timings: The envelopes in memory, without their words.
    """

    runtime: Runtime
    clock: Clock
    command_service: Address[Any]
    execution_guard: Address[Any]
    risk_manager: Address[Any]
    order_watcher: Address[Any]
    position_manager: Address[Any]
    order_repo: Address[Any]
    broker_proxy: Address[Any]
    notifier: Address[Any]
    order_feed: Address[Any]
    instruments: Address[Any]
    prices: Address[Any]
    history: Address[Any]
    open_instruments: Callable[[], AbstractContextManager[InstrumentIndex | None]]
    open_record: Callable[[], Record]
    trace: Callable[[str], Sequence[Mapping[str, Any]]]
    timings: Callable[[], Sequence[EnvelopeTimes]]

    def send(self, address: Address[Any], make: Callable[[str], Message]) -> ReplyBox:
        """Send `make(name)`, where `name` is that of the returned box: for messages that carry their addressee.

        The envelope names the box too, so that it learns of a refused envelope or a failed handler. Close it, or
        cancel its future, to stop waiting.
        """
        box = self.runtime.open_reply()
        self.runtime.tell(address.name, make(box.name), reply_to=box.name)
        return box

    async def ask(self, address: Address[Any], make: Callable[[str], Message], limit_s: float = ASK_LIMIT_S) -> Message:
        """Send `make(name)` and wait for the answer to `name`, at most `limit_s`.

        Raises:
            Unanswered: There is none.
        """
        future = asyncio.wrap_future(self.send(address, make).future)
        try:
            # Not wait_for: that takes one turn of the loop more, which an order waits for.
            async with asyncio.timeout(limit_s):
                return await future
        except TimeoutError:
            raise Unanswered(f"{address.name} did not answer within {limit_s:g} s") from None
        except AskFailed as error:
            raise Unanswered(str(error)) from error
