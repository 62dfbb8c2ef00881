"""From a body to the actors and back: what is submitted, how long it is waited for, what is answered.

The answer agrees with the row (law 8). When the wait runs out the row itself is read, by the idempotency key: a sender
that gave none gets one made here, so that every submission can be found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.messages import OrderAnswer, SubmitOrder
from core.model.order import Order, OrderIntent, OrderResult, Problem, RawIntent, Source, Tag
from core.rules.keys import MADE_HERE, sealed
from core.rules.submission import BodyProblem, intents_of
from core.rules.validation import Refused, shown
from core.runtime.clock import token
from core.runtime.errors import AskFailed
from core.web.gateway import Gateway, Record, Unanswered
from core.web.reading import Reading

__all__ = ["Busy", "Outcome", "Submissions"]


class Busy(Exception):
    """Too many submissions wait already; nothing was taken."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order as far as it is known: the fields of the answer, and what was wrong with it."""

    answer: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()

    @property
    def key_reused(self) -> bool:
        """Whether nothing was taken, because the key belongs to another order: the one that the answer names (G8)."""
        return self.answer["tag"] is Tag.IDEMPOTENCY_KEY_REUSED


class Submissions:
    """Submits what entry points have read, and waits for the answers.

    Args:
        entry points: The service.
        reading: The database, read when the wait runs out.
        wait_s: Seconds to wait for an answer.
        most_waiting: Submissions that may wait at the same time (backpressure: the entry points refuse first).
        account: Whose keys they are.
    """

    def __init__(self, gateway: Gateway, reading: Reading, wait_s: float, most_waiting: int, account: str) -> None:
        self._gateway = gateway
        self._account = account
        self._reading = reading
        self._wait_s = wait_s
        self._most_waiting = most_waiting
        self._waiting = 0

    def age_of(self, timestamp: int) -> float:
        """The seconds since a time of the sender's clock; none where that clock is ahead."""
        return max(0.0, self._gateway.clock.now().timestamp() - timestamp)

    async def submit(
        self, fields: Mapping[str, object], source: Source, *, wait_s: float | None = None, age_s: float = 0.0
    ) -> list[Outcome] | Outcome | BodyProblem:
        """Submit the order or basket in `fields`; a list for a basket. `wait_s` is another wait than the usual,
        `age_s` how long ago the sender made it.

        A basket with a leg that cannot be taken is refused whole, since half of it would be a position nobody asked
        for: the bad legs are recorded as refused, the good ones are not submitted.

        Raises:
            Busy: Nothing was taken.
            Unanswered: CommandService did not take it, or failed over it.
        """
        if fields.get("idempotency_key") is None:
            fields = {**fields, "idempotency_key": f"{MADE_HERE}{token(self._gateway.clock, 20)}"}
        found = intents_of(fields, token(self._gateway.clock, 16))
        if isinstance(found, BodyProblem):
            return found
        legs = (found,) if isinstance(found, RawIntent) else found
        read = [self._gateway.runtime.secrets.read_intent(leg) for leg in legs]
        if isinstance(found, tuple):
            valid = [intent for intent in read if isinstance(intent, OrderIntent)]
            read = [*sealed(valid)] if len(valid) == len(legs) else read
        refused = [index for index, intent in enumerate(read) if isinstance(intent, Refused)]
        sent = refused or range(len(legs))
        wait = self._wait_s if wait_s is None else wait_s
        answers = await self._exchange([_best(legs[index], read[index]) for index in sent], source, wait, age_s)
        outcomes = [
            _outcome(read[index], answer, index if isinstance(found, tuple) else None)
            for index, answer in zip(sent, answers, strict=True)
        ]
        return outcomes if isinstance(found, tuple) else outcomes[0]

    async def _exchange(
        self, intents: Sequence[RawIntent | OrderIntent], source: Source, wait_s: float, age_s: float
    ) -> list[Mapping[str, Any]]:
        if self._waiting + len(intents) > self._most_waiting:
            raise Busy
        self._waiting += len(intents)
        try:
            boxes = [
                self._gateway.send(self._gateway.command_service, partial(_submission, intent, source, age_s))
                for intent in intents
            ]
            futures = [asyncio.wrap_future(box.future) for box in boxes]
            _, late = await asyncio.wait(futures, timeout=wait_s)
            for future in late:
                future.cancel()
            return [
                await self._row_of(intent, wait_s) if future in late else _said(future, intent)
                for intent, future in zip(intents, futures, strict=True)
            ]
        finally:
            self._waiting -= len(intents)

    async def _row_of(self, intent: RawIntent | OrderIntent, wait_s: float) -> Mapping[str, Any]:
        """The row as it stands now; no command id while there is none or the database cannot be read."""
        key = _key(intent)
        pending = f"no answer within {wait_s:g} s and no row yet; its idempotency key is {shown(key)}"
        if not isinstance(key, str):
            return _answer({}, pending)
        try:
            order, same = await self._reading.record(partial(_under_key, self._account, key, intent))
        except Unanswered as error:
            return _answer({}, f"{pending} ({error})")
        if order is None:
            return _answer({}, pending)
        return _answer(_fields_of(OrderResult.of(order) if same else OrderResult.key_reused(order)))


def _under_key(account: str, key: str, intent: RawIntent | OrderIntent, record: Record) -> tuple[Order | None, bool]:
    """The row under a key, and whether this intent asked for it."""
    order = record.order_by_key(account, key)
    return order, order is not None and isinstance(intent, OrderIntent) and record.asked_the_same(order, intent)


def _submission(intent: RawIntent | OrderIntent, source: Source, age_s: float, name: str) -> SubmitOrder:
    return SubmitOrder(intent, source, name, age_s)


def _best(raw: RawIntent, read: OrderIntent | Refused) -> RawIntent | OrderIntent:
    return raw if isinstance(read, Refused) else read


def _key(intent: RawIntent | OrderIntent) -> object:
    return dict(intent.fields).get("idempotency_key") if isinstance(intent, RawIntent) else intent.idempotency_key


def _said(future: asyncio.Future[Any], intent: RawIntent | OrderIntent) -> Mapping[str, Any]:
    try:
        message = future.result()
    except AskFailed as error:
        raise Unanswered(f"{error}; before a retry, look for idempotency key {shown(_key(intent))}") from error
    if not isinstance(message, OrderAnswer):
        raise TypeError(f"a submission was answered with {type(message).__name__}")
    return _answer(_fields_of(message.result))


def _fields_of(result: OrderResult) -> Mapping[str, Any]:
    return {name: getattr(result, name) for name in _ANSWER}


_ANSWER = ("command_id", "status", "tag", "reason", "broker_order_id", "unknown")


def _answer(known: Mapping[str, Any], reason: str | None = None) -> Mapping[str, Any]:
    answer = {**{name: known.get(name) for name in _ANSWER}, "unknown": bool(known.get("unknown"))}
    return answer if reason is None else {**answer, "reason": reason}


def _outcome(read: OrderIntent | Refused, answer: Mapping[str, Any], leg: int | None) -> Outcome:
    if isinstance(read, OrderIntent):
        return Outcome(answer)
    if leg is None:
        return Outcome(answer, read.problems)
    return Outcome(answer, tuple(replace(problem, field=f"legs[{leg}].{problem.field}") for problem in read.problems))
