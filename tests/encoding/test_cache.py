"""Each text is encoded once, and a kill costs a chunk at most."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.encoding.cache import CHUNK_TEXTS, encode_missing
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT, text_hash
from monitor.progress import Progress
from monitor.store import Store
from tests.encoding.listener import Listener

REPOSITORY = Path(__file__).parents[2]
TEXTS = {text_hash(text): text for text in (f"{'please ' * (row % 7)}track parcel {row}" for row in range(100))}


class Counting:
    """The hashing encoder, remembering what it was given, and failing when it was given enough."""

    name = HashingEncoder.name
    dimension = HashingEncoder.dimension

    def __init__(self, *, calls: int = 1_000) -> None:
        self.given: list[list[str]] = []
        self._calls = calls

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        if len(self.given) == self._calls:
            raise RuntimeError("the machine went away")
        self.given.append(list(texts))
        return HashingEncoder().encode(texts, progress=progress)


def test_what_is_stored_is_the_encoders_vector(store: Store) -> None:
    encoder = HashingEncoder()
    assert encode_missing(store, encoder, USER_TEXT, TEXTS, chunk_texts=30) == 100
    stored = store.vectors.read(encoder.name, USER_TEXT.name, list(TEXTS))
    np.testing.assert_allclose(stored, encoder.encode(list(TEXTS.values())), atol=1e-3)


def test_nothing_is_encoded_twice(store: Store) -> None:
    encoder = Counting()
    first = dict(list(TEXTS.items())[:60])
    assert encode_missing(store, encoder, USER_TEXT, first) == 60
    assert encode_missing(store, encoder, USER_TEXT, TEXTS) == 40
    assert encode_missing(store, encoder, USER_TEXT, TEXTS) == 0
    assert encode_missing(store, encoder, USER_TEXT, {}) == 0
    assert sorted(text for given in encoder.given for text in given) == sorted(TEXTS.values())


def test_recipes_do_not_share_vectors(store: Store) -> None:
    encoder = HashingEncoder()
    encode_missing(store, encoder, USER_TEXT, TEXTS)
    assert encode_missing(store, encoder, EVAL_PROMPT, TEXTS) == 100


def test_chunks_are_sorted_by_length(store: Store) -> None:
    encoder = Counting()
    encode_missing(store, encoder, USER_TEXT, TEXTS, chunk_texts=30)
    lengths = [len(text) for given in encoder.given for text in given]
    assert [len(given) for given in encoder.given] == [30, 30, 30, 10]
    assert lengths == sorted(lengths, reverse=True)


def test_a_failure_loses_one_chunk(store: Store) -> None:
    failing = Counting(calls=2)
    with pytest.raises(RuntimeError, match="went away"):
        encode_missing(store, failing, USER_TEXT, TEXTS, chunk_texts=30)
    rest = Counting()
    assert encode_missing(store, rest, USER_TEXT, TEXTS, chunk_texts=30) == 40
    given = [text for call in failing.given + rest.given for text in call]
    assert sorted(given) == sorted(TEXTS.values())


def test_a_killed_process_loses_one_chunk(tmp_path: Path) -> None:
    path = str(tmp_path / "offmap.duckdb")
    script = (
        "import os, sys\n"
        "from monitor.encoding.cache import CHUNK_TEXTS, encode_missing\n"
        "from monitor.encoding.recipe import USER_TEXT\n"
        "from monitor.store import Store\n"
        "from tests.encoding.test_cache import TEXTS, Counting\n"
        "class Killed(Counting):\n"
        "    def encode(self, texts, *, progress=None):\n"
        "        if len(self.given) == 2:\n"
        "            os._exit(9)\n"  # no exception, no flush, no close: as a kill
        "        return super().encode(texts, progress=progress)\n"
        "encode_missing(Store.open(sys.argv[1]), Killed(), USER_TEXT, TEXTS, chunk_texts=30)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, path], cwd=REPOSITORY, capture_output=True, timeout=100, check=False
    )
    assert ended.returncode == 9, ended.stderr.decode()
    with Store.open(path) as store:
        assert encode_missing(store, HashingEncoder(), USER_TEXT, TEXTS, chunk_texts=30) == 40


def test_progress_is_one_task_over_all_chunks(store: Store) -> None:
    listener = Listener()
    encode_missing(store, HashingEncoder(), USER_TEXT, TEXTS, listener, chunk_texts=30)
    assert listener.totals == [100]
    assert listener.done == 100


def test_memory_is_bounded_by_the_chunk() -> None:
    """Beyond the texts themselves: what a text more costs while it is encoded is a small part of its vector."""

    class Sink:
        """Takes vectors and keeps none."""

        def missing(self, encoder: str, recipe: str, hashes: Sequence[bytes]) -> list[bytes]:
            return list(hashes)

        def append(self, encoder: str, recipe: str, hashes: Sequence[bytes], vectors: NDArray[np.float32]) -> int:
            return len(vectors)

        @property
        def vectors(self) -> Sink:
            return self

    class Flat:
        name, dimension = "flat@1", 1_024

        def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
            return np.ones((len(texts), self.dimension), np.float32)

    def peak(count: int) -> int:
        texts = {number.to_bytes(16, "big"): f"text {number}" for number in range(count)}
        tracemalloc.start()
        encode_missing(Sink(), Flat(), USER_TEXT, texts)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    few, many = peak(8_000), peak(64_000)
    assert many - few < 0.1 * (64_000 - 8_000) * 4 * Flat.dimension
    assert many < 3 * CHUNK_TEXTS * 4 * Flat.dimension
