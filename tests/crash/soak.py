"""The crash soak as a command: `python -m tests.crash.soak --kills 200`, or `--kills 10 --database-kills 50`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crash.harness import Figures, crash
from tests.store.databases import stoppable_server
from tests.support_service import Databases


def main() -> int:
    """Run the soak and print its figures; 1 when a law was broken."""
    parser = argparse.ArgumentParser(description="Kill the service with -9 while orders stream through it.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-kills", type=int, default=0, help="Kill PostgreSQL so often, too; SQLite without.")
    parser.add_argument("--keep", type=Path, help="Keep database and log in this directory.")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sixstep-soak-") as scratch:
        directory = wanted.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        figures = _run(directory, wanted)
    for line in [*figures.wrong, *figures.lines()]:
        _say(line)
    return 1 if figures.wrong else 0


def _run(directory: Path, wanted: argparse.Namespace) -> Figures:
    if not wanted.database_kills:
        return crash(directory, kills=wanted.kills, seed=wanted.seed, tell=_say)
    (directory / "database").mkdir(exist_ok=True)
    with stoppable_server(directory / "database") as server:
        Databases.url_of = staticmethod(lambda _: server.url)
        return crash(
            directory,
            kills=wanted.kills,
            seed=wanted.seed,
            database=server,
            database_kills=wanted.database_kills,
            tell=_say,
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
