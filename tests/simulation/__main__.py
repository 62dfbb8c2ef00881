"""`python -m tests.simulation`: seeds, plans and their summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tests.simulation import tool
from tests.simulation.composition import SYSTEM

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def simulate(
    *,
    first_seed: Annotated[int, typer.Option(help="The first seed of the window.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 1000,
    jobs: Annotated[int, typer.Option(help="How many processes.")] = 2,
    seed: Annotated[int | None, typer.Option(help="One seed only.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="calm, fresh, rough or hostile; by default the seed's own.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Numbers of the events that are to happen, as 3,7,9.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print the trace of one seed.")] = False,
    shrink: Annotated[bool, typer.Option(help="Look for the shortest list of events that still fails.")] = True,
    plan: Annotated[Path | None, typer.Option(help="A kept plan, to be run instead of a seed's.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Where to write the shortest plan of a seed that fails.")] = None,
    as_json: Json = False,
) -> None:
    """Run the whole service in simulated worlds with faults, and check the laws in each."""
    wanted = None if only is None else tuple(int(number) for number in only.split(",") if number.isdigit())
    options = tool.Options(
        first_seed=first_seed,
        seeds=seeds,
        jobs=jobs,
        seed=seed,
        profile=profile,
        only=wanted,
        trace=trace,
        shrink=shrink,
        as_json=as_json,
        plan=plan,
        keep=keep,
    )
    try:
        code = tool.simulate(SYSTEM, options, typer.echo)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)


if __name__ == "__main__":
    typer.run(simulate)
