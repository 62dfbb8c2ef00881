"""Files that are nobody else's to read: written for their owner alone, tightened, or warned of."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OTHERS", "loose_mode", "tighten", "write_private"]

OTHERS = 0o077
"""What group and others may do; also the umask under which everything is made."""

# What the service itself puts into its directories; a directory that holds anything else is not its own.
_OUR_NAMES = (
    "sixstep",
    "command.key",
    "api-keys",
    ".api-keys",
    ".command.key",
    "trace",
    "log",
    "paper",
    "broker-calls",
    "instruments.db",
    "halted",
    "access_token",
    ".access_token",
    "broker-session",
    ".broker-session",
    "last-login-code",
    "api_secret",
)


def write_private(file: Path, text: str) -> None:
    """Replace the file's content, readable by its owner alone, whole or not at all, and on disk when this returns.

    Raises:
        OSError: It cannot be written.
    """
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(f"{text}\n")
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)


def loose_mode(path: Path) -> str | None:
    """The permissions of a path that group or others may use, as `0644`; None where its owner alone may."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    return f"{mode:04o}" if mode & OTHERS else None


def tighten(directory: Path, own_files: tuple[Path, ...] = ()) -> Iterator[str]:
    """Take group and others off a directory of the service and off the files in it.

    A directory that holds anything the service did not put there is left as it is: it may be somebody else's too.

    Args:
        directory: With everything in it that bears one of the service's names.
        own_files: Further files of the service, wherever they are.

    Returns:
        One line for everything that stays open to others, with what to do.
    """
    entries = _entries(directory)
    ours = [entry for entry in entries if entry.name.startswith(_OUR_NAMES)]
    within = [inner for entry in ours if entry.is_dir() and not entry.is_symlink() for inner in _entries(entry)]
    for path in (*ours, *within, *own_files):
        yield from _tightened(path)
    if len(ours) == len(entries):
        yield from _tightened(directory)
    elif mode := loose_mode(directory):
        yield f"{directory} can be read by others (mode {mode}) and holds files of others: chmod 700, or another place"


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _tightened(path: Path) -> Iterator[str]:
    mode = loose_mode(path)
    if mode is None or path.is_symlink():
        return
    try:
        path.chmod(int(mode, 8) & ~OTHERS)
    except OSError as error:
        yield f"{path} can be read by others (mode {mode}) and cannot be changed ({error.strerror})"
