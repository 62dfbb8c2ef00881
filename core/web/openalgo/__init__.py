"""The entry point for programs written for OpenAlgo (docs/openalgo.md)."""

from core.web.openalgo.entry import PREFIX, OpenAlgo
from core.web.openalgo.sockets import SocketPort, Sockets

__all__ = ["PREFIX", "OpenAlgo", "SocketPort", "Sockets"]
