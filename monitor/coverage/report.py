"""One comparison of a corpus with eval items: novelty, coverage and gaps, ready to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.corpus import numbered
from monitor.coverage.estimate import Coverage, Traffic
from monitor.coverage.gaps import is_held
from monitor.coverage.interval import Interval
from monitor.coverage.items import ComparedItems
from monitor.coverage.listed import Listed
from monitor.coverage.novelty import EvalVectors, Novelty, measure_novelty
from monitor.coverage.parts import Estimator
from monitor.coverage.production import Production
from monitor.coverage.repeats import without_repeats
from monitor.coverage.slices import FINE, MIDDLE, gap_rows
from monitor.settings import Settings
from monitor.store.reports import GapRow, TopicCoverageRow
from monitor.wording import counted

__all__ = ["Report", "compare", "coverage_of"]


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of the whole (`traffic`, nan where nothing can be said), of topics, of turns, and the ranked gaps.

    `coverage` is what the figures were read from; None where nothing can be said.
    """

    traffic: Interval
    verdict: str
    topics: Sequence[TopicCoverageRow]
    turns: pa.Table
    gaps: Sequence[GapRow]
    coverage: Coverage | None = None


def compare(
    production: Production,
    items: ComparedItems,
    item_vectors: NDArray[np.float32],
    settings: Settings,
    listed: Listed | None = None,
) -> Report:
    """Compare the turns that count with the eval items [m, d]. Gaps that were `listed` before may stay so; None for none.

    Of items that repeat one another one stands for all. Without items there is no novelty; with too few there is novelty but
    no coverage and no gap, and the verdict says so.
    """
    if not len(items):
        return _report_without(production, _NO_EVAL_SET)
    items, item_vectors = without_repeats(items, item_vectors)
    subjects = _Subjects.of(production)
    novelty = subjects.novelty(production, items, item_vectors, settings)
    least = settings.coverage.min_eval_items
    if len(items) < least:
        verdict = _TOO_FEW.format(items=len(items), least=least)
        return _report_without(production, verdict, subjects.turn_table(production, novelty, items, None))
    traffic = subjects.traffic(production)
    estimator = Estimator(novelty, traffic, settings)
    coverage = estimator.of_topics(len(production.atlas.topics))
    turns = subjects.turn_table(production, novelty, items, coverage)
    if not coverage.says:
        return _report_without(production, _TOO_ALIKE.format(items=len(items)), turns)
    of_turns = novelty.texts[traffic.texts]
    gaps = gap_rows(production, coverage, of_turns, items, item_vectors, settings, estimator, listed or Listed())
    return Report(
        coverage.traffic,
        _verdict(coverage.traffic, len(traffic), gaps, settings.coverage.interval),
        _topic_rows(production, coverage, of_turns, traffic),
        turns,
        gaps,
        coverage,
    )


def coverage_of(
    production: Production, items: ComparedItems, item_vectors: NDArray[np.float32], settings: Settings
) -> Coverage | None:
    """The coverage as `compare` finds it, without turns and gaps; None where nothing can be said."""
    items, item_vectors = without_repeats(items, item_vectors)
    if not len(items) or len(items) < settings.coverage.min_eval_items:
        return None
    subjects = _Subjects.of(production)
    novelty = subjects.novelty(production, items, item_vectors, settings)
    coverage = Estimator(novelty, subjects.traffic(production), settings).of_topics(len(production.atlas.topics))
    return coverage if coverage.says else None


_NO_EVAL_SET = (
    "No eval set was compared. Import one with `offmap evalset import FILE --name NAME` (JSONL or CSV, a `prompt` a line), "
    "then run `offmap analyse --eval-set NAME`. To start one, take a few turns of each of the largest topics: `offmap topics`."
)
_TOO_FEW = (
    "The eval set has {items} distinct items, too few to say what it covers: at least {least} are needed "
    "(setting coverage.min_eval_items). Novelty of each turn is given; coverage and gaps are not."
)
_TOO_ALIKE = (
    "The eval set's {items} distinct items do not tell covered from missed text: left out with their topic, they look as near "
    "as left out alone. Items on more topics are needed. Novelty of each turn is given; coverage and gaps are not."
)


def _verdict(traffic: Interval, turns: int, gaps: Sequence[GapRow], interval: float) -> str:
    return (
        f"The eval set covers {traffic.value:.0%} of {turns:,} turns "
        f"({interval:.0%} interval {traffic.low:.0%} to {traffic.high:.0%}); {_listed_words(gaps)}."
    )


