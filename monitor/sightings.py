"""What a publication sees of gaps, written down with it: their numbers, whether they grow, and what became of them since.

Read at the end of an analysis, before it is published; see `monitor.store.gap_lives`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.atlas.communities import LEVELS
from monitor.coverage.gaps import gap_id_of
from monitor.drift.movement import Movement
from monitor.drift.topic_trends import topic_trends
from monitor.drift.windows import windows_before
from monitor.published import compared_items
from monitor.settings import Settings
from monitor.store.atlases import TopicRow
from monitor.store.gap_lives import NEWLY_COVERED, GapChange, GapLink, GapLook, GapSighting
from monitor.store.reports import CoverageRow, GapRow
from monitor.store.runs import PublishedRun
from monitor.store.store import Store

__all__ = ["Seen", "see_gaps"]

#: Levels on which there are gaps, as positions in `LEVELS`.
_LEVELS = (1, 2)


@dataclass(frozen=True, slots=True)
class Seen:
    """Ready for `GapLives.note`."""

    look: GapLook
    sightings: tuple[GapSighting, ...]
    links: tuple[GapLink, ...]


def see_gaps(store: Store, settings: Settings, run: PublishedRun, *, now: datetime) -> Seen | None:
    """What the run says of gaps, whose atlas and report are stored. None when its eval set is too small to say anything: then
    no gap has closed."""
    report = store.reports.coverage(run.report_id)
    if report is None or report.value is None:
        return None
    gaps = store.reports.gaps(run.report_id)
    topics = {one.topic_id: one for one in store.atlases.topics(run.atlas_id)}
    gaps = [one for one in gaps if one.topic_id in topics]
    since = {gap_id: one.opened for gap_id, one in store.gap_lives.open().items()}
    moved = _movements(store, settings, run, list(topics.values()), now) if gaps else {}
    left = [one for one in since.values() if one.topic_id in topics and one.gap_id not in {gap.gap_id for gap in gaps}]
    covered = _newly_covered(store, report, [*gaps, *left], topics, since)
    look = GapLook("", run.run_id, run.published_at, report.eval_set_ids)
    sightings = tuple(_sighting(one, topics, moved, covered) for one in gaps)
    links = _links(store, run, gaps, topics, since)
    goes_on = {link.other for link in links if link.event != "split"}
    for one in left:
        turns = one.turns if _is_part(one) else topics[one.topic_id].turns
        if one.gap_id not in goes_on and covered.get(one.topic_id, 0) < NEWLY_COVERED * turns:
            links.append(GapLink(one.gap_id, "by_itself", one.gap_id, run.published_at))
    return Seen(look, sightings, tuple(links))


def _sighting(
    gap: GapRow, topics: Mapping[str, TopicRow], moved: Mapping[str, Movement], covered: Mapping[str, int]
) -> GapSighting:
    # How a topic moves, and what covers it, says nothing of a part.
    part = _is_part(gap)
    movement = None if part else moved.get(gap.topic_id)
    return GapSighting(
        gap_id=gap.gap_id,
        topic_id=gap.topic_id,
        level=topics[gap.topic_id].level,
        rank=gap.rank,
        turns=gap.turns,
        share=gap.share,
        coverage=gap.coverage,
        low=gap.sampled_low,
        high=gap.sampled_high,
        ratio=None if movement is None else movement.trend.ratio,
        ratio_low=None if movement is None else movement.trend.low,
        p_value=None if movement is None else movement.p_value,
        newly_covered=0 if part else covered.get(gap.topic_id, 0),
    )


def _is_part(gap: GapRow | GapChange) -> bool:
    return gap.gap_id != gap_id_of(gap.topic_id)


def _movements(
    store: Store, settings: Settings, run: PublishedRun, topics: Sequence[TopicRow], now: datetime
) -> dict[str, Movement]:
    """How the share of each topic of a level with gaps moved lately, seasons taken out."""
    current, before = windows_before(min(now, run.window_end), settings.drift)
    found: dict[str, Movement] = {}
    for level in _LEVELS:
        there = [one for one in topics if one.level == level]
        trends = topic_trends(store, settings, run.atlas_id, LEVELS[level], there, current, before)
        found |= {one.topic.topic_id: one.movement for one in trends}
    return found


def _newly_covered(
    store: Store,
    report: CoverageRow,
    gaps: Sequence[GapRow | GapChange],
    topics: Mapping[str, TopicRow],
    since: Mapping[str, GapChange],
) -> dict[str, int]:
    """By topic of a gap, its turns that are covered by items which no eval set had that was compared when the gap opened."""
    opened_with: dict[tuple[str, ...], list[GapRow | GapChange]] = {}
    for gap in gaps:
        opening = since.get(gap.gap_id)
        if opening is not None and opening.eval_set_ids != report.eval_set_ids:
            opened_with.setdefault(opening.eval_set_ids, []).append(gap)
    found: dict[str, int] = {}
    items = compared_items(store, report.eval_set_ids) if opened_with else {}
    for before, listed in opened_with.items():
        prompts = {one.prompt for one in compared_items(store, before).values()}
        new = [item_id for item_id, one in items.items() if one.prompt not in prompts]
        if not new:
            continue
        for level in {topics[gap.topic_id].level for gap in listed}:
            turns = store.gap_lives.newly_covered(report.report_id, report.atlas_id, LEVELS[level], new)
            found |= {gap.topic_id: turns[gap.topic_id] for gap in listed if gap.topic_id in turns}
    return found


def _links(
    store: Store,
    run: PublishedRun,
    gaps: Sequence[GapRow],
    topics: Mapping[str, TopicRow],
    since: Mapping[str, GapChange],
) -> list[GapLink]:
    """What topics split and merged, where the other's gap is known; and which gap of a level stands for one of the other."""
    known = store.gap_lives.known()
    if not known:
        return []
    told = {(one.gap_id, one.event, one.other) for one in store.gap_lives.links()}
    found: list[GapLink] = []
    for one in store.atlases.lineage(run.atlas_id):
        if one.event not in ("split", "merged") or one.other is None:
            continue
        link = (gap_id_of(one.topic_id), one.event, gap_id_of(one.other))
        if link[2] in known and link not in told:
            found.append(GapLink(*link, run.published_at))
    parts: dict[str, list[str]] = {}
    for topic in topics.values():
        if topic.parent is not None:
            parts.setdefault(topic.parent, []).append(topic.topic_id)
    for gap in gaps:
        if gap.gap_id in since:
            continue  # it was listed before as it is now
        if _is_part(gap):
            if gap_id_of(gap.topic_id) in known:
                found.append(GapLink(gap.gap_id, "part", gap_id_of(gap.topic_id), run.published_at))
            continue
        for part in sorted(one for one in known if one.startswith(gap.gap_id + "-")):
            found.append(GapLink(gap.gap_id, "whole", part, run.published_at))
        parent = topics[gap.topic_id].parent
        if parent is not None and gap_id_of(parent) in known:
            found.append(GapLink(gap.gap_id, "part", gap_id_of(parent), run.published_at))
        for part in sorted(parts.get(gap.topic_id, ())):
            if gap_id_of(part) in known:
                found.append(GapLink(gap.gap_id, "whole", gap_id_of(part), run.published_at))
    return found
