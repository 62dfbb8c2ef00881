"""The log: to the terminal and to rotating files, without secrets (law 11)."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

from loguru import logger

from core.process.log_file import LogFile
from core.settings import Settings
from core.settings.secrets import secrets_of

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["set_up_logging"]

_TERMINAL = "<green>{time:HH:mm:ss.SSS}</green> <level>{level: <8}</level> {message}"
_FILE = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level: <8} {name}:{line} {extra} {message}"


def set_up_logging(settings: Settings) -> None:
    """Send the log to stderr and into files, in the exchange's time, as rows and pages have it.

    Every secret of the settings is replaced by `***` wherever it appears: in the message, in what goes with it, and in
    tracebacks. A directory that cannot be written is one clear line on stderr; the service runs on with the terminal
    alone (scenario E10).
    """
    secrets, zone = secrets_of(settings), settings.zone

    def patch(record: Record) -> None:
        record["time"] = record["time"].astimezone(zone)
        error = record["exception"]
        if error is not None:
            # Written by us: loguru's own traceback is made after this, from values that may hold secrets.
            told = "".join(traceback.format_exception(error.type, error.value, error.traceback))
            record["message"] = f"{record['message']}\n{told}".rstrip()
            record["exception"] = None
        record["message"] = secrets.text(record["message"])
        record["extra"] = {secrets.text(key): secrets.value(value) for key, value in record["extra"].items()}

    logger.remove()
    logger.configure(patcher=patch)
    level, trouble = settings.log.level.value, None
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        file = LogFile(settings.log_dir / "sixstep.log", settings.log)
        # Written by a thread of its own: a slow disk must not hold up an actor. Values of local variables would put
        # secrets into tracebacks.
        logger.add(file, level=level, format=_FILE, enqueue=True, diagnose=False)
    except OSError as error:
        trouble = error
    logger.add(sys.stderr, level=level, format=_TERMINAL, diagnose=False)
    if trouble is not None:
        logger.error("[log] dir: {} cannot be written ({}); logging to the terminal only", settings.log_dir, trouble)
    # The broker's library logs whole requests, password hash and token included, at DEBUG (protocol 3.2).
    logging.getLogger("NorenRestApiPy").setLevel(logging.CRITICAL)
