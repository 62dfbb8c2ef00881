"""The way in: from a request to its endpoint, and through the faults that stand before and after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from core.paper import replies
from core.paper.accounts import Account
from core.paper.config import RateScope
from core.paper.endpoints import books, derivatives, login, market, orders
from core.paper.endpoints.call import Call, Endpoint
from core.paper.faults import FaultKind, Rule
from core.paper.oms import Oms
from core.paper.parsing import Fields, parse_body, parse_json
from core.paper.replies import Refusal, not_ok
from core.paper.state import ExchangeState
from core.paper.wire import Reply, Request, is_login, parts_of

__all__ = ["ENDPOINTS", "Gate"]

_API_TOKEN = "apitoken"
_LOGINS: Mapping[str, Endpoint] = MappingProxyType(
    {"QuickAuth": login.quick_auth, "GenAcsTok": login.gen_acs_tok, _API_TOKEN: login.api_token}
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        **_LOGINS,
        "Logout": login.logout,
        "UserDetails": login.user_details,
        "PlaceOrder": orders.place_order,
        "ModifyOrder": orders.modify_order,
        "CancelOrder": orders.cancel_order,
        "ExitSNOOrder": orders.exit_sno_order,
        "ProductConversion": orders.convert_product,
        "GetOrderMargin": orders.order_margin,
        "OrderBook": books.order_book,
        "SingleOrdHist": books.single_order_history,
        "SingleOrdStatus": books.single_order_status,
        "TradeBook": books.trade_book,
        "PositionBook": books.position_book,
        "Holdings": books.holdings,
        "Limits": books.limits,
        "GetQuotes": market.quotes,
        "SearchScrip": market.search_scrip,
        "GetSecurityInfo": market.security_info,
        "TPSeries": market.time_price_series,
        "EODChartData": market.daily_series,
        "MWList": market.watch_lists,
        "GetOptionChain": derivatives.option_chain,
        "GetOptionGreek": derivatives.option_greek,
        "GetBasketMargin": derivatives.basket_margin,
        "SpanCalc": derivatives.span_calculator,
    }
)
"""Every endpoint by the last part of its path."""

_ORDER_PATHS = frozenset({"PlaceOrder", "ModifyOrder", "CancelOrder", "ExitSNOOrder"})

_BEFORE: tuple[tuple[FaultKind, Reply], ...] = (
    (FaultKind.DROP_502, replies.BAD_GATEWAY),
    (FaultKind.DROP_CLOSE, replies.DROP),
    (FaultKind.DROP_HANG, replies.HANG),
    (FaultKind.HTTP_429, replies.TOO_MANY),
    (FaultKind.BOOK_502, replies.BAD_GATEWAY),
    (FaultKind.BOOK_HANG, replies.HANG),
)
_REFUSALS: tuple[tuple[FaultKind, str], ...] = (
    (FaultKind.DROP_SERVER_TIMEOUT, replies.SERVER_TIMEOUT),
    (FaultKind.BOOK_SERVER_TIMEOUT, replies.SERVER_TIMEOUT),
    (FaultKind.BOOK_NO_DATA, replies.NO_DATA),
)
_AFTER: tuple[tuple[FaultKind, Reply], ...] = (
    (FaultKind.ACCEPT_HANG, replies.HANG),
    (FaultKind.ACCEPT_CLOSE, replies.DROP),
    (FaultKind.ACCEPT_502, replies.BAD_GATEWAY),
    (FaultKind.ACCEPT_EMPTY, replies.EMPTY),
)


class Gate:
    """Answers requests.

    Args:
        state: The exchange.
        oms: Takes orders.
    """

    def __init__(self, state: ExchangeState, oms: Oms) -> None:
        self._state = state
        self._oms = oms

    def answer(self, request: Request) -> Reply:
        """The reply to one POST.

        Raises:
            Refusal: It is refused in the usual form.
        """
        if is_login(request.path, request.body):
            return login.log_in_form(self._state, request.body)
        path = self._endpoint_name(request.path)
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            return replies.NOT_FOUND
        read_body = parse_json if path == _API_TOKEN else parse_body
        fields = read_body(request.body, self._state.config.percent_decode_tsym)
        if not self._state.faults:
            return endpoint(self._call(path, fields, request))
        return self._answer_with_faults(path, endpoint, fields, request)

    def _endpoint_name(self, path: str) -> str:
        """The part behind the prefix; empty for a prefix that is not served."""
        parts = parts_of(path)
        prefix = "/".join(parts[:-1])
        if parts and parts[-1] == _API_TOKEN:
            # Flattrade has it on a host of its own, not beside the other calls.
            return _API_TOKEN if prefix == "trade" else ""
        return parts[-1] if parts and prefix in self._state.config.prefixes else ""

    def _call(self, path: str, fields: Fields, request: Request) -> Call:
        token = fields.key or _bearer(request.authorization)
        user = None if path in _LOGINS else self._user(token, fields)
        if user is not None:
            self._count(user.uid, path)
        return Call(self._state, self._oms, path, fields, token, request.peer, user)

    def _user(self, token: str, fields: Fields) -> Account:
        session = self._state.sessions.find(token, self._state.now)
        uid = fields.text("uid")
        # EODChartData of the library names no user; a name that is given must be the session's.
        wrong_user = session is not None and "uid" in fields.data and uid != session.uid
        if session is None or wrong_user:
            raise Refusal(replies.SESSION_EXPIRED, self._state.config.session_expired_status)
        return self._state.account(session.uid)

    # -- rate limits (section 2.5) ------------------------------------------------------------------------------

    def _count(self, uid: str, path: str) -> None:
        config = self._state.config
        if config.rate_per_s is None and config.rate_per_min is None:
            return
        if config.rate_scope is RateScope.ORDERS and path not in _ORDER_PATHS:
            return
        second, minute = _second(self._state.now), _second(self._state.now) // 60
        calls = self._state.calls.setdefault(uid, [second, 0, minute, 0])
        if calls[0] != second:
            calls[0:2] = [second, 0]
        if calls[2] != minute:
            calls[2:4] = [minute, 0]
        calls[1] += 1
        calls[3] += 1
        if config.rate_per_s is not None and calls[1] > config.rate_per_s:
            raise Refusal(_rate_text(calls[1], "second", config.rate_per_s), 200)
        if config.rate_per_min is not None and calls[3] > config.rate_per_min:
            raise Refusal(_rate_text(calls[3], "minute", config.rate_per_min), 200)

    # -- faults (section 14.2) ----------------------------------------------------------------------------------

    def _answer_with_faults(self, path: str, endpoint: Endpoint, fields: Fields, request: Request) -> Reply:
        match = {"path": path, "account": fields.text("uid"), "remarks": self._remarks(fields)}
        early = self._before(match, fields, request)
        if early is not None:
            return early
        try:
            reply = endpoint(self._call(path, fields, request))
        except Refusal as refusal:
            reply = not_ok(refusal.emsg, self._state.now, refusal.status)
        return self._after(match, reply)

    def _remarks(self, fields: Fields) -> str:
        """The remarks a rule may look for: those sent, or those of the order that is named."""
        order = self._state.orders.get(fields.text("norenordno"))
        return order.remarks if order is not None else fields.text("remarks")

    def _hit(self, kind: FaultKind, match: Mapping[str, str]) -> Rule | None:
        return self._state.faults.hit(kind, **match)

    def _before(self, match: Mapping[str, str], fields: Fields, request: Request) -> Reply | None:
        """A reply in place of the work, or a refusal."""
        for kind, reply in _BEFORE:
            if self._hit(kind, match):
                return reply
        for kind, text in _REFUSALS:
            if self._hit(kind, match):
                raise Refusal(text)
        if self._hit(FaultKind.BOOK_SESSION_EXPIRED, match):
            raise Refusal(replies.SESSION_EXPIRED, self._state.config.session_expired_status)
        if rule := self._hit(FaultKind.REFUSE_TEXT, match):
            text = rule.text("text", replies.INVALID_ORDER)
            raise Refusal(text, int(rule.number("status", 200)))
        for kind, unit, default in (
            (FaultKind.RATE_LIMIT_SECOND, "second", 10),
            (FaultKind.RATE_LIMIT_MINUTE, "minute", 120),
        ):
            if rule := self._hit(kind, match):
                limit = int(rule.number("limit", default))
                raise Refusal(_rate_text(limit + 1, unit, limit), 200)
        if self._hit(FaultKind.TOKEN_KILLED, match):
            self._state.sessions.close(fields.key or _bearer(request.authorization))
        return None

    def _after(self, match: Mapping[str, str], reply: Reply) -> Reply:
        """The reply that goes out in place of the true one, the work being done."""
        for kind, instead in _AFTER:
            if self._hit(kind, match):
                return instead
        if self._hit(FaultKind.ACCEPT_SERVER_TIMEOUT, match):
            return not_ok(replies.SERVER_TIMEOUT, self._state.now)
        if self._hit(FaultKind.ACCEPT_NO_NUMBER, match):
            reply = _without_number(reply)
        if rule := self._hit(FaultKind.PUSH_BEFORE_REPLY, match):
            reply = replace(reply, delay_s=rule.number("seconds", 0.25))
        if rule := self._hit(FaultKind.REPLY_DELAY, match):
            reply = replace(reply, delay_s=rule.number("seconds", 1.0))
        return reply


def _without_number(reply: Reply) -> Reply:
    fields = json.loads(reply.body)
    if isinstance(fields, dict):
        fields.pop("norenordno", None)
        fields.pop("result", None)
    return replace(reply, body=replies.dump(fields).encode())


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _second(now: datetime) -> int:
    return int(now.timestamp())


def _rate_text(count: int, unit: str, limit: int) -> str:
    """The servers' own words, their spelling included."""
    return f"Invalid Input :  Order Recieved {count} in a current {unit} exceeds Limit {limit} for user"
