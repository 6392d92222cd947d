"""Folders as model2vec writes them, from any table of vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int8": "I8", "int32": "I32", "int64": "I64"}


def write_model(
    folder: Path,
    tokenizer: bytes,
    embeddings: NDArray[Any],
    *,
    config: Mapping[str, Any] | None = None,
    **more: NDArray[Any],
) -> Path:
    """`model.safetensors` with `embeddings` and `more` tensors, `tokenizer.json` and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors({"embeddings": embeddings, **more}))
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True, **(config or {})}))
    return folder


def safetensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The file's bytes: https://huggingface.co/docs/safetensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    numbers = b""
    for name, tensor in tensors.items():
        content = np.ascontiguousarray(tensor).tobytes()
        offsets = [len(numbers), len(numbers) + len(content)]
        header[name] = {"dtype": TYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": offsets}
        numbers += content
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + numbers
