"""WildChat: a row is a whole conversation, one turn for each user message that says something.

`conversation_hash` is a hash of the content: two people who wrote the same share it. What is unique is the
`turn_identifier` of a message, so turns are named after it, and the conversation after its first one. Rows of the first
edition have none; there the time and the address tell two conversations apart.

A row's `timestamp` is that of its last turn. An earlier turn has the time of its own message or reply where the edition
has one, else the row's time, which is the latest that it can be, and a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import Exchange, exchanges
from consumers.decoders.languages import language_code
from consumers.decoders.lmsys import flagged, is_conversation
from consumers.decoders.openai_messages import json_metadata, messages
from consumers.fields import check, check_text, shown, type_word
from consumers.times import Dated
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn, short_hash

__all__ = ["WildChatDecoder"]

_KNOWN = frozenset(
    (
        *("conversation_hash", "conversation_id", "model", "timestamp", "conversation", "language"),
        *("openai_moderation", "detoxify_moderation", "hashed_ip", "country", "state", "header"),
    )
)
#: What a user message says of itself, and where it is missing the row.
_OF_MESSAGE = ("toxic", "redacted", "country", "state", "header")


class WildChatDecoder:
    """A row of WildChat or WildChat-1M."""

    name = "wildchat"

    def matches(self, record: Any) -> bool:
        if not is_conversation(record):
            return False
        return "conversation_hash" in record or ("timestamp" in record and "toxic" in record)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with conversation, got {type_word(record)}")
        raw = record.get("conversation")
        if not isinstance(raw, list):
            raise RecordError(f"conversation: expected a list, got {type_word(raw)}")
        found = exchanges(messages(raw, "conversation"))
        conversation_id = _conversation_id(record, raw, at)
        last = max((position for position, message in enumerate(raw) if message.get("role") == "user"), default=-1)
        turns = []
        for index, exchange in enumerate(found):
            identifier = _identifier(raw, exchange.user.position)
            when = _when(record, exchange, last, conversation_id, index, defaults)
            turns.append(
                Turn(
                    turn_id=f"{conversation_id}-{index}" if identifier is None else f"wildchat-{identifier}",
                    conversation_id=conversation_id,
                    turn_index=index,
                    created_at=when.at,
                    user_text=exchange.user.text,
                    assistant_text=exchange.reply,
                    system_prompt=exchange.system_prompt,
                    model=check("model", record.get("model")),
                    language=language_code(_stated(record, raw, exchange, "language")),
                    user_id=check("user_id", _stated(record, raw, exchange, "hashed_ip"), "hashed_ip") or None,
                    metadata=when.metadata,
                )
            )
        return Decoded(tuple(turns))


def _conversation_id(record: Mapping[str, Any], raw: list[Any], at: Coordinates) -> str:
    name = "conversation_hash" if record.get("conversation_hash") else "conversation_id"
    if not record.get(name):
        return default_id(at)
    content = check_text(name, record[name])
    identifiers = (_identifier(raw, position) for position in range(len(raw)))
    first = next((one for one in identifiers if one is not None), None)
    if first is not None:
        return f"{content}-{first}"
    apart = [str(record[key]) for key in ("timestamp", "hashed_ip") if record.get(key) is not None]
    return f"{content}-{short_hash(*apart)}" if apart else content


def _identifier(raw: list[Any], position: int) -> int | None:
    value = raw[position].get("turn_identifier")
    if isinstance(value, float) and value.is_integer():  # a table with gaps holds whole numbers as floats
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        place = f"conversation[{position}].turn_identifier"
        raise RecordError(f"{place}: expected a whole number, got {shown(value)}")
    return value


def _stated(record: Mapping[str, Any], raw: list[Any], exchange: Exchange, name: str) -> Any:
    own = raw[exchange.user.position].get(name)
    return record.get(name) if own is None else own


def _when(
    record: Mapping[str, Any], exchange: Exchange, last: int, conversation_id: str, index: int, defaults: Defaults
) -> Dated:
    position, raw = exchange.user.position, record["conversation"]
    metadata = _metadata(record, raw, exchange)
    own = raw[position].get("timestamp")
    reply = position + 1
    while own is None and reply < len(raw) and raw[reply].get("role") != "user":
        own = raw[reply].get("timestamp")
        reply += 1
    if own is None and position != last and record.get("timestamp") is not None:
        metadata = {**(metadata or {}), "time_note": "timestamp: that of the conversation's last turn"}
    value = record.get("timestamp") if own is None else own
    return defaults.dated(value, conversation_id, index, metadata, name="timestamp")


def _metadata(record: Mapping[str, Any], raw: list[Any], exchange: Exchange) -> Mapping[str, Any] | None:
    found = {name: value for name, value in record.items() if name not in _KNOWN}
    found |= {name: _stated(record, raw, exchange, name) for name in _OF_MESSAGE}
    found |= flagged(record.get("openai_moderation"), exchange.user.position)
    if record.get("conversation_hash"):
        found["conversation_hash"] = record["conversation_hash"]
    name = _stated(record, raw, exchange, "language")
    if name and language_code(name) is None:
        found["language_name"] = name
    return json_metadata({name: value for name, value in found.items() if value is not None}) or None
