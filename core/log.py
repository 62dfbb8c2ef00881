"""The log: to the terminal and to rotating files, without secrets (law 11)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loguru import logger
from pydantic import BaseModel, SecretStr

from core.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["set_up_logging"]

_TERMINAL = "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <8}</level> {message}"
_FILE = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <8} {name}:{line} {extra} {message}"
_SHORTEST_SECRET = 4


def set_up_logging(settings: Settings) -> None:
    """Send the log to stderr and into files; every secret of the settings is replaced by `***` wherever it appears.

    A directory that cannot be written is one clear line on stderr; the service runs on with the terminal alone
    (scenario E10).
    """
    secrets = tuple(_secrets(settings))

    def hide(record: Record) -> None:
        for secret in secrets:
            if secret in record["message"]:
                record["message"] = record["message"].replace(secret, "***")

    logger.remove()
    logger.configure(patcher=hide)
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


def _secrets(model: BaseModel) -> Iterable[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) >= _SHORTEST_SECRET:
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets(value)
