"""What a raw reply means: the table of protocol 15.1 as pure functions.

Two questions, two answers. Of an *order call* (place, modify, cancel): was it accepted, refused, never sent, or is the
outcome unknown. Of a *read*: rows, nothing there, or why it failed. An order call is refused only on words that are
known to mean so; everything else is unknown, because a wrong "refused" is an order sent twice.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from core.model.outcomes import Accepted, NotSent, OrderOutcome, ReadError, ReadFailure, Refusal, Refused, Unknown
from core.noren.credentials import Redactor
from core.noren.transport import Delivery, RawReply

__all__ = [
    "EMSGS",
    "Emsg",
    "Meaning",
    "meaning",
    "object_outcome",
    "order_outcome",
    "row_texts",
    "rows_outcome",
]


class Meaning(StrEnum):
    """What an `emsg` tells."""

    NO_DATA = "NO_DATA"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    RATE_LIMITED = "RATE_LIMITED"
    TIMEOUT = "TIMEOUT"
    REFUSED = "REFUSED"
    UNRECOGNISED = "UNRECOGNISED"


class Emsg(NamedTuple):
    """One family of the broker's words: a pattern searched without regard to case, and what it means."""

    pattern: str
    meaning: Meaning


# Protocol 2.4; the first that matches decides. `\s*:\s*` because real servers put one or two spaces after the colon.
EMSGS: tuple[Emsg, ...] = (
    Emsg(r"^session expired\b", Meaning.SESSION_EXPIRED),
    Emsg(r"\binvalid session key\b", Meaning.SESSION_EXPIRED),
    # "Order Recieved 11 in a current second exceeds Limit 10 for user", also under "Invalid Input : ".
    Emsg(r"\bin a current (second|minute|hour|day)\b.*\bexceeds limit\b", Meaning.RATE_LIMITED),
    Emsg(r"^server timeout\b", Meaning.TIMEOUT),
    # "Error Occurred : 5 "no data"", spelt "Occured" in some documents, also `5 {"no data"}`.
    Emsg(r"^error occurr?ed\s*:\s*5\b", Meaning.NO_DATA),
    Emsg(r"^no data\s*:", Meaning.NO_DATA),
    Emsg(r"^error occurr?ed\s*:\s*2\b", Meaning.REFUSED),
    Emsg(r"^invalid input\s*:", Meaning.REFUSED),
    Emsg(r"^rejected\s*:", Meaning.REFUSED),
    # Seen without a category before them.
    Emsg(r"^algo_chk\s*:", Meaning.REFUSED),
    Emsg(r"^invalid amo\b", Meaning.REFUSED),
    Emsg(r"^trigger price invalid\b", Meaning.REFUSED),
)

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_COMPILED = tuple((re.compile(known.pattern, re.IGNORECASE), known.meaning) for known in EMSGS)
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
_UNAUTHORISED = (401, 403)


def meaning(emsg: str) -> Meaning:
    """What the broker's words mean, by the catalogue `EMSGS`."""
    words = emsg.strip()
    for pattern, found in _COMPILED:
        if pattern.search(words):
            return found
    return Meaning.UNRECOGNISED


def order_outcome(reply: RawReply, redactor: Redactor) -> OrderOutcome:
    """The outcome of PlaceOrder, ModifyOrder or CancelOrder (protocol 15.1).

    The number is read from `norenordno`, or from `result` where modify and cancel put it.
    """
    if reply.delivery is Delivery.NOT_SENT:
        return NotSent(reply.problem)
    if reply.delivery is Delivery.UNKNOWN:
        return Unknown(reply.problem)
    document = _document(reply.text)
    if isinstance(document, dict):
        if _is_ok(document):
            return _accepted(document)
        return _not_ok_outcome(reply, document, redactor)
    if reply.status == _TOO_MANY_REQUESTS:
        return Refused("HTTP 429: too many requests", Refusal.RATE_LIMITED)
    return Unknown(_unreadable(reply, redactor))


def _accepted(document: dict[str, Any]) -> OrderOutcome:
    number = document.get("norenordno") or document.get("result")
    text = str(number).strip() if isinstance(number, str | int) else ""
    # Scenario A6: a false success is worse than a question.
    return Accepted(text) if text else Unknown("the broker says Ok and gives no order number")


