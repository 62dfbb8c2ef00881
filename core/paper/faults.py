"""Faults: what a broker does wrong, on demand (protocol section 14.2).

A rule says what goes wrong, for whom, and how often. Code that could go wrong asks `Faults.hit`; a rule that answers
has fired once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from core.paper.orders import Report

__all__ = ["DEFAULT_PATH", "MEANING", "FaultConfig", "FaultKind", "Faults", "Rule", "parameters_of"]


class FaultKind(StrEnum):
    """What goes wrong; `MEANING` has a sentence on each."""

    ACCEPT_HANG = "accept_hang"
    ACCEPT_CLOSE = "accept_close"
    ACCEPT_502 = "accept_502"
    ACCEPT_EMPTY = "accept_empty"
    ACCEPT_SERVER_TIMEOUT = "accept_server_timeout"
    ACCEPT_NO_NUMBER = "accept_no_number"
    DROP_502 = "drop_502"
    DROP_CLOSE = "drop_close"
    DROP_HANG = "drop_hang"
    DROP_SERVER_TIMEOUT = "drop_server_timeout"
    REPLY_DELAY = "reply_delay"
    REFUSE_TEXT = "refuse_text"
    RATE_LIMIT_SECOND = "rate_limit_second"
    RATE_LIMIT_MINUTE = "rate_limit_minute"
    HTTP_429 = "http_429"
    BOOK_LAG = "book_lag"
    BOOK_MISSING_ORDER = "book_missing_order"
    BOOK_NO_DATA = "book_no_data"
    BOOK_SESSION_EXPIRED = "book_session_expired"
    BOOK_SERVER_TIMEOUT = "book_server_timeout"
    BOOK_502 = "book_502"
    BOOK_HANG = "book_hang"
    PUSH_LOST = "push_lost"
    PUSH_DOUBLED = "push_doubled"
    PUSH_REORDERED = "push_reordered"
    PUSH_BEFORE_REPLY = "push_before_reply"
    PUSH_BARE = "push_bare"
    SOCKET_REFUSED = "socket_refused"
    SOCKET_NO_ACK = "socket_no_ack"
    SOCKET_NOT_OK = "socket_not_ok"
    SOCKET_SILENT = "socket_silent"
    SOCKET_CLOSE = "socket_close"
    TOKEN_KILLED = "token_killed"
    REJECT_ORDER = "reject_order"
    EXCHANGE_REJECT = "exchange_reject"
    LATE_FILL_AFTER_CANCEL = "late_fill_after_cancel"
    CANCEL_OK_THEN_FILL = "cancel_ok_then_fill"
    MODIFY_OK_THEN_REJECTED = "modify_ok_then_rejected"
    MODIFY_LATE = "modify_late"
    CANCEL_REFUSED_WHILE_OPEN = "cancel_refused_while_open"
    ROW_WITHOUT_FILL = "row_without_fill"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_REPORT = "unknown_report"
    STATUS_SPELLING = "status_spelling"
    QUOTE_ZERO = "quote_zero"
    QUOTE_INDEX_LEVEL = "quote_index_level"
    QUOTE_ONE_SIDED = "quote_one_sided"
    QUOTE_STALE = "quote_stale"
    QUOTE_WRONG = "quote_wrong"
    FEED_NO_TICKS = "feed_no_ticks"
    FEED_WRONG_INSTRUMENT = "feed_wrong_instrument"
    POSITION_UNPARSABLE = "position_unparsable"
    POSITION_MISSING = "position_missing"
    POSITION_FALSE = "position_false"


MEANING: Mapping[FaultKind, str] = {
    FaultKind.ACCEPT_HANG: "The request is carried out and never answered.",
    FaultKind.ACCEPT_CLOSE: "The request is carried out and the connection dropped.",
    FaultKind.ACCEPT_502: "The request is carried out and answered with nginx's 502 page.",
    FaultKind.ACCEPT_EMPTY: "The request is carried out and answered with an empty body.",
    FaultKind.ACCEPT_SERVER_TIMEOUT: "The request is carried out and answered `Server Timeout`.",
    FaultKind.ACCEPT_NO_NUMBER: "The order is taken; the Ok carries no order number.",
    FaultKind.DROP_502: "Nothing is done; nginx's 502 page.",
    FaultKind.DROP_CLOSE: "Nothing is done; the connection is dropped.",
    FaultKind.DROP_HANG: "Nothing is done; no answer.",
    FaultKind.DROP_SERVER_TIMEOUT: "Nothing is done; `Server Timeout`.",
    FaultKind.REPLY_DELAY: "The answer comes `seconds` late (1).",
    FaultKind.REFUSE_TEXT: "Refused with the words `text`, HTTP `status` (200).",
    FaultKind.RATE_LIMIT_SECOND: "Refused as too many calls in this second, beyond `limit` (10).",
    FaultKind.RATE_LIMIT_MINUTE: "Refused as too many calls in this minute, beyond `limit` (120).",
    FaultKind.HTTP_429: "HTTP 429 with a body that is no JSON.",
    FaultKind.BOOK_LAG: "OrderBook and TradeBook show the state `seconds` ago (2).",
    FaultKind.BOOK_MISSING_ORDER: "OrderBook leaves out the orders the rule matches.",
    FaultKind.BOOK_NO_DATA: "The book answers `no data`.",
    FaultKind.BOOK_SESSION_EXPIRED: "The book answers that the session has expired; the token stays good.",
    FaultKind.BOOK_SERVER_TIMEOUT: "The book answers `Server Timeout`.",
    FaultKind.BOOK_502: "The book answers nginx's 502 page.",
    FaultKind.BOOK_HANG: "The book never answers.",
    FaultKind.PUSH_LOST: "An om frame is not sent.",
    FaultKind.PUSH_DOUBLED: "An om frame is sent twice.",
    FaultKind.PUSH_REORDERED: "An om frame comes `seconds` late (0.25), so that later ones overtake it.",
    FaultKind.PUSH_BEFORE_REPLY: "The HTTP answer comes `seconds` late (0.25), after the frames it caused.",
    FaultKind.PUSH_BARE: "An om frame without remarks, qty, prc, uid and actid.",
    FaultKind.SOCKET_REFUSED: "The socket is cut as soon as it opens, whoever it is.",
    FaultKind.SOCKET_NO_ACK: "The connect frame is never acknowledged and nothing is pushed.",
    FaultKind.SOCKET_NOT_OK: "The connect frame is refused; the socket stays open and silent.",
    FaultKind.SOCKET_SILENT: "From its acknowledgement or an om frame on the socket plays dead: no frame, no PONG.",
    FaultKind.SOCKET_CLOSE: "The socket is closed with 1000 when the next om frame is due; the frame is lost.",
    FaultKind.TOKEN_KILLED: "The token of the request dies before the request is looked at.",
    FaultKind.REJECT_ORDER: "The risk engine rejects the order with `text`.",
    FaultKind.EXCHANGE_REJECT: "The exchange rejects the order with `text`.",
    FaultKind.LATE_FILL_AFTER_CANCEL: "`seconds` (0.5) after its cancellation the order fills, `qty` units or all.",
    FaultKind.CANCEL_OK_THEN_FILL: "The cancel is answered Ok, then the order fills and the cancel is refused.",
    FaultKind.MODIFY_OK_THEN_REJECTED: "The modification is answered Ok, then refused by the exchange with `text`.",
    FaultKind.MODIFY_LATE: "The modification is answered Ok and comes to the exchange `seconds` (2) late.",
    FaultKind.CANCEL_REFUSED_WHILE_OPEN: "The cancel is answered Not_Ok; the order lives on.",
    FaultKind.ROW_WITHOUT_FILL: "A COMPLETE row without fillshares and avgprc.",
    FaultKind.UNKNOWN_STATUS: "Rows and frames carry the status `text` (INVALID_STATUS_TYPE).",
    FaultKind.UNKNOWN_REPORT: "Rows and frames carry the report type `text` (INVALID_REPORT_TYPE).",
    FaultKind.STATUS_SPELLING: "The status `from` (CANCELED) is spelt `to` (CANCELLED) in rows and frames.",
    FaultKind.QUOTE_ZERO: "GetQuotes gives 0.00 for lp and an empty book.",
    FaultKind.QUOTE_INDEX_LEVEL: "GetQuotes gives the level of the index as lp and 0 for bid and ask.",
    FaultKind.QUOTE_ONE_SIDED: "GetQuotes shows nobody on one side, `text` (bids): bids or asks.",
    FaultKind.QUOTE_STALE: "GetQuotes gives the prices of `seconds` ago (60) as those of now.",
    FaultKind.QUOTE_WRONG: "GetQuotes gives every price half as high again.",
    FaultKind.FEED_NO_TICKS: "A change of price is not pushed, of the symbol `text` or of any; heartbeats go on.",
    FaultKind.FEED_WRONG_INSTRUMENT: "A price frame, of the symbol `text` or of any, has name and prices of the index.",
    FaultKind.POSITION_UNPARSABLE: "A PositionBook row has words for numbers.",
    FaultKind.POSITION_MISSING: "PositionBook leaves out a row.",
    FaultKind.POSITION_FALSE: "A PositionBook row has a hundredth of the last price, and the result that follows.",
}
"""What each fault does, for the control API's help and the documents."""

