"""Rows and frames as the wire has them: every value a string (protocol sections 7 and 9)."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from core.paper.accounts import Account, Holding
from core.paper.faults import FaultKind, Faults, Rule
from core.paper.instruments import Instrument
from core.paper.orders import Event, Order, Report, Status, Trade, average
from core.paper.positions import Position
from core.paper.replies import Row
from core.paper.times import clock_then_date, date_then_clock, epoch, nanoseconds

__all__ = [
    "PRODUCT_NAMES",
    "holding_row",
    "instrument_fields",
    "money",
    "order_frame",
    "order_row",
    "position_row",
    "trade_row",
]

PRODUCT_NAMES = {"C": "CNC", "M": "NRML", "I": "MIS", "H": "CO", "B": "BO", "F": "MTF"}
"""`s_prdt_ali` of each product code."""

_QUANTA = {places: Decimal(1).scaleb(-places) for places in range(7)}


def money(value: Decimal, places: int = 2) -> str:
    """Rupees with a fixed number of places and no thousands separators."""
    text = str(value.quantize(_QUANTA[places], rounding=ROUND_HALF_UP))
    return text if not text.startswith("-0.") or value.quantize(_QUANTA[places]) else text[1:]


def instrument_fields(instrument: Instrument) -> Row:
    """The contract data that every row carries."""
    return {
        "exch": instrument.exch,
        "tsym": instrument.tsym,
        "token": instrument.token,
        "pp": str(instrument.precision),
        "ls": str(instrument.lot),
        "ti": f"{instrument.tick:f}",
        "mult": "1",
        "prcftr": "1.000000",
        "instname": instrument.kind,
        "dname": instrument.display_name,
    }


def order_row(order: Order, event: Event, faults: Faults, *, history: bool = False) -> Row:
    """A row of OrderBook, or with `history` of SingleOrdHist (protocol sections 7.2 and 7.3).

    Args:
        order: The order.
        event: The state to show: the last one, or one of its history.
        faults: Rules that spoil rows.
        history: Whether `rpt` is wanted, and the figures of trades in rows of trades only.
    """
    entry = event.entry
    places = order.instrument.precision
    row: Row = {
        "stat": "Ok",
        "norenordno": order.number,
        "kidid": "1",
        "uid": order.account,
        "actid": order.account,
        **instrument_fields(order.instrument),
        "qty": str(entry.qty),
        "trantype": entry.side,
        "prctyp": entry.prctyp,
        "ret": entry.ret,
        "prc": money(entry.prc, places),
        "rprc": money(order.reserved_price, places),
        "dscqty": str(entry.dscqty),
        "prd": entry.prd,
        "s_prdt_ali": PRODUCT_NAMES[entry.prd],
        "status": event.status.value,
        "st_intrn": _internal_status(event),
        "norentm": clock_then_date(event.at),
        "ordenttm": epoch(order.entered_at),
        "rqty": str(entry.qty - event.filled),
        "rorgqty": str(order.original.qty),
        "rorgprc": money(order.original.prc, places),
        "ordersource": order.source,
        "exchordid": event.exchordid,
    }
    if history:
        row["rpt"] = event.report.value
    _add_optional(row, order, event, with_fills=not history or event.report is Report.FILL)
    if faults:
        _spoil(row, order, event, faults, "rpt")
    return row


def _add_optional(row: Row, order: Order, event: Event, with_fills: bool) -> None:
    """Fields that are absent, not empty, when they say nothing (protocol section 2.2)."""
    places = order.instrument.precision
    if order.remarks:
        row["remarks"] = order.remarks
    if order.amo:
        row["amo"] = "Yes"
    if event.entry.is_stop:
        row["trgprc"] = money(event.entry.trgprc, places)
    if event.filled and with_fills:
        row["fillshares"] = str(event.filled)
        row["avgprc"] = money(average(event.value, event.filled, places), places)
    if event.cancelqty:
        row["cancelqty"] = str(event.cancelqty)
    if event.rejreason:
        row["rejreason"] = event.rejreason
    if event.rejby:
        row["rejby"] = event.rejby
    if event.exch_at is not None:
        row["exch_tm"] = date_then_clock(event.exch_at)


def _internal_status(event: Event) -> str:
    return "ORDER ACK" if event.report is Report.NEW_ACK else event.status.value


def order_frame(order: Order, event: Event, faults: Faults, product_key: str) -> Row:
    """The `om` frame of one event (protocol section 9.1)."""
    entry = event.entry
    places = order.instrument.precision
    frame: Row = {
        "t": "om",
        "norenordno": order.number,
        "uid": order.account,
        "actid": order.account,
        "exch": order.instrument.exch,
        "tsym": order.instrument.tsym,
        "token": order.instrument.token,
        "trantype": entry.side,
        "qty": str(entry.qty),
        "prc": money(entry.prc, places),
        product_key: entry.prd,
        "rejreason": event.rejreason or " ",
        "status": event.status.value,
        "st_intrn": _internal_status(event),
        "reporttype": event.report.value,
        "prctyp": entry.prctyp,
        "ret": entry.ret,
        "exchordid": event.exchordid,
        "dscqty": str(entry.dscqty),
        "norentm": clock_then_date(event.at),
        "tm": epoch(event.at),
        "ntm": nanoseconds(event.at),
    }
    if order.remarks:
        frame["remarks"] = order.remarks
    if entry.is_stop:
        frame["trgprc"] = money(entry.trgprc, places)
    if event.rejby:
        frame["rejby"] = event.rejby
    if event.exch_at is not None:
        frame["exch_tm"] = date_then_clock(event.exch_at)
    if event.cancelqty:
        frame["cancelqty"] = str(event.cancelqty)
    if event.filled:
        frame["fillshares"] = str(event.filled)
        frame["avgprc"] = money(average(event.value, event.filled, places), places)
    if event.trade is not None:
        frame.update(_fill_fields(event.trade, places))
    if faults:
        _spoil(frame, order, event, faults, "reporttype")
    return frame


def _fill_fields(trade: Trade, places: int) -> Row:
    return {
        "flid": trade.flid,
        "flqty": str(trade.qty),
        "flprc": money(trade.prc, places),
        "fltm": date_then_clock(trade.at),
    }


def _spoil(row: Row, order: Order, event: Event, faults: Faults, report_key: str) -> None:
    """Let the rules that concern the looks of an order's rows and frames have their way."""

    def hit(kind: FaultKind) -> Rule | None:
        return faults.hit(kind, account=order.account, remarks=order.remarks, report=event.report.value)

    if event.status is Status.COMPLETE and "t" not in row and hit(FaultKind.ROW_WITHOUT_FILL):
        row.pop("fillshares", None)
        row.pop("avgprc", None)
    if rule := hit(FaultKind.UNKNOWN_STATUS):
        row["status"] = rule.text("text", "INVALID_STATUS_TYPE")
    if report_key in row and (rule := hit(FaultKind.UNKNOWN_REPORT)):
        row[report_key] = rule.text("text", "INVALID_REPORT_TYPE")
    spelling = faults.hit(
        FaultKind.STATUS_SPELLING,
        lambda rule: row["status"] == rule.text("from", "CANCELED"),
        account=order.account,
        remarks=order.remarks,
    )
    if spelling is not None:
        row["status"] = spelling.text("to", "CANCELLED")


