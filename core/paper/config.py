"""What one paper exchange is told when it is made."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.paper.faults import FaultConfig
from core.paper.instruments import Instrument
from core.paper.totp import check_totp_secret

__all__ = ["AccountConfig", "ExchangeConfig", "HoldingConfig", "Latency", "PriceSource", "RateScope", "Tick"]


class PriceSource(StrEnum):
    """Where prices come from."""

    WALK = "walk"
    """A random walk drawn from the seed."""

    REPLAY = "replay"
    """The recorded ticks handed in."""

    MANUAL = "manual"
    """They stay where they are until the control command `set_price` moves them."""


class RateScope(StrEnum):
    """Which calls count against the rate limits (protocol section 2.5)."""

    ALL = "all"
    """Every endpoint, as at TradeSmart."""

    ORDERS = "orders"
    """PlaceOrder, ModifyOrder, CancelOrder and ExitSNOOrder, as at Flattrade."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class HoldingConfig(_Model):
    """Shares held at the start.

    Attributes:
        exch: `NSE` or `BSE`.
        tsym: The trading symbol.
        quantity: Shares held.
        cost: Cost of one share in rupees.
    """

    exch: str
    tsym: str
    quantity: int = Field(gt=0)
    cost: Decimal = Field(default=Decimal(0), ge=0)


class AccountConfig(_Model):
    """One named account; what is empty is not checked.

    Attributes:
        uid: User and account id.
        password: The password in clear; the wire carries its SHA-256.
        totp_secret: Base-32 secret of the one-time passwords.
        api_secret: Secret behind `appkey` (QuickAuth) and `checksum` (GenAcsTok).
        vendor_code: What `vc` must be, and the `client_id` of the OAuth login.
        cash: Opening cash in rupees; None takes the exchange's `initial_cash`.
        holdings: Shares held at the start.
        registered_ips: Addresses order calls may come from; empty for any (protocol section 12.2).
    """

    uid: str = Field(min_length=1)
    password: str = Field(default="", repr=False)
    totp_secret: str = Field(default="", repr=False)
    api_secret: str = Field(default="", repr=False)
    vendor_code: str = ""
    cash: Decimal | None = None
    holdings: tuple[HoldingConfig, ...] = ()
    registered_ips: tuple[str, ...] = ()

    @field_validator("totp_secret")
    @classmethod
    def _can_make_passwords(cls, secret: str) -> str:
        if secret:
            # Told here, where the setting can be named, and not at the first login.
            check_totp_secret(secret)
        return secret


class Latency(_Model):
    """Seconds of exchange time each stage of an order takes (protocol sections 6.3 and 14.1 point 6).

    Attributes:
        risk_s: From NewAck, ModAck or CanAck to PendingNew, PendingReplace or PendingCancel, or to an RMS refusal.
        exchange_s: From there to the exchange's word: New, Replaced, Canceled.
        push_s: From an event to its frame on the socket.
        jitter: Share by which each stage may take longer, drawn from the seed; 0 for none.
    """

    risk_s: float = Field(default=0.002, ge=0)
    exchange_s: float = Field(default=0.003, ge=0)
    push_s: float = Field(default=0.001, ge=0)
    jitter: float = Field(default=0.0, ge=0)


class Tick(_Model):
    """One recorded price.

    Attributes:
        at: When, timezone-aware.
        exch: Exchange segment.
        token: Instrument token within the segment.
        price: Last traded price in rupees.
        bid: Best bid; None to derive it.
        ask: Best ask; None to derive it.
    """

    at: datetime
    exch: str
    token: str
    price: Decimal = Field(gt=0)
    bid: Decimal | None = None
    ask: Decimal | None = None


