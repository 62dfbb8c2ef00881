"""Replies, and the exact words in which a Noren server refuses (protocol sections 2.2 to 2.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.paper.times import clock_then_date
from core.paper.wire import Fate, Reply

__all__ = ["BAD_GATEWAY", "Refusal", "Row", "array", "array_of", "not_ok", "obj", "ok"]

Row = dict[str, object]
"""One JSON object of the wire; its values are strings but for a few lists."""

SESSION_EXPIRED = "Session Expired :  Invalid Session Key"
WRONG_PASSWORD = "Invalid Input : Wrong Password"
WRONG_TOTP = "Invalid Input :  Invalid TOTP"
WRONG_APP_KEY = "Invalid Input :  Invalid App Key"
INVALID_VERIFIER = "Invalid Input : INVALID_VERIFIER"
JDATA_MISSING = "Invalid Input :  jData is Missing."
JDATA_INVALID = "Invalid Input :  jData is not valid json object"
MISSING_PRODUCT = "Invalid Input : Missing uid or actid or prd."
INVALID_DISCLOSED = "Invalid Input :  Invalid Disc Qty"
INVALID_POSITION_TYPE = "Invalid Input :  Invalid Position Type"
INVALID_AMO = "Invalid Input :  Invalid AMO"
EMPTY_NUMBER = "Invalid Input :  basic_string::at: __n (which is 0) >= this->size() (which is 0)"
INVALID_ORDER = 'Error Occurred : 2 "invalid input"'
NO_DATA = 'Error Occurred : 5 "no data"'
NOTHING_FOUND = "No Data :  "
SERVER_TIMEOUT = "Server Timeout :  "
ORDER_NOT_FOUND = "Rejected : ORA:Order not found"
ORDER_NOT_FOUND_TO_CANCEL = "Rejected : ORA:Order not found to Cancel"
MARKET_REFUSED = "Rejected : ALGO_CHK: MKT Order type not allowed for API order"
ADDRESS_REFUSED = "Rejected : ALGO_CHK: Invalid IP address"

_HTML_502 = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_HTML_404 = _HTML_502.replace(b"502 Bad Gateway", b"404 Not Found")

BAD_GATEWAY = Reply(502, _HTML_502, "text/html")
NOT_FOUND = Reply(404, _HTML_404, "text/html")
TOO_MANY = Reply(429, b"Too Many Requests\n", "text/plain")
EMPTY = Reply(200, b"")
HANG = Reply(fate=Fate.HANG)
DROP = Reply(fate=Fate.CLOSE)


class Refusal(Exception):
    """A request that is refused in the reply, with nothing done.

    Args:
        emsg: The server's words.
        status: The HTTP status; 0 takes 400 for invalid input and 200 for everything else (protocol section 2.3).
    """

    def __init__(self, emsg: str, status: int = 0) -> None:
        super().__init__(emsg)
        self.emsg = emsg
        self.status = status or (400 if emsg.startswith("Invalid Input") else 200)


def ok(now: datetime, fields: Mapping[str, object] | None = None) -> Reply:
    """`stat:"Ok"` with the time and `fields`."""
    return obj({"request_time": clock_then_date(now), "stat": "Ok", **(fields or {})})


def not_ok(emsg: str, now: datetime, status: int = 200) -> Reply:
    """`stat:"Not_Ok"` with the reason."""
    return obj({"stat": "Not_Ok", "emsg": emsg, "request_time": clock_then_date(now)}, status)


def obj(fields: Mapping[str, object], status: int = 200) -> Reply:
    """One JSON object."""
    return Reply(status, dump(fields).encode())


def array(rows: Sequence[Row], now: datetime) -> Reply:
    """A book: an array of rows, or the `no data` object when it is empty (protocol section 2.2)."""
    if not rows:
        return not_ok(NO_DATA, now)
    return Reply(200, dump(rows).encode())


def array_of(rows: Sequence[bytes], now: datetime) -> Reply:
    """The same, of rows that are written already."""
    if not rows:
        return not_ok(NO_DATA, now)
    return Reply(200, b"[%b]" % b",".join(rows))


def dump(value: object) -> str:
    """JSON as the server writes it."""
    return json.dumps(value, separators=(",", ":"))
