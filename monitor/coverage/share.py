"""The share of covered turns, read from what novelty looks like for covered and for missed text.

Both are known from eval items that are left out (`monitor.coverage.novelty`). docs/decisions/0031 says how turns and items are
made alike, and what the constants were chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.draws import Replicate
from monitor.coverage.folds import turns_an_item
from monitor.coverage.novelty import Novelty

__all__ = ["Share"]

#: Quantiles of the novelty of covered text at which the share is read, and those at which it is bounded. High ones: lower
#: down, items and turns differ more by how they are worded than by what is covered.
_PLACES, _BOUNDS = np.linspace(0.85, 0.98, 9), np.linspace(0.1, 0.9, 9)
_BOUND, _READ = np.arange(len(_BOUNDS)), len(_BOUNDS) + np.arange(len(_PLACES))

#: Turns are looked at with a fold of items left out, as items are; with this weight with all items, since traffic is worded in
#: more ways than items are. No data say how much: it stands between CLINC150, where items are turns, and the sample traffic
#: (docs/decisions/0031). Replicates draw it, up to twice that.
_WITH_ALL = 0.15

#: Of a topic that holds missed text, this share is covered all the same: topics are not intents. Replicates draw it, up to
#: twice that. Labels have none.
_COVERED_IN_TOPIC = 0.1


@dataclass(frozen=True, slots=True)
class Share:
    """How much of each text [q, n] with a fold left out and `with_all` items [q, n], of each item left out alone [q, m] and
    with its kind [l, q, m] lies at or below each of q thresholds, nan where nothing is known of an item. The first thresholds
    are those of the bounds. And the stratum of each text's nearest item [n] and of each item [m], whether these are labels, the
    lots of items and strata [2, m], and the text of each turn [t].
    """

    texts: NDArray[np.float32]
    with_all: NDArray[np.float32]
    covered: NDArray[np.float64]
    missed: NDArray[np.float64]
    nearest: NDArray[np.int64]
    strata: NDArray[np.int64]
    labelled: bool
    lots: NDArray[np.float64]
    text_of: NDArray[np.int64]

    @classmethod
    def of(cls, novelty: Novelty, text_of: NDArray[np.int64]) -> Share:
        strata, nearest = novelty.strata, novelty.strata[novelty.nearest_items]
        weights = turns_an_item(strata, nearest[text_of])
        known = np.isfinite(novelty.covered)
        quantiles = np.concatenate([_BOUNDS, _PLACES])
        thresholds = _weighted_quantiles(novelty.covered[known], weights[known], quantiles)
        texts = [(novelty.as_covered <= one).mean(axis=1, dtype=np.float32) for one in thresholds.astype(np.float32)]
        return cls(
            np.stack(texts),
            (novelty.texts <= thresholds[:, None]).astype(np.float32),
            _at_most(novelty.covered, thresholds),
            _at_most(novelty.missed, thresholds),
            nearest,
            strata,
            novelty.labelled,
            novelty.lots,
            text_of,
        )

    def estimate(self, turn_weight: NDArray[np.float64] | None, replicate: Replicate | None) -> float:
        """The weight of the covered in the turns: the mean over the kinds.

        A replicate draws items, or their strata where these are topics, with replacement, for missed text the strata once more,
        and what a kind is: where the kinds disagree, the interval says so. An item stands for the turns to which one
        of its stratum is the nearest, over the items in it.
        """
        text_weight = np.bincount(self.text_of, turn_weight, minlength=self.texts.shape[1]).astype(np.float64)
        weight = turns_an_item(self.strata, self.nearest, text_weight)
        kinds, place, read = np.arange(len(self.missed)), 0.5, _READ
        of_missed = weight
        inside, with_all = _COVERED_IN_TOPIC, _WITH_ALL
        if replicate is not None:
            place = replicate.place
            inside, with_all = 2 * _COVERED_IN_TOPIC * replicate.inside, 2 * _WITH_ALL * replicate.with_all
            weight = weight * self._drawn(replicate)
            # The kinds that are missed are others than these, as much by chance as the draw of these.
            of_missed = weight * replicate.times(self.lots[1], once_more=True)
            kinds = kinds[[int(replicate.kind * len(kinds))]]
            read = _READ[[int(replicate.read * len(_READ))]]
        f, f0 = self._turns(text_weight, with_all, read), _reached(self.covered[read], weight)
        found = []
        for kind in kinds.tolist():
            covered = inside if kind == 0 else 0.0  # the first kind is the topic
            f1 = (1 - covered) * _reached(self.missed[kind][read], of_missed) + covered * f0
            found.append(_mixture_weight(f, f0, f1))
            if found[-1] <= 0:
                bound = self._turns(text_weight, with_all, _BOUND), _reached(self.covered[_BOUND], weight)
                found[-1] = place * _greatest_weight(*bound)
        return float(np.mean(found))

    def _drawn(self, replicate: Replicate) -> NDArray[np.float64]:
        """How often each item [m] is drawn for covered text.

        Covered turns are of the labels that the items have; which items somebody wrote is chance. One fewer is drawn for each
        label, or few items would vary too little (Rao and Wu, 1988, "Resampling inference with complex survey data"). Of a
        topic the items may miss a part: which topics there are is chance too.
        """
        items, strata = self.lots
        if not self.labelled:
            return replicate.times(strata)
        kinds = int(self.strata.max()) + 1
        return replicate.times(items, 1 - kinds / len(items))

    def _turns(self, text_weight: NDArray[np.float64], with_all: float, read: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of the turns at or below some of the thresholds: a pass over the texts for each."""
        total = max(float(text_weight.sum()), 1e-12)
        found = [
            (1 - with_all) * float(text_weight @ self.texts[one]) + with_all * float(text_weight @ self.with_all[one])
            for one in read.tolist()
        ]
        return np.array(found) / total


def _weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], quantiles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The least values that so much of the weight lies at or below."""
    if not weights.any():
        weights = np.ones(len(values))
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    place = np.searchsorted(share / share[-1], quantiles)
    return np.asarray(values[order][np.minimum(place, len(values) - 1)], np.float64)


def _at_most(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where a value [..., m] is at or below a threshold [q], 0 where it is not, nan where it is unknown: [..., q, m]."""
    values = values[..., None, :]
    return np.where(np.isfinite(values), (values <= thresholds[:, None]).astype(np.float64), np.nan)


def _reached(at_most: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the weight of the known items [q, m] at or below each threshold."""
    known = np.isfinite(at_most[0])
    weights = weights[known]
    if not weights.any():
        return np.ones(len(at_most))
    return np.asarray(at_most[:, known] @ weights / weights.sum(), np.float64)


def _mixture_weight(f: NDArray[np.float64], f0: NDArray[np.float64], f1: NDArray[np.float64]) -> float:
    """Weight of the covered in the turns by least squares, at most 1, from what each reaches at the thresholds.

    Traffic that is more novel than missed text itself has a weight below 0: the two do not describe it.
    """
    difference = f0 - f1
    norm = float(difference @ difference)
    return min(1.0, float((f - f1) @ difference) / norm) if norm > 0 else 1.0


def _greatest_weight(f: NDArray[np.float64], f0: NDArray[np.float64]) -> float:
    """All that is known where the mixture does not describe the turns, as covered turns are turns: weight * F0(t) <= F(t).

    The share is taken at a place between 0 and this; replicates draw the place, so the interval says how little is known.
    """
    inside = f0 > 0
    return min(1.0, float((f[inside] / f0[inside]).min(initial=1.0)))
