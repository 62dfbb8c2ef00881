"""Placing what OpenAlgo's callers want: which orders it is, each sent once, and an honest answer.

An order through zero is an EXIT, and an ENTRY once that has filled. Under an idempotency key nothing is ever sent by a
second request: it is told what became of the first.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from core.messages import GetGuardSnapshot, GuardSnapshot
from core.model.order import ExecutionType, Order, OrderType, Product, Side, Source, Status
from core.rules.keys import MADE_HERE
from core.rules.openalgo_meaning import Held, Part, held_in, parts_of, towards
from core.rules.submission import BodyProblem
from core.runtime.clock import token
from core.web.gateway import Gateway, Record, Unanswered
from core.web.openalgo.answers import Answer, error, outcome_told, success, unknown
from core.web.openalgo.symbols import Place
from core.web.reading import Reading
from core.web.submitting import Busy, Outcome, Submissions

__all__ = ["BASKET", "MATCHED", "Placing", "Wanted"]

BASKET = "openalgo"
"""All orders that come this way are legs of one basket of their strategy: it may hold more than one symbol."""

MATCHED = "Positions Already Matched. No Action needed."
_SECOND = "~entry"
_FILL_S = 10.0
_REMEMBERED = 10_000
_LOOK_S = 0.05
_STOPS = (OrderType.SL, OrderType.SL_M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An order as it was asked for. `target` is the position that a smart order wants; `key` its idempotency key."""

    strategy: str
    place: Place
    side: Side
    quantity: int
    product: Product
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    target: int | None = None
    key: str | None = None

    def fields(self, part: Part, key: str) -> dict[str, object]:
        """One part of it, as every entry point submits orders."""
        return {
            "strategy": self.strategy,
            "execution_type": part.execution_type.value,
            "exchange": self.place.exchange,
            "symbol": self.place.symbol,
            "action": part.side.value,
            "quantity": part.quantity,
            "product": self.product.value,
            "pricetype": self.order_type.value,
            "price": self.price,
            "trigger_price": self.trigger_price,
            "basket": BASKET,
            "idempotency_key": key,
        }

    def is_like(self, first: Order) -> bool:
        """Whether an order is this one, or its first part, as far as its holding may have decided."""
        intent = first.intent
        own = (self.strategy, self.place.exchange, self.place.symbol, self.product, self.order_type)
        if own != (intent.strategy, intent.exchange, intent.symbol, intent.product, intent.order_type):
            return False
        if (self.price, self.trigger_price) != (intent.price, intent.trigger_price) or intent.basket != BASKET:
            return False
        if self.target is not None:
            return True
        exits = intent.execution_type is ExecutionType.EXIT
        same = self.quantity >= intent.quantity if exits else self.quantity == intent.quantity
        return self.side is intent.side and same

    def second(self, first: Order, later: Order | None) -> bool:
        """Whether it went through zero, which its first part tells."""
        if first.execution_type is not ExecutionType.EXIT:
            return False
        if self.target is None:
            return self.quantity > first.intent.quantity
        return later is not None or self.target * first.side.sign > 0


