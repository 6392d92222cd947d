"""Watch-lists: counts, days and examples of each, with where in a text the hits stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from monitor.clock import Clock
from monitor.drift.watch_counts import WatchCounts, watch_counts
from monitor.drift.windows import windows_before
from monitor.errors import OffmapError
from monitor.published import shown_text
from monitor.records import Turn, Window
from monitor.settings import Settings
from monitor.store.store import Store
from monitor.watch_list import WatchList
from monitor.wording import clean

__all__ = ["Counted", "HitText", "Spans", "Watched", "count_lists", "hit_spans", "look_closer", "watch_windows"]

#: Half-open ranges of characters.
Spans = tuple[tuple[int, int], ...]

#: Messages are looked through for hits up to here: nothing beyond is shown.
_LONGEST = 20_000
#: Turns that examples of different users are chosen from.
_LATEST = 60


@dataclass(frozen=True, slots=True)
class Counted:
    """A list in both windows; `error` instead where its patterns are none."""

    one: WatchList
    counts: WatchCounts | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class HitText:
    """What somebody said, as it is shown, and the hits in it."""

    text: str
    spans: Spans
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """A list from near: turns on it by day, and examples, the latest of each user; `few` when too few users said it for any."""

    days: tuple[tuple[date, int], ...]
    examples: tuple[HitText, ...]
    few: bool


def watch_windows(store: Store, settings: Settings, clock: Clock) -> tuple[Window, Window] | None:
    """The last days of the traffic and those before, as `offmap watchlist` has them; None without turns."""
    span = store.turns.span()
    return None if span is None else windows_before(min(clock(), span.end), settings.drift)


def count_lists(
    store: Store, settings: Settings, lists: Sequence[WatchList], current: Window, reference: Window
) -> list[Counted]:
    """Those that surely rise first, then by conversations; last those that cannot be looked for."""
    found = []
    for one in lists:
        try:
            found.append(Counted(one, watch_counts(store, one, settings.analysis.environments, current, reference)))
        except OffmapError as error:
            found.append(Counted(one, None, str(error)))
    return sorted(found, key=_order)


def look_closer(
    store: Store, settings: Settings, counted: Counted, current: Window, reference: Window, *, examples: int
) -> Watched:
    """The list must have been counted."""
    assert counted.counts is not None, "a list that cannot be looked for has no closer look"
    environments = settings.analysis.environments
    table = store.watch_lists.days(counted.one, Window(reference.start, current.end), environments)
    days = tuple((row["day"], int(row["turns"])) for row in table.to_pylist())
    if counted.counts.now.users < settings.min_users_of_texts:
        return Watched(days, (), few=True)
    keys = store.watch_lists.latest(counted.one, current, environments, most=_LATEST)
    by_user: dict[tuple[str | None, str], Turn] = {}
    for turn in store.turns.fetch(keys):
        by_user.setdefault((turn.tenant, turn.user_id or turn.conversation_id), turn)
    # The same words of several people are one example.
    texts: dict[str, datetime] = {}
    for turn in by_user.values():
        texts.setdefault(clean(shown_text(turn.user_text[:_LONGEST], settings.export.redact)), turn.created_at)
    chosen = list(texts)[:examples]
    spans = hit_spans(store, [counted.one], chosen)
    return Watched(
        days, tuple(HitText(text, where, texts[text]) for text, where in zip(chosen, spans, strict=True)), few=False
    )


def hit_spans(store: Store, lists: Sequence[WatchList], texts: Sequence[str]) -> list[Spans]:
    """Where hits of any of the lists stand in each text; a list that cannot be looked for has none."""
    found: list[list[tuple[int, int]]] = [[] for _ in texts]
    for one in lists:
        try:
            for mine, more in zip(found, store.watch_lists.spans(one, texts), strict=True):
                mine += more
        except OffmapError:
            continue  # the page of words says what is wrong with it
    return [_apart(mine) for mine in found]


def _apart(spans: list[tuple[int, int]]) -> Spans:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def _order(one: Counted) -> tuple[bool, bool, int, str]:
    rises = one.counts is not None and one.counts.trend is not None and one.counts.trend.rises
    conversations = one.counts.now.conversations if one.counts else 0
    return (one.counts is None, not rises, -conversations, one.one.name)
