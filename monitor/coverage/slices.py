"""Topics and parts of topics as slices of the traffic, and the ranked gaps among them as rows of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.assembly import moment
from monitor.atlas.corpus import numbered
from monitor.atlas.timeline import first_seen, growth
from monitor.coverage.estimate import Coverage
from monitor.coverage.gaps import Bounds, Gap, Slice, alerts, gap_id_of, gap_of, is_held, rank_gaps
from monitor.coverage.interval import Interval
from monitor.coverage.items import ComparedItems
from monitor.coverage.listed import Listed, OwnItems
from monitor.coverage.parts import Estimator, Part, parts_apart
from monitor.coverage.pressing import Pressing, pressing_of
from monitor.coverage.production import Production
from monitor.coverage.splits import splits_of
from monitor.settings import Settings
from monitor.store.gap_lives import COVERED_AT_MOST_ELSE
from monitor.store.reports import GapRow

__all__ = ["FINE", "MIDDLE", "gap_rows"]

#: Levels on which gaps are looked for, as rows of `Atlas.of_turns`.
MIDDLE, FINE = 1, 2


#: Parts of topics are the same thing when more than this share of the one's turns is the other's too.
_THE_SAME = 0.5


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a slice is: its topic's position, the rows of its turns, and the part of the topic that it is, if any."""

    topic: int
    rows: NDArray[np.int64]
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class _Measures:
    """What is known of the turns [t] of the corpus; `contained` by level."""

    production: Production
    novelty: NDArray[np.float64]
    loyal: NDArray[np.float64]
    contained: Mapping[int, NDArray[np.float64]]

    @classmethod
    def of(cls, production: Production, novelty: NDArray[np.float64]) -> _Measures:
        """`novelty` [c] is of the counted turns."""
        of_turns = np.zeros(len(production.corpus))
        of_turns[production.counted] = novelty
        contained = {level: _containment(production, level) for level in (MIDDLE, FINE)}
        return cls(production, of_turns, _loyalty(production), contained)

    def bounds(self, settings: Settings) -> Bounds:
        counted = self.production.counted
        return Bounds(
            failures=float(self.production.failed[counted].mean()) if len(counted) else 0.0,
            loyalty=float(self.loyal[counted].mean()),
            containment=float(self.contained[MIDDLE][counted].mean()),
            min_conversations=settings.gaps.min_conversations,
            min_share=settings.gaps.min_share,
        )

    def slice(self, place: _Place, coverage: Interval, sampled: Interval, parent: int) -> Slice:
        production, member = self.production, place.rows
        corpus, counted = production.corpus, production.counted
        lengths = np.unique(corpus.conversation[member], return_counts=True)[1]
        return Slice(
            parent=parent,
            turns=len(member),
            conversations=len(lengths),
            effective_conversations=float(len(member) ** 2 / (lengths**2).sum()),
            share=len(member) / len(counted),
            coverage=coverage,
            sampled=sampled,
            novelty=float(self.novelty[member].mean()),
            failures=float(production.failed[member].mean()),
            loyalty=float(self.loyal[member].mean()),
            containment=float(self.contained[production.atlas.topics[place.topic].level][member].mean()),
            growth=growth(corpus.created[member], corpus.created[counted], end=production.end),
        )


def gap_rows(
    production: Production,
    coverage: Coverage,
    novelty: NDArray[np.float64],
    items: ComparedItems,
    item_vectors: NDArray[np.float32],
    settings: Settings,
    estimator: Estimator,
    listed: Listed,
) -> list[GapRow]:
    """The gaps, the worst first, then those that stay listed because they were before (`listed`). `novelty` [c] is of the turns
    that count, `estimator` is asked for parts of topics."""
    measures = _Measures.of(production, novelty)
    bounds = measures.bounds(settings)
    places, slices = _topics(measures, coverage)
    ranked = rank_gaps(slices, bounds)
    # A topic that is more covered than not may be listed for a part of it: then the part is.
    whole = {places[gap.slice].topic for gap in ranked if slices[gap.slice].coverage.value <= COVERED_AT_MOST_ELSE}
    for place, one in _parts(measures, bounds, _not_in(production, whole), estimator, settings):
        besides = {position for _, position in _not_in(production, [place.topic])}
        ranked = [gap for gap in ranked if places[gap.slice].part or places[gap.slice].topic in besides]
        ranked.append(gap_of(len(slices), one, bounds))
        places.append(place)
        slices.append(one)
    ranked += _held(
        measures, bounds, places, slices, ranked, listed, OwnItems.of(coverage, estimator, production, items)
    )
    ranked.sort(key=lambda one: (_is_held(slices[one.slice]), -one.priority, one.slice))
    least = bounds.min_conversations
    splits = splits_of(
        production, coverage.covered, [places[gap.slice].rows for gap in ranked], min_conversations=least
    )
    pressing = pressing_of(
        production,
        [places[gap.slice].rows for gap in ranked],
        [(slices[gap.slice].growth, gap.risk) for gap in ranked],
        interval=settings.coverage.interval,
        replicates=settings.coverage.bootstrap,
        seed=settings.atlas.seed,
    )
    return [
        _row(rank, gap, slices[gap.slice], places[gap.slice], split, sure, production, items, item_vectors, settings)
        for rank, (gap, split, sure) in enumerate(zip(ranked, splits, pressing, strict=True), start=1)
    ]


