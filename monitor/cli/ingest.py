"""`offmap ingest`: files into the store, or a look at how they would be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import Column, print_json, print_table, say, warn
from monitor.settings import Settings
from monitor.wording import clean, counted, cut

if TYPE_CHECKING:
    from consumers.ingest import IngestResult
    from monitor.records import Turn

__all__ = ["FORMATS", "ingest"]

#: What `consumers.decoders` reads, here so that help needs none of it.
FORMATS = ", ".join(
    (
        *("offmap", "openai-chat", "openai-exchange", "litellm", "sharegpt", "lmsys", "wildchat"),
        *("langfuse", "langsmith", "openinference", "otel-genai"),
    )
)


def ingest(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSONL (also gzip), JSON array, CSV or Parquet.")
    ],
    format: Annotated[str, typer.Option(metavar="NAME", help=f"auto, {FORMATS}.")] = "auto",
    times: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Times of turns that have none: now, at:TIME, spread:START/END or field:NAME.",
        ),
    ] = "now",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the first turns as they would be stored.")] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Read logs into the store.

    The same file again changes nothing; bad records are kept as dead letters.
    """
    settings = read_settings(context, store)
    if dry_run:
        _preview(files, format, times, as_json)
    else:
        _ingest(files, format, times, settings, as_json)


def _ingest(files: Sequence[Path], format: str, times: str, settings: Settings, as_json: bool) -> None:
    from consumers.ingest import ingest_file

    results = []
    with open_store(settings, create=True) as opened:
        for file in files:
            result = ingest_file(
                opened,
                file,
                format=format,
                times=times,
                redact=settings.ingest.redact,
                batch_rows=settings.ingest.batch_rows,
                progress=progress_to(quiet=as_json),
            )
            results.append(result)
            if not as_json:
                say(_sentence(result))
            if result.counts.dead_letters:
                warn(
                    "records could not be read: see `offmap deadletters list`",
                    file=file,
                    records=result.counts.dead_letters,
                )
        total = opened.turns.count()
    if as_json:
        print_json({"files": [_document(result) for result in results], "turns": total})
    else:
        say(f"The store {settings.store.path} holds {counted(total, 'turn')}.")


def _sentence(result: IngestResult) -> str:
    """What became of a file. Only what happened is said."""
    name = clean(f"{result.path} ({result.format}, --times {result.times})")
    if result.complete_before:
        return f"{name}: all {counted(result.skipped, 'record')} were read before; nothing changed"
    facts = [f"{counted(result.counts.turns, 'new turn')} of {counted(result.counts.records, 'record')}"]
    for count, what in (
        (result.skipped, "read before"),
        (result.counts.repeated, "repeated"),
        (result.counts.filled, "filled in"),
        (result.counts.conflicts, "in conflict with what is stored (the first version stays)"),
        (result.counts.forgotten, "forgotten before and left out"),
        (result.counts.events, "events"),
        (result.counts.empty, "without a user's message"),
        (result.counts.dead_letters, "dead letters"),
    ):
        if count:
            facts.append(f"{count:,} {what}")
    return f"{name}: {', '.join(facts)}; {result.seconds:.1f} s"


def _document(result: IngestResult) -> dict[str, Any]:
    """Flat: what became of the records stands beside the file."""
    document = asdict(result)
    return {**document.pop("counts"), **document}


def _preview(files: Sequence[Path], format: str, times: str, as_json: bool) -> None:
    from consumers.files import detect
    from consumers.ingest import preview
    from monitor.redaction import redact_turn

    found = []
    for file in files:
        name = detect(file) if format == "auto" else format
        turns = preview(file, format=name, times=times)
        found.append((file, name, [redact_turn(turn) for turn in turns]))
    if as_json:
        documents = [
            {"path": file, "format": name, "times": times, "turns": [_filled(turn) for turn in turns]}
            for file, name, turns in found
        ]
        print_json({"files": documents})
        return
    for file, name, turns in found:
        say(clean(f"{file} is read as {name}, --times {times}. Its first turns, redacted:"))
        for turn in turns:
            say()
            print_table(
                [Column("field"), Column("value", shrinks=True)],
                [(key, cut(str(value), 300)) for key, value in _filled(turn).items()],
            )
    say()
    say("Nothing was stored.")


def _filled(turn: Turn) -> dict[str, Any]:
    values = ((item.name, getattr(turn, item.name)) for item in fields(turn))
    return {name: value for name, value in values if value is not None}
