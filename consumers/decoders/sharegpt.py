"""ShareGPT: `{"id": "X_17", "conversations": [{"from": "human", "value": "..."}]}`; no times.

One conversation is cut into parts: X_0, X_17. The number is the place of the part's first message in conversation X,
and parts may overlap by a message. So a message's place is the part's number plus its place in the part; that place is
the turn's index, unique and in order over all parts, whichever part is read first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import Message, exchanges
from consumers.decoders.markup import plain_text
from consumers.fields import MAX_INTEGER, check, check_text, shown, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn

__all__ = ["ShareGPTDecoder"]

_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "claude", "assistant", "model"), "assistant"),
    "system": "system",
    **dict.fromkeys(("tool", "function", "function_call", "function_response", "observation"), "tool"),
}
_KNOWN = frozenset(("id", "conversations"))
_PART = re.compile(r"(.+)_([0-9]{1,9})", re.DOTALL)


class ShareGPTDecoder:
    """A part of a shared conversation. One without a user's message gives no turn, and is not an error."""

    name = "sharegpt"

    def matches(self, record: Any) -> bool:
        if not isinstance(record, dict) or not isinstance(record.get("conversations"), list):
            return False
        return all(isinstance(message, dict) and "from" in message for message in record["conversations"])

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with conversations, got {type_word(record)}")
        if not isinstance(record.get("conversations"), list):
            raise RecordError(f"conversations: expected a list, got {type_word(record.get('conversations'))}")
        conversation_id, offset = _part(record, at)
        found = exchanges(_messages(record["conversations"], offset))
        metadata = check("metadata", {name: value for name, value in record.items() if name not in _KNOWN}) or None
        return Decoded(
            tuple(
                Turn(
                    turn_id=f"{conversation_id}-{exchange.user.position}",
                    conversation_id=conversation_id,
                    turn_index=exchange.user.position,
                    created_at=defaults.times.time_of(conversation_id, exchange.user.position, metadata, defaults.now),
                    user_text=exchange.user.text,
                    assistant_text=exchange.reply,
                    system_prompt=exchange.system_prompt,
                    metadata=metadata,
                )
                for exchange in found
            )
        )


def _part(record: dict[str, Any], at: Coordinates) -> tuple[str, int]:
    if not record.get("id"):
        return default_id(at), 0
    text = check_text("id", record["id"])
    part = _PART.fullmatch(text)
    return (part[1], int(part[2])) if part else (text, 0)


def _messages(raw: list[Any], offset: int) -> Iterator[Message]:
    if offset + len(raw) > MAX_INTEGER:
        raise RecordError(f"id: part number {offset} is too large")
    for position, message in enumerate(raw):
        where = f"conversations[{position}]"
        if not isinstance(message, dict):
            raise RecordError(f"{where}: expected an object, got {type_word(message)}")
        author = message.get("from")
        if not isinstance(author, str) or author not in _ROLES:
            raise RecordError(f"{where}.from: expected one of {', '.join(_ROLES)}, got {shown(author)}")
        role = _ROLES[author]
        text = check_text(f"{where}.value", message.get("value"))
        # People type plain text, and a `<` of theirs is code; only replies were scraped as HTML.
        yield Message(role, plain_text(text) if role == "assistant" else text, offset + position)
