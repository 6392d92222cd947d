"""OpenTelemetry's GenAI conventions, in the forms that exporters have used.

- current: `gen_ai.input.messages`, `gen_ai.output.messages`, `gen_ai.system_instructions`, as JSON or as structured
  values, on the span or on its event `gen_ai.client.inference.operation.details`;
- events: `gen_ai.user.message`, `gen_ai.choice` and so on, with `content` or `message`, or all of it as JSON in
  `gen_ai.event.content`; Logfire puts the same as a list into the attribute `events`;
- earlier events: `gen_ai.content.prompt` and `gen_ai.content.completion`, JSON in `gen_ai.prompt` and `gen_ai.completion`;
- indexed: `gen_ai.prompt.0.content`, `gen_ai.completion.0.content` (OpenLLMetry; before that `llm.prompts.0.content`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consumers.decoders.dialects.fields import evaluation, first, rest, values
from consumers.decoders.exchange import Message
from consumers.decoders.otlp import Span, in_order, nested
from consumers.decoders.step import Judgement, Step, call_of, messages_of, parsed, text_of

__all__ = ["FIELDS", "INPUT", "MARKS", "ours", "read", "reply_of", "sent"]

#: Messages sent, and messages that came back.
Sides = tuple[tuple[Message, ...], tuple[Message, ...]]

#: How the names of the conventions' attributes and events begin.
MARKS = ("gen_ai.", "traceloop.", "llm.request.type")

FIELDS = {
    "model": ("gen_ai.response.model", "gen_ai.request.model"),
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    "cost_usd": ("gen_ai.usage.cost", "gen_ai.usage.cost_usd", "operation.cost"),
    "time_to_first_token_ms": ("gen_ai.response.time_to_first_chunk",),
    "prompt_version": ("gen_ai.prompt.version",),
}
_TOOLS = ("execute_tool", "tool")
_RETRIEVERS = ("retrieval", "embeddings", "embedding", "rerank", "vectordb")
_AGENTS = ("invoke_agent", "create_agent", "invoke_workflow", "agent")
_CHAINS = ("workflow", "task")
INPUT = "gen_ai.input.messages"
_OUTPUT, _SYSTEM = "gen_ai.output.messages", "gen_ai.system_instructions"
_DETAILS = "gen_ai.client.inference.operation.details"
_PROMPTS = (("gen_ai.prompt", "gen_ai.completion"), ("llm.prompts", "llm.completions"))
_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "choice",
}
_DOCUMENTS = "gen_ai.retrieval.documents"
#: Their content is read into fields; what is left is kept as metadata.
_READ = (
    *(f"gen_ai.{side}.{digit}" for side in ("prompt", "completion") for digit in range(10)),
    *(f"gen_ai.{name}" for name in ("evaluation.", "input.", "output.", "system_instructions", "tool.")),
    *("llm.prompts", "llm.completions", "traceloop.entity.", "events", "all_messages_events"),
)
_KNOWN = (
    *(name for names in FIELDS.values() for name in names),
    _DOCUMENTS,
    "gen_ai.prompt",
    "gen_ai.completion",
)


def ours(names: Iterable[str]) -> bool:
    """Whether any name of an attribute or an event is of these conventions."""
    return any(name.startswith(MARKS) for name in names)


def read(span: Span) -> Step | None:
    """What a span says in this convention; None when it says nothing in it."""
    judgements = list(_judgements(span))
    if not (ours(span.attributes) or ours(event.name for event in span.events) or "events" in span.attributes):
        return None
    attributes = dict(span.attributes)
    for event in span.events:
        if event.name == _DETAILS:
            attributes = {**event.attributes, **attributes}
    sides = sent(f"{span.where}.attributes", attributes) or _in_events(span) or ((), ())
    documents = parsed(attributes.get(_DOCUMENTS))
    name = first(attributes, ("gen_ai.tool.name", "gen_ai.agent.name", "traceloop.entity.name"))
    found = values(f"{span.where}.attributes", attributes, FIELDS)
    if "time_to_first_token_ms" in found:
        found["time_to_first_token_ms"] *= 1000  # the convention counts in seconds
    if name is not None and isinstance(name[1], str):
        found["name"] = name[1]
    kind = _kind(attributes, sides)
    messages, reply, calls = reply_of(*sides)
    if kind == "tool" and not calls and "name" in found:
        calls = _executed(attributes)
    system = attributes.get(_SYSTEM)
    return Step(
        kind=kind,
        messages=messages,
        reply=reply,
        finished=kind != "llm" or not _calls_tool(sides[1]),
        system_prompt=text_of(f"{span.where}.attributes.{_SYSTEM}", parsed(system)) or None,
        tool_calls=calls,
        documents=documents if isinstance(documents, list) else (),
        values=found,
        metadata=rest(attributes, _KNOWN, _READ),
        judgements=judgements,
    )


def sent(where: str, attributes: Mapping[str, Any]) -> Sides | None:
    """Messages sent and messages that came back, from attributes; None when they hold neither."""
    if attributes.get(INPUT) is not None or attributes.get(_OUTPUT) is not None:
        return (
            messages_of(f"{where}.{INPUT}", attributes.get(INPUT), "user"),
            messages_of(f"{where}.{_OUTPUT}", attributes.get(_OUTPUT), "assistant"),
        )
    for prompts, completions in _PROMPTS:
        sides = []
        for prefix, role in ((prompts, "user"), (completions, "assistant")):
            # The name alone holds all messages as JSON, or a plain text.
            whole = attributes.get(prefix)
            listed = [_indexed(one) for one in nested(attributes, prefix)] if not isinstance(whole, str) else whole
            sides.append(messages_of(f"{where}.{prefix}", listed, role))
        if sides[0] or sides[1]:
            return sides[0], sides[1]
    for name in ("events", "all_messages_events"):
        found = parsed(attributes.get(name))
        if isinstance(found, list) and found:
            return _of_events(
                f"{where}.{name}", ((one.get("event.name"), one) for one in found if isinstance(one, dict))
            )
    return None


def reply_of(
    messages: tuple[Message, ...], replies: tuple[Message, ...]
) -> tuple[tuple[Message, ...], str | None, list[Any]]:
    """The messages, the reply, and the calls of tools since that message.

    Some log the whole conversation as sent: what follows the user's last message is then the reply.
    """
    last = max((place for place, one in enumerate(messages) if one.role == "user"), default=-1)
    since = messages[last + 1 :] if last >= 0 else ()
    # Choices are alternatives: the first is what the user saw.
    choice = next((one for one in replies if one.role == "assistant" and one.text.strip()), None)
    if choice is None and not replies and since and since[-1].role == "assistant":
        choice = since[-1]
    calls = [call for one in (*since, *replies) if one.role == "assistant" for call in one.tool_calls]
    return messages, choice.text if choice else None, calls


def _calls_tool(replies: tuple[Message, ...]) -> bool:
    return any(one.tool_calls for one in replies)


def _indexed(one: Any) -> Any:
    """A message out of indexed names, its calls as a list."""
    if isinstance(one, dict) and isinstance(one.get("tool_calls"), dict):
        return {**one, "tool_calls": in_order(one["tool_calls"])}
    return one


def _in_events(span: Span) -> Sides | None:
    named = [event for event in span.events if event.name in _EVENTS]
    if named:
        return _of_events(f"{span.where}.events", ((event.name, event.attributes) for event in named))
    sides = []
    for name, key, role in (
        ("gen_ai.content.prompt", "gen_ai.prompt", "user"),
        ("gen_ai.content.completion", "gen_ai.completion", "assistant"),
    ):
        raw = next((event.attributes.get(key) for event in span.events if event.name == name), None)
        sides.append(messages_of(f"{span.where}.events.{key}", raw, role))
    return (sides[0], sides[1]) if sides[0] or sides[1] else None


def _of_events(where: str, events: Iterable[tuple[Any, Mapping[str, Any]]]) -> Sides:
    """Messages of events. A choice is a reply, and so is what an assistant said when no choice follows."""
    messages: list[Any] = []
    replies: list[Any] = []
    for name, attributes in events:
        role = _EVENTS.get(name) if isinstance(name, str) else None
        if role is None:
            continue
        body = parsed(attributes.get("gen_ai.event.content"))
        whole = body if isinstance(body, dict) else attributes
        if role == "choice":
            inner = parsed(whole.get("message"))
            if not isinstance(inner, dict):
                inner = {"content": inner if inner is not None else whole.get("content")}
            calls = inner.get("tool_calls") or whole.get("tool_calls")
            replies.append({**inner, "role": "assistant", "tool_calls": calls})
        else:
            content = body if isinstance(body, str) else whole.get("content", whole.get("gen_ai.content"))
            messages.append({"role": role, "content": content, "tool_calls": whole.get("tool_calls")})
    return messages_of(where, messages), messages_of(where, replies)


def _kind(attributes: Mapping[str, Any], sides: Sides) -> str:
    if "gen_ai.evaluation.name" in attributes:
        return "judge"
    for name in ("gen_ai.operation.name", "traceloop.span.kind", "gen_ai.span.kind"):
        word = attributes.get(name)
        if isinstance(word, str):
            for kind, words in (("tool", _TOOLS), ("retriever", _RETRIEVERS), ("agent", _AGENTS), ("chain", _CHAINS)):
                if word.lower() in words:
                    return kind
    talks = any(sides) or any(name.startswith(("gen_ai.request.", "gen_ai.usage.")) for name in attributes)
    return "llm" if talks else "chain"


def _executed(attributes: Mapping[str, Any]) -> list[Any]:
    """The call that a tool's span carries out: the same as the model asked for, and told from it by its id."""
    identity = attributes.get("gen_ai.tool.call.id")
    name = attributes.get("gen_ai.tool.name")
    return [call_of(name, attributes.get("gen_ai.tool.call.arguments"), identity)] if identity and name else []


def _judgements(span: Span) -> Iterator[Judgement]:
    own = evaluation(f"{span.where}.attributes.", span.attributes)
    if own is not None:
        yield own
    for event in span.events:
        if event.name.startswith("gen_ai.evaluation"):
            found = evaluation(f"{span.where}.events.", event.attributes, event)
            if found is not None:
                yield found
