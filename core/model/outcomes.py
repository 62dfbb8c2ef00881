"""What became of a call to the broker: outcomes of order calls and logins, failures of reads. Source: protocol 15.1."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Accepted",
    "Book",
    "LoggedIn",
    "LoginFailed",
    "LoginOutcome",
    "LoginRefused",
    "NotSent",
    "OrderOutcome",
    "ReadError",
    "ReadFailure",
    "Refusal",
    "Refused",
    "Unknown",
]


class ReadFailure(StrEnum):
    """Why a read gave nothing: three different reactions (scenario B6)."""

    SESSION_EXPIRED = "SESSION_EXPIRED"
    UNREACHABLE = "UNREACHABLE"
    UNREADABLE = "UNREADABLE"


class Book(StrEnum):
    ORDERS = "order book"
    TRADES = "trade book"
    POSITIONS = "position book"


class Refusal(StrEnum):
    """Why an order call was refused, as far as the next step depends on it."""

    PLAIN = "PLAIN"
    """The order itself: correct it."""

    SESSION_EXPIRED = "SESSION_EXPIRED"
    """The token is dead: log in once, then it may be sent again."""

    RATE_LIMITED = "RATE_LIMITED"
    """Too many calls: it may be sent again after the window."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker's OMS took it. Rejections by risk management or the exchange come later, in the book."""

    broker_order_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of it exists at the broker. `reason` is in the broker's own words."""

    reason: str
    kind: Refusal = Refusal.PLAIN


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request was never written; it may be sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may exist at the broker: find out from the book, never send it again before that."""

    reason: str


OrderOutcome = Accepted | Refused | NotSent | Unknown


class ReadError(Exception):
    """A read that gave nothing. It says nothing about what is there (scenarios B5, B6).

    Attributes:
        failure: Which of the three reactions it calls for.
        reason: In the broker's words or ours, free of secrets.
        rate_limited: The broker was asked too often.
    """

    def __init__(self, failure: ReadFailure, reason: str, *, rate_limited: bool = False) -> None:
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
        self.rate_limited = rate_limited


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The session is up. `token` is what a later start may be handed as an access token; it is not shown."""

    user_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """No session without a person: the broker said no, or a token or code is wanted (scenarios E1, E2)."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """There was no verdict: not reached, asked too often, or not understood. It may be tried again, with patience.

    `retry_in_s` says when, where that is known; `answered` that the broker said something that is neither yes nor no.
    """

    reason: str
    retry_in_s: float | None = None
    answered: bool = False


LoginOutcome = LoggedIn | LoginRefused | LoginFailed
