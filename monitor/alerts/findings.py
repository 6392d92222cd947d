"""Findings: what a look says of each gap and each surge, in words, ready to be weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from monitor.alerts.rules import Finding
from monitor.atlas.labels import label_topics, presentable
from monitor.atlas.timeline import DAY
from monitor.coverage.life import Life, Lives
from monitor.drift.look import Look
from monitor.drift.rhythm import LEAST_HOURS, Rhythm
from monitor.drift.seasons import HOUR, hour_of_week
from monitor.drift.surges import Surge, find_surges
from monitor.drift.watch_counts import watch_counts
from monitor.drift.windows import windows_before
from monitor.settings import Settings
from monitor.store.alerts import AlertBody
from monitor.store.reports import GapRow
from monitor.store.store import Store
from monitor.wording import clean

__all__ = ["find_surges_of", "gap_findings", "seasons_of", "surge_findings", "watch_list_findings"]

#: A gap is told when its coverage is at most this whatever had been sampled. On the sample traffic (seeds 20260302, 11)
#: planted gaps are under it at the end of the eight weeks in 8 of 10 cases, covered topics marked for an alert in 1 of 6.
_SURELY_MISSED = 0.45

#: A surge that the eval set covers no more than this is a gap; above, it is something known that is asked more often.
_COVERED = 0.5

#: Members that are kept with a finding: enough to know it again, whatever the topics are called then.
_MEMBERS = 400

#: Share of a surge that must lie in one topic for the page of that topic to be the one to open.
_MOSTLY = 0.5

#: A watch-list has risen when it is said so many times as often as before, so surely; what a look may spend is less, mostly.
_RISEN, _BY_CHANCE = 1.5, 0.0005
_EXAMPLES = 3

#: Of gaps of which nothing is noted.
_NO_LIVES = Lives({})
_PAGE_OF_GAP = "/gaps?gap="

_SPAN_DAYS = 35.0
#: Texts that a surge's words are set against.
_OTHERS = 3_000


def find_surges_of(look: Look, store: Store, settings: Settings, *, end: int) -> list[Surge]:
    """The surges among the look's turns up to `end`, microseconds since 1970; the same look gives the same."""
    span = np.flatnonzero((look.created >= end - int(_SPAN_DAYS * DAY)) & (look.created < end))
    if not len(span):
        return []
    vectors = store.vectors.read(look.atlas.encoder, look.atlas.recipe, [look.hashes[row] for row in span.tolist()])
    found = find_surges(
        vectors,
        look.created[span],
        look.conversation[span],
        season=seasons_of(look, span, settings),
        end=end,
        span_days=_SPAN_DAYS,
        rng=np.random.default_rng(settings.atlas.seed),
        level=settings.drift.false_alarm,
    )
    return [
        replace(one, centre=int(span[one.centre]), members=tuple(span[list(one.members)].tolist())) for one in found
    ]


def seasons_of(look: Look, span: NDArray[np.int64], settings: Settings) -> NDArray[np.int64]:
    """The season of each turn [t] of the span: hours of the week in which people ask for other things, where there are any."""
    created, topics = look.created[span], look.middle[span]
    hours = hour_of_week(created, settings.analysis.time_zone)
    rows = np.flatnonzero(topics >= 0)
    rows = rows[np.argsort(created[rows], kind="stable")]
    _, first = np.unique(look.conversation[span][rows], return_index=True)
    rows = rows[first]
    if not len(rows) or np.ptp(created[rows]) < LEAST_HOURS * HOUR:
        return np.zeros(len(span), np.int64)
    return Rhythm.find(topics[rows], hours[rows], seed=settings.atlas.seed).of_hour[hours]


def gap_findings(look: Look, lives: Lives = _NO_LIVES) -> list[Finding]:
    """One finding a gap that is marked for an alert, the worst first. None is sure: an estimate may cross a line by chance.

    A gap that somebody is on, and that does not grow surely, is not told, and neither is one that will not be fixed yet.
    """
    found = []
    place = look.position
    for gap in look.gaps:
        if not gap.alert or gap.topic_id not in place:
            continue
        rows = _rows_of(look, gap, place[gap.topic_id])
        life = lives.of(gap.gap_id)
        found.append(
            Finding(
                kind="gap",
                key=gap.gap_id,
                title=f"Gap: {gap.label}",
                body=AlertBody(_of_gap(gap), _facts_of_gap(gap, _count(look.user[rows]), life), gap.examples),
                path=f"{_PAGE_OF_GAP}{gap.gap_id}",
                size=gap.share * (1 - gap.coverage),
                users=_count(look.user[rows]),
                members=_latest(look, rows),
                sure=False,
                telling=gap.sampled_high <= _SURELY_MISSED and not life.silent,
            )
        )
    return found


