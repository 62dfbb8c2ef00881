"""Sixstep beside NautilusTrader, the same shape of work on the same machine in the same run.

    python benchmarks/against_nautilus.py [--python PYTHON] [--environment DIR] [--rounds 3] [--orders 1000]
                                          [--burst 10000]

NautilusTrader is installed into an environment of its own, made with a Python of at least 3.12 (`--python`, or the
first of python3.12, python3.13, python3.14 on the path; an older Python gets an old version). Its live node runs as it
does in production: strategy, risk engine, execution engine, a live execution client that accepts each order at once,
and its cache backed by Redis. The Redis server is started on a free loopback port, with persistence switched off, and
ended with the script.

Sixstep: all actors on threads with its SQLite database (WAL, synchronous=FULL), trace files as in the service, and
a broker object that accepts each order at once.

An actor, or strategy, submits; timed from its submission until it is told that the order was accepted. Every round
starts both anew and empty, one after the other. Left out: market data, the wire to the broker, fills, HTTP entry
points. What the two do until "accepted" differs: Sixstep commits each order durably twice before the broker is called
and once more before it answers; NautilusTrader writes to Redis behind the order, in memory only, and waits for nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import AtOnce, Run, Sixstep, machine, say
from loguru import logger

WANTED = "nautilus_trader==1.231.0"
PYTHONS = ("python3.12", "python3.13", "python3.14")
WARM_UP = 200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="a Python of at least 3.12")
    parser.add_argument("--environment", type=Path, help="kept and used again; a fresh temporary one by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=1_000, help="one at a time")
    parser.add_argument("--burst", type=int, default=10_000)
    given = parser.parse_args()
    logger.remove()
    redis_server = shutil.which("redis-server")
    if redis_server is None:
        say("redis-server is not on the path; on Debian: apt-get install redis-server")
        return 1
    newer = given.python or next(filter(None, map(shutil.which, PYTHONS)), None)
    if newer is None:
        say(f"none of {', '.join(PYTHONS)} is on the path; name one with --python")
        return 1
    with tempfile.TemporaryDirectory() as name:
        python = environment(newer, given.environment or Path(name) / "environment")
        work = (("one at a time", given.orders, 1), (f"burst of {given.burst}", given.burst, 0))
        say(machine())
        results: dict[str, dict[str, list[Run]]] = {label: {} for label, _, _ in work}
        for turn in range(given.rounds):
            directory = Path(name) / f"round{turn}"
            for who, runs in (
                ("NautilusTrader", theirs(python, redis_server, directory / "theirs", work)),
                ("Sixstep", ours(directory / "ours", work)),
            ):
                for label, run in runs.items():
                    say(f"  round {turn + 1}  {who:15} {label:15} {run}")
                    results[label].setdefault(who, []).append(run)
    for label, by_name in results.items():
        say(f"{label}, the median round of each:")
        middle = {who: sorted(runs, key=lambda run: run.per_second)[len(runs) // 2] for who, runs in by_name.items()}
        for who, run in middle.items():
            say(f"  {who:15} {run}")
        say(f"  ratio Sixstep/NautilusTrader: {middle['Sixstep'].per_second / middle['NautilusTrader'].per_second:.2f}")
    return 0


def environment(python: str, directory: Path) -> Path:
    """The Python of an environment with NautilusTrader in it, made if it is not there."""
    inside = directory / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", str(directory)], check=True)
        for package in (WANTED, "nautilus_trader"):
            command = [str(inside), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", package]
            if subprocess.run(command, check=False).returncode == 0:
                break
    return inside


@contextmanager
def redis(server: str, directory: Path) -> Iterator[int]:
    """A Redis server of our own on a free loopback port, without persistence: as fast as it can be."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", ""]
    process = subprocess.Popen([*command, "--appendonly", "no"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def keys_in(port: int) -> int:
    """How many keys the Redis server holds."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"DBSIZE\r\n")
        return int(connection.recv(64).strip().lstrip(b":"))


def theirs(python: Path, redis_server: str, directory: Path, work: tuple[tuple[str, int, int], ...]) -> dict[str, Run]:
    directory.mkdir(parents=True)
    child = Path(__file__).with_name("nautilus_path.py")
    with redis(redis_server, directory) as port:
        process = subprocess.Popen(
            [str(python), str(child), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            say(f"NautilusTrader {json.loads(process.stdout.readline())['version']}")
            runs: dict[str, Run] = {}
            for label, orders, at_a_time in (("", WARM_UP, 1), *work):
                process.stdin.write(json.dumps({"orders": orders, "at_a_time": at_a_time}) + "\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                runs[label] = Run(orders, answer["seconds"], answer["answers_s"], [], answer["cpu_s"])
                time.sleep(1)
            total = WARM_UP + sum(orders for _, orders, _ in work)
            kept = keys_in(port)
            assert kept >= total, f"Redis holds {kept} keys after {total} orders"
            process.stdin.close()
            process.wait(30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    del runs[""]
    return runs


def ours(directory: Path, work: tuple[tuple[str, int, int], ...]) -> dict[str, Run]:
    directory.mkdir(parents=True)
    addresses = Sixstep(directory, AtOnce())
    try:
        addresses.submit(WARM_UP, 1)
        runs = {}
        for label, orders, at_a_time in work:
            addresses.settle()
            runs[label] = addresses.submit(orders, at_a_time)
        return runs
    finally:
        addresses.close()


if __name__ == "__main__":
    sys.exit(main())
