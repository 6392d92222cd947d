"""Terms that rise in a window, and terms that set a topic apart, of what a published run looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.assembly import microseconds
from monitor.atlas.corpus import numbered
from monitor.atlas.keywords import Group, Keyword, keywords
from monitor.atlas.labels import presentable
from monitor.drift.look import Look
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["rising_terms", "terms_of_topic"]


def rising_terms(
    store: Store, settings: Settings, look: Look, current: Window, reference: Window, *, limit: int | None = 20
) -> list[Keyword]:
    """What is said more in one window than in another; see `monitor.atlas.keywords`."""
    return _keywords(store, settings, look, _within(look, current), _within(look, reference), limit)


def terms_of_topic(
    store: Store, settings: Settings, look: Look, topic: int, *, limit: int | None = 20
) -> list[Keyword]:
    """What is said more in a topic, by its place in `look.topics`, than outside of it."""
    inside = np.zeros(len(look.keys), bool)
    inside[look.members(topic)] = True
    return _keywords(store, settings, look, inside, ~inside, limit)


def _keywords(
    store: Store,
    settings: Settings,
    look: Look,
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    limit: int | None,
) -> list[Keyword]:
    rows = ours | theirs
    distinct = numbered(np.array(look.hashes, dtype=object)[rows])
    text = np.full(len(look.keys), -1)
    text[rows] = distinct

    def group(chosen: NDArray[np.bool_]) -> Group:
        return Group(text[chosen], look.conversation[chosen], look.user[chosen])

    least = settings.alerts.min_users
    return keywords(_texts(store, look, text), group(ours), group(theirs), least_users=least, limit=limit)


def _texts(store: Store, look: Look, text: NDArray[np.int64]) -> list[str]:
    """Each distinct text, as its first turn says it."""
    turns = store.turns.read(Window(look.run.window_start, look.run.window_end), columns=("turn_key", "user_text"))
    keys, said = turns.column("turn_key").to_numpy(), values(turns, "user_text")
    found = [""] * (int(text.max(initial=-1)) + 1)
    for place, number in zip(np.searchsorted(keys, look.keys), text, strict=True):
        if number >= 0 and not found[number]:
            found[number] = said[place]
    return presentable(found)


def _within(look: Look, window: Window) -> NDArray[np.bool_]:
    return (look.created >= microseconds(window.start)) & (look.created < microseconds(window.end))
