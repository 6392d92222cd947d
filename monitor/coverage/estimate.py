"""Coverage of the traffic and of each topic, estimated from novelty, with intervals.

The traffic is a mixture of covered and missed text. What the novelty of either looks like here is known from eval items
that were left out: alone (covered) and with all of their kind (missed). The share of covered text is the weight that
fits the mixture best where little covered text lies above; a turn's `covered` is its probability under the same two, so
their mean is the coverage. docs/decisions/0024 compares this with the null's quantile of DESIGN.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.draws import Replicate
from monitor.coverage.interval import Interval, lies, moves
from monitor.coverage.novelty import Novelty
from monitor.coverage.score import turn_scores
from monitor.coverage.share import Share

__all__ = ["Coverage", "Traffic", "estimate_coverage"]

_BINS = 128

#: Offsets beyond this make every probability 0 or 1 to float32.
_OFFSET_LIMIT = 60.0

#: The left-out items tell covered from missed text when their AUROC is this many standard errors above a coin's 0.5.
_SURE_ERRORS = 3.0

#: Where all of the traffic might be covered, a topic that no item is near is hardly: topics go this part of the way that the
#: whole goes in a replicate, beside what their own turns say.
_TOPICS_FOLLOW = 0.5


@dataclass(frozen=True, slots=True)
class Traffic:
    """The turns that count: text and conversation of each, numbered from 0 [t], and its topic on each level [l, t].

    Topics are numbered from 0 over all levels together; -1 is none. `covered` [t] are turns that people say are covered,
    None for none.
    """

    texts: NDArray[np.int64]
    topics: NDArray[np.int64]
    conversations: NDArray[np.int64]
    covered: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Coverage:
    """`traffic` is the coverage of all turns, `covered` [t] each turn's probability.

    `topics` is where the coverage of each topic lies, `sampled` how far its figure would have moved had other conversations
    and items been drawn: what is compared between two eval sets, or two parts of a topic, moves no farther by itself.
    `separation` is the probability that a missed text has the greater novelty (an AUROC, from left-out eval items).
    `draws` [r, 1 + l] are the figures of the traffic and of the topics in each replicate, in which another eval set on the
    same traffic, with the same seed, meets the same conversations.
    Where `says` is false the eval set is too small or too alike to tell: the figures are nan.
    """

    traffic: Interval
    covered: NDArray[np.float32]
    topics: tuple[Interval, ...]
    sampled: tuple[Interval, ...]
    separation: float
    draws: NDArray[np.float64]

    @property
    def says(self) -> bool:
        return bool(np.isfinite(self.traffic.value))


def estimate_coverage(
    novelty: Novelty,
    traffic: Traffic,
    *,
    topics: int,
    interval: float,
    replicates: int,
    seed: int,
) -> Coverage:
    """Coverage of the turns and of topics 0..topics-1, with bootstrap intervals over conversations and eval items.

    With F, F0, F1 the distributions of the novelty of turns, covered and missed items, coverage is the least-squares
    weight sum((F - F1)(F0 - F1)) / sum((F0 - F1)^2) over the upper quantiles of F0, clipped to [0, 1], and the mean of that
    over what a kind is. A missed item weighs as its topic has turns. A turn's probability is the logistic function of a
    score: slope * novelty + presence + offset. The slope fits the left-out items, the offset makes the mean of the turns'
    equal to the coverage. Turns that people say are covered are, and tell nothing of the others: these are estimated
    without them.
    """
    separation = _separation(novelty)
    if len(traffic) == 0 or not separation >= _least_separation(len(novelty.covered)):
        nothing = Interval(np.nan, np.nan, np.nan)
        unknown = np.full(len(traffic), np.nan, np.float32)
        return Coverage(
            nothing, unknown, (nothing,) * topics, (nothing,) * topics, separation, np.empty((0, 1 + topics))
        )
    score = turn_scores(novelty)
    bins = _Bins.of(score)
    histograms = _Histograms.of(bins, score, novelty, traffic, topics)
    value, per_topic, offset = histograms.coverage(bins)
    draws = [histograms.replicate(bins, Replicate.of(seed, number), value) for number in range(replicates)]
    whole, of_topics = np.array([[draw[0]] for draw in draws]), np.stack([draw[1] for draw in draws])
    (of_traffic,) = moves(np.array([histograms.with_marked(value, None)]), whole, interval)
    covered = bins.probability(offset)[bins.of_values(score)][traffic.texts]
    if traffic.covered is not None:
        covered = np.where(traffic.covered, 1.0, covered)
    return Coverage(
        of_traffic,
        covered.astype(np.float32),
        lies(per_topic, of_topics, histograms.marked_in_topics(), interval, learnt=novelty.order is not None),
        moves(per_topic, of_topics, interval),
        separation,
        np.concatenate([whole, of_topics], axis=1),
    )


def _separation(novelty: Novelty) -> float:
    """AUROC of missed against covered left-out items, the mean over kinds; nan when an item was never left out."""
    from scipy.stats import rankdata

    found = []
    for missed in novelty.missed:
        known = np.isfinite(missed) & np.isfinite(novelty.covered)
        if not known.any():
            return float("nan")
        both = np.concatenate([missed[known], novelty.covered[known]])
        m = int(known.sum())
        found.append((rankdata(both)[:m].sum() - m * (m + 1) / 2) / (m * m))
    return float(np.mean(found)) if found else float("nan")


def _least_separation(items: int) -> float:
    """The AUROC that m covered and m missed values reach by chance: its standard error is about 1 / sqrt(6 m)."""
    return 0.5 + _SURE_ERRORS / float(np.sqrt(6 * items))


@dataclass(frozen=True, slots=True)
class _Bins:
    """Values in bins of equal counts: everything below is a histogram, so a bootstrap replicate costs one pass."""

    edges: NDArray[np.float64]
    centres: NDArray[np.float64]

    @classmethod
    def of(cls, *samples: NDArray[np.float64]) -> _Bins:
        """Bins over several samples that weigh the same."""
        size = max(len(sample) for sample in samples)
        pooled = np.concatenate([np.resize(sample, size) for sample in samples])
        edges = np.unique(np.quantile(pooled, np.linspace(0, 1, _BINS + 1)))[1:-1]
        position = np.searchsorted(edges, pooled, side="right")
        counts = np.bincount(position, minlength=len(edges) + 1)
        sums = np.bincount(position, weights=pooled, minlength=len(edges) + 1)
        between = np.concatenate([edges, edges[-1:] if len(edges) else pooled[:1]])
        return cls(edges, np.divide(sums, counts, out=between, where=counts > 0))

    def of_values(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.edges, values, side="right")

    def probability(self, offset: float) -> NDArray[np.float64]:
        """Logistic function of each bin's centre and the offset."""
        exponent = np.clip(self.centres - self.centres[-1] + offset, -_OFFSET_LIMIT, _OFFSET_LIMIT)
        return np.asarray(1 / (1 + np.exp(-exponent)), np.float64)


