"""A list of messages, cut into turns: each user message with what answered it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Exchange", "LastExchange", "Message", "exchanges", "last_exchange"]


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


@dataclass(slots=True)
class LastExchange:
    """The last user message of a request, how many the user sent before it, and what has followed it so far."""

    user: Message
    index: int
    system_prompt: str | None
    reply: str | None = None
    tool_calls: list[Any] = field(default_factory=list)

    def loop_id(self) -> str | None:
        """The id of the first call of a tool since the user spoke.

        Every request of one tool loop repeats the user's message and this call: it says that they are one turn.
        """
        first = self.tool_calls[0] if self.tool_calls else None
        found = first.get("id") if isinstance(first, dict) else None
        return found if isinstance(found, str) and found else None


def last_exchange(messages: Iterable[Message]) -> LastExchange | None:
    """The exchange that a request is about; None without a user's text. What came before is in earlier requests."""
    found: LastExchange | None = None
    system_prompt: str | None = None
    for message in messages:
        if message.role == "system":
            system_prompt = message.text or None
        elif message.role == "user":
            found = LastExchange(message, found.index + 1 if found else 0, system_prompt)
        elif found and message.role == "assistant":
            found.reply = message.text or found.reply
            found.tool_calls.extend(message.tool_calls)
    return found if found and found.user.text.strip() else None
