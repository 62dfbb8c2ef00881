#!/usr/bin/env python3
"""The only door: a command line. Every command is `python run.py [--settings FILE] COMMAND`; no command means `run`."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - said before anything is imported that needs it
    sys.stderr.write(
        f"error: Sixstep needs Python 3.11 or newer; this is {sys.version_info[0]}.{sys.version_info[1]}\n"
    )
    sys.exit(2)

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli import CliError, commands
from core.cli import candles as candle_commands
from core.cli import instruments as instrument_commands
from core.cli import keys as key_commands
from core.settings import Settings, SettingsError, exchange_config, load_settings, settings_template

app = typer.Typer(
    rich_markup_mode=None,
    # Typer's own tracebacks print local variables, and with them secrets (law 11).
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SHORTEST_PASSWORD = 8

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_FOLDER = Path(__file__).resolve().parent

CommandId = Annotated[str, typer.Argument(metavar="COMMAND_ID")]


@app.callback(invoke_without_command=True)
def sixstep(
    context: typer.Context,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings file; by default settings.toml beside this program.")
    ] = None,
) -> None:
    """Sixstep: order execution for Noren brokers. Without a command it runs the service."""
    # Whatever a command makes holds orders, positions or secrets, and is nobody else's to read.
    os.umask(0o077)
    beside = _FOLDER / "settings.toml"
    context.obj = settings or (beside if beside.exists() else None)
    if context.invoked_subcommand is None:
        run(context)


@app.command()
def run(context: typer.Context) -> None:
    """Run the service until SIGINT or SIGTERM."""
    from actors.service import run_service
    from core.files.instance import AlreadyRunning
    from core.store.errors import StoreError

    try:
        code = run_service(_settings(context))
    except (StoreError, AlreadyRunning, OSError) as error:
        raise CliError(str(error)) from error
    raise typer.Exit(code)


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An order or basket as JSON; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Submit an order to the running service."""
    typer.echo(commands.submit(_settings(context), file, as_json=as_json))


