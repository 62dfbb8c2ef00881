"""Step 4: the only hand that calls the broker. One mailbox, one call at a time, within the broker's rate limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from actors.addresses import Addresses
from core.messages import (
    Alert,
    BookUnreadable,
    BrokerUse,
    CancelAtBroker,
    CancelReported,
    CancelStatus,
    ExitDoubted,
    ExternalFilled,
    FeedSession,
    FeedSessionLost,
    FindInstruments,
    GetBrokerUse,
    HaltChanged,
    HoldingsRead,
    InstrumentsFound,
    Lane,
    Message,
    OrderAccepted,
    OrderBookRead,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    PlaceOrder,
    PositionsRead,
    QuoteRead,
    QuoteUnreadable,
    ReadHoldings,
    ReadingSlowed,
    ReadOrderBook,
    ReadPositions,
    ReadQuote,
    ReadTradeBook,
    RepublishBrokerStatus,
    ServiceStopping,
    SessionChanged,
    Severity,
    Tick,
    TradeBookRead,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerHolding, BrokerOrderReport, BrokerPosition, BrokerTrade, Instrument, Quote
from core.model.order import ExecutionType, Order, OrderType, Tag
from core.model.outcomes import (
    Accepted,
    Book,
    LoggedIn,
    LoginFailed,
    LoginOutcome,
    LoginRefused,
    NotSent,
    OrderOutcome,
    ReadError,
    ReadFailure,
    Refusal,
    Refused,
    Unknown,
)
from core.process.call_log import CallLog
from core.rules.call_budget import RateLimiter, Use
from core.rules.call_queue import CallQueue, Thinning
from core.rules.exit_freshness import ExitFreshness
from core.rules.market_protection import CannotPrice, protected
from core.rules.relogin import Relogin
from core.runtime import Actor, Envelope, Runtime

__all__ = ["BrokerClient", "BrokerProxy"]

_LOGIN = "login"
_SERVE = "serve"
_TOKEN = "token"
# How often the file with the access token is looked at: a person, or `run.py login`, puts a new one there.
_TOKEN_S = 5.0
_RATE_PENALTY_S = 1.0
# How old a quote may be that prices a second exit of its symbol: exits that wait at the same moment share one.
_QUOTE_S = 1.0
# How often orders that wait for a session are looked at again, if nothing happens meanwhile.
_LOOK_AGAIN_S = 30.0
# Different texts told about rows that could not be read; a book that is wrong throughout must not flood a person.
_UNREADABLE_LIMIT = 100
_MINUTE_PENALTY_S = 60.0
_NEVER = datetime.max.replace(tzinfo=UTC)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_Read = ReadOrderBook | ReadTradeBook | ReadPositions | ReadHoldings | ReadQuote | FindInstruments
_Change = PlaceOrder | CancelAtBroker
_READS: Mapping[type, Use] = {
    ReadOrderBook: Use.ORDER_BOOK,
    ReadTradeBook: Use.TRADE_BOOK,
    ReadPositions: Use.POSITIONS,
    ReadHoldings: Use.SEARCH,
    FindInstruments: Use.SEARCH,
    ReadQuote: Use.QUOTE,
}


class BrokerClient(Protocol):
    """What the proxy calls: `core.noren.NorenClient`, or a test's object that answers at once.

    A read raises `ReadError`; nothing else leaves any of these calls.
    """

    def login(self) -> LoginOutcome: ...
    def take_token(self, access_token: str) -> LoginOutcome: ...
    def place_order(self, order: Order) -> OrderOutcome: ...
    def cancel_order(self, broker_order_id: str) -> OrderOutcome: ...
    def order_book(self) -> tuple[BrokerOrderReport, ...]: ...
    def trade_book(self) -> tuple[BrokerTrade, ...]: ...
    def positions(self) -> tuple[BrokerPosition, ...]: ...
    def holdings(self) -> tuple[BrokerHolding, ...]: ...
    def quote(self, exchange: str, symbol: str) -> Quote: ...
    def instruments(self, exchange: str, text: str) -> tuple[Instrument, ...]: ...
    def quote_calls(self, exchange: str, symbol: str) -> int:
        """How many calls to the broker `quote` will make."""
        ...

    def take_unreadable(self) -> tuple[str, ...]:
        """Texts about rows and fields of the last reads that could not be read."""
        ...


@dataclass(frozen=True, slots=True)
class _Serve(Message):
    """To itself: serve the next one waiting, after what came in meanwhile was put in its place."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: _Change | _Read
    envelope: Envelope  # the one that brought it: what is answered later is an effect of that