def _rows_of(look: Look, gap: GapRow, topic: int) -> NDArray[np.int64]:
    """Rows of a gap's turns: those of its topic, or of the part that it is."""
    rows = look.members(topic)
    if gap.attribute is None:
        return rows
    said = look.attributes.get(gap.attribute)
    if said is None or gap.value not in said.values:
        return rows[:0]
    return np.asarray(rows[said.of_turns[rows] == said.values.index(gap.value)], np.int64)


def surge_findings(
    look: Look, surges: Sequence[Surge], store: Store, lives: Lives = _NO_LIVES, *, level: float = 1.0
) -> list[Finding]:
    """One finding a surge. Each is sure: its p-value allows for everything that was looked at. One beyond the `level` that the
    look may spend is not told, and neither is one in a gap that will not be fixed yet: they keep a known one alive."""
    found = []
    for surge in surges:
        rows = np.array(surge.members, np.int64)
        covered = look.covered[rows]
        coverage = float(np.nanmean(covered)) if np.isfinite(covered).any() else float("nan")
        missed = bool(coverage <= _COVERED)
        label = _label(look, rows, store)
        users = _count(look.user[rows])
        path = _page(look, rows, missed)
        gap = path.removeprefix(_PAGE_OF_GAP) if path.startswith(_PAGE_OF_GAP) else None
        life = None if gap is None else lives.of(gap)
        found.append(
            Finding(
                kind="gap" if missed else "drift",
                key=f"s{int(look.keys[surge.centre]):016x}",
                title=f"{_what(surge)}: {label}",
                body=AlertBody(
                    _of_surge(surge, coverage),
                    (*_facts_of_surge(surge, coverage, users), *(_facts_of_life(life) if life is not None else ())),
                    tuple(int(look.keys[row]) for row in _spread(look, rows)),
                ),
                path=path,
                size=surge.share * (1 - coverage) if missed else surge.share,
                users=users,
                members=tuple(int(key) for key in look.keys[rows[:_MEMBERS]]),
                sure=True,
                telling=surge.p_value <= level and (life is None or not life.hidden),
            )
        )
    return found


def watch_list_findings(store: Store, settings: Settings, *, now: datetime, level: float = 1.0) -> list[Finding]:
    """One finding a watch-list that is said clearly more often in the last days than in those before. All lists together spend
    `level`: one beyond its part is not told, and keeps a known one alive."""
    found = []
    part = level / max(len(settings.analysis.watch_lists), 1)
    days, environments = settings.drift, settings.analysis.environments
    current, before = windows_before(now, days)
    for one in settings.analysis.watch_lists:
        counts = watch_counts(store, one, environments, current, before)
        hits, earlier, change = counts.now, counts.before, counts.trend
        if change is None or change.ratio < _RISEN or change.p_value > _BY_CHANCE:
            continue
        facts = (
            (
                "How much",
                f"{hits.conversations:,} of {hits.of_conversations:,} conversations in {days.current_days} days",
            ),
            ("Before", f"{earlier.conversations:,} of {earlier.of_conversations:,} in {days.reference_days} days"),
            ("Users", f"{hits.users:,}"),
        )
        text = f"Said {change.ratio:.1f} times as often as in the days before ({change.low:.1f} to {change.high:.1f})."
        examples = tuple(store.watch_lists.latest(one, current, environments, most=_EXAMPLES))
        found.append(
            Finding(
                kind="watch_list",
                key=f"w:{one.name}",
                title=f"Watch-list: {one.name}",
                body=AlertBody(text, facts, examples),
                path=f"/words?{urlencode({'list': one.name})}",
                size=hits.conversations / hits.of_conversations,
                users=hits.users,
                # What it holds may be what a gap or a surge told of: who made the list wants to hear of it by its name.
                members=(),
                sure=True,
                telling=change.p_value <= part,
            )
        )
    return found


def _what(surge: Surge) -> str:
    if surge.share_before * 20 <= surge.share:
        return "New subject"
    return f"Asked {surge.share / surge.share_before:.1f} times as often"