def _row(
    rank: int,
    gap: Gap,
    one: Slice,
    place: _Place,
    splits: tuple[dict[str, Any], ...],
    pressing: Pressing,
    production: Production,
    items: ComparedItems,
    item_vectors: NDArray[np.float32],
    settings: Settings,
) -> GapRow:
    topic, member, corpus = production.atlas.topics[place.topic], place.rows, production.corpus
    attribute, value = (place.part.attribute, place.part.value) if place.part else (None, None)
    return GapRow(
        gap_id=gap_id_of(topic.topic_id, attribute, value),
        rank=rank,
        topic_id=topic.topic_id,
        label=topic.found_label or topic.label,  # a name is put over it by who reads it
        turns=one.turns,
        conversations=one.conversations,
        share=one.share,
        coverage=one.coverage.value,
        low=one.coverage.low,
        high=one.coverage.high,
        sampled_low=one.sampled.low,
        sampled_high=one.sampled.high,
        novelty=one.novelty,
        priority=gap.priority,
        alert=alerts(one, alert_share=settings.gaps.alert_share),
        first_seen=moment(first_seen(corpus.created[member], corpus.conversation[member])),
        growth=one.growth,
        risk=gap.risk,
        examples=_examples(production, member, corpus.first_turn, topic.representatives, settings.gaps.examples),
        nearest_items=_nearest_items(production, member, items, item_vectors),
        attribute=attribute,
        value=value,
        splits=tuple(split for split in splits if split["attribute"] != attribute),
        growth_low=pressing.growth.low,
        growth_high=pressing.growth.high,
        risk_low=pressing.risk.low,
        risk_high=pressing.risk.high,
    )


def _topics(measures: _Measures, coverage: Coverage) -> tuple[list[_Place], list[Slice]]:
    """Middle and fine topics as slices."""
    production, counted = measures.production, measures.production.counted
    number: dict[str, int] = {}
    places: list[_Place] = []
    slices: list[Slice] = []
    for position, topic in enumerate(production.atlas.topics):
        if topic.level not in (MIDDLE, FINE):
            continue
        member = counted[production.atlas.of_turns[topic.level][counted] == position]
        if not len(member):
            continue
        number[topic.topic_id] = len(slices)
        places.append(_Place(position, member))
        of_topic, sampled = coverage.topics[position], coverage.sampled[position]
        slices.append(measures.slice(places[-1], of_topic, sampled, number.get(topic.parent or "", -1)))
    return places, slices


def _not_in(production: Production, listed: Collection[int]) -> list[tuple[int, int]]:
    """Level and position of the middle and fine topics that are listed neither themselves nor in or with another one."""
    topics = production.atlas.topics
    ids = {topics[position].topic_id for position in listed}
    above = {topics[position].parent for position in listed}
    return [
        (topic.level, position)
        for position, topic in enumerate(topics)
        if topic.level in (MIDDLE, FINE) and not {topic.topic_id, topic.parent} & ids and topic.topic_id not in above
    ]


