"""`offmap topics`: what users talk about, on three levels; and below it what they decide about topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import curation
from monitor.cli.context import open_store, read_settings
from monitor.cli.lineage import lineage_document, print_lineage
from monitor.cli.options import AsJson, Level, StorePath
from monitor.cli.render import Column, print_json, print_table, say, screen_width
from monitor.errors import UsageError
from monitor.published import (
    Became,
    Example,
    became,
    compared_with,
    examples_of,
    few_users,
    foreign_document,
    left_out,
    not_read,
    of_enough_users,
    published_report,
    published_run,
    run_document,
)
from monitor.wording import clean, number, range_of, share_range, short_day

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.store.atlases import TopicRow
    from monitor.store.reports import TopicCoverageRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["app", "topics"]

#: A screen of fewer columns has no room for these: novelty, first seen.
_NARROW, _LESS = 80, (4, 5)

app = typer.Typer(help="List what users talk about, or decide about topics.", invoke_without_command=True)
curation.add_to(app)


@app.callback()
def topics(
    context: typer.Context,
    level: Annotated[
        Level | None,
        typer.Option(help="Without it the table shows the middle level below the broad one, and --json all three."),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only turns in this language, such as de; may be given again."),
    ] = None,
    lineage: Annotated[
        bool,
        typer.Option(
            "--lineage",
            help="What became of topics since the analysis before: born, split, merged, grew, died; with turns that prove it.",
        ),
    ] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List what users talk about, with volume and coverage.

    A command after it decides about a topic: what it is called, what it is one with, whether it may change.
    """
    if context.invoked_subcommand is not None:
        if level is not None or language or lineage or as_json or store is not None:
            raise UsageError(f"options of `offmap topics {context.invoked_subcommand}` stand behind it")
        return
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        report = published_report(opened, run)
        least = settings.atlas.min_users
        whole = opened.atlases.topics(run.atlas_id)
        rows, _ = of_enough_users(whole, least)
        if language:
            rows = _in_languages(opened, run, rows, language)
        foreign = opened.atlases.foreign(run.atlas_id)
        coverage = {row.topic_id: row for row in opened.reports.topic_coverage(run.report_id)}
        kept_out = opened.kept_out.by_rule()
        asked = Level.middle if level is None and not as_json else level
        few = of_enough_users([row for row in whole if asked is None or row.level == asked.number], least)[1]
        chosen = [row for row in rows if level is None or row.level == level.number]
        changes = _became(opened, run, chosen, level, settings) if lineage else []
        if as_json:
            examples = examples_of(opened, [row.representatives for row in chosen], redacted=settings.export.redact)
            found = [
                _document(row, coverage.get(row.topic_id), shown) for row, shown in zip(chosen, examples, strict=True)
            ]
            print_json(
                {
                    "run": run_document(run),
                    "verdict": report.verdict,
                    "kept_out": kept_out,
                    "few_users_turns": few,
                    "languages": foreign_document(foreign),
                    "topics": found,
                    **({"lineage": lineage_document(changes)} if lineage else {}),
                }
            )
            return
    say(report.verdict)
    say(clean(f"Window: {compared_with(run)}."))
    if kept_out:
        say(clean(left_out(kept_out)))
    if foreign.by_language:
        say(not_read(foreign))
    if language:
        spoken = clean(", ".join(language))
        say(f"Turns and share: of those in {spoken}. Coverage, novelty and first seen: of the whole topic.")
        if not rows:
            say(f"No topic has turns in {spoken}.")
            return
    say()
    if lineage:
        print_lineage([one for one in changes if level is not None or one.topic.level < Level.fine.number])
        if level is None:
            say("Of broad and middle topics; of fine ones: offmap topics --lineage --level fine")
        return
    _print(list(_nested(rows)) if level is None else [(row, 0) for row in chosen], coverage)
    if few:
        say()
        say(few_users(few, least))
    if level is None:
        fine = sum(row.level == Level.fine.number for row in rows)
        say()
        say(f"{fine:,} fine topics lie below these: offmap topics --level fine")


def _became(
    store: Store, run: PublishedRun, topics: Sequence[TopicRow], level: Level | None, settings: Settings
) -> list[Became]:
    """Of the topics and of those of the level that died."""
    found = became(store, run.atlas_id, topics, least=settings.atlas.min_users, redacted=settings.export.redact)
    return [one for one in found if level is None or one.topic.level == level.number]


def _in_languages(
    store: Store, run: PublishedRun, rows: Sequence[TopicRow], languages: Sequence[str]
) -> list[TopicRow]:
    """The topics that have turns in the languages, with the number of those turns and their share of them all."""
    from monitor.records import Window
    from monitor.store.statistics import Filter

    window = Window(run.window_start, run.window_end)
    sizes, total = store.statistics.topic_sizes(run.atlas_id, Filter(window, language=tuple(languages)))
    return [
        replace(row, turns=sizes[row.topic_id], share=sizes[row.topic_id] / total, share_low=None, share_high=None)
        for row in rows
        if row.topic_id in sizes
    ]


def _nested(rows: Sequence[TopicRow]) -> Iterator[tuple[TopicRow, int]]:
    """Broad topics, each followed by its middle ones, with their depth."""
    for broad in rows:
        if broad.level != Level.broad.number:
            continue
        yield broad, 0
        yield from ((row, 1) for row in rows if row.level == Level.middle.number and row.parent == broad.topic_id)


def _print(rows: Sequence[tuple[TopicRow, int]], coverage: Mapping[str, TopicCoverageRow]) -> None:
    columns = [
        Column("topic", shrinks=True),
        Column("turns", "right"),
        Column("share", "right"),
        Column("covered", "right"),
        Column("novelty", "right"),
        Column("first seen"),
        Column("id", style="dim"),
    ]
    cells = []
    for row, depth in rows:
        known = coverage.get(row.topic_id)
        covered = range_of(known.coverage, known.low, known.high) if known else "–"
        # A no-break space: the indent must survive the cleaning of cells.
        label = "·\u00a0" * depth + clean(row.label)
        novelty = number(known.novelty if known else None)
        cells.append(
            (
                label,
                f"{row.turns:,}",
                share_range(row.share, row.share_low, row.share_high),
                covered,
                novelty,
                short_day(row.first_seen),
                row.topic_id,
            )
        )
    print_table(
        columns,
        cells,
        marked=lambda place: "bold" if rows[place][1] == 0 and rows[-1][1] else "",
        leave_out=_LESS if screen_width() < _NARROW else (),
    )


def _document(row: TopicRow, known: TopicCoverageRow | None, examples: Sequence[Example]) -> dict[str, Any]:
    return {
        "id": row.topic_id,
        "level": Level.of(row.level).value,
        "parent": row.parent,
        "label": row.label,
        "found_label": row.found_label,
        "local_label": row.local_label,
        "named_by": row.named_by,
        "turns": row.turns,
        "share": row.share,
        "share_low": row.share_low,
        "share_high": row.share_high,
        "novelty": known.novelty if known else None,
        "coverage": known.coverage if known else None,
        "low": known.low if known else None,
        "high": known.high if known else None,
        "conversations": row.conversations,
        "users": row.users,
        "keywords": row.keywords,
        "first_seen": row.first_seen,
        "representatives": [{"turn_id": one.turn_id, "text": one.text} for one in examples],
    }
