"""The settings as frozen models. The description of a key is what `settings.toml` says above it.

Units are in the names: `_s` seconds, `_per_min` a minute. Money is in rupees. Secrets are `SecretStr`, so that no repr,
log line or error shows them (law 11); each may instead stand in a file named by its `…_file` key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PrivateAttr, SecretStr, StringConstraints

from core.model.calendar import DAY_STARTS_AT, TradingCalendar
from core.settings.instruments import ClosedCheck, InstrumentSettings, OrderCheck, PriceSettings
from core.settings.openalgo import OpenAlgoSettings
from core.settings.paper import PaperSettings
from core.settings.protection import ProtectionSettings
from core.settings.values import (
    Clock,
    Count,
    HttpUrl,
    OptionalChats,
    OptionalNetworks,
    OptionalPath,
    OptionalText,
    Port,
    Positive,
    Rupees,
    Seconds,
    SecondsOrZero,
    Secret,
    Section,
    Text,
    WsUrl,
    before_markets,
    empty_is_unset,
    number,
    time_zone,
)

__all__ = [
    "BrokerSettings",
    "DatabaseSettings",
    "ChaseSettings",
    "ExitSettings",
    "InstrumentSettings",
    "LimitSettings",
    "LogSettings",
    "PaperSettings",
    "Profile",
    "RiskSettings",
    "Section",
    "ServiceSettings",
    "Settings",
    "SettingsProblem",
    "StrategySettings",
    "TelegramSettings",
    "TraceSettings",
    "WatcherSettings",
    "WebSettings",
    "Slices",
    "WhenUnverified",
]


class ServiceSettings(Section):
    """The service itself."""

    account: OptionalText = Field(
        default=None,
        description="The client account (actid) that orders are for. Empty: the broker's user_id, on paper PAPER.",
    )
    data_dir: Path = Field(
        default=Path("data"),
        description="Where the database, traces and logs are kept, unless their own keys say otherwise. Relative, like "
        "every path here and in the environment, to the folder of this file, whatever the working directory; without "
        "a settings file, to the folder of run.py.",
    )
    timezone: Annotated[str, AfterValidator(time_zone)] = Field(
        default="Asia/Kolkata",
        description="The exchange's time zone.",
    )
    day_starts_at: Annotated[Clock, AfterValidator(before_markets)] = Field(
        default=DAY_STARTS_AT,
        description="Time in that zone at which a trading day begins, and with it daily limits, counts and P&L. Until "
        "the broker has cleared its books they show the day before, so this is when the broker clears them, not "
        "midnight; it must lie before 09:00, when the first exchange opens. Brokers differ: 00:00 to 07:30.",
    )


class Profile(StrEnum):
    """The brokers Sixstep knows; `noren-gen1` is any other server with QuickAuth."""

    PAPER = "paper"
    NOREN_GEN1 = "noren-gen1"
    SHOONYA = "shoonya"
    FLATTRADE = "flattrade"
    ZEBU = "zebu"
    TRADESMART = "tradesmart"


class BrokerSettings(Section):
    """The broker. Paper and live differ by these keys only."""

    profile: Profile = Field(
        default=Profile.PAPER,
        description="Which broker: paper (an exchange inside this process, no money), noren-gen1, shoonya, flattrade, "
        "zebu, tradesmart. Anything but paper trades with real money.",
    )
    host: Annotated[HttpUrl | None, BeforeValidator(empty_is_unset)] = Field(
        default=None, description="Base URL of the broker's REST API. Empty: the profile's own; noren-gen1 needs it."
    )
    websocket: Annotated[WsUrl | None, BeforeValidator(empty_is_unset)] = Field(
        default=None, description="URL of the broker's push feed. Empty: the profile's own; noren-gen1 needs it."
    )
    user_id: OptionalText = Field(default=None, description="The user id (uid) at the broker.")
    password: Secret = Field(default=None, description="The login password; only its SHA-256 is sent.")
    password_file: OptionalPath = Field(
        default=None, description="File that holds the password, instead of the key above."
    )
    totp_secret: Secret = Field(
        default=None, description="The base 32 secret from which the one-time password of each login is made."
    )
    totp_secret_file: OptionalPath = Field(default=None, description="File that holds totp_secret.")
    vendor_code: OptionalText = Field(default=None, description="The vendor code (vc) given with the API key.")
    api_secret: Secret = Field(default=None, description="The API key or secret given by the broker.")
    api_secret_file: OptionalPath = Field(default=None, description="File that holds api_secret.")
    imei: Text = Field(
        default="sixstep", description="Any text that stays the same; the broker logs it with each login."
    )
    access_token: Secret = Field(
        default=None,
        description="A session token made elsewhere, used instead of logging in; good until the broker ends it.",
    )
    access_token_file: OptionalPath = Field(
        default=None,
        description="File that holds access_token. A new token in it is taken within seconds, without a restart.",
    )
    market_as_limit: bool = Field(
        default=True,
        description="Whether MARKET and SL-M go out as limits a little through the best price: brokers refuse market "
        "orders from programs since 2026. Costs one or two more calls for each such order.",
    )
    connect_timeout_s: Seconds = Field(
        default=5.0,
        description="Seconds to wait for a connection. Longer rides out a slow network, and holds up other calls.",
    )
    read_timeout_s: Seconds = Field(
        default=10.0,
        description="Seconds to wait for an answer; after that an order's outcome is unknown until the order book "
        "tells. Also the longest time one silent call holds up all others.",
    )
    absence_grace_s: Seconds = Field(
        default=15.0,
        description="Seconds during which an order of unknown outcome may be missing from the order book before "
        "it can be proven absent. Shorter frees the symbol sooner, and risks calling a late order dead.",
    )
    push_feed: bool = Field(
        default=True,
        description="Whether the broker's push feed is listened to. It only makes fills and rejections known sooner "
        "than the next read of the order book. Brokers allow one connection a user: switch it off where another "
        "program needs it.",
    )
    ws_ack_timeout_s: Seconds = Field(
        default=15.0, description="Seconds to wait until the push feed confirms the login; then it is connected anew."
    )
    ws_silence_s: Seconds = Field(
        default=30.0,
        description="Seconds without any frame after which the push feed counts as dead and is connected anew.",
    )


class DatabaseSettings(Section):
    """The order store."""

    url: Annotated[SecretStr | None, BeforeValidator(empty_is_unset)] = Field(
        default=None,
        description="sqlite:///path/to/file.db or postgresql://user:password@host/name. Empty: sixstep.db in data_dir.",
    )
    url_file: OptionalPath = Field(default=None, description="File that holds the URL, for one with a password in it.")


class RiskSettings(Section):
    """Step 2A. Zero switches a limit off. EXIT orders always pass."""

    max_daily_loss: Rupees = Field(
        default=Decimal(10_000),
        description="Rupees. Once the day's P&L is at or below minus this in two successive reads of positions, "
        "ENTRY and ADJUST wait for the next trading day.",
    )
    max_loss: Rupees = Field(
        default=Decimal(20_000),
        description="Rupees. Once the day's P&L is at or below minus this in two successive reads of positions, "
        "trading is halted until a person resumes. It is halted again when another max_loss is lost, counted from the "
        "loss at the halt or, if that is more, at the resume.",
    )
    square_off_on_max_loss: bool = Field(
        default=False,
        description="Whether reaching max_loss also exits everything strategies hold (never delivery holdings).",
    )
    cooldown_s: SecondsOrZero = Field(
        default=10.0,
        description="Seconds a strategy waits after a losing exit, and the whole account after "
        "max_consecutive_losses, before the next ENTRY.",
    )
    max_consecutive_losses: Count = Field(
        default=3, description="Losing exits in a row, over all strategies, after which the whole account cools down."
    )
    max_order_quantity: Count = Field(default=10_000, description="Units (not lots) one order may have.")
    max_order_value: Rupees = Field(default=Decimal(2_500_000), description="Rupees one order may be worth.")
    max_open_orders: Count = Field(default=100, description="Orders that may be open at the broker at the same time.")
    max_orders_per_day: Count = Field(
        default=2_000, description="Orders that may be sent to the broker on one trading day."
    )
    pnl_max_age_s: Seconds = Field(
        default=15.0,
        description="Seconds after which a read P&L is too old for an ENTRY. Must be above positions_interval_s.",
    )


class Slices(StrEnum):
    """How the slices of an order above the freeze quantity go out."""

    IN_TURN = "in_turn"
    PARALLEL = "parallel"


class LimitSettings(Section):
    """How much the broker and the mailboxes are asked to take."""

    broker_calls_per_s: Positive = Field(
        default=10,
        description="Calls a second to the broker, all kinds together. Brokers refuse or slow down beyond theirs.",
    )
    broker_calls_per_min: Positive = Field(
        default=120,
        description="Calls a minute to the broker, all kinds together. Reading the books takes about 72 of them, which "
        "quotes leave alone; where orders need more than the rest, books and quotes are read more slowly.",
    )
    reserve_calls_for_exits: Count = Field(
        default=2, description="Calls of each second that only exits and cancels may use."
    )
    reserve_calls_for_exits_per_min: Count = Field(
        default=30,
        description="The same for each minute. A market exit takes two calls, and one where another exit of its symbol "
        "waits beside it. More lets more exits go at once after many entries, and leaves less to entries and quotes.",
    )
    send_deadline_s: Seconds = Field(
        default=30.0,
        description="Seconds after which an ENTRY or ADJUST that could not be sent yet is not sent any more.",
    )
    exit_deadline_s: Seconds = Field(
        default=120.0,
        description="The same for an EXIT. The broker's limits may hold one up for a minute, until the calls before it "
        "have left the minute; it should be well above that.",
    )
    mailbox_letters: Positive = Field(
        default=10_000, description="Envelopes one actor's mailbox holds before further ones are refused."
    )
    waiting_orders: Positive = Field(
        default=500, description="Orders that may wait between registration and the broker before new ones are refused."
    )
    slices: Slices = Field(
        default=Slices.IN_TURN,
        description="How an order above the freeze quantity goes out, as several. in_turn: each once the broker took "
        "the one before it; one that is refused, or an unknown outcome unless this is an EXIT, stops the rest. "
        "parallel: all at once within the limits of calls, whatever becomes of one.",
    )


class WhenUnverified(StrEnum):
    """What happens to an EXIT when the account cannot be read before it goes."""

    SEND = "send"
    HOLD = "hold"


class ExitSettings(Section):
    """Before an EXIT goes: the account is read, so that it closes no more than is the strategies' own."""

    when_unverified: WhenUnverified = Field(
        default=WhenUnverified.SEND,
        description="What happens when the account cannot be read in time. send: the EXIT goes unverified, and may "
        "open a position if somebody else closed the holding. hold: it FAILS, the holding stays open. Both alarm.",
    )
    verify_within_s: Seconds = Field(
        default=3.0,
        description="Seconds an EXIT may wait for these reads, at most half of its time to the send deadline.",
    )


