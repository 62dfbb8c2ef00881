"""The entry point for programs written for OpenAlgo (docs/openalgo.md)."""

from core.web.openalgo.entry import PATHS, OpenAlgo
from core.web.openalgo.sockets import SocketPort, Sockets

__all__ = ["PATHS", "OpenAlgo", "SocketPort", "Sockets"]
