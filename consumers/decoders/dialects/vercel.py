"""Vercel's AI SDK: an outer span `ai.streamText` with `ai.prompt`, and an inner one a step with `ai.prompt.messages`.

Both say the same text, and one of them may come alone, so both count as calls of a model. Earlier versions write
`ai.result.*` for `ai.response.*`, and tokens as `promptTokens` and `completionTokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.dialects import genai
from consumers.decoders.dialects.fields import first, rest, values
from consumers.decoders.exchange import Message
from consumers.decoders.otlp import Span
from consumers.decoders.step import Step, call_of, messages_of, parsed
from consumers.fields import check_text, type_word
from monitor.errors import RecordError

__all__ = ["MARKS", "read"]

#: One of these is on every span of the SDK that tells of a conversation.
MARKS = ("ai.operationId", "ai.prompt", "ai.prompt.messages", "ai.response.text", "ai.result.text", "ai.toolCall.name")

_FIELDS = {
    "model": ("ai.response.model", "gen_ai.response.model", "ai.model.id", "gen_ai.request.model"),
    "provider": ("ai.model.provider", "gen_ai.system"),
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "gen_ai.usage.input_tokens"),
    "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"),
    "time_to_first_token_ms": ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
}
_TEXT = ("ai.response.text", "ai.result.text", "ai.response.object", "ai.result.object")
_CALLS = ("ai.response.toolCalls", "ai.result.toolCalls")
_OURS = "ai.telemetry.metadata."
#: Headers of the request often hold a key.
_READ = ("ai.prompt", "ai.response.", "ai.result.", "ai.toolCall.", "ai.usage.", "ai.schema", "ai.request.headers.")
_KNOWN = (*(name for names in _FIELDS.values() for name in names), "operation.name", "resource.name")
_EMBEDS = ("ai.embed", "ai.embedMany", "ai.rerank")


def read(span: Span) -> Step:
    """What a span of the SDK says."""
    attributes, where = span.attributes, f"{span.where}.attributes"
    found = values(where, attributes, _FIELDS)
    operation = attributes.get("ai.operationId")
    if "ai.toolCall.name" in attributes or operation == "ai.toolCall":
        name = attributes.get("ai.toolCall.name")
        call = call_of(name, attributes.get("ai.toolCall.args"), attributes.get("ai.toolCall.id"))
        named = {"name": name} if isinstance(name, str) else {}
        return Step("tool", tool_calls=[call] if "id" in call else (), values=named)
    if isinstance(operation, str) and operation.startswith(_EMBEDS):
        return Step("retriever", values=found)
    inner = "ai.prompt.messages" in attributes
    messages, system = _prompt(where, attributes)
    text = first(attributes, _TEXT)
    asked = first(attributes, _CALLS)
    messages, _, earlier = genai.reply_of(messages, ())
    calls = _calls(where, asked)
    return Step(
        kind="llm",
        messages=messages,
        reply=None if text is None else check_text(f"{where}.{text[0]}", text[1]),
        # The outer span ends with the last step: what it says is the answer.
        finished=not (inner and calls),
        system_prompt=system,
        tool_calls=[*earlier, *calls],
        values=found,
        metadata=_metadata(attributes),
    )


def _prompt(where: str, attributes: Mapping[str, Any]) -> tuple[tuple[Message, ...], str | None]:
    """The messages sent, and the system prompt beside them."""
    if attributes.get("ai.prompt.messages") is not None:
        return messages_of(f"{where}.ai.prompt.messages", attributes["ai.prompt.messages"], "user"), None
    prompt = parsed(attributes.get("ai.prompt"))
    if not isinstance(prompt, dict):
        return messages_of(f"{where}.ai.prompt", prompt, "user"), None
    system = prompt.get("system")
    if isinstance(system, dict | list):
        system = "\n".join(one.text for one in messages_of(f"{where}.ai.prompt.system", system, "system"))
    if system is not None:
        check_text(f"{where}.ai.prompt.system", system)
    name = "messages" if prompt.get("messages") is not None else "prompt"
    raw = prompt.get(name)
    # A prompt is the user's own words, even where they are JSON.
    raw = [{"role": "user", "content": raw}] if isinstance(raw, str) else raw
    return messages_of(f"{where}.ai.prompt.{name}", raw, "user"), system


def _calls(where: str, asked: tuple[str, Any] | None) -> list[Any]:
    if asked is None:
        return []
    raw = parsed(asked[1])
    if not isinstance(raw, list):
        raise RecordError(f"{where}.{asked[0]}: expected a list of calls, got {type_word(raw)}")
    return [
        call_of(one.get("toolName"), one.get("input", one.get("args")), one.get("toolCallId"))
        for one in raw
        if isinstance(one, dict)
    ]


def _metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the application says of the call goes by its own names."""
    kept = rest(attributes, _KNOWN, (*_READ, *genai.MARKS))
    return {name.removeprefix(_OURS): value for name, value in kept.items()}
