"""Windows cover a text, and their vectors become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.encoding.windows import MOST_WINDOWS, pooled, spans


@given(length=st.integers(0, 254 * MOST_WINDOWS), size=st.just(254))
def test_windows_cover_every_token_once_and_are_equally_long(length: int, size: int) -> None:
    parts = spans(length, size)
    tokens = list(range(length))
    assert [token for part in parts for token in tokens[part]] == tokens
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == max(1, -(-length // size))


@given(length=st.integers(254 * MOST_WINDOWS + 1, 10_000))
def test_the_windows_of_an_endless_text_are_bounded_and_reach_its_end(length: int) -> None:
    parts = spans(length, 254)
    assert len(parts) == MOST_WINDOWS
    assert parts[0].start == 0
    assert parts[-1].stop == length
    assert {part.stop - part.start for part in parts} == {254}


def test_one_window_at_most() -> None:
    assert spans(1_000, 254, most=1) == [slice(0, 254)]


def test_a_single_window_keeps_its_bits_and_several_are_averaged() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = pooled(rows, [1, 3, 1])
    np.testing.assert_array_equal(found[[0, 2]], rows[[0, 4]])
    mean = rows[1:4].mean(axis=0)
    assert found[1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_no_texts() -> None:
    assert pooled(np.empty((0, 8), dtype=np.float32), []).shape == (0, 8)