class ChaseSettings(Section):
    """Orders at the market go as limits; one that is left behind is moved after the market at the broker."""

    exits: bool = Field(
        default=False,
        description="Whether an EXIT at the market that does not fill is moved through the touch, step by step as far "
        "as the day's band; there, or after `steps`, it is an alarm.",
    )
    entries: bool = Field(
        default=False,
        description="Whether an ENTRY or ADJUST is: by one step at a time, within the bounds below; then it rests.",
    )
    every_s: Seconds = Field(default=2.0, description="Seconds before the first step, and between two.")
    step_percent: Decimal = Field(
        default=Decimal("0.25"), gt=0, le=10, description="How far a step goes at least, in percent of the limit."
    )
    step_ticks: Count = Field(default=0, description="The same in price steps. 0: by step_percent.")
    steps: Positive = Field(
        default=20, le=50, description="Steps of one order at most: exchanges bound how often an order is modified."
    )
    within_s: Seconds = Field(default=30.0, description="Seconds after which an ENTRY or ADJUST is not moved any more.")
    most_percent: Decimal = Field(
        default=Decimal(1), gt=0, le=20, description="How far an ENTRY or ADJUST is moved from its first limit."
    )


class WatcherSettings(Section):
    """Step 6."""

    interval_s: Seconds = Field(
        default=1.0, description="Seconds between two reads of the order book: how late a fill or rejection is noticed."
    )
    quiet_interval_s: Seconds = Field(
        default=1.5,
        description="The same while no order is open and nothing has moved for 10 s, as long as the push feed is up "
        "and has told of everything the books showed. interval_s or less: always as often.",
    )
    positions_interval_s: Seconds = Field(
        default=5.0,
        description="Seconds between two reads of positions and P&L; they are also read after each execution.",
    )
    unreadable_alarm_after: Positive = Field(
        default=5, description="Failed reads in a row after which an alarm is raised and new orders wait."
    )


