"""The end of a session and the change of the trading day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from core.paper.accounts import Account, Holding
from core.paper.instruments import Instrument
from core.paper.oms import Oms
from core.paper.orders import Entry, Order
from core.paper.positions import Position
from core.paper.state import ExchangeState
from core.paper.times import at_time, trading_day

__all__ = ["Day"]

_SESSION_END = time(15, 40)
SQUARE_OFF_REMARKS = "AUTO SQUARE OFF"
BROKER_SOURCE = "ADM"
"""`ordersource` of the broker's own orders."""


class Day:
    """Runs what the clock brings about by itself.

    Args:
        state: The exchange's state.
        oms: Cancels and fills orders.
    """

    def __init__(self, state: ExchangeState, oms: Oms) -> None:
        self._state = state
        self._oms = oms
        self._next_roll = self._roll_after(state.now)
        self._next_cutoff = self._weekday(state.now, state.config.intraday_cutoff)
        self._next_end = self._weekday(state.now, _SESSION_END)

    @property
    def next_due(self) -> datetime:
        """When something happens by itself next."""
        if not self._state.config.enforce_session_hours:
            return self._next_roll
        return min(self._next_roll, self._next_cutoff, self._next_end)

    def run_due(self) -> None:
        """Do what is due now."""
        now = self._state.now
        enforced = self._state.config.enforce_session_hours
        if now >= self._next_cutoff:
            self._next_cutoff = self._weekday(now, self._state.config.intraday_cutoff)
            if enforced:
                self.square_off()
        if now >= self._next_end:
            self._next_end = self._weekday(now, _SESSION_END)
            if enforced:
                self.end_session()
        if now >= self._next_roll:
            self._next_roll = self._roll_after(now)
            today = trading_day(now, self._state.config.day_roll_time)
            # A day that was begun early, by command, is not begun again.
            if today > self._state.day:
                self.roll(today)

    def square_off(self) -> None:
        """Cancel pending intraday orders and close intraday positions at the last price by orders of the broker's."""
        for account in self._state.accounts.values():
            for order in account.orders:
                if order.entry.prd == "I":
                    self._cancel(order)
            for position in list(account.positions.values()):
                if position.prd == "I" and position.net_qty:
                    self._close(account, position)

    def _close(self, account: Account, position: Position) -> None:
        side = "S" if position.net_qty > 0 else "B"
        quantity = abs(position.net_qty)
        entry = Entry(side, quantity, "MKT", Decimal(0), prd="I")
        order = self._oms.place(account, position.instrument, entry, remarks=SQUARE_OFF_REMARKS, source=BROKER_SOURCE)
        self._oms.execute_now(order, self._state.last(position.instrument))

    def end_session(self) -> None:
        """Square off intraday and cancel every open order (protocol section 16: DAY orders end CANCELED)."""
        self.square_off()
        for account in self._state.accounts.values():
            for order in account.orders:
                self._cancel(order)

    def _cancel(self, order: Order) -> None:
        """Cancel an order of the session that ends; one for the next session stays."""
        if not order.status.is_final and not order.parked:
            self._oms.end(order)

    def roll(self, tomorrow: date) -> None:
        """End the session, settle, clear the books and begin the day `tomorrow`."""
        state = self._state
        self.end_session()
        for account in state.accounts.values():
            self._settle(account, tomorrow)
            # Orders for the next session are the only ones to outlive the day.
            account.begin_day([order for order in account.orders if order.parked])
        state.orders = {order.number: order for a in state.accounts.values() for order in a.orders}
        state.books.clear()
        state.busy.clear()
        state.prices.roll_day(state.step)
        state.sessions.forget_dead(state.now)
        state.calls.clear()
        state.candles.clear()
        state.volumes.clear()
        state.day = tomorrow
        state.cleared = True
        state.changed_orders = dict(state.orders)

    def _settle(self, account: Account, tomorrow: date) -> None:
        """Turn results into cash, delivered shares into holdings, and carry the rest at the last price."""
        state = self._state
        carried: dict[tuple[str, str, str], Position] = {}
        for key, position in account.positions.items():
            last = state.last(position.instrument)
            if position.prd == "C":
                account.cash += position.sell_amt - position.buy_amt
                self._deliver(account, position)
                continue
            account.cash += position.realised + position.unrealised(last)
            if position.net_qty and not _is_over(position.instrument, tomorrow):
                carried[key] = position.carried(last)
        account.positions = carried
        account.order_margin = Decimal(0)
        account.recount()

    def _deliver(self, account: Account, position: Position) -> None:
        net = position.net_qty
        symbol = position.instrument.symbol
        holding = account.holdings.get(symbol)
        if holding is None:
            if net > 0:
                account.holdings[symbol] = Holding(position.instrument, net, position.net_average)
            return
        total = holding.quantity + net
        if net > 0:
            holding.cost = (holding.cost * holding.quantity + position.cost) / total
        holding.quantity = total
        if total <= 0:
            del account.holdings[symbol]

    def _roll_after(self, now: datetime) -> datetime:
        at = at_time(now.date(), self._state.config.day_roll_time)
        return at if at > now else at + timedelta(days=1)

    def _weekday(self, now: datetime, clock: time) -> datetime:
        at = at_time(now.date(), clock)
        while at <= now or at.weekday() > 4:
            at += timedelta(days=1)
        return at


def _is_over(instrument: Instrument, tomorrow: date) -> bool:
    return instrument.expiry is not None and instrument.expiry < tomorrow
