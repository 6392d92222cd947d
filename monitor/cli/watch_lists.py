"""`offmap watchlist`: how often users say what somebody wants to hear of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath, parse_window
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.published import examples_of
from monitor.wording import clean, cut, share

if TYPE_CHECKING:
    from monitor.drift.trend import Trend
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
    now: Hits
    before: Hits
    trend: Trend | None
    examples: Sequence[Example]


def watch_lists(
    context: typer.Context,
    current: Annotated[
        str | None, typer.Option(metavar="START/END", help="The window that is counted: the last days by default.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="START/END", help="The window to compare with: the days before by default.")
    ] = None,
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
    from monitor.records import Window

    span = store.turns.span()
    if span is None:
        return None
    if current is None:
        end = min(utc_now(), span.end)
        current = Window(end - timedelta(days=settings.drift.current_days), end)
    return current, reference or Window(current.start - timedelta(days=settings.drift.reference_days), current.start)


def _row(store: Store, settings: Settings, one: WatchList, current: Window, reference: Window) -> _Row:
    from monitor.drift.trend import trend

    environments = settings.analysis.environments
    now = store.watch_lists.count(one, current, environments)
    before = store.watch_lists.count(one, reference, environments)
    keys = store.watch_lists.latest(one, current, environments, most=_EXAMPLES)
    changed = trend(now.conversations, now.of_conversations, before.conversations, before.of_conversations)
    [examples] = examples_of(store, [keys], redacted=settings.export.redact)
    return _Row(one, now, before, changed, examples)


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
    changed = row.trend
    rises = changed is not None and changed.rises
    return (
        f"{'! ' if rises else ''}{clean(row.one.name)}",
        f"{row.now.turns:,}",
        f"{row.now.conversations:,}",
        f"{row.now.users:,}",
        _share(row.now),
        _share(row.before),
        "–" if changed is None else f"×{changed.ratio:.1f} ({changed.low:.1f} to {changed.high:.1f})",
    )


def _share(hits: Hits) -> str:
    return share(hits.conversations / hits.of_conversations) if hits.of_conversations else "–"


def _document(row: _Row) -> dict[str, object]:
    return {
        "name": row.one.name,
        "phrases": row.one.phrases,
        "patterns": row.one.patterns,
        "now": asdict(row.now),
        "before": asdict(row.before),
        "trend": None if row.trend is None else {**asdict(row.trend), "rises": row.trend.rises},
        "examples": [example.text for example in row.examples],
    }


def _days(windows: tuple[Window, Window] | None) -> dict[str, object]:
    if windows is None:
        return {"current": None, "reference": None}
    return {
        name: {"start": one.start, "end": one.end} for name, one in zip(("current", "reference"), windows, strict=True)
    }
