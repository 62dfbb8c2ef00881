"""Those outside who want something of the service: senders of webhooks that retry, and an operator."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from core.messages import CancelOrder, ClearHalt, HaltChanged, SetHalt, SquareOff, SubmitOrder
from core.model.order import RawIntent, Source
from core.runtime.reply import ReplyBox
from tests.simulation.account import command_of
from tests.simulation.answers import Answers, Asked
from tests.simulation.event import Event
from tests.simulation.exchange import WatchedExchange
from tests.simulation.laws import Laws
from tests.simulation.network import OutsideClock
from tests.simulation.phone import on_tick
from tests.simulation.runtime import SimulatedRuntime
from tests.simulation.schedule import Schedule

__all__ = ["Callers", "Submission"]

_WAIT_S = 5.0
_PATIENCE = 6
_EXITS_THAT_FIT = 0.7


@dataclass(slots=True, eq=False)
class Submission:
    """An order that somebody outside wants, however often it is posted.

    Attributes:
        fields: The body.
        key: Its idempotency key; a sender without one does not retry.
        posts: How often it was posted.
    """

    fields: tuple[tuple[str, object], ...]
    key: str | None
    posts: int = 0

    @property
    def asked(self) -> Asked:
        """What the order is."""
        fields = dict(self.fields)
        strategy, kind, symbol, side = (str(fields[n]) for n in ("strategy", "execution_type", "symbol", "side"))
        return strategy, kind, symbol, side, int(str(fields["quantity"]))


class Callers:
    """Does what a plan's events of the kinds `webhook` and `operator` say.

    Args:
        exchange: Where prices come from.
        clock: The world's time.
        agenda: Where retries are noted.
        laws: Told what the operator was told.
        answers: Told who was told that there will be no answer.
        chance: Decides on pauses.
        process: The runtime of the process that lives, if one does.
    """

    def __init__(
        self,
        exchange: WatchedExchange,
        clock: OutsideClock,
        schedule: Schedule,
        *,
        laws: Laws,
        answers: Answers,
        chance: random.Random,
        process: Callable[[], SimulatedRuntime | None],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._schedule = schedule
        self._laws = laws
        self._answers = answers
        self._chance = chance
        self._process = process
        # What was to be entered lately: most exits are of one of these.
        self._entered: deque[tuple[str, str, str, str]] = deque(maxlen=6)

    def act(self, event: Event) -> None:
        """Do what the event says."""
        match event.kind:
            case "webhook":
                self._webhook(event)
            case "operator:halt":
                self._halt(SetHalt("the operator says so", "operator"))
            case "operator:resume":
                self._resume()
            case "operator:square_off":
                self._tell_square_off()
            case "operator:cancel":
                self._cancel(int(event.number("which")))

    # Webhooks

    def _webhook(self, event: Event) -> None:
        key = event.value("key")
        submission = Submission(self._body(event), str(key) if key is not None else None)
        self._post(submission)
        doubled = event.value("doubled_s")
        if doubled is not None and submission.key is not None:
            self._schedule.at(self._clock.monotonic() + float(doubled), lambda: self._post(submission))

    def _body(self, event: Event) -> tuple[tuple[str, object], ...]:
        """The fields as JSON would bring them; prices around the market as it is now."""
        strategy, exchange, symbol, side = self._what(event)
        last = Decimal(self._exchange.last_price(exchange, symbol))
        order = str(event.value("order"))
        sign = 1 if side == "BUY" else -1
        fields: dict[str, object] = {
            "strategy": strategy,
            "execution_type": event.value("type"),
            "exchange": exchange,
            "symbol": symbol,
            "side": side,
            "quantity": event.value("quantity"),
            "order_type": {"AWAY": "LIMIT", "IOC": "LIMIT", "SL": "SL"}.get(order, order),
            "product": event.value("product") or (None if event.value("type") == "EXIT" else "MIS"),
            "idempotency_key": event.value("key"),
        }
        shifts = {"LIMIT": "0.01", "AWAY": "-0.02", "IOC": "0.0002", "SL": "0.012"}
        if order in shifts:
            fields["price"] = on_tick(last * (1 + sign * Decimal(shifts[order])))
        if order == "SL":
            fields["trigger_price"] = on_tick(last * (1 + sign * Decimal("0.001")))
        if order == "IOC":
            fields["validity"] = "IOC"
        return tuple((name, value) for name, value in fields.items() if value is not None)

    def _what(self, event: Event) -> tuple[str, str, str, str]:
        """Strategy, exchange, trading symbol and side."""
        entered = [what for what in self._entered if self._exchange.lists(what[1], what[2])]
        fits = event.value("type") == "EXIT" and event.value("exact") is None and entered
        if fits and self._chance.random() < _EXITS_THAT_FIT:
            strategy, exchange, symbol, side = self._chance.choice(entered)
            return strategy, exchange, symbol, "SELL" if side == "BUY" else "BUY"
        exchange = str(event.value("exchange"))
        symbol = self._exchange.symbol(exchange, str(event.value("symbol")))
        what = (str(event.value("strategy")), exchange, symbol, str(event.value("side")))
        if event.value("type") == "ENTRY":
            self._entered.append(what)
        return what

    def _post(self, submission: Submission) -> None:
        """Post once; without an answer in time a sender with a key posts again."""
        submission.posts += 1
        runtime = self._process()
        if runtime is None:
            self._again(submission)
            return
        box = runtime.open_reply()
        box.future.add_done_callback(lambda _: self._answered(box))
        self._answers.asks(box.name, submission.asked)
        runtime.tell("command_service", SubmitOrder(RawIntent(submission.fields), Source.WEBHOOK, box.name), box.name)
        self._schedule.at(self._clock.monotonic() + _WAIT_S, lambda: self._waited(submission, box, runtime))

    def _answered(self, box: ReplyBox) -> None:
        if not box.future.cancelled() and box.future.exception(0) is not None:
            self._answers.failed(box.name)

    def _waited(self, submission: Submission, box: ReplyBox, runtime: SimulatedRuntime) -> None:
        if box.future.done():
            return
        box.close()
        if runtime.down or self._process() is not runtime or self._chance.random() < 0.3:
            self._again(submission)

    def _again(self, submission: Submission) -> None:
        if submission.key is not None and submission.posts < _PATIENCE:
            pause = self._chance.choice((0.1, 1.0, 5.0))
            self._schedule.at(self._clock.monotonic() + pause, lambda: self._post(submission))

    # The operator

    def _resume(self) -> None:
        """Where nobody listens, nothing is resumed."""
        if self._process() is not None:
            self._laws.halted_since = None
            self._halt(ClearHalt("operator"))

    def _halt(self, message: SetHalt | ClearHalt) -> None:
        runtime = self._process()
        if runtime is None:
            return
        box = runtime.open_reply()
        halting = isinstance(message, SetHalt)
        box.future.add_done_callback(lambda _: self._halt_answered(box, halting=halting))
        told = SetHalt(message.reason, message.by, box.name) if isinstance(message, SetHalt) else None
        runtime.tell("order_repo", told or ClearHalt(message.by, box.name))

    def _halt_answered(self, box: ReplyBox, *, halting: bool) -> None:
        if box.future.exception(0) is not None:
            return
        message = box.future.result(0)
        if isinstance(message, HaltChanged) and halting and message.halt is not None:
            self._laws.halted_since = self._clock.monotonic()

    def _cancel(self, which: int) -> None:
        """Of an order at the broker as a rule, of any order else: also of one that is not sent yet, or long over."""
        runtime = self._process()
        known = [order.remarks for order in self._exchange.open_orders()] or sorted(self._exchange.by_tag)
        if runtime is not None and known:
            box = runtime.open_reply()
            runtime.tell("order_repo", CancelOrder(command_of(known[which % len(known)]), "operator", box.name))

    def _tell_square_off(self) -> None:
        runtime = self._process()
        if runtime is not None:
            runtime.tell("execution_guard", SquareOff("the operator says so", Source.DASHBOARD))
