"""OpenAI's messages and replies, as several formats log them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from consumers.decoders.exchange import Message
from consumers.fields import check_text, shown, type_word
from monitor.errors import RecordError

__all__ = ["CONVERSATION_KEYS", "json_metadata", "messages", "named_conversation", "unwrapped"]

#: Where people put the id of a conversation, for which OpenAI's chat API has no field.
CONVERSATION_KEYS = ("conversation_id", "session_id", "thread_id")

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_TEXT_PARTS = {"text": "text", "refusal": "refusal", "input_text": "text", "output_text": "text"}
_PARTS = {
    **dict.fromkeys(("image_url", "input_image"), "image"),
    "input_audio": "audio",
    **dict.fromkeys(("file", "input_file"), "file"),
}


def messages(raw: list[Any], where: str = "messages") -> Iterator[Message]:
    """Messages in order. Raises `RecordError` naming the one that is none."""
    for position, message in enumerate(raw):
        place = f"{where}[{position}]"
        if not isinstance(message, dict):
            raise RecordError(f"{place}: expected an object, got {type_word(message)}")
        role = message.get("role")
        if role is None and isinstance(message.get("type"), str) and message["type"] != "message":
            # The Responses API lists calls of tools and their results between the messages.
            yield Message("tool", "", position)
            continue
        if not isinstance(role, str) or role not in _ROLES:
            raise RecordError(f"{place}.role: expected one of {', '.join(_ROLES)}, got {shown(role)}")
        content = message.get("content")
        if content is None:  # a stored completion's messages keep the parts apart
            content = message.get("content_parts")
        text, modalities = _content(f"{place}.content", content)
        calls = message.get("tool_calls")
        kind = "tool" if _is_tool_result(content) else _ROLES[role]
        yield Message(kind, text, position, modalities, tuple(calls) if isinstance(calls, list) else ())


def named_conversation(*places: Any) -> str | None:
    """The conversation that one of these objects names, the first that does."""
    for place in places:
        if not isinstance(place, Mapping):
            continue
        for name in CONVERSATION_KEYS:
            if place.get(name):
                return check_text(name, place[name])
    return None


def unwrapped(value: Any) -> Any:
    """What a text holds that is JSON, also where a logger of JSON wrote JSON; any other value as it is.

    >>> unwrapped('{"a": 1}'), unwrapped('"{}"'), unwrapped("{curly"), unwrapped(None)
    ({'a': 1}, {}, '{curly', None)
    """
    found = value
    for _ in range(2):
        if not isinstance(found, str) or not found.lstrip().startswith(("{", "[", '"')):
            break
        try:
            found = orjson.loads(found)
        except orjson.JSONDecodeError:
            break
    return value if isinstance(found, str) else found


def json_metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping, when all of it is JSON."""
    try:
        orjson.dumps(found)
    except TypeError as error:
        raise RecordError(f"metadata: holds something that is not JSON: {error}") from None
    return dict(found)


def _content(where: str, content: Any) -> tuple[str, tuple[str, ...]]:
    """The text of a message, and its modalities when it is a list of parts."""
    if content is None:
        return "", ()
    if isinstance(content, str):
        return check_text(where, content), ()
    if not isinstance(content, list):
        raise RecordError(f"{where}: expected a text or a list of parts, got {type_word(content)}")
    texts, modalities = [], []
    for part in content:
        if not isinstance(part, dict):
            raise RecordError(f"{where}: expected parts to be objects, got {type_word(part)}")
        kind = part.get("type")
        if isinstance(kind, str) and kind in _TEXT_PARTS:
            texts.append(check_text(where, part.get(_TEXT_PARTS[kind])))
            modalities.append("text")
        else:
            modalities.append(
                _PARTS.get(kind) or check_text(f"{where}.type", kind) if isinstance(kind, str) else "other"
            )
    return "\n".join(texts), tuple(dict.fromkeys(modalities))


def _is_tool_result(content: Any) -> bool:
    """Anthropic's form, which gateways pass on: what a tool said, in the user's name."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") == "tool_result" for part in content)
    )
