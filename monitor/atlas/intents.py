"""Intents: named categories by labelled examples: which one a text has, and whether it has any.

Two questions, and each has the method that measured best (docs/decisions/0015). *Which*: a logistic regression on the
examples, then a step towards the answers of the text's neighbours. *Whether any*: how near the text is to the mean of an
intent's examples and to its nearest ones, against a threshold that the examples set themselves.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.logistic import fit_logistic
from monitor.atlas.neighbours import NeighbourGraph
from monitor.errors import InputError

__all__ = ["FALLBACK", "Intents", "assign_intents", "likeliest_intents", "load_intents", "threshold_of"]

#: Of texts that have an intent, this share is rejected, as far as the examples tell.
_REJECTED = 0.1

#: Threshold where no intent has two examples, so that they cannot tell. Chosen on CLINC150's training split with the
#: default encoder; on its test split, with one example each, it rejects 19 % of texts that have an intent and 84 % of others.
FALLBACK = 0.4

#: What the nearest examples count in a score, against the mean; how many they are; and how far an intent's own spread, against
#: the average, says what is far from its mean.
_EXAMPLES_SHARE, _EXAMPLES, _OWN_SPREAD = 0.3, 3, 0.5

#: How much a text's neighbours say, against its own words, and how often they are asked.
_NEIGHBOURS_SHARE, _ROUNDS = 0.3, 2

_BLOCK = 2_048

#: Intents whose probabilities are mixed at once: what is held beside the probabilities themselves is a fraction of them.
_INTENTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Intents:
    """Names, and examples: unit vectors [e, d] with the position of their name [e]. A name may have no example."""

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


def assign_intents(
    vectors: NDArray[np.float32], intents: Intents, graph: NeighbourGraph | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The intent of each unit vector [n, d], as its position in the names, -1 for none; and its score.

    That of `likeliest_intents`, and none where the score is below `threshold_of(intents)`.

    >>> intents = Intents(("up", "right"), np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> assign_intents(np.array([[0.8, 0.6], [-1.0, 0.0]], np.float32), intents)[0].tolist()
    [0, -1]
    """
    likeliest, scores = likeliest_intents(vectors, intents, graph)
    return np.where(scores >= threshold_of(intents), likeliest, -1), scores


