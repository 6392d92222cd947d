"""A chat endpoint on this machine: names topics by their first keywords, or says what a test tells it to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from monitor.settings import Settings
from tests.encoding.embeddings_server import KEY, Endpoint, Said, embeddings_server

MODEL = "small-chat"
#: How a topic stands in a request.
TOPIC = re.compile(r"Topic (\w+):\n<(data-\w+)>\nkeywords: (.*)\n((?:message: .*\n)*)</\2>")

Names = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A topic in a request."""

    topic_id: str
    keywords: tuple[str, ...]
    messages: tuple[str, ...]


def asked_for(request: Mapping[str, Any]) -> list[Asked]:
    user = request["messages"][1]["content"]
    return [
        Asked(one[1], tuple(one[3].split(", ")), tuple(re.findall("^message: (.*)$", one[4], re.MULTILINE)))
        for one in TOPIC.finditer(user)
    ]


def said(content: str, *, tokens: tuple[int, int] = (100, 10)) -> Said:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Said(body={"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage})


def naming(names: Callable[[Asked], str | None]) -> Callable[[Mapping[str, Any]], Said]:
    """An answer that gives each topic that name; None leaves it out."""

    def answer(request: Mapping[str, Any]) -> Said:
        given = [{"id": one.topic_id, "name": name} for one in asked_for(request) if (name := names(one)) is not None]
        return said(json.dumps({"names": given}))

    return answer


def by_keywords(topic: Asked) -> str:
    """Unique for a topic, and unlike its label."""
    return f"About {' and '.join(topic.keywords[:3])} {topic.topic_id[-2:]}"[:60]


@contextmanager
def chat_server(names: Callable[[Asked], str | None] = by_keywords) -> Iterator[Endpoint]:
    with embeddings_server(naming(names)) as endpoint:
        yield endpoint


def naming_settings(endpoint: Endpoint, **changes: Any) -> Settings:
    usual = {"url": endpoint.url, "model": MODEL, "api_key": KEY, "allow_private": True, "timeout_seconds": 5.0}
    settings = Settings()
    for key, value in {**usual, **changes}.items():
        section = "" if "." in key else "naming."
        settings = settings.with_value(f"{section}{key}", value, source="test")
    return settings
