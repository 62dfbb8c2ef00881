"""The configured secrets, and every text without them (law 11, S11).

What they are comes from the settings; log, trace, alerts and what is recorded of a submission ask here.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from urllib.parse import quote, quote_plus, unquote

from core.model.order import OrderIntent, Problem, RawIntent
from core.rules.unrecorded import intent_fields
from core.rules.validation import Refused, listed, read_intent, shown

__all__ = ["NO_SECRETS", "Secrets"]

_HIDDEN = "***"
_SHORTEST_HIDDEN = 4
# A shorter one may be part of an ordinary word, such as a symbol: it is hidden, but refuses no order.
_SHORTEST_REFUSED = 6
# Bits; Python does not put longer ones into words.
_LONGEST_NUMBER = 4096
# How often a text may be percent-encoded over.
_LAYERS = 3


class Secrets:
    """Finds the given secrets in texts: as they are, and as URLs, JSON, HTML, Python and base64 write them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = tuple(dict.fromkeys(secrets))
        forms = {form for secret in whole for form in _forms(secret) if len(form) >= _SHORTEST_HIDDEN}
        # The longest first: one secret may be the beginning of another.
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))
        self._refused = tuple(
            sorted({form for secret in whole if len(secret) >= _SHORTEST_REFUSED for form in _forms(secret)})
        )

    def text(self, text: str) -> str:
        """The text with `***` for each secret."""
        # Plain searches first: nearly no text holds one, and a pattern of many words is slow.
        for form in self._forms:
            if form in text:
                return self._pattern.sub(_HIDDEN, text)
        return text

    def value(self, value: object) -> object:
        """A value that goes with a message: as it is, unless what would be written of it holds a secret."""
        if value is None or isinstance(value, bool | int | float):
            return value
        written = str(value)
        hidden = self.text(written)
        return value if hidden == written and isinstance(value, str | StrEnum) else hidden

    def read_intent(self, raw: RawIntent | OrderIntent) -> OrderIntent | Refused:
        """Validate an intent as `read_intent` does, and refuse one that holds a secret in any of its fields.

        A secret in a field would go into the row, and from there into answers, pages and exports.
        """
        if not self._refused:
            return read_intent(raw)
        pairs = raw.fields if isinstance(raw, RawIntent) else tuple((n, getattr(raw, n)) for n in raw.__slots__)
        found = tuple(name for name, value in pairs if self._is_in(name) or self._is_in(value))
        if not found:
            return read_intent(raw)
        rest = read_intent(RawIntent(tuple(pair for pair in pairs if pair[0] not in found)))
        # A name that holds one is not told, whatever form it is in.
        problems = tuple(Problem(_HIDDEN if self._is_in(name) else _told(name), _IN_A_FIELD) for name in found)
        return Refused(listed(problems), rest.readable if isinstance(rest, Refused) else intent_fields(rest))

    def _is_in(self, value: object) -> bool:
        """Whether a value from outside holds a secret, at any depth."""
        if value is None or isinstance(value, StrEnum):
            return False
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, Mapping):
                waiting.extend(item.keys())
                waiting.extend(item.values())
            elif isinstance(item, list | tuple):
                waiting.extend(item)
            elif isinstance(item, int) and item.bit_length() > _LONGEST_NUMBER:
                continue
            elif isinstance(item, str | int | float | Decimal) and self._is_in_text(str(item)):
                return True
        return False

    def _is_in_text(self, text: str) -> bool:
        for _ in range(_LAYERS):
            if any(form in text for form in self._refused):
                return True
            if "%" not in text:
                return False
            text = unquote(text)
        return False


def _told(name: str) -> str:
    return name if name.isascii() and name.isprintable() and len(name) <= 60 else shown(name)


_IN_A_FIELD = "holds a secret of the settings; take it out, and change the secret if others may have seen it"


def _forms(secret: str) -> Iterable[str]:
    if not secret:
        return
    for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), form)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield repr(secret + "'\"")[1:-4]
    yield html.escape(secret)
    yield from _in_base64(secret.encode("utf-8", "surrogatepass"))


def _in_base64(secret: bytes) -> Iterable[str]:
    """What base64 makes of the secret wherever it stands in what is encoded, as in `user:password` (Basic)."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        # Only the characters all of whose six bits are the secret's.
        inner = encoded[-(-8 * before // 6) : 8 * (before + len(secret)) // 6]
        # Of a short secret too little is left to be told from other text.
        if len(inner) >= _SHORTEST_REFUSED:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


NO_SECRETS = Secrets(())
"""Hides nothing."""
