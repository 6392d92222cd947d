"""An OpenAI-compatible embeddings endpoint: a hosted model, or a model server of one's own (vLLM, TEI, Ollama, LiteLLM).

`POST {encoder.url}/embeddings` with `model`, `input` and `encoding_format`. The texts leave this process: what is sent is
the prepared text, and nothing else of a turn. Neither texts nor the key are in any error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.embeddings_api import Embeddings, EmbeddingsApi
from monitor.encoding.encoder import each_once, unit_rows
from monitor.endpoint import Unfit
from monitor.errors import ModelError, SettingError
from monitor.machine import cores
from monitor.progress import Advance, Progress, Silent
from monitor.settings import EncoderSettings

__all__ = ["EndpointEncoder", "Usage"]

#: Characters a request, so that a few long texts do not pass a server's limit of tokens a request.
BATCH_CHARACTERS = 64_000

#: Texts that are in flight or waiting to be sent: bounds the memory of a call with a million texts.
WINDOW_TEXTS = 4_096

#: A text that the model finds too long is cut to half, again and again, but never below this.
LEAST_CHARACTERS = 200

#: What the endpoint is asked first: it says how many numbers a vector has, and whether base64 is known there.
_PROBE = "where is my parcel"


class EndpointEncoder:
    """The endpoint's vectors at unit length.

    A text without a letter is not sent (most endpoints refuse an empty one) and has the first axis. A text that the model
    refuses is cut to half its characters until it is taken; the rest is not seen, and `usage` says of how many texts.

    `name` holds model, host and dimension: whoever puts another model behind the same name must give it a new one, or its
    vectors would meet those of the old.
    """

    def __init__(self, settings: EncoderSettings, *, wait: Callable[[float], object] | None = None) -> None:
        """Asks the endpoint for one vector. `SettingError` for settings that cannot be, `ModelError` when it cannot answer."""
        if not settings.model:
            raise SettingError(
                "setting encoder.model = '' must name the endpoint's model when encoder.kind = 'openai': "
                "such as text-embedding-3-small"
            )
        self._api = EmbeddingsApi(settings, wait=wait)
        self._batch_texts, self._at_a_time = settings.batch_texts, settings.threads or cores()
        self._lock, self.usage = threading.Lock(), Usage()
        self.dimension = self._api.probe(_PROBE)
        if settings.dimensions and settings.dimensions != self.dimension:
            raise ModelError(
                f"encoder.dimensions = {settings.dimensions}, and the endpoint at encoder.url = {settings.url!r} gives vectors "
                f"of {self.dimension} numbers for encoder.model = {settings.model!r}: set it to {self.dimension} or 0"
            )
        self.name = f"{settings.model}@{urlsplit(settings.url).netloc}/{self.dimension}"

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        return each_once(texts, lambda distinct: self._encode(distinct, progress or Silent()))

    def _encode(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        # Zero where nothing was sent: `unit_rows` makes it the first axis.
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        with progress.task("encode", len(texts), "texts") as task:
            sent = [row for row, text in enumerate(texts) if text.strip()]
            task.advance(len(texts) - len(sent))
            for start in range(0, len(sent), WINDOW_TEXTS):
                window = sent[start : start + WINDOW_TEXTS]
                batches = list(_batches([len(texts[row]) for row in window], self._batch_texts))
                self._run([[window[place] for place in batch] for batch in batches], texts, vectors, task)
        return unit_rows(vectors)

    def _run(
        self,
        batches: Sequence[Sequence[int]],
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        task: Advance,
    ) -> None:
        self._api.given_up.clear()
        pool = ThreadPoolExecutor(min(self._at_a_time, max(len(batches), 1)), thread_name_prefix="encode")
        try:
            answers = pool.map(lambda rows: self._ask([texts[row] for row in rows]), batches)
            for rows, found in zip(batches, answers, strict=True):
                vectors[list(rows)] = found
                task.advance(len(rows), self.usage.note)
        finally:
            # After an error or Ctrl-C nobody wants the batches that still wait, or are to be tried again.
            self._api.given_up.set()
            pool.shutdown(cancel_futures=True)

    def _ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of a batch; the texts that the model refuses are found by halves, and cut."""
        try:
            answer = self._api.embed(texts)
        except Unfit:
            if len(texts) > 1:
                half = len(texts) // 2
                return np.concatenate([self._ask(texts[:half]), self._ask(texts[half:])])
            return self._ask_cut(texts[0])
        self._heard(answer)
        return answer.vectors

    def _ask_cut(self, text: str) -> NDArray[np.float32]:
        length = len(text)
        while length > LEAST_CHARACTERS:
            length = max(length // 2, LEAST_CHARACTERS)
            try:
                answer = self._api.embed([text[:length].rstrip() or text[:length]])
            except Unfit:
                continue
            self._heard(answer, cut=1)
            return answer.vectors
        raise self._api.refused(len(text))

    def _heard(self, answer: Embeddings, *, cut: int = 0) -> None:
        with self._lock:  # several threads ask
            was = self.usage
            self.usage = Usage(was.requests + 1, was.tokens + answer.tokens, was.texts_cut + cut)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an encoder asked of its endpoint so far. `tokens` is as the endpoint counts them, 0 where it does not."""

    requests: int = 0
    tokens: int = 0
    texts_cut: int = 0

    @property
    def note(self) -> str:
        """In words, for beside the progress.

        >>> Usage(12, 34_567, 1).note
        '34,567 tokens, 1 text cut'
        """
        facts = [f"{self.tokens:,} tokens"] if self.tokens else []
        facts += [f"{self.texts_cut:,} text{'s' if self.texts_cut > 1 else ''} cut"] if self.texts_cut else []
        return ", ".join(facts)


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Positions in order, at most `most` together and `BATCH_CHARACTERS` characters, but at least one.

    >>> list(_batches([1, 2, 64_000, 70_000, 3], 2))
    [[0, 1], [2], [3], [4]]
    """
    batch: list[int] = []
    characters = 0
    for place, length in enumerate(lengths):
        if batch and (len(batch) == most or characters + length > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(place)
        characters += length
    if batch:
        yield batch