def _listed_words(gaps: Sequence[GapRow]) -> str:
    if not gaps:
        return "no gap is worth listing"
    said = f"{counted(len(gaps), 'gap')} {'is' if len(gaps) == 1 else 'are'} listed"
    held = sum(is_held(gap.share, gap.coverage) for gap in gaps)
    if not held:
        return said
    which = "and held" if len(gaps) == 1 else f"{held} of them held"
    they, them = ("it seems", "it") if held == 1 else ("they seem", "them")
    return f"{said}, {which}: {they} covered, but nothing was done for {them}"


@dataclass(frozen=True, slots=True)
class _Subjects:
    """The texts with a subject, renumbered: `number` [n] is -1 for the others."""

    number: NDArray[np.int64]
    vectors: NDArray[np.float32]
    talk: csr_matrix

    @classmethod
    def of(cls, production: Production) -> _Subjects:
        keep = production.network.has_subject
        return cls(
            np.where(keep, np.cumsum(keep) - 1, -1),
            production.network.vectors[keep],
            production.network.graph.talk[keep][:, keep].tocsr(),
        )

    def novelty(
        self, production: Production, items: ComparedItems, item_vectors: NDArray[np.float32], settings: Settings
    ) -> Novelty:
        levels = [production.text_topics(level)[production.network.has_subject] for level in (MIDDLE, FINE)]
        evals = EvalVectors(item_vectors, items.labels, items.texts)
        return measure_novelty(self.vectors, evals, topics=levels, k=settings.atlas.neighbours, talk=self.talk)

    def traffic(self, production: Production) -> Traffic:
        counted = production.counted
        return Traffic(
            self.number[production.corpus.text_of[counted]],
            production.atlas.of_turns[:, counted],
            numbered(production.corpus.conversation[counted]),
            None if production.marked is None else production.marked[counted],
        )

    def turn_table(
        self, production: Production, novelty: Novelty, items: ComparedItems, coverage: Coverage | None
    ) -> pa.Table:
        """Novelty of the turns with a subject, `covered` of those that count; null for the others."""
        number = self.number[production.corpus.text_of]
        known = (number >= 0) & ~production.atlas.foreign
        covered = np.full(len(number), np.nan, np.float32)
        if coverage is not None and coverage.says:
            covered[production.counted] = coverage.covered
        nearest = novelty.nearest_items[number]
        return pa.table(
            {
                "turn_key": pa.array(production.corpus.keys, pa.uint64()),
                "novelty": pa.array(novelty.texts[number].astype(np.float32), mask=~known),
                "covered": pa.array(covered, mask=np.isnan(covered)),
                "nearest_item": pa.array(
                    [items.ids[item] if inside else None for item, inside in zip(nearest, known, strict=True)],
                    pa.string(),
                ),
            }
        )


def _report_without(production: Production, verdict: str, turns: pa.Table | None = None) -> Report:
    nothing = Interval(np.nan, np.nan, np.nan)
    if turns is None:
        turns = pa.table(
            {
                "turn_key": pa.array([], pa.uint64()),
                "novelty": pa.array([], pa.float32()),
                "covered": pa.array([], pa.float32()),
                "nearest_item": pa.array([], pa.string()),
            }
        )
    return Report(nothing, verdict, _novelty_rows(production, turns), turns, [])


def _novelty_rows(production: Production, turns: pa.Table) -> list[TopicCoverageRow]:
    if not turns.num_rows:
        return [TopicCoverageRow(topic.topic_id, None, None, None, None) for topic in production.atlas.topics]
    novelty = turns.column("novelty").to_numpy()[production.counted]
    means = _topic_means(production, production.counted, novelty)
    return [
        TopicCoverageRow(topic.topic_id, _or_none(mean), None, None, None)
        for topic, mean in zip(production.atlas.topics, means, strict=True)
    ]


def _topic_rows(
    production: Production, coverage: Coverage, novelty: NDArray[np.float64], traffic: Traffic
) -> list[TopicCoverageRow]:
    means = _topic_means(production, production.counted, novelty)
    return [
        TopicCoverageRow(topic.topic_id, _or_none(mean), *(_or_none(x) for x in (one.value, one.low, one.high)))
        for topic, mean, one in zip(production.atlas.topics, means, coverage.topics, strict=True)
    ]


def _topic_means(
    production: Production, counted: NDArray[np.int64], values: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Mean over the counted turns of each topic, of all levels; nan for a topic without any."""
    size = len(production.atlas.topics)
    sums, counts = np.zeros(size), np.zeros(size)
    for level in production.atlas.of_turns[:, counted]:
        inside = level >= 0
        sums += np.bincount(level[inside], values[inside], minlength=size)
        counts += np.bincount(level[inside], minlength=size)
    return np.asarray(np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0), np.float64)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
