"""A small encoder without a model file: words and character n-grams, hashed and projected to 128 numbers.

It knows spelling and no meaning: texts that share words are near, paraphrases are not. For fast tests and for machines
without the model. Every number in it comes from `_mix`, so a new numpy does not change its vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from monitor.encoding.encoder import each_once, unit_rows
from monitor.progress import Progress, Silent

__all__ = ["HashingEncoder"]

DIMENSION = 128
BUCKETS = 1 << 13
GRAMS = (3, 4)

#: A word says more than one of its n-grams.
WORD_WEIGHT = 2.0

#: Letters of a word that its own feature sees; n-grams carry the rest of a longer one.
WORD_LETTERS = 32

#: Texts between two reports of progress.
STEP = 256


class HashingEncoder:
    """Square roots of n-gram counts times a fixed matrix of +1 and -1, at unit length."""

    name = "hashing-128@1"
    dimension = DIMENSION

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        return each_once(texts, lambda distinct: self._encode(distinct, progress or Silent()))

    def _encode(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with progress.task("encode", len(texts), "texts") as task:
            for start in range(0, len(texts), STEP):
                step = texts[start : start + STEP]
                vectors[start : start + len(step)] = [_project(text) for text in step]
                task.advance(len(step))
        return unit_rows(vectors)


def _project(text: str) -> NDArray[np.float32]:
    words = text.lower().split()
    # The edge spaces make a word's first and last letters features of their own.
    line = (" " + " ".join(words) + " ").encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(line, dtype=np.uint32)
    spelt = np.array(words, dtype=f"<U{WORD_LETTERS}").view(np.uint32).reshape(len(words), WORD_LETTERS)
    features = [_buckets(spelt)]
    features += [_buckets(sliding_window_view(codes, size)) for size in GRAMS if len(codes) >= size]
    weights = np.ones(sum(map(len, features)))
    weights[: len(words)] = WORD_WEIGHT
    counts = np.bincount(np.concatenate(features), weights, minlength=BUCKETS).astype(np.float32)
    used = np.flatnonzero(counts)
    return np.asarray(np.sqrt(counts[used]) @ _signs()[used], dtype=np.float32)


def _buckets(spelt: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The bucket of each row of character codes: a multilinear hash, scrambled."""
    width = spelt.shape[1]
    # The width is part of the multipliers: a word and an n-gram of the same letters are two features.
    multipliers = _mix(np.arange(width, dtype=np.uint64) + np.uint64(width << 32))
    hashed = (spelt * multipliers).sum(axis=1, dtype=np.uint64)
    return (_mix(hashed) % np.uint64(BUCKETS)).astype(np.int64)


@cache
def _signs() -> NDArray[np.float32]:
    """The projection: a fair coin for each bucket and dimension (Achlioptas, 2003)."""
    cells = np.arange(BUCKETS * DIMENSION, dtype=np.uint64).reshape(BUCKETS, DIMENSION)
    return np.where(_mix(cells) >> np.uint64(63), np.float32(1), np.float32(-1))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits (the finaliser of splitmix64), with the wrap-around of unsigned arithmetic."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