class BrokerProxy(Actor):
    """Serves exits before entries before reads. An order waits for the session and the limits until its deadline.

    Where the limits leave less than is asked for, reads thin out evenly, and that is told (scenario G18).
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        open_client: Callable[[], BrokerClient],
        limiter: RateLimiter,
        open_call_log: Callable[[], CallLog] | None = None,
        read_token: Callable[[], str | None] | None = None,
        market_as_limit: bool = True,
        max_order_value: Decimal = Decimal(0),
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._open_client = open_client
        self._limiter = limiter
        self._open_call_log = open_call_log
        self._call_log: CallLog | None = None
        self._market_as_limit = market_as_limit
        self._max_order_value = max_order_value
        self._waiting: CallQueue[_Waiting] = CallQueue(limiter)
        self._thinning = Thinning(limiter.intervals)
        self._budget_seen = 0.0
        self._in_call: _Waiting | None = None
        self._use = Use.EXIT
        # No order that waits has an earlier deadline; an order that was served may have had it.
        self._next_deadline = _NEVER
        self._serving = False
        self._session_up = False
        self._session_since = _LONG_AGO
        self._needs_person = False
        self._session_reason = "not logged in yet"
        self._relogin = Relogin()
        self._read_token = read_token
        self._token: str | None = None
        self._halted: str | None = None
        self._unreadable: set[str] = set()
        # The quote by which an order of the symbol was priced last, and when it was asked for.
        self._quotes: dict[tuple[str, str], tuple[float, Quote]] = {}
        self._freshness = ExitFreshness()
        self._book: tuple[BrokerOrderReport, ...] = ()
        self._calls_made: dict[str, int] = {}
        self._stopping: str | None = None

    def started(self) -> None:
        self._client = self._open_client()
        if self._open_call_log is not None:
            self._call_log = self._open_call_log()
            now = self.clock.monotonic()
            self._limiter.remember(now - age for age in self._call_log.ages(self.clock.steady().timestamp()))
        # By a timer, so that the rest of the actors is started while the broker takes its time to answer.
        self.after(_LOGIN, 0.0)
        if self._read_token is not None:
            self._token = self._read_token()
            self.every(_TOKEN, _TOKEN_S)

    def stopping(self) -> None:
        if self._call_log is not None:
            self._call_log.close()

    def rebuild(self) -> None:
        """What waits is still to be served: no order is forgotten because another one failed.

        Nor is the one whose call failed in an unforeseen way, which is not the order of the envelope that is reported.
        """
        failed, self._in_call = self._in_call, None
        if failed is not None and isinstance(failed.message, PlaceOrder):
            with self.answering(failed.envelope):
                reason = "an error in Sixstep during the call"
                self.tell(self._addresses.trading_bot, OrderOutcomeUnknown(failed.message.order, reason))
        self._end_calls()
        self._serving = False
        self._serve_later()
        # What the handler was about to tell of the session, and the login it was about to plan, went with it.
        self._tell_standing()
        if not self._session_up and not self._needs_person:
            self.after(_LOGIN, self._relogin.after_no_verdict())

    def handler_failed(self, envelope: Envelope) -> None:
        """A halt stands, whatever became of the handler that was told of it."""
        if isinstance(envelope.message, HaltChanged):
            self.on_halt_changed(envelope.message)

    # What is asked

    def on_place_order(self, message: PlaceOrder) -> None:
        self._take(message)

    def on_cancel_at_broker(self, message: CancelAtBroker) -> None:
        self._take(message)

    def on_read(
        self, message: ReadOrderBook | ReadTradeBook | ReadPositions | ReadHoldings | ReadQuote | FindInstruments
    ) -> None:
        self._take(message)

    def on_get_broker_use(self, _: GetBrokerUse) -> None:
        last_second, last_minute = self._limiter.used(self.clock.monotonic())
        self.reply(
            BrokerUse(
                session_up=self._session_up,
                session_reason=self._session_reason,
                needs_person=self._needs_person,
                waiting=len(self._waiting),
                last_second=last_second,
                last_minute=last_minute,
                per_second=self._limiter.per_second,
                per_minute=self._limiter.per_minute,
                calls=tuple(sorted(self._calls_made.items())),
                slowed=self._thinning.note,
            )
        )

    def on_serve(self, _: _Serve) -> None:
        self._serving = False
        self._serve()

    def on_tick(self, message: Tick) -> None:
        if message.key == _LOGIN:
            self._log_in()
        elif message.key == _TOKEN:
            self._look_for_token()
        else:
            self._serve()

    def on_halt_changed(self, message: HaltChanged) -> None:
        self._halted = message.halt.reason if message.halt else None

    def on_external_filled(self, message: ExternalFilled) -> None:
        self._freshness.note_external(message.report, self.clock.steady())

    def on_exit_doubted(self, message: ExitDoubted) -> None:
        self._freshness.note_doubt(message.command_id, self.clock.steady())

    def on_service_stopping(self, message: ServiceStopping) -> None:
        self._stopping = message.reason
        self._give_up_waiting(Tag.SERVICE_NOT_READY, message.reason)
        # Nobody is there for the answers any more, and each may take as long as a call can.
        self._waiting.remove(lambda waiting: isinstance(waiting.message, _Read))

    # The queue

    def _take(self, message: _Change | _Read) -> None:
        if self._stopping is not None and isinstance(message, _Read):
            return
        self._put(message)
        self._serve()

    def _put(self, message: _Change | _Read) -> None:
        key = message.conflation_key if isinstance(message, _Read) else None
        self._waiting.put(self.clock.monotonic(), _Waiting(message, self.envelope), _use(message), key)
        if isinstance(message, PlaceOrder):
            self._next_deadline = min(self._next_deadline, message.order.deadline)

    def _serve(self) -> None:
        """Make one call, or set the clock for when one may be made."""
        if self._serving:
            return
        self._drop_late()
        self._look_at_budget()
        self._answer_without_session()
        if not self._session_up:
            if self._waiting:
                self._look_again_in(_LOOK_AGAIN_S)
            return
        found = self._waiting.take(self.clock.monotonic(), lambda waiting: self._calls(waiting.message))
        if isinstance(found, float):
            self._look_again_in(found)
        elif found is not None:
            self._in_call, self._use = found
            # As an effect of the envelopes of the order itself, not of the one that made room for it (law 10).
            with self.answering(self._in_call.envelope):
                self._call(self._in_call.message)
            self._end_calls()
            self._in_call = None
            self._serve_later()

    def _serve_later(self) -> None:
        if self._waiting and not self._serving:
            self._serving = True
            self.tell_name(self.name, _Serve())

    def _look_at_budget(self) -> None:
        """Reading that is slower than it should be is told, when it begins and when it is over."""
        now = self.clock.monotonic()
        # With the calls, which reads of the books make each second, and not by a timer: its envelopes would fill
        # traces.
        if now < self._budget_seen + 1.0:
            return
        self._budget_seen = now
        if not self._thinning.look(now, self._limiter.gaps(now)):
            return
        note = self._thinning.note
        self.tell(self._addresses.command_service, ReadingSlowed(note))
        severity = Severity.WARNING if note else Severity.INFO
        text = note or "reading is as fast as it should be again"
        self.tell(self._addresses.notifier, Alert(severity, AlertKind.CALL_BUDGET, text))

    def _calls(self, message: _Change | _Read) -> int:
        if isinstance(message, ReadQuote):
            return self._client.quote_calls(message.exchange, message.symbol)
        if isinstance(message, PlaceOrder) and self._needs_price(message.order):
            return 1 + self._quote_calls(message.order)
        return 1

    def _look_again_in(self, wait: float) -> None:
        if self._next_deadline is not _NEVER:
            until = self._next_deadline - self.clock.steady() + timedelta(milliseconds=1)
            wait = min(wait, until.total_seconds())
        self.after(_SERVE, max(0.001, wait))

    def _drop_late(self) -> None:
        """An order that waited past its deadline is not sent later (scenario A15)."""
        now = self.clock.steady()
        # Not a look at all that wait for each order that comes: thousands may wait for the rate limits.
        if now <= self._next_deadline:
            return
        self._give_up_waiting(
            Tag.DEADLINE_PASSED,
            f"not sent before its deadline; {'the rate limits' if self._session_up else self._session_reason}",
            lambda order: now > order.deadline,
        )

    def _give_up_waiting(self, tag: Tag, reason: str, which: Callable[[Order], bool] = lambda _: True) -> None:
        late = self._waiting.remove(lambda w: isinstance(w.message, PlaceOrder) and which(w.message.order))
        left = [w.message.order.deadline for w in self._waiting.items() if isinstance(w.message, PlaceOrder)]
        self._next_deadline = min(left, default=_NEVER)
        for waiting in late:
            if isinstance(waiting.message, PlaceOrder):
                with self.answering(waiting.envelope):
                    self._not_sent(waiting.message.order, tag, reason)

    def _answer_without_session(self) -> None:
        """Orders wait for the session; reads and cancels are answered, since whoever wants them can ask again."""
        if self._session_up:
            return
        for waiting in self._waiting.remove(lambda w: not isinstance(w.message, PlaceOrder)):
            message = waiting.message
            with self.answering(waiting.envelope):
                if isinstance(message, CancelAtBroker):
                    self._tell_cancel(message, CancelStatus.NOT_SENT, self._session_reason)
                elif not isinstance(message, PlaceOrder):
                    self._answer_unreadable(message, ReadFailure.SESSION_EXPIRED, self._session_reason)

    # The calls

    def _call(self, message: _Change | _Read) -> None:
        if isinstance(message, PlaceOrder):
            self._place(message)
        elif isinstance(message, CancelAtBroker):
            self._cancel(message)
        else:
            self._read(message)

    def _spend(self, message: Message, calls: int = 1) -> None:
        kind = type(message).__name__
        self._calls_made[kind] = self._calls_made.get(kind, 0) + 1
        self._begin_calls(self._use, calls)

    def _begin_calls(self, use: Use, calls: int) -> None:
        self._limiter.spend(self.clock.monotonic(), use, calls)
        if self._call_log is not None:
            self._call_log.begin(self.clock.steady().timestamp(), calls)

    def _end_calls(self) -> None:
        self._limiter.ended(self.clock.monotonic())
        if self._call_log is not None:
            self._call_log.end(self.clock.steady().timestamp())

    def _cancel(self, message: CancelAtBroker) -> None:
        """One call, never repeated by itself: whatever it answers, the book has the last word (C10, C11)."""
        self._spend(message)
        match self._client.cancel_order(message.order.broker_order_id or ""):
            case Accepted():
                self._tell_cancel(message, CancelStatus.TAKEN, "the broker took the request; the book tells the rest")
            case Refused(kind=Refusal.RATE_LIMITED, reason=reason):
                self._put_back(message)
                self._obey(reason)
            case Refused(kind=kind, reason=reason):
                self._tell_cancel(message, CancelStatus.REFUSED, reason)
                if kind is Refusal.SESSION_EXPIRED:
                    self._session_lost(reason)
            case NotSent(reason=reason):
                self._tell_cancel(message, CancelStatus.NOT_SENT, reason)
            case Unknown(reason=reason):
                self._tell_cancel(message, CancelStatus.UNKNOWN, reason)

    def _tell_cancel(self, message: CancelAtBroker, standing: CancelStatus, reason: str) -> None:
        report = CancelReported(message.command_id, standing, reason, message.reply_to)
        self.tell(self._addresses.order_repo, report)

    def _place(self, message: PlaceOrder) -> None:
        order = message.order
        opens = order.execution_type is not ExecutionType.EXIT
        if self._stopping is not None:
            self._not_sent(order, Tag.SERVICE_NOT_READY, self._stopping)
        elif opens and self._halted is not None:
            self._not_sent(order, Tag.RISK_LIMITS_EXCEEDED, f"trading was halted before the call: {self._halted}")
        elif not self._held_back(message):
            began = self.clock.steady()
            priced = self._priced(order) if self._needs_price(order) else order
            # The quote may have taken its time too.
            if priced is not None and not self._held_back(message, began):
                self._spend(message)
                self._tell_outcome(message, self._client.place_order(priced))

    def _held_back(self, message: PlaceOrder, quoted_since: datetime | None = None) -> bool:
        """Keep an EXIT that waited: what was seen meanwhile may leave it less, so that the guard looks again (G1)."""
        verdict = self._freshness.judge(
            message, self.clock.steady(), session_since=self._session_since, quoted_since=quoted_since
        )
        if isinstance(verdict, OrderNotSent):
            self._alert(AlertKind.EXIT_UNVERIFIED, f"{message.command_id}: {verdict.reason}")
            self.tell(self._addresses.trading_bot, verdict)
        elif verdict is not None:
            self.tell(self._addresses.execution_guard, verdict)
        return verdict is not None

    def _needs_price(self, order: Order) -> bool:
        return self._market_as_limit and order.intent.order_type in (OrderType.MARKET, OrderType.SL_M)

    def _priced(self, order: Order) -> Order | None:
        """A market order as a protected limit, or None when it was answered as not sent."""
        self._begin_calls(self._use, self._quote_calls(order))
        try:
            priced = protected(order, self._shared_quote(order) or self._new_quote(order))
        except ReadError as error:
            self._not_sent(
                order, Tag.BROKER_NOT_SENT, f"no quote to price a {order.intent.order_type} order: {error.reason}"
            )
            if error.failure is ReadFailure.SESSION_EXPIRED:
                self._session_lost(error.reason)
            return None
        except CannotPrice as error:
            self._not_sent(order, Tag.BROKER_NOT_SENT, str(error))
            return None
        if self.clock.steady() > order.deadline:
            self._not_sent(order, Tag.DEADLINE_PASSED, "its send deadline passed while its price was asked for")
            return None
        value = (priced.intent.price or Decimal(0)) * order.quantity
        if order.execution_type is not ExecutionType.EXIT and 0 < self._max_order_value < value:
            reason = f"order value {value:.2f}, limit {self._max_order_value:.2f}"
            self._not_sent(order, Tag.RISK_LIMITS_EXCEEDED, reason)
            return None
        return priced

    def _quote_calls(self, order: Order) -> int:
        return 0 if self._shared_quote(order) else self._client.quote_calls(order.exchange, order.symbol)

    def _shared_quote(self, order: Order) -> Quote | None:
        asked_at, quote = self._quotes.get((order.exchange, order.symbol), (-math.inf, None))
        leaves = order.execution_type is ExecutionType.EXIT
        return quote if leaves and self.clock.monotonic() - asked_at <= _QUOTE_S else None

    def _new_quote(self, order: Order) -> Quote:
        now = self.clock.monotonic()
        quote = self._client.quote(order.exchange, order.symbol)
        self._quotes = {where: known for where, known in self._quotes.items() if now - known[0] <= _QUOTE_S}
        self._quotes[order.exchange, order.symbol] = now, quote
        return quote

    def _not_sent(self, order: Order, tag: Tag, reason: str) -> None:
        self.tell(self._addresses.trading_bot, OrderNotSent(order, tag, reason))

    def _tell_outcome(self, message: PlaceOrder, outcome: OrderOutcome) -> None:
        order, bot = message.order, self._addresses.trading_bot
        match outcome:
            case Accepted(broker_order_id=number):
                self.tell(bot, OrderAccepted(order, number))
            case Refused(kind=Refusal.SESSION_EXPIRED, reason=reason):
                # Refused before it reached the OMS: it may be sent once there is a session, until its deadline (15.1).
                self._put_back(message)
                self._session_lost(reason)
            case Refused(kind=Refusal.RATE_LIMITED, reason=reason):
                self._put_back(message)
                self._obey(reason)
            case Refused(reason=reason):
                self.tell(bot, OrderRefused(order, reason))
            case NotSent(reason=reason):
                self._not_sent(order, Tag.BROKER_NOT_SENT, reason)
            case Unknown(reason=reason):
                self.tell(bot, OrderOutcomeUnknown(order, reason))

    def _put_back(self, message: _Change) -> None:
        self._put(message)

    def _obey(self, reason: str) -> None:
        """The broker counts more calls than we do: make none for as long as its window (protocol 2.5)."""
        penalty = _MINUTE_PENALTY_S if "minute" in reason.lower() else _RATE_PENALTY_S
        self._limiter.close_for(self.clock.monotonic(), penalty)

    def _read(self, message: _Read) -> None:
        self._spend(message, self._calls(message))
        self._limiter.read(self.clock.monotonic(), _READS[type(message)])
        try:
            answer = self._ask_broker(message)
        except ReadError as error:
            self._answer_unreadable(message, error.failure, error.reason)
            if error.failure is ReadFailure.SESSION_EXPIRED:
                self._session_lost(error.reason)
            elif error.rate_limited:
                self._obey(error.reason)
            return
        self._note_unreadable()
        if isinstance(message, ReadQuote | ReadHoldings | FindInstruments):
            self.tell_name(message.reply_to, answer)
        else:
            self.tell(self._addresses.order_watcher, answer)

    def _note_unreadable(self) -> None:
        """Rows and fields nobody could read are told to a person, each text once (scenario B15)."""
        for text in self._client.take_unreadable():
            if text not in self._unreadable and len(self._unreadable) < _UNREADABLE_LIMIT:
                self._unreadable.add(text)
                self._alert(AlertKind.UNREADABLE_ROW, text)

    def _ask_broker(self, message: _Read) -> Message:
        client, now = self._client, self.clock.now
        asked_at = self.clock.steady()
        match message:
            case ReadOrderBook():
                reports = client.order_book()
                # The client gives the same object again for a row that is as it was.
                before, self._book = {id(report) for report in self._book}, reports
                changed = tuple(report.broker_order_id for report in reports if id(report) not in before)
                return OrderBookRead(reports, asked_at, now(), changed)
            case ReadTradeBook():
                return TradeBookRead(client.trade_book(), asked_at, now())
            case ReadPositions():
                return PositionsRead(client.positions(), asked_at, now())
            case ReadHoldings():
                return HoldingsRead(client.holdings())
            case ReadQuote(exchange=exchange, symbol=symbol):
                return QuoteRead(client.quote(exchange, symbol))
            case FindInstruments(exchange=exchange, text=text):
                return InstrumentsFound(client.instruments(exchange, text))

    def _answer_unreadable(self, message: _Read, failure: ReadFailure, reason: str) -> None:
        match message:
            case ReadHoldings(reply_to=reply_to):
                self.tell_name(reply_to, HoldingsRead(None, reason))
            case ReadQuote(exchange=exchange, symbol=symbol, reply_to=reply_to):
                self.tell_name(reply_to, QuoteUnreadable(exchange, symbol, reason))
            case FindInstruments(reply_to=reply_to):
                self.tell_name(reply_to, InstrumentsFound((), reason))
            case ReadOrderBook():
                self._tell_unreadable(Book.ORDERS, failure, reason)
            case ReadTradeBook():
                self._tell_unreadable(Book.TRADES, failure, reason)
            case ReadPositions():
                self._tell_unreadable(Book.POSITIONS, failure, reason)

    def _tell_unreadable(self, book: Book, failure: ReadFailure, reason: str) -> None:
        self.tell(self._addresses.order_watcher, BookUnreadable(book, failure, reason))

    # The session

    def _log_in(self) -> None:
        now = self.clock.monotonic()
        wait = self._limiter.wait_s(now, Use.EXIT)
        if wait > 0:
            self.after(_LOGIN, wait)
            return
        self._begin_calls(Use.EXIT, 1)
        outcome = self._client.login()
        self._end_calls()
        match outcome:
            case LoggedIn(token=token):
                self._session_begun(token)
            case LoginRefused(reason=reason):
                # Another try could lock the account: a person must look (scenario E2).
                self._need_person(f"the broker refused the login: {reason}")
            case LoginFailed(reason=reason, retry_in_s=retry_in_s):
                self._login_waits(reason, retry_in_s)

    def _login_waits(self, reason: str, retry_in_s: float | None) -> None:
        if retry_in_s is None:
            self._session_down(f"the broker could not be reached to log in: {reason}")
            self.after(_LOGIN, self._relogin.after_no_verdict())
            return
        self._session_down(f"not logged in yet: {reason}")
        self.tell(self._addresses.notifier, Alert(Severity.WARNING, AlertKind.SESSION, self._session_reason))
        self.after(_LOGIN, retry_in_s)

    def _session_begun(self, token: str) -> None:
        self.tell(self._addresses.order_feed, FeedSession(token))
        self._relogin.logged_in(self.clock.monotonic())
        self._needs_person = False
        self._session_up = True
        self._session_since = self.clock.steady()
        self._tell_session(True, "")
        self._serve()

    def _need_person(self, reason: str) -> None:
        self._needs_person = True
        self.cancel(_LOGIN)
        self._session_down(reason)
        self._give_up_waiting(Tag.BROKER_NOT_SENT, self._session_reason)
        self._alert(AlertKind.LOGIN, self._session_reason)

    def _session_lost(self, reason: str) -> None:
        if not self._session_up:
            return
        self._session_down(f"the broker ended the session: {reason}")
        self.tell(self._addresses.order_feed, FeedSessionLost())
        pause = self._relogin.after_loss(self.clock.monotonic())
        if pause is None:
            # No login storm (scenario E1).
            self._need_person(
                f"{self._session_reason}; each new session ends soon after its login, so no further login is tried: "
                "see whether another program logs in to this account, then restart the service"
            )
        else:
            self._alert(AlertKind.SESSION, self._session_reason)
            self.after(_LOGIN, pause)

    def _look_for_token(self) -> None:
        """A new access token in its file is taken while the service runs, whether or not the session is up (T30)."""
        token = self._read_token() if self._read_token is not None else None
        if token is None or token == self._token:
            return
        if self._limiter.wait_s(self.clock.monotonic(), Use.EXIT) > 0:
            return
        self._token = token
        self._relogin.begin_anew()
        self._begin_calls(Use.EXIT, 1)
        outcome = self._client.take_token(token)
        self._end_calls()
        if isinstance(outcome, LoggedIn):
            self.cancel(_LOGIN)
            self._session_begun(outcome.token)
        elif self._session_up:
            self._alert(AlertKind.LOGIN, f"the new access token is not accepted, the session goes on: {outcome.reason}")
        elif isinstance(outcome, LoginRefused):
            self._need_person(f"the broker refused the login: {outcome.reason}")
        else:
            self._session_down(f"the broker could not be reached to log in: {outcome.reason}")
            self.after(_LOGIN, self._relogin.after_no_verdict())

    def _session_down(self, reason: str) -> None:
        self._session_up = False
        self._session_reason = reason
        self._tell_session(False, reason)

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        self._tell_standing()

    def _tell_standing(self) -> None:
        self._tell_session(self._session_up, "" if self._session_up else self._session_reason)

    def _tell_session(self, up: bool, reason: str) -> None:
        self.tell(self._addresses.command_service, SessionChanged(up, reason, self._needs_person))

    def _alert(self, kind: AlertKind, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text))


def _use(message: _Change | _Read) -> Use:
    if message.lane is Lane.URGENT:
        return Use.EXIT
    return Use.ENTRY if isinstance(message, _Change) else _READS[type(message)]
