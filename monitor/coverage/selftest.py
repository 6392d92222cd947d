"""The self-test: hide what the eval set does cover, kind by kind, and see whether it is found to be missing.

It is the benchmark of docs/decisions/0024 on somebody's own data, where the truth is known for as long as it is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.timeline import DAY
from monitor.coverage.items import ComparedItems
from monitor.coverage.novelty import EvalVectors, home_topics
from monitor.coverage.production import Production
from monitor.coverage.repeats import without_repeats
from monitor.coverage.report import Report, compare
from monitor.coverage.slices import FINE, MIDDLE
from monitor.settings import Settings

__all__ = ["Hidden", "SelfTest", "self_test"]

#: Kinds are hidden in so many groups, one after another: a tenth of the eval set is away at a time.
_GROUPS = 10

#: The smallest share that would be noticed: of kinds at least so large, this part was found.
_MOSTLY = 0.8

#: A kind is tested when at least this part of its items lies in one topic, and it has two items there.
_AT_HOME, _LEAST_ITEMS = 0.5, 2


@dataclass(frozen=True, slots=True)
class Hidden:
    """A kind of items that was hidden: its name, how many items, and the middle topic they lie in, with its share of the turns.

    `alone` says that no other kind's items lie in that topic: otherwise the topic is covered still, and to list it would be
    wrong. `found` says that the topic, or one in it, was listed as a gap, and `rank` where.
    """

    name: str
    items: int
    topic_id: str
    share: float
    alone: bool
    found: bool
    rank: int | None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was hidden, the largest first. `smallest` is the least share of the traffic from which on most kinds were found (nan
    when there is none), and `hours` how long such a topic takes to gather the conversations that a gap needs.

    `untested` names the kinds that lie in no topic of their own.
    """

    hidden: tuple[Hidden, ...]
    untested: tuple[str, ...]
    smallest: float
    hours: float

    @property
    def tested(self) -> tuple[Hidden, ...]:
        return tuple(one for one in self.hidden if one.alone)

    @property
    def found(self) -> int:
        return sum(one.found for one in self.tested)


def self_test(
    production: Production, items: ComparedItems, vectors: NDArray[np.float32], settings: Settings
) -> SelfTest:
    """Hide every kind of items [m] once: the labels, or the topics that items lie in where they are not labelled.

    What people marked as covered is found like all else: nobody marks what is hidden.
    """
    production = replace(production, marked=None)
    items, vectors = without_repeats(items, vectors)
    homes = home_topics(
        production.text_topics(MIDDLE), production.network.vectors, vectors, k=settings.atlas.neighbours
    )
    kinds = EvalVectors(vectors, items.labels, items.texts).kinds()
    named = kinds is not None
    kinds = homes if kinds is None else kinds
    topics = production.atlas.topics
    turns = np.bincount(production.atlas.of_turns[MIDDLE][production.counted] + 1, minlength=len(topics) + 1)[1:]
    shares = turns / max(len(production.counted), 1)
    own, untested = {}, []
    for kind in np.unique(kinds).tolist():
        inside = np.flatnonzero(kinds == kind)
        name = (items.labels[inside[0]] or "") if named else ""
        at = homes[inside][homes[inside] >= 0]
        home = int(np.bincount(at).argmax()) if len(at) else -1
        there = int((at == home).sum())
        if home < 0 or there < max(_LEAST_ITEMS, _AT_HOME * len(inside)) or (named and not name):
            untested.append(name or "items without a topic")
            continue
        own[kind] = (name or topics[home].label, home, len(inside))
    rng = np.random.default_rng(settings.atlas.seed)
    order = rng.permutation(np.array(list(own), np.int64)) if own else np.empty(0, np.int64)
    found: list[Hidden] = []
    for group in range(min(_GROUPS, len(order))):
        away = order[group::_GROUPS]
        keep = ~np.isin(kinds, away)
        report = compare(production, items.only(keep), vectors[keep], settings)
        left = set(homes[keep].tolist())
        found += [_hidden(*own[kind], shares, left, report, production) for kind in away.tolist()]
    found.sort(key=lambda one: (-one.share, one.name))
    smallest = _smallest([one for one in found if one.alone])
    return SelfTest(tuple(found), tuple(sorted(untested)), smallest, _hours(production, smallest, settings))


def _hidden(
    name: str,
    home: int,
    items: int,
    shares: NDArray[np.float64],
    left: set[int],
    report: Report,
    production: Production,
) -> Hidden:
    topics = production.atlas.topics
    topic_id = topics[home].topic_id
    family = {topic_id, *(one.topic_id for one in topics if one.level == FINE and one.parent == topic_id)}
    ranks = [gap.rank for gap in report.gaps if gap.topic_id in family]
    return Hidden(name, items, topic_id, float(shares[home]), home not in left, bool(ranks), min(ranks, default=None))


def _smallest(tested: Sequence[Hidden]) -> float:
    """The least share such that of the kinds at least so large most were found; nan when not even of the largest."""
    smallest = float("nan")
    found = 0
    for number, one in enumerate(tested, start=1):  # the largest first
        found += one.found
        if one.found and found >= _MOSTLY * number:
            smallest = one.share
    return smallest


def _hours(production: Production, share: float, settings: Settings) -> float:
    """Hours in which a topic of this share of the turns gathers as many conversations as a gap needs, at the window's pace."""
    counted = production.counted
    if not np.isfinite(share) or not len(counted):
        return float("nan")
    created = production.corpus.created[counted]
    days = max((production.end - int(created.min())) / DAY, 1e-9)
    conversations = len(np.unique(production.corpus.conversation[counted])) / days
    return 24 * settings.gaps.min_conversations / max(conversations * share, 1e-9)
