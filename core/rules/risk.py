"""Step 2A as a pure state: the day's P&L, limits, losses in a row, halt, and whether one more order may go.

`RiskBook` is owned by the RiskManager actor; everything here can be tested without one. Money is in rupees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.messages import RiskState
from core.model.broker import BrokerPosition
from core.model.order import NEVER_AT_BROKER, ExecutionType, Fill, Order, Product
from core.model.positions import ExternalClose, Holding
from core.model.risk_state import Breach, Halt, LossRun
from core.rules.losses import AgreedPnl, DayFigures, day_pnl, strange_prices

__all__ = ["ACCOUNT", "Lot", "RiskBook", "RiskLimits"]

# The name under which the whole account's losses in a row are kept, beside those of each strategy.
ACCOUNT = "*"

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """The limits of `[risk]`; zero switches a limit off. Losses are given as positive rupees, times in seconds."""

    max_daily_loss: Decimal = _ZERO
    max_loss: Decimal = _ZERO
    square_off_on_max_loss: bool = False
    cooldown_s: float = 0.0
    max_consecutive_losses: int = 0
    max_order_quantity: int = 0
    max_order_value: Decimal = _ZERO
    max_open_orders: int = 0
    max_orders_per_day: int = 0
    pnl_max_age_s: float = 30.0
    market_orders_are_priced: bool = False
    """MARKET orders get a limit price just before they are sent, and their value is checked there."""


@dataclass(slots=True)
class Lot:
    """What a strategy holds in one symbol and product: signed quantity at an average entry price."""

    quantity: int
    price: Decimal

    def trade(self, signed: int, price: Decimal) -> Decimal:
        """Apply a trade; returns what it realised (zero when it opens or adds)."""
        if self.quantity * signed >= 0:
            total = self.quantity + signed
            if total:
                self.price = (self.price * abs(self.quantity) + price * abs(signed)) / abs(total)
            self.quantity = total
            return _ZERO
        closed = min(abs(signed), abs(self.quantity))
        realised = (price - self.price) * closed * (1 if self.quantity > 0 else -1)
        self.quantity += signed
        if self.quantity * signed > 0:  # passed through zero: the rest opens at this price
            self.price = price
        return realised


class RiskBook:
    """What the risk check knows. Trading days are those of the exchange.

    Times are handed in: cooldowns, which are kept beyond a restart, end by the date and time `now`; the age of the P&L
    is reckoned by the steady clock, `steady`, which is `now` where it is not given.
    """

    def __init__(self, limits: RiskLimits, trading_day: date) -> None:
        self.limits = limits
        self.trading_day = trading_day
        self.halt: Halt | None = None
        self.breach: Breach | None = None
        self.pnl: Decimal | None = None
        self.pnl_at: datetime | None = None
        self.orders_today = 0
        self._halted_strategies: dict[str, str] = {}
        self._runs: dict[str, LossRun] = {}
        self._open: set[str] = set()
        self._lots: dict[tuple[str, str, str, Product], Lot] = {}
        self._realised: dict[str, Decimal] = {}
        self._figures = DayFigures()
        self._agreed = AgreedPnl()
        # The loss at which max_loss halted trading today, or at which a person resumed: it counts on from there.
        self._max_loss_mark: Decimal | None = None
        self.wants_second_read = False
        """Whether the last read alone shows a loss beyond a limit: positions are to be read again at once."""

    @property
    def open_orders(self) -> int:
        """Orders that passed the check and are not settled."""
        return len(self._open)

    @property
    def loss_runs(self) -> tuple[LossRun, ...]:
        """Losses in a row and cooldowns, of each strategy and of the account."""
        return tuple(self._runs[name] for name in sorted(self._runs))

    @property
    def halted_strategies(self) -> tuple[tuple[str, str], ...]:
        """Name and reason of each strategy that is halted alone."""
        return tuple(sorted(self._halted_strategies.items()))

    def restore(self, state: RiskState) -> None:
        """Begin anew from the database (scenario D9). The P&L is read from the broker again."""
        self.halt, self.breach = state.halt, state.breach
        self.trading_day, self.orders_today = state.trading_day, state.orders_today
        self._runs = {run.strategy: run for run in state.loss_runs}
        self._open = {order.command_id for order in state.open_orders}
        self._lots = {_lot_key(holding): Lot(holding.quantity, price) for holding, price in state.lots}
        self._realised.clear()
        self._halted_strategies = dict(state.halted_strategies)
        self._max_loss_mark = state.max_loss_mark
        for exchange, symbol in state.traded:
            self._figures.note_traded(exchange, symbol)

    def roll_to(self, day: date) -> bool:
        """Whether another trading day begins: an earlier one only when a clock was ahead and was set right.

        Breach, order count and the mark of max_loss begin anew, and are in the database; halts and cooldowns stay until
        they end.
        """
        if day == self.trading_day:
            return False
        self._figures.begin(later=day > self.trading_day)
        self._agreed = AgreedPnl()
        self.trading_day = day
        self.breach = self._max_loss_mark = None
        self.orders_today = 0
        self.pnl = self.pnl_at = None
        self.wants_second_read = False
        return True

    # The check

    def check(self, order: Order, now: datetime, steady: datetime | None = None) -> str | None:
        """Why `order` may not go, with the numbers; None when it may. An EXIT always may. A passed order counts."""
        if order.execution_type is not ExecutionType.EXIT:
            reason = self.blocked(order.strategy, now, steady) or self._too_big(order)
            if reason is not None:
                return reason
        if order.command_id not in self._open:
            self._open.add(order.command_id)
            self.orders_today += 1
        return None

    def check_change(self, order: Order, now: datetime, steady: datetime) -> str | None:
        """Why an order at the broker may not become `order`: as a new one, but that it is no further order."""
        return self._adds_risk(order.strategy, now, steady) or self._too_big(order)

    def blocked(self, strategy: str, now: datetime, steady: datetime | None = None) -> str | None:
        """Why any ENTRY or ADJUST of `strategy` would be refused now."""
        return self._adds_risk(strategy, now, steady or now) or self._counts()

    def _adds_risk(self, strategy: str, now: datetime, steady: datetime) -> str | None:
        return (
            self._halted(strategy)
            or self._loss_limit()
            or self._unconfirmed()
            or self._pnl_unknown(steady)
            or self._cooling(strategy, now)
        )

    def _halted(self, strategy: str) -> str | None:
        if self.halt is not None:
            return f"trading is halted by {self.halt.by}: {self.halt.reason}"
        reason = self._halted_strategies.get(strategy)
        return None if reason is None else f"strategy {strategy} is halted: {reason}"

    def _loss_limit(self) -> str | None:
        if self.breach is None:
            return None
        return f"day P&L {self.breach.pnl:.2f}, limit -{self.breach.limit:.2f}; no ENTRY until the next trading day"

    def _unconfirmed(self) -> str | None:
        """A loss that one read shows stops nothing but new risk, until another read agrees (scenario G13)."""
        for threshold in self._thresholds():
            if self.pnl is not None and self.pnl <= threshold and not self._agreed.reached(threshold):
                return (
                    f"day P&L {self.pnl:.2f} at a limit of {threshold:.2f} by a read of positions that no other "
                    "confirms yet; they are read again"
                )
        return None

    def _thresholds(self) -> Iterator[Decimal]:
        """The P&L at which something is still to happen today."""
        if self.limits.max_daily_loss and self.breach is None:
            yield -self.limits.max_daily_loss
        if self.limits.max_loss:
            yield (self._max_loss_mark or _ZERO) - self.limits.max_loss

    def _pnl_unknown(self, steady: datetime) -> str | None:
        if self.pnl is None or self.pnl_at is None:
            return "the day's P&L is not known: the broker's positions were not read, or a row could not be parsed"
        age = (steady - self.pnl_at).total_seconds()
        if age > self.limits.pnl_max_age_s:
            return f"the day's P&L is {age:.1f} s old, limit {self.limits.pnl_max_age_s:.1f} s"
        return None

    def _cooling(self, strategy: str, now: datetime) -> str | None:
        for name in (strategy, ACCOUNT):
            run = self._runs.get(name)
            if run is not None and run.cooldown_until is not None and now < run.cooldown_until:
                left = (run.cooldown_until - now).total_seconds()
                if left > self.limits.cooldown_s:
                    # A clock was ahead when it began: from now on it lasts as long as one does.
                    left = self.limits.cooldown_s
                    self._runs[name] = replace(run, cooldown_until=now + timedelta(seconds=left))
                whose = "the account" if name == ACCOUNT else f"strategy {name}"
                return f"{whose} cools down for another {left:.0f} s after {run.losses} losing exit(s) in a row"
        return None

    def _counts(self) -> str | None:
        limits = self.limits
        if limits.max_open_orders and self.open_orders >= limits.max_open_orders:
            return f"{self.open_orders} open orders, limit {limits.max_open_orders}"
        if limits.max_orders_per_day and self.orders_today >= limits.max_orders_per_day:
            return f"{self.orders_today} orders today, limit {limits.max_orders_per_day}"
        return None

    def _too_big(self, order: Order) -> str | None:
        limits = self.limits
        if limits.max_order_quantity and order.quantity > limits.max_order_quantity:
            return f"quantity {order.quantity}, limit {limits.max_order_quantity}"
        if not limits.max_order_value:
            return None
        # What goes at the market has a price where it was chased.
        price = order.intent.price or order.intent.trigger_price
        if price is None:
            if limits.market_orders_are_priced:
                return None
            return "the value of a MARKET order cannot be held against max_order_value; send a LIMIT order"
        value = price * order.quantity
        if value > limits.max_order_value:
            return f"order value {value:.2f}, limit {limits.max_order_value:.2f}"
        return None

    # Halts

    def note_halt(self, halt: Halt | None) -> None:
        """Trading was halted, or resumed by a person: then strategies that were halted alone go on as well."""
        self.halt = halt
        if halt is None:
            self._halted_strategies.clear()

    def rearm(self) -> Decimal | None:
        """A person resumed trading after max_loss: it counts on from the loss of now. The mark to keep, if it moved."""
        mark, agreed = self._max_loss_mark, self._agreed.pnl
        if mark is None or agreed is None or agreed >= mark:
            return None
        self._max_loss_mark = agreed
        return agreed

    def halt_strategy(self, strategy: str, reason: str) -> bool:
        """Let one strategy open no more risk (scenario E9). False if it is halted already; the first reason is kept."""
        if strategy in self._halted_strategies:
            return False
        self._halted_strategies[strategy] = reason
        return True

    # What happened

    def note_settled(self, order: Order, now: datetime) -> tuple[LossRun, ...]:
        """An order is over. Returns the loss runs that changed, to be kept."""
        if order.command_id in self._open:
            self._open.discard(order.command_id)
            if order.tag in NEVER_AT_BROKER:
                self.orders_today -= 1
        realised = self._realised.pop(order.command_id, _ZERO)
        if realised == 0:
            return ()
        return tuple(self._extend_run(name, realised < 0, now) for name in (order.strategy, ACCOUNT))

    def _extend_run(self, name: str, lost: bool, now: datetime) -> LossRun:
        before = self._runs.get(name) or LossRun(name, 0, None)
        losses = before.losses + 1 if lost else 0
        until = before.cooldown_until
        limit = self.limits.max_consecutive_losses
        # A strategy cools down after each losing exit; the account when it lost the allowed number of times in a row.
        cools = lost if name != ACCOUNT else lost and limit > 0 and losses >= limit
        if cools and self.limits.cooldown_s > 0:
            until = now + timedelta(seconds=self.limits.cooldown_s)
        run = self._runs[name] = LossRun(name, losses, until)
        return run

    def note_fill(self, order: Order, fill: Fill) -> None:
        """A trade: keeps average entry prices, and what the order realised so far."""
        if order.product is None:
            raise ValueError(f"order {order.command_id} filled without a product")
        if order.trading_day == self.trading_day:
            self._figures.note_traded(order.exchange, order.symbol)
        key = (order.strategy, order.exchange, order.symbol, order.product)
        lot = self._lots.setdefault(key, Lot(0, _ZERO))
        realised = lot.trade(order.side.sign * fill.quantity, fill.price)
        if realised:
            self._realised[order.command_id] = self._realised.get(order.command_id, _ZERO) + realised
        if lot.quantity == 0:
            del self._lots[key]

    def note_external_close(self, close: ExternalClose) -> None:
        """A part of a holding was closed by somebody else: it is no win or loss of the strategy's own exits."""
        key = (close.strategy, close.exchange, close.symbol, close.product)
        lot = self._lots.get(key)
        if lot is not None:
            lot.trade(close.quantity, close.price)
            if lot.quantity == 0:
                del self._lots[key]

    def note_positions(
        self, positions: Iterable[BrokerPosition], asked_at: datetime, *, before_markets: bool = False
    ) -> Breach | None:
        """The position book was read. Returns the breach when the loss agreed on is the first of the day to be one.

        Args:
            positions: Its rows.
            asked_at: When it was asked for, by the steady clock.
            before_markets: Whether no exchange has opened on this trading day yet (scenario G7).
        """
        book = tuple(positions)
        before = self._figures.last
        rows = self._figures.of_today(book, before_markets=before_markets)
        strange = tuple(strange_prices(rows, before, self._entry_prices()))
        pnl = day_pnl(rows)
        if pnl is None or any(position.last_price is None for position, _ in strange):
            # Keep the last known figure and let it grow old: the verdict must not silently change (scenario D8).
            self._figures.last = before
            return None
        was_unconfirmed = self._unconfirmed() is not None
        self.pnl, self.pnl_at = pnl, asked_at
        self._agreed.note(pnl, asked_at, strange=bool(strange))
        self.wants_second_read = self._unconfirmed() is not None and not was_unconfirmed
        limit = self.limits.max_daily_loss
        if limit and self.breach is None and self._agreed.reached(-limit):
            self.breach = Breach(self.trading_day, self._agreed.pnl or pnl, limit)
            return self.breach
        return None

    def _entry_prices(self) -> dict[tuple[str, str, Product | None], Decimal]:
        return {(exchange, symbol, product): lot.price for (_, exchange, symbol, product), lot in self._lots.items()}

    @property
    def leaves(self) -> bool:
        """Whether everything held is to be left: max_loss halted trading today, and no person resumed."""
        return (
            self.limits.square_off_on_max_loss
            and self._max_loss_mark is not None
            and self.halt is not None
            and self.halt.by == "risk"
        )

    def passed_max_loss(self) -> Decimal | None:
        """The loss agreed on, when it is at the hard threshold: max_loss, or as much again beyond the mark (G15).

        It is the mark from now on, so that trading is halted once for each step.
        """
        limit = self.limits.max_loss
        if not limit or not self._agreed.reached((self._max_loss_mark or _ZERO) - limit):
            return None
        self._max_loss_mark = self._agreed.pnl
        return self._max_loss_mark


def _lot_key(holding: Holding) -> tuple[str, str, str, Product]:
    return (holding.strategy, holding.exchange, holding.symbol, holding.product)
