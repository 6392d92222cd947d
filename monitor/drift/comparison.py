"""A comparison of the current window with the one before it, a pinned one, or an eval set, and its verdict in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitor.atlas.assembly import microseconds
from monitor.atlas.assignment import Anchors, assign_texts
from monitor.atlas.languages import foreign_texts
from monitor.atlas.threads import one_thread_a_product
from monitor.atlas.timeline import DAY
from monitor.clock import Clock
from monitor.drift.attribution import Attribution
from monitor.drift.family import ALWAYS, MEANINGS, run_tests
from monitor.drift.look import Look
from monitor.drift.mix import Mix, dated, like_strata, mixes
from monitor.drift.onset import Days
from monitor.drift.pool import DriftResult, pooled
from monitor.drift.sample import Sample, thinned
from monitor.drift.seasons import HOUR, hour_of_week, like_hours
from monitor.drift.shares import ShareChange, share_changes
from monitor.drift.statement import Statement
from monitor.drift.verdict import WEIGHTS, combined
from monitor.drift.windows import windows_before
from monitor.drift.words import Said, WordChange, read_said, word_changes
from monitor.encoding.languages import known_languages
from monitor.encoding.recipe import EVAL_PROMPT, text_hash
from monitor.errors import UsageError
from monitor.records import EvalSet, Window, short_hash
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store

__all__ = ["PINNED", "WINDOW", "compare_windows", "default_windows", "pinned_window"]


#: The reference of a comparison with the window before, and with the pinned one.
WINDOW, PINNED = "window", "pinned"

#: More turns of a window than this are sampled by conversation: the tests lose no power that matters.
_MOST_TURNS = 20_000

#: Without a topic that moved, a change is worth an alarm from this share of turns on that changed topic.
_LEAST_EFFECT = 0.05

#: Hours of the week are alike when so much of them would be kept: a change of the clock makes an odd one.
_NEARLY_LIKE = 0.98

#: Words that a comparison names.
_WORDS = 12

#: A mix explains a change only where so much of the current window can be compared within it.
_MOST_OF_IT = 0.5


@dataclass(frozen=True, slots=True)
class _Compared:
    """The samples, where their turns stand in the look (none for eval items), and how the reference is called. `like` says that
    of the reference only like hours of the week are compared; `items` are the texts of an eval set."""

    reference: Sample
    current: Sample
    rows: tuple[NDArray[np.int64], NDArray[np.int64]]
    name: str
    window: Window | None
    like: bool = False
    items: Sequence[str] = ()


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
    if against == PINNED:
        reference = pinned_window(settings)
        if reference is None:
            raise UsageError("no reference is pinned: set drift.pinned to START/END, such as 2026-03-01/2026-03-15")
    if against is None or against == PINNED:
        compared = _windows(store, look, current, reference or usual, against or WINDOW, settings, rng)
    else:
        known = known_languages(settings.encoder)
        after = _rows(look, current, rng)
        sample, items = _of_eval_set(store, look, store.eval_sets.load(against), known)
        of_turns = (np.empty(0, np.int64), after)
        compared = _Compared(sample, _sample(store, look, after), of_turns, against, None, items=items)
    sizes = {"reference": len(compared.reference), "current": len(compared.current)}
    statement = Statement(compared.name, compared.window, current, sizes, compared.like)
    body: dict[str, Any] = {"tests": [], "topics": [], "mixes": [], "terms": [], "turns": sizes}
    p_value = effect = None
    alarm, verdict = False, statement.too_few(settings)
    if verdict is None:
        # Products here are small: two threads would mostly wait for each other.
        with one_thread_a_product():
            found = _found(store, compared, look, rng, settings, also)
        p_value = found.p_value
        # Where no turn has a topic, nothing says how large the change is.
        effect = found.tests["shares"].effect if "shares" in found.tests else None
        users = _users(look, current)
        rows = [_topic(look, change, found.parts, settings, users) for change in found.changes]
        if compared.window is not None:
            _date(rows, look, (compared.window, current), settings.analysis.time_zone)
        rows.sort(key=lambda row: (not row["moved"], -row["contribution"], row["p_value"]))
        moved = [row for row in rows if row["moved"]]
        large = bool(moved or (effect or 0) >= _LEAST_EFFECT)
        explained = found.within is not None and found.within > settings.drift.false_alarm
        alarm = p_value <= settings.drift.false_alarm and large and not explained
        body |= {
            "tests": [_test(name, result) for name, result in found.tests.items()],
            "topics": rows,
            "mixes": [_mix(one, found) for one in found.mixes],
            "terms": [_term(one) for one in found.words[:_WORDS]],
            "like_hours": compared.like,
        }
        verdict = statement.verdict(
            moved, found.tests.get("novelty"), found.explained_by, found.within,
            p_value=p_value, effect=effect, alarm=alarm, level=settings.drift.false_alarm,
        )  # fmt: skip
    made_of = [look.run.run_id, compared.name, str(current), str(compared.window), _plain(settings), *also]
    return DriftRow(
        report_id="d" + short_hash(*made_of),
        atlas_id=look.run.atlas_id,
        created_at=clock(),
        reference=compared.name,
        reference_start=compared.window.start if compared.window else None,
        reference_end=compared.window.end if compared.window else None,
        current_start=current.start,
        current_end=current.end,
        verdict=verdict,
        alarm=alarm,
        p_value=p_value,
        effect=effect,
        body=body,
    )


def _found(
    store: Store, compared: _Compared, look: Look, rng: np.random.Generator, settings: Settings, also: Sequence[str]
) -> _Found:
    number, level = settings.drift.permutations, settings.drift.false_alarm
    pool = pooled(compared.reference, compared.current, rng=rng, permutations=number)
    tests = run_tests(pool, (*ALWAYS, *also))
    carried = Attribution.of(pool)
    of_topics: dict[int, float] = {}
    for row in pool.topics:
        parts = carried.parts(row)
        of_topics |= {topic: float(parts[topic]) for topic in np.unique(row[row >= 0]).tolist()}
    found = _Found(tests, combined(tests), share_changes(pool), of_topics, [])
    if found.p_value <= level:
        said = read_said(store, look, np.concatenate(compared.rows), compared.items)
        said = Said(said.texts, said.text[pool.order], said.user[pool.order])
        found = replace(found, words=word_changes(pool, carried, said, least_users=settings.min_users_of_texts))
    if compared.window is None:
        return found
    rows = np.concatenate(compared.rows)[pool.order]
    attributes = {name: (one.values, one.of_turns[rows]) for name, one in look.attributes.items()}
    releases = store.statistics.releases()
    made_up = dated(mixes(pool, carried, attributes), releases, compared.window.start, look.run.window_end)
    found = replace(found, mixes=made_up)
    surely = [one for one in found.mixes if one.p_value <= level]
    if found.p_value > level or not surely:
        return found
    most = max(surely, key=lambda one: one.effect)
    return replace(found, explained_by=most, within=_within(compared, look, most, rng, settings))


def _within(compared: _Compared, look: Look, mix: Mix, rng: np.random.Generator, settings: Settings) -> float | None:
    """The verdict's p-value within the values of an attribute; None where too little of the current window has its like."""
    of_turns = look.attributes[mix.attribute].of_turns
    strata = of_turns[compared.rows[0]], of_turns[compared.rows[1]]
    pool = like_strata(compared.reference, compared.current, strata, rng=rng, permutations=settings.drift.permutations)
    if min(pool.sides) < settings.drift.min_turns or pool.sides[1] < _MOST_OF_IT * len(compared.current):
        return None
    return combined(run_tests(pool, WEIGHTS))


