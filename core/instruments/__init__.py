"""The brokers' symbol files: fetched or taken from a folder, read, kept and looked up."""

from core.instruments.index import InstrumentIndex, open_for_reading
from core.instruments.source import SymbolFileSource, source_of
from core.instruments.symbol_file import BadSymbolFile

__all__ = ["BadSymbolFile", "InstrumentIndex", "SymbolFileSource", "open_for_reading", "source_of"]
