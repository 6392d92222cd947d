"""`offmap deadletters`: records that could not be read, and why; read again, or thrown away."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import Column, print_json, print_table, say, warn
from monitor.errors import OffmapError, UsageError
from monitor.records import Coordinates, parse_time
from monitor.wording import clean, counted, cut, revealed

if TYPE_CHECKING:
    from consumers.dead_letters import Again, Replayed
    from monitor.records import DeadLetter
    from monitor.settings import Settings
    from monitor.store.dead_letters import Chosen, Reason
    from monitor.store.store import Store

__all__ = ["app", "discard", "list_", "replay", "show"]

app = typer.Typer(help="Show the records that could not be read, read them again, discard them.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Letters, as `deadletters list` names them.")]
Source = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only of this source: a topic, or the beginning of a file's hash.")
]
ReasonText = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Only with this in the reason; … stands for anything.")
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Only received at this time (UTC) or later.")]
Latest = Annotated[int | None, typer.Option(min=1, metavar="N", help="Of those only the latest so many.")]
Everything = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@app.command("list")
def list_(
    context: typer.Context,
    source: Source = None,
    reason: ReasonText = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest so many.")] = 100,
    summary: Annotated[bool, typer.Option("--summary", help="How many there are of each reason.")] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List dead letters with their source and reason.

    What is in them is not shown: see `offmap deadletters show`.
    """
    chosen = _chosen((), source, reason, since, None)
    with open_store(read_settings(context, store)) as opened:
        total = opened.dead_letters.count(chosen)
        reasons = opened.dead_letters.reasons(chosen) if summary else []
        letters = [] if summary else opened.dead_letters.read(limit, chosen)
    narrowed = (source, reason, since) != (None, None, None)
    if as_json and summary:
        print_json({"total": total, "reasons": reasons})
    elif as_json:
        print_json({"total": total, "dead_letters": [_document(letter) for letter in letters]})
    elif not total:
        say("No dead letter fits." if narrowed else "There are no dead letters: every record could be read.")
    elif summary:
        _print_reasons(total, reasons)
    else:
        _print_letters(total, letters)


@app.command("show")
def show(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="A letter, as `deadletters list` names it.")],
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Show one dead letter whole.

    Where it came from, why it could not be read, and what is in it. Somebody's message may be in it, and it is not redacted.
    Characters that act or hide are shown as escapes.
    """
    from monitor.payloads import payload_of

    with open_store(read_settings(context, store)) as opened:
        letter = opened.dead_letters.find(letter_id)
    if letter is None:
        raise UsageError(f"no dead letter {letter_id!r} (any more): `offmap deadletters list` names them")
    if as_json:
        print_json({**_document(letter), "headers": letter.headers, "payload": _text(letter.payload)})
        return
    facts = [
        ("letter", letter.letter_id),
        ("source", letter.coordinates.source),
        ("where", _place(letter.coordinates)),
        ("received", f"{letter.received_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("reason", letter.reason),
        ("bytes", f"{len(letter.payload):,}"),
        *((f"header {revealed(name)}", revealed(value)) for name, value in letter.headers),
    ]
    print_table([Column("field"), Column("value", shrinks=True)], facts)
    say()
    payload = payload_of(letter, redacted=False)
    say(payload.text or "Nothing of it was kept.")
    if payload.cut:
        say()
        say(f"The first {payload.shown:,} of {payload.characters:,} characters are shown; --json has all.")


@app.command("replay")
def replay(
    context: typer.Context,
    ids: Ids = None,
    source: Source = None,
    reason: ReasonText = None,
    since: Since = None,
    limit: Latest = None,
    everything: Everything = False,
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The format to read them in; by default that of their file or stream."),
    ] = None,
    times: Annotated[
        str, typer.Option(metavar="RULE", help="Times of turns that have none, as for `ingest`; now is when it came.")
    ] = "now",
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Read dead letters again, and store what can be read now.

    As if it had come by its log: with the same ids and times. What cannot be read stays, with today's reason. Nothing is lost,
    and a second run changes nothing.
    """
    from consumers.dead_letters import replay as run

    settings = read_settings(context, store)
    chosen = _meant(ids, source, reason, since, limit, everything)
    again = _again(settings, format, times)
    with open_store(settings) as opened:
        missing = _missing(opened, chosen)
        done = run(opened, chosen, again, batch_rows=settings.ingest.batch_rows, progress=progress_to(quiet=as_json))
    if as_json:
        print_json(_replay_document(done, missing))
    else:
        _say_replayed(done, missing)


