"""The app: global options, the list of commands, and the one place where errors become a line and an exit code.

| exit code | means |
|---|---|
| 0 | done |
| 1 | a failure, said in one line on stderr |
| 2 | the command was called wrongly |
| 3 | `offmap gate`: the eval set covers too little |
| 130, 141 | interrupted by Ctrl-C; the reader of the output went away (128 and the signal's number, as shells say it) |

An exception that nobody planned is a bug and keeps its traceback. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from monitor.cli import (
    alerts,
    analysis,
    backup,
    config,
    consume,
    dead_letters,
    doctor,
    drift,
    evalset,
    export,
    gaps,
    gate,
    ingest,
    keywords,
    lookout,
    privacy,
    selftest,
    signals,
    trends,
    watch_lists,
)
from monitor.cli import gap as gap_
from monitor.cli import replay as replay_
from monitor.cli import serve as serve_
from monitor.cli import topics as topics_
from monitor.cli import turns as turns_
from monitor.cli import why as why_
from monitor.cli.context import Caller, caller_of
from monitor.cli.interrupts import INTERRUPTED, MESSAGE, watch_interrupts
from monitor.errors import OffmapError
from monitor.wording import clean

__all__ = ["app", "main"]

_BROKEN_PIPE = 141


class _Commands(TyperGroup):
    """Runs a command and translates what it raises."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            caller = caller_of(ctx)
            meant = _translated(error, interrupted=caller is not None and caller.interrupted())
            if meant is None:
                raise
            raise meant from error
        return result


def _translated(error: BaseException, *, interrupted: bool) -> typer.Exit | None:
    """The exit that an error means, after its line was written; None for a bug."""
    if interrupted or isinstance(error, KeyboardInterrupt):
        # Whatever Ctrl-C became on its way: DuckDB makes a RuntimeError of it, a transaction a StoreError, and a compiled
        # module that was being imported whatever it likes.
        return typer.Exit(INTERRUPTED)
    if isinstance(error, OffmapError):
        return _ended(str(error), error.exit_code)
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return typer.Exit(_BROKEN_PIPE)
    if isinstance(error, OSError) and error.filename is not None:
        # The caller's files: no room, no permission. An error without a name is something else, and a bug.
        return _ended(f"{error.filename}: {error.strerror}", OffmapError.exit_code)
    return None


def _ended(message: str, code: int) -> typer.Exit:
    with suppress(OSError):
        sys.stdout.flush()
    _complain(message)
    return typer.Exit(code)


def _complain(message: str) -> None:
    with suppress(BrokenPipeError):
        sys.stderr.write(f"Error: {clean(message)}\n")
        sys.stderr.flush()


def _drop_output() -> None:
    """Nobody reads any more: what is still buffered must not fail again when Python exits."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


app = typer.Typer(
    name="offmap",
    cls=_Commands,
    help="See what your users ask that your evals never test.",
    epilog="Settings come from offmap.toml, OFFMAP_* variables and options; `offmap config show` lists them all.",
    no_args_is_help=True,
    add_completion=False,
    # Rich's help doubles the time of `offmap --help`.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"offmap {version('offmap')}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The settings file, instead of offmap.toml.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = replace(caller_of(context), config=config)


app.command("init")(config.init)
app.command("ingest")(ingest.ingest)
app.command("consume")(consume.consume)
app.add_typer(evalset.app, name="evalset")
app.command("analyse")(analysis.analyse)
app.command("drift")(drift.drift)
app.command("lookout")(lookout.lookout)
app.command("keywords")(keywords.keywords)
app.command("trends")(trends.trends)
app.command("watchlist")(watch_lists.watch_lists)
app.command("gaps")(gaps.gaps)
app.command("gap")(gap_.gap)
app.command("gate")(gate.gate)
app.command("selftest")(selftest.selftest)
app.add_typer(topics_.app, name="topics")
app.command("turns")(turns_.turns)
app.command("why")(why_.why)
app.command("mark")(why_.mark)
app.command("unmark")(why_.unmark)
app.command("signals")(signals.signals)
app.command("export")(export.export)
app.command("serve")(serve_.serve)
app.command("replay")(replay_.replay)
app.command("forget")(privacy.forget)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(alerts.app, name="alerts")
app.add_typer(dead_letters.app, name="deadletters")
app.command("doctor")(doctor.doctor)
app.add_typer(config.app, name="config")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit code. Without arguments those of the process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows a question mark, and the command still works.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    with watch_interrupts() as interrupted:
        caller = Caller(os.environ if environment is None else environment, interrupted)
        try:
            app(args=arguments, prog_name="offmap", obj=caller)
        except SystemExit as ended:
            if ended.code == INTERRUPTED:  # said here: typer may be the one who was interrupted
                _complain(MESSAGE)
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
