"""Law 6 for what opens, judged from the reads of positions that RiskManager was told of, and from what is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

from core.messages import PositionsRead, RiskPassed
from core.model.broker import BrokerPosition
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order
from core.model.risk_state import Breach
from core.rules.losses import Key, day_pnl
from core.runtime.clock import VirtualClock
from tests.simulation.disk import Disk

__all__ = ["LossJudge"]

_BREACHES = "SELECT trading_day FROM breaches ORDER BY trading_day DESC LIMIT 1"
_TRADED = "SELECT trading_day, exchange, symbol FROM orders WHERE filled_quantity > 0"
# A loss that every read has shown for so long, while markets are open, is a breach, and stands for the day.
_LOSS_LASTS_S = 15.0
# Two readings of one moment may differ by the step that lies between them.
_MOMENT_S = 1e-6


class LossJudge:
    """Knows what RiskManager was told of the day's P&L.

    Args:
        clock: The world's time.
        disk: What is durable.
        calendar: The service's trading days.
        daily_loss: The configured limit; zero for none.
        pnl_max_age_s: How old a P&L may be for an ENTRY.
        broken: Told of a law that does not hold.
    """

    def __init__(
        self,
        clock: VirtualClock,
        disk: Disk,
        calendar: TradingCalendar,
        *,
        daily_loss: Decimal,
        pnl_max_age_s: float,
        broken: Callable[[str, str], object],
    ) -> None:
        self._clock = clock
        self._disk = disk
        self._calendar = calendar
        self._daily_loss = daily_loss
        self._max_age_s = pnl_max_age_s
        self._broken = broken
        self.begin_process()

    def begin_process(self) -> None:
        """A new process knows what is durable, and no P&L."""
        recorded = self._disk.read(_BREACHES)
        self._breached_on = date.fromisoformat(recorded[0][0]) if recorded else None
        self._pnl_at: float | None = None
        self._judged: list[Breach] = []
        # When each read was taken in, and the P&L it showed.
        self._pnls: deque[tuple[float, Decimal]] = deque(maxlen=100)
        self._lost_since: float | None = None
        # The day of the last read if that one showed the loss, and the rows it left out of the day.
        self._shows_loss_on: date | None = None
        self._rows: dict[Key, BrokerPosition] = {}
        self._left = self._rows
        self._read_on: date | None = None
        self._traded = {(str(day), exchange, symbol) for day, exchange, symbol in self._disk.read(_TRADED)}

    def risk_passed(self, message: RiskPassed, sent_at: float) -> None:
        """No ENTRY passes while risk is breached, the last read shows the loss, or the P&L is not known freshly."""
        if message.order.execution_type is ExecutionType.EXIT:
            return
        name = f"{message.command_id} ({message.order.execution_type})"
        if self._breached_on is not None and self._breached_on == self._today():
            self._broken("6", f"{name} passed although the daily loss is breached")
        if self._shows_loss_on == self._today():
            self._broken("6", f"{name} passed although the last read shows {self._pnls[-1][1]}")
        age = None if self._pnl_at is None else sent_at - self._pnl_at
        if age is None or age > self._max_age_s + _MOMENT_S:
            told = "is not known" if age is None else f"is {age:.1f} s old"
            self._broken("6", f"{name} passed although the P&L {told}")

    def breach_saved(self, breach: Breach, sent_at: float) -> None:
        """Scenario G13: one read that shows a loss is no breach. One that could not be written is sent again."""
        if breach in self._judged:
            return
        self._judged.append(breach)
        pnls = [pnl for at, pnl in self._pnls if at <= sent_at][-2:]
        if len(pnls) < 2 or any(pnl > -self._daily_loss for pnl in pnls):
            told = ", ".join(str(pnl) for pnl in pnls)
            self._broken(
                "G13", f"a breach from one read: the last reads showed {told}, the limit is {self._daily_loss}"
            )

    def fill_booked(self, order: Order) -> None:
        """RiskManager has taken in a fill: what the broker shows of that symbol is its day's."""
        self._traded.add((order.trading_day.isoformat(), order.exchange, order.symbol))

    def positions_read(self, message: PositionsRead, asked_at: float) -> None:
        """RiskManager has taken in a read of positions, asked for at this second of the world."""
        rows = self._of_today(message.positions)
        pnl = day_pnl(rows)
        if pnl is None:
            return
        self._pnl_at = asked_at
        self._pnls.append((self._clock.monotonic(), pnl))
        # A row without a price makes the P&L unknown, which is no loss.
        priced = all(row.last_price is not None or not row.net_quantity for row in message.positions)
        self._shows_loss_on = self._today() if self._daily_loss and priced and pnl <= -self._daily_loss else None
        if pnl > -self._daily_loss or self._calendar.before_markets(self._clock.now()):
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = self._clock.monotonic()
        lasted = self._lost_since is not None and self._clock.monotonic() - self._lost_since > _LOSS_LASTS_S
        if self._daily_loss and lasted:
            self._breached_on = self._today()

    def _of_today(self, positions: Iterable[BrokerPosition]) -> list[BrokerPosition]:
        """The rows that count: before the markets open, those where a strategy traded today; then, what has changed."""
        day, before = self._today(), self._rows
        rows = {(row.exchange, row.symbol, row.product): row for row in positions}
        if day != self._read_on:
            self._left = before
        early = self._calendar.before_markets(self._clock.now())
        left = {
            key: row
            for key, row in rows.items()
            if (day.isoformat(), *key[:2]) not in self._traded and (early or self._left.get(key) == row)
        }
        self._rows, self._left, self._read_on = rows, left, day
        return [row for key, row in rows.items() if key not in left]

    def _today(self) -> date:
        return self._calendar.day(self._clock.now())