@app.command("discard")
def discard(
    context: typer.Context,
    ids: Ids = None,
    source: Source = None,
    reason: ReasonText = None,
    since: Since = None,
    limit: Latest = None,
    everything: Everything = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where nobody can answer.")] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Delete dead letters for good.

    For what is of no use to anybody. What a person wants forgotten goes with `offmap forget`, from the disk too.
    """
    chosen = _meant(ids, source, reason, since, limit, everything)
    with open_store(read_settings(context, store)) as opened:
        missing = _missing(opened, chosen)
        if not yes:
            _confirm(opened, chosen)
        gone = opened.dead_letters.discard(chosen)
        left = opened.dead_letters.count()
    if as_json:
        print_json({"discarded": gone, "missing": missing, "left": left})
        return
    _warn_of(missing)
    say(f"Discarded: {counted(gone, 'dead letter')}; {counted(left, 'is', 'are') if left else 'none is'} left.")


def _chosen(ids: Sequence[str], source: str | None, reason: str | None, since: str | None, limit: int | None) -> Chosen:
    from monitor.store.dead_letters import Chosen

    try:
        moment = None if since is None else parse_time(since)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {since!r} is no time: write it like 2026-03-01T09:30") from None
    for option, text in (("--source", source), ("--reason", reason)):
        if text is not None and not text.strip():
            raise UsageError(f"{option} is empty: leave it out, or say which")
    return Chosen(tuple(ids), source, reason, moment, limit)


def _meant(
    ids: list[str] | None,
    source: str | None,
    reason: str | None,
    since: str | None,
    limit: int | None,
    everything: bool,
) -> Chosen:
    """Which letters a command that changes something is for: it must have been said."""
    narrowed = any(one is not None for one in (source, reason, since, limit))
    if [bool(ids), narrowed, everything].count(True) != 1:
        raise UsageError(
            "say which dead letters: by their ids, or by --source, --reason, --since and --limit, or --all of them"
        )
    return _chosen(ids or (), source, reason, since, limit)


def _again(settings: Settings, format: str | None, times: str) -> Again:
    from consumers.dead_letters import Again
    from consumers.decoders import DECODERS, decoder_named
    from consumers.times import TimesRule

    stream = settings.kafka.format
    return Again(
        chosen=None if format in (None, "auto") else decoder_named(str(format)),
        stream=DECODERS if stream == "auto" else (decoder_named(stream),),
        times=TimesRule.parse(times),
        redact=settings.ingest.redact,
    )


def _missing(store: Store, chosen: Chosen) -> int:
    """How many of the ids name no letter: it was replayed or discarded before, which is no error, or never there."""
    return len(set(chosen.ids)) - store.dead_letters.count(chosen) if chosen.ids else 0


def _warn_of(missing: int) -> None:
    if missing:
        warn(f"{counted(missing, 'id names', 'ids name')} no dead letter (any more)")


def _confirm(store: Store, chosen: Chosen) -> None:
    """Ask. Without a terminal nobody can answer, and that is an error before anything is deleted."""
    count = store.dead_letters.places(chosen).num_rows
    what = counted(count, "dead letter")
    if not sys.stdin.isatty():
        raise UsageError(f"discard deletes {what} for good and nobody can be asked here: add --yes")
    if count and not typer.confirm(f"Discard {what} for good?", err=True):
        raise OffmapError("nothing was discarded")


def _document(letter: DeadLetter) -> dict[str, Any]:
    at = letter.coordinates
    return {
        "id": letter.letter_id,
        "source": at.source,
        "partition": at.partition,
        "position": at.position,
        "record": at.position + 1,
        "reason": letter.reason,
        "bytes": len(letter.payload),
        "received_at": letter.received_at,
    }


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


def _place(at: Coordinates) -> str:
    """Where a record stands, as people count: files from 1, streams by their offset."""
    if at.source.startswith("file:"):
        # A file is known by its hash, and eight digits of it tell one from the other.
        where = f"byte {at.position:,}" if at.partition == "lines" else f"record {at.position + 1:,}"
        return f"file {cut(at.source.removeprefix('file:')[:8], 8)} ({at.partition}), {where}"
    return f"{at.source.removeprefix('kafka:')} / {at.partition}, offset {at.position:,}"


def _print_letters(total: int, letters: Sequence[DeadLetter]) -> None:
    shown = f"; the latest {len(letters):,} are shown" if len(letters) < total else ""
    say(f"{counted(total, 'record')} could not be read{shown}.")
    say()
    columns = [
        Column("letter"),
        Column("received"),
        Column("where", shrinks=True),
        Column("bytes", "right"),
        Column("reason", shrinks=True),
    ]
    print_table(
        columns,
        [
            (
                letter.letter_id,
                f"{letter.received_at:%Y-%m-%d %H:%M}",
                _place(letter.coordinates),
                f"{len(letter.payload):,}",
                letter.reason,
            )
            for letter in letters
        ],
    )


def _print_reasons(total: int, reasons: Sequence[Reason]) -> None:
    say(f"{counted(total, 'record')} could not be read, for {counted(len(reasons), 'reason')}.")
    say()
    print_table(
        [Column("letters", "right"), Column("newest"), Column("reason", shrinks=True)],
        [(f"{one.letters:,}", f"{one.newest:%Y-%m-%d %H:%M}", one.reason) for one in reasons],
    )


def _replay_document(done: Replayed, missing: int) -> dict[str, Any]:
    return {
        "read": done.read,
        "left": done.left,
        "impossible": sum(done.impossible.values()),
        "redacted": done.redacted,
        "missing": missing,
        **{
            name: getattr(done.counts, name)
            for name in ("turns", "repeated", "filled", "conflicts", "forgotten", "events", "empty")
        },
        "reasons": _reasons(done),
    }


def _reasons(done: Replayed) -> list[dict[str, Any]]:
    """Why letters stay, the most frequent reason first."""
    found: list[tuple[str, int, bool]] = [
        *((reason, letters, True) for reason, letters in done.stay.items()),
        *((lack, letters, False) for lack, letters in done.impossible.items()),
    ]
    return [
        {"reason": reason, "letters": letters, "whole": whole}
        for reason, letters, whole in sorted(found, key=lambda one: (-one[1], one[0]))
    ]


def _say_replayed(done: Replayed, missing: int) -> None:
    _warn_of(missing)
    if not done.read and not done.left:
        say("No dead letter fits: nothing was replayed.")
        return
    say(f"{counted(done.read, 'dead letter')} could be read now{_stored(done)}.")
    if done.redacted:
        say(
            f"{done.redacted:,} of them had been redacted when they were kept: what stood in place of [email] and its kind "
            "is not in their turns."
        )
    if not done.left:
        return
    say(f"{counted(done.left, 'stays', 'stay')}:")
    say()
    notes: Mapping[bool, str] = {True: "", False: " (it can never be replayed)"}
    print_table(
        [Column("letters", "right"), Column("why", shrinks=True)],
        [(f"{one['letters']:,}", f"{one['reason']}{notes[one['whole']]}") for one in _reasons(done)],
    )


def _stored(done: Replayed) -> str:
    """What the store took of them. Only what happened is said."""
    counts = done.counts
    facts = [
        clean(text)
        for count, text in (
            (counts.turns, counted(counts.turns, "new turn")),
            (counts.events, counted(counts.events, "event")),
            (counts.repeated, f"{counts.repeated:,} repeated"),
            (counts.filled, f"{counts.filled:,} filled in"),
            (counts.conflicts, f"{counts.conflicts:,} in conflict with what is stored (the first version stays)"),
            (counts.forgotten, f"{counts.forgotten:,} forgotten before and left out"),
            (counts.empty, f"{counts.empty:,} without a user's message"),
        )
        if count
    ]
    return f": {', '.join(facts)}" if facts else ""