class WebSettings(Section):
    """The webhook, the API and the pages."""

    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on. Anything but this machine itself needs webhook_secret, and api_token or "
        "dashboard_password; put a reverse proxy with TLS before it.",
    )
    port: Port = Field(default=8787, description="Port to listen on; 0 takes a free one.")
    webhook_secret: Secret = Field(
        default=None,
        description="What senders of orders must know. Empty: POST /webhook is taken from this machine only.",
    )
    webhook_secret_file: OptionalPath = Field(default=None, description="File that holds webhook_secret.")
    allow_from: OptionalNetworks = Field(
        default=None,
        description="Addresses and networks that may POST /webhook or call /api/v1, with commas between, for "
        "instance those TradingView publishes. Empty: any that knows the secret.",
    )
    trusted_proxies: OptionalNetworks = Field(
        default=None,
        description="Addresses of reverse proxies whose X-Forwarded-For is believed, with commas between; rate limit "
        "and allow_from then look at who is behind them.",
    )
    api_token: Secret = Field(
        default=None,
        description="Bearer token of /api and /metrics, for programs: at least 16 random characters. Empty, with no "
        "dashboard_password: /api is for this machine only. Commands of run.py by the service's own user on its own "
        "machine need none: they use a key that the service leaves in data_dir.",
    )
    api_token_file: OptionalPath = Field(default=None, description="File that holds api_token.")
    dashboard_password: Secret = Field(
        default=None,
        description="Password of the pages, or its argon2 hash as `run.py hash-password` makes it. Empty: the pages "
        "are for this machine only, and for nobody where api_token is set.",
    )
    dashboard_password_file: OptionalPath = Field(default=None, description="File that holds dashboard_password.")
    wait_s: Annotated[float, BeforeValidator(number), Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=5.0,
        description="Seconds POST /webhook waits for the broker's answer before it tells how far the order is.",
    )
    requests_per_min: Positive = Field(
        default=600, description="Requests a minute that one address may post to /webhook; a minute's worth at once."
    )


