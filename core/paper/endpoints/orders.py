"""PlaceOrder, ModifyOrder, CancelOrder, ExitSNOOrder, ProductConversion and GetOrderMargin (protocol section 5)."""

from __future__ import annotations

from decimal import Decimal

from core.paper import replies, risk
from core.paper.endpoints.call import Call
from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.orders import Entry, Order
from core.paper.parsing import decimal, integer
from core.paper.replies import Refusal, ok
from core.paper.rows import money
from core.paper.wire import Reply

__all__ = ["cancel_order", "convert_product", "exit_sno_order", "leg_of", "modify_order", "order_margin", "place_order"]

_PRICE_TYPES = frozenset({"LMT", "MKT", "SL-LMT", "SL-MKT"})
_PRODUCTS = frozenset("CMIHBF")
_VALIDITIES = frozenset({"DAY", "IOC", "EOS"})
_END_OF_SESSION = frozenset({"BSE", "BFO", "BCD"})
_DISCLOSED_SHARE = {"MCX": Decimal("0.5")}
_OTHER_DISCLOSED_SHARE = Decimal("0.1")


def place_order(call: Call) -> Reply:
    """Take an order; `Ok` says no more than that (section 5.1)."""
    _check_address(call)
    instrument = _by_tsym(call)
    entry = _entry(call, instrument)
    amo = _amo(call)
    if not call.text("actid") or call.text("actid") != call.account.uid:
        raise Refusal(replies.INVALID_ORDER)
    source = call.text("ordersource") or "API"
    order = call.oms.place(call.account, instrument, entry, remarks=call.text("remarks"), source=source, amo=amo)
    return ok(call.now, {"norenordno": order.number})


def _by_tsym(call: Call) -> Instrument:
    found = call.state.master.by_tsym(call.text("exch"), call.text("tsym"))
    if found is None or not found.is_tradable or (found.expiry is not None and found.expiry < call.state.day):
        raise Refusal(replies.INVALID_ORDER)
    return found


def _entry(call: Call, instrument: Instrument) -> Entry:
    """What the order asks for, refused here and now if it makes no sense."""
    side, prctyp, prd, ret = (call.text(name) for name in ("trantype", "prctyp", "prd", "ret"))
    quantity = integer(call.text("qty"))
    known = side in ("B", "S") and prctyp in _PRICE_TYPES and prd in _PRODUCTS and ret in _VALIDITIES
    if not known or not quantity or (ret == "EOS" and instrument.exch not in _END_OF_SESSION):
        raise Refusal(replies.INVALID_ORDER)
    price = decimal(call.text("prc"))
    _check_price_type(call, prctyp, price)
    trigger = _trigger(call, prctyp)
    disclosed = _disclosed(call, instrument, quantity)
    return _checked(Entry(side, quantity, prctyp, _limit(prctyp, price), trigger, ret, prd, disclosed))


def _check_price_type(call: Call, prctyp: str, price: Decimal) -> None:
    if prctyp.endswith("MKT"):
        if call.state.config.refuse_market_orders:
            raise Refusal(replies.MARKET_REFUSED)
    elif not price:
        raise Refusal(replies.INVALID_ORDER)


def _limit(prctyp: str, price: Decimal) -> Decimal:
    return Decimal(0) if prctyp.endswith("MKT") else price


def _trigger(call: Call, prctyp: str) -> Decimal:
    """The trigger of a stop; on other types the library writes the word None, which lenient servers pass over."""
    text = call.text("trgprc")
    if prctyp.startswith("SL"):
        trigger = decimal(text)
        if not trigger:
            raise Refusal(_bad_trigger("0.00"))
        return trigger
    if text and call.state.config.strict_trgprc:
        try:
            decimal(text)
        except Refusal as refusal:
            raise Refusal(_bad_trigger(text)) from refusal
    return Decimal(0)


def _checked(entry: Entry) -> Entry:
    """A stop with a limit must be able to trade once triggered (section 5.7)."""
    if entry.prctyp == "SL-LMT":
        wrong = entry.trgprc > entry.prc if entry.side == "B" else entry.trgprc < entry.prc
        if wrong:
            raise Refusal(_bad_trigger(f"{entry.trgprc:.2f}"))
    return entry


def _bad_trigger(text: str) -> str:
    return f"Invalid Input :  Trigger price invalid - {text}"


def _disclosed(call: Call, instrument: Instrument, quantity: int) -> int:
    text = call.text("dscqty") or "0"
    most = quantity * _DISCLOSED_SHARE.get(instrument.exch, _OTHER_DISCLOSED_SHARE)
    try:
        disclosed = integer(text)
    except Refusal as refusal:
        raise Refusal(replies.INVALID_DISCLOSED) from refusal
    if disclosed > most:
        raise Refusal(replies.INVALID_DISCLOSED)
    return disclosed


def _amo(call: Call) -> bool:
    text = call.text("amo")
    if text and text != "Yes" and call.state.config.strict_amo:
        raise Refusal(replies.INVALID_AMO)
    return text.upper() == "YES"


def _check_address(call: Call) -> None:
    """Order calls must come from a registered address, where the account names any (section 12.2)."""
    named = call.account.config
    if named is not None and named.registered_ips and call.peer not in named.registered_ips:
        raise Refusal(replies.ADDRESS_REFUSED)