class Placing:
    """Places orders.

    Args:
        gateway: The service.
        reading: The database.
        submissions: The way of every order.
        account: Whose they are.
    """

    def __init__(self, gateway: Gateway, reading: Reading, submissions: Submissions, account: str) -> None:
        self._gateway = gateway
        self._reading = reading
        self._submissions = submissions
        self._account = account
        self._running: dict[str, tuple[object, asyncio.Task[Answer]]] = {}
        # What came under a key: the rows of a smart order do not tell which position it wanted.
        self._asked: dict[str, Wanted] = {}
        self._smart: weakref.WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = weakref.WeakValueDictionary()

    async def guard(self, strategy: str | None = None) -> GuardSnapshot:
        """What strategies hold, or what one does.

        Raises:
            Unanswered: Nobody says.
        """
        found = await self._gateway.ask(self._gateway.execution_guard, lambda _: GetGuardSnapshot(strategy))
        if not isinstance(found, GuardSnapshot):
            raise Unanswered(f"the guard answered with {type(found).__name__}")
        return found

    async def place(self, wanted: Wanted) -> Answer:
        """Place it, once."""
        key = wanted.key
        if key is None:
            return await self._place(wanted, self.new_key())
        return await self.once(key, wanted, lambda: self._place(wanted, key))

    def new_key(self) -> str:
        """A key for an order that came without one."""
        return f"{MADE_HERE}{token(self._gateway.clock, 20)}"

    async def once(self, key: str, what: object, do: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Do it; a request for the same under this key while it goes on gets the same answer."""
        running = self._running.get(key)
        if running is not None and running[0] != what:
            return error("the idempotency key belongs to another order, which is being placed; nothing was sent", 409)
        task = running[1] if running is not None else asyncio.create_task(do())
        if running is None:
            self._running[key] = (what, task)
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # A caller that hangs up stops nothing half way.
        return await asyncio.shield(task)

    async def _place(self, wanted: Wanted, key: str) -> Answer:
        try:
            return await self._place_or_raise(wanted, key)
        except Busy:
            return error("too many orders wait already; nothing was sent by this request", 429, retry_after=1)
        except Unanswered as unanswered:
            # All that can raise it after something was sent answers for itself.
            return error(f"{unanswered}; nothing was sent by this request", 503)

    async def _place_or_raise(self, wanted: Wanted, key: str) -> Answer:
        if wanted.key is not None:
            if (known := await self._known(wanted, key)) is not None:
                return known
            self._asked[key] = wanted
            while len(self._asked) > _REMEMBERED:
                del self._asked[next(iter(self._asked))]
        if wanted.target is None:
            return await self._send(wanted, key)
        # The next one of this symbol must see what this one has sent: the target is for both.
        place = (wanted.strategy, wanted.place.exchange, wanted.place.symbol)
        lock = self._smart.setdefault(place, asyncio.Lock())
        async with lock:
            return await self._send_smart(wanted, key, wanted.target)

    async def _send_smart(self, wanted: Wanted, key: str, target: int) -> Answer:
        held = await self._held(wanted)
        if held.in_flight:
            return error(
                f"an order of strategy {wanted.strategy} in {wanted.place.name} is open, so its position is not "
                "settled; nothing was sent",
                409,
            )
        todo = towards(held.quantity, target, wanted.side, wanted.quantity)
        if todo is None:
            return success(message=MATCHED)
        return await self._send(replace(wanted, side=todo[0], quantity=todo[1]), key, held)

    async def _send(self, wanted: Wanted, key: str, held: Held | None = None) -> Answer:
        known = held or await self._held(wanted)
        parts = parts_of(known, wanted.side, wanted.quantity, wanted.product)
        if isinstance(parts, str):
            return error(parts)
        if len(parts) > 1 and wanted.order_type in _STOPS:
            return error(
                f"a stop through zero is two orders: the strategy holds {known.quantity:+d}; send one of "
                f"{parts[0].quantity}, which closes that, and the other when it has filled"
            )
        outcome = await self._submit(wanted, parts[0], key)
        if isinstance(outcome, Answer):
            return outcome
        if outcome.key_reused and wanted.key is not None:
            # Somebody was faster with the same order, and what was held changed by it.
            return await self._known(wanted, key) or outcome_told(outcome, key)
        first = outcome_told(outcome, key)
        return first if len(parts) == 1 else await self._enter(wanted, parts, key, first)

    async def _enter(self, wanted: Wanted, parts: tuple[Part, ...], key: str, first: Answer) -> Answer:
        """The ENTRY of an order through zero: only once its EXIT is known to have filled, and left nothing."""
        leaving, entering = parts[0], parts[1]
        try:
            if first.status == "success" and await self.filled(wanted, str(first.body["command_id"])) == Held():
                outcome = await self._submit(wanted, entering, f"{key}{_SECOND}")
                second = outcome if isinstance(outcome, Answer) else outcome_told(outcome, f"{key}{_SECOND}")
                return _both(first, second)
        except (Busy, Unanswered):
            # Then the ENTRY was not taken.
            pass
        return _alone(first, leaving.quantity, entering.quantity)

    async def _submit(self, wanted: Wanted, part: Part, key: str) -> Outcome | Answer:
        try:
            found = await self._submissions.submit(wanted.fields(part, key), Source.WEBHOOK)
        except Unanswered as unanswered:
            return unknown(f"{unanswered}.", idempotency_key=key)
        if isinstance(found, BodyProblem):
            return error(str({found.problem.field: [found.problem.message]}))
        assert isinstance(found, Outcome)
        return found

    async def _held(self, wanted: Wanted) -> Held:
        place = wanted.place
        lines = (await self.guard(wanted.strategy)).lines
        return held_in(lines, wanted.strategy, place.exchange, place.symbol, wanted.product)

    async def filled(self, wanted: Wanted, command_id: str) -> Held | None:
        """What the strategy holds once an order has filled whole; None where that is not seen within a while.

        Raises:
            Unanswered: The guard or the database does not answer.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _FILL_S
        while loop.time() < until:
            row = await self._reading.record(lambda record: record.row(command_id))
            status = None if row is None else Status(row["status"])
            if status is Status.FAILED:
                return None
            # The guard is told just after the row is written.
            if status is Status.EXECUTED and not (held := await self._held(wanted)).in_flight:
                return held
            await asyncio.sleep(_LOOK_S)
        return None

    # A key that was used before

    async def place_under(self, key: str) -> tuple[str, str] | None:
        """The exchange and symbol of the order under a key; None while the key is free."""
        order = await self._reading.record(lambda record: record.order_by_key(self._account, key))
        return None if order is None else (order.exchange, order.symbol)

    async def _known(self, wanted: Wanted, key: str) -> Answer | None:
        """What became of the order under this key; None while the key is free."""
        rows = await self._reading.record(partial(_rows_under, self._account, key))
        if not rows:
            return None
        first, later = rows.get(key), rows.get(f"{key}{_SECOND}")
        asked = self._asked.get(key, wanted)
        if first is None or asked != wanted or not wanted.is_like(first) or not self._fits(wanted, first, later):
            other = first or next(iter(rows.values()))
            return error(
                f"the idempotency key belongs to another order, {other.command_id}: nothing was recorded or sent this "
                "time; give every order a key of its own",
                409,
                command_id=other.command_id,
            )
        told = await self._again(wanted, first, key)
        if not wanted.second(first, later):
            return told
        if later is None:
            return _alone(told, first.intent.quantity, None)
        return _both(told, await self._again(wanted, later, f"{key}{_SECOND}"))

    def _fits(self, wanted: Wanted, first: Order, later: Order | None) -> bool:
        if wanted.target is not None or later is None:
            return True
        return wanted.quantity == first.intent.quantity + later.intent.quantity

    async def _again(self, wanted: Wanted, order: Order, key: str) -> Answer:
        intent = order.intent
        part = Part(intent.execution_type, intent.side, intent.quantity)
        outcome = await self._submit(wanted, part, key)
        return outcome if isinstance(outcome, Answer) else outcome_told(outcome, key)


def _rows_under(account: str, key: str, record: Record) -> Mapping[str, Order]:
    """The orders under a key, and those that were registered as parts and legs of what came under it."""
    found = ((one, record.order_by_key(account, one)) for one in (key, f"{key}{_SECOND}", f"{key}~1"))
    return {one: order for one, order in found if order is not None}


def _both(first: Answer, second: Answer) -> Answer:
    """The one answer to an EXIT and its ENTRY: the ENTRY's, where the EXIT was taken."""
    parts = [dict(first.body), dict(second.body)]
    if first.status == second.status == "success":
        body: dict[str, Any] = {**second.body, "parts": parts}
        return Answer(body)
    if first.status != "success" or second.status != "error":
        return Answer({**(second.body if first.status == "success" else first.body), "parts": parts})
    message = (
        f"Partly done: the EXIT was placed as {first.body['orderid']}, the ENTRY was not: {second.body['message']}. "
        "Do not send the whole again."
    )
    return Answer({**first.body, "status": "partial", "message": message, "parts": parts})


def _alone(first: Answer, left: int, entering: int | None) -> Answer:
    """An EXIT whose ENTRY was not sent."""
    what = "the ENTRY" if entering is None else f"the ENTRY of {entering}"
    if first.status == "error":
        return replace(first, body={**first.body, "message": f"{first.body['message']}; {what} was not sent"})
    if first.status == "unknown":
        return replace(
            first,
            body={
                **first.body,
                "message": f"{first.body['message']} {what[0].upper()}{what[1:]} "
                "was not sent, and will not be by this request.",
            },
        )
    message = (
        f"Partly done: the EXIT of {left} was placed as {first.body['orderid']}; {what} was not sent, for the EXIT was "
        "not seen filled in time, and will not be by this request. Do not send the whole again: look at the EXIT first."
    )
    return Answer({**first.body, "status": "partial", "message": message})
