"""Static vectors: a text is the mean of its tokens' fixed vectors (model2vec; Tulkens and van Dongen, 2024).

No network is run, so it is tens of times faster than a transformer and knows no word order: for a quick look at a large log.
Read are the folders that model2vec writes: `model.safetensors`, `tokenizer.json`, `config.json`. The package itself is not
needed; `benchmarks/static_vectors.py` compares with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.encoder import each_once, unit_rows
from monitor.errors import ModelError, SettingError
from monitor.progress import Progress, Silent

__all__ = ["StaticEncoder"]

#: Texts that are tokenised at a time: bounds the memory.
STEP = 4_096

#: model2vec's own limit of tokens where a model names none.
MAX_TOKENS = 512

_MODEL, _TOKENIZER, _CONFIG = "model.safetensors", "tokenizer.json", "config.json"

#: Types of safetensors that are read; bfloat16 is the upper half of a float32.
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "<i1", "I32": "<i4", "I64": "<i8"}


class StaticEncoder:
    """A model2vec model. A text without a known token has the first axis.

    Equal to `StaticModel.encode` of the package at unit length: unknown tokens are left out, and a text is cut at the model's
    limit of tokens, 512 where it names none.
    """

    def __init__(self, model: str) -> None:
        """Loads a folder, or a model of the Hugging Face hub by its name. `ModelError` when it cannot load."""
        if not model:
            raise SettingError(
                "setting encoder.model = '' must name a model or a folder when encoder.kind = 'model2vec': "
                "such as minishlab/potion-base-8M"
            )
        folder = _folder(model)
        self._read(folder, model)

    def _read(self, folder: Path, model: str) -> None:
        from tokenizers import Tokenizer

        try:
            weights, tokenizer = ((folder / name).read_bytes() for name in (_MODEL, _TOKENIZER))
            # One that sentence-transformers saved has none.
            settings = (folder / _CONFIG).read_bytes() if (folder / _CONFIG).is_file() else b"{}"
            config = json.loads(settings)
            self._table = _Table.of(_tensors(weights))
            self._tokenizer = Tokenizer.from_buffer(tokenizer)
            self._unknown = _unknown_token(tokenizer)
            vocabulary = self._tokenizer.get_vocab()
            limit = config.get("max_length", MAX_TOKENS)
        except OSError as error:
            raise ModelError(
                f"encoder.model = {model!r} cannot be read as a model2vec model: {error.filename} ({error.strerror}); it needs "
                f"{_MODEL} and {_TOKENIZER}"
            ) from error
        except Exception as error:  # tokenizers raises plain exceptions
            raise ModelError(f"encoder.model = {model!r} cannot be loaded as a model2vec model: {error}") from error
        if max(vocabulary.values(), default=-1) >= self._table.tokens:
            raise ModelError(
                f"encoder.model = {model!r} has {self._table.tokens:,} vectors for {len(vocabulary):,} tokens: the files of "
                "its folder do not belong together"
            )
        self._tokenizer.no_padding()
        self._characters: int | None = None
        if isinstance(limit, int) and limit > 0:
            self._tokenizer.enable_truncation(limit)
            # A text is cut before it is tokenised, or one of a megabyte would be read whole for its first tokens.
            self._characters = limit * int(np.median([len(token) for token in vocabulary] or [1]))
        digest = blake2b(digest_size=6)
        for content in (weights, tokenizer, settings):
            digest.update(blake2b(content).digest())
        self.name = f"{_called(folder, model)}@{digest.hexdigest()}"
        self.dimension = self._table.dimension

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        return each_once(texts, lambda distinct: self._encode(distinct, progress or Silent()))

    def _encode(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with progress.task("encode", len(texts), "texts") as task:
            for start in range(0, len(texts), STEP):
                step = texts[start : start + STEP]
                vectors[start : start + len(step)] = self._table.means(self._tokens(step))
                task.advance(len(step))
        return unit_rows(vectors)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # The tokenizer refuses half a surrogate pair; "?" is what UTF-8 makes of it.
        clean = [text[: self._characters].encode("utf-8", "replace").decode("utf-8") for text in texts]
        found: list[list[int]] = [one.ids for one in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]
        if self._unknown is None:
            return found
        return [[token for token in ids if token != self._unknown] for ids in found]


@dataclass(frozen=True, slots=True)
class _Table:
    """A vector a token, [v, d]. Where a vocabulary was clustered, tokens share rows by `mapping` and have `weights`."""

    vectors: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    mapping: NDArray[np.int64] | None

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> _Table:
        """From a file's tensors; `ValueError` when they are no table."""
        vectors = tensors.get("embeddings", tensors.get("embedding.weight"))
        if vectors is None or vectors.ndim != 2 or not vectors.size:
            raise ValueError("it holds no table of embeddings")
        weights, mapping = tensors.get("weights"), tensors.get("mapping")
        if mapping is not None and (
            mapping.ndim != 1 or mapping.min(initial=0) < 0 or mapping.max(initial=0) >= len(vectors)
        ):
            raise ValueError("its mapping names rows that are not there")
        tokens = len(vectors) if mapping is None else len(mapping)
        if weights is not None and weights.shape != (tokens,):
            raise ValueError(f"it has {len(weights)} weights for {tokens} tokens")
        return cls(
            np.ascontiguousarray(vectors, np.float32),
            None if weights is None else weights.astype(np.float32),
            None if mapping is None else mapping.astype(np.int64),
        )

    @property
    def tokens(self) -> int:
        return len(self.vectors) if self.mapping is None else len(self.mapping)

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def means(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The mean vector of each list of tokens, zero for an empty one: a sparse matrix of counts times the table."""
        from scipy.sparse import csr_matrix

        lengths = np.array([len(ids) for ids in tokens], np.int64)
        ids = np.fromiter((token for one in tokens for token in one), np.int64, int(lengths.sum()))
        shares = np.repeat(1 / np.maximum(lengths, 1), lengths).astype(np.float32)
        if self.weights is not None:
            shares *= self.weights[ids]
        rows = ids if self.mapping is None else self.mapping[ids]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        counts = csr_matrix((shares, rows, starts), shape=(len(tokens), len(self.vectors)))
        return np.asarray(counts @ self.vectors, np.float32)


def _folder(model: str) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        nested = folder / "0_StaticEmbedding"  # how sentence-transformers saves one
        return nested if nested.is_dir() else folder
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelError(
            f"encoder.model = {model!r} is no folder: give the folder of a saved model, or a name like owner/model"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=[_MODEL, _TOKENIZER, _CONFIG]))
    except Exception as error:  # of several libraries, with no root of their own
        raise ModelError(
            f"encoder.model = {model!r} cannot be fetched from the Hugging Face hub ({type(error).__name__}): check the name "
            "and the network, or give the folder of a saved model"
        ) from error


def _called(folder: Path, model: str) -> str:
    return Path(model).expanduser().resolve().name if Path(model).expanduser().is_dir() else model


def _unknown_token(tokenizer: bytes) -> int | None:
    """The number of the token that stands for what is not in the vocabulary; None when there is none."""
    model = json.loads(tokenizer)["model"]
    if model.get("type") == "Unigram" or "unk_id" in model:
        found = model.get("unk_id")
        return found if isinstance(found, int) else None
    found = model["vocab"].get(model.get("unk_token"))
    return found if isinstance(found, int) else None


def _tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file: eight bytes of length, a JSON header, and the numbers. `ValueError` for another.

    >>> header = b'{"weights": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'
    >>> _tensors(len(header).to_bytes(8, "little") + header + np.array([1, 2], "<f4").tobytes())["weights"].tolist()
    [1.0, 2.0]
    """
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        raise ValueError(f"{_MODEL} is no safetensors file")
    header, numbers = json.loads(content[8 : 8 + length]), memoryview(content)[8 + length :]
    found = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] not in _TYPES:
            continue
        start, end = about["data_offsets"]
        flat = np.frombuffer(numbers[start:end], _TYPES[about["dtype"]])
        if len(flat) != math.prod(about["shape"]):
            raise ValueError(f"the tensor {name!r} of {_MODEL} is cut")
        if about["dtype"] == "BF16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        found[name] = flat.reshape(about["shape"])
    return found
