"""The key that lets commands in: the service leaves it in data_dir for its owner alone, a new one at each start.

Who can read it could as well read the database, and run the service: it gives nothing that was not there. So `halt`
works on the service's own machine whatever secrets are set, and whether or not the person at the keyboard knows them.
"""

from __future__ import annotations

from pathlib import Path

from loguru import logger
from pydantic import SecretStr

from core.files.private import write_private
from core.runtime.clock import Clock, token

__all__ = ["COMMAND_KEY_HEADER", "leave_key", "read_key", "take_key_away"]

COMMAND_KEY_HEADER = "x-sixstep-key"

_LENGTH = 40  # of 32 characters: 200 bits


def leave_key(data_dir: Path, clock: Clock) -> SecretStr | None:
    """Leave a new key; None, with a line in the log, where data_dir cannot be written."""
    key = token(clock, _LENGTH)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(_file(data_dir), key)
    except OSError as error:
        logger.warning(
            "{} cannot be written ({}): commands need [web] api_token and webhook_secret", _file(data_dir), error
        )
        return None
    return SecretStr(key)


def read_key(data_dir: Path) -> str | None:
    """The key of the service that runs, or ran last; None where there is none this user may read."""
    try:
        key = _file(data_dir).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return key if len(key) == _LENGTH and key.isalnum() else None


def take_key_away(data_dir: Path, key: SecretStr | None) -> None:
    """Remove a key that lets nobody in any more, unless another start has left its own."""
    if key is not None and read_key(data_dir) == key.get_secret_value():
        _file(data_dir).unlink(missing_ok=True)


def _file(data_dir: Path) -> Path:
    return data_dir / "command.key"
