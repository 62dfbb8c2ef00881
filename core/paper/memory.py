"""What an exchange must not forget, as rows of text; and the state made from such rows again. Pure.

A row has a kind, a name and a JSON text. `Recorder.take` hands out the rows that changed since the last time, so that
an order costs what it changed, however long the day. Faults, switches, sockets and the counts of the rate limits are
not kept: they begin with the process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.paper.accounts import Account, Holding
from core.paper.config import ExchangeConfig, PriceSource
from core.paper.instruments import Instrument
from core.paper.kept import (
    dump,
    event_from,
    event_text,
    instrument_from,
    instrument_text,
    order_from,
    order_text,
    position_from,
    position_text,
    sessions_from,
    sessions_text,
)
from core.paper.orders import Order
from core.paper.state import ExchangeState, Past
from core.paper.times import at_time, order_number_date

__all__ = ["Changes", "Recorder", "Row", "least_numbers", "restored"]

Row = tuple[str, str]
"""Kind and name of a row."""

FORMAT = 1
_FOR_A_DAY = ("order", "event", "position", "instrument")
_AHEAD = timedelta(seconds=60)
_EPOCH = date(2020, 1, 1)
_A_DAY = 100_000_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written down, all of it or nothing.

    Attributes:
        cleared: The kinds of which every earlier row is gone first.
        rows: The rows that are new or changed.
    """

    cleared: tuple[str, ...]
    rows: dict[Row, str]


class Recorder:
    """Collects what changes in a state.

    Args:
        state: The exchange's state.
        kept: The rows it was made from.
    """

    def __init__(self, state: ExchangeState, kept: Iterable[Row] = ()) -> None:
        self._state = state
        self._events: dict[str, int] = {}
        self._instruments: set[tuple[str, str]] = set()
        for kind, name in kept:
            if kind == "event":
                number = name.partition("/")[0]
                self._events[number] = self._events.get(number, 0) + 1
            elif kind == "instrument":
                exch, _, token = name.partition("|")
                self._instruments.add((exch, token))
        self._prices = state.prices.revision
        self._sessions = state.sessions.revision
        self._begun = False

    def take(self) -> Changes | None:
        """What changed since the last time; None if nothing did. That it began is a change."""
        state = self._state
        cleared, state.cleared = state.cleared, False
        if cleared:
            self._events.clear()
            self._instruments.clear()
        rows: dict[Row, str] = {}
        for order in state.changed_orders.values():
            self._add_order(rows, order)
        state.changed_orders.clear()
        for account in state.accounts.values():
            self._add_account(rows, account, everything=cleared)
        if state.sessions.revision != self._sessions:
            self._sessions = state.sessions.revision
            rows["sessions", ""] = sessions_text(state.sessions)
        if state.prices.revision != self._prices:
            self._prices = state.prices.revision
            rows["prices", ""] = dump(state.prices.decided())
        if cleared:
            rows["closes", ""] = dump(state.prices.closes())
        if not rows and self._begun:
            return None
        self._begun = True
        rows["exchange", ""] = _head(state)
        return Changes(_FOR_A_DAY if cleared else (), rows)

    def _add_order(self, rows: dict[Row, str], order: Order) -> None:
        self._add_instrument(rows, order.instrument)
        rows["order", order.number] = order_text(order)
        told = self._events.get(order.number, 0)
        for number, event in enumerate(order.history[told:], told):
            rows["event", f"{order.number}/{number:06}"] = event_text(event)
        self._events[order.number] = len(order.history)

    def _add_account(self, rows: dict[Row, str], account: Account, *, everything: bool) -> None:
        if account.changed or everything:
            holdings = [[*h.instrument.key, h.quantity, str(h.cost)] for h in account.holdings.values()]
            for held in account.holdings.values():
                self._add_instrument(rows, held.instrument)
            rows["account", account.uid] = dump({"cash": str(account.cash), "holdings": holdings})
            account.changed = False
        for key in account.positions if everything else account.changed_positions:
            position = account.positions.get(key)
            if position is not None:
                self._add_instrument(rows, position.instrument)
                rows["position", "|".join((*key, account.uid))] = position_text(position)
        account.changed_positions.clear()

    def _add_instrument(self, rows: dict[Row, str], instrument: Instrument) -> None:
        if instrument.key not in self._instruments:
            self._instruments.add(instrument.key)
            rows["instrument", "|".join(instrument.key)] = instrument_text(instrument)


def _head(state: ExchangeState) -> str:
    return dump(
        {
            "format": FORMAT,
            "now": state.now.isoformat(),
            "day": state.day.isoformat(),
            "listed": state.listed.isoformat(),
            "start": state.start.isoformat(),
            "starts": state.starts,
            "walk": _walk(state.config, state.seed),
            "numbers": state.numbers(),
            "counters": dict(state.counters),
        }
    )


