"""`offmap watchlist`: how often users say what somebody wants to hear of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, Current, Reference, StorePath, parse_window, window_document
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.published import examples_of
from monitor.wording import clean, cut, share

if TYPE_CHECKING:
    from monitor.drift.watch_counts import WatchCounts
    from monitor.published import Example
    from monitor.records import Window
    from monitor.settings import Settings
    from monitor.store import Store
    from monitor.store.watch_lists import Hits
    from monitor.watch_list import WatchList

__all__ = ["watch_lists"]

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class _Row:
    one: WatchList
    counts: WatchCounts
    examples: Sequence[Example]


def watch_lists(
    context: typer.Context,
    current: Current = None,
    reference: Reference = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Count the turns on each watch-list, and say what rises.

    The lists are the setting analysis.watch_lists: phrases and patterns, looked for in what users say.
    """
    settings = read_settings(context, store)
    lists = settings.analysis.watch_lists
    if not lists:
        raise UsageError(
            'there is no watch-list: set analysis.watch_lists = [{name = "refund", phrases = ["money back"]}]'
        )
    with open_store(settings) as opened:
        windows = _windows(opened, settings, parse_window(current, "--current"), parse_window(reference, "--reference"))
        rows = [_row(opened, settings, one, *windows) for one in lists] if windows else []
    if as_json:
        print_json({"watch_lists": [_document(row) for row in rows], **_days(windows)})
    else:
        _print(rows, windows)


def _windows(
    store: Store, settings: Settings, current: Window | None, reference: Window | None
) -> tuple[Window, Window] | None:
    """None for a store without turns."""
    from monitor.drift.windows import windows_before

    span = store.turns.span()
    if span is None:
        return None
    current, before = windows_before(min(utc_now(), span.end), settings.drift, current)
    return current, reference or before


def _row(store: Store, settings: Settings, one: WatchList, current: Window, reference: Window) -> _Row:
    from monitor.drift.watch_counts import watch_counts

    environments = settings.analysis.environments
    counts = watch_counts(store, one, environments, current, reference)
    keys = store.watch_lists.latest(one, current, environments, most=_EXAMPLES)
    [examples] = examples_of(store, [keys], redacted=settings.export.redact)
    return _Row(one, counts, examples)


def _print(rows: Sequence[_Row], windows: tuple[Window, Window] | None) -> None:
    if windows is None:
        say("There are no turns yet: `offmap ingest FILE` reads a log.")
        return
    say(clean(f"{windows[0]}, against {windows[1]}"))
    say()
    columns = [
        Column("watch-list", shrinks=True),
        Column("turns", "right"),
        Column("conversations", "right"),
        Column("users", "right"),
        Column("share", "right"),
        Column("before", "right"),
        Column("change, 90 %", "right"),
    ]
    print_table(columns, [_cells(row) for row in rows])
    for row in rows:
        for example in row.examples:
            say(clean(f"{row.one.name}: “{cut(example.text, 100)}”"))
    say()
    say("Share: of the window's conversations. Marked !: more than before, and not by chance.")


def _cells(row: _Row) -> tuple[str, ...]:
    changed = row.counts.trend
    rises = changed is not None and changed.rises
    return (
        f"{'! ' if rises else ''}{clean(row.one.name)}",
        f"{row.counts.now.turns:,}",
        f"{row.counts.now.conversations:,}",
        f"{row.counts.now.users:,}",
        _share(row.counts.now),
        _share(row.counts.before),
        "–" if changed is None else f"×{changed.ratio:.1f} ({changed.low:.1f} to {changed.high:.1f})",
    )


def _share(hits: Hits) -> str:
    return share(hits.conversations / hits.of_conversations) if hits.of_conversations else "–"


def _document(row: _Row) -> dict[str, object]:
    return {
        "name": row.one.name,
        "phrases": row.one.phrases,
        "patterns": row.one.patterns,
        "now": asdict(row.counts.now),
        "before": asdict(row.counts.before),
        "trend": None if row.counts.trend is None else {**asdict(row.counts.trend), "rises": row.counts.trend.rises},
        "examples": [example.text for example in row.examples],
    }


def _days(windows: tuple[Window, Window] | None) -> dict[str, object]:
    if windows is None:
        return {"current": None, "reference": None}
    return {name: window_document(one) for name, one in zip(("current", "reference"), windows, strict=True)}
