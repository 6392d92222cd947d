"""Any sentence-transformers model, by name or folder, also on a GPU: the extra `models`. Imports torch when made."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.encoder import each_once, unit_rows
from monitor.errors import MissingExtraError, ModelError, SettingError
from monitor.progress import Progress, Silent

__all__ = ["SentenceTransformersEncoder"]

#: Texts a batch on a processor, and on a GPU: on an H100, 23,695 texts of CLINC150 went at 5,100 a second in batches of 32, at
#: 12,800 in batches of 128, and at 16,200 in batches of 256, with 271 MB of its memory; 1,024 were no faster.
BATCH_TEXTS, GPU_BATCH_TEXTS = 32, 256

#: Batches between two reports of progress; the library sorts and batches within.
STEP_BATCHES = 16


class SentenceTransformersEncoder:
    """A model of the sentence-transformers library, its output at unit length.

    Torch computes a padded batch a little differently from a text alone, so a vector may differ in its last bits
    between two calls with other texts. Code that comes with a model is never run (`trust_remote_code` stays off).
    """

    def __init__(self, model: str, *, threads: int = 0) -> None:
        """Loads the model. `MissingExtraError` without the library, `ModelError` when it cannot load."""
        if not model:
            raise SettingError(
                "setting encoder.model = '' must name a model or a folder when encoder.kind = 'sentence-transformers': "
                "such as sentence-transformers/all-mpnet-base-v2"
            )
        if find_spec("sentence_transformers") is None:
            raise MissingExtraError(
                f"encoder.kind = 'sentence-transformers' (encoder.model = {model!r})",
                extra="models",
                library="sentence-transformers",
            )
        folder = Path(model)
        if not folder.is_dir() and (folder.is_absolute() or model.startswith((".", "~"))):
            # Said here, because the library would take the path for a name and ask the network for it.
            raise ModelError(
                f"encoder.model = {model!r} is no folder: give the folder of a saved model, or a model's name"
            )
        import torch
        from sentence_transformers import SentenceTransformer

        if threads:
            torch.set_num_threads(threads)
        try:
            self._model = SentenceTransformer(model)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"encoder.model = {model!r} cannot be loaded as a sentence-transformers model: {error}"
            ) from error
        version = _digest_of_folder(folder) if folder.is_dir() else _digest_of_weights(self._model)
        self.name = f"{folder.name if folder.is_dir() else model}@{version}"
        self.dimension = _dimension(self._model)

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        return each_once(texts, lambda distinct: self._encode(distinct, progress or Silent()))

    def _encode(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        batch = BATCH_TEXTS if self._model.device.type == "cpu" else GPU_BATCH_TEXTS
        size = STEP_BATCHES * batch
        with progress.task("encode", len(texts), "texts") as task:
            for start in range(0, len(texts), size):
                step = texts[start : start + size]
                # Tokenizers refuse half a surrogate pair; "?" is what UTF-8 makes of it.
                clean = [text.encode("utf-8", "replace").decode("utf-8") for text in step]
                vectors[start : start + len(step)] = self._model.encode(
                    clean, batch_size=batch, show_progress_bar=False, convert_to_numpy=True
                )
                task.advance(len(step))
        return unit_rows(vectors)


def _dimension(model: Any) -> int:
    # Renamed in sentence-transformers 5; the old name warns there.
    measure = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(measure())


def _digest_of_folder(folder: Path) -> str:
    """Version of a saved model: its files' names and contents. Hidden files and the model card do not count."""
    digest = blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and path.suffix != ".md" and not any(part.startswith(".") for part in relative.parts):
            digest.update(relative.as_posix().encode() + b"\0")
            digest.update(blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _digest_of_weights(model: Any) -> str:
    """Version of a model that came by name: its weights, and the kinds of its steps with their token limit."""
    digest = blake2b(digest_size=6)
    import torch

    digest.update(f"{[type(step).__name__ for step in model]} {model.max_seq_length}".encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode() + b"\0")
        # Viewed as bytes, because numpy has no bfloat16.
        digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
