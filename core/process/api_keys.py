"""The keys of the OpenAlgo entry point, made, listed and revoked by `run.py keys`: in data_dir, as hashes alone.

The service reads the file again when it has changed, so that a key that is revoked lets nobody in any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from loguru import logger

from core.files.instance import InstanceLock
from core.files.private import write_private

__all__ = ["ApiKey", "KeyFile", "KeysUnreadable", "Right", "change_keys", "digest_of", "read_keys"]

_FILE = "api-keys.json"


class Right(StrEnum):
    """What a key is for."""

    READ = "read"
    TRADE = "trade"
    SQUARE_OFF = "square-off"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without the key.

    Attributes:
        name: What a person calls it.
        digest: The SHA-256 of the key in hex: it is long and random, so it needs no slower one.
        rights: What it lets its callers do.
        per_min: Requests a minute; None: as many as the settings let an address make.
        orders_per_min: Orders a minute.
        allow_from: Addresses and networks it is taken from; none: from all that the settings let in.
        made_at: When, in UTC.
    """

    name: str
    digest: str
    rights: tuple[Right, ...] = tuple(Right)
    per_min: int | None = None
    orders_per_min: int | None = None
    allow_from: tuple[str, ...] = ()
    made_at: str = ""

    def may(self, *rights: Right) -> bool:
        """Whether it has one of these rights."""
        return any(right in self.rights for right in rights)


class KeysUnreadable(Exception):
    """The file of keys cannot be read or written; the text says why."""


def digest_of(key: str) -> str:
    """The hash a key is known by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(data_dir: Path) -> tuple[ApiKey, ...]:
    """The keys that were made and not revoked.

    Raises:
        KeysUnreadable: The file is there and cannot be used.
    """
    file = data_dir / _FILE
    try:
        return tuple(_key(row) for row in json.loads(file.read_text(encoding="ascii")))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise KeysUnreadable(f"{file} cannot be read ({error}); mend it, or remove it and make new keys") from error


def change_keys(data_dir: Path, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]]) -> None:
    """Put other keys in the place of those there are; two commands at a time would lose one of the changes.

    Raises:
        KeysUnreadable: They cannot be read or written.
        AlreadyRunning: Another command changes them.
    """
    lock = InstanceLock(data_dir / "api-keys.lock", busy="the keys are being changed by {holder}; try again")
    try:
        lock.acquire()
        try:
            keys = change(read_keys(data_dir))
            write_private(data_dir / _FILE, json.dumps([asdict(key) for key in keys], indent=1))
        finally:
            lock.release()
    except OSError as error:
        raise KeysUnreadable(f"the keys in {data_dir} cannot be written: {error.strerror}") from error


class KeyFile:
    """The keys as they are now.

    Args:
        data_dir: Where they are.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._seen: tuple[int, int, int] | None = None
        self._keys: Mapping[str, ApiKey] = {}

    def find(self, digest: str) -> ApiKey | None:
        """The key with this hash; while the file cannot be read, none."""
        self._look()
        return self._keys.get(digest)

    def _look(self) -> None:
        try:
            found = (self._data_dir / _FILE).stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError:
            seen = (0, 0, 0)
        if seen == self._seen:
            return
        try:
            self._keys = {key.digest: key for key in read_keys(self._data_dir)}
        except KeysUnreadable as error:
            self._keys = {}
            logger.error("no key of run.py keys lets anybody in: {}", error)
        self._seen = seen


def _key(row: Mapping[str, Any]) -> ApiKey:
    lists = {"rights": tuple(Right(right) for right in row["rights"]), "allow_from": tuple(row["allow_from"])}
    return ApiKey(**{**row, **lists})
