"""Law 8: every caller gets one answer, and it agrees with the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.messages import OrderAnswer, SubmitOrder
from core.messages.envelope import Envelope
from core.model.order import OrderResult, Status, Tag
from tests.simulation.books import Amiss, Row

__all__ = ["Answers", "Asked"]

Asked = tuple[str, str, str, str, int]
"""Strategy, type, symbol, side and quantity of an order."""

# Rows of what could not be read keep what could.
_NOT_AS_ASKED = frozenset({"VALIDATION_FAILED"})
# Answered before there was a row, because there could be none.
_WITHOUT_ROW = frozenset({Tag.DATABASE_ERROR, Tag.INTERNAL_ERROR})


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer: to whom, what, to what question, by which process, and whether the disk refused something then."""

    name: str
    result: OrderResult
    asked: Asked | None
    process: int
    unrecorded: bool


class Answers:
    """Counts submissions and answers of the process that lives, and keeps every answer that was given.

    Args:
        broken: Told of an answer too many.
        disk_failed: Whether the disk has refused something lately.
    """

    def __init__(self, broken: Callable[[str, str], object], disk_failed: Callable[[], bool]) -> None:
        self._broken = broken
        self._disk_failed = disk_failed
        self._processes = 0
        self._pending: Counter[str] = Counter()
        self._given: list[_Given] = []
        self._asked: dict[str, Asked] = {}

    def begin_process(self) -> None:
        """Who waited for the old process learns of its end by other means."""
        self._processes += 1
        self._pending.clear()
        self._asked.clear()

    def asks(self, name: str, asked: Asked) -> None:
        """Who answers to this name asks for such an order."""
        self._asked[name] = asked

    def put(self, envelope: Envelope) -> None:
        """A submission or an answer leaves its sender."""
        message = envelope.message
        if isinstance(message, SubmitOrder) and message.reply_to is not None:
            self._pending[message.reply_to] += 1
        elif isinstance(message, OrderAnswer):
            self._pending[envelope.to] -= 1
            self._given.append(
                _Given(
                    envelope.to,
                    message.result,
                    self._asked.get(envelope.to),
                    process=self._processes,
                    unrecorded=self._disk_failed(),
                )
            )
            if self._pending[envelope.to] < 0:
                self._broken("8", f"{envelope.to} is answered once more than it asked: {message.result}")

    def failed(self, name: str) -> None:
        """A caller was told that there will be no answer."""
        self._pending[name] -= 1

    def amiss(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        """Callers that wait, and answers that do not agree with the rows."""
        for name, count in self._pending.items():
            if count > 0:
                yield "8", f"{name} waits for {count} answer(s)"
        for given in self._given:
            result, row = given.result, rows.get(given.result.command_id)
            if row is None and self._was_lost(given):
                continue
            why = _disagrees(result, row) or _is_of_another(result, row, given.asked)
            if why is not None:
                yield "8", f"{given.name} was told {_told(result)}, {why}"

    def _was_lost(self, given: _Given) -> bool:
        """A refusal that the database could not take is kept in memory, and is gone with its process (scenario D4)."""
        return given.unrecorded and given.process < self._processes and given.result.status is Status.FAILED


def _is_of_another(result: OrderResult, row: Row | None, asked: Asked | None) -> str | None:
    """Scenario G8: the answer is about what was asked for, or says that the key is another order's."""
    if row is None or asked is None:
        return None
    if result.tag is Tag.IDEMPOTENCY_KEY_REUSED:
        return "and calls it a success" if result.success else None
    as_asked = row.asked[:-1] == asked[:-1] if row.changed else row.asked == asked
    if as_asked or row.tag in _NOT_AS_ASKED:
        return None
    return f"which is about {row.asked} although it asked for {asked}"


def _disagrees(result: OrderResult, row: Row | None) -> str | None:  # noqa: PLR0911 - one for each kind of answer
    if row is None:
        return None if result.tag in _WITHOUT_ROW else "and there is no row"
    if result.tag is Tag.IDEMPOTENCY_KEY_REUSED:
        return None
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
