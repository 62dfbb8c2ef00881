"""One service to one record: a second one started by mistake would send and watch the same orders."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import IO

__all__ = ["AlreadyRunning", "InstanceLock"]


_BUSY = (
    "another service ({holder}) works on this record; stop it, or give this one its own [service] data_dir and "
    "[database] url (lock file {path})"
)


class AlreadyRunning(Exception):
    """Another service works on this record."""


class InstanceLock:
    """An advisory lock on a file; the operating system frees it when the process ends, however it ends.

    Args:
        path: the file; made if absent and left behind, since removing it would race with the next to lock it.
        since: when its holder began, in UTC, for whoever is refused.
        busy: what to say when another process has it; `{holder}` and `{path}` are filled in.
    """

    def __init__(self, path: Path, since: datetime | None = None, *, busy: str = _BUSY) -> None:
        self._path = path
        self._since = since
        self._busy = busy
        self._stream: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process has it; the text names that process.
            OSError: the file cannot be opened.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        stream = self._path.open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "process unknown"
            stream.close()
            raise AlreadyRunning(self._busy.format(holder=holder, path=self._path)) from None
        stream.truncate(0)
        since = "" if self._since is None else f", since {self._since:%Y-%m-%dT%H:%M:%SZ}"
        stream.write(f"process {os.getpid()} on {socket.gethostname()}{since}")
        stream.flush()
        self._stream = stream

    def holder(self) -> str | None:
        """Which process has it; None where none does. Nothing is made, and nothing of its file changed."""
        try:
            with self._path.open() as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except BlockingIOError:
            return self._path.read_text().strip() or "process unknown"
        return None

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
