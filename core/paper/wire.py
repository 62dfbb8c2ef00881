"""What goes into the paper exchange and what comes out of it.

Nothing here knows HTTP or WebSocket: a face (server or in-memory adapter) turns its own bytes into a `Request`, and a
`Reply` or an `Out` into its own bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Close", "Fate", "Out", "Push", "Reply", "Request", "Silence", "Step", "is_login", "parts_of"]


class Fate(StrEnum):
    """What becomes of the connection a request came on."""

    ANSWER = "answer"
    """The reply is sent."""

    HANG = "hang"
    """The request is taken and never answered: the client runs into its own timeout."""

    CLOSE = "close"
    """The connection is dropped without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One POST as it came.

    Attributes:
        path: The path as written, with whatever prefix and however many slashes.
        body: The raw body, undecoded.
        authorization: The `Authorization` header's value, if there was one.
        peer: The address of the client, for the registered-IP check.
    """

    path: str
    body: bytes
    authorization: str | None = None
    peer: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer.

    Attributes:
        status: The HTTP status code.
        body: The body's bytes.
        content_type: The `Content-Type` header.
        fate: Whether the answer is sent at all; with anything but `ANSWER` the other fields mean nothing.
        delay_s: Seconds to wait before it is sent.
        location: The `Location` header of a redirect.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    fate: Fate = Fate.ANSWER
    delay_s: float = 0.0
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """A text frame for one socket, to be sent at `due`; frames of one socket go out in the order of `due`."""

    connection: str
    text: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Close:
    """The order to close a socket from the server's side; the code 1006 cuts it without a close frame."""

    connection: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Silence:
    """The order to let a socket play dead: it stays open, and nothing is said on it any more, not even PONG."""

    connection: str


Out = Push | Close | Silence
"""What is done on a socket."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one call to the exchange brought about.

    Attributes:
        reply: The answer to a request; None for socket calls.
        out: What is done on any socket, in order.
    """

    reply: Reply | None
    out: tuple[Out, ...] = ()


def parts_of(path: str) -> list[str]:
    """The parts of a path without its query, one slash or two between them."""
    return [part for part in path.partition("?")[0].split("/") if part]


def is_login(path: str, body: bytes = b"") -> bool:
    """Whether a path is that of the OAuth login page, behind any prefix (protocol section 4.2).

    At Flattrade it is the bare root, where the form that is posted tells it from any other request.
    """
    parts = parts_of(path)
    return parts[-3:] == ["OAuthlogin", "authorize", "oauth"] or (not parts and b"client_id=" in body)