class ExchangeConfig(_Model):
    """Everything that shapes a paper exchange; the defaults take a first order on any day at any hour.

    Attributes:
        accounts: Named accounts; empty takes any user id, password and TOTP.
        initial_cash: Opening cash in rupees of an account that names none.
        instruments: The contracts; empty takes the small master that ships with the package.
        prefixes: Path prefixes served, without slashes; an empty string serves the bare path.
        refuse_market_orders: Refuse MKT and SL-MKT in the reply, as brokers do for API users since April 2026
            (protocol 0.1 point 2).
        strict_amo: Refuse any `amo` but `Yes`, as the documents of 2026 say; else `NO` is an ordinary order.
        strict_trgprc: Refuse a `trgprc` that is no number on LMT and MKT, such as the `None` of NorenRestApiPy.
        percent_decode_tsym: Decode `%26` and `+` in tsym, tsym2, tsym3 and stext (protocol 2.1).
        require_uid_for_token: GenAcsTok without `uid` is INVALID_VERIFIER, as seen at Shoonya in June 2026;
            Zebu's and TradeSmart's clients send none.
        check_trigger_side: Refuse a stop whose trigger the last price has passed already.
        enforce_session_hours: Orders are refused out of session hours, intraday orders after the cutoff, and the
            session ends by itself.
        order_ack: Answer `{"t":"o"}` with `{"t":"ok"}`; off as at Flattrade.
        auto_order_updates: Push `om` without an `{"t":"o"}`, as TradeSmart documents.
        product_key: The name of the product in `om`: `pcode` or `prd` (protocol 0.1 point 6).
        login_replaces_session: A new API login ends the older session of the same user.
        sockets_per_user: Sockets that a user may have open; a further one closes the oldest. One at TradeSmart.
        intraday_cutoff: IST; from here MIS orders are refused and MIS positions squared off, if hours are enforced.
        token_expiry_time: IST; tokens issued before it end at it each day; None for tokens that never end.
        day_roll_time: IST; books are cleared and the trading day changes at it each day.
        code_lifetime_s: Seconds a one-time OAuth code lives.
        session_expired_status: HTTP status of a session error.
        latency: Time each stage of an order takes.
        book_lag_s: Seconds by which OrderBook, SingleOrdHist, SingleOrdStatus and TradeBook trail the truth.
        rate_per_s: Calls per user and second; None for no limit.
        rate_per_min: Calls per user and minute; None for no limit.
        rate_scope: Which calls the limits count.
        price_source: Where prices come from.
        ticks: What `PriceSource.REPLAY` plays.
        replay_speed: How many recorded seconds pass in one; the first tick is due at the start.
        walk_volatility: Standard size of one step of the walk as a share of the price.
        walk_interval_s: Seconds between price steps; the synthetic order book is refreshed with each.
        depth_levels: Price levels on each side of the synthetic order book.
        depth_quantity: Typical size of its best level: shares of cash, lots of derivatives.
        faults: What goes wrong from the start on.
    """

    accounts: tuple[AccountConfig, ...] = ()
    initial_cash: Decimal = Field(default=Decimal(10_000_000), ge=0)
    instruments: tuple[Instrument, ...] = ()
    prefixes: tuple[str, ...] = (
        "NorenWClientTP",
        "NorenWClientAPI",
        "NorenWClientAPIv2",
        "PiConnectTP",
        "PiConnectAPI",
        "",
    )
    refuse_market_orders: bool = False
    strict_amo: bool = False
    strict_trgprc: bool = False
    percent_decode_tsym: bool = True
    require_uid_for_token: bool = False
    check_trigger_side: bool = True
    enforce_session_hours: bool = False
    order_ack: bool = True
    auto_order_updates: bool = False
    product_key: str = Field(default="pcode", pattern="^(pcode|prd)$")
    login_replaces_session: bool = True
    sockets_per_user: int = Field(default=2, ge=1)
    intraday_cutoff: time = time(15, 20)
    token_expiry_time: time | None = time(5, 30)
    day_roll_time: time = time(6, 0)
    code_lifetime_s: float = Field(default=300.0, gt=0)
    session_expired_status: int = 401
    latency: Latency = Latency()
    book_lag_s: float = Field(default=0.0, ge=0)
    rate_per_s: int | None = Field(default=None, gt=0)
    rate_per_min: int | None = Field(default=None, gt=0)
    rate_scope: RateScope = RateScope.ALL
    price_source: PriceSource = PriceSource.WALK
    ticks: tuple[Tick, ...] = ()
    replay_speed: float = Field(default=1.0, gt=0)
    walk_volatility: float = Field(default=0.0001, ge=0)
    walk_interval_s: float = Field(default=1.0, gt=0)
    depth_levels: int = Field(default=20, ge=1, le=100)
    depth_quantity: int = Field(default=400, ge=1)
    faults: tuple[FaultConfig, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_repeated_account(cls, data: Any) -> Any:
        accounts = data.get("accounts", ()) if isinstance(data, dict) else ()
        uids = [a.uid if isinstance(a, AccountConfig) else a.get("uid") for a in accounts]
        if len(set(uids)) != len(uids):
            raise ValueError("accounts: a uid is named twice")
        return data
