"""Each text is encoded once: what the store lacks is encoded and kept, a chunk a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.encoder import Encoder
from monitor.encoding.recipe import Recipe
from monitor.progress import Advance, Progress, Silent

__all__ = ["CHUNK_TEXTS", "VectorStore", "encode_missing"]

#: Texts a transaction: what a kill loses at most, some ten seconds of work.
CHUNK_TEXTS = 4_000


class VectorTable(Protocol):
    def missing(self, encoder: str, recipe: str, hashes: Sequence[bytes]) -> list[bytes]: ...

    def append(self, encoder: str, recipe: str, hashes: Sequence[bytes], vectors: NDArray[np.float32]) -> int: ...


class VectorStore(Protocol):
    """What is needed of a `monitor.store.Store`. Encoding and the store know nothing of each other."""

    @property
    def vectors(self) -> VectorTable: ...


def encode_missing(
    store: VectorStore,
    encoder: Encoder,
    recipe: Recipe,
    texts: Mapping[bytes, str],
    progress: Progress | None = None,
    *,
    chunk_texts: int = CHUNK_TEXTS,
) -> int:
    """Encode those texts (hash to prepared text) that have no vector of this encoder and recipe; how many they were.

    The longest come first: the rate then only rises, and the time left that a bar shows is never too short.
    """
    missing = store.vectors.missing(encoder.name, recipe.name, list(texts))
    missing.sort(key=lambda hash_: (-len(texts[hash_]), hash_))
    if not missing:
        return 0
    with (progress or Silent()).task("encode", len(missing), "texts") as task:
        for start in range(0, len(missing), chunk_texts):
            chunk = missing[start : start + chunk_texts]
            vectors = encoder.encode([texts[hash_] for hash_ in chunk], progress=_Within(task))
            store.vectors.append(encoder.name, recipe.name, chunk, vectors)
    return len(missing)


class _Within:
    """Passes an encoder's progress on to the one task over all chunks."""

    def __init__(self, task: Advance) -> None:
        self._task = task

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        yield self._task
