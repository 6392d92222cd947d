"""`offmap turns`: what the published analysis says of each turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsLines, StorePath
from monitor.cli.render import Column, print_lines, print_table, say
from monitor.published import examples_of, find_topic, published_run
from monitor.settings import Settings
from monitor.wording import counted, number, percent, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from monitor.store.atlases import TopicRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["turns"]

_SHOWN = 20
_LEVELS = ("broad", "middle", "fine")
_FACTS = ("turn_key", "turn_id", "tenant", "conversation_id", "created_at", "language")


def turns(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(metavar="ID", help="Only turns of this topic, on any level.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"The first so many: {_SHOWN} in the table, all in --json.")
    ] = None,
    as_json: AsLines = False,
    store: StorePath = None,
) -> None:
    """List the analysed turns by time.

    Each with its topics, intent, novelty and coverage; --json gives a line a turn.
    """
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        topics = {row.topic_id: row for row in opened.atlases.topics(run.atlas_id)}
        table = _analysed(opened, run)
        if topic is not None:
            table = _of_topic(table, find_topic(list(topics.values()), topic))
        if as_json:
            print_lines(_document(row) for row in _with_language(opened, _rows(table.slice(0, limit))))
        else:
            _print(opened, table, limit or _SHOWN, topics, settings)


def _analysed(store: Store, run: PublishedRun) -> pa.Table:
    """One row a turn of the run, by time: what the atlas and the report say, and whose turn it is."""
    facts = store.turns.read(columns=_FACTS)
    coverage = store.reports.turn_coverage(run.report_id)
    table = store.atlases.assignments(run.atlas_id).drop_columns(["text_hash"])
    return (
        table.join(facts, "turn_key", join_type="inner")
        .join(coverage, "turn_key", join_type="left outer")
        .sort_by([("created_at", "ascending"), ("turn_id", "ascending"), ("turn_key", "ascending")])
    )


def _of_topic(table: pa.Table, topic: TopicRow) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.field(_LEVELS[topic.level]) == topic.topic_id)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _with_language(store: Store, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows with the language that was found where the log states none."""
    while batch := list(islice(rows, 10_000)):
        found = store.languages.of([row["turn_key"] for row in batch if row["language"] is None])
        yield from (row | {"language": row["language"] or found.get(row["turn_key"])} for row in batch)


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "turn_id": row["turn_id"],
        "topics": [row[level] for level in _LEVELS],
        "intent": row["intent"],
        "novelty": row["novelty"],
        "covered": row["covered"],
        "tenant": row["tenant"],
        "conversation_id": row["conversation_id"],
        "created_at": row["created_at"],
        "act": row["act"],
        "flood": row["flood"],
        "language": row["language"],
    }


def _print(store: Store, table: pa.Table, limit: int, topics: Mapping[str, TopicRow], settings: Settings) -> None:
    rows = list(_rows(table.slice(0, limit)))
    texts = examples_of(store, [[row["turn_key"]] for row in rows], redacted=settings.export.redact)
    columns = [
        Column("time"),
        Column("user's message", shrinks=True),
        Column("topic", shrinks=True),
        Column("intent", shrinks=True),
        Column("novelty", "right"),
        Column("covered", "right"),
    ]
    cells = [
        (
            f"{row['created_at']:%m-%d %H:%M}",
            quoted(text[0].text, 160) if text else "–",
            _topic(row, topics),
            row["intent"] or "–",
            number(row["novelty"]),
            percent(row["covered"]),
        )
        for row, text in zip(rows, texts, strict=True)
    ]
    print_table(columns, cells)
    say()
    more = f"; the first {len(rows):,} are shown (--limit)" if len(rows) < table.num_rows else ""
    say(
        f"{counted(table.num_rows, 'turn')}{more}. A turn without a subject of its own (a greeting, thanks) has no coverage."
    )


def _topic(row: Mapping[str, Any], topics: Mapping[str, TopicRow]) -> str:
    """The middle topic's label; before it what the turn is when it makes no topic."""
    names: Sequence[str] = [row["act"]] if row["act"] else ["flood"] if row["flood"] else []
    if row["foreign_language"]:
        names = [*names, f"in {row['foreign_language']}, which the encoder does not know"]
    if row["middle"] in topics:
        names = [*names, topics[row["middle"]].label]
    return " in ".join(names) or "–"
