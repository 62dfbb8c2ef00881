"""The paper exchange: one object that answers as a Noren broker does. Pure: time and chance are handed in.

Snapshot (`Exchange.snapshot`), every number that is money a string, quantities integers::

    now         ISO 8601          day  "DD-MM-YYYY", the trading day        source  "walk" | "replay" | "manual"
    switches    {name: value}     those `set_switch` can change
    prices      [{exch, token, tsym, lp, c, change_pct, bid, bq, ask, sq, held}]   indices, a few shares, all in use
    books       [{exch, token, tsym, bids: [[price, quantity], ...5], asks: [...]}]  of instruments with orders
    orders      [{norenordno, account, exch, tsym, side, qty, prc, trgprc, prctyp, prd, ret, status, filled, avg,
                  remarks, reason, source, at}]                              newest first, at most 200
    positions   [{account, exch, tsym, prd, netqty, netavg, lp, rpnl, urmtom}]
    accounts    [{uid, cash, marginused, available, sessions}]
    sockets     [{connection, uid, state, orders, touchline, depth}]         state: new | up | refused | silent
    faults      [{id, kind, path, account, remarks, report, count, probability, fired, parameters}]
    counters    {requests, orders, trades, frames}

Control commands (`Exchange.control`), all arguments JSON values; the answer to `help` lists them with their arguments,
and every kind of fault and switch with its meaning::

    help {}
    set_price {exch, tsym | token, price}          the walk goes on from there; stays in manual and held modes
    hold_price {exch, tsym | token, hold: true}    stop or restart the walk of one instrument
    add_fault {kind, path?, account?, remarks?, report?, count?, probability?, ...parameters}  -> {id}
    remove_fault {id}      clear_faults {}
    set_switch {name, value}
    cancel_order {norenordno, reason?}             unsolicited, by the exchange
    external_order {account, exch, tsym, trantype, qty, prc?, prctyp?, prd?, remarks?, ordersource?} -> {norenordno}
    fill_order {norenordno, qty?, prc?, beyond?}   a fill at that price, whatever the book says
    late_fill {norenordno, qty?, prc?}             a fill of an order that is cancelled
    kill_token {account?}                          all tokens, or those of one account
    close_sockets {account?, code?, reason?}
    convert_position {account, exch, tsym, qty, prevprd, prd}
    set_cash {account, cash}     set_holding {account, exch, tsym, quantity, cost?}
    end_session {}               intraday squared off, open DAY orders cancelled
    end_of_day {}                end_session, then positions carried, books cleared, the next day begins
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from core.paper import replies
from core.paper.commands import Commands
from core.paper.config import ExchangeConfig
from core.paper.day import Day
from core.paper.digest import digest
from core.paper.endpoints.gate import Gate
from core.paper.memory import Changes, Recorder, Row, least_numbers, restored
from core.paper.oms import Oms
from core.paper.sockets import Sockets
from core.paper.state import ExchangeState
from core.paper.symbol_files import symbol_file
from core.paper.times import IST
from core.paper.view import view
from core.paper.wire import Out, Request, Step

__all__ = ["Exchange"]

_REQUESTS_KEPT = 10_000
_MAX_STEPS = 5000
"""Price steps looked at in one leap of time; a longer leap looks at evenly spaced ones, to stay bounded."""

_MAX_STEPS_BETWEEN_RUNS = 500
"""The same for the time between two runs: nobody waits for the first run to end, but for the second to start."""

_LIVE = timedelta(seconds=60)
"""How old a price may be to be pushed still."""


class Exchange:
    """A deterministic state machine of accounts, orders, trades and positions.

    The caller hands in the time with each call; it must not go back. The same seed and the same calls give the same
    bytes.

    Args:
        config: How it is set up.
        now: The time at which it starts, timezone-aware.
        seed: The source of all chance.
        kept: The rows that an earlier run has left, none for the first one. The exchange goes on from them: what was
            due meanwhile has happened when it is made. None for an exchange that is not kept.
    """

    def __init__(
        self, config: ExchangeConfig, *, now: datetime, seed: int = 1, kept: Mapping[Row, str] | None = None
    ) -> None:
        self._state = ExchangeState(config, now, seed) if kept is None else restored(config, kept, now, seed)
        # When each of the last requests came, and to which endpoint: what a client's rate is measured by.
        self._requests: deque[tuple[datetime, str]] = deque(maxlen=_REQUESTS_KEPT)
        self._sockets = Sockets(self._state)
        self._oms = Oms(self._state, self._sockets)
        self._day = Day(self._state, self._oms)
        self._gate = Gate(self._state, self._oms)
        self._commands = Commands(self._state, self._oms, self._sockets, self._day)
        self._recorder = Recorder(self._state, kept or ())
        if kept is not None:
            self._advance(max(now, self._state.now), max_steps=_MAX_STEPS_BETWEEN_RUNS)
            self._state.take_outbox()
            self._state.raise_numbers(least_numbers(self._state.day, self._state.now, config.day_roll_time))

    @property
    def now(self) -> datetime:
        """The time that its state is of."""
        return self._state.now

    def take_changes(self) -> Changes | None:
        """What must be written down before anybody hears of it; None if nothing changed since the last time."""
        return self._recorder.take()

    def handle(self, request: Request, now: datetime) -> Step:
        """Answer one POST: any endpoint, or the form of the OAuth login page."""
        self._advance(now)
        self._state.counters["requests"] += 1
        self._requests.append((self._state.now, request.path.rstrip("/").rpartition("/")[2]))
        try:
            reply = self._gate.answer(request)
        except replies.Refusal as refusal:
            reply = replies.not_ok(refusal.emsg, self._state.now, refusal.status)
        self._run_stages(self._state.now)
        return Step(reply, self._state.take_outbox())

    def advance(self, now: datetime) -> tuple[Out, ...]:
        """Let everything happen that is due up to `now`: order stages, prices, matching, expiry, end of day."""
        self._advance(now)
        return self._state.take_outbox()

    def next_due(self) -> datetime | None:
        """When `advance` has something to do next; None while nothing waits."""
        state = self._state
        due = [state.stages[0][0]] if state.stages else []
        if state.busy or self._sockets.wants_prices:
            due.append(state.prices.time_of(state.step + 1))
        if state.orders or any(a.positions for a in state.accounts.values()):
            due.append(self._day.next_due)
        return min(due, default=None)

    def connect(self, connection: str, now: datetime) -> Step:
        """A socket has opened; `connection` names it from here on."""
        self._advance(now)
        self._sockets.connect(connection)
        return Step(None, self._state.take_outbox())

    def receive(self, connection: str, text: str, now: datetime) -> Step:
        """A text frame has come from a socket."""
        self._advance(now)
        self._sockets.receive(connection, text)
        return Step(None, self._state.take_outbox())

    def disconnect(self, connection: str, now: datetime) -> None:
        """A socket is gone."""
        self._advance(now)
        self._sockets.disconnect(connection)

    def control(self, command: str, arguments: Mapping[str, object], now: datetime) -> dict[str, object]:
        """Do what the operator or a test asks; ValueError with a clear text on bad input.

        Frames that it causes come out of the next `advance`.
        """
        self._advance(now)
        return self._commands.run(command, arguments)

    def snapshot(self, now: datetime) -> dict[str, object]:
        """What the live page shows; JSON-able, and reading it changes nothing."""
        return view(self._state, self._sockets, now.astimezone(IST))

    def requests(self) -> list[dict[str, str]]:
        """The last requests, oldest first: `at`, and the endpoint as `path`."""
        return [{"at": at.isoformat(), "path": path} for at, path in self._requests]

    def symbol_file(self, exch: str) -> bytes | None:
        """The symbol file of one of its segments; None where it trades nothing."""
        return symbol_file(exch, self._state.master)

    def digest(self) -> str:
        """SHA-256 of the whole state in a canonical form, for replay tests."""
        return digest(self._state, self._sockets)

    # -- time ---------------------------------------------------------------------------------------------------

    def _advance(self, now: datetime, max_steps: int = _MAX_STEPS) -> None:
        now = now.astimezone(IST)
        if now < self._state.now:
            raise ValueError(f"paper exchange: time went back from {self._state.now} to {now}")
        stride = max(1, (self._state.prices.step_at(now) - self._state.step) // max_steps)
        while (at := self._next_moment(now, stride)) is not None:
            self._state.now = max(self._state.now, at)
            self._turn(live=now - at <= _LIVE)
        self._state.now = now
        self._state.step = self._state.prices.step_at(now)

    def _next_moment(self, now: datetime, stride: int) -> datetime | None:
        """The next moment up to `now` at which something happens."""
        state = self._state
        moments = [self._day.next_due]
        if state.stages:
            moments.append(state.stages[0][0])
        if state.busy or self._sockets.wants_prices:
            moments.append(state.prices.time_of(state.step + stride))
        at = min(moments)
        return at if at <= now else None

    def _turn(self, live: bool) -> None:
        """Do what is due at the present moment: prices first, then the stages of orders, then the day.

        Args:
            live: Whether price frames are wanted; those of a long leap would only be a flood of old prices.
        """
        state = self._state
        step = state.prices.step_at(state.now)
        if step > state.step:
            state.step = step
            for book in list(state.busy.values()):
                self._oms.prices_moved(book.instrument)
            if live:
                self._sockets.price_step()
        self._run_stages(state.now)
        if state.now >= self._day.next_due:
            self._day.run_due()

    def _run_stages(self, now: datetime) -> None:
        stages = self._state.stages
        while stages and stages[0][0] <= now:
            self._oms.due(heapq.heappop(stages))
