"""One request to an OpenAI-compatible embeddings endpoint, and the vectors of its answer; see `monitor.endpoint`."""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.endpoint import ATTEMPTS, Address, Endpoint, Unfit
from monitor.errors import ModelError
from monitor.settings import EncoderSettings

__all__ = ["Embeddings", "EmbeddingsApi"]

#: The first request is somebody waiting for an answer, often to a mistyped address.
_PROBE_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors [n, d] in the order of the texts, as the model gives them, and the tokens that were counted for them."""

    vectors: NDArray[np.float32]
    tokens: int


class EmbeddingsApi:
    """Sends texts, gets vectors; threads may share it."""

    def __init__(self, settings: EncoderSettings, *, wait: Callable[[float], object] | None = None) -> None:
        """Raises `SettingError` for an address or a key that cannot be. Connects to nothing."""
        self._settings = settings
        address = Address(
            section="encoder",
            url=settings.url,
            model=settings.model,
            api_key=settings.api_key,
            allow_private=settings.allow_private,
            timeout_seconds=settings.timeout_seconds,
            purpose="embeds text",
            kept="; what was encoded is kept, so the next run goes on from there",
        )
        self._endpoint = Endpoint(address, wait=wait)
        self._format = "base64"
        self._dimension = 0

    @property
    def given_up(self) -> threading.Event:
        """Set by who no longer wants what threads still ask for: they make no further attempt."""
        return self._endpoint.given_up

    def probe(self, text: str) -> int:
        """Ask for one vector; how many numbers it has. `ModelError` when there is none."""
        for encoding_format in ("base64", "float"):
            self._format = encoding_format
            try:
                self._dimension = self._embed([text], _PROBE_ATTEMPTS).vectors.shape[1]
            except Unfit as error:
                refusal = error
                continue
            return self._dimension
        raise ModelError(
            f"{self._endpoint.where} does not take a request ({refusal}): check encoder.model, and encoder.dimensions, "
            "which not every model takes"
        )

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The texts' vectors. `Unfit` when the endpoint does not take them as they are, `ModelError` when it cannot answer."""
        return self._embed(texts, ATTEMPTS)

    def refused(self, characters: int) -> ModelError:
        """The error about a text that is refused even when it is cut."""
        return ModelError(
            f"{self._endpoint.where} refuses a text of {characters:,} characters, even when it is cut: check the endpoint's "
            "own log, and that encoder.model embeds text"
        )

    def _embed(self, texts: Sequence[str], attempts: int) -> Embeddings:
        request: dict[str, Any] = {
            "model": self._settings.model,
            # JSON and UTF-8 have no half a surrogate pair; "?" is what UTF-8 makes of it.
            "input": [text.encode("utf-8", "replace").decode("utf-8") for text in texts],
            "encoding_format": self._format,
        }
        if self._settings.dimensions:
            request["dimensions"] = self._settings.dimensions
        return self._endpoint.ask(
            "/embeddings", request, lambda content: self._read(content, len(texts)), attempts=attempts
        )

    def _read(self, content: bytes, count: int) -> Embeddings:
        try:
            document = json.loads(content)
            rows, usage = document["data"], document.get("usage")
            if len(rows) != count:
                raise self._endpoint.garbled(f"has {len(rows)} vectors for {count} texts")
            order = [row.get("index", place) for place, row in enumerate(rows)]
            if sorted(order) != list(range(count)):
                raise self._endpoint.garbled("has an index twice or beyond the texts")
            found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * count
            for place, row in zip(order, rows, strict=True):
                found[place] = _vector(row["embedding"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, binascii.Error):
            raise self._endpoint.garbled("is no list of embeddings") from None
        dimension = self._dimension or len(found[0])
        for vector in found:
            if len(vector) != dimension or not dimension:
                raise self._endpoint.garbled(
                    f"has a vector of {len(vector)} numbers where {dimension or 'some'} are expected"
                )
        vectors = np.stack(found)
        if not np.isfinite(vectors).all():
            raise self._endpoint.garbled("has a number that is not finite")
        tokens = usage.get("total_tokens") or usage.get("prompt_tokens") if isinstance(usage, dict) else 0
        return Embeddings(vectors, tokens if isinstance(tokens, int) and tokens > 0 else 0)


def _vector(given: object) -> NDArray[np.float32]:
    """A vector as base64 of little-endian float32, or as numbers."""
    if isinstance(given, str):
        return np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4").astype(np.float32)
    vector = np.array(given, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError("no vector")
    with np.errstate(over="ignore"):
        return vector.astype(np.float32)