DEFAULT_PATH: Mapping[FaultKind, str] = {
    **{kind: "PlaceOrder" for kind in FaultKind if kind.value.startswith(("accept_", "drop_"))},
    **{kind: "OrderBook" for kind in FaultKind if kind.value.startswith("book_")},
    FaultKind.PUSH_BEFORE_REPLY: "PlaceOrder",
}
"""The endpoint a rule is about when it names none; for kinds not listed it is any. `*` means any."""


_PARAMETERS = ("seconds", "text", "status", "limit", "qty", "from", "to")


def parameters_of(kind: FaultKind) -> tuple[str, ...]:
    """What a kind of fault takes besides what every rule has: the names that its meaning mentions."""
    return tuple(name for name in _PARAMETERS if f"`{name}`" in MEANING[kind])


class FaultConfig(BaseModel):
    """A fault as it is asked for, in the settings or by `add_fault`; what is left out is not narrowed down.

    A parameter that the kind does not take is refused, not passed over: a misspelt fault would look like none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind = Field(
        description="What goes wrong: a name from the table of faults in docs/paper-faults.md.",
        examples=[FaultKind.ACCEPT_502],
    )
    path: str = Field(
        default="", description="The endpoint it is about; * for any. Empty: PlaceOrder, OrderBook or any, by kind."
    )
    account: str = Field(default="", description="The account it is about. Empty: any.")
    remarks: str = Field(default="", description="What the remarks of the order begin with. Empty: any.")
    report: str = Field(default="", description="The report type of the om frame, such as Fill. Empty: any.")
    count: int | None = Field(
        default=None,
        ge=0,
        description="How many times it fires; 0 for as often as it is met. Left out: once, or with a probability "
        "below 1 as often as it is met.",
    )
    probability: float = Field(default=1.0, ge=0, le=1, description="The chance that it fires when it is met, 0 to 1.")
    seconds: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Seconds, for the kinds that wait or lag."
    )
    text: str | None = Field(default=None, description="The words, for the kinds that put words somewhere.")
    status: int | None = Field(default=None, ge=100, le=599, description="The HTTP status of refuse_text.")
    limit: int | None = Field(default=None, ge=0, description="The limit that the text of a rate limit names.")
    qty: int | None = Field(default=None, ge=0, description="Units that fill late; 0 for all that is left.")
    from_: str | None = Field(default=None, alias="from", description="The status that status_spelling looks for.")
    to: str | None = Field(default=None, description="What status_spelling writes instead.")

    @field_validator("kind", mode="before")
    @classmethod
    def _is_known(cls, kind: object) -> object:
        if kind not in list(FaultKind):
            raise PydanticCustomError("fault_kind", f"no fault {kind!r}; there are {', '.join(FaultKind)}")
        return kind

    @field_validator("path")
    @classmethod
    def _is_served(cls, path: str) -> str:
        # Imported late: the endpoints ask for faults.
        from core.paper.endpoints.gate import ENDPOINTS

        return _one_of(path, ("*", *ENDPOINTS), "endpoint")

    @field_validator("report")
    @classmethod
    def _is_reported(cls, report: str) -> str:
        return _one_of(report, [report.value for report in Report], "report type")

    @field_validator("seconds", "text", "status", "limit", "qty", "from_", "to")
    @classmethod
    def _is_taken(cls, value: object, info: ValidationInfo) -> object:
        kind, name = info.data.get("kind"), str(info.field_name).rstrip("_")
        if kind is not None and value is not None and name not in (taken := parameters_of(kind)):
            hint = f"it takes {', '.join(taken)}" if taken else "it takes nothing besides what every fault takes"
            raise PydanticCustomError("fault_parameter", f"{kind.value} takes no {name}; {hint}")
        return value

    @property
    def parameters(self) -> dict[str, Any]:
        """What was given of the kind's own parameters."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        return {name: given[name] for name in _PARAMETERS if name in given}


