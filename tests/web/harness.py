"""A small house behind the entry points: real actors on real threads, with a record in memory."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from core.instruments import open_for_reading
from core.messages import (
    AdoptPosition,
    Alert,
    BookUnreadable,
    BrokerUse,
    CancelAnswer,
    CancelOrder,
    CancelProtection,
    CancelStatus,
    ClearHalt,
    ExternalOrders,
    FeedState,
    FeedStatus,
    FindInstruments,
    FlattenAnswer,
    FlattenPosition,
    FundsRead,
    GetBrokerUse,
    GetExternalOrders,
    GetFeedState,
    GetGuardSnapshot,
    GetPositions,
    GetProtections,
    GetQuote,
    GetReadiness,
    GetRecentAlerts,
    GetRiskSnapshot,
    GuardSnapshot,
    HaltChanged,
    HistoryRead,
    HoldingsRead,
    InstrumentFiles,
    InstrumentsFound,
    MarginRead,
    Message,
    ModifyAnswer,
    ModifyOrder,
    ModifyStatus,
    OrderAnswer,
    PositionAdopted,
    PositionsRead,
    ProtectionAnswer,
    ProtectionsSnapshot,
    ProtectPosition,
    QuoteUnreadable,
    ReadFunds,
    ReadHistory,
    ReadHoldings,
    Readiness,
    ReadInstrument,
    ReadMargin,
    ReadShare,
    RecentAlerts,
    RecordPnl,
    RefreshInstruments,
    RiskSnapshot,
    SetHalt,
    SquareOff,
    SquareOffBegun,
    SubmitOrder,
    SubscribePrices,
    UnsubscribePrices,
)
from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus
from core.model.candle import Candle
from core.model.instrument import Instrument
from core.model.order import (
    ExecutionType,
    Order,
    OrderIntent,
    OrderResult,
    OrderType,
    Problem,
    Product,
    Side,
    Status,
    Tag,
    Terms,
)
from core.model.outcomes import Book, ReadFailure
from core.model.positions import Correction, Difference, ExternalClose, GuardLine
from core.model.protection import Naked, Protection
from core.model.risk_state import Halt
from core.rules.keys import is_same
from core.rules.validation import Refused, read_intent
from core.runtime import Actor, SystemClock, ThreadRuntime
from core.web import Gateway

NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
PATIENCE_S = 10.0

ORDER: Mapping[str, Any] = {
    "strategy": "momentum",
    "execution_type": "ENTRY",
    "exchange": "NSE",
    "symbol": "RELIANCE-EQ",
    "side": "BUY",
    "quantity": 50,
    "product": "MIS",
    "order_type": "LIMIT",
    "price": 2840.5,
}

# Symbols that make CommandService behave badly.
SILENT = "SILENT-EQ"
"""Registered; the answer never comes."""
LOST = "LOST-EQ"
"""Not registered, no answer."""
BROKEN = "BROKEN-EQ"
"""The handler raises."""
BLOCKED = "BLOCKED-EQ"
"""Blocked by the guard."""


class Rows:
    """The database: written by one actor, read by the web's threads."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.unreadable = False
        self.pnl: list[tuple[datetime, Decimal]] = []

    def add(self, row: dict[str, Any]) -> None:
        with self.lock:
            self.rows.append(row)

    def all(self) -> list[dict[str, Any]]:
        with self.lock:
            return list(self.rows)


