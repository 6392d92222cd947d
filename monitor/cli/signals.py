"""`offmap signals`: evidence of how replies landed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsLines, StorePath
from monitor.cli.render import Column, print_lines, print_table, say
from monitor.published import published_run
from monitor.wording import counted, percent

if TYPE_CHECKING:
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["signals"]


def signals(
    context: typer.Context,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The first so many lines of --json.")] = None,
    as_json: AsLines = False,
    store: StorePath = None,
) -> None:
    """Count signs of replies that failed or helped.

    Of the published analysis; --json gives a line a signal.
    """
    with open_store(read_settings(context, store)) as opened:
        run = published_run(opened)
        found = list(_found(opened, run))
        turns = opened.atlases.assignments(run.atlas_id).num_rows
    if as_json:
        print_lines(_document(row) for row in found[:limit])
        return
    if not found:
        say("No reply was followed by a signal.")
        return
    say(
        f"{counted(len(found), 'signal')} on the replies of {counted(len({row['turn_key'] for row in found}), 'turn')}."
    )
    say()
    counts = Counter(row["signal"] for row in found)
    columns = [Column("signal", shrinks=True), Column("replies", "right"), Column("of all turns", "right")]
    print_table(columns, [(name, f"{count:,}", percent(count / max(turns, 1))) for name, count in counts.most_common()])
    say()
    say("Each of them: offmap signals --json")


def _found(store: Store, run: PublishedRun) -> Iterator[dict[str, Any]]:
    facts = store.turns.read(columns=("turn_key", "turn_id", "tenant", "created_at"))
    table = store.reports.signals(run.report_id).join(facts, "turn_key", join_type="inner")
    yield from sorted(table.to_pylist(), key=lambda row: (row["created_at"], row["turn_id"], row["signal"]))


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    """The span counts characters of the next user message, the one that is the evidence."""
    span = None if row["span_start"] is None else [row["span_start"], row["span_end"]]
    return {
        "turn_id": row["turn_id"],
        "signal": row["signal"],
        "span": span,
        "detail": row["detail"],
        "tenant": row["tenant"],
    }
