"""Intents that were refused while the database was away: kept, and recorded when it is back (scenario D4)."""

from __future__ import annotations

from collections import Counter, deque

from core.messages import RegisterOrder, RegisterRefusal
from core.messages.envelope import Envelope
from core.model.order import OrderIntent, Problem, Tag

__all__ = ["Unrecorded", "intent_fields", "refusal_of"]


_TRIES = 3


def intent_fields(intent: OrderIntent) -> tuple[tuple[str, str | int], ...]:
    """The columns of a valid intent, for the row of a refusal."""
    pairs = ((name, getattr(intent, name)) for name in intent.__slots__)
    return tuple((name, value if isinstance(value, int) else str(value)) for name, value in pairs if value is not None)


def refusal_of(message: RegisterOrder | RegisterRefusal, reason: str) -> RegisterRefusal:
    """What is answered and recorded of an intent that the database could not take.

    An intent that is wrong in itself stays refused for that.
    """
    if isinstance(message, RegisterRefusal):
        return message
    order = message.order
    return RegisterRefusal(
        order.command_id,
        order.source,
        intent_fields(order.intent),
        Tag.DATABASE_ERROR,
        (Problem("database", reason),),
        order.created_at,
        order.trading_day,
        message.reply_to,
    )


class Unrecorded:
    """Refusals that wait for the database, oldest first, each with the envelope that brought it.

    Args:
        most: At most so many; of more, only the number is known.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._waiting: deque[tuple[Envelope, RegisterRefusal]] = deque()
        self._tries: Counter[str] = Counter()
        self.lost = 0
        """How many could not be kept since the last `forget_lost`."""

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, envelope: Envelope, refusal: RegisterRefusal) -> None:
        """Keep one more, if there is room."""
        if len(self._waiting) < self._most:
            self._waiting.append((envelope, refusal))
        else:
            self.lost += 1

    def take(self, most: int) -> list[tuple[Envelope, RegisterRefusal]]:
        """The oldest, at most so many; they are kept no longer."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def may_try_again(self, refusal: RegisterRefusal) -> bool:
        """Whether one that could not be recorded, for a reason of its own, is to be tried once more."""
        self._tries[refusal.command_id] += 1
        if self._tries[refusal.command_id] < _TRIES:
            return True
        del self._tries[refusal.command_id]
        return False

    def put_back(self, taken: list[tuple[Envelope, RegisterRefusal]]) -> None:
        """What was taken could not be recorded either."""
        self._waiting.extendleft(reversed(taken))

    def forget_lost(self) -> int:
        """How many could not be kept; counted anew from now on."""
        lost, self.lost = self.lost, 0
        return lost
