"""The choice of an encoder, and what all of them share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.encoding.encoder import each_once, make_encoder, unit_rows
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.onnx import OnnxEncoder
from monitor.encoding.sentence import SentenceTransformersEncoder
from monitor.errors import SettingError
from monitor.settings import EncoderSettings


@pytest.mark.slow
def test_the_settings_choose(tiny_model: Path) -> None:
    assert isinstance(make_encoder(EncoderSettings()), OnnxEncoder)
    assert isinstance(make_encoder(EncoderSettings(kind="hashing")), HashingEncoder)
    chosen = make_encoder(EncoderSettings(kind="sentence-transformers", model=str(tiny_model)))
    assert isinstance(chosen, SentenceTransformersEncoder)
    with pytest.raises(SettingError, match=r"encoder\.kind = 'onx'"):
        make_encoder(EncoderSettings(kind="onx"))


def test_repeated_texts_are_handed_over_once_and_sorted() -> None:
    handed: list[list[str]] = []

    def lengths(texts: object) -> NDArray[np.float32]:
        assert isinstance(texts, list)
        handed.append(texts)
        return np.array([[len(text)] for text in texts], dtype=np.float32).reshape(-1, 1)

    assert each_once(["ccc", "b", "ccc", "", "a"], lengths)[:, 0].tolist() == [3, 1, 3, 0, 1]
    assert handed == [["", "a", "b", "ccc"]]


def test_a_row_without_direction_becomes_the_first_axis() -> None:
    rows = np.array([[0, 0, 0], [np.nan, 1, 0], [np.inf, 1, 0], [0, 2, 0]], dtype=np.float32)
    assert unit_rows(rows).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert unit_rows(np.empty((0, 3), dtype=np.float32)).shape == (0, 3)


def test_hashed_vectors_are_fixed() -> None:
    # They may be stored: whoever changes them must count the encoder's name up.
    (vector,) = HashingEncoder().encode(["where is my parcel"])
    assert HashingEncoder.name == "hashing-128@1"
    assert vector[:4].tolist() == pytest.approx([0.0749175, -0.0642690, 0.1777480, -0.0749175], rel=1e-5)