def _held(
    measures: _Measures,
    bounds: Bounds,
    places: Sequence[_Place],
    slices: Sequence[Slice],
    ranked: Sequence[Gap],
    listed: Listed,
    own: OwnItems,
) -> list[Gap]:
    """Gaps that were listed and that nothing was done for since, of whole topics that are in no gap of today."""
    production, topics = measures.production, measures.production.atlas.topics
    free = {position for _, position in _not_in(production, {places[gap.slice].topic for gap in ranked})}
    found: list[Gap] = []
    held: set[str | None] = set()
    for number, (place, one) in enumerate(zip(places, slices, strict=True)):
        topic = topics[place.topic]
        gap_id = gap_id_of(topic.topic_id)
        if place.part is not None or place.topic not in free or topic.parent in held or gap_id not in listed:
            continue
        if bounds.keep(one) and not own.came(listed.texts_of(gap_id), place.topic, topic.level - MIDDLE, place.rows):
            held.add(topic.topic_id)
            found.append(gap_of(number, one, bounds))
    return found


def _is_held(one: Slice) -> bool:
    return is_held(one.share, one.coverage.value)


def _parts(
    measures: _Measures, bounds: Bounds, topics: Sequence[tuple[int, int]], estimator: Estimator, settings: Settings
) -> list[tuple[_Place, Slice]]:
    """Parts of the topics (level and position) that are gaps, and whose coverage lies below that of the rest of their topic
    with its whole interval. Of those that are much the same turns, the one that leaves more uncovered."""
    production, counted = measures.production, measures.production.counted
    if not production.attributes:
        return []
    covered = estimator.by_distance()
    found: list[tuple[_Place, Slice]] = []
    for part in parts_apart(production, covered, topics, settings):
        if any(len(np.intersect1d(part.rows, other.rows)) > _THE_SAME * len(part.rows) for other, _ in found):
            continue
        inside, rest = (np.searchsorted(counted, rows) for rows in (part.rows, part.rest))
        parted = estimator.of_part(inside, rest)
        of_part, (sampled, of_rest) = parted.topics[0], parted.sampled[:2]
        place = _Place(part.topic, part.rows, part)
        one = measures.slice(place, of_part, sampled, -1)
        if sampled.high < of_rest.low and bounds.hold(one):
            found.append((place, one))
    return found


def _loyalty(production: Production) -> NDArray[np.float64]:
    """Of each counted turn, the share of its conversation's other counted turns in the same middle topic [t]; 1 if alone."""
    counted = production.counted
    conversation = production.corpus.conversation[counted]
    topic = production.atlas.of_turns[MIDDLE][counted] + 1
    together = numbered(conversation * (len(production.atlas.topics) + 1) + topic)
    same, all_turns = np.bincount(together)[together], np.bincount(conversation)[conversation]
    share = np.divide(same - 1, all_turns - 1, out=np.ones(len(counted)), where=all_turns > 1)
    found = np.zeros(len(production.corpus))
    found[counted] = share
    return found


def _containment(production: Production, level: int) -> NDArray[np.float64]:
    """Of each turn [t], the share of its text's neighbours that are in its topic, of as many as could be; 0 without one."""
    corpus, neighbours = production.corpus, production.network.graph.indices
    topic = production.text_topics(level)
    inside = ((topic[neighbours] == topic[:, None]) & (neighbours >= 0)).sum(axis=1)
    others = np.bincount(topic + 1)[topic + 1] - 1
    attainable = np.minimum(others, neighbours.shape[1])
    share = np.divide(inside, attainable, out=np.zeros(len(topic)), where=(topic >= 0) & (attainable > 0))
    return np.asarray(share[corpus.text_of], np.float64)


def _examples(
    production: Production,
    member: NDArray[np.int64],
    first_turn: NDArray[np.int64],
    representatives: Sequence[int],
    count: int,
) -> tuple[int, ...]:
    """Turn keys: the topic's representatives, then its most frequent texts, each text once; none that is marked as covered."""
    corpus, member = production.corpus, member[~production.surely_covered[member]]
    texts, times = np.unique(corpus.text_of[member], return_counts=True)
    frequent = [int(corpus.keys[first_turn[text]]) for text in texts[np.lexsort((texts, -times))]]
    inside = set(corpus.keys[member].tolist())
    return tuple(dict.fromkeys([key for key in (*representatives, *frequent) if key in inside]))[:count]


def _nearest_items(
    production: Production,
    member: NDArray[np.int64],
    items: ComparedItems,
    item_vectors: NDArray[np.float32],
    count: int = 3,
) -> tuple[str, ...]:
    """Ids of the eval items nearest to the slice's mean vector."""
    centre = production.network.vectors[production.corpus.text_of[member]].mean(axis=0)
    order = np.argsort(-np.round(item_vectors @ centre, 6), kind="stable")
    return tuple(dict.fromkeys(items.ids[item] for item in order[: 3 * count].tolist()))[:count]