class TelegramSettings(Section):
    """Alerts to a person."""

    token: Secret = Field(default=None, description="The bot's token. Empty: no Telegram.")
    token_file: OptionalPath = Field(default=None, description="File that holds token.")
    chat_id: OptionalText = Field(default=None, description="The chat that gets the alerts.")
    base_url: HttpUrl = Field(default="https://api.telegram.org", description="The Bot API's server.")
    command_chats: OptionalChats = Field(
        default=None,
        description="Chats whose commands are obeyed (/status, /halt, ...), with commas between; everybody in them may "
        "command. Empty: no commands are taken.",
    )
    poll_s: Seconds = Field(default=1.0, description="Seconds between two looks for commands.")
    fills: bool = Field(default=True, description="Whether executed orders are told.")
    rejections: bool = Field(default=True, description="Whether failed orders are told, with tag and reason.")
    unknown_outcomes: bool = Field(default=True, description="Whether orders are told whose outcome is not known.")
    breaches: bool = Field(default=True, description="Whether reached loss limits are told.")
    halts: bool = Field(default=True, description="Whether halts and resumes are told.")
    session: bool = Field(default=True, description="Whether a lost session and an unreadable broker are told.")
    external_orders: bool = Field(default=True, description="Whether orders and positions nobody here made are told.")
    trouble: bool = Field(default=True, description="Whether everything else is told: errors, odd answers, never sent.")


class TraceSettings(Section):
    """The record of messages."""

    dir: OptionalPath = Field(
        default=None, description="Where the trace of each calendar day is written. Empty: in data_dir."
    )
    ring: Annotated[int, BeforeValidator(number), Field(ge=100, le=10_000_000)] = Field(
        default=20_000, description="Messages kept in memory for /api/trace; about 1 KB each."
    )
    keep_days: Annotated[int, BeforeValidator(number), Field(ge=1, le=3650)] = Field(
        default=30, description="Days a trace file is kept; older ones are deleted as a new day's begins."
    )


class LogLevel(StrEnum):
    """How much is logged."""

    TRACE = "TRACE"
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Rotation = Annotated[str, StringConstraints(pattern=r"^(\d{1,4} (KB|MB|GB|hours?|days?|weeks?)|[0-2]\d:[0-5]\d)$")]
Retention = Annotated[str, StringConstraints(pattern=r"^\d{1,4} (days?|weeks?|months?|years?)$")]


