"""The body of a request: what the library wrote, mended for the broker at hand.

The grammar is `jData=<JSON object>` and, with a key, `&jKey=<token>`. Servers split it on `&` before they parse
(protocol 2.1), so a raw `&` in any value would change the request: scenario F4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from core.noren.profiles import AmpersandEscape, BrokerProfile, TokenPlace

__all__ = ["BadBody", "jdata", "mend"]

_PREFIX = "jData="
_KEY = "&jKey="
# The fields the library passes through quote_plus.
_QUOTED_BY_LIBRARY = ("tsym", "stext")
_decoder = json.JSONDecoder()


class BadBody(ValueError):
    """The library wrote something else than the body we know; it is not sent."""


def jdata(values: Mapping[str, Any], escape: AmpersandEscape) -> str:
    """`jData=` and the values as ASCII JSON in which no `&` is left."""
    # Inside JSON an ampersand can only stand in a string, so replacing it in the text is safe.
    text = json.dumps(values, separators=(",", ":"))
    return _PREFIX + text.replace("&", "%26" if escape is AmpersandEscape.PERCENT else "\\u0026")


def mend(payload: str, profile: BrokerProfile, token: str | None, additions: Mapping[str, str]) -> bytes:
    """What goes over the wire for a body written by the library.

    Args:
        payload: The library's text.
        profile: Says what is left out and how `&` is written.
        token: The session's token; None for a login.
        additions: Fields that the library has no way to send.

    Raises:
        BadBody: The text is not `jData=<object>` followed by nothing or by this token.
    """
    values, rest = _parts(payload)
    if rest and rest != f"{_KEY}{token}":
        raise BadBody("the library's body does not end with the session's key")
    if profile.omit_amo and str(values.get("amo", "Yes")).lower() != "yes":
        del values["amo"]
    if profile.omit_none_trigger and values.get("trgprc") == "None":
        del values["trgprc"]
    if profile.omit_null_remarks and values.get("remarks", "") is None:
        del values["remarks"]
    if profile.ampersand is AmpersandEscape.JSON:
        for name in _QUOTED_BY_LIBRARY:
            if name in values:
                values[name] = unquote_plus(values[name])
    values.update(additions)
    body = jdata(values, profile.ampersand)
    if rest and profile.token is TokenPlace.JKEY:
        body += rest
    return body.encode("ascii")


def _parts(payload: str) -> tuple[dict[str, Any], str]:
    """The JSON object and what follows it. Decoded, not split: a value may contain `&jKey=`."""
    if not payload.startswith(_PREFIX):
        raise BadBody("the library's body does not begin with jData=")
    try:
        values, end = _decoder.raw_decode(payload, len(_PREFIX))
    except ValueError as error:
        raise BadBody("the library's body is not JSON") from error
    if not isinstance(values, dict):
        raise BadBody("the library's body is not a JSON object")
    return values, payload[end:]
