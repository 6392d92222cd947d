"""A comparison of the current window with the one before it, a pinned one, or an eval set, and its verdict in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import orjson

from monitor.atlas.threads import one_thread_a_product
from monitor.clock import Clock
from monitor.drift.attribution import Attribution
from monitor.drift.document import mix_row, term_row, test_row, topic_rows
from monitor.drift.family import ALWAYS, run_tests
from monitor.drift.look import Look
from monitor.drift.mix import Mix, dated, like_strata, mixes
from monitor.drift.pool import DriftResult, pooled
from monitor.drift.shares import ShareChange, share_changes
from monitor.drift.sides import Sides, sides_of_eval_set, sides_of_windows
from monitor.drift.statement import Statement
from monitor.drift.verdict import WEIGHTS, combined
from monitor.drift.windows import windows_before
from monitor.drift.words import Said, WordChange, read_said, word_changes
from monitor.errors import UsageError
from monitor.records import Window, short_hash
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store

__all__ = ["PINNED", "WINDOW", "compare_windows", "default_windows", "pinned_window"]


#: The reference of a comparison with the window before, and with the pinned one.
WINDOW, PINNED = "window", "pinned"

#: Without a topic that moved, a change is worth an alarm from this share of turns on that changed topic.
_LEAST_EFFECT = 0.05

#: Words that a comparison names.
_WORDS = 12

#: A mix explains a change only where so much of the current window can be compared within it.
_MOST_OF_IT = 0.5


@dataclass(frozen=True, slots=True)
class _Found:
    """What the tests say. `within` is the p-value within the strata of `explained_by`, the attribute whose mix changed most."""

    tests: Mapping[str, DriftResult]
    p_value: float
    changes: Sequence[ShareChange]
    parts: Mapping[int, float]
    mixes: Sequence[Mix]
    words: Sequence[WordChange] = ()
    explained_by: Mix | None = None
    within: float | None = None


def default_windows(
    look: Look, settings: Settings, clock: Clock, current: Window | None = None
) -> tuple[Window, Window]:
    """`windows_before` the last turn of the run."""
    return windows_before(min(clock(), look.run.window_end), settings.drift, current)


def pinned_window(settings: Settings) -> Window | None:
    """The reference that is pinned by the settings."""
    return Window.parse(settings.drift.pinned) if settings.drift.pinned else None


def _pinned_or_raise(settings: Settings) -> Window:
    pinned = pinned_window(settings)
    if pinned is None:
        raise UsageError("no reference is pinned: set drift.pinned to START/END, such as 2026-03-01/2026-03-15")
    return pinned


def compare_windows(
    store: Store,
    settings: Settings,
    look: Look,
    *,
    current: Window | None = None,
    reference: Window | None = None,
    against: str | None = None,
    also: Sequence[str] = (),
    clock: Clock,
) -> DriftRow:
    """Compare two windows of the published run, or a window with the eval set `against`. Writes nothing.

    The tests of `monitor.drift.family`, those on request that are named in `also` too, with permutations of whole
    conversations, and one verdict of them. It is an alarm at `drift.false_alarm` when the change has a size too: a topic that
    moved by `drift.min_change`, or one turn in twenty that changed topic; and when it is no other mix of tenants, languages,
    models or prompt versions alone. A window is compared with as much of each hour of the week: a Monday with Mondays, and ten
    days with twice as much of the weekdays that they hold twice. The same comparison of the same run has the same result and
    id. `PINNED` as `against` is the window of `drift.pinned`. Raises `UsageError` for an eval set that was never encoded, and
    where nothing is pinned.
    """
    current, usual = default_windows(look, settings, clock, current)
    rng = np.random.default_rng(settings.atlas.seed)
    if against is None or against == PINNED:
        reference = _pinned_or_raise(settings) if against == PINNED else reference or usual
        sides = sides_of_windows(store, look, current, reference, against or WINDOW, settings, rng)
    else:
        sides = sides_of_eval_set(store, look, current, against, settings, rng)
    sizes = {"reference": len(sides.reference), "current": len(sides.current)}
    statement = Statement(sides.name, sides.window, current, sizes, sides.like)
    body: dict[str, Any] = {"tests": [], "topics": [], "mixes": [], "terms": [], "turns": sizes}
    p_value = effect = None
    alarm, verdict = False, statement.too_few(settings)
    if verdict is None:
        # Products here are small: two threads would mostly wait for each other.
        with one_thread_a_product():
            found = _found(store, sides, look, rng, settings, also)
        p_value = found.p_value
        # Where no turn has a topic, nothing says how large the change is.
        effect = found.tests["shares"].effect if "shares" in found.tests else None
        rows = topic_rows(look, found.changes, found.parts, (sides.window, current), settings)
        moved = [row for row in rows if row["moved"]]
        large = bool(moved or (effect or 0) >= _LEAST_EFFECT)
        explained = found.within is not None and found.within > settings.drift.false_alarm
        alarm = p_value <= settings.drift.false_alarm and large and not explained
        body |= {
            "tests": [test_row(name, result) for name, result in found.tests.items()],
            "topics": rows,
            "mixes": [mix_row(one, found.within if one is found.explained_by else None) for one in found.mixes],
            "terms": [term_row(one) for one in found.words[:_WORDS]],
            "like_hours": sides.like,
        }
        verdict = statement.verdict(
            moved, found.tests.get("novelty"), found.explained_by, found.within,
            p_value=p_value, effect=effect, alarm=alarm, level=settings.drift.false_alarm,
        )  # fmt: skip
    made_of = [look.run.run_id, sides.name, str(current), str(sides.window), _plain(settings), *also]
    return DriftRow(
        report_id="d" + short_hash(*made_of),
        atlas_id=look.run.atlas_id,
        created_at=clock(),
        reference=sides.name,
        reference_start=sides.window.start if sides.window else None,
        reference_end=sides.window.end if sides.window else None,
        current_start=current.start,
        current_end=current.end,
        verdict=verdict,
        alarm=alarm,
        p_value=p_value,
        effect=effect,
        body=body,
    )


def _found(
    store: Store, sides: Sides, look: Look, rng: np.random.Generator, settings: Settings, also: Sequence[str]
) -> _Found:
    number, level = settings.drift.permutations, settings.drift.false_alarm
    pool = pooled(sides.reference, sides.current, rng=rng, permutations=number)
    tests = run_tests(pool, (*ALWAYS, *also))
    carried = Attribution.of(pool)
    of_topics: dict[int, float] = {}
    for row in pool.topics:
        parts = carried.parts(row)
        of_topics |= {topic: float(parts[topic]) for topic in np.unique(row[row >= 0]).tolist()}
    found = _Found(tests, combined(tests), share_changes(pool), of_topics, [])
    if found.p_value <= level:
        said = read_said(store, look, np.concatenate(sides.rows), sides.items)
        said = Said(said.texts, said.text[pool.order], said.user[pool.order])
        found = replace(found, words=word_changes(pool, carried, said, least_users=settings.min_users_of_texts))
    if sides.window is None:
        return found
    rows = np.concatenate(sides.rows)[pool.order]
    attributes = {name: (one.values, one.of_turns[rows]) for name, one in look.attributes.items()}
    releases = store.statistics.releases()
    made_up = dated(mixes(pool, carried, attributes), releases, sides.window.start, look.run.window_end)
    found = replace(found, mixes=made_up)
    surely = [one for one in found.mixes if one.p_value <= level]
    if found.p_value > level or not surely:
        return found
    most = max(surely, key=lambda one: one.effect)
    return replace(found, explained_by=most, within=_within(sides, look, most, rng, settings))


def _within(sides: Sides, look: Look, mix: Mix, rng: np.random.Generator, settings: Settings) -> float | None:
    """The verdict's p-value within the values of an attribute; None where too little of the current window has its like."""
    of_turns = look.attributes[mix.attribute].of_turns
    strata = of_turns[sides.rows[0]], of_turns[sides.rows[1]]
    pool = like_strata(sides.reference, sides.current, strata, rng=rng, permutations=settings.drift.permutations)
    if min(pool.sides) < settings.drift.min_turns or pool.sides[1] < _MOST_OF_IT * len(sides.current):
        return None
    return combined(run_tests(pool, WEIGHTS))


def _plain(settings: Settings) -> str:
    return orjson.dumps(asdict(settings.drift), option=orjson.OPT_SORT_KEYS).decode()
