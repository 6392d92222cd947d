"""Shapes of an eval item in the wild, and how each maps to `EvalItem`: one small table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from monitor.errors import RecordError
from monitor.records import EvalItem, short_hash

__all__ = ["PROMPT_FIELDS", "canonical", "read_item", "shape_of"]

_Reader = Callable[[Mapping[str, Any]], EvalItem]
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def read_item(record: Mapping[str, Any]) -> EvalItem:
    """An eval item from a record of a known shape. Raises `RecordError` when it has no prompt."""
    reader = shape_of(record)
    if reader is None:
        raise RecordError(f"no prompt: its fields are {', '.join(map(str, record)) or 'none'}")
    item = reader(record)
    if not item.prompt.strip():
        raise RecordError("the prompt is blank")
    return item if item.item_id else replace(item, item_id=short_hash(canonical(item)))


def shape_of(record: Mapping[str, Any]) -> _Reader | None:
    """The reader for a record's shape, by the field that holds the prompt."""
    return next((reader for name, reader in _SHAPES if record.get(name) is not None), None)


def canonical(item: EvalItem) -> str:
    """The item as text that is the same for equal items."""
    document = {
        "item_id": item.item_id,
        "prompt": item.prompt,
        "reference": item.reference,
        "label": item.label,
        "tags": list(item.tags),
        "messages": [dict(message) for message in item.messages],
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def _prompt(record: Mapping[str, Any]) -> EvalItem:
    """offmap's own form."""
    messages = record.get("messages")
    own = _common(record, _text(record, "prompt") or "")
    return replace(own, messages=_chat(messages)[2]) if messages else own


def _messages(record: Mapping[str, Any]) -> EvalItem:
    """OpenAI's form: the prompt is the last user message, the reference what follows it."""
    prompt, answer, messages = _chat(record["messages"])
    item = _common(record, prompt)
    # A single question is no conversation: the messages would only repeat it.
    return replace(item, reference=item.reference or answer, messages=messages if len(messages) > 1 else ())


def _turns(record: Mapping[str, Any]) -> EvalItem:
    """MT-Bench, Vicuna and Arena-Hard: `question_id`, `turns`, `category` or `cluster`.

    The prompt is the first turn: the second ("Rewrite your previous response ...") means nothing by itself. A category
    is a tag and no label, since a label names one intent and "writing" holds hundreds.
    """
    turns = record["turns"]
    if not isinstance(turns, list) or not turns:
        raise RecordError("turns: expected a list with the question")
    texts = [turn.get("content") if isinstance(turn, Mapping) else turn for turn in turns]
    if not all(isinstance(text, str) for text in texts):
        raise RecordError("turns: expected texts, or objects with a text in content")
    messages = tuple({"role": "user", "content": text} for text in texts)
    tags = tuple(record[name] for name in ("category", "cluster") if isinstance(record.get(name), str))
    references = record.get("reference")  # one a turn
    first = references[0] if isinstance(references, list) and references else references
    item = _common({**record, "reference": first}, str(texts[0]))
    return replace(item, tags=(*item.tags, *tags), messages=messages if len(messages) > 1 else ())


def _instruction(record: Mapping[str, Any]) -> EvalItem:
    """Self-Instruct and Alpaca: `instruction`, with its input and output beside it or in the first of `instances`."""
    instances = record.get("instances")
    first = instances[0] if isinstance(instances, list) and instances and isinstance(instances[0], Mapping) else record
    instruction, given = _text(record, "instruction") or "", _text(first, "input")
    prompt = f"{instruction}\n\n{given}" if given and given.strip() else instruction
    item = _common(record, prompt)
    return replace(item, reference=item.reference or _text(first, "output"))


#: The field that holds the prompt, and the reader of that shape; the first that a record has counts.
_SHAPES: tuple[tuple[str, _Reader], ...] = (
    ("prompt", _prompt),
    ("messages", _messages),
    ("turns", _turns),
    ("instruction", _instruction),
)
PROMPT_FIELDS = tuple(name for name, _ in _SHAPES)


def _common(record: Mapping[str, Any], prompt: str) -> EvalItem:
    return EvalItem(
        item_id=_id(record),
        prompt=prompt,
        reference=_text(record, "reference"),
        label=_text(record, "label") or None,
        tags=_tags(record.get("tags")),
    )


def _id(record: Mapping[str, Any]) -> str:
    for name in ("item_id", "question_id", "id"):
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and value != "":
            return _text(record, name) or ""
    return ""


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{name}: expected a text, got {type(value).__name__}")
    return value


def _tags(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):  # a CSV cell
        return tuple(part.strip() for part in value.replace(";", ",").split(",") if part.strip())
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise RecordError("tags: expected a list of texts")


def _chat(value: Any) -> tuple[str, str | None, tuple[Mapping[str, Any], ...]]:
    """Last user message, the assistant message after it, and the conversation up to and with that user message."""
    if not isinstance(value, list):
        raise RecordError(f"messages: expected a list, got {type(value).__name__}")
    texts = [_message(position, message) for position, message in enumerate(value)]
    users = [position for position, (role, text) in enumerate(texts) if role == "user" and text.strip()]
    if not users:
        raise RecordError("messages: no user message with a text")
    last = users[-1]
    answer = next((text for role, text in texts[last + 1 :] if role == "assistant" and text), None)
    return texts[last][1], answer, tuple(value[: last + 1])


def _message(position: int, message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
        raise RecordError(f"messages[{position}]: expected an object with a role of {', '.join(_ROLES)}")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "\n".join(part for part in parts if isinstance(part, str))
    if content is not None and not isinstance(content, str):
        raise RecordError(f"messages[{position}].content: expected a text or a list of parts")
    return message["role"], content or ""
