"""OpenAI chat JSONL: an object with `messages`, one turn for each user message.

Also read when present: `conversation_id` (or one in `metadata`, or `id`), `user`, `model`, `created`, `metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import exchanges
from consumers.decoders.openai_messages import json_metadata, messages, named_conversation
from consumers.fields import check, check_text, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn

__all__ = ["OpenAIChatDecoder"]

_COMMON = ("model", "tenant", "environment", "language")
# LiteLLM's log has messages too, and a stored completion `choices`: their own decoders read more of them.
_LITELLM = frozenset(("call_type", "startTime"))
_KNOWN = frozenset(("messages", "metadata", "user", "created", "created_at", *_COMMON))


class OpenAIChatDecoder:
    """A conversation in OpenAI's form."""

    name = "openai-chat"

    def matches(self, record: Any) -> bool:
        if not isinstance(record, dict) or not isinstance(record.get("messages"), list):
            return False
        return not isinstance(record.get("choices"), list) and not record.keys() >= _LITELLM

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with messages, got {type_word(record)}")
        if not isinstance(record.get("messages"), list):
            raise RecordError(f"messages: expected a list, got {type_word(record.get('messages'))}")
        found = exchanges(messages(record["messages"]))
        conversation_id = _conversation_id(record) or default_id(at)
        metadata = _metadata(record)
        created = check("created_at", record.get("created_at", record.get("created")))
        common = {name: check(name, record.get(name)) for name in _COMMON}
        user_id = check("user_id", record.get("user"))
        dates = [defaults.dated(created, conversation_id, index, metadata) for index in range(len(found))]
        return Decoded(
            tuple(
                Turn(
                    turn_id=f"{conversation_id}-{index}",
                    conversation_id=conversation_id,
                    turn_index=index,
                    created_at=when.at,
                    user_text=exchange.user.text,
                    assistant_text=exchange.reply,
                    system_prompt=exchange.system_prompt,
                    tool_calls=check("tool_calls", exchange.tool_calls) or None,
                    modalities=list(exchange.user.modalities) or None,
                    user_id=user_id,
                    metadata=when.metadata,
                    **common,
                )
                for index, (exchange, when) in enumerate(zip(found, dates, strict=True))
            )
        )


def _conversation_id(record: Mapping[str, Any]) -> str | None:
    found = named_conversation(record, record.get("metadata"))
    return found or (check_text("id", record["id"]) if record.get("id") else None)


def _metadata(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    unknown = {name: value for name, value in record.items() if name not in _KNOWN}
    return json_metadata({**unknown, **(check("metadata", record.get("metadata")) or {})}) or None
