"""The entry point for programs written for OpenAlgo (docs/openalgo.md)."""

from core.web.openalgo.entry import PREFIX, OpenAlgo

__all__ = ["PREFIX", "OpenAlgo"]