def _of_gap(gap: GapRow) -> str:
    return (
        f"{gap.coverage:.0%} of {gap.turns:,} turns are covered ({gap.low:.0%} to {gap.high:.0%}); "
        f"{'the topic is' if gap.attribute is None else 'they are'} {gap.share:.1%} of the traffic."
    )


def _facts_of_gap(gap: GapRow, users: int, life: Life) -> tuple[tuple[str, str], ...]:
    return (
        ("How much", f"{gap.turns:,} turns, {gap.share:.1%} of the traffic"),
        ("Covered", f"{gap.coverage:.0%} ({gap.low:.0%} to {gap.high:.0%})"),
        ("How sure", "every look of a week found it, the last one clearly"),
        ("Users", f"{users:,}"),
        ("Since", f"{gap.first_seen:%-d %b %Y}"),
        *_facts_of_life(life),
    )


def _facts_of_life(life: Life) -> tuple[tuple[str, str], ...]:
    """How the gap stands, and whose it is; no other words of people leave with an alert."""
    return (("State", life.words), ("Owner", clean(life.owner) if life.owner else "nobody yet"))


def _of_surge(surge: Surge, coverage: float) -> str:
    before = f"{surge.share_before:.1%} before" if surge.before else "nobody asked before"
    covered = "" if np.isnan(coverage) else f" The eval set covers about {coverage:.0%} of it."
    return (
        f"{surge.share:.1%} of the conversations of the last {surge.days:.0f} days are about this; {before}.{covered}"
    )


def _facts_of_surge(surge: Surge, coverage: float, users: int) -> tuple[tuple[str, str], ...]:
    facts = [
        ("How much", f"{surge.recent:,} of {surge.all_recent:,} conversations in {surge.days:.0f} days"),
        ("Before", f"{surge.before:,} of {surge.all_before:,} in the {_SPAN_DAYS - surge.days:.0f} days before"),
        ("How sure", f"chance does this in {_chance(surge.p_value)} of looks when nothing has changed"),
        ("Users", f"{users:,}"),
    ]
    if not np.isnan(coverage):
        facts.append(("Covered", f"about {coverage:.0%}"))
    return tuple(facts)


def _chance(p_value: float) -> str:
    return f"at most {p_value:.1%}" if p_value >= 0.001 else "less than 0.1%"


def _label(look: Look, rows: NDArray[np.int64], store: Store) -> str:
    """The words that set the surge apart from the rest of its span.

    A word that only one user wrote is left out: an alert is sent away, and stays when its turns are forgotten.
    """
    others = np.setdiff1d(np.arange(len(look.keys)), rows)
    others = others[:: max(1, len(others) // _OTHERS)]
    user_of = dict(zip(look.keys.tolist(), look.user.tolist(), strict=True))
    mine = set(look.keys[rows].tolist())
    said: dict[tuple[int, int], list[str]] = {}
    for turn in store.turns.fetch(look.keys[np.concatenate([rows, others])].tolist()):
        said.setdefault((0 if turn.key in mine else 1, user_of[turn.key]), []).append(turn.user_text)
    texts = presentable("\n".join(one) for one in said.values())
    topics = np.array([topic for topic, _ in said], np.int64)
    return label_topics(texts, topics, least=2)[0].text


def _page(look: Look, rows: NDArray[np.int64], missed: bool) -> str:
    """The gap that holds most of the surge, else its topic, else the page of drift."""
    for level in (look.fine, look.middle):
        topics, counts = np.unique(level[rows][level[rows] >= 0], return_counts=True)
        if not len(topics) or counts.max() < _MOSTLY * len(rows):
            continue
        topic = look.topics[int(topics[counts.argmax()])].topic_id
        gaps = [gap.gap_id for gap in look.gaps if gap.topic_id == topic and gap.attribute is None]
        if missed and gaps:
            return f"{_PAGE_OF_GAP}{gaps[0]}"
        return f"/topics?topic={topic}"
    return "/drift"


def _spread(look: Look, rows: NDArray[np.int64], count: int = 10) -> NDArray[np.int64]:
    """The first rows of different users: one person's words are no example of what people say."""
    _, first = np.unique(look.user[rows], return_index=True)
    return rows[np.sort(first)][:count]


def _latest(look: Look, rows: NDArray[np.int64]) -> tuple[int, ...]:
    order = np.argsort(-look.created[rows], kind="stable")
    return tuple(int(key) for key in look.keys[rows[order]][:_MEMBERS])


def _count(users: NDArray[np.int64]) -> int:
    return len(np.unique(users))