def modify_order(call: Call) -> Reply:
    """Take a modification; `qty` is the total, not the rest (section 5.2)."""
    _check_address(call)
    order = _own_order(call)
    if order is None or order.status.is_final:
        raise Refusal(replies.ORDER_NOT_FOUND)
    if call.text("tsym") != order.instrument.tsym or call.text("exch") != order.instrument.exch:
        raise Refusal(replies.INVALID_ORDER)
    entry = _changed(call, order)
    if entry.qty <= order.filled:
        raise Refusal(replies.INVALID_ORDER)
    call.oms.modify(order, entry)
    return ok(call.now, {"result": order.number})


def _changed(call: Call, order: Order) -> Entry:
    before = order.entry
    prctyp = call.text("prctyp") or before.prctyp
    ret = call.text("ret") or before.ret
    if prctyp not in _PRICE_TYPES or ret not in _VALIDITIES:
        raise Refusal(replies.INVALID_ORDER)
    quantity = integer(call.text("qty")) if "qty" in call.fields.data else before.qty
    price = decimal(call.text("prc")) if "prc" in call.fields.data else before.prc
    _check_price_type(call, prctyp, price)
    text = call.text("trgprc")
    if not prctyp.startswith("SL"):
        if text and _is_zero(text):
            raise Refusal(_bad_trigger("0.00"), 200)
        trigger = Decimal(0)
    else:
        trigger = _trigger(call, prctyp) if text else before.trgprc
        if not trigger:
            raise Refusal(_bad_trigger("0.00"), 200)
    disclosed = _disclosed(call, order.instrument, quantity) if call.text("dscqty") else before.dscqty
    return _checked(Entry(before.side, quantity, prctyp, _limit(prctyp, price), trigger, ret, before.prd, disclosed))


def _is_zero(text: str) -> bool:
    try:
        return not decimal(text)
    except Refusal:
        return False


def cancel_order(call: Call) -> Reply:
    """Take a cancel (section 5.3)."""
    order = _own_order(call)
    refused = order is not None and call.state.faults.hit(
        FaultKind.CANCEL_REFUSED_WHILE_OPEN, account=order.account, remarks=order.remarks
    )
    if order is None or order.status.is_final or refused:
        raise Refusal(replies.ORDER_NOT_FOUND_TO_CANCEL)
    call.oms.cancel(order)
    return ok(call.now, {"result": order.number})


def exit_sno_order(call: Call) -> Reply:
    """Exit a cover or bracket order. Both products are refused at entry here, so there is never one to exit."""
    if call.text("prd") not in ("H", "B"):
        raise Refusal(replies.INVALID_ORDER)
    raise Refusal(replies.ORDER_NOT_FOUND)


def _own_order(call: Call) -> Order | None:
    order = call.state.orders.get(call.text("norenordno"))
    return order if order is not None and order.account == call.account.uid else None


def convert_product(call: Call) -> Reply:
    """Move open units from one product to another (section 5.4)."""
    instrument = _by_tsym(call)
    quantity = integer(call.text("qty"))
    before, after, side = call.text("prevprd"), call.text("prd"), call.text("trantype")
    postype = call.text("postype").upper()
    if postype not in ("DAY", "CF"):
        raise Refusal(replies.INVALID_POSITION_TYPE)
    carried = postype == "CF"
    position = call.account.positions.get((instrument.exch, instrument.token, before))
    allowed = "CI" if instrument.is_cash else "MI"
    if position is None or not quantity or side not in ("B", "S") or before == after or after not in allowed:
        raise Refusal(replies.INVALID_ORDER)
    net = position.net_qty if side == "B" else -position.net_qty
    there = getattr(position, f"{'cf' if carried else 'day'}_{'buy' if side == 'B' else 'sell'}_qty")
    if quantity > min(net, there):
        raise Refusal(replies.INVALID_ORDER)
    cost = position.take_out(side, quantity, carried)
    call.account.position(instrument, after).put_in(side, quantity, cost, carried)
    call.account.recount()
    return ok(call.now)


def leg_of(call: Call, types: frozenset[str] = _PRICE_TYPES) -> tuple[Instrument, Entry]:
    """The order that a margin is asked for."""
    instrument = _by_tsym(call)
    side, prctyp, prd = (call.text(name) for name in ("trantype", "prctyp", "prd"))
    if side not in ("B", "S") or prctyp not in types or prd not in _PRODUCTS:
        raise Refusal(replies.INVALID_ORDER)
    price = decimal(call.text("prc") or "0")
    return instrument, Entry(side, integer(call.text("qty")), prctyp, _limit(prctyp, price), prd=prd)


def order_margin(call: Call) -> Reply:
    """What an order would block (section 7.11)."""
    instrument, entry = leg_of(call)
    needed = risk.order_margin(call.state, call.account, instrument, entry, entry.qty)
    short = needed > call.account.available
    return ok(
        call.now,
        {
            "cash": money(call.account.cash),
            "marginused": money(call.account.margin_used + needed),
            "ordermargin": money(needed),
            "marginusedprev": money(call.account.margin_used),
            "remarks": "Insufficient Balance" if short else "Order Success",
        },
    )
