"""GetQuotes, SearchScrip, GetSecurityInfo, TPSeries, EODChartData and MWList (protocol sections 7.9 and 7.10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from core.paper import replies
from core.paper.endpoints.call import Call
from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.parsing import integer
from core.paper.replies import Refusal, Row, array, dump, obj, ok
from core.paper.rows import money
from core.paper.times import IST, clock_then_date, epoch
from core.paper.touchline import depth_fields, index_level, quote_fields
from core.paper.wire import Reply

__all__ = ["daily_series", "quotes", "search_scrip", "security_info", "time_price_series", "watch_lists"]

_MAX_CANDLES = 1000
_PRICE_FACTOR = "(1 / 1 ) * (1 / 1)"


def quotes(call: Call) -> Reply:
    """Prices and five levels of depth of one contract (section 7.9)."""
    instrument = call.instrument()
    match = {"path": call.path, "account": call.account.uid}
    stale = call.state.faults.hit(FaultKind.QUOTE_STALE, **match)
    fields = _quote(call, instrument, stale.number("seconds", 60.0) if stale else 0.0)
    if rule := call.state.faults.hit(FaultKind.QUOTE_ONE_SIDED, **match):
        side = "s" if rule.text("text", "bids") == "asks" else "b"
        fields.update({key: "0" for key in fields if key[:2] in (f"{side}p", f"{side}q") or key == f"t{side}q"})
    if call.state.faults.hit(FaultKind.QUOTE_WRONG, **match):
        fields.update({key: money(Decimal(str(fields[key])) * 3 / 2) for key in _prices(fields)})
    if call.state.faults.hit(FaultKind.QUOTE_ZERO, **match):
        fields.update(dict.fromkeys(_price_keys(fields), "0.00"))
    if call.state.faults.hit(FaultKind.QUOTE_INDEX_LEVEL, **match):
        fields.update(dict.fromkeys(_price_keys(fields), "0.00"))
        fields["lp"] = money(index_level(call.state, instrument))
    return obj(fields)


def _prices(fields: Row) -> list[str]:
    return [
        key for key in fields if key in ("lp", "o", "h", "l", "ap") or (key[:2] in ("bp", "sp") and key[2:].isdigit())
    ]


def _price_keys(fields: Row) -> list[str]:
    return [key for key in fields if key in ("lp", "tbq", "tsq") or key[:2] in ("bp", "sp", "bq", "sq")]


def _quote(call: Call, instrument: Instrument, ago_s: float) -> Row:
    """What GetQuotes says of a contract when nothing is wrong; with `ago_s`, what was true so many seconds ago."""
    state = call.state
    now = call.now - timedelta(seconds=ago_s)
    fields: Row = {
        "request_time": clock_then_date(call.now),
        "stat": "Ok",
        "exch": instrument.exch,
        "tsym": instrument.tsym,
        "cname": instrument.display_name,
        "symname": instrument.symbol,
        "seg": "EQT" if instrument.is_cash else "DER",
        "instname": instrument.kind,
        "pp": str(instrument.precision),
        "ls": str(instrument.lot),
        "ti": f"{instrument.tick:f}",
        "mult": "1",
        "prcftr_d": _PRICE_FACTOR,
        "token": instrument.token,
        **quote_fields(state, instrument, now),
        "ltd": f"{now:%d-%m-%Y}",
    }
    if instrument.is_tradable:
        depth = state.prices.depth(instrument, state.prices.step_at(now)) if ago_s else state.depth(instrument)
        fields.update(depth_fields(depth, instrument.precision))
    return fields


def search_scrip(call: Call) -> Reply:
    """Contracts by the words of `stext` (section 7.10)."""
    if not call.text("stext").strip():
        raise Refusal(replies.NOTHING_FOUND)
    found = call.state.master.search(call.text("exch"), call.text("stext"))
    if not found:
        raise Refusal(replies.NOTHING_FOUND)
    return ok(call.now, {"values": [_search_row(i) for i in found]})


def _search_row(instrument: Instrument) -> Row:
    row: Row = {
        "exch": instrument.exch,
        "token": instrument.token,
        "tsym": instrument.tsym,
        "cname": instrument.display_name,
        "symname": instrument.symbol,
        "instname": instrument.kind,
        "pp": str(instrument.precision),
        "ls": str(instrument.lot),
        "ti": f"{instrument.tick:f}",
    }
    if instrument.expiry is not None:
        row["dname"] = instrument.display_name
        row["optt"] = instrument.option or "XX"
    return row


def security_info(call: Call) -> Reply:
    """Contract data with the freeze quantity (section 7.10)."""
    instrument = call.instrument()
    fields: Row = {
        **_search_row(instrument),
        "mult": "1",
        "frzqty": str(instrument.freeze),
        "gp_nd": "1",
        "prcunt": "INR",
        "prcqqty": "1",
        "trdunt": "1",
        "delunt": "1",
        "prcftr_d": _PRICE_FACTOR,
    }
    if instrument.expiry is not None:
        fields["exd"] = f"{instrument.expiry:%d-%b-%Y}".upper()
        fields["optt"] = instrument.option or "XX"
        fields["strprc"] = money(instrument.strike)
    return ok(call.now, fields)


def time_price_series(call: Call) -> Reply:
    """Candles of `intrv` minutes between `st` and `et`, epoch seconds, newest first (section 1.3)."""
    instrument = call.instrument()
    end = _moment(call.text("et")) or call.now
    begin = _moment(call.text("st")) or end.replace(hour=0, minute=0, second=0, microsecond=0)
    length = timedelta(minutes=min(max(1, integer(call.text("intrv") or "1")), 240))
    end = min(end, call.now)
    rows: list[Row] = []
    at = begin - (begin - begin.replace(hour=0, minute=0, second=0, microsecond=0)) % length
    at = max(at, end - length * _MAX_CANDLES)
    while at < end:
        rows.append(_candle_row(call, instrument, at, min(at + length, end)))
        at += length
    return array(rows[::-1], call.now)


def _candle_row(call: Call, instrument: Instrument, begin: datetime, end: datetime) -> Row:
    figures = call.state.prices.candle(instrument, begin, end)
    names = ("into", "inth", "intl", "intc")
    prices: Row = {name: money(price, instrument.precision) for name, price in zip(names, figures, strict=True)}
    volume = str(instrument.lot * 100)
    return {
        "stat": "Ok",
        "time": f"{begin:%d-%m-%Y %H:%M:%S}",
        "ssboe": epoch(begin),
        **prices,
        "intvwap": money(sum(figures, Decimal(0)) / 4, instrument.precision),
        "intv": volume,
        "v": volume,
        "intoi": "0",
        "oi": "0",
    }


def daily_series(call: Call) -> Reply:
    """Daily candles of `EXCH:TSYM` between `from` and `to`; an array of JSON texts, as the library's users know it."""
    exch, _, tsym = call.text("sym").partition(":")
    instrument = call.state.master.by_tsym(exch, tsym)
    if instrument is None:
        raise Refusal(replies.NO_DATA)
    end = min(_moment(call.text("to")) or call.now, call.now)
    begin = max(_moment(call.text("from")) or end - timedelta(days=30), end - timedelta(days=_MAX_CANDLES))
    rows = []
    day = begin.replace(hour=9, minute=15, second=0, microsecond=0)
    while day <= end:
        if day.weekday() < 5:
            rows.append(dump(_daily_row(call, instrument, day)))
        day += timedelta(days=1)
    if not rows:
        raise Refusal(replies.NO_DATA)
    return Reply(200, dump(rows[::-1]).encode())


def _daily_row(call: Call, instrument: Instrument, day: datetime) -> Row:
    figures = call.state.prices.candle(instrument, day, min(day + timedelta(hours=6, minutes=15), call.now))
    names = ("into", "inth", "intl", "intc")
    prices: Row = {name: money(price, instrument.precision) for name, price in zip(names, figures, strict=True)}
    return {"time": f"{day:%d-%b-%Y}".upper(), **prices, "ssboe": epoch(day), "intv": str(instrument.lot * 10_000)}


def _moment(text: str) -> datetime | None:
    """Epoch seconds, with or without a fraction; the library sends both."""
    try:
        seconds = float(text)
        return datetime.fromtimestamp(seconds, IST) if 0 < seconds < 4e9 else None
    except ValueError:
        return None


def watch_lists(call: Call) -> Reply:
    """The names of the watch lists; a cheap probe of a session (section 1.3)."""
    return ok(call.now, {"values": ["1"]})
