"""One question to an OpenAI-compatible chat endpoint, its answer, and what it counted; see `monitor.endpoint`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monitor.endpoint import Address, Endpoint, Unfit
from monitor.errors import SettingError
from monitor.naming.question import Question
from monitor.settings import NamingSettings

__all__ = ["ChatApi", "Said"]

#: Who asks can do without: the next analysis asks again.
_ATTEMPTS = 3
#: More tokens than this in one answer nobody counts; a larger figure is a mistake.
_MOST_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """The model's words, and the tokens that the endpoint counted, 0 where it does not."""

    content: str
    input_tokens: int
    output_tokens: int


class ChatApi:
    """Asks a question, gets words."""

    def __init__(
        self, settings: NamingSettings, *, deadline: float, wait: Callable[[float], object] | None = None
    ) -> None:
        """Raises `SettingError` for settings that cannot be. Connects to nothing. `deadline` is that of `Endpoint`."""
        if not settings.model:
            raise SettingError("setting naming.model = '' must name the endpoint's model when naming.url is set")
        self._model = settings.model
        address = Address(
            section="naming",
            url=settings.url,
            model=settings.model,
            api_key=settings.api_key,
            allow_private=settings.allow_private,
            timeout_seconds=settings.timeout_seconds,
            purpose="answers to chats",
        )
        self._endpoint = Endpoint(address, wait=wait, deadline=deadline)
        # Some models take neither of both, and say so by refusing the request.
        self._bounded, self._heard = True, False

    @property
    def requests(self) -> int:
        """How many were sent, those that came to nothing included."""
        return self._endpoint.requests

    @property
    def where(self) -> str:
        return self._endpoint.where

    def ask(self, question: Question, *, tokens: int) -> Said:
        """`Unfit` when the endpoint does not take the question, `ModelError` when it cannot answer. At most so many `tokens`
        are answered, where the endpoint knows that bound."""
        try:
            said = self._ask(question, {"temperature": 0, "max_tokens": tokens} if self._bounded else {})
        except Unfit:
            if self._heard or not self._bounded:
                raise
            said = self._ask(question, {})
            self._bounded = False
        self._heard = True
        return said

    def _ask(self, question: Question, bounds: dict[str, Any]) -> Said:
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        request = {"model": self._model, "messages": messages, **bounds}
        return self._endpoint.ask("/chat/completions", request, self._read, attempts=_ATTEMPTS)

    def _read(self, content: bytes) -> Said:
        try:
            document = json.loads(content)
            said = document["choices"][0]["message"]["content"]
            if isinstance(said, list):
                said = "".join(part["text"] for part in said if part.get("type") == "text")
            usage = document.get("usage")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise self._endpoint.garbled("is no chat completion") from None
        counts = usage if isinstance(usage, dict) else {}
        # No words at all, as of a model that spent its tokens on thinking, are an answer that names nothing.
        return Said(
            said if isinstance(said, str) else "",
            _tokens(counts, "prompt_tokens"),
            _tokens(counts, "completion_tokens"),
        )


def _tokens(counts: dict[str, Any], name: str) -> int:
    found = counts.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _MOST_TOKENS else 0
