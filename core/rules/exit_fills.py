"""What EXITs of ours filled, and which external orders had closed the holding before: what such an EXIT opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.model.order import Fill, Order
from core.model.positions import Departure, ExternalClose, ExternalFill
from core.rules.closes import Close, external_close
from core.rules.departures import ExitFill, filled_between, note_lost
from core.rules.lines import Stake, later
from core.rules.pushed import Account

__all__ = ["ExitFills"]

_REMEMBERED = 200


class ExitFills:
    """The last fills of our EXITs. External orders of before them show which went beyond their holding."""

    def __init__(self) -> None:
        self._filled: deque[ExitFill] = deque(maxlen=_REMEMBERED)
        # By external order: the first read that showed a fill of it which has no time.
        self._untimed: dict[str, int] = {}

    def restore(self, departures: Iterable[Departure], reads: int) -> None:
        """Begin from the database, after so many reads."""
        # What the last run's EXITs filled counts as filled before its last read: which read that was is not recorded.
        known = {(d.account, d.strategy, d.at, d.opened_at): d.reads for d in self._filled}
        self._filled.clear()
        for one in departures:
            before = known.get((one.account, one.strategy, one.at, one.opened_at), reads - 1)
            place = (one.account, one.strategy, one.sign, one.opened_at, one.at, one.quantity)
            self._filled.append(ExitFill(*place, before, one.changes, one.lost, one.overdrawn))

    def note(self, account: Account, order: Order, fill: Fill, held: Stake | None, reads: int) -> None:
        """An EXIT filled. `held` is the holding before it."""
        opened_at, changes = (held.opened_at, held.changes) if held is not None else (None, ())
        filled = (account, order.strategy, order.side.sign, opened_at, fill.at, fill.quantity, reads)
        self._filled.append(ExitFill(*filled, changes))

    def note_lost(self, close: ExternalClose) -> None:
        """A correction was recorded: so much of the holding was gone before."""
        note_lost(self._filled, close)

    def note_time(self, number: str, *, known: bool, reads: int) -> None:
        """An external order has filled more; whether the book gives the time of that."""
        self._untimed.pop(number, None)
        if not known:
            self._untimed[number] = reads

    def forget(self, account: Account, sign: int, at: datetime) -> None:
        """Nothing is left of what was held at this time: what EXITs of before it opened is gone too."""
        # An EXIT of the same second may have come after the order: what is left of the order tells.
        kept = [one for one in self._filled if (one.account, one.sign) != (account, sign) or at <= one.at]
        self._filled = deque(kept, maxlen=_REMEMBERED)

    def between(self, account: Account, first: int, end: int) -> dict[str, int]:
        """What EXITs filled in a position (signed), by strategy, from the read `first` to before the read `end`."""
        return filled_between(self._filled, account, first, end)

    def filled_at(self, close: ExternalClose, order_at: datetime | None) -> datetime | None:
        """When an EXIT opened what a correction shows, by the time of the external order; None if not known."""
        place = (close.strategy, (close.exchange, close.symbol, close.product))
        exits = [d.at for d in self._filled if (d.strategy, d.account) == place and d.sign * close.quantity > 0]
        return min((at for at in exits if order_at is not None and at >= order_at), default=max(exits, default=None))

    def overtook(self, account: Account, fill: ExternalFill) -> bool:
        """Whether an external order may have closed what an EXIT of ours then closed once more."""
        return any(
            d.account == account
            and d.quantity > 0
            and fill.quantity * d.sign > 0
            and d.opened_at is not None
            and later(fill, d.opened_at)
            and self._was_before(fill, d) is not False
            for d in self._filled
        )

    def opened_against(
        self, account: Account, change: int, fills: Iterable[ExternalFill], used: Mapping[str, int]
    ) -> bool:
        """Whether a change is against what an EXIT opened, which is booked as its strategy's next."""
        return any(
            d.account == account and d.sign * change < 0 and self._twice(fill, d, used) > 0
            for d in self._filled
            for fill in fills
        )

    def beyond(
        self,
        account: Account,
        sign: int,
        stakes: Sequence[Stake],
        *,
        fills: list[ExternalFill],
        used: Mapping[str, int],
        shown: int,
        explained: bool,
        beside: dict[tuple[str, str], ExternalClose],
    ) -> Iterator[ExternalClose]:
        """What our EXITs of this sign filled after an external order had closed the holding.

        The account would net it with what another strategy holds: it is booked once nobody holds there. Of what
        filled in the EXIT's own second, no more is booked than the account shows: it may have come after the EXIT.

        Args:
            account: The position.
            sign: That of the EXITs' side.
            stakes: What strategies hold that orders of this side close.
            fills: The external orders there; what cannot have been before an EXIT is settled in them.
            used: How much of each is booked.
            shown: What the broker has there beside what strategies hold, positive in the direction of `sign`.
            explained: Whether orders explain all that the positions show.
            beside: Gets what is not booked yet, since another strategy holds the other side.
        """
        spent = dict(used)
        for one in self._filled:
            if one.account != account or one.sign != sign:
                continue
            for number, fill in enumerate(fills):
                if any(stake.had(fill) for stake in stakes):
                    # Who still holds what it may have closed takes the loss first; what is left over is seen then.
                    continue
                took = self._twice(fill, one, spent)
                sure = fill.at is not None and fill.at < one.at.replace(microsecond=0)
                if not sure and took and not explained:
                    continue  # positions may trail the orders: what they show does not tell which filled first
                if not sure and (over := took - max(0, shown)) > 0:
                    fills[number] = replace(fill, settled=fill.settled + over)
                    took -= over
                if took > 0:
                    shown -= took
                    spent[fill.number] = spent.get(fill.number, 0) + took
                    close = external_close(account, one.strategy, sign, Close(fill, took))
                    close = replace(close, beyond=True, note="" if sure else "which filled first cannot be told")
                    if any(stake.quantity for stake in stakes):
                        known = beside.get((fill.number, one.strategy))
                        close = replace(close, quantity=close.quantity + (known.quantity if known else 0))
                        beside[fill.number, one.strategy] = close
                    else:
                        one.quantity -= took
                        one.overdrawn += took
                        yield close

    def _was_before(self, fill: ExternalFill, departure: ExitFill) -> bool | None:
        """Whether an external order filled before an EXIT of ours did; None where that is not known."""
        if (first := self._untimed.get(fill.number)) is not None:
            # It filled after the read before the one that showed it first.
            return departure.reads >= first - 1
        return departure.at.replace(microsecond=0) >= fill.at if fill.at is not None else None

    def _twice(self, fill: ExternalFill, departure: ExitFill, spent: Mapping[str, int]) -> int:
        """How much of what an external order closed an EXIT of ours closed once more."""
        if (
            fill.quantity * departure.sign > 0
            and self._was_before(fill, departure)
            and departure.opened_at is not None
            and later(fill, departure.opened_at)
            and fill.price is not None
        ):
            free = abs(fill.quantity) - fill.settled - spent.get(fill.number, 0)
            return max(0, min(free, departure.quantity, departure.left_to(fill, self._filled)))
        return 0