def _one_of(text: str, known: Iterable[str], what: str) -> str:
    """`text` if it is known or empty; otherwise it would be a rule that never fires."""
    if text and text not in (known := tuple(known)):
        raise PydanticCustomError("fault_place", f"no {what} {text!r}; there are {', '.join(known)}")
    return text


@dataclass(slots=True, eq=False)
class Rule:
    """One fault that waits for its occasion.

    Attributes:
        id: Its number.
        kind: What goes wrong.
        path: The endpoint it is about; `*` for any.
        account: The account it is about; empty for any.
        remarks: What the order's remarks begin with; empty for any.
        report: The report type of an om frame; empty for any.
        count: How many times it fires yet; 0 for as often as it is met.
        probability: The chance that it fires when it is met.
        parameters: What the kind takes besides, as MEANING names them.
        fired: How often it has fired.
    """

    id: int
    kind: FaultKind
    path: str = "*"
    account: str = ""
    remarks: str = ""
    report: str = ""
    count: int = 1
    probability: float = 1.0
    parameters: dict[str, Any] = field(default_factory=dict)
    fired: int = 0

    def number(self, name: str, default: float) -> float:
        """A numeric parameter."""
        return float(self.parameters.get(name, default))

    def text(self, name: str, default: str) -> str:
        """A text parameter."""
        return str(self.parameters.get(name, default))


