"""Step 4: the only hand that calls the broker. One mailbox, one call at a time, within the broker's rate limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.addresses import Addresses
from actors.broker_calls import BrokerCalls, BrokerClient, unreadable
from core.messages import (
    Alert,
    BrokerUse,
    CallsOver,
    CancelAtBroker,
    CancelReported,
    CancelStatus,
    ClaimCall,
    ExitDoubted,
    ExternalFilled,
    FeedSession,
    FeedSessionLost,
    GetBrokerUse,
    HaltChanged,
    Message,
    ModifyAtBroker,
    ModifyStatus,
    OrderAccepted,
    OrderNotSent,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderSettled,
    PlaceOrder,
    QuoteRead,
    ReadingSlowed,
    ReadOrderBook,
    ReadPositions,
    ReadQuote,
    ReadTradeBook,
    RecordPrice,
    RepublishBrokerStatus,
    ServiceStopping,
    Severity,
    Tick,
)
from core.model.alerts import AlertKind
from core.model.order import ExecutionType, Order, Tag
from core.model.outcomes import (
    Accepted,
    LoggedIn,
    NotSent,
    OrderOutcome,
    ReadError,
    ReadFailure,
    Refusal,
    Refused,
    Unknown,
)
from core.process.call_log import CallLog
from core.rules.broker_session import BrokerSession, Next
from core.rules.call_budget import RateLimiter
from core.rules.call_plan import Use
from core.rules.call_queue import CallQueue, Change, Read, Telling, Thinning, use_of
from core.rules.exit_freshness import ExitFreshness
from core.rules.market_protection import Priced, Pricing
from core.rules.modifying import as_asked, only_reduces, sent_as
from core.rules.slices import named
from core.runtime import Actor, Envelope, Runtime

__all__ = ["BrokerProxy"]

_LOGIN = "login"
_SERVE = "serve"
_TOKEN = "token"
# How often the file with the access token is looked at: a person, or `run.py login`, puts a new one there.
_TOKEN_S = 5.0
_RATE_PENALTY_S = 1.0
# How often orders that wait for a session are looked at again, if nothing happens meanwhile.
_LOOK_AGAIN_S = 30.0
_MINUTE_PENALTY_S = 60.0
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Serve(Message):
    """To itself: serve the next one waiting, after what came in meanwhile was put in its place."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: Change | Read
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
        max_jump: Decimal = Decimal("0.1"),
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._open_client = open_client
        self._limiter = limiter
        self._calls = BrokerCalls(self.clock, limiter, open_call_log)
        self._pricing = Pricing(market_as_limit, max_order_value, max_jump)
        self._waiting: CallQueue[_Waiting] = CallQueue(limiter)
        self._thinning = Thinning()
        self._budget_seen = 0.0
        self._in_call: _Waiting | None = None
        # No order that waits has an earlier deadline; an order that was served may have had it.
        self._next_deadline = _NEVER
        self._serving = False
        self._session = BrokerSession()
        self._read_token = read_token
        self._halted: str | None = None
        self._freshness = ExitFreshness()
        self._stopping: str | None = None

    def started(self) -> None:
        self._client = self._open_client()
        self._calls.open()
        # By a timer, so that the rest of the actors is started while the broker takes its time to answer.
        self.after(_LOGIN, 0.0)
        if self._read_token is not None:
            self._session.use(self._read_token())
            self.every(_TOKEN, _TOKEN_S)

    def stopping(self) -> None:
        self._calls.close()

    def rebuild(self) -> None:
        """What waits is still to be served: no order is forgotten because another one failed.

        Nor is the one whose call failed in an unforeseen way, which is not the order of the envelope that is reported.
        """
        failed, self._in_call = self._in_call, None
        if failed is not None and isinstance(failed.message, PlaceOrder):
            with self.answering(failed.envelope):
                reason = "an error in Sixstep during the call"
                unknown = OrderOutcomeUnknown(failed.message.order, reason, failed.message.verified)
                self.tell(self._addresses.trading_bot, unknown)
        if failed is not None and isinstance(failed.message, CancelAtBroker | ModifyAtBroker):
            with self.answering(failed.envelope):
                self._tell_standing(failed.message, CancelStatus.UNKNOWN, "an error in Sixstep during the call")
        self._calls.end()
        self._serving = False
        self._serve_later()
        # What the handler was about to tell of the session, and the login it was about to plan, went with it.
        self._tell_session()
        self._follow(self._session.retry())

    def handler_failed(self, envelope: Envelope) -> None:
        """A halt stands, whatever became of the handler that was told of it."""
        if isinstance(envelope.message, HaltChanged):
            self.on_halt_changed(envelope.message)

    # What is asked

    def on_call(self, message: Change | Read) -> None:
        if self._stopping is not None and isinstance(message, Read):
            return
        self._put(message)
        self._serve()

    def on_calls_over(self, message: CallsOver) -> None:
        self._calls.given_back(message.calls)
        self._serve()

    def on_get_broker_use(self, _: GetBrokerUse) -> None:
        last_second, last_minute = self._limiter.used(self.clock.monotonic())
        self.reply(
            BrokerUse(
                session_up=self._session.up,
                session_reason=self._session.reason,
                needs_person=self._session.needs_person,
                waiting=len(self._waiting),
                last_second=last_second,
                last_minute=last_minute,
                per_second=self._limiter.per_second,
                per_minute=self._limiter.per_minute,
                calls=tuple(sorted(self._calls.made.items())),
                slowed=self._thinning.note,
                plan=self._limiter.plan(self.clock.monotonic()),
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

    def on_order_settled(self, message: OrderSettled) -> None:
        """A broker order was given up: its row is final."""
        given_up, reason = message.order.client_tag, "given up while it waited for its call"
        self._give_up_waiting(Tag.BROKER_NOT_FOUND, reason, lambda order: order.client_tag == given_up)

    def on_service_stopping(self, message: ServiceStopping) -> None:
        self._stopping = message.reason
        self._give_up_waiting(Tag.SERVICE_NOT_READY, message.reason)
        # Nobody is there for the answers any more, and each may take as long as a call can.
        self._waiting.remove(lambda waiting: isinstance(waiting.message, Read))

    # The queue

    def _put(self, message: Change | Read) -> None:
        key = message.conflation_key if isinstance(message, Read) else None
        every_s = message.every_s if isinstance(message, ReadQuote) else 0.0
        self._waiting.put(self.clock.monotonic(), _Waiting(message, self.envelope), use_of(message), key, every_s)
        if isinstance(message, PlaceOrder):
            self._next_deadline = min(self._next_deadline, message.order.deadline)

    def _serve(self) -> None:
        """Make one call, or set the clock for when one may be made."""
        if self._serving:
            return
        self._drop_late()
        self._look_at_budget()
        self._answer_without_session()
        if not self._session.up:
            if self._waiting:
                self._look_again_in(_LOOK_AGAIN_S)
            return
        found = self._waiting.take(self.clock.monotonic(), lambda waiting: self._calls_of(waiting.message))
        if isinstance(found, float):
            self._look_again_in(found)
        elif found is not None:
            self._in_call, self._calls.use = found
            # As an effect of the envelopes of the order itself, not of the one that made room for it (law 10).
            with self.answering(self._in_call.envelope):
                self._call(self._in_call.message)
            self._calls.end()
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
        telling = self._thinning.look(now, self._limiter.plan(now), self._limiter.inherited(now))
        if telling is Telling.NOTHING:
            return
        note = self._thinning.note
        self.tell(self._addresses.command_service, ReadingSlowed(note))
        if telling is Telling.NOTE:
            return
        severity = Severity.WARNING if note and not self._thinning.passes else Severity.INFO
        text = note or "reading is as fast as it should be again"
        self.tell(self._addresses.notifier, Alert(severity, AlertKind.CALL_BUDGET, text))

    def _calls_of(self, message: Change | Read) -> int:
        if isinstance(message, ReadQuote):
            return self._client.quote_calls(message.exchange, message.symbol)
        if isinstance(message, ClaimCall):
            return message.calls
        if isinstance(message, ModifyAtBroker):
            message = _to_price(message)
        if isinstance(message, PlaceOrder) and self._pricing.needs_quote(message.order):
            return 1 + self._quote_calls(message)
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
            f"not sent before its deadline; {'the rate limits' if self._session.up else self._session.reason}",
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
        if self._session.up:
            return
        for waiting in self._waiting.remove(lambda w: not isinstance(w.message, PlaceOrder)):
            message = waiting.message
            with self.answering(waiting.envelope):
                if isinstance(message, CancelAtBroker | ModifyAtBroker):
                    self._tell_standing(message, CancelStatus.NOT_SENT, self._session.reason)
                elif not isinstance(message, PlaceOrder):
                    self._answer(message, unreadable(message, ReadFailure.SESSION_EXPIRED, self._session.reason))

    # The calls

    def _call(self, message: Change | Read) -> None:
        if isinstance(message, PlaceOrder):
            self._place(message)
        elif isinstance(message, CancelAtBroker):
            self._cancel(message)
        elif isinstance(message, ModifyAtBroker):
            self._modify(message)
        else:
            self._read(message)

    def _cancel(self, message: CancelAtBroker) -> None:
        """One call, never repeated by itself: whatever it answers, the book has the last word (C10, C11)."""
        self._calls.begin(asked=message)
        self._tell_changed(message, self._client.cancel_order(message.order.broker_order_id or ""))

    def _modify(self, message: ModifyAtBroker) -> None:
        """One call, as for a cancel. What goes at the market gets a limit, as a new order does."""
        if why := self._stopping or self._too_late(message):
            self._tell_standing(message, ModifyStatus.NOT_SENT, why)
            return
        if self._halted is not None and not only_reduces(message.order):
            self._tell_standing(message, ModifyStatus.BLOCKED, f"trading is halted: {self._halted}")
            return
        place = _to_price(message)
        priced = self._priced(place) if self._pricing.needs_quote(place.order) else Priced(place.order, "")
        if isinstance(priced, OrderNotSent | ReadError):
            self._tell_standing(message, ModifyStatus.NOT_SENT, priced.reason)
            if isinstance(priced, ReadError):
                self._put_off(priced)
            return
        order, intent = priced.order, priced.order.intent
        self._calls.begin(asked=message)
        outcome = self._client.modify_order(
            order.broker_order_id or "",
            exchange=order.exchange,
            symbol=order.symbol,
            quantity=order.quantity,
            order_type=intent.order_type,
            price=intent.price,
            trigger_price=intent.trigger_price,
            validity=intent.validity,
        )
        self._tell_price(priced)
        self._tell_changed(message, outcome, intent.price)

    def _too_late(self, message: ModifyAtBroker) -> str:
        late = self.clock.steady() > message.until
        return "it waited too long for its call; ask for it again if it is still wanted" if late else ""

    def _tell_changed(
        self, message: CancelAtBroker | ModifyAtBroker, outcome: OrderOutcome, price: Decimal | None = None
    ) -> None:
        match outcome:
            case Accepted():
                reason = "the broker took the request; the book tells the rest"
                self._tell_standing(message, CancelStatus.TAKEN, reason, price)
            case Refused(kind=Refusal.RATE_LIMITED, reason=reason):
                self._put(message)
                self._obey(reason)
            case Refused(kind=kind, reason=reason):
                self._tell_standing(message, CancelStatus.REFUSED, reason)
                if kind is Refusal.SESSION_EXPIRED:
                    self._session_lost(reason)
            case NotSent(reason=reason):
                self._tell_standing(message, CancelStatus.NOT_SENT, reason)
            case Unknown(reason=reason):
                self._tell_standing(message, CancelStatus.UNKNOWN, reason, price)

    def _tell_standing(
        self,
        message: CancelAtBroker | ModifyAtBroker,
        standing: CancelStatus | ModifyStatus,
        reason: str,
        price: Decimal | None = None,
    ) -> None:
        told: Message
        if isinstance(message, CancelAtBroker):
            told = CancelReported(message.command_id, CancelStatus(standing.value), reason, message.reply_to)
        else:
            sent = replace(as_asked(message.order).terms, price=price)
            told = message.told(ModifyStatus(standing.value), reason, sent)
        self.tell(self._addresses.order_repo, told)

    def _place(self, message: PlaceOrder) -> None:
        order = message.order
        opens = order.execution_type is not ExecutionType.EXIT
        if self._stopping is not None:
            self._not_sent(order, Tag.SERVICE_NOT_READY, self._stopping)
        elif opens and self._halted is not None:
            self._not_sent(order, Tag.RISK_LIMITS_EXCEEDED, f"trading was halted before the call: {self._halted}")
        elif not self._held_back(message):
            began = self.clock.steady()
            priced = self._priced(message) if self._pricing.needs_quote(order) else Priced(order, "")
            if isinstance(priced, OrderNotSent):
                self.tell(self._addresses.trading_bot, priced)
            elif isinstance(priced, ReadError):
                self._put(message)
                self._put_off(priced)
            # The quote may have taken its time too.
            elif not self._held_back(message, began):
                self._calls.begin(asked=message)
                outcome = self._client.place_order(priced.order)
                self._tell_price(priced)
                self._tell_outcome(message, outcome)

    def _held_back(self, message: PlaceOrder, quoted_since: datetime | None = None) -> bool:
        """Keep an EXIT that waited: what was seen meanwhile may leave it less, so that the guard looks again (G1)."""
        verdict = self._freshness.judge(
            message, self.clock.steady(), session_since=self._session.since, quoted_since=quoted_since
        )
        if isinstance(verdict, OrderNotSent):
            self._alert(AlertKind.EXIT_UNVERIFIED, f"{message.command_id}: {verdict.reason}")
            self.tell(self._addresses.trading_bot, verdict)
        elif verdict is not None:
            self.tell(self._addresses.execution_guard, verdict)
        return verdict is not None

    def _priced(self, message: PlaceOrder) -> Priced | OrderNotSent | ReadError:
        """A market order as a protected limit, or why it is none; the error where its call would have met it too."""
        order, asked_at, problem = message.order, self.clock.monotonic(), ""
        quote = self._pricing.known(message, asked_at, self.clock.steady(), slack=True)
        if quote is None:
            self._calls.begin(self._client.quote_calls(order.exchange, order.symbol))
            try:
                read = self._client.quote(order.exchange, order.symbol)
            except ReadError as error:
                problem = f"no quote to price a {order.intent.order_type} order: {error.reason}"
                if error.failure is ReadFailure.SESSION_EXPIRED or error.rate_limited:
                    return error
            else:
                quote = self._pricing.keep(order, asked_at, read.aged(self.clock.now()))
                if self.knows(self._addresses.prices.name):
                    self.tell(self._addresses.prices, QuoteRead(read))
        return self._pricing.priced(message, quote, self.clock.steady(), problem)

    def _put_off(self, error: ReadError) -> None:
        """The broker answers nobody now: for want of a session, or as it was asked too often."""
        if error.failure is ReadFailure.SESSION_EXPIRED:
            self._session_lost(error.reason)
        elif error.rate_limited:
            self._obey(error.reason)

    def _quote_calls(self, message: PlaceOrder) -> int:
        known = self._pricing.known(message, self.clock.monotonic(), self.clock.steady())
        return 0 if known else self._client.quote_calls(message.order.exchange, message.order.symbol)

    def _tell_price(self, priced: Priced) -> None:
        order = priced.order
        if priced.by:
            text = named(order, f"sent as {order.intent.order_type} at {order.intent.price} by {priced.by}")
            self.tell(self._addresses.order_repo, RecordPrice(order.command_id, text))
        if priced.doubt:
            text = f"{order.client_tag}: {priced.doubt}; the EXIT goes at {order.intent.price} by {priced.by}"
            self._alert(AlertKind.PRICES, text)

    def _not_sent(self, order: Order, tag: Tag, reason: str) -> None:
        self.tell(self._addresses.trading_bot, OrderNotSent(order, tag, reason))

    def _tell_outcome(self, message: PlaceOrder, outcome: OrderOutcome) -> None:
        order, bot = message.order, self._addresses.trading_bot
        match outcome:
            case Accepted(broker_order_id=number):
                self.tell(bot, OrderAccepted(order, number, message.verified))
            case Refused(kind=Refusal.SESSION_EXPIRED, reason=reason):
                # Refused before it reached the OMS: it may be sent once there is a session, until its deadline (15.1).
                self._put(message)
                self._session_lost(reason)
            case Refused(kind=Refusal.RATE_LIMITED, reason=reason):
                self._put(message)
                self._obey(reason)
            case Refused(reason=reason):
                self.tell(bot, OrderRefused(order, reason))
            case NotSent(reason=reason):
                self._not_sent(order, Tag.BROKER_NOT_SENT, reason)
            case Unknown(reason=reason):
                self.tell(bot, OrderOutcomeUnknown(order, reason, message.verified))

    def _obey(self, reason: str) -> None:
        """The broker counts more calls than we do: make none for as long as its window (protocol 2.5)."""
        penalty = _MINUTE_PENALTY_S if "minute" in reason.lower() else _RATE_PENALTY_S
        self._limiter.close_for(self.clock.monotonic(), penalty)

    def _read(self, message: Read) -> None:
        self._calls.begin(self._calls_of(message), asked=message)
        try:
            answer = self._calls.read(self._client, message)
        except ReadError as error:
            self._answer(message, unreadable(message, error.failure, error.reason))
            self._put_off(error)
            return
        for text in self._calls.newly_unreadable(self._client):
            self._alert(AlertKind.UNREADABLE_ROW, text)
        self._answer(message, answer)

    def _answer(self, message: Read, answer: Message) -> None:
        if isinstance(message, ReadOrderBook | ReadTradeBook | ReadPositions):
            self.tell(self._addresses.order_watcher, answer)
        else:
            self.tell_name(message.reply_to, answer)

    # The session

    def _log_in(self) -> None:
        now = self.clock.monotonic()
        wait = self._limiter.wait_s(now, Use.EXIT)
        if wait > 0:
            self.after(_LOGIN, wait)
            return
        outcome = self._calls.login(self._client.login)
        if isinstance(outcome, LoggedIn):
            self._session_begun(outcome.token)
        else:
            self._follow(self._session.after_login(outcome))

    def _session_begun(self, token: str) -> None:
        self._calls.token = token
        self.tell(self._addresses.order_feed, FeedSession(token))
        self._session.begin(self.clock.monotonic(), self.clock.steady())
        self._tell_session()
        self._serve()

    def _session_lost(self, reason: str) -> None:
        if not self._session.up:
            return
        self._session.end(f"the broker ended the session: {reason}")
        self._tell_session()
        self.tell(self._addresses.order_feed, FeedSessionLost())
        self._follow(self._session.after_loss(self.clock.monotonic()))

    def _follow(self, following: Next) -> None:
        if following.needs_person:
            self.cancel(_LOGIN)
        if following.changed is not None:
            self.tell(self._addresses.command_service, following.changed)
        if following.needs_person:
            self._give_up_waiting(Tag.BROKER_NOT_SENT, self._session.reason)
        if following.alert is not None:
            self.tell(self._addresses.notifier, following.alert)
        if following.login_in_s is not None:
            self.after(_LOGIN, following.login_in_s)

    def _look_for_token(self) -> None:
        """A new access token in its file is taken while the service runs, whether or not the session is up (T30)."""
        token = self._read_token() if self._read_token is not None else None
        if token is None or not self._session.is_new(token):
            return
        if self._limiter.wait_s(self.clock.monotonic(), Use.EXIT) > 0:
            return
        self._session.use(token)
        outcome = self._calls.login(lambda: self._client.take_token(token))
        if isinstance(outcome, LoggedIn):
            self.cancel(_LOGIN)
            self._session_begun(outcome.token)
        else:
            self._follow(self._session.after_token(outcome))

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        self._tell_session()

    def _tell_session(self) -> None:
        self.tell(self._addresses.command_service, self._session.changed)

    def _alert(self, kind: AlertKind, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text))


def _to_price(message: ModifyAtBroker) -> PlaceOrder:
    """What a modification asks for as an order that is priced, unless it has its price."""
    order = as_asked(message.order)
    intent = replace(order.intent, order_type=sent_as(order.terms))
    return PlaceOrder(replace(order, intent=intent, deadline=message.until))
