"""Cancelling, modifying and squaring off, for the API and the pages alike: one message each, and its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.messages import (
    CancelAnswer,
    CancelOrder,
    CancelStatus,
    GuardSnapshot,
    ModifyAnswer,
    ModifyOrder,
    ModifyStatus,
    Seen,
    SquareOff,
    SquareOffBegun,
)
from core.model.order import Source
from core.rules.square_off_scope import misnamed
from core.web.gateway import Gateway, Unanswered
from core.web.reading import Reading

__all__ = ["COMMAND_ID", "CancelTold", "cancel", "misnamed_scope", "modify", "square_off"]

COMMAND_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
"""What command ids are made of; anything else is no order's."""

# The broker is called meanwhile, after whatever stands before it.
_CANCEL_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class CancelTold:
    """What is told of a cancel. `found` says that there is such an order."""

    command_id: str
    standing: CancelStatus
    reason: str

    @property
    def found(self) -> bool:
        return self.standing is not CancelStatus.NO_ORDER


async def cancel(gateway: Gateway, command_id: str, by: str) -> CancelTold:
    """Have an order cancelled. An answer that does not come leaves it pending: the book tells."""
    if COMMAND_ID.fullmatch(command_id) is None:
        return CancelTold("", CancelStatus.NO_ORDER, "there is no such order")
    try:
        found = await gateway.ask(gateway.order_repo, lambda name: CancelOrder(command_id, by, name), _CANCEL_LIMIT_S)
    except Unanswered as error:
        return CancelTold(command_id, CancelStatus.UNKNOWN, f"{error}; it may still be cancelled")
    if not isinstance(found, CancelAnswer):
        raise TypeError(f"a cancel was answered with {type(found).__name__}")
    return CancelTold(found.command_id, found.standing, found.reason)


async def modify(
    gateway: Gateway, command_id: str, fields: Mapping[str, object], by: str, seen: Seen | None = None
) -> ModifyAnswer:
    """Have other terms asked for. An answer that does not come leaves them pending: the book tells."""
    if COMMAND_ID.fullmatch(command_id) is None:
        return ModifyAnswer("", ModifyStatus.NO_ORDER, "there is no such order")
    given = tuple((name, value) for name, value in fields.items() if value is not None)
    try:
        found = await gateway.ask(
            gateway.order_repo,
            lambda name: ModifyOrder(command_id, given, by, seen or Seen(), name),
            _CANCEL_LIMIT_S,
        )
    except Unanswered as error:
        return ModifyAnswer(command_id, ModifyStatus.UNKNOWN, f"{error}; it may still be modified")
    if not isinstance(found, ModifyAnswer):
        raise TypeError(f"a modification was answered with {type(found).__name__}")
    return found


async def misnamed_scope(
    reading: Reading, guard: GuardSnapshot, strategies: Iterable[str], strategy: str | None, symbol: str | None
) -> dict[str, Any] | None:
    """`misnamed`, with the strategies only the database knows; one that cannot be read keeps no square-off back."""
    wrong = misnamed(guard, strategies, strategy, symbol)
    if wrong is None or strategy is None:
        return wrong
    try:
        known = bool(await reading.record(lambda record: record.rows(strategy=strategy, limit=1)))
    except Unanswered:
        known = True
    return misnamed(guard, {*strategies, strategy}, strategy, symbol) if known else wrong


async def square_off(
    gateway: Gateway, *, reason: str, source: Source, strategy: str | None, symbol: str | None
) -> SquareOffBegun | None:
    """Have everything exited, or what one strategy or symbol holds: what was begun; None without an answer."""
    try:
        found = await gateway.ask(
            gateway.execution_guard, lambda name: SquareOff(reason, source, strategy, symbol, name)
        )
    except Unanswered:
        return None
    if not isinstance(found, SquareOffBegun):
        raise TypeError(f"a square-off was answered with {type(found).__name__}")
    return found