def _walk(config: ExchangeConfig, seed: int) -> str:
    """What a walk follows from: another one begins its own prices."""
    return f"{config.price_source} {seed} {config.walk_volatility!r} {config.walk_interval_s!r}"


def restored(config: ExchangeConfig, kept: Mapping[Row, str], now: datetime, seed: int) -> ExchangeState:
    """The state that the rows describe, at the last moment they know of; `now` if they know none.

    Raises:
        ValueError: They are of another format, or of a time that has not come yet.
    """
    head = json.loads(kept.get(("exchange", ""), "{}"))
    if "format" not in head:
        state = ExchangeState(config, now, seed)
        state.raise_numbers(head.get("numbers", {}))
        return state
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']}, and this version reads {FORMAT}")
    last = datetime.fromisoformat(head["now"])
    if last > now + _AHEAD:
        raise ValueError(f"its last entry is of {last:%d-%m-%Y %H:%M:%S}, and the clock shows an earlier time")
    instruments = [instrument_from(json.loads(text)) for (kind, _), text in kept.items() if kind == "instrument"]
    goes_on = head["walk"] == _walk(config, seed) and config.price_source is not PriceSource.REPLAY
    # Contracts with an expiry are listed anew each day. They stay those of their day while any of them is in use.
    relists = not any(i.expiry for i in instruments)
    past = Past(
        start=datetime.fromisoformat(head["start"]) if goes_on else last,
        day=date.fromisoformat(head["day"]),
        listed=date.fromisoformat(head["day" if relists else "listed"]),
        starts=head["starts"],
        instruments=tuple(instruments),
    )
    state = ExchangeState(config, last, seed, past)
    state.raise_numbers(head["numbers"])
    state.counters.update(head["counters"])
    closes = json.loads(kept.get(("closes", ""), "[]"))
    state.prices.restore(json.loads(kept.get(("prices", ""), "{}")) if goes_on else {}, closes, relists=relists)
    state.step = state.prices.step_at(state.now)
    if ("sessions", "") in kept:
        state.sessions.restore(*sessions_from(json.loads(kept["sessions", ""])))
    _restore_accounts(state, kept)
    _restore_orders(state, kept)
    return state


def _restore_accounts(state: ExchangeState, kept: Mapping[Row, str]) -> None:
    for uid, row in _rows(kept, "account"):
        account = state.account(uid)
        account.cash = Decimal(row["cash"])
        account.holdings = {}
        for exch, token, quantity, cost in row["holdings"]:
            instrument = _instrument(state, exch, token)
            account.holdings[instrument.symbol] = Holding(instrument, quantity, Decimal(cost))
        account.changed = False
    for name, row in _rows(kept, "position"):
        exch, token, prd, uid = name.split("|", 3)
        position = position_from(row, _instrument(state, exch, token), prd)
        state.account(uid).positions[exch, token, prd] = position
    for account in state.accounts.values():
        account.recount()
        account.changed_positions.clear()


def _restore_orders(state: ExchangeState, kept: Mapping[Row, str]) -> None:
    for number, row in _rows(kept, "order"):
        state.orders[number] = order_from(number, row, _instrument(state, *row["instrument"]))
    for name, row in _rows(kept, "event"):
        order = state.orders[name.partition("/")[0]]
        event = event_from(row)
        order.history.append(event)
        if event.trade is not None:
            order.trades.append(event.trade)
    for order in state.orders.values():
        account = state.account(order.account)
        account.add(order)
        account.trades += [(order, trade) for trade in order.trades]
        account.order_margin += order.unit_margin * order.margin_units
        state.restore_order(order)
    for account in state.accounts.values():
        account.trades.sort(key=lambda pair: int(pair[1].flid))


def _rows(kept: Mapping[Row, str], kind: str) -> Iterator[tuple[str, Any]]:
    """The rows of a kind by name: orders as they came, and the events of each as they happened."""
    for name in sorted(name for there, name in kept if there == kind):
        yield name, json.loads(kept[kind, name])


def _instrument(state: ExchangeState, exch: str, token: str) -> Instrument:
    found = state.master.by_token(exch, token)
    if found is None:
        raise ValueError(f"it knows nothing of the contract {exch}:{token} that it has orders or positions in")
    return found


def least_numbers(day: date, now: datetime, roll: time) -> dict[str, int]:
    """Numbers that no earlier exchange of this machine can have given, even where its state is lost altogether.

    They follow from the time: an exchange would have to take a thousand orders in each second of a day to reach them.
    """
    thousandths = max(0, int((now - at_time(day, roll)).total_seconds() * 1000))
    ever = max(0, (day - _EPOCH).days) * _A_DAY + thousandths
    return {order_number_date(day): thousandths, "fill": ever, "exchange order": ever}