@dataclass(frozen=True, slots=True)
class _Histograms:
    """Turns by bin of the score, and by topic and bin, level by level; and the share that they must add up to.

    `marked` [t] are turns that people say are covered, None for none: the others are estimated without them.
    """

    bins: NDArray[np.int64]
    cells: NDArray[np.int64]
    conversations: NDArray[np.int64]
    topics: int
    size: int
    share: Share
    marked: NDArray[np.bool_] | None

    @classmethod
    def of(
        cls, bins: _Bins, score: NDArray[np.float64], novelty: Novelty, traffic: Traffic, topics: int
    ) -> _Histograms:
        size = len(bins.centres)
        bin_of_turn = bins.of_values(score)[traffic.texts]
        # A turn without a topic goes to one row more, which is dropped.
        cells = np.where(traffic.topics < 0, topics, traffic.topics) * size + bin_of_turn
        return cls(
            bin_of_turn, cells, traffic.conversations, topics, size, Share.of(novelty, traffic.texts), traffic.covered
        )

    def coverage(self, bins: _Bins) -> tuple[float, NDArray[np.float64], float]:
        """Coverage of the turns that nobody marked, that of each topic (nan without turns), and the offset."""
        value = self.share.estimate(self._open(None), None)
        per_topic, offset = self._topics(bins, value, None)
        return value, per_topic, offset

    def replicate(self, bins: _Bins, replicate: Replicate, value: float) -> tuple[float, NDArray[np.float64]]:
        """Coverage and that of each topic of a bootstrap replicate; topics go half of the way from `value` with the whole."""
        weight = replicate.conversations(int(self.conversations.max()) + 1)[self.conversations]
        drawn = self.share.estimate(self._open(weight), replicate)
        per_topic, _ = self._topics(bins, value + _TOPICS_FOLLOW * (drawn - value), weight)
        return self.with_marked(drawn, weight), per_topic

    def with_marked(self, value: float, weight: NDArray[np.float64] | None) -> float:
        """Coverage of all turns, where that of the turns that nobody marked is `value`."""
        if self.marked is None:
            return value
        share = float(np.average(self.marked, weights=weight))
        return share + (1 - share) * value

    def marked_in_topics(self) -> NDArray[np.float64]:
        """The share of each topic's turns that people say are covered."""
        if self.marked is None:
            return np.zeros(self.topics)
        count, marked = (self._by_topic(weight).sum(axis=1) for weight in (None, self.marked.astype(np.float64)))
        return np.asarray(np.divide(marked, count, out=np.zeros(self.topics), where=count > 0), np.float64)

    def _open(self, weight: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """What the turns weigh that nobody marked, 0 for the others."""
        if self.marked is None:
            return weight
        return np.where(self.marked, 0.0, 1.0 if weight is None else weight)

    def _topics(
        self, bins: _Bins, value: float, weight: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], float]:
        open_ = self._open(weight)
        turns = np.bincount(self.bins, open_, minlength=self.size).astype(np.float64)
        by_topic = self._by_topic(open_)
        offset = _offset(bins, turns, value)
        count = by_topic.sum(axis=1)
        covered = by_topic @ bins.probability(offset)
        if self.marked is not None:
            everyone = self._by_topic(weight).sum(axis=1)
            covered, count = covered + everyone - count, everyone
        return np.divide(covered, count, out=np.full_like(count, np.nan), where=count > 0), offset

    def _by_topic(self, weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Turns of each topic by bin."""
        cells = sum(np.bincount(level, weight, minlength=(self.topics + 1) * self.size) for level in self.cells)
        return np.asarray(cells, np.float64).reshape(self.topics + 1, self.size)[: self.topics]


def _offset(bins: _Bins, turns: NDArray[np.float64], value: float) -> float:
    """The offset at which the turns' mean probability is `value`, by bisection; it rises with the offset."""
    span = float(bins.centres[-1] - bins.centres[0])
    low, high = -_OFFSET_LIMIT, _OFFSET_LIMIT + span
    for _ in range(60):
        middle = (low + high) / 2
        if turns @ bins.probability(middle) < value * turns.sum():
            low = middle
        else:
            high = middle
    return (low + high) / 2