class MemoryRecord:
    """Reads `Rows` as the store reads the database."""

    def __init__(self, rows: Rows, runtime: ThreadRuntime) -> None:
        self._rows = rows
        self._runtime = runtime

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
        if self._rows.unreadable:
            raise OSError("disk gone")
        # What was submitted has been handled by the time it is looked for: tests need no sleep.
        assert self._runtime.wait_idle(PATIENCE_S)
        wanted = {"status": status, "strategy": strategy, "trading_day": day, "idempotency_key": idempotency_key}
        found = [
            row
            for row in reversed(self._rows.all())
            if all(value is None or row[name] == value for name, value in wanted.items())
        ]
        ids = [row["command_id"] for row in found]
        return found[ids.index(before) + 1 :][:limit] if before in ids else found[:limit]

    def order_by_key(self, account: str, key: str) -> Order | None:
        assert account == "PAPER"
        return next((_order(row) for row in self.rows(idempotency_key=key)), None)

    def asked_the_same(self, order: Order, intent: OrderIntent) -> bool:
        return is_same(order.intent, intent)

    def command_of(self, account: str, day: date, broker_order_id: str) -> str | None:
        found = [row for row in self.rows() if row["broker_order_id"] == broker_order_id]
        return str(found[0]["command_id"]) if found else None

    def trades(self, account: str, day: date) -> Sequence[Mapping[str, Any]]:
        return []

    def row(self, command_id: str) -> Mapping[str, Any] | None:
        for row in self.rows():
            if row["command_id"] == command_id:
                born = {"at": NOON, "from_status": None, "to_status": "CREATED", "tag": None, "reason": None}
                return {**row, "events": [born], "fills": []}
        return None

    def counts(self, day: date) -> Sequence[tuple[str, str, str | None, int]]:
        counted = Counter((row["strategy"] or "", row["status"], row["tag"]) for row in self.rows(day=day, limit=10**6))
        return [(strategy, status, tag, count) for (strategy, status, tag), count in counted.items()]

    def day_pnl(self, account: str, trading_day: date) -> Sequence[tuple[datetime, Decimal]]:
        if self._rows.unreadable:
            raise OSError("disk gone")
        assert self._runtime.wait_idle(PATIENCE_S)
        return self._rows.pnl if trading_day == DAY else []

    def close(self) -> None:
        pass


class CommandService(Actor):
    """Registers what is valid and answers as the actors does."""

    def __init__(self, runtime: ThreadRuntime, name: str, rows: Rows) -> None:
        super().__init__(runtime, name)
        self._rows = rows
        self.ready: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()

    def on_submit_order(self, message: SubmitOrder) -> None:
        assert message.reply_to is not None
        intent = read_intent(message.intent)
        if isinstance(intent, Refused):
            row = self._row(dict(intent.readable), Status.FAILED, Tag.VALIDATION_FAILED)
            self._answer(message.reply_to, row, intent.problems)
            return
        symbol = intent.symbol
        if symbol == BROKEN:
            raise RuntimeError("broken on purpose")
        if symbol == LOST:
            return
        known = [row for row in self._rows.all() if row["idempotency_key"] == intent.idempotency_key]
        if known and not is_same(_order(known[0]).intent, intent):
            self.tell_name(message.reply_to, OrderAnswer(OrderResult.key_reused(_order(known[0]))))
            return
        if known:
            self._answer(message.reply_to, known[0])
            return
        tag = Tag.EXECUTION_GUARD_BLOCKED if symbol == BLOCKED else None
        row = self._row(_columns(intent), Status.FAILED if tag else Status.SENT_TO_BROKER, tag)
        row["source"] = message.source
        if symbol != SILENT:
            self._answer(message.reply_to, row)

    def on_get_readiness(self, _: GetReadiness) -> None:
        self.reply(Readiness(not self.ready, self.ready, self.notes))

    def _row(self, columns: Mapping[str, Any], status: Status, tag: Tag | None) -> dict[str, Any]:
        empty = dict.fromkeys(_COLUMNS)
        row: dict[str, Any] = {**empty, **columns}
        number = len(self._rows.all()) + 1
        row |= {"command_id": f"261123-test-{number}", "status": status, "tag": tag, "trading_day": DAY}
        row |= {"created_at": NOON, "updated_at": NOON, "unknown": False, "filled_quantity": 0}
        row |= {"reason": "in the guard's words" if tag else None}
        row |= {"broker_order_id": None if tag else f"2611230000{number:04}"}
        self._rows.add(row)
        return row

    def _answer(self, name: str, row: Mapping[str, Any], problems: tuple[Problem, ...] = ()) -> None:
        fields = {key: row[key] for key in ("command_id", "status", "tag", "reason", "broker_order_id")}
        self.tell_name(name, OrderAnswer(OrderResult(success=row["tag"] is None, problems=problems, **fields)))


