"""`offmap backup` and `offmap restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import print_json, say
from monitor.wording import clean, counted

__all__ = ["backup", "restore"]


def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the backup goes; made when it is not there.")],
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Copy the store into one file, while it is in use.

    Rows and the offsets of their sources agree in it: a store restored from it reads on where it stood.
    """
    from monitor.store.backup import back_up

    with open_store(read_settings(context, store)) as opened:
        made = back_up(opened, folder, at=utc_now())
    if as_json:
        print_json({"path": made.path, "bytes": made.bytes, "turns": made.turns})
        return
    say(f"Backup {clean(str(made.path))}: {counted(made.turns, 'turn')}, {made.bytes / 1e6:,.1f} MB.")
    say(f"Next: offmap restore {clean(str(made.path))} --store PATH")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Set a store that is there aside, and put the backup in its place.")
    ] = False,
    deletions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The deletion log of the store that was backed up, when that is another: STORE.deletions.",
        ),
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Make a store from a backup.

    What was forgotten since the backup was made is forgotten again, by the deletion log beside the store.
    """
    from monitor.store.backup import restore as restore_

    path = read_settings(context, store).store.path
    done = restore_(file, path, replace=replace, deletions=deletions)
    if as_json:
        print_json({"store": path, "turns": done.turns, "forgotten": done.forgotten, "aside": done.aside})
        return
    say(f"The store {clean(path)} holds {counted(done.turns, 'turn')} of the backup.")
    if done.forgotten:
        say(f"Forgotten again, since it was forgotten after the backup: {counted(done.forgotten, 'turn')}.")
    if done.aside is not None:
        say(f"The store that was there is kept as {clean(str(done.aside))}, with everything in it.")
