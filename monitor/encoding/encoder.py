"""The `Encoder` protocol, and the choice of one by the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.errors import OffmapError, SettingError
from monitor.progress import Progress
from monitor.settings import EncoderSettings

__all__ = ["Encoder", "each_once", "made_of", "make_encoder", "remake_encoder", "unit_rows"]


class Encoder(Protocol):
    """Turns texts into unit vectors.

    `name` is versioned and is stored with every vector: two encoders whose vectors may not be compared never share it.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """One row of unit length for each text, in the order given; (0, dimension) for none.

        Equal texts have equal rows. An empty text has a defined row, never nan. Progress counts distinct texts.
        """


def make_encoder(settings: EncoderSettings) -> Encoder:
    """The encoder that `encoder.kind` names. Imported here, so that none costs anything when another is used."""
    match settings.kind:
        case "onnx":
            from monitor.encoding.onnx import OnnxEncoder

            return OnnxEncoder.packaged(threads=settings.threads)
        case "sentence-transformers":
            from monitor.encoding.sentence import SentenceTransformersEncoder

            return SentenceTransformersEncoder(settings.model, threads=settings.threads)
        case "model2vec":
            from monitor.encoding.static import StaticEncoder

            return StaticEncoder(settings.model)
        case "openai":
            from monitor.encoding.endpoint import EndpointEncoder

            return EndpointEncoder(settings)
        case "hashing":
            from monitor.encoding.hashing import HashingEncoder

            return HashingEncoder()
        case unknown:
            raise SettingError(
                f"setting encoder.kind = {unknown!r} must be one of onnx, sentence-transformers, model2vec, openai, hashing"
            )


def made_of(settings: EncoderSettings) -> dict[str, Any]:
    """What of the settings an encoder is made of: kept with an atlas, so that it can be made again. No secret is in it."""
    return {name: getattr(settings, name) for name in ("kind", "model", "url", "dimensions")}


def remake_encoder(name: str, parts: Mapping[str, Any], settings: EncoderSettings) -> Encoder | None:
    """The encoder of this name, of the parts that `made_of` gave; None when it cannot be made any more.

    `settings` are today's, which may choose another one: threads are theirs, and an endpoint is asked only where
    `encoder.url` is still its address, because the key belongs to that one.
    """
    if not parts:  # of an atlas that was made before its encoder was kept with it
        parts = {"kind": "hashing" if name.startswith("hashing-") else "onnx"}
    if parts.get("kind") == "openai" and parts.get("url") != settings.url:
        return None
    try:
        encoder = make_encoder(replace(settings, **{"model": "", "dimensions": 0, **parts}))
    except (OffmapError, TypeError):
        return None
    return encoder if encoder.name == name else None


def each_once(texts: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Encode repeated texts once: `encode` gets the distinct ones, the shortest first, and its rows are dealt out.

    Sorted, so that an encoder's batches are a function of the set of texts and not of their order.
    """
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    row_of = {text: row for row, text in enumerate(distinct)}
    return encode(distinct)[np.fromiter((row_of[text] for text in texts), dtype=np.int64, count=len(texts))]


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at unit length. A row without a direction (all zero, or not finite) becomes the first axis.

    >>> unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [1.0, 0.0]]
    """
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    lost = ~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0))
    # Divided by one where lost, so that no warning is raised for a row that is replaced anyway.
    unit = (vectors / np.where(lost[:, None], np.float32(1), norms)).astype(np.float32, copy=False)
    unit[lost] = np.eye(1, vectors.shape[1], dtype=np.float32)
    return unit
