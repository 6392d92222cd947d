"""OpenAI chat JSONL: an object with `messages`, one turn for each user message.

Also read when present: `conversation_id` (or one in `metadata`, or `id`), `user`, `model`, `created`, `metadata`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import Message, exchanges
from consumers.fields import check, check_text, shown, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn

__all__ = ["OpenAIChatDecoder"]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PARTS = {"image_url": "image", "input_audio": "audio", "file": "file"}
_CONVERSATION_KEYS = ("conversation_id", "session_id", "thread_id")
_COMMON = ("model", "tenant", "environment", "language")
_KNOWN = frozenset(("messages", "metadata", "user", "created", "created_at", *_COMMON))


class OpenAIChatDecoder:
    """A conversation in OpenAI's form."""

    name = "openai-chat"

    def matches(self, record: Any) -> bool:
        return isinstance(record, dict) and isinstance(record.get("messages"), list)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with messages, got {type_word(record)}")
        if not isinstance(record.get("messages"), list):
            raise RecordError(f"messages: expected a list, got {type_word(record.get('messages'))}")
        found = exchanges(_messages(record["messages"]))
        conversation_id = _conversation_id(record) or default_id(at)
        metadata = _metadata(record)
        created = check("created_at", record.get("created_at", record.get("created")))
        common = {name: check(name, record.get(name)) for name in _COMMON}
        user_id = check("user_id", record.get("user"))
        return Decoded(
            tuple(
                Turn(
                    turn_id=f"{conversation_id}-{index}",
                    conversation_id=conversation_id,
                    turn_index=index,
                    created_at=created or defaults.times.time_of(conversation_id, index, metadata, defaults.now),
                    user_text=exchange.user.text,
                    assistant_text=exchange.reply,
                    system_prompt=exchange.system_prompt,
                    tool_calls=exchange.tool_calls or None,
                    modalities=list(exchange.user.modalities) or None,
                    user_id=user_id,
                    metadata=metadata,
                    **common,
                )
                for index, exchange in enumerate(found)
            )
        )


def _messages(raw: list[Any]) -> Iterator[Message]:
    for position, message in enumerate(raw):
        where = f"messages[{position}]"
        if not isinstance(message, dict):
            raise RecordError(f"{where}: expected an object, got {type_word(message)}")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise RecordError(f"{where}.role: expected one of {', '.join(_ROLES)}, got {shown(role)}")
        text, modalities = _content(f"{where}.content", message.get("content"))
        calls = message.get("tool_calls")
        yield Message(_ROLES[role], text, position, modalities, tuple(calls) if isinstance(calls, list) else ())


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
        if part.get("type") in ("text", "refusal"):
            texts.append(check_text(where, part.get(part["type"])))
            modalities.append("text")
        else:
            kind = part.get("type")
            modalities.append(_PARTS.get(kind, kind) if isinstance(kind, str) else "other")
    return "\n".join(texts), tuple(dict.fromkeys(modalities))


def _conversation_id(record: Mapping[str, Any]) -> str | None:
    metadata = record.get("metadata")
    places = [record, metadata] if isinstance(metadata, dict) else [record]
    for place in places:
        for name in _CONVERSATION_KEYS:
            if place.get(name):
                return check_text(name, place[name])
    return check_text("id", record["id"]) if record.get("id") else None


def _metadata(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    unknown = {name: value for name, value in record.items() if name not in _KNOWN}
    metadata = {**unknown, **(check("metadata", record.get("metadata")) or {})}
    try:
        orjson.dumps(metadata)
    except TypeError as error:
        raise RecordError(f"metadata: holds something that is not JSON: {error}") from None
    return metadata or None
