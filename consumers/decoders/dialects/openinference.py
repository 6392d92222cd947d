"""OpenInference: `openinference.span.kind` on every span, messages in indexed attributes, other input as a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consumers.decoders.dialects import genai
from consumers.decoders.dialects.fields import evaluation, first, judgement, rest, values
from consumers.decoders.exchange import Message
from consumers.decoders.otlp import Span, in_order, nested
from consumers.decoders.step import Judgement, Step, messages_of, parsed, text_of
from consumers.fields import check, type_word
from monitor.errors import RecordError

__all__ = ["KIND", "read"]

KIND = "openinference.span.kind"

_FIELDS = {
    "model": ("llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name"),
    "provider": ("llm.provider", "llm.system"),
    "input_tokens": ("llm.token_count.prompt",),
    "output_tokens": ("llm.token_count.completion",),
    "cost_usd": ("llm.cost.total",),
    "prompt_template": ("llm.prompt_template.template",),
    "prompt_version": ("llm.prompt_template.version",),
}
_KINDS = {
    "LLM": "llm",
    "AGENT": "agent",
    "TOOL": "tool",
    **dict.fromkeys(("RETRIEVER", "RERANKER", "EMBEDDING"), "retriever"),
    **dict.fromkeys(("EVALUATOR", "GUARDRAIL"), "judge"),
}
#: Where an application's input keeps the user's words, when it is an object, and its output the reply.
_ASKED = ("input", "question", "query", "query_str", "user_input", "user_message", "message", "prompt", "text")
_ANSWERED = ("output", "answer", "response", "result", "content", "text", "message")
_FIRST_TOKEN = "First Token Stream Event"  # noqa: S105
_RESULTS = (("annotations", "annotation"), ("evaluations", "evaluation"))
_READ = (
    *("llm.input_messages", "llm.output_messages", "llm.prompts", "llm.choices", "llm.tools", "llm.prompt_template."),
    *("llm.token_count.", "llm.cost.", "input.", "output.", "retrieval.documents", "reranker.", "embedding."),
    *("tool", "annotation", "evaluation", "trace.annotations", "trace.evaluations", "session.annotations"),
    *("session.evaluations", "gen_ai.", "ai."),
)
_KNOWN = (*(name for names in _FIELDS.values() for name in names), KIND, "metadata")


def read(span: Span) -> Step:
    """What a span says in this convention. Raises `RecordError` for a kind that is no text."""
    attributes, where = span.attributes, f"{span.where}.attributes"
    word = attributes[KIND]
    if not isinstance(word, str):
        raise RecordError(f"{where}.{KIND}: expected a text, got {type_word(word)}")
    kind = _KINDS.get(word.upper(), "chain")
    found = values(where, attributes, _FIELDS)
    variables = parsed(attributes.get("llm.prompt_template.variables"))
    if isinstance(variables, dict):
        found["prompt_variables"] = check("prompt_variables", variables)
    waited = next((event.time_ns for event in span.events if event.name == _FIRST_TOKEN), None)
    if waited is not None and span.start_ns is not None and waited >= span.start_ns:
        found["time_to_first_token_ms"] = (waited - span.start_ns) / 1e6
    name = first(attributes, ("tool.name", "agent.name"))
    if name is not None and isinstance(name[1], str):
        found["name"] = name[1]
    judgements = list(_judgements(span))
    documents = _documents(where, attributes)
    if kind in ("tool", "retriever", "judge"):
        return Step(kind, documents=documents, values=found, judgements=judgements)
    messages, reply, calls, finished = _exchange(where, attributes, kind)
    return Step(
        kind=kind,
        messages=messages,
        reply=reply,
        finished=finished,
        tool_calls=calls,
        documents=documents,
        values=found,
        metadata=_metadata(attributes),
        judgements=judgements,
    )


def _exchange(where: str, attributes: Mapping[str, Any], kind: str) -> Any:
    """Messages sent, reply, calls of tools, and whether the reply answers the user."""
    asked = _messages(where, "llm.input_messages", attributes, "user")
    replies = _messages(where, "llm.output_messages", attributes, "assistant")
    if not asked:
        prompts = [one.get("prompt", one) for one in nested(attributes, "llm.prompts") if isinstance(one, dict)]
        asked = tuple(
            Message("user", text_of(f"{where}.llm.prompts", one.get("text")), place)
            for place, one in enumerate(prompts)
            if isinstance(one, dict)
        )
    if not asked:
        asked = _said(f"{where}.input.value", attributes.get("input.value"), _ASKED, "user")
    if not replies:
        replies = _said(f"{where}.output.value", attributes.get("output.value"), _ANSWERED, "assistant")
        replies = tuple(one for one in replies if one.role == "assistant")[-1:]
    messages, reply, calls = genai.reply_of(asked, replies)
    return messages, reply, calls, kind != "llm" or not any(one.tool_calls for one in replies)


def _messages(where: str, prefix: str, attributes: Mapping[str, Any], role: str) -> tuple[Message, ...]:
    whole = parsed(attributes.get(prefix))
    if not isinstance(whole, list | None):
        raise RecordError(f"{where}.{prefix}: expected a list of messages, got {type_word(whole)}")
    found = nested(attributes if whole is None else {prefix: whole}, prefix)
    return messages_of(f"{where}.{prefix}", [_message(one) for one in found], role)


def _message(one: Any) -> Any:
    """A message in the words of the other formats."""
    message = one.get("message", one) if isinstance(one, dict) else one
    if not isinstance(message, dict):
        return message
    parts = [_part(part) for part in in_order(message.get("contents"))]
    calls = [_call(call) for call in in_order(message.get("tool_calls"))]
    if message.get("function_call_name"):
        calls.append(_function(message["function_call_name"], message.get("function_call_arguments_json"), None))
    content = message.get("content")
    # Some write the text both ways.
    return {"role": message.get("role"), "content": parts or content, "tool_calls": calls}


def _part(part: Any) -> Any:
    inner = part.get("message_content", part) if isinstance(part, dict) else part
    if not isinstance(inner, dict):
        return inner
    if inner.get("type") == "tool_use":
        call = _call(inner)
        return {"type": "tool_use", "id": call.get("id"), **call.get("function", {})}
    return {key: value for key, value in inner.items() if key in ("type", "text")}


def _call(call: Any) -> Any:
    inner = call.get("tool_call", call) if isinstance(call, dict) else {}
    function = inner.get("function") if isinstance(inner, dict) else None
    if not isinstance(function, dict):
        return {}
    return _function(function.get("name"), function.get("arguments"), inner.get("id"))


def _function(name: Any, arguments: Any, identity: Any) -> dict[str, Any]:
    return {"id": identity, "function": {"name": name, "arguments": arguments}}


def _said(where: str, raw: Any, names: tuple[str, ...], role: str) -> tuple[Message, ...]:
    """Messages in an input or output: a text, messages, or an object that holds either. What is none, says nothing."""
    value = parsed(raw)
    for _ in range(3):
        if not isinstance(value, dict) or "role" in value:
            break
        inner = value.get("messages")
        value = inner if isinstance(inner, list) else next((value[name] for name in names if value.get(name)), None)
    if isinstance(value, str):
        # What looks like an object and is no JSON, is how a program prints one, and nobody's words.
        printed = value.strip()[:1] in ("{", "[") and value.strip()[-1:] in ("}", "]")
        return () if printed else (Message(role, text_of(where, value), 0),)
    listed = [value] if isinstance(value, dict) else value
    # LangGraph nests the list of messages once more.
    listed = listed[0] if isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], list) else listed
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return ()
    known = [_chat(one) for one in listed]
    return messages_of(where, known) if known and all(isinstance(one.get("role"), str) for one in known) else ()


def _chat(one: dict[str, Any]) -> dict[str, Any]:
    """LangChain says `type` where others say `role`, and may put the message under `kwargs`."""
    kwargs = one.get("kwargs")
    one = kwargs if isinstance(kwargs, dict) else one
    return {**one, "role": one.get("role") or one.get("type")}


def _documents(where: str, attributes: Mapping[str, Any]) -> list[Any]:
    found = []
    for prefix in ("reranker.output_documents", "retrieval.documents"):
        for one in nested(attributes, prefix):
            document = one.get("document", one) if isinstance(one, dict) else None
            if not isinstance(document, dict):
                raise RecordError(f"{where}.{prefix}: expected documents, got {type_word(one)}")
            kept = {key: document.get(key) for key in ("id", "content", "score")}
            kept["metadata"] = parsed(document.get("metadata"))
            found.append({key: value for key, value in kept.items() if value is not None})
    return found


def _metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    own = parsed(attributes.get("metadata"))
    kept = rest(attributes, _KNOWN, _READ)
    if own is None:
        return kept
    return {**kept, **own} if isinstance(own, dict) else {**kept, "metadata": own}


def _judgements(span: Span) -> Iterator[Judgement]:
    for scope in ("", "trace."):
        for listed, one in _RESULTS:
            prefix = f"{scope}{listed}"
            for place, item in enumerate(nested(span.attributes, prefix)):
                found = item.get(one, item) if isinstance(item, dict) else None
                if isinstance(found, dict):
                    where = f"{span.where}.attributes.{prefix}.{place}.{one}."
                    result = judgement(where, found, ("score", "label"), None, bool(scope))
                    if result is not None:
                        yield result
    for event in span.events:
        if event.name.startswith("gen_ai.evaluation"):
            result = evaluation(f"{span.where}.events.", event.attributes, event)
            if result is not None:
                yield result