class Faults:
    """The rules in force.

    Args:
        rng: Where the chance of rules with a probability comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last_id = 0
        self._by_kind: dict[FaultKind, list[Rule]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def __iter__(self) -> Iterator[Rule]:
        return iter(sorted((r for rules in self._by_kind.values() for r in rules), key=lambda r: r.id))

    def add(self, asked: FaultConfig) -> Rule:
        """Put a rule in force. Without a count it fires once, or, with a probability below 1, until it is removed."""
        self._last_id += 1
        rule = Rule(
            self._last_id,
            asked.kind,
            asked.path or DEFAULT_PATH.get(asked.kind, "*"),
            asked.account,
            asked.remarks,
            asked.report,
            asked.count if asked.count is not None else (1 if asked.probability >= 1 else 0),
            asked.probability,
            asked.parameters,
        )
        self._by_kind.setdefault(rule.kind, []).append(rule)
        return rule

    def remove(self, rule_id: int) -> bool:
        """Take one rule out of force; whether there was one."""
        for kind, rules in list(self._by_kind.items()):
            for rule in rules:
                if rule.id == rule_id:
                    self._discard(kind, rule)
                    return True
        return False

    def clear(self) -> None:
        """Take all rules out of force."""
        self._by_kind.clear()

    def hit(
        self,
        kind: FaultKind,
        when: Callable[[Rule], bool] | None = None,
        /,
        *,
        path: str = "*",
        account: str = "",
        remarks: str = "",
        report: str = "",
    ) -> Rule | None:
        """The rule of this kind that fires on this occasion, if any; it is used up by one.

        Args:
            kind: What could go wrong here.
            when: What else must hold of a rule.
            path: The endpoint called.
            account: Whose call, order or socket it is.
            remarks: The remarks of the order concerned.
            report: The report type of the frame concerned.
        """
        for rule in self._by_kind.get(kind, ()):
            if not _matches(rule, path, account, remarks, report) or (when is not None and not when(rule)):
                continue
            if rule.probability < 1 and self._rng.random() >= rule.probability:
                continue
            rule.fired += 1
            if rule.count and rule.fired >= rule.count:
                self._discard(kind, rule)
            return rule
        return None

    def _discard(self, kind: FaultKind, rule: Rule) -> None:
        self._by_kind[kind].remove(rule)
        if not self._by_kind[kind]:
            del self._by_kind[kind]


def _matches(rule: Rule, path: str, account: str, remarks: str, report: str) -> bool:
    return (
        (path == "*" or rule.path in ("*", path))
        and (not rule.account or rule.account == account)
        and remarks.startswith(rule.remarks)
        and (not rule.report or rule.report == report)
    )
