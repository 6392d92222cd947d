"""`offmap deadletters list`: records that could not be read, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, counted, cut, day, print_json, print_table, say

__all__ = ["app", "list_"]

app = typer.Typer(help="Show the records that could not be read.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest so many.")] = 100,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List dead letters with their source and reason.

    What is in them is not shown.
    """
    with open_store(read_settings(context, store)) as opened:
        letters = opened.dead_letters.read(limit)
        total = opened.dead_letters.count()
    if as_json:
        documents = [
            {
                "source": letter.coordinates.source,
                "format": letter.coordinates.partition,
                "record": letter.coordinates.position + 1,
                "reason": letter.reason,
                "bytes": len(letter.payload),
                "received_at": letter.received_at,
            }
            for letter in letters
        ]
        print_json({"total": total, "dead_letters": documents})
        return
    if not total:
        say("There are no dead letters: every record could be read.")
        return
    shown = f"; the latest {len(letters):,} are shown" if len(letters) < total else ""
    say(f"{counted(total, 'record')} could not be read{shown}.")
    say()
    columns = [
        Column("received"),
        Column("source"),
        Column("format"),
        Column("record", "right"),
        Column("bytes", "right"),
        Column("reason", shrinks=True),
    ]
    print_table(
        columns,
        [
            (
                day(letter.received_at),
                # A file is known by its hash, and eight digits of it tell one from the other.
                cut(letter.coordinates.source.removeprefix("file:")[:8], 8),
                letter.coordinates.partition,
                f"{letter.coordinates.position + 1:,}",
                f"{len(letter.payload):,}",
                letter.reason,
            )
            for letter in letters
        ],
    )
