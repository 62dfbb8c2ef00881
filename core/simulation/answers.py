"""Law 8: every caller gets one answer, and it agrees with the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from core.messages import OrderAnswer, SubmitOrder
from core.order import OrderResult, Status, Tag
from core.runtime.letter import Letter
from core.simulation.books import Amiss, Row

__all__ = ["Answers"]

# Answered before there was a row, because there could be none.
_WITHOUT_ROW = frozenset({Tag.DATABASE_ERROR, Tag.INTERNAL_ERROR})


class Answers:
    """Counts submissions and answers of the process that lives, and keeps every answer that was given.

    Args:
        broken: Told of an answer too many.
    """

    def __init__(self, broken: Callable[[str, str], object]) -> None:
        self._broken = broken
        self._owed: Counter[str] = Counter()
        self._given: list[tuple[str, OrderResult]] = []

    def begin_process(self) -> None:
        """Who waited for the old process learns of its end by other means."""
        self._owed.clear()

    def put(self, letter: Letter) -> None:
        """A submission or an answer leaves its sender."""
        message = letter.message
        if isinstance(message, SubmitOrder) and message.reply_to is not None:
            self._owed[message.reply_to] += 1
        elif isinstance(message, OrderAnswer):
            self._owed[letter.to] -= 1
            self._given.append((letter.to, message.result))
            if self._owed[letter.to] < 0:
                self._broken("8", f"{letter.to} is answered once more than it asked: {message.result}")

    def failed(self, name: str) -> None:
        """A caller was told that there will be no answer."""
        self._owed[name] -= 1

    def amiss(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        """Callers that wait, and answers that do not agree with the rows."""
        for name, count in self._owed.items():
            if count > 0:
                yield "8", f"{name} waits for {count} answer(s)"
        for name, result in self._given:
            reused = result.tag is Tag.IDEMPOTENCY_KEY_REUSED
            why = (_names_no_first if reused else _disagrees)(result, rows.get(result.command_id))
            if why is not None:
                yield "8", f"{name} was told {_told(result)}, {why}"


def _disagrees(result: OrderResult, row: Row | None) -> str | None:
    if row is None:
        return None if result.tag in _WITHOUT_ROW else "and there is no row"
    stands = f"and the row is {row.status} {row.tag}, number {row.number}"
    if result.status is Status.FAILED:
        return None if (row.status, row.tag) == ("FAILED", str(result.tag)) else stands
    if result.status is Status.EXECUTED and row.status != "EXECUTED":
        return stands
    if result.broker_order_id is not None and row.number != result.broker_order_id:
        return stands
    if not result.success and not result.unknown:
        return "which is neither a success nor a failure nor unknown"
    return None


def _names_no_first(result: OrderResult, row: Row | None) -> str | None:
    """An answer of no row of its own: it names the order that has the key, as it was when it was asked."""
    if row is None or row.key is None:
        return "and no row with a key has this id"
    if result.success or (result.broker_order_id is not None and row.number != result.broker_order_id):
        return f"and that row's number is {row.number}"
    return None


def _told(result: OrderResult) -> str:
    return f"{result.command_id} {result.status} {result.tag} number {result.broker_order_id} unknown {result.unknown}"
