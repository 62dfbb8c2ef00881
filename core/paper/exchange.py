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
    fill_order {norenordno, qty?, prc?}            a fill at that price, whatever the book says
    late_fill {norenordno, qty?, prc?}             a fill of an order that is cancelled
    kill_token {account?}                          all tokens, or those of one account
    close_sockets {account?, code?, reason?}
    set_cash {account, cash}     set_holding {account, exch, tsym, quantity, cost?}
    end_session {}               intraday squared off, open DAY orders cancelled
    end_of_day {}                end_session, then positions carried, books cleared, the next day begins
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from core.paper.config import ExchangeConfig
from core.paper.wire import Close, Push, Request, Step

__all__ = ["Exchange"]


class Exchange:
    """A deterministic state machine of accounts, orders, trades and positions.

    The caller hands in the time with each call; it must not go back. The same seed and the same calls give the same
    bytes.

    Args:
        config: How it is set up.
        now: The time at which it starts, timezone-aware.
        seed: The source of all chance.
    """

    def __init__(self, config: ExchangeConfig, *, now: datetime, seed: int = 1) -> None:
        raise NotImplementedError

    def handle(self, request: Request, now: datetime) -> Step:
        """Answer one POST: any endpoint, or the form of the OAuth login page."""
        raise NotImplementedError

    def advance(self, now: datetime) -> tuple[Push | Close, ...]:
        """Let everything happen that is due up to `now`: order stages, prices, matching, expiry, end of day."""
        raise NotImplementedError

    def next_due(self) -> datetime | None:
        """When `advance` has something to do next; None while nothing waits."""
        raise NotImplementedError

    def connect(self, connection: str, now: datetime) -> Step:
        """A socket has opened; `connection` names it from here on."""
        raise NotImplementedError

    def receive(self, connection: str, text: str, now: datetime) -> Step:
        """A text frame has come from a socket."""
        raise NotImplementedError

    def disconnect(self, connection: str, now: datetime) -> None:
        """A socket is gone."""
        raise NotImplementedError

    def control(self, command: str, arguments: Mapping[str, object], now: datetime) -> dict[str, object]:
        """Do what the operator or a test asks; ValueError with a clear text on bad input."""
        raise NotImplementedError

    def snapshot(self, now: datetime) -> dict[str, object]:
        """What the live page shows; JSON-able, and reading it changes nothing."""
        raise NotImplementedError

    def digest(self) -> str:
        """SHA-256 of the whole state in a canonical form, for replay tests."""
        raise NotImplementedError
