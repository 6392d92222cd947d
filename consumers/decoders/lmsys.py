"""LMSYS-Chat-1M: a row is a whole conversation, one turn for each user message; no times.

`openai_moderation` has an entry for each message; a turn keeps whether its user message was flagged, and as what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import exchanges
from consumers.decoders.languages import language_code
from consumers.decoders.openai_messages import json_metadata, messages
from consumers.fields import check, check_text, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn

__all__ = ["LmsysDecoder", "flagged", "is_conversation"]

_KNOWN = frozenset(("conversation_id", "model", "conversation", "language", "openai_moderation"))


class LmsysDecoder:
    """A row of LMSYS-Chat-1M."""

    name = "lmsys"

    def matches(self, record: Any) -> bool:
        if not is_conversation(record) or "conversation_id" not in record:
            return False
        return "model" in record and not {"conversation_hash", "timestamp", "toxic"} & record.keys()

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with conversation, got {type_word(record)}")
        if not isinstance(record.get("conversation"), list):
            raise RecordError(f"conversation: expected a list, got {type_word(record.get('conversation'))}")
        identifier = record.get("conversation_id")
        conversation_id = check_text("conversation_id", identifier) if identifier else default_id(at)
        model, language = check("model", record.get("model")), language_code(record.get("language"))
        common = {name: value for name, value in record.items() if name not in _KNOWN}
        if language is None and record.get("language"):
            common["language_name"] = record["language"]
        turns = []
        for index, exchange in enumerate(exchanges(messages(record["conversation"], "conversation"))):
            flags = flagged(record.get("openai_moderation"), exchange.user.position)
            metadata = json_metadata(common | flags) or None
            turns.append(
                Turn(
                    turn_id=f"{conversation_id}-{index}",
                    conversation_id=conversation_id,
                    turn_index=index,
                    created_at=defaults.times.time_of(conversation_id, index, metadata, defaults.now),
                    user_text=exchange.user.text,
                    assistant_text=exchange.reply,
                    system_prompt=exchange.system_prompt,
                    model=model,
                    language=language,
                    metadata=metadata,
                )
            )
        return Decoded(tuple(turns))


def is_conversation(record: Any) -> bool:
    """Whether a row holds a conversation of messages with a role and a content."""
    if not isinstance(record, dict) or not isinstance(record.get("conversation"), list):
        return False
    return all(
        isinstance(message, dict) and "role" in message and "content" in message for message in record["conversation"]
    )


def flagged(moderation: Any, position: int) -> dict[str, Any]:
    """What moderation said of the message at a position, for metadata; nothing when it was not flagged."""
    if not isinstance(moderation, list) or position >= len(moderation):
        return {}
    entry = moderation[position]
    if not isinstance(entry, Mapping) or entry.get("flagged") is not True:
        return {}
    categories = entry.get("categories")
    names = [name for name, is_so in categories.items() if is_so is True] if isinstance(categories, Mapping) else []
    return {"flagged": sorted(names)}
