"""The request body as a Noren server reads it (protocol section 2.1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote_plus

from core.paper.replies import EMPTY_NUMBER, INVALID_ORDER, JDATA_INVALID, JDATA_MISSING, Refusal

__all__ = ["Fields", "decimal", "integer", "parse_body", "parse_json"]

_ENCODED = ("tsym", "tsym2", "tsym3", "stext")
_LONGEST_NUMBER = 32


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one request and the key it came with.

    Attributes:
        data: The object under `jData`.
        key: The value of `jKey`; empty if the body has none.
    """

    data: dict[str, object]
    key: str

    def text(self, name: str) -> str:
        """A field as text; empty when absent or null, for the client libraries send both for nothing."""
        value = self.data.get(name)
        return "" if value is None else str(value)


def parse_json(body: bytes, _percent_decode: bool = False) -> Fields:
    """Read a body that is a JSON object alone, as Flattrade's apitoken takes it.

    Raises:
        Refusal: It is none.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(JDATA_INVALID) from error
    if not isinstance(data, dict) or not _is_text(data):
        raise Refusal(JDATA_INVALID)
    return Fields(data, "")


def parse_body(body: bytes, percent_decode: bool) -> Fields:
    """Read a body.

    The body is cut at every `&` before anything else is looked at, so an `&` within a JSON value ruins it: that is what
    the servers do, and a client must escape it.

    Args:
        body: The raw body.
        percent_decode: Whether symbols and search texts are decoded from `%26` and `+`.

    Raises:
        Refusal: There is no jData, or it is no JSON object.
    """
    try:
        parts = body.decode().split("&")
    except UnicodeDecodeError as error:
        raise Refusal(JDATA_INVALID) from error
    if not parts[0].startswith("jData="):
        raise Refusal(JDATA_MISSING)
    try:
        data = json.loads(parts[0][6:])
    except (ValueError, RecursionError) as error:
        raise Refusal(JDATA_INVALID) from error
    if not isinstance(data, dict) or ("\\u" in parts[0] and not _is_text(data)):
        raise Refusal(JDATA_INVALID)
    if percent_decode:
        for name in _ENCODED:
            value = data.get(name)
            if isinstance(value, str) and ("%" in value or "+" in value):
                data[name] = unquote_plus(value)
    key = next((part[5:] for part in parts[1:] if part.startswith("jKey=")), "")
    return Fields(data, key)


def _is_text(data: dict[str, object]) -> bool:
    """Whether the texts could be written down: half of a surrogate pair, which JSON can escape, could not."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def decimal(text: str) -> Decimal:
    """A price field; an empty one is the C++ error that an empty `prc` has given since July 2024.

    Raises:
        Refusal: It is no finite number that is zero or more.
    """
    if not text:
        raise Refusal(EMPTY_NUMBER)
    try:
        number = Decimal(text) if len(text) <= _LONGEST_NUMBER else Decimal("NaN")
    except InvalidOperation as error:
        raise Refusal(INVALID_ORDER) from error
    if not number.is_finite() or number < 0 or number.adjusted() > 12:
        raise Refusal(INVALID_ORDER)
    return number


def integer(text: str) -> int:
    """A quantity field.

    Raises:
        Refusal: It is no whole number that is zero or more.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Refusal(INVALID_ORDER)
    return int(text)
