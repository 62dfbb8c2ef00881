"""Whether an EXIT that waited for its call still goes by what the guard saw of the account (scenario G1)."""

from __future__ import annotations

from datetime import UTC, datetime

from core.messages import OrderNotSent, PlaceOrder, VerifyAgain
from core.model.broker import BrokerOrderReport
from core.model.order import Product, Side, Tag

__all__ = ["ExitFreshness"]

FRESH_S = 1.0
"""An EXIT that has waited longer for its call is verified again."""

LOOKS = 3
"""After so many looks an EXIT goes: a broker that is slow throughout cannot hold it up for ever."""

# EXITs that were called before a read left less for them are not forgotten otherwise.
_DOUBTED_LIMIT = 200
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ExitFreshness:
    """What was seen since the guard let EXITs go. Times are steady."""

    def __init__(self) -> None:
        # The external order of each symbol, product and side that was told to have filled last, and when.
        self._filled: dict[tuple[str, str, Product | None, Side | None], tuple[datetime, str]] = {}
        self._doubted: dict[str, datetime] = {}

    def note_external(self, report: BrokerOrderReport, now: datetime) -> None:
        """A push says that this external order filled."""
        where = (report.exchange, report.symbol, report.product, report.side)
        self._filled[where] = (now, report.broker_order_id)

    def note_doubt(self, command_id: str, now: datetime) -> None:
        """A read left less for this EXIT since it was let go."""
        self._doubted[command_id] = now
        if len(self._doubted) > _DOUBTED_LIMIT:
            del self._doubted[next(iter(self._doubted))]

    def judge(
        self, message: PlaceOrder, now: datetime, *, session_since: datetime, quoted_since: datetime | None = None
    ) -> VerifyAgain | OrderNotSent | None:
        """What becomes of an order whose turn it is; None: it goes, as one always does that needs no verifying.

        `quoted_since`: its quote was asked for then, and nothing was heard of reads and pushes since.
        """
        order, verified = message.order, message.verified
        if verified is None:
            return None
        where = (order.exchange, order.symbol, order.product, order.side)
        filled_at, number = self._filled.get(where, (_LONG_AGO, ""))
        overtaken = filled_at >= verified.at
        doubted = self._doubted.get(order.command_id, _LONG_AGO) >= verified.at
        if order.parts == 1:
            self._doubted.pop(order.command_id, None)
        last = verified.looks >= LOOKS
        if (overtaken and (verified.unread or last)) or (doubted and verified.unread and last):
            # Another look would have no more time than this one had.
            what = f"external order {number} filled on the same side" if overtaken else "a read left less to close"
            reason = f"{order.execution_type} not sent: the account could not be read for it in time, and {what} "
            reason += "meanwhile; look at the position, send it again"
            return OrderNotSent(order, Tag.EXECUTION_GUARD_BLOCKED, reason)
        # What could not be read in one session may be read in the next, so that each gives it one look more.
        new_session = verified.unread and session_since > verified.at
        if last and not new_session:
            return None
        if verified.unread:
            # It was not held up by what could not be read, and is not now.
            deaf = quoted_since is not None and (now - quoted_since).total_seconds() > FRESH_S
            stale = doubted or deaf or new_session
        else:
            stale = doubted or overtaken or (now - verified.at).total_seconds() > FRESH_S
        return VerifyAgain(order, verified) if stale else None
