"""Formats of a fine-tuning set: each makes one JSON line of one example."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.errors import UsageError
from monitor.records import Turn

__all__ = ["FORMATS", "Example", "Format", "Message", "example_of", "format_named"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """What a model is to learn: the last message, which is the assistant's, given the others."""

    messages: tuple[Message, ...]


Format = Callable[[Example], Mapping[str, Any]]


def example_of(turn: Turn, context: Sequence[Turn] = ()) -> Example:
    """The turn's system prompt, the earlier turns of its conversation, its user message and its reply.

    Earlier turns without a reply are left out, so that user and assistant alternate.
    """
    messages = [Message("system", turn.system_prompt)] if turn.system_prompt and turn.system_prompt.strip() else []
    for said in (*context, turn):
        reply = said.assistant_text
        if reply and reply.strip():
            messages += (Message("user", said.user_text), Message("assistant", reply))
    return Example(tuple(messages))


def openai_chat(example: Example) -> Mapping[str, Any]:
    """`{"messages": [...]}`, as OpenAI's fine-tuning takes it and most other tools read it.

    Earlier replies have `"weight": 0`: they are there as context, and without it every reply would be learnt, also those
    that users challenged.
    """
    *before, last = example.messages
    messages: list[dict[str, Any]] = []
    for message in before:
        weight = {"weight": 0} if message.role == "assistant" else {}
        messages.append({"role": message.role, "content": message.content, **weight})
    return {"messages": [*messages, {"role": last.role, "content": last.content}]}


FORMATS: Mapping[str, Format] = {"openai-chat": openai_chat}


def format_named(name: str) -> Format:
    """The format of that name. Raises `UsageError` with the nearest known one."""
    if name in FORMATS:
        return FORMATS[name]
    nearest = difflib.get_close_matches(name, list(FORMATS), n=1, cutoff=0.3)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(FORMATS)}"
    raise UsageError(f"unknown export format {name!r}: {hint}")