ADOPTED = PositionAdopted(
    ExternalClose("alpha", "NSE", "INFY-EQ", Product.MIS, 50, Decimal(0), "", kind=Correction.ADOPTED)
)


def line_key(line: GuardLine) -> tuple[str, str, str, Product]:
    return (line.strategy, line.exchange, line.symbol, line.product)


class State(Actor):
    """Guard, risk, watcher and repository in one: answers what the API asks."""

    def __init__(self, runtime: ThreadRuntime, name: str, rows: Rows) -> None:
        super().__init__(runtime, name)
        self._rows = rows
        self.pnl = Decimal("-2140.00")
        self.day = DAY
        self.halt: Halt | None = None
        self.halted_strategies: tuple[tuple[str, str], ...] = ()
        self.alerts: list[Alert] = []
        self.undelivered: str | None = None
        self.cancelled: list[tuple[str, str]] = []
        self.cancel_standing = CancelStatus.TAKEN
        self.modified: list[ModifyOrder] = []
        self.modify_standing = ModifyStatus.TAKEN
        self.squared_off: list[SquareOff] = []
        self.flattened = False
        self.lines: tuple[GuardLine, ...] = (GuardLine("momentum", "NSE", "RELIANCE-EQ", Product.MIS, 50, -50, None),)
        self.protections: tuple[tuple[Protection, Decimal | None], ...] = ()
        self.unsettled: tuple[tuple[str, str], ...] = ()
        self.adopted: list[AdoptPosition] = []
        self.adoption = PositionAdopted(None, "nothing of it is unattributed")
        self.external: tuple[BrokerOrderReport, ...] = ()
        self.feed = FeedState(FeedStatus.CONNECTED, NOON, "", NOON)
        position = BrokerPosition(
            exchange="NSE",
            symbol="M&M-EQ",
            product=Product.MIS,
            net_quantity=-5,
            realised=Decimal("-10.50"),
            unrealised=None,
        )
        self.positions: Message = PositionsRead((position,), NOON, NOON)
        self.subscriptions: list[Message] = []
        self.histories: list[ReadHistory] = []
        self.history: tuple[tuple[Candle, ...], str | None] = ((), None)

    def on_get_protections(self, _: GetProtections) -> None:
        line = self.lines[0] if self.lines else None
        naked = () if line is None else (Naked(*line_key(line), line.held, 12.0, NOON),)
        self.reply(ProtectionsSnapshot(self.protections, naked))

    def on_protect_position(self, message: ProtectPosition) -> None:
        self.tell_name(message.reply_to, ProtectionAnswer(None, "nothing is held there", found=False))

    def on_cancel_protection(self, message: CancelProtection) -> None:
        self.tell_name(message.reply_to, ProtectionAnswer(None, "there is no such protection", found=False))

    def on_get_guard_snapshot(self, _: GetGuardSnapshot) -> None:
        different = (
            Difference("NSE", "INFY-EQ", None, 30, 10),
            Difference("NSE", "M&M-EQ", Product.MIS, -5, 0),
        )
        self.reply(GuardSnapshot(self.lines, different, NOON, self.unsettled))

    def on_get_risk_snapshot(self, _: GetRiskSnapshot) -> None:
        blocked = "day P&L -2140.00"
        self.reply(RiskSnapshot(self.day, self.pnl, 0.5, self.halt, None, (), 2, 7, blocked, self.halted_strategies))

    def on_get_broker_use(self, _: GetBrokerUse) -> None:
        plan = (ReadShare("order book", 1, 1.0, 4.0, book=True), ReadShare("quotes", 30, 10.0, 100.0))
        self.reply(BrokerUse(True, "", False, 0, 1, 2, 10, 120, (("PlaceOrder", 3),), "order book every 4.0 s", plan))

    def on_get_feed_state(self, _: GetFeedState) -> None:
        self.reply(self.feed)

    def on_get_recent_alerts(self, _: GetRecentAlerts) -> None:
        self.reply(RecentAlerts(tuple((NOON, alert) for alert in self.alerts), self.undelivered))

    def on_cancel_order(self, message: CancelOrder) -> None:
        assert message.reply_to is not None
        self.cancelled.append((message.command_id, message.by))
        self.tell_name(message.reply_to, CancelAnswer(message.command_id, self.cancel_standing, "in its own words"))

    def on_modify_order(self, message: ModifyOrder) -> None:
        assert message.reply_to is not None
        self.modified.append(message)
        terms = Terms(quantity=50, order_type=OrderType.LIMIT, price=Decimal("1500.50"))
        told = ModifyAnswer(message.command_id, self.modify_standing, "in its own words", terms, 20)
        self.tell_name(message.reply_to, told)

    def on_square_off(self, message: SquareOff) -> None:
        assert message.reply_to is not None
        self.squared_off.append(message)
        self.tell_name(message.reply_to, SquareOffBegun((EXIT,), ("261123-test-9",), ((EXIT, ("261123-test-8",)),)))

    def on_adopt_position(self, message: AdoptPosition) -> None:
        assert message.reply_to is not None
        self.adopted.append(message)
        self.tell_name(message.reply_to, self.adoption)

    def on_flatten_position(self, message: FlattenPosition) -> None:
        if message.quantity != -100:
            self.tell_name(message.reply_to, FlattenAnswer(reason="-100 can be flattened"))
        elif self.flattened:
            self.tell_name(message.reply_to, FlattenAnswer(under_way=("261123-test-7",)))
        else:
            self.flattened = True
            self.tell_name(message.reply_to, FlattenAnswer((EXIT,)))

    def on_find_instruments(self, message: FindInstruments) -> None:
        listing = Instrument(
            exchange=message.exchange, symbol=f"{message.text}-EQ", name="", lot_size=1, tick_size=None
        )
        self.tell_name(message.reply_to, InstrumentsFound((listing,)))

    def on_read_instrument(self, message: ReadInstrument) -> None:
        self.tell_name(message.reply_to, InstrumentsFound((), "the broker does not say"))

    def on_read_holdings(self, message: ReadHoldings) -> None:
        self.tell_name(message.reply_to, HoldingsRead(None, "no holdings here"))

    def on_read_margin(self, message: ReadMargin) -> None:
        self.tell_name(message.reply_to, MarginRead(None, "no margin here"))

    def on_read_funds(self, message: ReadFunds) -> None:
        self.tell_name(message.reply_to, FundsRead(None, "no funds here"))

    def on_get_quote(self, message: GetQuote) -> None:
        self.tell_name(message.reply_to, QuoteUnreadable(message.exchange, message.symbol, "no prices here"))

    def on_subscription(self, message: SubscribePrices | UnsubscribePrices) -> None:
        self.subscriptions.append(message)

    def on_read_history(self, message: ReadHistory) -> None:
        self.histories.append(message)
        candles, problem = self.history
        read = HistoryRead(message.exchange, message.symbol, message.minutes, candles, self.clock.now(), problem)
        self.tell_name(message.reply_to, read)

    def on_refresh_instruments(self, message: RefreshInstruments) -> None:
        self.tell_name(message.reply_to, InstrumentFiles((), ("NSE_symbols.txt.zip: there is no such file",)))

    def on_get_positions(self, _: GetPositions) -> None:
        self.reply(self.positions)

    def on_get_external_orders(self, _: GetExternalOrders) -> None:
        self.reply(ExternalOrders(self.external))

    def on_set_halt(self, message: SetHalt) -> None:
        assert message.reply_to is not None
        before, self.halt = self.halt, self.halt or Halt(message.reason, message.by, NOON)
        self.tell_name(message.reply_to, HaltChanged(self.halt, before=before))

    def on_record_pnl(self, message: RecordPnl) -> None:
        self._rows.pnl.append((message.at, message.pnl))

    def on_clear_halt(self, message: ClearHalt) -> None:
        assert message.reply_to is not None
        self.halt = None
        self.tell_name(message.reply_to, HaltChanged(None))


