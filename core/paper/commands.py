"""Commands of the operator and of tests: prices, faults, and what an exchange or a broker does unasked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation

from pydantic import ValidationError

from core.paper.accounts import Account, Holding
from core.paper.config import ExchangeConfig
from core.paper.day import BROKER_SOURCE, Day
from core.paper.faults import DEFAULT_PATH, MEANING, FaultConfig, FaultKind
from core.paper.instruments import Instrument
from core.paper.oms import Oms
from core.paper.orders import Entry, Order, Status
from core.paper.prices import to_tick
from core.paper.sockets import GOODBYE, Sockets
from core.paper.state import ExchangeState

__all__ = ["SWITCHES", "Commands"]

Answer = dict[str, object]

SWITCHES = (
    "refuse_market_orders",
    "strict_amo",
    "strict_trgprc",
    "percent_decode_tsym",
    "require_uid_for_token",
    "check_trigger_side",
    "enforce_session_hours",
    "order_ack",
    "auto_order_updates",
    "product_key",
    "login_replaces_session",
    "sockets_per_user",
    "book_lag_s",
    "rate_per_s",
    "rate_per_min",
    "rate_scope",
    "session_expired_status",
)
"""Settings that `set_switch` can change while the exchange runs."""


@dataclass(frozen=True, slots=True)
class _Command:
    run: Callable[[Arguments], Answer]
    meaning: str
    arguments: str


class Arguments:
    """Named JSON values; a ValueError about one begins with its name and says what is wrong with it.

    Args:
        values: The values.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values

    def text(self, name: str, default: str | None = None) -> str:
        """A text; ValueError if it is missing and has no default."""
        value = self.values.get(name)
        if value is None or value == "":
            if default is None:
                raise ValueError(f"{name}: is missing")
            return default
        return str(value)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number that is zero or more."""
        text = self.text(name, None if default is None else str(default))
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{name}: must be a whole number from 0 up, not {text!r}")
        return int(text)

    def money(self, name: str, default: Decimal | None = None) -> Decimal:
        """Rupees, zero or more."""
        text = self.text(name, None if default is None else str(default))
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{name}: must be a number, not {text!r}") from None
        if not number.is_finite() or not 0 <= number < Decimal(10) ** 15:
            raise ValueError(f"{name}: must be a number from 0 up, not {text!r}")
        return number

    def choice(self, name: str, known: Collection[str], default: str | None = None) -> str:
        """One of the texts that are known."""
        text = self.text(name, default)
        if text not in known:
            raise ValueError(f"{name}: must be one of {', '.join(known)}, not {text!r}")
        return text


class Commands:
    """Runs commands.

    Args:
        state: The exchange's state.
        oms: Cancels, fills and places orders.
        sockets: Closed on command.
        day: Ended on command.
    """

    def __init__(self, state: ExchangeState, oms: Oms, sockets: Sockets, day: Day) -> None:
        self._state = state
        self._oms = oms
        self._sockets = sockets
        self._day = day
        self._commands = self._table()

    def run(self, command: str, arguments: Mapping[str, object]) -> Answer:
        """Run one command; ValueError says what is wrong with it."""
        known = self._commands.get(command)
        if known is None:
            raise ValueError(f"command: no command {command!r}; there are {', '.join(self._commands)}")
        return known.run(Arguments(arguments))

    def _table(self) -> dict[str, _Command]:
        contract = "exch, tsym | token"
        return {
            "help": _Command(self._help, "List commands, faults and switches.", ""),
            "set_price": _Command(self._set_price, "Move a price; the walk goes on from there.", f"{contract}, price"),
            "hold_price": _Command(self._hold_price, "Stop one contract's walk, or restart it.", f"{contract}, hold"),
            "add_fault": _Command(
                self._add_fault,
                "Put a fault in force; without a count it fires once, with count 0 until it is removed.",
                "kind, path?, account?, remarks?, report?, count?, probability?, and what the kind takes",
            ),
            "remove_fault": _Command(self._remove_fault, "Take one fault out of force.", "id"),
            "clear_faults": _Command(self._clear_faults, "Take all faults out of force.", ""),
            "set_switch": _Command(self._set_switch, "Change a switch.", "name, value"),
            "cancel_order": _Command(
                self._cancel_order, "Cancel an order unasked, as an exchange does.", "norenordno, reason?"
            ),
            "external_order": _Command(
                self._external_order,
                "An order the client did not send: from the web, or the broker's own.",
                "account, exch, tsym, trantype, qty, prc?, prctyp?, prd?, remarks?, ordersource?",
            ),
            "change_order": _Command(
                self._change_order, "Change an open order, as a person does elsewhere.", "norenordno, qty?, prc?"
            ),
            "convert_position": _Command(
                self._convert_position,
                "Convert open units of today to another product, as a person does elsewhere.",
                "account, exch, tsym, qty, prevprd, prd",
            ),
            "fill_order": _Command(
                self._fill_order, "Fill an open order whatever the book says.", "norenordno, qty?, prc?, beyond?"
            ),
            "late_fill": _Command(self._late_fill, "Fill an order that is cancelled.", "norenordno, qty?, prc?"),
            "kill_token": _Command(self._kill_token, "End all tokens, or those of one account.", "account?"),
            "close_sockets": _Command(
                self._close_sockets, "Close all sockets, or those of one account.", "account?, code?, reason?"
            ),
            "set_cash": _Command(self._set_cash, "Set the opening cash of an account.", "account, cash"),
            "set_holding": _Command(
                self._set_holding, "Set the shares an account holds.", "account, exch, tsym, quantity, cost?"
            ),
            "end_session": _Command(self._end_session, "Square off intraday positions and cancel all open orders.", ""),
            "end_of_day": _Command(
                self._end_of_day, "End the session, settle, clear the books and begin the next day.", ""
            ),
        }

    def _help(self, _: Arguments) -> Answer:
        return {
            "commands": [
                {"name": name, "meaning": c.meaning, "arguments": c.arguments} for name, c in self._commands.items()
            ],
            "faults": [
                {"kind": kind.value, "meaning": MEANING[kind], "path": DEFAULT_PATH.get(kind, "*")}
                for kind in FaultKind
            ],
            "switches": {name: getattr(self._state.config, name) for name in SWITCHES},
        }

    # -- prices -------------------------------------------------------------------------------------------------

    def _set_price(self, arguments: Arguments) -> Answer:
        instrument = self._instrument(arguments)
        price = to_tick(arguments.money("price"), instrument.tick)
        if price <= 0:
            raise ValueError(f"price: must be at least the tick of {instrument.tick}")
        self._state.prices.set_price(instrument, price, self._state.step)
        self._after_price()
        return {"exch": instrument.exch, "tsym": instrument.tsym, "price": str(price)}

    def _after_price(self) -> None:
        """Let the market feel a new price at once, options of an index included, not at the next step only."""
        for book in self._state.books.values():
            book.step = None
        for book in list(self._state.busy.values()):
            self._oms.prices_moved(book.instrument)
        self._sockets.price_step()

    def _hold_price(self, arguments: Arguments) -> Answer:
        instrument = self._instrument(arguments)
        held = arguments.text("hold", "true").lower() not in ("false", "0", "no")
        self._state.prices.hold(instrument, held, self._state.step)
        return {"exch": instrument.exch, "tsym": instrument.tsym, "held": held}

    def _instrument(self, arguments: Arguments) -> Instrument:
        exch = arguments.text("exch")
        token = arguments.text("token", "")
        if token:
            found = self._state.master.by_token(exch, token)
        else:
            found = self._state.master.by_tsym(exch, arguments.text("tsym"))
        if found is None:
            named = f"exch/token: {exch}:{token}" if token else f"exch/tsym: {exch}:{arguments.text('tsym')}"
            raise ValueError(f"{named} is not listed here")
        return found

    # -- faults and switches ------------------------------------------------------------------------------------

    def _add_fault(self, arguments: Arguments) -> Answer:
        # An argument that is empty is one not given, as everywhere.
        given = {name: value for name, value in arguments.values.items() if value not in (None, "")}
        try:
            rule = self._state.faults.add(FaultConfig.model_validate(given))
        except ValidationError as error:
            raise ValueError(_first(error)) from None
        return {"id": rule.id}

    def _remove_fault(self, arguments: Arguments) -> Answer:
        rule_id = arguments.whole("id")
        if not self._state.faults.remove(rule_id):
            raise ValueError(f"id: no fault {rule_id} is in force")
        return {"id": rule_id}

    def _clear_faults(self, _: Arguments) -> Answer:
        self._state.faults.clear()
        return {}

    def _set_switch(self, arguments: Arguments) -> Answer:
        name = arguments.text("name")
        if name not in SWITCHES:
            raise ValueError(f"name: no switch {name!r}; there are {', '.join(SWITCHES)}")
        if "value" not in arguments.values:
            raise ValueError("value: is missing")
        config = self._state.config
        checked = {**{n: getattr(config, n) for n in SWITCHES}, name: arguments.values["value"]}
        try:
            value = getattr(ExchangeConfig.model_validate(checked), name)
        except ValidationError as error:
            raise ValueError(f"value: of {_first(error)}") from None
        self._state.config = config.model_copy(update={name: value})
        return {"name": name, "value": value}

    # -- orders -------------------------------------------------------------------------------------------------

    def _order(self, arguments: Arguments) -> Order:
        number = arguments.text("norenordno")
        order = self._state.orders.get(number)
        if order is None:
            raise ValueError(f"norenordno: no order {number} today")
        return order

    def _cancel_order(self, arguments: Arguments) -> Answer:
        order = self._order(arguments)
        if order.status.is_final:
            raise ValueError(f"norenordno: order {order.number} is {order.status.value} already")
        self._oms.end(order, arguments.text("reason", ""))
        return {"norenordno": order.number}

    def _change_order(self, arguments: Arguments) -> Answer:
        order = self._order(arguments)
        entry = order.entry
        quantity, price = arguments.whole("qty", entry.qty), arguments.money("prc", entry.prc)
        if not order.is_at_exchange:
            raise ValueError(f"norenordno: order {order.number} is {order.status.value}, not open")
        if quantity <= order.filled:
            raise ValueError(f"qty: must be more than the {order.filled} that are filled")
        self._oms.modify(order, replace(entry, qty=quantity, prc=price))
        return {"norenordno": order.number}

    def _external_order(self, arguments: Arguments) -> Answer:
        account = self._account(arguments)
        instrument = self._instrument(arguments)
        side = arguments.choice("trantype", ("B", "S"))
        prctyp = arguments.choice("prctyp", ("LMT", "MKT"), "LMT" if "prc" in arguments.values else "MKT")
        prd = arguments.choice("prd", ("C", "M", "I"), "I")
        if not instrument.is_tradable:
            raise ValueError(f"exch/tsym: {instrument.tsym} has a price and cannot be traded")
        quantity = arguments.whole("qty")
        price = arguments.money("prc") if prctyp == "LMT" else Decimal(0)
        _check_above_zero(qty=quantity, **({"prc": price} if prctyp == "LMT" else {}))
        order = self._oms.place(
            account,
            instrument,
            Entry(side, quantity, prctyp, price, prd=prd),
            remarks=arguments.text("remarks", ""),
            source=arguments.text("ordersource", BROKER_SOURCE),
        )
        return {"norenordno": order.number}

    def _fill_order(self, arguments: Arguments) -> Answer:
        order = self._order(arguments)
        if not order.is_at_exchange:
            raise ValueError(f"norenordno: order {order.number} is {order.status.value}, not at the exchange")
        return self._fill(order, arguments, arguments.whole("beyond", 0))

    def _late_fill(self, arguments: Arguments) -> Answer:
        order = self._order(arguments)
        if order.status is not Status.CANCELED or not order.remaining:
            raise ValueError(f"norenordno: order {order.number} is {order.status.value}, not cancelled with a rest")
        return self._fill(order, arguments)

    def _fill(self, order: Order, arguments: Arguments, beyond: int = 0) -> Answer:
        default = self._state.last(order.instrument) if order.entry.is_market else order.entry.prc
        quantity = min(arguments.whole("qty", order.remaining), order.remaining)
        price = to_tick(arguments.money("prc", default), order.instrument.tick)
        _check_above_zero(qty=quantity, prc=price)
        if beyond and quantity < order.remaining:
            raise ValueError(f"beyond: {order.remaining - quantity} of order {order.number} would be left")
        self._oms.force_fill(order, quantity, price, beyond)
        return {"norenordno": order.number, "qty": quantity + beyond, "prc": str(price)}

    # -- accounts and sessions ----------------------------------------------------------------------------------

    def _account(self, arguments: Arguments) -> Account:
        uid = arguments.text("account")
        if not self._state.knows(uid):
            raise ValueError(f"account: no account {uid!r}")
        return self._state.account(uid)

    def _kill_token(self, arguments: Arguments) -> Answer:
        return {"killed": self._state.sessions.kill(arguments.text("account", "") or None)}

    def _close_sockets(self, arguments: Arguments) -> Answer:
        uid = arguments.text("account", "") or None
        code, reason = arguments.whole("code", GOODBYE), arguments.text("reason", "goodbye")
        return {"closed": self._sockets.close(uid, code, reason)}

    def _set_cash(self, arguments: Arguments) -> Answer:
        account = self._account(arguments)
        account.cash = arguments.money("cash")
        account.changed = True
        return {"account": account.uid, "cash": str(account.cash)}

    def _set_holding(self, arguments: Arguments) -> Answer:
        account, instrument = self._account(arguments), self._instrument(arguments)
        if not instrument.is_cash or not instrument.is_tradable:
            raise ValueError(f"exch/tsym: {instrument.tsym} is no share, and only shares can be held")
        quantity = arguments.whole("quantity")
        account.holdings.pop(instrument.symbol, None)
        account.changed = True
        if quantity:
            cost = arguments.money("cost", Decimal(0))
            account.holdings[instrument.symbol] = Holding(instrument, quantity, cost)
        return {"account": account.uid, "symbol": instrument.symbol, "quantity": quantity}

    def _convert_position(self, arguments: Arguments) -> Answer:
        account, instrument = self._account(arguments), self._instrument(arguments)
        before, after = arguments.choice("prevprd", ("C", "M", "I")), arguments.choice("prd", ("C", "M", "I"))
        quantity = arguments.whole("qty")
        position = account.position(instrument, before)
        side = "B" if position.net_qty > 0 else "S"
        if before == after or not 0 < quantity <= abs(position.net_qty):
            raise ValueError(f"qty: {position.net_qty} of {instrument.tsym} can be converted from {before}")
        account.position(instrument, after).put_in(side, quantity, position.take_out(side, quantity, False), False)
        account.recount()
        return {"account": account.uid, "symbol": instrument.symbol, "quantity": quantity}

    # -- the day ------------------------------------------------------------------------------------------------

    def _end_session(self, _: Arguments) -> Answer:
        self._day.end_session()
        return {}

    def _end_of_day(self, _: Arguments) -> Answer:
        self._day.roll(self._state.day + timedelta(days=1))
        return {"day": f"{self._state.day:%d-%m-%Y}"}


def _check_above_zero(**numbers: int | Decimal) -> None:
    for name, number in numbers.items():
        if not number:
            raise ValueError(f"{name}: must be above 0")


def _first(error: ValidationError) -> str:
    """The first mistake, its argument's name before it."""
    details = error.errors()[0]
    place = ".".join(str(part) for part in details["loc"])
    message = "is missing" if details["type"] == "missing" else details["msg"]
    return f"{place}: {message[:1].lower()}{message[1:]}"