def _windows(
    store: Store,
    look: Look,
    current: Window,
    reference: Window,
    name: str,
    settings: Settings,
    rng: np.random.Generator,
) -> _Compared:
    """Two windows; of the reference so much of each hour of the week as the current one has, where there is enough of it."""
    inside = _inside(look, reference)
    like = _like(look, inside, current, reference, settings.analysis.time_zone, rng)
    matched = len(like) >= settings.drift.min_turns and len(like) < len(inside)
    before = thinned(like if matched else inside, look.conversation, _MOST_TURNS, rng)
    after = _rows(look, current, rng)
    reference_sample, current_sample = (_sample(store, look, rows) for rows in (before, after))
    return _Compared(reference_sample, current_sample, (before, after), name, reference, matched)


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


def _inside(look: Look, window: Window) -> NDArray[np.int64]:
    return np.flatnonzero((look.created >= microseconds(window.start)) & (look.created < microseconds(window.end)))


def _rows(look: Look, window: Window, rng: np.random.Generator) -> NDArray[np.int64]:
    return thinned(_inside(look, window), look.conversation, _MOST_TURNS, rng)


def _sample(store: Store, look: Look, rows: NDArray[np.int64]) -> Sample:
    vectors = store.vectors.read(look.atlas.encoder, look.atlas.recipe, [look.hashes[row] for row in rows.tolist()])
    return Sample(vectors, np.stack([look.middle[rows], look.fine[rows]]), look.conversation[rows])


