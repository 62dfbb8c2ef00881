"""What the risk engine and the exchange refuse, in their words (protocol sections 5.7 and 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from core.paper.accounts import Account, opening_units, unit_margin
from core.paper.faults import FaultKind
from core.paper.instruments import CASH, Instrument
from core.paper.matching import is_triggered
from core.paper.orders import Entry, Order
from core.paper.state import ExchangeState
from core.paper.times import at_time

__all__ = ["HOURS", "Rejection", "exchange_check", "in_session", "next_open", "risk_check"]

HOURS = {
    "NSE": (time(9, 15), time(15, 30)),
    "BSE": (time(9, 15), time(15, 30)),
    "NFO": (time(9, 15), time(15, 40)),
    "BFO": (time(9, 15), time(15, 40)),
    "CDS": (time(9, 0), time(17, 0)),
    "BCD": (time(9, 0), time(17, 0)),
    "MCX": (time(9, 0), time(23, 30)),
    "NCX": (time(9, 0), time(17, 0)),
}
"""Continuous session of each segment, IST (protocol section 12.1); holidays are not known here."""

_SATURDAY = 5
_PRODUCTS = {True: frozenset("CI"), False: frozenset("MI")}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an order is rejected.

    Attributes:
        reason: `rejreason`, in the words of the layer that refused.
        by: `rejby`: RED, ORA, SAF, or empty for the exchange.
    """

    reason: str
    by: str = ""


def in_session(exch: str, now: datetime) -> bool:
    """Whether a segment trades now."""
    opens, closes = HOURS.get(exch, HOURS["NSE"])
    return now.weekday() < _SATURDAY and opens <= now.time() < closes


def next_open(exch: str, now: datetime) -> datetime:
    """When a segment opens next."""
    opens, _ = HOURS.get(exch, HOURS["NSE"])
    at = at_time(now.date(), opens)
    while at <= now or at.weekday() >= _SATURDAY:
        at += timedelta(days=1)
    return at


def risk_check(state: ExchangeState, account: Account, order: Order, entry: Entry) -> Rejection | None:
    """What the broker's risk engine says to an order, or to a modification of one that is not reserved for.

    Args:
        state: The exchange.
        account: Whose order it is.
        order: The order; nothing may be reserved for it.
        entry: What it is to ask for.
    """
    instrument = order.instrument
    match = {"account": account.uid, "remarks": order.remarks}
    if rule := state.faults.hit(FaultKind.REJECT_ORDER, **match):
        return Rejection(rule.text("text", f"RED:Block Type:NonSqoff Reason:TEST for C-{account.uid}"), "RED")
    return (
        _check_product(state, account, instrument, entry)
        or _check_freeze(instrument, entry)
        or _check_band(state, account, instrument, entry)
        or _check_holdings(account, instrument, order, entry)
        or _check_margin(state, account, instrument, order, entry)
    )


def _check_product(state: ExchangeState, account: Account, instrument: Instrument, entry: Entry) -> Rejection | None:
    if entry.prd not in _PRODUCTS[instrument.exch in CASH]:
        name = {"C": "CNC", "M": "NRML", "H": "CO", "B": "BO", "F": "MTF"}[entry.prd]
        return Rejection(f"ORA:Product {name} not enabled for Account {account.uid}", "ORA")
    late = state.config.enforce_session_hours and state.now.time() >= state.config.intraday_cutoff
    if entry.prd == "I" and late and instrument.exch != "MCX":
        return Rejection("RED:'MIS' Orders are disallowed after system square off", "RED")
    return None


def _check_freeze(instrument: Instrument, entry: Entry) -> Rejection | None:
    if entry.qty < instrument.freeze:
        return None
    text = "RED:RULE:{Check Freeze qty including square off order}"
    return Rejection(f"{text}Current:{entry.qty} Set:{instrument.freeze}", "RED")


def _check_band(state: ExchangeState, account: Account, instrument: Instrument, entry: Entry) -> Rejection | None:
    lower, upper = state.prices.band(instrument)
    if entry.is_market or lower <= entry.prc <= upper:
        return None
    return Rejection(
        "RED:RULE:{Check circuit limit including square off order}"
        f"Current:INR {entry.prc:,.2f} LowerCircuit:INR {lower:,.2f} UpperCircuit:INR {upper:,.2f}"
        f":{instrument.exch}.{instrument.tsym} for C-{account.uid} [DEFAULT]",
        "RED",
    )


def _check_holdings(account: Account, instrument: Instrument, order: Order, entry: Entry) -> Rejection | None:
    if entry.prd != "C" or entry.side != "S":
        return None
    eligible = account.sellable(instrument)
    if entry.qty - order.filled <= eligible:
        return None
    rule = "RED:RULE:{Check Holdings Including BTST"
    if eligible <= 0 and instrument.symbol not in account.holdings:
        return Rejection(f"{rule} except t2t}}No Holdings uploaded for C-{account.uid}", "RED")
    return Rejection(f"{rule}}}Eligible Sell:{max(0, eligible)} for C-{account.uid} [ONLINE]", "RED")


def _check_margin(
    state: ExchangeState, account: Account, instrument: Instrument, order: Order, entry: Entry
) -> Rejection | None:
    needed = order_margin(state, account, instrument, entry, entry.qty - order.filled)
    shortfall = needed - account.available
    if needed <= 0 or shortfall <= 0:
        return None
    return Rejection(
        f"RED:Margin Shortfall:INR {shortfall:.2f} Available:INR {account.available:.2f} for C-{account.uid} [RISK2]",
        "RED",
    )


def order_margin(
    state: ExchangeState, account: Account, instrument: Instrument, entry: Entry, quantity: int
) -> Decimal:
    """Rupees that an order not reserved for would block."""
    position = account.positions.get((instrument.exch, instrument.token, entry.prd))
    units = quantity if position is None else opening_units(position, entry.side, quantity)
    return units * unit_margin(instrument, entry.prd, entry.side, reference_price(state, instrument, entry))


def reference_price(state: ExchangeState, instrument: Instrument, entry: Entry) -> Decimal:
    """The price an order is valued at: its limit, or the last price for one that takes any."""
    return state.last(instrument) if entry.is_market else entry.prc


def exchange_check(state: ExchangeState, order: Order, entry: Entry) -> Rejection | None:
    """What the exchange says to an order the risk engine let through."""
    instrument = order.instrument
    if rule := state.faults.hit(FaultKind.EXCHANGE_REJECT, account=order.account, remarks=order.remarks):
        return Rejection(rule.text("text", "16419: Invalid data in the order packet"))
    off_lot = entry.qty % instrument.lot
    off_tick = any(price % instrument.tick for price in (entry.prc, entry.trgprc) if price)
    if off_lot or off_tick:
        return Rejection("16419: Invalid data in the order packet")
    if state.config.enforce_session_hours and not in_session(instrument.exch, state.now):
        return Rejection("TRANSACTION NOT ALLOWED IN CURRENT INSTRUMENT STATE")
    passed = entry.is_stop and not order.triggered and _trigger_passed(state, order, entry)
    if passed and state.config.check_trigger_side:
        return Rejection("16419: Invalid data in the order packet: trigger price has been passed")
    return None


def _trigger_passed(state: ExchangeState, order: Order, entry: Entry) -> bool:
    return is_triggered(entry, state.last(order.instrument))
