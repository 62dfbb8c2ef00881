"""The Bot API as Sixstep needs it: send a text, fetch what was written. Two plain calls over one `requests` session.

The well-kept libraries (python-telegram-bot, aiogram, pyTelegramBotAPI) bring an event loop or threads of their own,
retries and queues. An actor is one thread that handles one envelope at a time and is run by a simulator too: it needs
calls that return within a bound, and nothing that runs beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

__all__ = [
    "MOST_UPDATES",
    "TEXT_LIMIT",
    "TelegramAccount",
    "TextRefused",
    "Written",
    "cut",
    "plain_trouble",
    "units",
]

TEXT_LIMIT = 4000
"""UTF-16 units of one message, which Telegram counts in; its own limit is 4096."""

_SEND_TIMEOUT_S = (3.0, 10.0)
_FETCH_TIMEOUT_S = (3.0, 5.0)
MOST_UPDATES = 20
"""Updates that one `fetch` brings."""

_TOO_MANY_REQUESTS = 429
_SHORTEST_WAIT_S = 30.0  # where Telegram names no time
_LONGEST_WAIT_S = 3600.0
# Marks of a message that somebody did not write here and now.
_SECOND_HAND = (
    "forward_origin",
    "forward_date",
    "forward_from",
    "forward_from_chat",
    "forward_sender_name",
    "is_automatic_forward",
    "via_bot",
    "edit_date",
)


class TextRefused(OSError):
    """Telegram does not take this text, and would not take it again; another one it may take."""


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """The beginning of a text, as much as Telegram counts as `limit`, with an ellipsis where something is missing."""
    if units(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)]
    return kept.decode("utf-16-le", "ignore") + "…"


def plain_trouble(error: BaseException) -> str:
    """Why Telegram could not be reached, in a few words; requests' own text names objects and the whole URL."""
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection to it"
    return str(error)


@dataclass(frozen=True, slots=True)
class Written:
    """One message somebody wrote to the bot.

    Attributes:
        update_id: Telegram's number of it.
        chat: Where it was written.
        text: What was written; empty for all that is no new text message, such as a message edited later.
        at: Epoch seconds, by Telegram's clock.
        second_hand: It was forwarded, or written by another program.
    """

    update_id: int
    chat: str
    text: str
    at: float
    second_hand: bool = False


class TelegramAccount:
    """A bot and the chat its alerts go to. `base_url` is the Bot API's host; a token of None switches Telegram off."""

    def __init__(self, *, token: str | None, chat_id: str | None, base_url: str) -> None:
        self._token = token
        self._chat_id = chat_id
        self._base_url = base_url.rstrip("/")

    @property
    def enabled(self) -> bool:
        """Whether alerts go anywhere."""
        return bool(self._token and self._chat_id)

    def send(self, session: requests.Session, text: str, chat: str | None = None) -> float:
        """Send one text to a chat, by default to that of the alerts.

        Returns:
            How many seconds Telegram asks to wait; 0 when it took the text.

        Raises:
            TextRefused: It will not be taken.
            OSError: It was not taken.
        """
        # Half a character, as a broker may send it, is not UTF-8.
        text = cut(text.encode("utf-8", "replace").decode(), TEXT_LIMIT)
        body = {"chat_id": chat or self._chat_id, "text": text, "disable_web_page_preview": True}
        response = session.post(self._url("sendMessage"), json=body, timeout=_SEND_TIMEOUT_S)
        if response.status_code == _TOO_MANY_REQUESTS:
            return _retry_after(response)
        if response.status_code == requests.codes.bad_request and not _about_the_chat(told := _description(response)):
            raise TextRefused(f"Telegram answered HTTP 400: {told}")
        if response.status_code != requests.codes.ok:
            raise OSError(f"Telegram answered HTTP {response.status_code}: {_description(response)}")
        return 0.0

    def fetch(self, session: requests.Session, offset: int) -> list[Written]:
        """What was written since; what comes before `offset` is forgotten by Telegram. Does not wait for more.

        Raises:
            OSError: It cannot be fetched.
            ValueError: The answer is not the Bot API's.
        """
        # What the bot is not asked about stands in the list all the same, so that it is acknowledged.
        query = {"offset": str(offset), "timeout": "0", "limit": str(MOST_UPDATES)}
        response = session.get(self._url("getUpdates"), params=query, timeout=_FETCH_TIMEOUT_S)
        if response.status_code != requests.codes.ok:
            raise OSError(f"Telegram answered HTTP {response.status_code}")
        answer = response.json()
        if not isinstance(answer, dict) or not isinstance(answer.get("result"), list):
            raise ValueError("Telegram's answer holds no updates")
        return [_written(update) for update in answer["result"] if isinstance(update, dict)]

    def username(self, session: requests.Session) -> str:
        """The bot's own name, which a command in a group may end with: /halt@name.

        Raises:
            OSError: It cannot be asked for.
            ValueError: The answer is not the Bot API's.
        """
        response = session.get(self._url("getMe"), timeout=_FETCH_TIMEOUT_S)
        if response.status_code != requests.codes.ok:
            raise OSError(f"Telegram answered HTTP {response.status_code}")
        answer = response.json()
        result = answer.get("result") if isinstance(answer, dict) else None
        name = result.get("username") if isinstance(result, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError("Telegram's answer holds no name")
        return name

    def hide(self, text: str) -> str:
        """`text` without the token, which stands in every URL of the Bot API (law 11)."""
        return text.replace(self._token, "***") if self._token else text

    def _url(self, method: str) -> str:
        return f"{self._base_url}/bot{self._token}/{method}"


def _retry_after(response: requests.Response) -> float:
    answer = _answer(response)
    parameters = answer.get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return min(max(float(seconds), 0.0), _LONGEST_WAIT_S) if isinstance(seconds, int | float) else _SHORTEST_WAIT_S


def _description(response: requests.Response) -> str:
    return str(_answer(response).get("description", "no reason given"))[:200]


def _answer(response: requests.Response) -> Mapping[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _about_the_chat(description: str) -> bool:
    """Whether no text would be taken there: a wrong chat_id, a group that has moved, a bot that is not in it."""
    return any(word in description.lower() for word in ("chat", "peer", "bot was", "upgraded"))


def _written(update: Mapping[str, Any]) -> Written:
    """An update in our words; one that is no text message has an empty text."""
    message = update.get("message")
    message = message if isinstance(message, dict) else {}
    chat = message.get("chat")
    chat_id = chat.get("id") if isinstance(chat, dict) else None
    text, at, number = message.get("text"), message.get("date"), update.get("update_id")
    return Written(
        update_id=number if isinstance(number, int) else 0,
        chat=str(chat_id) if isinstance(chat_id, int) else "",
        text=text if isinstance(text, str) else "",
        at=float(at) if isinstance(at, int | float) else 0.0,
        second_hand=any(message.get(mark) for mark in _SECOND_HAND)
        or bool(isinstance(sender := message.get("from"), dict) and sender.get("is_bot")),
    )