def _of_eval_set(store: Store, look: Look, eval_set: EvalSet, known: frozenset[str] | None) -> tuple[Sample, list[str]]:
    """Eval items as a window: each a conversation, with the topics of the turns nearest to it; and their texts. Items in
    languages that are not known are left out, like turns."""
    prompts = [EVAL_PROMPT.prepare(item.prompt) for item in eval_set.items]
    foreign = foreign_texts(prompts, known, store.languages.counts()).tolist()
    prompts = [prompt for prompt, strange in zip(prompts, foreign, strict=True) if not strange]
    hashes = [text_hash(prompt) for prompt in prompts]
    if store.vectors.missing(look.atlas.encoder, EVAL_PROMPT.name, hashes):
        raise UsageError(
            f"eval set {eval_set.name!r} was never compared: run `offmap analyse --eval-set {eval_set.name}` first"
        )
    vectors = store.vectors.read(look.atlas.encoder, EVAL_PROMPT.name, hashes)
    turns = store.vectors.read(look.atlas.encoder, look.atlas.recipe, look.hashes)
    topics = assign_texts(vectors, Anchors(turns, np.stack([look.middle, look.fine])), k=5)
    return Sample(vectors, topics, np.arange(len(vectors))), prompts


def _test(name: str, result: DriftResult) -> dict[str, Any]:
    return {
        "name": name,
        "statistic": result.statistic,
        "p_value": _number(result.p_value),
        "effect": result.effect,
        "low": _number(result.low),
        "high": _number(result.high),
        "weight": WEIGHTS.get(name, 0.0),
        "meaning": MEANINGS[name],
    }


def _mix(mix: Mix, found: _Found) -> dict[str, Any]:
    within = found.within if found.explained_by is not None and found.explained_by.attribute == mix.attribute else None
    return {**asdict(mix), "values": [asdict(one) for one in mix.values], "within_p_value": within}


def _term(word: WordChange) -> dict[str, Any]:
    return {"term": word.word, "before": word.before, "after": word.after, "contribution": word.contribution}


def _topic(
    look: Look, change: ShareChange, parts: Mapping[int, float], settings: Settings, users: NDArray[np.int64]
) -> dict[str, Any]:
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
        "contribution": parts.get(change.topic, 0.0),
        "moved": change.p_value <= settings.drift.false_alarm and abs(change.change) >= settings.drift.min_change,
    }


def _date(rows: Sequence[dict[str, Any]], look: Look, windows: tuple[Window, Window], zone: str) -> None:
    """Write into the rows of topics that moved since when; in place."""
    moved = [row for row in rows if row["moved"]]
    if not moved:
        return
    days, position = Days.of(look, windows, zone), look.position
    for row in moved:
        found = days.onset(position[row["topic"]], grew=row["after"] > row["before"])
        if found is not None:
            row["since"], row["since_days"] = found.day.isoformat(), found.days


def _users(look: Look, window: Window) -> NDArray[np.int64]:
    """Users of each topic in the window."""
    inside = np.zeros(len(look.keys), bool)
    inside[_inside(look, window)] = True
    found = np.zeros(len(look.topics), np.int64)
    for level in (look.middle, look.fine):
        rows = inside & (level >= 0)
        pairs = np.unique(np.stack([level[rows], look.user[rows]]), axis=1)
        np.add.at(found, pairs[0], 1)
    return found


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return value if np.isfinite(value) else None


def _plain(settings: Settings) -> str:
    return orjson.dumps(asdict(settings.drift), option=orjson.OPT_SORT_KEYS).decode()
