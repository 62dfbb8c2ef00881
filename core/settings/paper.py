"""`[paper]`: everything that shapes the paper exchange."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from core.paper.config import PriceSource, RateScope
from core.paper.faults import FaultConfig
from core.settings.values import (
    Clock,
    Count,
    OptionalClock,
    OptionalPath,
    OptionalText,
    Paths,
    Port,
    Positive,
    Rupees,
    Seconds,
    SecondsOrZero,
    Secret,
    Section,
    Text,
    Texts,
    empty_is_unset,
    number,
)

__all__ = ["PaperAccountSettings", "PaperHoldingSettings", "PaperSettings"]


class PaperHoldingSettings(Section):
    """Shares an account begins with."""

    exch: Literal["NSE", "BSE"] = Field(description="Segment of the share.")
    tsym: Text = Field(description="Trading symbol of the share.")
    quantity: Positive = Field(description="Shares held.")
    cost: Rupees = Field(default=Decimal(0), description="Rupees that one share cost.")


class PaperAccountSettings(Section):
    """One account that may log in to the paper exchange; what is left out of it is not checked."""

    uid: Text = Field(description="User and account id. The service logs in as [broker] user_id.", examples=["FA00001"])
    password: Secret = Field(default=None, description="The login password. Empty: any.")
    password_file: OptionalPath = Field(default=None, description="File that holds the password.")
    totp_secret: Secret = Field(default=None, description="Base 32 secret of the one-time passwords. Empty: any.")
    totp_secret_file: OptionalPath = Field(default=None, description="File that holds totp_secret.")
    api_secret: Secret = Field(
        default=None, description="The secret behind appkey (QuickAuth) and checksum (OAuth). Empty: any."
    )
    api_secret_file: OptionalPath = Field(default=None, description="File that holds api_secret.")
    vendor_code: OptionalText = Field(
        default=None, description="What vc must be, and the client_id of the OAuth login. Empty: any."
    )
    cash: Annotated[Rupees | None, BeforeValidator(empty_is_unset)] = Field(
        default=None, description="Rupees it begins with. Empty: initial_cash."
    )
    holdings: tuple[PaperHoldingSettings, ...] = Field(
        default=(),
        description='Shares it begins with: [{exch = "NSE", tsym = "INFY-EQ", quantity = 10, cost = 1500}].',
    )
    registered_ips: Texts = Field(
        default=(), description="Addresses that its order calls may come from, others are refused. Empty: any."
    )


class PaperSettings(Section):
    """The paper exchange, used by the profile paper and by `run.py paper`."""

    seed: Count = Field(
        default=1, description="What prices and chances are drawn from: the same seed, the same market."
    )
    rest_port: Port = Field(default=0, description="Port of its REST face on this machine; 0 takes a free one.")
    ws_port: Port = Field(default=0, description="Port of its push feed; 0 takes a free one.")
    control_port: Port = Field(default=0, description="Port of its control API and live page; 0 takes a free one.")
    prefixes: Texts = Field(
        default=("NorenWClientTP", "NorenWClientAPI", "NorenWClientAPIv2", "PiConnectTP", "PiConnectAPI"),
        description="First parts of the paths it serves, as brokers have them; the bare path is served always.",
    )

    price_source: PriceSource = Field(
        default=PriceSource.WALK,
        description="Where prices come from: walk (at random from the seed), replay (the file in recording), "
        "manual (they stand still until the control command set_price moves them).",
    )
    walk_volatility: Annotated[float, BeforeValidator(number), Field(ge=0, le=0.1, allow_inf_nan=False)] = Field(
        default=0.0001,
        description="Usual size of one price step as a share of the price: 0.0001 is one basis point. Larger fills "
        "resting orders sooner and moves P&L more; 0 lets prices stand still, until set_price moves them.",
    )
    walk_interval_s: Annotated[float, BeforeValidator(number), Field(ge=0.001, le=3600, allow_inf_nan=False)] = Field(
        default=1.0,
        description="Seconds between two price steps; the strangers' order book is new with each, in a replay too.",
    )
    recording: OptionalPath = Field(
        default=None,
        description="The file that price_source replay plays: CSV with the columns time, exch, token, price and, "
        "if recorded, bid and ask. Contracts it does not name stand still.",
    )
    replay_speed: Annotated[float, BeforeValidator(number), Field(gt=0, le=1_000_000, allow_inf_nan=False)] = Field(
        default=1.0,
        description="Recorded seconds that pass in one second: 1 plays as it was recorded, 60 an hour a minute.",
    )
    symbol_files: Paths = Field(
        default=(),
        description='A broker\'s symbol files, .txt or .zip, such as ["NSE_symbols.txt.zip", "NFO_symbols.txt.zip"]; '
        "the exchange then trades these contracts. Empty: the small list that comes with it.",
    )
    depth_levels: Annotated[int, BeforeValidator(number), Field(ge=1, le=100)] = Field(
        default=20, description="Price levels on each side of the strangers' order book. Fewer run dry sooner."
    )
    depth_quantity: Positive = Field(
        default=400,
        description="Usual size of the best level, for a share of 1000 rupees; dearer ones have less. Smaller means "
        "more partial fills.",
    )

    initial_cash: Rupees = Field(default=Decimal(10_000_000), description="Rupees an account begins with.")
    refuse_market_orders: bool = Field(
        default=False, description="Whether MARKET and SL-M are refused, as brokers do for API users since 2026."
    )
    strict_amo: bool = Field(
        default=False,
        description="Whether an amo other than Yes is refused, as the documents of 2026 say; else NO is an ordinary "
        "order, as NorenRestApiPy sends it.",
    )
    strict_trgprc: bool = Field(
        default=False,
        description="Whether a trgprc that is no number is refused on LMT and MKT, such as the None of NorenRestApiPy.",
    )
    percent_decode_tsym: bool = Field(
        default=True, description="Whether %26 and + are decoded in symbols and search texts."
    )
    require_uid_for_token: bool = Field(
        default=False,
        description="Whether GenAcsTok without a uid is refused, as seen at Shoonya; clients of Zebu and TradeSmart "
        "send none.",
    )
    check_trigger_side: bool = Field(
        default=True, description="Whether a stop is rejected whose trigger the last price has passed already."
    )
    enforce_session_hours: bool = Field(
        default=False,
        description="Whether orders are refused outside trading hours, MIS is squared off at intraday_cutoff and the "
        "session ends by itself.",
    )
    intraday_cutoff: Clock = Field(
        default=time(15, 20),
        description="Indian time from which MIS orders are refused and MIS positions squared off, if "
        "enforce_session_hours is on.",
    )
    order_ack: bool = Field(
        default=True, description='Whether {"t":"o"} on the push feed is answered with {"t":"ok"}; Flattrade does not.'
    )
    auto_order_updates: bool = Field(
        default=False, description='Whether order updates come without {"t":"o"}, as TradeSmart documents.'
    )
    product_key: Literal["pcode", "prd"] = Field(
        default="pcode", description="How order updates name the product: pcode or prd. Brokers differ."
    )
    login_replaces_session: bool = Field(
        default=True, description="Whether a new API login ends the older session of the same user."
    )
    sockets_per_user: Annotated[int, BeforeValidator(number), Field(ge=1, le=100)] = Field(
        default=2,
        description="Push connections that a user may have open; a further one closes the oldest. One at TradeSmart.",
    )
    token_expiry_time: OptionalClock = Field(
        default=time(5, 30),
        description="Indian time at which the tokens issued before it end, each day: the client must log in anew. "
        "Empty: never.",
    )
    session_expired_status: Annotated[int, BeforeValidator(number), Field(ge=200, le=599)] = Field(
        default=401, description="HTTP status of a session error; brokers send 401, some 200."
    )
    code_lifetime_s: Seconds = Field(default=300.0, description="Seconds a one-time code of the OAuth login lives.")
    day_roll_time: Clock = Field(
        default=time(6, 0),
        description="Indian time at which the trading day changes: positions are carried, books cleared, order "
        "numbers begin with the new date.",
    )

    risk_delay_s: SecondsOrZero = Field(
        default=0.002,
        description="Seconds an order, modification or cancel spends at the broker's risk checks. With "
        "exchange_delay_s it is how long an order stays PENDING.",
    )
    exchange_delay_s: SecondsOrZero = Field(
        default=0.003, description="Seconds from there to the exchange's word: open, replaced, cancelled."
    )
    push_delay_s: SecondsOrZero = Field(
        default=0.001, description="Seconds from an event to its frame on the push feed."
    )
    delay_jitter: Annotated[float, BeforeValidator(number), Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=0.0,
        description="Share by which each of the first two delays may be longer, at random: 0.5 is up to half as "
        "long again.",
    )
    book_lag_s: SecondsOrZero = Field(
        default=0.0,
        description="Seconds by which the order and trade books trail the truth; a new order is missing that long.",
    )
    rate_per_s: Count = Field(
        default=0, description="Calls of one user in a second, beyond which they are refused; 0 for no limit."
    )
    rate_per_min: Count = Field(default=0, description="The same for a minute; 0 for no limit.")
    rate_scope: RateScope = Field(
        default=RateScope.ALL,
        description="Which calls the limits count: all, or orders (PlaceOrder, ModifyOrder, CancelOrder, "
        "ExitSNOOrder).",
    )
    accounts: tuple[PaperAccountSettings, ...] = Field(
        default=(),
        description="Accounts. With none, any user id, password and TOTP are taken; with some, only theirs are. "
        "The service logs in as [broker] user_id, which must be one of them.",
    )
    faults: tuple[FaultConfig, ...] = Field(
        default=(),
        description="What goes wrong from the start on; each kind takes the parameters that the table of faults in "
        "docs/paper-faults.md names. More can be added and taken away while it runs, on its live page.",
    )
