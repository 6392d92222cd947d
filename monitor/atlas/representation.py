"""Which terms stand for a topic: those that together mean the topic, and none of the others, to the encoder.

Class-based TF-IDF says which terms are frequent in a topic and rare outside; it does not know that "balance" is said of
every account. So its best terms are encoded, as KeyBERT does, and chosen one after the other for how near they bring the
label to its own topic and how far from the nearest other one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.threads import one_thread_a_product

__all__ = ["CANDIDATES", "Meaning", "akin", "choose_terms"]

#: Terms of a topic that are encoded. With 25, labels of CLINC150's topics are told apart best; with 10, a little worse.
CANDIDATES = 25

#: What a term's weight by class-based TF-IDF counts beside cosines: a term of a third of the best one's weight loses 0.05.
#: Without it rare words win, with twice as much 1 to 2 labels in 100 are nearer to another topic.
_FREQUENCY = 0.05

#: Words with so long a common beginning and so short endings are forms of one word: "delayed" and "delays".
_BEGINNING, _ENDING = 4, 3


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the texts mean: their unit vectors [n, d], how much each counts [n], and the encoder that made the vectors."""

    vectors: NDArray[np.float32]
    weights: NDArray[np.float64]
    encode: Callable[[Sequence[str]], NDArray[np.float32]]

    def centres(self, topics: NDArray[np.int64], number: int) -> NDArray[np.float64]:
        """The mean direction [number, d] of each topic's texts; zero for a topic without any."""
        centres = np.zeros((number, self.vectors.shape[1]))
        order = np.argsort(topics, kind="stable")
        bounds = np.searchsorted(topics[order], np.arange(number + 1))
        for topic in range(number):
            rows = order[bounds[topic] : bounds[topic + 1]]
            centres[topic] = self.weights[rows] @ self.vectors[rows]
        norms = np.linalg.norm(centres, axis=1, keepdims=True)
        return centres / np.where(norms > 0, norms, 1.0)


def choose_terms(
    candidates: Sequence[Sequence[tuple[str, float]]],
    centres: NDArray[np.float64],
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    count: int,
) -> list[tuple[str, ...]]:
    """For each topic at most `count` of its candidates (term, weight above 0; the first weighs most), the best first.

    A label's vector is taken to be the mean of its terms' vectors. Each step adds the term that makes the cosine to the
    own centre minus that to the nearest other one greatest, a rare term having to be better by `_FREQUENCY` for each
    factor e of its weight. Terms that share a word, or forms of one, do not stand together. Each distinct term is encoded
    once, all in one call.
    """
    distinct = sorted({term for terms in candidates for term, _ in terms})
    if not distinct:
        return [() for _ in candidates]
    row = {term: number for number, term in enumerate(distinct)}
    vectors = encode(distinct).astype(np.float64)
    with one_thread_a_product():
        return [
            _chosen(terms, vectors[[row[term] for term, _ in terms]], centres, topic, count)
            for topic, terms in enumerate(candidates)
        ]


def akin(first: str, second: str) -> bool:
    """Whether two words are forms of one, as far as their letters tell in any language written with some.

    >>> akin("card", "cards"), akin("delayed", "delays"), akin("car", "card"), akin("contact", "contract")
    (True, True, False, False)
    """
    short, long = sorted((first, second), key=len)
    if short == long:
        return True
    same = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if same == len(short) and long[same:] in ("s", "'s", "’s"):
        return True
    return same >= _BEGINNING and len(long) - same <= _ENDING


def _chosen(
    terms: Sequence[tuple[str, float]],
    vectors: NDArray[np.float64],
    centres: NDArray[np.float64],
    topic: int,
    count: int,
) -> tuple[str, ...]:
    if not terms:
        return ()
    weights = np.array([weight for _, weight in terms])
    frequency = _FREQUENCY * np.log(weights / weights.max())
    words = [term.split() for term, _ in terms]
    cosines, products = vectors @ centres.T, vectors @ vectors.T
    free = np.ones(len(terms), bool)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        # Of the sum of the chosen vectors and one more: its cosines to all centres, and its length.
        length = products[np.ix_(chosen, chosen)].sum() + 2 * products[chosen].sum(axis=0) + products.diagonal()
        to_centres = (cosines[chosen].sum(axis=0) + cosines) / np.sqrt(np.maximum(length, 1e-12))[:, None]
        own = to_centres[:, topic].copy()
        to_centres[:, topic] = -1.0
        # Rounded: a last digit that depends on an encoder's batches decides nothing. The first, heaviest, wins a tie.
        value = np.where(free, np.round(own - to_centres.max(axis=1) + frequency, 5), -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        free &= [not any(akin(one, other) for one in words[best] for other in mine) for mine in words]
    return tuple(terms[one][0] for one in chosen)