def trade_row(order: Order, trade: Trade) -> Row:
    """A row of TradeBook: one trade with its order (protocol section 7.4)."""
    entry = order.entry
    places = order.instrument.precision
    row: Row = {
        "stat": "Ok",
        "norenordno": order.number,
        "kidid": "1",
        "uid": order.account,
        "actid": order.account,
        **instrument_fields(order.instrument),
        "qty": str(entry.qty),
        "trantype": entry.side,
        "prctyp": entry.prctyp,
        "ret": entry.ret,
        "prc": money(entry.prc, places),
        "prd": entry.prd,
        "s_prdt_ali": PRODUCT_NAMES[entry.prd],
        **_fill_fields(trade, places),
        "fillshares": str(trade.filled),
        "avgprc": money(average(trade.value, trade.filled, places), places),
        "norentm": clock_then_date(trade.at),
        "exch_tm": date_then_clock(trade.at),
        "exchordid": order.exchordid,
        "ordersource": order.source,
        "cstFrm": "C",
    }
    if order.remarks:
        row["remarks"] = order.remarks
    return row


def position_row(account: Account, position: Position, last: Decimal) -> Row:
    """A row of PositionBook (protocol section 7.5)."""
    places = position.instrument.precision
    net = position.net_qty
    row: Row = {
        "stat": "Ok",
        "uid": account.uid,
        "actid": account.uid,
        **instrument_fields(position.instrument),
        "prd": position.prd,
        "s_prdt_ali": PRODUCT_NAMES[position.prd],
        "frzqty": str(position.instrument.freeze),
        "netqty": str(net),
        "netavgprc": money(position.net_average, places),
        "lp": money(last, places),
        "urmtom": money(position.unrealised(last)),
        "rpnl": _realised(position),
        "bep": money(position.net_average, places),
        "upldprc": money(_per_unit(position.original_cost, position.cf_buy_qty - position.cf_sell_qty), places),
        "netupldprc": money(_upload_average(position), places),
        "dayavgprc": money(_day_average(position), places),
    }
    _add_side(row, "daybuy", position.day_buy_qty, position.day_buy_amt, places=places, always=True)
    _add_side(row, "daysell", position.day_sell_qty, position.day_sell_amt, places=places, always=True)
    _add_side(row, "cfbuy", position.cf_buy_qty, position.cf_buy_amt, places=places)
    _add_side(row, "cfsell", position.cf_sell_qty, position.cf_sell_amt, places=places)
    _add_side(row, "openbuy", position.open_buy_qty, position.open_buy_amt, places=places, always=True)
    _add_side(row, "opensell", position.open_sell_qty, position.open_sell_amt, places=places, always=True)
    if position.original_cost:
        row["cforgavgprc"] = row["upldprc"]
    for side, quantity, amount in (
        ("buy", position.buy_qty, position.buy_amt),
        ("sell", position.sell_qty, position.sell_amt),
    ):
        row[f"tot{side}amt"] = money(amount)
        if quantity:
            row[f"tot{side}avgprc"] = money(amount / quantity, places)
    return row


