"""Static vectors: the mean of a text's tokens, and files that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from monitor.encoding.encoder import unit_rows
from monitor.encoding.onnx import packaged_tokenizer
from monitor.encoding.static import MAX_TOKENS, StaticEncoder
from monitor.errors import ModelError, SettingError
from tests.encoding.static_model import safetensors, write_model
from tests.encoding.texts import utterances

TEXTS = [*utterances(30), "", "\ue000 parcel", "where is my parcel " * 800]


@pytest.fixture(scope="module")
def tokenizer() -> bytes:
    return packaged_tokenizer().read_bytes()


@pytest.fixture(scope="module")
def table(tokenizer: bytes) -> np.ndarray:
    size = Tokenizer.from_buffer(tokenizer).get_vocab_size()
    return np.random.default_rng(3).normal(size=(size, 24)).astype(np.float32)


def plainly(texts: list[str], tokenizer: bytes, vector_of: Callable[[int], np.ndarray], limit: int) -> np.ndarray:
    """The definition, a token at a time."""
    reader = Tokenizer.from_buffer(tokenizer)
    reader.no_padding()
    reader.no_truncation()
    unknown = reader.token_to_id("[UNK]")
    rows = []
    for text in texts:
        ids = [token for token in reader.encode(text, add_special_tokens=False).ids[:limit] if token != unknown]
        rows.append(np.mean([vector_of(token) for token in ids], axis=0) if ids else 0 * vector_of(0))
    return unit_rows(np.array(rows, np.float32))


@pytest.mark.parametrize("kind", ["float32", "float16", "float64"])
def test_a_vector_is_the_mean_of_its_tokens(tmp_path: Path, tokenizer: bytes, table: np.ndarray, kind: str) -> None:
    folder = write_model(tmp_path / "model", tokenizer, table.astype(kind))
    found = StaticEncoder(str(folder)).encode(TEXTS)
    np.testing.assert_allclose(found, plainly(TEXTS, tokenizer, lambda token: table[token], MAX_TOKENS), atol=2e-3)


def test_int8_vectors_need_no_scale(tmp_path: Path, tokenizer: bytes, table: np.ndarray) -> None:
    small = np.clip(np.rint(table * 30), -127, 127).astype(np.int8)
    found = StaticEncoder(str(write_model(tmp_path / "model", tokenizer, small))).encode(TEXTS)
    expected = plainly(TEXTS, tokenizer, lambda token: small[token].astype(np.float32), MAX_TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tokens_may_share_rows_and_have_weights(tmp_path: Path, tokenizer: bytes, table: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    mapping, weights = rng.integers(0, 500, len(table)), rng.random(len(table)).astype(np.float32)
    folder = write_model(tmp_path / "model", tokenizer, table[:500], mapping=mapping, weights=weights)
    found = StaticEncoder(str(folder)).encode(TEXTS)
    expected = plainly(TEXTS, tokenizer, lambda token: weights[token] * table[mapping[token]], MAX_TOKENS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_says_how_many_tokens_it_sees(tmp_path: Path, tokenizer: bytes, table: np.ndarray) -> None:
    folder = write_model(tmp_path / "model", tokenizer, table, config={"max_length": 5})
    encoder = StaticEncoder(str(folder))
    start = "where is my parcel"  # four tokens
    np.testing.assert_array_equal(*encoder.encode([f"{start} apples", f"{start} apples and pears"]))
    assert not np.array_equal(*encoder.encode([f"{start} apples", f"{start} pears"]))


def test_the_version_follows_the_files(tmp_path: Path, tokenizer: bytes, table: np.ndarray) -> None:
    first = StaticEncoder(str(write_model(tmp_path / "a" / "small", tokenizer, table)))
    same = StaticEncoder(str(write_model(tmp_path / "b" / "small", tokenizer, table)))
    other = StaticEncoder(str(write_model(tmp_path / "c" / "small", tokenizer, table + 1)))
    assert first.name == same.name and first.name.startswith("small@") and other.name != first.name


def test_a_folder_that_sentence_transformers_saved(tmp_path: Path, tokenizer: bytes, table: np.ndarray) -> None:
    nested = tmp_path / "model" / "0_StaticEmbedding"
    nested.mkdir(parents=True)
    (nested / "model.safetensors").write_bytes(safetensors({"embedding.weight": table}))
    (nested / "tokenizer.json").write_bytes(tokenizer)
    plain = write_model(tmp_path / "plain", tokenizer, table)
    found = StaticEncoder(str(tmp_path / "model"))
    np.testing.assert_array_equal(found.encode(TEXTS), StaticEncoder(str(plain)).encode(TEXTS))
    assert found.name.startswith("model@")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("model.safetensors", None, r"model\.safetensors .*it needs"),
        ("tokenizer.json", None, r"tokenizer\.json .*it needs"),
        ("model.safetensors", b"", "no safetensors file"),
        ("model.safetensors", b"\xff" * 100, "no safetensors file"),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}", "no table of embeddings"),
        ("model.safetensors", safetensors({"embeddings": np.ones((3, 4), np.float32)}), "do not belong together"),
        ("model.safetensors", safetensors({"embeddings": np.ones((3, 4), np.float32)})[:-8], "cannot be loaded"),
        ("model.safetensors", safetensors({"embeddings": np.ones(3, np.float32)}), "no table of embeddings"),
        (
            "model.safetensors",
            safetensors({"embeddings": np.ones((3, 4), np.float32), "mapping": np.array([0, 3])}),
            "rows that are not there",
        ),
        ("tokenizer.json", b"{}", "cannot be loaded"),
        ("config.json", b"[", "cannot be loaded"),
        ("config.json", b"[]", "cannot be loaded"),
    ],
    ids=lambda value: value.replace("\\", "") if isinstance(value, str) else "",
)
def test_files_that_are_no_model(
    tmp_path: Path, tokenizer: bytes, table: np.ndarray, file: str, content: bytes | None, words: str
) -> None:
    folder = write_model(tmp_path / "model", tokenizer, table)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=words) as error:
        StaticEncoder(str(folder))
    assert f"encoder.model = {str(folder)!r}" in str(error.value)


def test_no_model_named() -> None:
    with pytest.raises(SettingError, match=r"encoder\.model = '' must name a model"):
        StaticEncoder("")


@pytest.mark.parametrize("model", ["/nowhere/at/all", "./nowhere", "nowhere", "a/b/c"])
def test_a_folder_that_does_not_exist(model: str) -> None:
    with pytest.raises(ModelError, match="is no folder"):
        StaticEncoder(model)


def test_a_name_is_looked_for_on_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: bytes) -> None:
    # The hub's own cache, filled by hand: nothing is asked of the network when it is offline.
    import huggingface_hub.constants as constants

    size = Tokenizer.from_buffer(tokenizer).get_vocab_size()
    cached = tmp_path / "models--somebody--tiny"
    write_model(cached / "snapshots" / ("0" * 40), tokenizer, np.eye(size, 8, dtype=np.float32) + 1)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    encoder = StaticEncoder("somebody/tiny")
    assert encoder.name.startswith("somebody/tiny@") and encoder.dimension == 8
    with pytest.raises(ModelError, match=r"somebody/none' cannot be fetched .*give the folder"):
        StaticEncoder("somebody/none")
    assert json.loads((cached / "snapshots" / ("0" * 40) / "config.json").read_text())["model_type"] == "model2vec"
