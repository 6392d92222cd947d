"""The choice of an encoder, and what all of them share."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from monitor.encoding.encoder import each_once, make_encoder, unit_rows
from monitor.encoding.endpoint import EndpointEncoder
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.onnx import OnnxEncoder, packaged_tokenizer
from monitor.encoding.sentence import SentenceTransformersEncoder
from monitor.encoding.static import StaticEncoder
from monitor.errors import SettingError
from monitor.settings import EncoderSettings
from tests.encoding.embeddings_server import embeddings_server
from tests.encoding.static_model import write_model


@pytest.mark.parametrize(
    "name",
    ["addresses", "retry_after", *(f"encoding.{one}" for one in ("encoder", "recipe", "onnx", "static", "endpoint"))],
)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"monitor.{name}")).failed == 0


def test_the_light_encoders_import_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "import monitor.encoding.endpoint, monitor.encoding.static\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn', 'scipy', 'onnxruntime', 'tokenizers',"
        " 'huggingface_hub', 'model2vec', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_settings_choose(tiny_model: Path, tmp_path: Path) -> None:
    assert isinstance(make_encoder(EncoderSettings()), OnnxEncoder)
    assert isinstance(make_encoder(EncoderSettings(kind="hashing")), HashingEncoder)
    chosen = make_encoder(EncoderSettings(kind="sentence-transformers", model=str(tiny_model)))
    assert isinstance(chosen, SentenceTransformersEncoder)
    size = Tokenizer.from_buffer(packaged_tokenizer().read_bytes()).get_vocab_size()
    folder = write_model(tmp_path / "static", packaged_tokenizer().read_bytes(), np.ones((size, 4), np.float32))
    assert isinstance(make_encoder(EncoderSettings(kind="model2vec", model=str(folder))), StaticEncoder)
    with embeddings_server() as server:
        assert isinstance(make_encoder(server.settings()), EndpointEncoder)
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