def _add_side(row: Row, name: str, quantity: int, amount: Decimal, *, places: int, always: bool = False) -> None:
    row[f"{name}qty"] = str(quantity)
    if quantity or always:
        row[f"{name}amt"] = money(amount)
        row[f"{name}avgprc"] = money(_per_unit(amount, quantity), places)


def _realised(position: Position) -> str:
    # Flat and without result, the servers write a negative zero.
    text = money(position.realised)
    return "-0.00" if text == "0.00" and not position.net_qty else text


def _day_average(position: Position) -> Decimal:
    net = position.day_buy_qty - position.day_sell_qty
    side = (position.day_buy_amt, position.day_buy_qty) if net > 0 else (position.day_sell_amt, position.day_sell_qty)
    return _per_unit(*side) if net else Decimal(0)


def _upload_average(position: Position) -> Decimal:
    carried = position.cf_buy_qty - position.cf_sell_qty
    if carried and carried == position.net_qty:
        return _per_unit(position.original_cost, carried)
    return position.net_average


def _per_unit(amount: Decimal, quantity: int) -> Decimal:
    return amount / quantity if quantity else Decimal(0)


def holding_row(account: Account, holding: Holding, listings: list[Instrument]) -> Row:
    """A row of Holdings (protocol section 7.7).

    Args:
        account: Whose.
        holding: The shares.
        listings: The contracts of the company on NSE and BSE.
    """
    return {
        "stat": "Ok",
        "uid": account.uid,
        "actid": account.uid,
        "prd": "C",
        "s_prdt_ali": "CNC",
        "exch_tsym": [
            {
                "exch": i.exch,
                "tsym": i.tsym,
                "token": i.token,
                "pp": str(i.precision),
                "ti": f"{i.tick:f}",
                "ls": str(i.lot),
            }
            for i in listings
        ],
        "holdqty": str(holding.quantity),
        "dpqty": "0",
        "usedqty": str(account.sold_from_holding(holding.instrument.symbol)),
        "upldprc": money(holding.cost),
    }


def limits_fields(account: Account, unrealised: Decimal, now: datetime) -> Row:
    """What Limits says (protocol section 7.8); `rpnl` and `urmtom` have the opposite sign of PositionBook's."""
    return {
        "request_time": clock_then_date(now),
        "stat": "Ok",
        "actid": account.uid,
        "prfname": "PAPER",
        "cash": money(account.cash),
        "payin": "0.00",
        "payout": "0.00",
        "brkcollamt": "0.00",
        "unclearedcash": "0.00",
        "daycash": "0.00",
        "marginused": money(account.margin_used),
        "mtomcurper": "0.00",
        "pendordval": money(account.order_margin),
        "rpnl": money(-account.realised),
        "urmtom": money(-unrealised),
        "peak_mar": money(account.margin_used),
    }
