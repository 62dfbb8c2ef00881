"""Where symbol files come from: a server, or a folder."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests

from core.instruments.symbol_file import BadSymbolFile, file_name

__all__ = ["CsvSource", "FolderSource", "SymbolFileSource", "UrlSource", "source_of"]

# Together less than the time an actor has to stop.
_CONNECT_S, _READ_S = 2.5, 3.0
_CHUNK = 1 << 16
_LARGEST = 50_000_000


# Flattrade's files, one or two of an exchange (11.1).
_CSV_FILES: Mapping[str, tuple[str, ...]] = {
    "NSE": ("NSE_Equity.csv",),
    "BSE": ("BSE_Equity.csv",),
    "NFO": ("Nfo_Index_Derivatives.csv", "Nfo_Equity_Derivatives.csv"),
    "BFO": ("Bfo_Index_Derivatives.csv", "Bfo_Equity_Derivatives.csv"),
    "CDS": ("Currency_Derivatives.csv",),
    "MCX": ("Commodity.csv",),
}


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
        return self._get(file_name(exchange))

    def _get(self, name: str) -> bytes | None:
        if self._stopped.is_set():
            raise BadSymbolFile("the service stops")
        try:
            with requests.Session() as session:
                # A proxy of the environment has no business between a service and its own machine.
                session.trust_env = not self._near
                url, timeout = f"{self._base}/{name}", (_CONNECT_S, _READ_S)
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


class CsvSource(UrlSource):
    """A server that has Flattrade's files: plain, up to two of an exchange, and without price steps."""

    def place(self, exchange: str) -> str:
        return f"{self._shown}/{_CSV_FILES[exchange][0]}"

    def fetch(self, exchange: str) -> bytes | None:
        """The files of an exchange as one, without the rows of other exchanges; None where any is not there."""
        texts = [self._get(name) for name in _CSV_FILES[exchange]]
        lines: list[bytes] = []
        for text in texts:
            if text is None:
                return None
            header, *rows = text.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True) or [b""]
            lines += [] if lines else [header]
            lines += [row if row.endswith(b"\n") else row + b"\n" for row in rows if row.startswith(exchange.encode())]
        return b"".join(lines)


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


def source_of(directory: Path | None, url: str | None, host: str, csv_files: str = "") -> SymbolFileSource:
    """The source that settings name.

    Args:
        directory: `[instruments] directory`; it wins.
        url: `[instruments] url`.
        host: The broker's REST address, whose root has the files where no other place is named.
        csv_files: Where the broker has them in Flattrade's form.
    """
    if directory is not None:
        return FolderSource(directory)
    if url is None and csv_files:
        return CsvSource(csv_files)
    there = urlsplit(host)
    return UrlSource(url or f"{there.scheme}://{there.netloc}")