EXIT = OrderIntent(
    strategy="momentum",
    execution_type=ExecutionType.EXIT,
    exchange="NSE",
    symbol="RELIANCE-EQ",
    side=Side.SELL,
    quantity=50,
    product=Product.MIS,
    order_type=OrderType.MARKET,
)
EXTERNAL = BrokerOrderReport(
    broker_order_id="26112300000077",
    client_tag="by hand",
    exchange="NSE",
    symbol="M&M-EQ",
    side=Side.SELL,
    quantity=5,
    status=BrokerStatus.COMPLETE,
    raw_status="COMPLETE",
    filled_quantity=5,
    average_price=Decimal("2950.50"),
)
UNREADABLE = BookUnreadable(Book.POSITIONS, ReadFailure.UNREACHABLE, "connection refused")


class WebHarness:
    """Runtime, actors, record and entry points; `stop` checks that no envelope was lost."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.directory = Path(tempfile.mkdtemp())
        """Where the index of instruments is, if a test makes one."""
        self.runtime = ThreadRuntime(self.clock)
        self.rows = Rows()
        self.submitted = self.runtime.spawn(CommandService, "command_service", self.rows)
        state = self.runtime.spawn(State, "state", self.rows)
        self.gateway = Gateway(
            runtime=self.runtime,
            clock=self.clock,
            command_service=self.submitted,
            execution_guard=state,
            risk_manager=state,
            order_watcher=state,
            position_manager=state,
            order_repo=state,
            broker_proxy=state,
            notifier=state,
            order_feed=state,
            instruments=state,
            prices=state,
            history=state,
            open_instruments=lambda: open_for_reading(self.directory),
            open_record=lambda: MemoryRecord(self.rows, self.runtime),
            trace=lambda command: [asdict(record) for record in self.runtime.tracer.envelopes_of(command)],
            timings=self.runtime.tracer.timings,
        )
        for name in ("command_service", "state"):
            self.runtime.barrier(name, PATIENCE_S)

    def actor(self, name: str) -> Any:
        """The actor itself, to set it up before the test begins."""
        return self.runtime._actors[name]

    def stop(self) -> list[Any]:
        """Stop it; the dead letters there were."""
        assert self.runtime.stop(PATIENCE_S) == []
        return self.runtime.dead_letters.take()


_COLUMNS = (
    "idempotency_key",
    "strategy",
    "source",
    "execution_type",
    "exchange",
    "symbol",
    "side",
    "quantity",
    "product",
    "order_type",
    "price",
    "trigger_price",
    "validity",
    "basket",
    "average_price",
    "modifying",
)


def _order(row: Mapping[str, Any]) -> Order:
    """A valid row as an order."""
    names = OrderIntent.__slots__
    same = ("command_id", "status", "tag", "reason", "broker_order_id", "trading_day", "created_at", "updated_at")
    return Order(
        account="PAPER",
        source=row["source"],
        intent=OrderIntent(**{name: row.get(name) for name in names}),
        quantity=row["quantity"],
        deadline=NOON,
        **{name: row[name] for name in same},
    )


def _columns(intent: OrderIntent) -> dict[str, Any]:
    return {name: getattr(intent, name) for name in intent.__slots__}


def call(
    app: ASGIApp, method: str, path: str, *, client: str = "127.0.0.1", host: str = "127.0.0.1:8787", **kwargs: Any
) -> httpx.Response:
    """One request to the application, as it would come from `client`."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(client, 40000), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
            return await http.request(method, path, **kwargs)

    return asyncio.run(send())
