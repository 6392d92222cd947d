"""Parts of topics that differ from the rest: a topic is covered, and what one tenant, language, model or prompt version asks
in it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.corpus import numbered
from monitor.coverage.estimate import Coverage, Traffic, estimate_coverage
from monitor.coverage.novelty import Novelty
from monitor.coverage.production import Production
from monitor.settings import Settings
from monitor.store.gap_lives import COVERED_AT_MOST_ELSE

__all__ = ["Estimator", "Part", "parts_apart"]

#: The chance of one false part in an analysis, whatever the number that was asked.
_BY_CHANCE = 0.01

#: An interval is estimated for so many parts at most, those with the most turns that are missed by their distance.
_MOST = 8


@dataclass(frozen=True, slots=True)
class Part:
    """Turns of a topic (its position among the atlas's topics) in which an attribute has a value, and those in which it has
    another: rows of turns. `p_value` is of their coverage being the same, corrected for all parts that were asked."""

    topic: int
    attribute: str
    value: str
    rows: NDArray[np.int64]
    rest: NDArray[np.int64]
    p_value: float


@dataclass(frozen=True, slots=True)
class Estimator:
    """Coverage of one comparison.

    Which of a topic's eval items speak for a part of it is not known: what they say together would hide the part. So parts, and
    the rest of their topics, are told by the distances alone.
    """

    novelty: Novelty
    traffic: Traffic
    settings: Settings

    def of_topics(self, topics: int) -> Coverage:
        return self._estimate(self.novelty, self.traffic, topics, self.settings.coverage.bootstrap)

    def by_distance(self) -> NDArray[np.float32]:
        """Each turn's probability of being covered [t]."""
        return self._estimate(self._bare, self.traffic, int(self.traffic.topics.max()) + 1, 1).covered

    def of_part(self, inside: NDArray[np.int64], rest: NDArray[np.int64]) -> Coverage:
        """Of a part of a topic, as topic 0, and of the rest of it, as topic 1: positions among the turns."""
        place = np.full(len(self.traffic), -1, np.int64)
        place[inside], place[rest] = 0, 1
        finest = self.traffic.topics[-1]  # says how items weigh
        beside = replace(self.traffic, topics=np.stack([place, np.where(finest < 0, -1, finest + 2)]))
        return self._estimate(self._bare, beside, int(beside.topics.max()) + 1, self.settings.coverage.bootstrap)

    @property
    def _bare(self) -> Novelty:
        return replace(self.novelty, presence=np.zeros_like(self.novelty.presence))

    def _estimate(self, novelty: Novelty, traffic: Traffic, topics: int, replicates: int) -> Coverage:
        interval, seed = self.settings.coverage.interval, self.settings.atlas.seed
        return estimate_coverage(novelty, traffic, topics=topics, interval=interval, replicates=replicates, seed=seed)


def parts_apart(
    production: Production, covered: NDArray[np.floating], topics: Sequence[tuple[int, int]], settings: Settings
) -> list[Part]:
    """Parts of the topics (level and position) that are missed while the rest of the topic is covered, the most missed first.

    `covered` [c] is each counted turn's probability by its distance. Means of conversations are compared by ranks, one-sided
    (Mann and Whitney, 1947), and p-values are multiplied by the number of parts of enough conversations (Bonferroni). Of parts
    of few users nothing is said.
    """
    of_turns = np.full(len(production.corpus), np.nan)
    of_turns[production.counted] = covered
    asked, found = 0, []
    for level, position in topics:
        member = production.counted[production.atlas.of_turns[level][production.counted] == position]
        for attribute, said in production.attributes.items():
            of_members = said.of_turns[member]
            for place in np.unique(of_members[of_members >= 0]).tolist():
                inside, rest = member[of_members == place], member[(of_members >= 0) & (of_members != place)]
                means = [_means(production, of_turns, rows) for rows in (inside, rest)]
                few = len(np.unique(production.corpus.user[inside])) < settings.min_users_of_texts
                if few or min(len(one) for one in means) < settings.gaps.min_conversations:
                    continue
                asked += 1
                if of_turns[inside].mean() <= COVERED_AT_MOST_ELSE < of_turns[rest].mean():
                    found.append(Part(position, attribute, said.values[place], inside, rest, _lower(*means)))
    sure = [_corrected(one, asked) for one in found if one.p_value * asked <= _BY_CHANCE]
    sure.sort(key=lambda one: (-float((1 - of_turns[one.rows]).sum()), one.topic, one.attribute, one.value))
    return sure[:_MOST]


def _means(production: Production, values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each conversation's turns among the rows."""
    conversation = numbered(production.corpus.conversation[rows])
    return np.asarray(np.bincount(conversation, values[rows]) / np.bincount(conversation), np.float64)


def _lower(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import mannwhitneyu

    # Rounded: the last digits of a product of matrices decide no rank.
    return float(mannwhitneyu(np.round(one, 4), np.round(other, 4), alternative="less", method="asymptotic").pvalue)


def _corrected(one: Part, asked: int) -> Part:
    return Part(one.topic, one.attribute, one.value, one.rows, one.rest, min(1.0, one.p_value * asked))
