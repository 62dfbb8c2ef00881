"""Where symbol files come from: a server, or a folder."""

from __future__ import annotations

import ipaddress
import threading
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests

from core.instruments.symbol_file import BadSymbolFile, file_name

__all__ = ["FolderSource", "SymbolFileSource", "UrlSource", "source_of"]

# Together less than the time an actor has to stop.
_CONNECT_S, _READ_S = 2.5, 3.0
_CHUNK = 1 << 16
_LARGEST = 50_000_000


class SymbolFileSource(Protocol):
    """Gives symbol files."""

    def place(self, exchange: str) -> str:
        """Where the file of an exchange is, for a person."""
        ...

    def fetch(self, exchange: str) -> bytes | None:
        """The file of an exchange as it is; None where the source says that it has none.

        Raises:
            BadSymbolFile: It cannot be had.
        """
        ...

    def stop(self) -> None:
        """Let a fetch that is under way, on another thread, come to an end."""
        ...


class UrlSource:
    """A server that has the files beside each other.

    Args:
        base: The address they lie at.
    """

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        parts = urlsplit(self._base)
        # A login in the address is nobody else's to read.
        self._shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._near = _is_near(parts.hostname or "")
        self._stopped = threading.Event()

    def place(self, exchange: str) -> str:
        return f"{self._shown}/{file_name(exchange)}"

    def fetch(self, exchange: str) -> bytes | None:
        if self._stopped.is_set():
            raise BadSymbolFile("the service stops")
        try:
            with requests.Session() as session:
                # A proxy of the environment has no business between a service and its own machine.
                session.trust_env = not self._near
                url, timeout = f"{self._base}/{file_name(exchange)}", (_CONNECT_S, _READ_S)
                with session.get(url, timeout=timeout, stream=True) as reply:
                    if reply.status_code == requests.codes.not_found:
                        return None
                    if reply.status_code != requests.codes.ok:
                        raise BadSymbolFile(f"the server answers HTTP {reply.status_code}")
                    return self._body(reply)
        except (requests.RequestException, ValueError) as error:
            raise BadSymbolFile(f"it cannot be fetched ({type(error).__name__}: {error})") from error

    def _body(self, reply: requests.Response) -> bytes:
        body = bytearray()
        for chunk in reply.iter_content(_CHUNK):
            body += chunk
            if len(body) > _LARGEST:
                raise BadSymbolFile(f"it is longer than {_LARGEST} bytes")
            if self._stopped.is_set():
                raise BadSymbolFile("the service stops")
        return bytes(body)

    def stop(self) -> None:
        self._stopped.set()


class FolderSource:
    """A folder that somebody puts the files into, zipped or not.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, exchange: str) -> str:
        return str(self._folder / file_name(exchange))

    def fetch(self, exchange: str) -> bytes | None:
        zipped = self._folder / file_name(exchange)
        for file in (zipped, zipped.with_suffix("")):
            try:
                return file.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BadSymbolFile(f"{file} cannot be read ({error.strerror})") from error
        return None

    def stop(self) -> None:
        """Nothing is waited for."""


def _is_near(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def source_of(directory: Path | None, url: str | None, host: str) -> SymbolFileSource:
    """The source that settings name.

    Args:
        directory: `[instruments] directory`; it wins.
        url: `[instruments] url`.
        host: The broker's REST address, whose root has the files where no other place is named.
    """
    if directory is not None:
        return FolderSource(directory)
    there = urlsplit(host)
    return UrlSource(url or f"{there.scheme}://{there.netloc}")
