"""A list of messages, cut into turns: each user message with what answered it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Exchange", "Message", "exchanges"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `role` is system, user, assistant or tool; `position` is its place in the conversation."""

    role: str
    text: str
    position: int
    modalities: tuple[str, ...] = ()
    tool_calls: tuple[Any, ...] = ()


@dataclass(slots=True)
class Exchange:
    """A user message, the system prompt in force, and the last reply before the next user message."""

    user: Message
    system_prompt: str | None
    reply: str | None = None
    tool_calls: list[Any] = field(default_factory=list)


def exchanges(messages: Iterable[Message]) -> list[Exchange]:
    """Exchanges in order. Messages before the first user message answer somebody who is not here, and are left out."""
    found: list[Exchange] = []
    system_prompt: str | None = None
    for message in messages:
        if message.role == "system":
            system_prompt = message.text or None
        elif message.role == "user":
            found.append(Exchange(message, system_prompt))
        elif found and message.role == "assistant":
            # An assistant may speak, call a tool and speak again: the last words are the reply.
            found[-1].reply = message.text or found[-1].reply
            found[-1].tool_calls.extend(message.tool_calls)
    return [exchange for exchange in found if exchange.user.text.strip()]
