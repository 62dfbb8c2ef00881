"""When the exchanges trade: their sessions and holidays, from tables that name their source.

What a table does not know for certain is told so: a date by the moon, a year whose list is not published yet. Such a
day may be warned of and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from core.model.calendar import INDIA

__all__ = ["Holiday", "MarketDay", "MarketHours", "Session"]

_NEW_YORK = ZoneInfo("America/New_York")
_LATE = time(23, 55)
# Whose holidays an exchange of derivatives has.
_HOLIDAYS_OF = {"NFO": "NSE", "BFO": "BSE"}


@dataclass(frozen=True, slots=True)
class Session:
    """An exchange's usual hours from a date on; `certain` false where no publication confirms them.

    `orders_from` is when it begins to take orders, before it opens; None: when it opens.
    """

    exchange: str
    since: date
    opens: time
    closes: time
    certain: bool
    orders_from: time | None = None


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day on which exchanges are closed, or trade at other hours; None for the usual ones.

    `opens` and `closes` both None: closed all day.
    """

    day: date
    exchanges: frozenset[str]
    opens: time | None
    closes: time | None
    certain: bool
    name: str


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A day of an exchange: its hours in India, None where it is closed; why it differs; whether that is certain."""

    opens: time | None
    closes: time | None
    reason: str = ""
    certain: bool = True
    orders_from: time | None = None

    def is_open(self, at: datetime) -> bool:
        """Whether it trades at this time of this day, as far as is known."""
        return _between(self.opens, at, self.closes)

    def takes_orders(self, at: datetime) -> bool:
        """Whether it trades then, or collects orders for its opening."""
        return _between(self.orders_from or self.opens, at, self.closes)


class MarketHours:
    """Sessions and holidays of all exchanges.

    Args:
        sessions: Usual hours; the last that has begun holds.
        holidays: Days that differ.
        listed_until: Until when the exchanges' lists of holidays were published.
    """

    def __init__(self, sessions: Iterable[Session], holidays: Iterable[Holiday], listed_until: date) -> None:
        self._sessions = sorted(sessions, key=lambda one: one.since)
        self._holidays = {(exchange, one.day): one for one in holidays for exchange in one.exchanges}
        self.listed_until = listed_until

    def day(self, exchange: str, day: date) -> MarketDay | None:
        """The hours of a day; None for an exchange, or a time, of which nothing is known."""
        usual = next((one for one in reversed(self._sessions) if one.exchange == exchange and one.since <= day), None)
        if usual is None:
            return None
        closes = _LATE if exchange == "MCX" and not _summer_in_new_york(day) else usual.closes
        certain = usual.certain and day <= self.listed_until
        special = self._holidays.get((_HOLIDAYS_OF.get(exchange, exchange), day))
        if special is not None and special.opens is None and special.closes is None:
            return MarketDay(None, None, special.name, special.certain)
        if day.weekday() >= 5:
            return MarketDay(None, None, "weekend")
        if special is not None:
            opens, ends = special.opens or usual.opens, special.closes or closes
            return MarketDay(opens, ends, special.name, certain and special.certain)
        return MarketDay(usual.opens, closes, certain=certain, orders_from=usual.orders_from)

    def runs_out(self, today: date, within_days: int = 14) -> str | None:
        """What is to be done where the published lists end soon; None while they do not."""
        left = (self.listed_until - today).days
        if left >= within_days:
            return None
        return (
            f"the exchanges' holidays are known until {self.listed_until} only: those after it are guesses until a "
            "version of Sixstep has the list of the year"
        )


def _between(opens: time | None, at: datetime, closes: time | None) -> bool:
    return opens is not None and closes is not None and opens <= at.astimezone(INDIA).time() < closes


def _summer_in_new_york(day: date) -> bool:
    return bool(datetime.combine(day, time(12), _NEW_YORK).dst())
