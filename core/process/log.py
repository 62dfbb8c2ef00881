"""The log: to the terminal and to rotating files, without secrets (law 11)."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from loguru import logger
from pydantic import BaseModel, SecretStr

from core.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["Hider", "set_up_logging"]

_TERMINAL = "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <8}</level> {message}"
_FILE = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <8} {name}:{line} {extra} {message}"
_SHORTEST_SECRET = 4


def set_up_logging(settings: Settings) -> None:
    """Send the log to stderr and into files, in the exchange's time, as rows and pages have it.

    Every secret of the settings is replaced by `***` wherever it appears: in the message, in what goes with it, and in
    tracebacks. A directory that cannot be written is one clear line on stderr; the service runs on with the terminal
    alone (scenario E10).
    """
    hide, zone = Hider(settings), settings.zone

    def patch(record: Record) -> None:
        record["time"] = record["time"].astimezone(zone)
        error = record["exception"]
        if error is not None:
            # Written by us: loguru's own traceback is made after this, from values that may hold secrets.
            told = "".join(traceback.format_exception(error.type, error.value, error.traceback))
            record["message"] = f"{record['message']}\n{told}".rstrip()
            record["exception"] = None
        record["message"] = hide.text(record["message"])
        record["extra"] = {hide.text(key): hide.value(value) for key, value in record["extra"].items()}

    logger.remove()
    logger.configure(patcher=patch)
    logger.add(sys.stderr, level=settings.log.level.value, format=_TERMINAL, diagnose=False)
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        logger.add(
            settings.log_dir / "sixstep.log",
            level=settings.log.level.value,
            format=_FILE,
            rotation=settings.log.rotation,
            retention=settings.log.retention,
            # Written by a thread of its own: a slow disk must not hold up an actor. Values of local variables would
            # put secrets into tracebacks.
            enqueue=True,
            diagnose=False,
        )
    except OSError as error:
        logger.error("[log] dir: {} cannot be written ({}); logging to the terminal only", settings.log_dir, error)
    # The broker's library logs whole requests, password hash and token included, at DEBUG (protocol 3.2).
    logging.getLogger("NorenRestApiPy").setLevel(logging.CRITICAL)


class Hider:
    """Replaces every secret of the settings, as it is and as URLs and JSON write it, by `***`."""

    def __init__(self, settings: Settings) -> None:
        forms = {form for secret in _secrets(settings) for form in _forms(secret)}
        # The longest first: one secret may be the beginning of another.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        return text if self._pattern is None else self._pattern.sub("***", text)

    def value(self, value: object) -> object:
        """A value that goes with a message: as it is, unless what would be written of it holds a secret."""
        if value is None or isinstance(value, bool | int | float):
            return value
        written = str(value)
        hidden = self.text(written)
        return value if hidden == written and isinstance(value, str | StrEnum) else hidden


def _forms(secret: str) -> Iterable[str]:
    for form in (
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    ):
        if len(form) >= _SHORTEST_SECRET:
            yield form
            if "%" in form:
                yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), form)


def _secrets(model: BaseModel) -> Iterable[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, SecretStr):
                yield from _parts(item.get_secret_value())
            elif isinstance(item, BaseModel):
                yield from _secrets(item)


def _parts(secret: str) -> Iterable[str]:
    """A secret, and of a database's URL the password too, which errors of the driver name alone."""
    if "://" not in secret:
        yield secret
        return
    try:
        password = urlsplit(secret).password
    except ValueError:
        password = None
    if password is not None:
        yield from (secret, password, unquote(password))
