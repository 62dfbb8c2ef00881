"""Before anything starts: can its directory be written, and is there room on that disk?"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["require_room"]

# What a start writes at least: the database's log and index of it, a trace, some lines of log.
_NEEDED = 256 * 1024


def require_room(directory: Path, setting: str) -> None:
    """Write a little into the directory, which is made if absent, and take it away again.

    Raises:
        OSError: It cannot be written; the text names the setting and the fix.
    """
    if directory.exists() and not directory.is_dir():
        raise OSError(f"{setting}: {directory} is a file; name a directory")
    probe = directory / f".sixstep-room-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(_NEEDED))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{setting}: {directory} cannot be written: {error.strerror}{_fix(error)}") from error


def _fix(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"; let user {os.getuid()} write there, or name another directory"
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "; a part of this path is a file"
    return "; free at least 1 MB on its disk, or name another directory"
