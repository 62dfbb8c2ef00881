"""GetQuotes, SearchScrip, GetSecurityInfo, TPSeries, EODChartData and MWList (protocol sections 7.9 and 7.10)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from core.paper import replies
from core.paper.candles import candles, day_candle, session, weekdays_back
from core.paper.endpoints.call import Call
from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.parsing import integer
from core.paper.prices import Candle
from core.paper.replies import Refusal, Row, array, dump, obj, ok
from core.paper.rows import money
from core.paper.times import IST, clock_then_date, date_then_clock, epoch
from core.paper.touchline import depth_fields, index_level, open_interest, quote_fields
from core.paper.wire import Reply

__all__ = ["daily_series", "quotes", "search_row", "search_scrip", "security_info", "time_price_series", "watch_lists"]

_MAX_CANDLES = 1000
_MINUTES_KEPT = timedelta(days=60)
_DAYS_KEPT = timedelta(days=400)
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
    return ok(call.now, {"values": [search_row(i) for i in found]})


def search_row(instrument: Instrument) -> Row:
    """A contract in a list of them."""
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
        **search_row(instrument),
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
    """Candles of `intrv` minutes that begin between `st` and `et`, epoch seconds, newest first (section 1.3).

    Within sessions, aligned to their start.
    """
    instrument = call.instrument()
    end = min(_moment(call.text("et")) or call.now, call.now)
    begin = _moment(call.text("st")) or end.replace(hour=0, minute=0, second=0, microsecond=0)
    length = timedelta(minutes=min(max(1, integer(call.text("intrv") or "1")), 240))
    rows: list[Row] = []
    for day in weekdays_back(end.date(), max(begin, end - _MINUTES_KEPT).date()):
        found = candles(call.state, instrument, length, day, call.now)
        total = sum(candle.volume for candle in found)
        for candle in found[::-1]:
            if begin <= candle.begin <= end:
                rows.append(_candle_row(candle, instrument, total))
            total -= candle.volume
        if len(rows) >= _MAX_CANDLES:
            break
    return array(rows[:_MAX_CANDLES], call.now)


def _prices_of(candle: Candle, instrument: Instrument) -> Row:
    figures = zip(("into", "inth", "intl", "intc"), candle[1:5], strict=True)
    return {name: money(price, instrument.precision) for name, price in figures}


def _candle_row(candle: Candle, instrument: Instrument, day_volume: int) -> Row:
    return {
        "stat": "Ok",
        "time": date_then_clock(candle.begin),
        "ssboe": epoch(candle.begin),
        **_prices_of(candle, instrument),
        "intvwap": money(sum(candle[1:5], Decimal(0)) / 4, instrument.precision),
        "intv": str(candle.volume),
        "intoi": "0",
        "v": str(day_volume),
        "oi": str(open_interest(instrument)) if instrument.expiry is not None else "0",
    }


def daily_series(call: Call) -> Reply:
    """Daily candles of `EXCH:TSYM` between `from` and `to`; an array of JSON texts, as the library's users know it.

    Of days that are over. An index goes by its name in the symbol file too.
    """
    exch, _, tsym = call.text("sym").partition(":")
    master = call.state.master
    named = (one for one in master if one.exch == exch and not one.is_tradable and one.symbol == tsym)
    instrument = master.by_tsym(exch, tsym) or next(named, None)
    if instrument is None:
        raise Refusal(replies.NO_DATA)
    end = min(_moment(call.text("to")) or call.now, call.now)
    begin = max(_moment(call.text("from")) or end - timedelta(days=30), end - _DAYS_KEPT)
    rows = [
        dump(_daily_row(day_candle(call.state, instrument, day), instrument))
        for day in weekdays_back(end.date(), begin.date())
        if session(exch, day)[1] <= call.now
    ]
    if not rows:
        raise Refusal(replies.NO_DATA)
    return Reply(200, dump(rows).encode())


def _daily_row(candle: Candle, instrument: Instrument) -> Row:
    # Stamped with the midnight of UTC.
    midnight = datetime.combine(candle.begin.date(), time(0), UTC)
    return {
        "time": f"{candle.begin:%d-%b-%Y}".upper(),
        **_prices_of(candle, instrument),
        "ssboe": epoch(midnight),
        "intv": f"{candle.volume}.00",
    }


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
