"""An e-detector: evidence that something changed, valid whenever one looks.

Every bet starts anew with every conversation, and the evidence is the sum of what all those starts have become:
`evidence = (evidence + time) x what the bet pays`, with the time since the conversation before. As long as nothing changes the
evidence grows by the clock alone in the mean, so that reaching one month of it takes at least a month in the mean: a budget of
one false alarm a month is an alarm at one month of evidence, however often one looks, and over all bets together, since their
weighted mean is such a sum itself. (E-SR of Shin, Ramdas and Rinaldo, 2023, with the starts weighted by time.)

Pure: arrays in, arrays out, no clock and no store. Streams stand side by side; the service has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from monitor.drift.bets import BINS, FAR, SHARES, WHOLE, pays_on_cells, pays_on_one, pays_on_whole

__all__ = ["FAMILIES", "FEWEST", "Change", "Detector", "Evidence"]

#: Fewer conversations say too little of what is usual: no bet before.
FEWEST = 300

FAMILIES = ("novelty", "topics", "negative")

#: How heavy the bets are: on the whole, on single cells, on negative signals.
_ON_WHOLE, _ON_CELLS, _ON_NEGATIVE = 0.4, 0.4, 0.2


@dataclass(frozen=True, slots=True)
class Change:
    """What the strongest bet of a family saw since the change seems to have begun, at the time `since`.

    `hits` of `conversations` are of its kind: far, of the topic (-1 for none in particular), both, or with a negative signal;
    usually that is the share `usual`.
    """

    family: str
    since: float
    conversations: int
    hits: int
    usual: float
    topic: int

    @property
    def grown(self) -> float:
        """The share since then less the usual one."""
        return self.hits / max(self.conversations, 1) - self.usual


@dataclass(slots=True)
class Evidence:
    """One kind of bets: the evidence of each, and of the best start of each when it was and what had been counted by then."""

    now: NDArray[np.float64]
    best: NDArray[np.float64]
    since: NDArray[np.float64]
    number: NDArray[np.float64]
    hits: NDArray[np.float64]

    @classmethod
    def none(cls, *shape: int) -> Self:
        return cls(*(np.zeros(shape) for _ in fields(cls)))

    def take(
        self,
        paid: NDArray[np.float64],
        time: float,
        at: float,
        number: NDArray[np.float64],
        hits: NDArray[np.float64],
        betting: NDArray[np.bool_],
    ) -> None:
        """A conversation came `time` after the one before; `number` and `hits` are the counts without it."""
        shape = (-1, *(1,) * (paid.ndim - 1))
        on = betting.reshape(shape)
        self.now = np.where(on, (self.now + time) * paid, 0.0)
        anew = self.best <= 1
        self.since = np.where(anew, at, self.since)
        self.number = np.where(anew, number.reshape(shape), self.number)
        self.hits = np.where(anew, hits, self.hits)
        self.best = np.where(on, np.maximum(self.best, 1.0) * paid, 0.0)


@dataclass(slots=True)
class Detector:
    """Counts [s, seasons, topics, bins] of the conversations so far, what is usual of them [s, topics, bins], and the evidence
    of every bet.

    `negatives` [s, seasons] held a negative signal. `learned` is [s, bets, topics]. What comes is compared with what came in
    its own season: a bet pays 1 in the mean where the conversations of a season are alike, whatever they are in the others.
    """

    counts: NDArray[np.float64]
    usual: NDArray[np.float64]
    negatives: NDArray[np.float64]
    learned: NDArray[np.float64]
    whole: Evidence
    cells: Evidence
    negative: Evidence

    @classmethod
    def of(cls, counts: NDArray[np.float64], negatives: NDArray[np.float64]) -> Self:
        """A detector that starts from a reference: counts [s, seasons, topics, bins], and how many held a negative signal
        [s, seasons]; or [s, topics, bins] and [s] where there is one season."""
        if counts.ndim == 3:
            counts, negatives = counts[:, None], negatives[:, None]
        streams, _, topics, bins = counts.shape
        if bins != len(BINS) + 1:
            raise ValueError(f"counts have {bins} bins; there are {len(BINS) + 1}")
        return cls(
            counts.astype(np.float64),
            counts.sum(axis=1).astype(np.float64),
            negatives.astype(np.float64),
            np.zeros((streams, len(WHOLE), topics)),
            Evidence.none(streams, len(WHOLE)),
            Evidence.none(streams, 2, topics, len(SHARES)),
            Evidence.none(streams, len(SHARES)),
        )

    @property
    def number(self) -> NDArray[np.float64]:
        """Conversations [s] that say what is usual."""
        found: NDArray[np.float64] = self.counts.sum(axis=(1, 2, 3))
        return found

    @property
    def betting(self) -> NDArray[np.bool_]:
        """Streams [s] with conversations enough."""
        found: NDArray[np.bool_] = self.number >= FEWEST
        return found

    def update(
        self,
        topic: NDArray[np.int64],
        bin_: NDArray[np.int64],
        negative: NDArray[np.bool_],
        *,
        time: float,
        at: float,
        season: NDArray[np.int64] | None = None,
    ) -> None:
        """One conversation a stream [s]: its topic, its bin, whether it held a negative signal, its season (the first, where
        there is one); `time` after the one before."""
        streams = np.arange(len(topic))
        season = np.zeros(len(topic), np.int64) if season is None else season
        number, betting = self.number, self.betting
        everywhere, here = self.counts.sum(axis=1), self.counts[streams, season]
        of_cells = np.stack([everywhere.sum(axis=2), everywhere[:, :, FAR:].sum(axis=2)], axis=1)
        far = of_cells[:, 1].sum(axis=1)
        paid, learned = pays_on_whole(here, self.usual, self.learned, topic, bin_)
        self.learned = np.where(betting[:, None, None], learned, 0.0)
        self.whole.take(paid, time, at, number, far[:, None], betting)
        self.cells.take(pays_on_cells(here, topic, bin_), time, at, number, of_cells[..., None], betting)
        one = pays_on_one(self.negatives[streams, season], here.sum(axis=(1, 2)), negative)
        self.negative.take(one, time, at, number, self.negatives.sum(axis=1)[:, None], betting)
        self.counts[streams, season, topic, bin_] += 1
        self.negatives[streams, season] += negative
        fresh = ~betting & self.betting
        self.usual[fresh] = self.counts[fresh].sum(axis=1)

    def evidence(self) -> dict[str, NDArray[np.float64]]:
        """Of each family [s], in time: together they are to be compared with the time that a false alarm may come in."""
        far = np.array([bet.far for bet in WHOLE])
        on_whole, on_cells = _ON_WHOLE * self.whole.now / len(WHOLE), _ON_CELLS * self.cells.now.mean(axis=(2, 3)) / 2
        return {
            "novelty": on_whole[:, far].sum(axis=1) + on_cells[:, 1],
            "topics": on_whole[:, ~far].sum(axis=1) + on_cells[:, 0],
            "negative": _ON_NEGATIVE * self.negative.now.mean(axis=1),
        }

    def change(self, stream: int = 0) -> Change:
        """What changed, by the family with the most evidence; since when, by the bet of it that gained most."""
        evidence = self.evidence()
        family = max(FAMILIES, key=lambda one: (float(evidence[one][stream]), one))
        number = float(self.number[stream])
        if family == "negative":
            best = int(self.negative.best[stream].argmax())
            return self._seen(
                "negative", self.negative, (stream, best), float(self.negatives[stream].sum()), number, -1
            )
        if family == "topics":
            found = self._of_topic(stream, 0, self._strongest(stream, 0))
            far = self._of_topic(stream, 1, found.topic)
            # Something new has a topic that it is nearest to; it is new all the same when most of what grew there is far.
            return far if far.grown >= found.grown / 2 else found
        bets = [place for place, bet in enumerate(WHOLE) if bet.far]
        on_whole = (stream, max(bets, key=lambda place: float(self.whole.best[stream, place])))
        topic = self._strongest(stream, 1)
        if self.cells.best[stream, 1, topic].max() > self.whole.best[on_whole]:
            return self._of_topic(stream, 1, topic)
        all_far = float(self.counts[stream, ..., FAR:].sum())
        return self._seen(family, self.whole, on_whole, all_far, number, -1)

    def _strongest(self, stream: int, kind: int) -> int:
        return int(self.cells.best[stream, kind].max(axis=1).argmax())

    def _of_topic(self, stream: int, kind: int, topic: int) -> Change:
        """The change of a topic, or where `kind` is 1 of what is far in it."""
        place = (stream, kind, topic, int(self.cells.best[stream, kind, topic].argmax()))
        hits = float(self.counts[stream, :, topic, FAR * kind :].sum())
        family = "novelty" if kind else "topics"
        return self._seen(family, self.cells, place, hits, float(self.number[stream]), topic)

    def _seen(
        self, family: str, kind: Evidence, place: tuple[int, ...], hits: float, number: float, topic: int
    ) -> Change:
        before, hits_before = float(kind.number[place]), float(kind.hits[place])
        return Change(
            family,
            float(kind.since[place]),
            int(number - before),
            int(hits - hits_before),
            hits_before / max(before, 1.0),
            topic,
        )

    def restarted(self) -> Detector:
        """All evidence is gone, and what is usual is learned anew from what comes: after an alarm the change is known."""
        return Detector.of(np.zeros_like(self.counts), np.zeros_like(self.negatives))

    def state(self) -> dict[str, Any]:
        """Plain values, from which `from_state` makes the same detector."""
        found: dict[str, Any] = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return found | {
            name: {one.name: getattr(getattr(self, name), one.name).tolist() for one in fields(Evidence)}
            for name in _EVIDENCE
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        def array(name: str) -> NDArray[np.float64]:
            return np.array(state[name], np.float64)

        def kind(name: str) -> Evidence:
            return Evidence(*(np.array(state[name][one.name], np.float64) for one in fields(Evidence)))

        counts, negatives = array("counts"), array("negatives")
        if counts.ndim == 3:  # of an earlier version, which knew no seasons
            counts, negatives = counts[:, None], negatives[:, None]
        return cls(
            counts,
            array("usual"),
            negatives,
            array("learned"),
            kind("whole"),
            kind("cells"),
            kind("negative"),
        )


_ARRAYS = ("counts", "usual", "negatives", "learned")
_EVIDENCE = ("whole", "cells", "negative")
