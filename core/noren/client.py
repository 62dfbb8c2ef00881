"""The typed client of one account at a Noren broker.

NorenRestApiPy builds every request; the transport in its place carries it and keeps the raw reply; the raw reply, not
the library's None, decides the outcome. Every method makes at most one call that changes anything at the broker,
returns a value for every outcome, and raises nothing.

    client = NorenClient(profile("shoonya"), credentials, clock=SystemClock(), connect_timeout_s=3, read_timeout_s=8)
    match client.login():
        case LoggedIn():
            outcome = client.place_order(order)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from requests.adapters import BaseAdapter

from core.model.broker import BrokerHolding, BrokerOrderReport, BrokerPosition, BrokerTrade, MarginLeg, Quote
from core.model.instrument import Instrument
from core.model.order import Order, OrderType, Validity
from core.model.outcomes import (
    LoggedIn,
    LoginFailed,
    LoginOutcome,
    LoginRefused,
    NotSent,
    OrderOutcome,
    ReadError,
    ReadFailure,
)
from core.noren import parse
from core.noren.classify import object_outcome, order_outcome, row_texts, rows_outcome
from core.noren.credentials import Credentials, Redactor
from core.noren.kept_session import KeptSession
from core.noren.library import load_library
from core.noren.listings import listings, with_details
from core.noren.login import (
    CodeMemory,
    code_request,
    code_verdict,
    one_time_code,
    probe_verdict,
    quickauth_verdict,
    usable_token,
)
from core.noren.margins import margin_of, margin_request
from core.noren.parse import BadRow, Limits
from core.noren.profiles import BrokerProfile, LoginStyle
from core.noren.rights import Rights, rights
from core.noren.terms import ORDER_TYPES, PRODUCTS, SIDES, prices_of
from core.noren.transport import Delivery, RawReply, Transport
from core.runtime.clock import Clock

__all__ = ["NorenClient"]

T = TypeVar("T")

_NO_DATA = "no data"
_MOST_UNREADABLE = 100
# Answers to the probe of an earlier session that are neither yes nor no, after which one logs in anew.
_MOST_ODD_PROBES = 3
_AT_ONCE_S = 0.001
_NO_SESSION = "there is no session: log in first"


class NorenClient:
    """One account at one broker, over a private copy of NorenRestApiPy.

    Not thread-safe: it belongs to the one actor that speaks to the broker. A call takes at most `connect_timeout_s` for
    each address of the host, once more for TLS, and `read_timeout_s`; looking up the host's name is bounded by the
    operating system only.

    Args:
        profile: The broker.
        credentials: The account.
        clock: Time for one-time codes and deadlines.
        connect_timeout_s: Seconds for one connection attempt.
        read_timeout_s: Seconds for the whole answer.
        adapter: Carries the requests instead of sockets, for instance into an exchange in this process.
        codes: Which one-time passwords were used; without it one may be used again within its half minute.
        kept: Where the token of a QuickAuth login is kept for the next start; without it each start logs in anew.
    """

    def __init__(
        self,
        profile: BrokerProfile,
        credentials: Credentials,
        *,
        clock: Clock,
        connect_timeout_s: float,
        read_timeout_s: float,
        adapter: BaseAdapter | None = None,
        codes: CodeMemory | None = None,
        kept: KeptSession | None = None,
    ) -> None:
        self.profile = profile
        self._credentials = credentials
        self._clock = clock
        self._codes = codes
        self._redactor = Redactor(credentials)
        self._kept = kept if profile.login is LoginStyle.QUICKAUTH else None
        # Tokens of sessions that may still be up, in the order in which they are tried.
        self._earlier = self._earlier_tokens()
        self._odd_probes = 0
        self._why_anew = ""
        self._transport = Transport(
            profile,
            self._redactor,
            clock=clock,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            adapter=adapter,
        )
        self._api: Any = load_library(self._transport).NorenApi(profile.host, profile.websocket)
        self._tokens: dict[tuple[str, str], str] = {}
        self._unreadable: list[str] = []
        self._orders, self._trades = parse.RowMemory(parse.order_report), parse.RowMemory(parse.trade)
        # The last text of each book, by how it is asked for, and what it said: most reads bring the same again.
        self._books: dict[str, tuple[str, tuple[Any, ...]]] = {}

    @property
    def logged_in(self) -> bool:
        """Whether there is a token. The broker may have ended its session all the same."""
        return self._transport.token is not None

    @property
    def session_token(self) -> str | None:
        """The session's token, for the push socket of the same account; None before login."""
        return self._transport.token

    def close(self) -> None:
        """Drop the connections. The session at the broker stays: another start may use its token."""
        self._transport.close()

    # Session.

    def login(self) -> LoginOutcome:
        """Begin a session in the profile's way (protocol 4).

        An access token in the credentials is used as it is, and probed with a read. Without one, QuickAuth goes on with
        the session kept from an earlier start, or logs in with password and one-time code; a broker with browser login
        needs a person and a code (`exchange_code`). Each makes one call: after a token of an earlier session was
        refused, `LoginFailed` asks to be called again at once.
        """
        given = self._credentials
        if given.access_token and not (self.profile.login is LoginStyle.QUICKAUTH and given.password):
            return self._login_with_token(given.access_token)
        if self.profile.login is LoginStyle.QUICKAUTH:
            return self._go_on() if self._earlier else self._quickauth()
        return LoginRefused(self._how_to_get_a_token())

    def take_token(self, access_token: str) -> LoginOutcome:
        """Go on with this access token, which a person has brought; a session that is up stays where it is no good."""
        before = self._transport.token
        self._redactor.remember(access_token)
        self._credentials = replace(self._credentials, access_token=access_token)
        outcome = self._login_with_token(access_token)
        if not isinstance(outcome, LoggedIn) and before is not None:
            self._begun(LoggedIn(self._credentials.user_id, before))
        return outcome

    def exchange_code(self, code: str) -> LoginOutcome:
        """Turn the code that the browser login brought into a token, and begin the session with it (protocol 4.2).

        The code is good once: after `LoginFailed` a new one is needed too.
        """
        exchange = self.profile.code_exchange
        if exchange is None:
            return LoginRefused(f"broker profile {self.profile.name} has no browser login")
        self._redactor.remember(code)
        reply = self._transport.send(*code_request(exchange, self.profile, self._credentials, code.strip()))
        return self._begun(code_verdict(reply, self._credentials.user_id, self._redactor))

    def logout(self) -> bool:
        """End the session at the broker; whether it confirmed. The token is forgotten either way."""
        if not self.logged_in:
            return True
        reply = self._call(self._api.logout)
        self._transport.token = None
        if self._kept is not None:
            self._kept.forget()
        try:
            object_outcome(reply, self._redactor)
        except ReadError:
            return False
        return True

    def _earlier_tokens(self) -> list[str]:
        """That of the settings first: a person has brought it."""
        given, kept = self._credentials, self._kept.token() if self._kept is not None else None
        if kept is not None:
            self._redactor.remember(kept)
        quickauth = self.profile.login is LoginStyle.QUICKAUTH and given.password
        return [token for token in (given.access_token if quickauth else "", kept) if token]

    def _go_on(self) -> LoginOutcome:
        """Go on with an earlier session; only one that is refused, or answered oddly again and again, is given up."""
        outcome = self._login_with_token(self._earlier[0])
        if isinstance(outcome, LoggedIn):
            self._earlier.clear()
            return outcome
        if isinstance(outcome, LoginFailed):
            self._odd_probes += outcome.answered
            if self._odd_probes < _MOST_ODD_PROBES:
                return outcome
        self._odd_probes = 0
        del self._earlier[0]
        self._why_anew = f"the earlier session is over ({outcome.reason}); "
        return LoginFailed(f"{self._why_anew}logging in anew", _AT_ONCE_S)

    def _quickauth(self) -> LoginOutcome:
        given = self._credentials
        # Whatever was kept has been refused, or has ended since.
        if self._kept is not None:
            self._kept.forget()
        code = one_time_code(given.totp_secret, self._clock.now())
        if code is None:
            return LoginRefused("totp_secret is not a base-32 secret")
        if self._codes is not None and given.totp_secret:
            wait = self._codes.wait_s(self._clock.now())
            if wait > 0:
                reason = "the one-time password of this half minute was used already, the login waits for the next"
                return LoginFailed(f"{self._why_anew}{reason}, {wait:.0f} s", wait)
            self._codes.use(self._clock.now())
        self._transport.token = None
        reply = self._call(
            lambda: self._api.login(
                given.user_id, given.password, code, given.vendor_code, given.api_secret, given.imei
            )
        )
        outcome = self._begun(quickauth_verdict(reply, given.user_id, self._redactor))
        if isinstance(outcome, LoggedIn) and self._kept is not None:
            self._kept.keep(outcome.token)
        return outcome

    def _login_with_token(self, access_token: str) -> LoginOutcome:
        token = usable_token(access_token)
        if token is None:
            return LoginRefused("access_token holds characters that no token has")
        begun = self._begun(LoggedIn(self._credentials.user_id, token))
        try:
            self._read_object(self._api.get_limits)
        except ReadError as error:
            self._transport.token = None
            return probe_verdict(error)
        return begun

    def _begun(self, verdict: LoginOutcome) -> LoginOutcome:
        """Hand the token to library and transport; the library forgets the password it kept from `login`."""
        if isinstance(verdict, LoggedIn):
            self._transport.token = verdict.token
            self._api.set_session(verdict.user_id, "", verdict.token)
        return verdict

    def _how_to_get_a_token(self) -> str:
        exchange = self.profile.code_exchange
        if exchange is None:
            return "an access_token is needed"
        url = exchange.authorize_url.format(client_id=self._credentials.vendor_code)
        return f"a person must log in at {url} and hand over the code, or an access_token"

    # Orders.

    def place_order(self, order: Order) -> OrderOutcome:
        """Place an order once. Its `client_tag` travels in `remarks`, by which it can be found again (protocol 5.6)."""
        intent = order.intent
        product = order.product or intent.product
        if product is None:
            return NotSent("the order has no product")
        prices = prices_of(intent.order_type, intent.price, intent.trigger_price)
        if isinstance(prices, NotSent):
            return prices
        return self._order_call(
            lambda: self._api.place_order(
                buy_or_sell=SIDES[order.side],
                product_type=PRODUCTS[product],
                exchange=order.exchange,
                tradingsymbol=order.symbol,
                quantity=str(order.quantity),
                discloseqty="0",
                price_type=ORDER_TYPES[intent.order_type],
                price=prices[0],
                trigger_price=prices[1],
                retention=intent.validity.value,
                remarks=order.client_tag,
            )
        )

    def modify_order(
        self,
        broker_order_id: str,
        *,
        exchange: str,
        symbol: str,
        quantity: int,
        order_type: OrderType,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        validity: Validity = Validity.DAY,
    ) -> OrderOutcome:
        """Ask for other terms (protocol 5.2). `quantity` is the total, filled and still wanted together.

        Accepted means taken for processing: the exchange may still refuse, and the old terms then stay.
        """
        prices = prices_of(order_type, price, trigger_price)
        if isinstance(prices, NotSent):
            return prices
        additions = {"ret": validity.value} if self.profile.modify_sends_validity else {}
        return self._order_call(
            lambda: self._api.modify_order(
                orderno=broker_order_id,
                exchange=exchange,
                tradingsymbol=symbol,
                newquantity=str(quantity),
                newprice_type=ORDER_TYPES[order_type],
                newprice=prices[0],
                newtrigger_price=prices[1],
            ),
            additions,
        )

    def cancel_order(self, broker_order_id: str) -> OrderOutcome:
        """Ask for a cancel (protocol 5.3). Neither Accepted nor Refused says what became of it: the book does."""
        return self._order_call(lambda: self._api.cancel_order(broker_order_id))

    # Reads.

    def order_book(self) -> tuple[BrokerOrderReport, ...]:
        """All orders of the day, other people's of the same account too. Raises ReadError.

        What did not change since the last read is the same object again.
        """
        return self._read_book(self._api.get_order_book, parse.order_book, self._orders)

    def trade_book(self) -> tuple[BrokerTrade, ...]:
        """All trades of the day. Raises ReadError."""
        return self._read_book(self._api.get_trade_book, parse.trade_book, self._trades)

    def positions(self) -> tuple[BrokerPosition, ...]:
        """All positions. Raises ReadError, also when a row does not say what is held (`parse.position_book`)."""
        return self._read_book(self._api.get_positions, parse.position_book)

    def holdings(self) -> tuple[BrokerHolding, ...]:
        """Delivered shares, once for each listing. Raises ReadError."""
        return self._read_book(self._api.get_holdings, parse.holdings)

    def limits(self) -> Limits:
        """The account's funds. Raises ReadError."""
        try:
            return parse.limits(self._read_object(self._api.get_limits))
        except BadRow as error:
            raise self._bad(error) from error

    def margin(self, legs: Sequence[MarginLeg]) -> Decimal:
        """What orders would take together, in rupees, by a call that the library does not know. Raises ReadError."""
        self._check_session()
        path, fields = margin_request(legs, self._credentials.user_id)
        body = f"jData={fields}&jKey={self._transport.token}"
        try:
            answer = self._read_object(lambda: self._transport.post(f"{self.profile.host}/{path}", body))
            return margin_of(answer, len(legs))
        except BadRow as error:
            raise self._bad(error) from error

    def rights(self) -> Rights:
        """What the account may trade (protocol 7.10), by a call that the library does not know. Raises ReadError."""
        self._check_session()
        fields = json.dumps({"ordersource": "API", "uid": self._credentials.user_id})
        body = f"jData={fields}&jKey={self._transport.token}"
        return rights(self._read_object(lambda: self._transport.post(f"{self.profile.host}/UserDetails", body)))

    def quote(self, exchange: str, symbol: str) -> Quote:
        """The touchline of one instrument, by `quote_calls` calls to the broker. Raises ReadError."""
        token = self.instrument_token(exchange, symbol)
        answer = self._read_object(lambda: self._api.get_quotes(exchange, token))
        try:
            return parse.quote(answer, exchange=exchange, symbol=symbol, now=self._clock.now())
        except BadRow as error:
            # Tokens of expired contracts are given to new ones: look it up again next time.
            self._tokens.pop((exchange, symbol), None)
            raise self._bad(error) from error

    def quote_calls(self, exchange: str, symbol: str) -> int:
        """How many calls `quote` will make: one, and one more when the instrument's token is not known yet."""
        return 1 if (exchange, symbol) in self._tokens else 2

    def instruments(self, exchange: str, text: str) -> tuple[Instrument, ...]:
        """Instruments whose symbol or name holds `text`, by one call; nothing found is no error. Raises ReadError."""
        try:
            return listings(self._read_object(lambda: self._api.searchscrip(exchange, text)))
        except ReadError as error:
            if error.failure is ReadFailure.UNREADABLE and _NO_DATA in error.reason.lower():
                return ()
            raise
        except BadRow as error:
            raise self._bad(error) from error

    def instrument_details(self, known: Instrument) -> Instrument:
        """All that the broker says of an instrument, its freeze quantity too, by one call. Raises ReadError."""
        answer = self._read_object(lambda: self._api.get_security_info(known.exchange, known.token))
        try:
            return with_details(known, answer)
        except BadRow as error:
            raise self._bad(error) from error

    def instrument_token(self, exchange: str, symbol: str) -> str:
        """The broker_order_id of an instrument, looked up once; the push feed subscribes by it. Raises ReadError."""
        return self._tokens.get((exchange, symbol)) or self._find_token(exchange, symbol)

    def take_unreadable(self) -> tuple[str, ...]:
        """What could not be read in books since this was last asked, in words fit for a log; at most 100 texts."""
        taken, self._unreadable = self._unreadable, []
        return tuple(map(self._redactor.clean, taken))

    def _find_token(self, exchange: str, symbol: str) -> str:
        """The instrument's token by an exact match of the symbol: a search finds longer names too."""
        found = self._read_object(lambda: self._api.searchscrip(exchange, symbol))
        values = found.get("values")
        for row in values if isinstance(values, list) else ():
            if isinstance(row, dict) and row.get("tsym") == symbol and row.get("exch", exchange) == exchange:
                token = parse.text(row, "token")
                if token is not None:
                    self._tokens[exchange, symbol] = token
                    return token
        raise ReadError(ReadFailure.UNREADABLE, self._redactor.clean(f"{exchange} has no symbol {symbol}"))

    # The one way to the library.

    def _order_call(self, request: Callable[[], object], additions: Mapping[str, str] | None = None) -> OrderOutcome:
        reply = self._call(request, additions) if self.logged_in else None
        return NotSent(_NO_SESSION) if reply is None else order_outcome(reply, self._redactor)

    def _read_book(
        self,
        request: Callable[[], object],
        read: Callable[[tuple[Any, ...], list[str]], tuple[T, ...]],
        memory: parse.RowMemory[T] | None = None,
    ) -> tuple[T, ...]:
        reply = self._read(request)
        name = getattr(request, "__name__", "")
        text, known = self._books.get(name, ("", ()))
        if text and reply.text == text and reply.delivery is Delivery.ANSWERED:
            return known
        self._books.pop(name, None)
        texts = row_texts(reply) if memory is not None else None
        try:
            if memory is not None and texts is not None:
                found = memory.book(texts, self._unreadable)
            else:
                found = read(rows_outcome(reply, self._redactor), self._unreadable)
        except BadRow as error:
            raise self._bad(error) from error
        finally:
            del self._unreadable[_MOST_UNREADABLE:]
        self._books[name] = reply.text, found
        return found

    def _read_object(self, request: Callable[[], object]) -> dict[str, Any]:
        return object_outcome(self._read(request), self._redactor)

    def _read(self, request: Callable[[], object]) -> RawReply:
        self._check_session()
        return self._call(request)

    def _check_session(self) -> None:
        if not self.logged_in:
            raise ReadError(ReadFailure.SESSION_EXPIRED, _NO_SESSION)

    def _call(self, request: Callable[[], object], additions: Mapping[str, str] | None = None) -> RawReply:
        """Let the library make one request, and take what the transport saw of it.

        What the library returns or raises is not looked at: it returns None for a refusal and for a timeout alike, and
        raises KeyError, TypeError or JSONDecodeError on replies that have a meaning (protocol 3.2).
        """
        self._transport.last = None
        self._transport.additions = additions or {}
        problem = "the library made no call"
        try:
            request()
        except Exception as error:
            problem = self._redactor.clean(f"{type(error).__name__}: {error}")
        return self._transport.last or RawReply(Delivery.NOT_SENT, problem=problem)

    def _bad(self, error: BadRow) -> ReadError:
        return ReadError(ReadFailure.UNREADABLE, self._redactor.clean(str(error)))
