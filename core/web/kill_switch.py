"""The body of POST /api/halt: a reason and a name where it has them, and never a ground to refuse (scenario G25)."""

from __future__ import annotations

import json

__all__ = ["HALT_BODY", "halt_words"]

_REASON = "asked for over the API"
_BY = "api"
_MOST = 200

HALT_BODY = {
    "requestBody": {
        "required": False,
        "description": "Taken where it can be read. Whatever the body is, trading is halted.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "reason": {"type": "string", "default": _REASON, "description": "one line, cut at 200"},
                        "by": {"type": "string", "default": _BY, "description": "who says so"},
                    },
                }
            }
        },
    }
}
"""The body as the OpenAPI page shows it."""


def halt_words(body: bytes) -> tuple[str, str]:
    """Why trading is to be halted, and who says so, as far as the body says it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    given = found if isinstance(found, dict) else {}
    return _line(given.get("reason")) or _REASON, _line(given.get("by")) or _BY


def _line(value: object) -> str:
    """Text on one line, bounded: it is shown on pages and in logs."""
    if not isinstance(value, str):
        return ""
    # Half of a surrogate pair is no text that the database could keep.
    plain = value[: _MOST * 4].encode("utf-8", "replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in plain).split())[:_MOST]