def likeliest_intents(
    vectors: NDArray[np.float32], intents: Intents, graph: NeighbourGraph | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The most probable intent of each unit vector [n, d], even where it has none of them; and its score.

    Probabilities are those of a logistic regression on the examples. With the neighbour graph of the texts they are mixed
    with those of each text's mutual neighbours (label spreading: Zhou et al., 2003, "Learning with Local and Global
    Consistency"): texts that mean the same help each other where a few examples leave a doubt.

    The score is that of the intent that the text is nearest to: 0.3 of the mean cosine of its three nearest examples, and
    0.7 of 1 minus half the squared distance to the mean of them all, by the half relative to how far they spread. With one
    example each it is the cosine to the nearest. Without any examples there are no intents (-1), and the score is nan.
    """
    if not len(intents.vectors) or not len(vectors):
        return np.full(len(vectors), -1, np.int64), np.full(len(vectors), np.nan, np.float32)
    present, classes = np.unique(intents.labels, return_inverse=True)
    regions = _Regions.of(intents.vectors, classes)
    model = fit_logistic(intents.vectors, classes)
    scores = np.empty(len(vectors), np.float32)
    probabilities = np.empty((len(vectors), len(present)), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores[rows] = regions.scores(vectors[rows]).max(axis=1)
        probabilities[rows] = model.probabilities(vectors[rows])
    best = probabilities.argmax(axis=1) if graph is None else _agreed(probabilities, graph)
    return present[best], scores


def threshold_of(intents: Intents) -> float:
    """The score below which a text has no intent: the 0.1 quantile of what the examples would score as new texts.

    So one text in ten that has an intent is rejected: it then counts as none, while too low a threshold would hide a new
    subject under an old name. An example is not scored against itself. Of n examples the squared distance of each to their
    mean is on average (n - 1) / (n + 1) of a new text's, so it is multiplied by the inverse; another intent counts if it is
    nearer, as it does for a text. Examples that are alone in their intent cannot tell and do not count; where all are,
    the threshold is `FALLBACK`.
    """
    _, classes, counts = np.unique(intents.labels, return_inverse=True, return_counts=True)
    together = np.flatnonzero(counts[classes] > 1)
    if not len(together):
        return FALLBACK
    regions = _Regions.of(intents.vectors, classes)
    blocks = [together[start : start + _BLOCK] for start in range(0, len(together), _BLOCK)]
    best = [regions.scores(intents.vectors[rows], examples=rows).max(axis=1) for rows in blocks]
    return float(np.quantile(np.concatenate(best), _REJECTED))


@dataclass(frozen=True, slots=True)
class _Regions:
    """Where intents lie: examples [e, d] with their class [e], and each class's mean [c, d] and spread [c].

    The spread is the squared distance of examples to their mean, against the average of all intents that have two. Few
    examples say little about it, so it is trusted by half of (n - 2) / (n - 1) for n of them, and is 1 for one or two.
    """

    vectors: NDArray[np.float32]
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]
    means: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> _Regions:
        counts = np.bincount(classes)
        shape = (len(counts), len(classes))
        members = csr_matrix((1.0 / counts[classes], (classes, np.arange(len(classes)))), shape=shape)
        means = np.asarray(members @ vectors, np.float32)
        squares = np.bincount(classes, np.square(vectors - means[classes]).sum(axis=1))
        several = counts > 1
        own = squares[several] / (counts[several] - 1)
        average = own.mean() if len(own) else 0.0
        spread = np.ones(len(counts))
        if average > 0:
            trust = _OWN_SPREAD * (counts[several] - 2) / (counts[several] - 1)
            spread[several] += trust * (own / average - 1)
        return cls(vectors, classes, counts, means, spread.astype(np.float32))

    def scores(self, vectors: NDArray[np.float32], *, examples: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Score of each vector [n, d] for each class, as [n, c]; `examples` [n] says which of the examples they are."""
        half = (1 + np.square(self.means).sum(axis=1)) / 2 - vectors @ self.means.T
        cosines = vectors @ self.vectors.T
        if examples is not None:
            rows, own = np.arange(len(examples)), self.classes[examples]
            half[rows, own] *= (self.counts[own] + 1) / (self.counts[own] - 1)
            cosines[rows, examples] = -np.inf
        nearest = np.empty_like(half)
        for label in range(len(self.counts)):
            among = cosines[:, self.classes == label]
            k = min(_EXAMPLES, among.shape[1])
            top = -np.partition(-among, k - 1, axis=1)[:, :k]
            counted = np.isfinite(top)
            nearest[:, label] = np.where(counted, top, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        return np.asarray((1 - _EXAMPLES_SHARE) * (1 - half / self.spread) + _EXAMPLES_SHARE * nearest, np.float32)


def _agreed(probabilities: NDArray[np.float32], graph: NeighbourGraph) -> NDArray[np.int64]:
    """The most probable class [n] after mixing with mutual neighbours. A text without one keeps its own."""
    n, k = graph.indices.shape
    rows = np.repeat(np.arange(n), k)
    columns = np.where(graph.indices >= 0, graph.indices, rows.reshape(n, k)).ravel()
    directed = csr_matrix((graph.weights().ravel().astype(np.float32), (rows, columns)), shape=(n, n))
    mutual = directed.minimum(directed.T).tocsr()
    total = np.asarray(mutual.sum(axis=1)).ravel()
    kept = np.where(total > 0, 1 - _NEIGHBOURS_SHARE, 1.0)[:, None].astype(np.float32)
    scale = np.divide(_NEIGHBOURS_SHARE, total, out=np.zeros_like(total), where=total > 0)
    mutual = csr_matrix(mutual.multiply(scale[:, None].astype(np.float32)))
    best, highest = np.zeros(n, np.int64), np.full(n, -np.inf, np.float32)
    for start in range(0, probabilities.shape[1], _INTENTS_AT_ONCE):
        own = probabilities[:, start : start + _INTENTS_AT_ONCE]
        mixed = own
        for _ in range(_ROUNDS):
            mixed = mutual @ mixed + kept * own
        found = mixed.argmax(axis=1)
        value = mixed[np.arange(n), found]
        better = value > highest
        best[better], highest[better] = found[better] + start, value[better]
    return best


def load_intents(path: Path) -> list[tuple[str, list[str]]]:
    """Names with their examples from TOML: `[[intent]]` tables with `name` and `examples`. Raises `InputError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"intents file {path} does not exist: correct the setting analysis.intents_file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"intents file {path} cannot be read as TOML: {error}") from error
    for key in document:
        if key != "intent":
            raise InputError(f"{path}: unknown field {key}{_nearest(key, ('intent',))}; intents are [[intent]] tables")
    tables = document.get("intent")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: no intents; add [[intent]] tables, each with a name and examples")
    found: dict[str, list[str]] = {}
    for number, table in enumerate(tables, 1):
        name, examples = _read_intent(table, f"{path}: [[intent]] {number}")
        if name in found:
            raise InputError(
                f"{path}: [[intent]] {number}: name {name!r} is there twice; put its examples into one table"
            )
        found[name] = examples
    return list(found.items())


def _read_intent(table: dict[str, Any], where: str) -> tuple[str, list[str]]:
    for key in table:
        if key not in ("name", "examples"):
            raise InputError(f"{where}: unknown field {key}{_nearest(key, ('name', 'examples'))}")
    name, examples = table.get("name"), table.get("examples")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: name must be a text, and is {name!r}")
    if not isinstance(examples, list) or not examples:
        raise InputError(
            f"{where}: examples of {name!r} must be a list of texts with at least one, and is {examples!r}"
        )
    for position, example in enumerate(examples, 1):
        if not isinstance(example, str) or not example.strip():
            raise InputError(f"{where}: example {position} of {name!r} must be a text, and is {example!r}")
    return name.strip(), [example.strip() for example in examples]


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
