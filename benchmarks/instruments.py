"""How long the symbol files of a live morning take to load, and what memory that needs.

    python benchmarks/instruments.py [--rows N]

Makes files as large as the brokers': most rows are options of NFO and BFO. Left out on purpose: the download. Each
round loads all files into an index of its own and then asks it for names, a chain and a text. The peak of memory is
that of the whole process, less what it had before the first file.
"""

from __future__ import annotations

import argparse
import io
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

from core.instruments.index import InstrumentIndex
from core.instruments.lookups import find, near
from core.instruments.symbol_file import file_name, read_symbol_file
from core.model.instrument import SymbolFile

TODAY = date(2026, 11, 27)
NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CASH = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n"
DERIVATIVES = "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n"
SHARE_OF = {"NSE": 0.06, "BSE": 0.08, "NFO": 0.6, "BFO": 0.2, "MCX": 0.06}


def cash(exchange: str, rows: int) -> str:
    series = "-EQ" if exchange == "NSE" else ""
    return CASH + "".join(f"{exchange},{n},1,S{n},S{n}{series},EQ,5,\n" for n in range(rows))


def derivatives(exchange: str, rows: int) -> str:
    lines = [DERIVATIVES]
    for n in range(rows):
        under = "NIFTY" if exchange == "NFO" and n < 4000 else f"U{n // 400}"
        expiry = TODAY + timedelta(days=4 + 7 * (n // 80 % 5))
        day = f"{expiry.day:02}{MONTHS[expiry.month - 1]}"
        strike, option = 20_000 + 50 * (n // 2 % 40 + 40 * (n // 400 % 10)), "CP"[n % 2]
        name = f"{under}{day}{expiry.year % 100}{option}{strike}"
        lines.append(
            f"{exchange},{n + 100},65,{under},{name},{day[:2]}-{day[2:]}-{expiry.year},"
            f"OPTIDX,{option}E,{strike}.00,0.05,\n"
        )
    return "".join(lines)


def zipped(exchange: str, text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(file_name(exchange).removesuffix(".zip"), text)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load is not None:
        load(given.load, given.rounds)
        return
    with tempfile.TemporaryDirectory() as name:
        for exchange, part in SHARE_OF.items():
            make = cash if exchange in ("NSE", "BSE") else derivatives
            (Path(name) / file_name(exchange)).write_bytes(zipped(exchange, make(exchange, int(given.rows * part))))
        print(f"{platform.platform()}, Python {platform.python_version()}, {given.rows} rows")
        # In a process of its own: the making of the files needs more memory than their reading.
        arguments = ["--load", name, "--rounds", str(given.rounds)]
        subprocess.run([sys.executable, __file__, *arguments], check=True)


def load(directory: Path, rounds: int) -> None:
    before = peak_kb()
    took: list[tuple[float, float]] = []
    for number in range(rounds):
        index = InstrumentIndex.open(directory / str(number))
        began = perf_counter(), process_time()
        for exchange in SHARE_OF:
            data = (directory / file_name(exchange)).read_bytes()
            index.replace(SymbolFile(exchange, "made up", NOW, 0), read_symbol_file(data, exchange))
        took.append((perf_counter() - began[0], process_time() - began[1]))
        if number == rounds - 1:
            peak = (peak_kb() - before) / 1024
            size = (directory / str(number) / "instruments.db").stat().st_size / 1e6
            wall, work = (statistics.median(times) for times in zip(*took, strict=True))
            print(f"loaded in {wall:.2f} s, {work:.2f} s of them at work (medians of {rounds})")
            print(f"{peak:.0f} MB of memory at most, {size:.0f} MB on disk")
            look(index)
        index.close()


def peak_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def look(index: InstrumentIndex) -> None:
    expiry = TODAY + timedelta(days=4)
    for name, ask in (
        ("a trading symbol", lambda: find(index, "S77-EQ", "NSE", TODAY)),
        ("an OpenAlgo name", lambda: find(index, "NIFTY01DEC2621000CE", "", TODAY)),
        ("a chain", lambda: index.chain("NIFTY", expiry)),
        ("a text", lambda: index.search("NIFTY 21000 CE", "", TODAY, 20)),
        ("near names", lambda: near(index, "NIFTI", "", TODAY)),
    ):
        began = perf_counter()
        found = ask()
        print(f"{name:<18} {(perf_counter() - began) * 1000:8.2f} ms  {'found' if found else 'nothing'}")


if __name__ == "__main__":
    main()