def _not_ok_outcome(reply: RawReply, document: dict[str, Any], redactor: Redactor) -> OrderOutcome:
    words, told = _words(document, redactor)
    match told:
        case Meaning.SESSION_EXPIRED:
            return Refused(words, Refusal.SESSION_EXPIRED)
        case Meaning.RATE_LIMITED:
            return Refused(words, Refusal.RATE_LIMITED)
        case Meaning.REFUSED:
            return Refused(words)
    if reply.status == _TOO_MANY_REQUESTS and told is not Meaning.TIMEOUT:
        return Refused(words or "HTTP 429: too many requests", Refusal.RATE_LIMITED)
    return Unknown(words or _unreadable(reply, redactor))


def rows_outcome(reply: RawReply, redactor: Redactor) -> tuple[Any, ...]:
    """The rows of a book: an array, or an object that says why there is none. None at all when there is no data.

    Raises:
        ReadError: The book was not read.
    """
    _check_answered(reply)
    document = _document(reply.text)
    if isinstance(document, list):
        # A refusal inside an array is still a refusal, not a row.
        first = document[0] if len(document) == 1 else None
        if not (isinstance(first, dict) and "emsg" in first and not _is_ok(first)):
            return tuple(document)
        document = first
    if isinstance(document, dict) and not _is_ok(document):
        if _words(document, redactor)[1] is Meaning.NO_DATA:
            return ()
        raise _refused_read(reply, document, redactor)
    raise _unreadable_read(reply, redactor)


def row_texts(reply: RawReply) -> list[bytes] | None:
    """The rows of a book as they were written, none of them read; None where `rows_outcome` has to look at it.

    What passes here is JSON throughout; what does not may be all the same, such as a NaN or half a surrogate pair.
    """
    if reply.delivery is not Delivery.ANSWERED or not reply.text.startswith("["):
        return None
    try:
        rows = _ROWS.decode(reply.text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    # One row alone may be a refusal.
    return [bytes(row) for row in rows] if len(rows) > 1 else None


def object_outcome(reply: RawReply, redactor: Redactor) -> dict[str, Any]:
    """The answer that is one object: limits, a quote, a search.

    Raises:
        ReadError: There is none; "no data" is `ReadFailure.UNREADABLE`.
    """
    _check_answered(reply)
    document = _document(reply.text)
    if not isinstance(document, dict):
        raise _unreadable_read(reply, redactor)
    if not _is_ok(document):
        raise _refused_read(reply, document, redactor)
    return document


def _check_answered(reply: RawReply) -> None:
    if reply.delivery is not Delivery.ANSWERED:
        raise ReadError(ReadFailure.UNREACHABLE, reply.problem)


def _refused_read(reply: RawReply, document: dict[str, Any], redactor: Redactor) -> ReadError:
    words, told = _words(document, redactor)
    reason = words or _unreadable(reply, redactor)
    if told is Meaning.SESSION_EXPIRED:
        return ReadError(ReadFailure.SESSION_EXPIRED, reason)
    if told is Meaning.RATE_LIMITED or reply.status == _TOO_MANY_REQUESTS:
        return ReadError(ReadFailure.UNREACHABLE, reason, rate_limited=True)
    if told is Meaning.TIMEOUT:
        return ReadError(ReadFailure.UNREACHABLE, reason)
    if told is Meaning.UNRECOGNISED and reply.status in _UNAUTHORISED:
        return ReadError(ReadFailure.SESSION_EXPIRED, reason)
    return ReadError(ReadFailure.UNREADABLE, reason)


def _unreadable_read(reply: RawReply, redactor: Redactor) -> ReadError:
    """A body that is not what was asked for; only here the HTTP status decides (protocol 2.3)."""
    reason = _unreadable(reply, redactor)
    status = reply.status or 0
    if status == _TOO_MANY_REQUESTS:
        return ReadError(ReadFailure.UNREACHABLE, reason, rate_limited=True)
    if status in _UNAUTHORISED:
        return ReadError(ReadFailure.SESSION_EXPIRED, reason)
    if status >= _SERVER_ERROR:
        return ReadError(ReadFailure.UNREACHABLE, reason)
    return ReadError(ReadFailure.UNREADABLE, reason)


def _document(text: str) -> Any:
    """The JSON value of a body; None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_ok(document: dict[str, Any]) -> bool:
    # One documented sample writes "OK".
    return str(document.get("stat", "")).strip().lower() == "ok"


def _words(document: dict[str, Any], redactor: Redactor) -> tuple[str, Meaning]:
    """The broker's own words, fit to be shown, and what they mean."""
    emsg = document.get("emsg")
    words = emsg if isinstance(emsg, str) else ""
    return redactor.clean(words), meaning(words)


def _unreadable(reply: RawReply, redactor: Redactor) -> str:
    body = redactor.clean(reply.text, limit=120)
    return f"HTTP {reply.status}, not what was asked for: {body or 'empty body'}"