@app.command()
def orders(
    context: typer.Context,
    *,
    status: Annotated[str | None, typer.Option(help="CREATED, SENT_TO_BROKER, EXECUTED or FAILED.")] = None,
    strategy: Annotated[str | None, typer.Option(help="A strategy's name.")] = None,
    day: Annotated[str | None, typer.Option(help="A trading day as 2026-11-23.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List orders, newest first."""
    filters = {"status": status, "strategy": strategy, "day": day, "limit": str(limit)}
    typer.echo(commands.orders(_settings(context), filters, as_json=as_json))


@app.command()
def show(context: typer.Context, command_id: CommandId, as_json: Json = False) -> None:
    """Show one order with its events and fills."""
    typer.echo(commands.show(_settings(context), command_id, as_json=as_json))


@app.command()
def trace(
    context: typer.Context,
    command_id: CommandId,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid sequence diagram.")] = False,
    as_json: Json = False,
) -> None:
    """Show the messages of one order: what caused what, and when."""
    typer.echo(commands.trace(_settings(context), command_id, as_mermaid=mermaid, as_json=as_json))


@app.command()
def positions(context: typer.Context, as_json: Json = False) -> None:
    """Show the account's positions: the broker's figures, what strategies hold, and what is nobody's."""
    typer.echo(commands.positions(_settings(context), as_json=as_json))


@app.command()
def adopt(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    symbol: str,
    strategy: Annotated[str, typer.Option(help="Who is given the position, or of whom it is written off.")],
    quantity: Annotated[int, typer.Option(help="How much of it, unsigned.")],
    exchange: Annotated[str, typer.Option(help="Of the symbol.")] = "NSE",
    product: Annotated[str, typer.Option(help="MIS, NRML or CNC.")] = "MIS",
    write_off: Annotated[bool, typer.Option("--write-off", help="Take off what the broker does not have.")] = False,
    as_json: Json = False,
) -> None:
    """Give a broker position, or a part of it, to a strategy; or write off what the broker does not have."""
    wanted: dict[str, object] = {
        **{"symbol": symbol, "strategy": strategy, "quantity": quantity, "exchange": exchange},
        **{"product": product, "write_off": write_off},
    }
    typer.echo(commands.adopt(_settings(context), wanted, as_json=as_json))


@app.command()
def flatten(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    symbol: str,
    quantity: Annotated[int, typer.Option(help="What the EXIT opened, signed, as its alert says: --quantity=-100.")],
    exchange: Annotated[str, typer.Option(help="Of the symbol.")] = "NSE",
    product: Annotated[str, typer.Option(help="MIS, NRML or CNC.")] = "MIS",
    as_json: Json = False,
) -> None:
    """Close what an EXIT opened because the holding was gone; nothing else, and not what no strategy owns."""
    wanted: dict[str, object] = {"symbol": symbol, "quantity": quantity, "exchange": exchange, "product": product}
    typer.echo(commands.flatten(_settings(context), wanted, as_json=as_json))


@app.command()
def protect(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="By default what is protected is listed.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Who holds it.")] = None,
    stop: Annotated[str | None, typer.Option(help="5 for points, 2% for per cent, @95 for a price.")] = None,
    target: Annotated[str | None, typer.Option(help="As --stop.")] = None,
    trail: Annotated[str | None, typer.Option(help="5 for points, 2% for per cent.")] = None,
    exchange: Annotated[str, typer.Option(help="Of the symbol.")] = "NSE",
    product: Annotated[str | None, typer.Option(help="MIS, NRML or CNC; by default the one held.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="End this protection instead.")] = None,
    as_json: Json = False,
) -> None:
    """Protect what a strategy holds by a stop, a target, a trail; list protections; or cancel one."""
    levels = {name: text for name, text in (("stop", stop), ("target", target), ("trail", trail)) if text is not None}
    wanted = {"symbol": symbol, "strategy": strategy, "exchange": exchange, "product": product}
    typer.echo(commands.protect(_settings(context), wanted, levels, cancel, as_json=as_json))


@app.command()
def guard(context: typer.Context, as_json: Json = False) -> None:
    """Show what strategies hold and have reserved, and differences to the broker."""
    typer.echo(commands.guard(_settings(context), as_json=as_json))


@app.command()
def risk(context: typer.Context, as_json: Json = False) -> None:
    """Show limits, their use, and why an ENTRY would be refused now."""
    typer.echo(commands.risk(_settings(context), as_json=as_json))


@app.command()
def halt(context: typer.Context, reason: Annotated[str, typer.Argument()] = "", as_json: Json = False) -> None:
    """Halt trading: nothing that could open risk is sent any more; exits are."""
    typer.echo(commands.halt(_settings(context), reason, as_json=as_json))


@app.command()
def resume(context: typer.Context, as_json: Json = False) -> None:
    """Let trading go on."""
    typer.echo(commands.resume(_settings(context), as_json=as_json))


@app.command()
def cancel(context: typer.Context, command_id: str, as_json: Json = False) -> None:
    """Cancel an order: for good if it was not sent yet, else at the broker."""
    typer.echo(commands.cancel(_settings(context), command_id, as_json=as_json))


@app.command()
def modify(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    command_id: CommandId,
    quantity: Annotated[int | None, typer.Option(help="The total: filled and still wanted together.")] = None,
    price: Annotated[str | None, typer.Option(help="In rupees.")] = None,
    trigger_price: Annotated[str | None, typer.Option(help="In rupees.")] = None,
    order_type: Annotated[str | None, typer.Option(help="LIMIT, MARKET, SL or SL-M.")] = None,
    seen_filled: Annotated[int | None, typer.Option(help="Only while so much is filled.")] = None,
    as_json: Json = False,
) -> None:
    """Have an order at the broker changed; what is left out stays."""
    fields = {"quantity": quantity, "price": price, "trigger_price": trigger_price, "order_type": order_type}
    wanted: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
    if seen_filled is not None:
        wanted["seen"] = {"filled_quantity": seen_filled}
    typer.echo(commands.modify(_settings(context), command_id, wanted, as_json=as_json))


@app.command()
def squareoff(
    context: typer.Context,
    strategy: Annotated[str | None, typer.Option(help="Only what this strategy holds.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    as_json: Json = False,
) -> None:
    """Exit what strategies hold; delivery holdings stay."""
    typer.echo(commands.squareoff(_settings(context), strategy, symbol, as_json=as_json))


instruments = typer.Typer(rich_markup_mode=None, help="Look up what can be traded.")
app.add_typer(instruments, name="instruments")

Exchange = Annotated[str, typer.Option(help="NSE, BSE, NFO, BFO, CDS or MCX; by default all of them.")]


@app.command("quote")
def quote_(
    context: typer.Context,
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="RELIANCE-EQ, NSE:RELIANCE, …")],
    exchange: Exchange = "",
    as_json: Json = False,
) -> None:
    """Show last prices with age and source: from the push feed where a strategy follows them, else from the broker."""
    typer.echo(instrument_commands.quotes(_settings(context), symbols, exchange, as_json=as_json))


@instruments.command("refresh")
def instruments_refresh(context: typer.Context, as_json: Json = False) -> None:
    """Read the broker's symbol files now, and tell which are in use."""
    typer.echo(instrument_commands.refresh(_settings(context), as_json=as_json))


@instruments.command("search")
def instruments_search(
    context: typer.Context,
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Words of a symbol or name.")],
    exchange: Exchange = "",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List instruments that hold every word."""
    typer.echo(instrument_commands.search(_settings(context), " ".join(text), exchange, limit, as_json=as_json))


@instruments.command("show")
def instruments_show(context: typer.Context, symbol: str, exchange: Exchange = "", as_json: Json = False) -> None:
    """Show one instrument by its symbol or a name: RELIANCE-EQ, NSE:RELIANCE, NIFTY25AUG2625000CE."""
    typer.echo(instrument_commands.show(_settings(context), symbol, exchange, as_json=as_json))


@instruments.command("chain")
def instruments_chain(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    underlying: str,
    expiry: Annotated[str, typer.Option(help="A day as 2026-08-25; by default the nearest.")] = "",
    strikes: Annotated[int | None, typer.Option(help="Only so many on each side of the strike at the money.")] = None,
    around: Annotated[str | None, typer.Option(help="The underlying's price; by default it is asked for.")] = None,
    premium: Annotated[str | None, typer.Option(help="Find the option nearest to this price, with --option.")] = None,
    option: Annotated[str | None, typer.Option(help="Only CE, or only PE.")] = None,
    as_json: Json = False,
) -> None:
    """List the options of an underlying that expire on a day."""
    wanted = {"expiry": expiry or None, "strikes": strikes, "around": around, "premium": premium, "option": option}
    typer.echo(instrument_commands.chain(_settings(context), underlying, wanted, as_json=as_json))


keys = typer.Typer(rich_markup_mode=None, help="Make, list and revoke the keys of the OpenAlgo entry point.")
app.add_typer(keys, name="keys")


@keys.command("new")
def keys_new(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What you call it, such as tradingview.")],
    rights: Annotated[str, typer.Option(help="Of read, trade and square-off.")] = "read,trade,square-off",
    per_min: Annotated[int | None, typer.Option(min=1, help="Requests a minute, at most.")] = None,
    orders_per_min: Annotated[int | None, typer.Option(min=1, help="Orders a minute, at most.")] = None,
    allow_from: Annotated[str, typer.Option("--from", help="Addresses and networks it is taken from.")] = "",
    as_json: Json = False,
) -> None:
    """Make a key, and show it this once."""
    settings = _settings(context)
    typer.echo(key_commands.new(settings, name, rights, per_min, orders_per_min, allow_from, as_json=as_json))


@keys.command("list")
def keys_list(context: typer.Context, as_json: Json = False) -> None:
    """List the keys by name, with what they may; the keys themselves are kept nowhere."""
    typer.echo(key_commands.listed(_settings(context), as_json=as_json))


@keys.command("revoke")
def keys_revoke(context: typer.Context, name: str) -> None:
    """Take a key away; a running service lets it in no more."""
    typer.echo(key_commands.revoke(_settings(context), name))


@app.command()
def candles(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    symbol: str,
    interval: Annotated[str, typer.Option(help="1m, 2m, 3m, 5m, 10m, 15m, 30m, 1h, 2h, 4h or 1d.")] = "5m",
    begin: Annotated[str, typer.Option("--from", help="A day or time; by default the last session's start.")] = "",
    end: Annotated[str, typer.Option("--to", help="A day or time; by default now.")] = "",
    exchange: Exchange = "",
    as_json: Json = False,
) -> None:
    """Show an instrument's candles from the broker's history."""
    wanted = {"symbol": symbol, "interval": interval, "from": begin, "to": end, "exchange": exchange}
    typer.echo(candle_commands.candles(_settings(context), wanted, as_json=as_json))


@app.command()
def login(context: typer.Context, as_json: Json = False) -> None:
    """Log in at a broker with browser login, before the market opens: its token is good for the day.

    Prints the address to open, reads the code from standard input, and keeps the token in [broker] access_token_file;
    without such a file it prints the token.
    """
    from core.cli.login import BrowserLogin, keep_token
    from core.settings import load_for_login

    settings, file = load_for_login(context.obj, base=_FOLDER)
    begun = BrowserLogin(settings)
    typer.echo(f"open {begun.address}\nthen hand over the code, or the whole address the browser ends at", err=True)
    given = typer.prompt("code", err=True) if sys.stdin.isatty() else sys.stdin.readline()
    token = begun.token(given)
    if file is None:
        typer.echo(json.dumps({"access_token": token}) if as_json else token)
        return
    keep_token(file, token)
    told = {"access_token_file": str(file)}
    typer.echo(json.dumps(told) if as_json else f"the token is in {file}; the service takes it when it starts")


@app.command("hash-password")
def hash_password() -> None:
    """Read a password and print its argon2 hash, for [web] dashboard_password."""
    from core.settings.checks import SHORTEST_SECRET
    from core.web.sessions import Password

    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < _SHORTEST_PASSWORD:
        raise CliError(f"the password is shorter than {_SHORTEST_PASSWORD} characters; take a longer one")
    if len(password) < SHORTEST_SECRET:
        text = f"shorter than {SHORTEST_SECRET} characters: do not use it where [web] host lets other machines in"
        typer.echo(f"warning: {text}", err=True)
    typer.echo(Password.hash_of(password))


def _port(of: str) -> Any:
    return typer.Option(min=0, max=65535, help=f"Port of the {of}.")


@app.command()
def paper(
    context: typer.Context,
    *,
    rest_port: Annotated[int | None, _port("REST face; 0 takes a free one")] = None,
    ws_port: Annotated[int | None, _port("push feed")] = None,
    control_port: Annotated[int | None, _port("control API and the live page")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it keeps its state; by default [service] data_dir.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Clear its state, put the service's database aside, and end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the paper exchange alone until SIGINT or SIGTERM; it goes on where it was the last time."""
    from core.files.instance import AlreadyRunning
    from core.paper.server import PaperServer, run_paper

    settings = _settings(context)
    if reset:
        from core.cli.paper import reset as clear
        from core.runtime import SystemClock

        typer.echo(clear(settings, data_dir, SystemClock().now(), as_json=as_json))
        return
    market = settings.paper

    def tell(server: PaperServer) -> None:
        urls = {"host": server.rest_url, "websocket": server.ws_url, "control": server.control_url}
        lines = json.dumps(urls) if as_json else "\n".join(f"{name:<9}  {url}" for name, url in urls.items())
        typer.echo(lines)
        sys.stdout.flush()

    try:
        run_paper(
            exchange_config(market),
            rest_port=market.rest_port if rest_port is None else rest_port,
            ws_port=market.ws_port if ws_port is None else ws_port,
            control_port=market.control_port if control_port is None else control_port,
            seed=market.seed,
            directory=data_dir or settings.service.data_dir,
            on_ready=tell,
        )
    except AlreadyRunning as error:
        raise CliError(str(error)) from error


@app.command()
def watch(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Look once, and print it as plain tables.")] = False,
    as_json: Json = False,
) -> None:
    """Show state, open orders, positions and the last alerts of the running service; Ctrl-C ends it."""
    from core.cli.watch import watch as show

    if text := show(_settings(context), once=once, as_json=as_json):
        typer.echo(text)


@app.command()
def doctor(
    context: typer.Context,
    *,
    login: Annotated[bool, typer.Option("--login", help="Log in too: that may end another session.")] = False,
    telegram: Annotated[bool, typer.Option("--telegram", help="Send a message to the chat of the alerts.")] = False,
    backups: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where backups are put.")] = None,
    as_json: Json = False,
) -> None:
    """Look whether all is there that a trading day needs; exit code 1 when something fails."""
    from actors.service import broker_client, push_feed
    from actors.strategy_classes import strategy_classes
    from core.cli.doctor import Asked, Makers
    from core.cli.doctor import doctor as examine
    from core.noren import CodeMemory
    from core.runtime import SystemClock

    clock = SystemClock()
    makers = Makers(
        client=lambda settings, broker: broker_client(
            settings, broker, clock, CodeMemory(settings.service.data_dir / "last-login-code")
        ),
        feed=lambda settings, broker, deliver: push_feed(settings, broker, clock, deliver),
        strategies=strategy_classes,
    )
    asked = Asked(login=login, telegram=telegram, backups=backups)
    typer.echo(examine(context.obj, _FOLDER, makers, asked, clock, as_json=as_json))


@app.command()
def version(as_json: Json = False) -> None:
    """Show the version of Sixstep, of Python and of the database's schema."""
    from core.cli.version import version as told

    typer.echo(told(_FOLDER, as_json=as_json))


database = typer.Typer(rich_markup_mode=None, help="Look after the database.")
app.add_typer(database, name="db")


@database.command("check")
def db_check(context: typer.Context, as_json: Json = False) -> None:
    """Verify the database: rows against events, fills and positions; exit code 1 when they contradict each other."""
    typer.echo(commands.db_check(_settings(context), as_json=as_json))


@database.command("move")
def db_move(context: typer.Context, as_json: Json = False) -> None:
    """Keep the database when the same broker listens at another address than when it was begun."""
    typer.echo(commands.db_move(_settings(context), as_json=as_json))


@app.command("check-settings")
def check_settings(
    context: typer.Context,
    template: Annotated[bool, typer.Option("--template", help="Print a settings file with every default.")] = False,
    as_json: Json = False,
) -> None:
    """Check the settings and show those in force, secrets hidden."""
    if template:
        typer.echo(settings_template(), nl=False)
        return
    from actors.strategy_classes import strategy_classes

    settings = _settings(context)
    strategy_classes(settings)
    typer.echo(commands.check_settings(settings, as_json=as_json))


@app.command()
def tags(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as docs show it.")] = False,
    as_json: Json = False,
) -> None:
    """List the tags of failed orders: what each means and what to do."""
    typer.echo(commands.tags(as_json=as_json, as_markdown=markdown))


def _settings(context: typer.Context) -> Settings:
    return load_settings(context.obj, base=_FOLDER)


def main() -> int:
    """Run a command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not turn an answer into a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        return app(standalone_mode=False) or 0
    except CliError as error:
        if error.output is not None:
            typer.echo(error.output)
        return _complain(str(error), error.code)
    except SettingsError as error:
        return _complain(str(error), 2)
    except PermissionError as error:
        who = "run this as the user the service runs as, who owns [service] data_dir"
        return _complain(f"{error.filename or error}: {error.strerror or 'permission denied'}; {who}", 1)
    except OSError as error:
        return _complain(str(error), 1)
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        return _complain(f"{usage()} (see --help)", 2)


def _complain(message: str, code: int) -> int:
    typer.echo("\n".join(f"error: {line}" for line in message.splitlines()), err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
