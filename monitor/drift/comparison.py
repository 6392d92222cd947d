"""A comparison of the current window with the one before it, or with an eval set, and its verdict in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitor.atlas.assembly import microseconds
from monitor.atlas.assignment import Anchors, assign_texts
from monitor.atlas.languages import foreign_texts
from monitor.clock import Clock
from monitor.drift.look import Look
from monitor.drift.mmd import mmd
from monitor.drift.neighbourhood import neighbourhood
from monitor.drift.sample import DriftResult, Sample, thinned
from monitor.drift.shares import ShareChange, share_changes
from monitor.drift.windows import windows_before
from monitor.encoding.languages import known_languages
from monitor.encoding.recipe import EVAL_PROMPT, text_hash
from monitor.errors import UsageError
from monitor.records import EvalSet, Window, short_hash
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store
from monitor.wording import short_day

__all__ = ["WINDOW", "compare_windows", "default_windows"]


#: The reference of a comparison with the window before.
WINDOW = "window"

#: More turns of a window than this are sampled by conversation: the tests lose no power that matters.
_MOST_TURNS = 20_000

#: Topics that a verdict names.
_NAMED = 3

#: Without a topic that moved, a change is worth an alarm from this share of turns on that changed topic.
_LEAST_EFFECT = 0.05

_MEANINGS = {
    "distribution": "texts as a whole: distance of the two windows' means in the space of a kernel (MMD)",
    "neighbours": "new subjects: how many more neighbours of current turns than expected are current too",
    "shares": "popularity: the share of turns that would have to change topic to undo the change, beyond chance",
}


@dataclass(frozen=True, slots=True)
class _Compared:
    """The samples, and how the reference is called."""

    reference: Sample
    current: Sample
    name: str
    window: Window | None


def default_windows(
    look: Look, settings: Settings, clock: Clock, current: Window | None = None
) -> tuple[Window, Window]:
    """`windows_before` the last turn of the run."""
    return windows_before(min(clock(), look.run.window_end), settings.drift, current)


def compare_windows(
    store: Store,
    settings: Settings,
    look: Look,
    *,
    current: Window | None = None,
    reference: Window | None = None,
    against: str | None = None,
    clock: Clock,
) -> DriftRow:
    """Compare two windows of the published run, or a window with the eval set `against`. Writes nothing.

    Three tests with permutations of whole conversations: the distribution of texts, neighbours, and topic shares. The p-value
    of the verdict is three times the least of theirs (Bonferroni). It is an alarm at `drift.false_alarm` when the change has
    a size too: a topic that moved by `drift.min_change`, or one turn in twenty that changed topic. The same comparison
    of the same run has the same result and id. Raises `UsageError` for an eval set that was never encoded.
    """
    current, usual = default_windows(look, settings, clock, current)
    before = reference or usual
    rng = np.random.default_rng(settings.atlas.seed)
    after = _sample(store, look, current, rng)
    if against is None:
        compared = _Compared(_sample(store, look, before, rng), after, WINDOW, before)
    else:
        known = known_languages(settings.encoder)
        compared = _Compared(_of_eval_set(store, look, store.eval_sets.load(against), known), after, against, None)
    few = _too_few(compared, current, settings)
    body: dict[str, Any] = {
        "tests": [],
        "topics": [],
        "turns": {"reference": len(compared.reference), "current": len(after)},
    }
    p_value = effect = None
    alarm, verdict = False, few
    if few is None:
        tests, changes = _tests(compared, rng, settings)
        p_value = min(1.0, len(tests) * min(result.p_value for result in tests.values()))
        # Where no turn has a topic, nothing says how large the change is.
        effect = tests["shares"].effect if "shares" in tests else None
        users = _users(look, current)
        rows = [_topic(look, change, settings, users) for change in changes]
        moved = [row for row in rows if row["moved"]]
        alarm = p_value <= settings.drift.false_alarm and bool(moved or (effect or 0) >= _LEAST_EFFECT)
        body["tests"] = [
            {
                "name": name,
                "statistic": result.statistic,
                "p_value": result.p_value,
                "effect": result.effect,
                "meaning": _MEANINGS[name],
            }
            for name, result in tests.items()
        ]
        body["topics"] = rows
        verdict = _verdict(compared, current, moved, p_value, effect, alarm, settings)
    made_of = [look.run.run_id, compared.name, str(current), str(compared.window), _plain(settings)]
    return DriftRow(
        report_id="d" + short_hash(*made_of),
        atlas_id=look.run.atlas_id,
        created_at=clock(),
        reference=compared.name,
        reference_start=compared.window.start if compared.window else None,
        reference_end=compared.window.end if compared.window else None,
        current_start=current.start,
        current_end=current.end,
        verdict=verdict or "",
        alarm=alarm,
        p_value=p_value,
        effect=effect,
        body=body,
    )


def _tests(
    compared: _Compared, rng: np.random.Generator, settings: Settings
) -> tuple[dict[str, DriftResult], list[ShareChange]]:
    number = settings.drift.permutations
    shares, changes = share_changes(compared.reference, compared.current, rng=rng, permutations=number)
    tests = {
        "distribution": mmd(compared.reference, compared.current, rng=rng, permutations=number),
        "neighbours": neighbourhood(compared.reference, compared.current, rng=rng, permutations=number),
        "shares": shares,
    }
    return {name: result for name, result in tests.items() if np.isfinite(result.p_value)}, changes


def _sample(store: Store, look: Look, window: Window, rng: np.random.Generator) -> Sample:
    start, end = (microseconds(one) for one in (window.start, window.end))
    rows = np.flatnonzero((look.created >= start) & (look.created < end))
    rows = thinned(rows, look.conversation, _MOST_TURNS, rng)
    vectors = store.vectors.read(look.atlas.encoder, look.atlas.recipe, [look.hashes[row] for row in rows.tolist()])
    return Sample(vectors, np.stack([look.middle[rows], look.fine[rows]]), look.conversation[rows])


def _of_eval_set(store: Store, look: Look, eval_set: EvalSet, known: frozenset[str] | None) -> Sample:
    """Eval items as a window: each a conversation, with the topics of the turns nearest to it. Items in languages that are
    not known are left out, like turns."""
    prompts = [EVAL_PROMPT.prepare(item.prompt) for item in eval_set.items]
    foreign = foreign_texts(prompts, known, store.languages.counts()).tolist()
    hashes = [text_hash(prompt) for prompt, strange in zip(prompts, foreign, strict=True) if not strange]
    if store.vectors.missing(look.atlas.encoder, EVAL_PROMPT.name, hashes):
        raise UsageError(
            f"eval set {eval_set.name!r} was never compared: run `offmap analyse --eval-set {eval_set.name}` first"
        )
    vectors = store.vectors.read(look.atlas.encoder, EVAL_PROMPT.name, hashes)
    turns = store.vectors.read(look.atlas.encoder, look.atlas.recipe, look.hashes)
    topics = assign_texts(vectors, Anchors(turns, np.stack([look.middle, look.fine])), k=5)
    return Sample(vectors, topics, np.arange(len(vectors)))


def _too_few(compared: _Compared, current: Window, settings: Settings) -> str | None:
    least, setting = settings.drift.min_turns, "drift.min_turns"
    # An eval set is small by nature: what it holds is enough to compare with where it is enough for coverage.
    enough = least if compared.window else settings.coverage.min_eval_items
    if len(compared.current) < least:
        found, where = len(compared.current), _days(current)
    elif len(compared.reference) < enough:
        found, where = len(compared.reference), _days(compared.window) if compared.window else compared.name
        least = enough
        if compared.window is None:
            setting = "coverage.min_eval_items"
    else:
        return None
    what = "items" if compared.window is None and where == compared.name else "turns"
    return f"Too little to say: {found:,} {what} in {where}, and at least {least:,} are needed (setting {setting})."


def _verdict(
    compared: _Compared,
    current: Window,
    moved: Sequence[dict[str, Any]],
    p_value: float,
    effect: float | None,
    alarm: bool,
    settings: Settings,
) -> str:
    sizes = f"{len(compared.reference):,} and {len(compared.current):,} turns"
    between = f"between {_days(compared.window)} and {_days(current)}" if compared.window else f"from {compared.name}"
    if compared.window is None:
        sizes = f"{len(compared.reference):,} items and {len(compared.current):,} turns"
    if p_value > settings.drift.false_alarm:
        return f"No change beyond chance {between} ({sizes})."
    if effect is None:
        return f"The traffic differs {between}, and without topics nothing says by how much ({sizes})."
    if not alarm:
        return f"The traffic differs {between}, by too little to matter ({sizes})."
    named = [row for row in moved if row["label"] and not _said_by_parent(row, moved)][:_NAMED]
    parts = [
        f"{row['after']:.1%} of it is about {row['label']}, {row['before']:.1%} before"
        if compared.window
        else f"{row['after']:.1%} of it is about {row['label']}, {row['before']:.1%} of the eval set"
        for row in named
    ]
    carried = sum(row["contribution"] for row in named)
    said = "; ".join(parts) + f". That is {carried:.0%} of the change." if parts else "No single topic carries it."
    return f"The traffic changed {between} ({sizes}). {said}"


def _topic(look: Look, change: ShareChange, settings: Settings, users: NDArray[np.int64]) -> dict[str, Any]:
    topic = look.topics[change.topic]
    shown = max(topic.users, int(users[change.topic])) >= settings.alerts.min_users
    return {
        "topic": topic.topic_id,
        # Fewer users than the minimum: that it moved may be said, not what they talk about.
        "label": topic.label if shown else None,
        "parent": topic.parent,
        "level": topic.level,
        "before": change.before,
        "after": change.after,
        "change_low": change.low,
        "change_high": change.high,
        "p_value": change.p_value,
        "contribution": change.contribution,
        "moved": change.p_value <= settings.drift.false_alarm and abs(change.change) >= settings.drift.min_change,
    }


def _said_by_parent(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> bool:
    """A fine topic says nothing more than the middle one that it is in, when that moved too."""
    return row["level"] == 2 and any(one["topic"] == row["parent"] for one in rows)


def _users(look: Look, window: Window) -> NDArray[np.int64]:
    """Users of each topic in the window."""
    inside = (look.created >= microseconds(window.start)) & (look.created < microseconds(window.end))
    found = np.zeros(len(look.topics), np.int64)
    for level in (look.middle, look.fine):
        rows = inside & (level >= 0)
        pairs = np.unique(np.stack([level[rows], look.user[rows]]), axis=1)
        np.add.at(found, pairs[0], 1)
    return found


def _days(window: Window | None) -> str:
    if window is None:
        return ""
    last = window.end - timedelta(microseconds=1)
    return (
        short_day(window.start)
        if window.start.date() == last.date()
        else f"{short_day(window.start)} – {short_day(last)}"
    )


def _plain(settings: Settings) -> str:
    from dataclasses import asdict

    return orjson.dumps(asdict(settings.drift), option=orjson.OPT_SORT_KEYS).decode()
