"""The two sides of a comparison: the turns of two windows, or the items of an eval set and the turns of a window.

Of a window before, as much of each hour of the week is taken as the current one has: a Monday is compared with Mondays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.assembly import microseconds
from monitor.atlas.assignment import Anchors, assign_texts
from monitor.atlas.languages import foreign_texts
from monitor.atlas.timeline import DAY
from monitor.drift.look import Look
from monitor.drift.sample import Sample, thinned
from monitor.drift.seasons import HOUR, hour_of_week, like_hours
from monitor.encoding.languages import known_languages
from monitor.encoding.recipe import EVAL_PROMPT, text_hash
from monitor.errors import UsageError
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["Sides", "sides_of_eval_set", "sides_of_windows", "turns_inside"]

#: More turns of a window than this are sampled by conversation: the tests lose no power that matters.
_MOST_TURNS = 20_000

#: Hours of the week are alike when so much of them would be kept: a change of the clock makes an odd one.
_NEARLY_LIKE = 0.98


@dataclass(frozen=True, slots=True)
class Sides:
    """The samples of both sides, where their turns stand in the look (none for eval items), and how the reference is called.

    `like` says that of the reference only like hours of the week are compared; `items` are the texts of an eval set.
    """

    reference: Sample
    current: Sample
    rows: tuple[NDArray[np.int64], NDArray[np.int64]]
    name: str
    window: Window | None
    like: bool = False
    items: Sequence[str] = ()


def sides_of_windows(
    store: Store,
    look: Look,
    current: Window,
    reference: Window,
    name: str,
    settings: Settings,
    rng: np.random.Generator,
) -> Sides:
    """Two windows; of the reference so much of each hour of the week as the current one has, where there is enough of it."""
    inside = turns_inside(look, reference)
    like = _like(look, inside, current, reference, settings.analysis.time_zone, rng)
    matched = len(like) >= settings.drift.min_turns and len(like) < len(inside)
    before = thinned(like if matched else inside, look.conversation, _MOST_TURNS, rng)
    after = _rows(look, current, rng)
    reference_sample, current_sample = (_sample(store, look, rows) for rows in (before, after))
    return Sides(reference_sample, current_sample, (before, after), name, reference, matched)


def sides_of_eval_set(
    store: Store, look: Look, current: Window, name: str, settings: Settings, rng: np.random.Generator
) -> Sides:
    """The items of an eval set, each a conversation with the topics of the turns nearest to it, and a window.

    Items in languages that are not known are left out, like turns. Raises `UsageError` for a set that was never encoded.
    """
    after = _rows(look, current, rng)
    prompts = [EVAL_PROMPT.prepare(item.prompt) for item in store.eval_sets.load(name).items]
    foreign = foreign_texts(prompts, known_languages(settings.encoder), store.languages.counts()).tolist()
    prompts = [prompt for prompt, strange in zip(prompts, foreign, strict=True) if not strange]
    hashes = [text_hash(prompt) for prompt in prompts]
    if store.vectors.missing(look.atlas.encoder, EVAL_PROMPT.name, hashes):
        raise UsageError(f"eval set {name!r} was never compared: run `offmap analyse --eval-set {name}` first")
    vectors = store.vectors.read(look.atlas.encoder, EVAL_PROMPT.name, hashes)
    turns = store.vectors.read(look.atlas.encoder, look.atlas.recipe, look.hashes)
    topics = assign_texts(vectors, Anchors(turns, np.stack([look.middle, look.fine])), k=5)
    sample = Sample(vectors, topics, np.arange(len(vectors)))
    return Sides(sample, _sample(store, look, after), (np.empty(0, np.int64), after), name, None, items=prompts)


def _like(
    look: Look, inside: NDArray[np.int64], current: Window, reference: Window, zone: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of the reference with the current window's mix of hours of the week; all where they are alike already.

    Of an hour that there is too much of, every so manieth conversation is kept, in random order.
    """
    if not len(inside):
        return inside
    # Before the first day of the log and after the last hour nothing could come.
    first, last = int(look.created.min()) // DAY * DAY, (int(look.created.max()) // HOUR + 1) * HOUR
    now, before = (
        (max(microseconds(one.start), first), min(microseconds(one.end), last)) for one in (current, reference)
    )
    keep = like_hours(now, before, zone)
    if keep.mean() >= _NEARLY_LIKE:
        return inside
    hours = hour_of_week(look.created[inside], zone)
    part = keep[hours]
    if not np.isin(part, (0.0, 1.0)).all():
        names, of_turns = np.unique(look.conversation[inside], return_inverse=True)
        most, hour = np.zeros(len(names)), np.zeros(len(names), np.int64)
        np.maximum.at(most, of_turns, part)
        np.maximum.at(hour, of_turns, hours)
        order = np.lexsort((rng.random(len(names)), hour, most))
        steps = np.concatenate([[0.0], np.cumsum(most[order])]) + rng.random()
        chosen = np.empty(len(names), bool)
        chosen[order] = np.diff(np.floor(steps)) > 0
        part = np.where(chosen[of_turns], part, 0.0)
    found: NDArray[np.int64] = inside[part > 0]
    return found


def turns_inside(look: Look, window: Window) -> NDArray[np.int64]:
    return np.flatnonzero((look.created >= microseconds(window.start)) & (look.created < microseconds(window.end)))


def _rows(look: Look, window: Window, rng: np.random.Generator) -> NDArray[np.int64]:
    return thinned(turns_inside(look, window), look.conversation, _MOST_TURNS, rng)


def _sample(store: Store, look: Look, rows: NDArray[np.int64]) -> Sample:
    vectors = store.vectors.read(look.atlas.encoder, look.atlas.recipe, [look.hashes[row] for row in rows.tolist()])
    return Sample(vectors, np.stack([look.middle[rows], look.fine[rows]]), look.conversation[rows])
