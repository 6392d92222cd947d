"""Topics as slices of the traffic, and the ranked gaps among them as rows of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.assembly import moment
from monitor.atlas.corpus import numbered
from monitor.atlas.timeline import first_seen, growth
from monitor.coverage.estimate import Coverage, Traffic
from monitor.coverage.gaps import Slice, alerts, gap_id_of, rank_gaps
from monitor.coverage.items import ComparedItems
from monitor.coverage.production import Production
from monitor.settings import Settings
from monitor.store.reports import GapRow

__all__ = ["FINE", "MIDDLE", "gap_rows"]

#: Levels on which gaps are looked for, as rows of `Atlas.of_turns`.
MIDDLE, FINE = 1, 2


def gap_rows(
    production: Production,
    coverage: Coverage,
    novelty: NDArray[np.float64],
    traffic: Traffic,
    items: ComparedItems,
    item_vectors: NDArray[np.float32],
    settings: Settings,
) -> list[GapRow]:
    loyal = _loyalty(production)
    contained = {level: _containment(production, level) for level in (MIDDLE, FINE)}
    positions, slices, rows = _slices(production, coverage, novelty, loyal, contained)
    failures = float(production.failed[production.counted].mean()) if len(traffic) else 0.0
    ranked = rank_gaps(
        slices,
        failures=failures,
        loyalty=float(loyal[production.counted].mean()),
        containment=float(contained[MIDDLE][production.counted].mean()),
        min_conversations=settings.gaps.min_conversations,
        min_share=settings.gaps.min_share,
    )
    first_turn = production.corpus.first_turn
    found = []
    for rank, gap in enumerate(ranked, start=1):
        one, topic = slices[gap.slice], production.atlas.topics[positions[gap.slice]]
        member = rows[gap.slice]
        seen = first_seen(production.corpus.created[member], production.corpus.conversation[member])
        found.append(
            GapRow(
                gap_id=gap_id_of(topic.topic_id),
                rank=rank,
                topic_id=topic.topic_id,
                label=topic.found_label or topic.label,  # a name is put over it by who reads it
                turns=one.turns,
                conversations=one.conversations,
                share=one.share,
                coverage=one.coverage.value,
                low=one.coverage.low,
                high=one.coverage.high,
                novelty=one.novelty,
                priority=gap.priority,
                alert=alerts(one, alert_share=settings.gaps.alert_share),
                first_seen=moment(seen),
                growth=one.growth,
                risk=gap.risk,
                examples=_examples(production, member, first_turn, topic.representatives, settings.gaps.examples),
                nearest_items=_nearest_items(production, member, items, item_vectors),
            )
        )
    return found


def _slices(
    production: Production,
    coverage: Coverage,
    novelty: NDArray[np.float64],
    loyal: NDArray[np.float64],
    contained: Mapping[int, NDArray[np.float64]],
) -> tuple[list[int], list[Slice], list[NDArray[np.int64]]]:
    """Middle and fine topics as slices: their positions among the topics, the slices, and the rows of their turns."""
    corpus, counted = production.corpus, production.counted
    place: dict[str, int] = {}
    novelty_of = np.zeros(len(corpus))
    novelty_of[counted] = novelty
    positions: list[int] = []
    slices: list[Slice] = []
    rows: list[NDArray[np.int64]] = []
    for position, topic in enumerate(production.atlas.topics):
        if topic.level not in (MIDDLE, FINE):
            continue
        member = counted[production.atlas.of_turns[topic.level][counted] == position]
        if not len(member):
            continue
        place[topic.topic_id] = len(slices)
        lengths = np.unique(corpus.conversation[member], return_counts=True)[1]
        positions.append(position)
        rows.append(member)
        slices.append(
            Slice(
                parent=place.get(topic.parent or "", -1),
                turns=len(member),
                conversations=len(lengths),
                effective_conversations=float(len(member) ** 2 / (lengths**2).sum()),
                share=len(member) / len(counted),
                coverage=coverage.topics[position],
                novelty=float(novelty_of[member].mean()),
                failures=float(production.failed[member].mean()),
                loyalty=float(loyal[member].mean()),
                containment=float(contained[topic.level][member].mean()),
                growth=growth(corpus.created[member], corpus.created[counted], end=production.end),
            )
        )
    return positions, slices, rows


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