class LogSettings(Section):
    """The log files."""

    dir: OptionalPath = Field(default=None, description="Where log files are written. Empty: in data_dir.")
    level: Annotated[LogLevel, BeforeValidator(_upper)] = Field(
        default=LogLevel.INFO, description="TRACE, DEBUG, INFO, WARNING or ERROR; the first two are slow and long."
    )
    rotation: Rotation = Field(
        default="20 MB", description='When a new file is begun: "20 MB", "1 day", or a time as "00:00".'
    )
    retention: Retention = Field(default="30 days", description='How long old files are kept: "30 days", "6 months".')


def _read_only(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


class StrategySettings(Section):
    """One `[[strategies]]` entry: the class by dotted path, the strategy's name, and its own parameters.

    Parameters have the types TOML gives them; a price that must be exact is written as a text.
    """

    class_path: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", max_length=200)]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    # Not in the repr: a strategy's parameters may hold a secret of its own.
    parameters: Annotated[Mapping[str, Any], AfterValidator(_read_only), PlainSerializer(dict)] = Field(
        default_factory=dict, repr=False
    )


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One mistake or doubt: where it stands, what is wrong and how to mend it."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class Settings(Section):
    """All settings. `Settings()` is every default; `load_settings` reads file and environment and cross-checks."""

    service: ServiceSettings = ServiceSettings()
    broker: BrokerSettings = BrokerSettings()
    database: DatabaseSettings = DatabaseSettings()
    risk: RiskSettings = RiskSettings()
    limits: LimitSettings = LimitSettings()
    exits: ExitSettings = ExitSettings()
    chase: ChaseSettings = ChaseSettings()
    watcher: WatcherSettings = WatcherSettings()
    instruments: InstrumentSettings = InstrumentSettings()
    prices: PriceSettings = PriceSettings()
    protection: ProtectionSettings = ProtectionSettings()
    web: WebSettings = WebSettings()
    openalgo: OpenAlgoSettings = OpenAlgoSettings()
    telegram: TelegramSettings = TelegramSettings()
    trace: TraceSettings = TraceSettings()
    log: LogSettings = LogSettings()
    paper: PaperSettings = PaperSettings()
    strategies: tuple[StrategySettings, ...] = ()

    _warnings: tuple[SettingsProblem, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[SettingsProblem, ...]:
        """What can hardly be meant and is not refused; for the log and for `check-settings`."""
        return self._warnings

    def with_warnings(self, warnings: Iterable[SettingsProblem]) -> Settings:
        """The same settings, warned of."""
        copied = self.model_copy()
        copied._warnings = tuple(warnings)
        return copied

    @property
    def account(self) -> str:
        """The account orders are for."""
        return self.service.account or self.broker.user_id or "PAPER"

    @property
    def zone(self) -> ZoneInfo:
        """The exchange's time zone."""
        return ZoneInfo(self.service.timezone)

    @property
    def calendar(self) -> TradingCalendar:
        """The trading days."""
        return TradingCalendar(self.zone, self.service.day_starts_at)

    @property
    def database_url(self) -> str:
        """Where the database is; may hold a password, so it is not to be logged."""
        url = self.database.url
        return url.get_secret_value() if url else f"sqlite:///{self.service.data_dir / 'sixstep.db'}"

    @property
    def trace_dir(self) -> Path:
        """Where traces are written."""
        return self.trace.dir or self.service.data_dir / "trace"

    @property
    def log_dir(self) -> Path:
        """Where logs are written."""
        return self.log.dir or self.service.data_dir / "log"

    @property
    def order_check(self) -> OrderCheck:
        """What becomes of an order that its instrument does not take."""
        return self.instruments.check or OrderCheck.REFUSE

    @property
    def closed_check(self) -> ClosedCheck:
        """What becomes of an order that comes while its exchange is closed; the paper exchange never is."""
        on_paper = self.broker.profile is Profile.PAPER
        return self.instruments.market_closed or (ClosedCheck.PASS if on_paper else ClosedCheck.WARN)

    @property
    def runs_paper_exchange(self) -> bool:
        """Whether the service starts its own paper exchange: the profile paper, and no other host named."""
        return self.broker.profile is Profile.PAPER and self.broker.host is None
