"""The fields of a turn and how strictly each is read: one table for JSON, CSV and Parquet.

`turn.schema.json` says the same to other programs; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from monitor.errors import RecordError
from monitor.records import parse_time
from monitor.redaction import redact

__all__ = ["EVENT_FIELDS", "FIELDS", "MAX_INTEGER", "check", "check_text", "from_cell", "shown", "type_word"]

#: Largest whole number of a turn: 32 bits are enough for an index or a count of tokens.
MAX_INTEGER = 2**31 - 1


def check(name: str, value: Any, where: str | None = None) -> Any:
    """The value of a turn's field as the record holds it; None stays None. Raises `RecordError` naming the field.

    `where` is what the record calls the field, when that differs.

    >>> check("latency_ms", 840)
    840.0
    """
    return None if value is None else FIELDS[name](where or name, value)


def check_text(name: str, value: Any) -> str:
    """A text, and one that every other program can read: half a surrogate pair is no Unicode."""
    if not isinstance(value, str):
        # The value itself is not shown: it may be what somebody wrote.
        raise RecordError(f"{name}: expected a text, got {type_word(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RecordError(
                f"{name}: character {error.start} is half of a surrogate pair, which is no Unicode text"
            ) from None
    return value


def from_cell(name: str, cell: str) -> Any:
    """A CSV cell as the JSON value that its column should hold. A cell that is none stays a text for `check`.

    >>> from_cell("latency_ms", "840"), from_cell("rolled_back", "TRUE"), from_cell("model", "7"), from_cell("app", "")
    (840.0, True, '7', None)
    """
    if cell == "":
        return None
    reader = _CELLS.get(name)
    return reader(cell) if reader else cell


def type_word(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    words = {str: "a text", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return words.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """The value for a message, short and redacted. Only called for fields that hold no free text."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = repr(redact(value[:200]) if isinstance(value, str) else value)
        return text if len(text) <= 40 else text[:37] + "..."
    return type_word(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"{name}: expected a number, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecordError(f"{name}: expected a finite number, got {shown(value)}")
    return number


def _positive(name: str, value: Any) -> float:
    if type(value) is float and 0 <= value < math.inf:
        return value
    number = _number(name, value)
    if number < 0:
        raise RecordError(f"{name}: expected 0 or more, got {shown(value)}")
    return number


def _whole(name: str, value: Any) -> int:
    if type(value) is int and 0 <= value <= MAX_INTEGER:
        return value
    number = _number(name, value)
    if number != int(number) or not 0 <= number <= MAX_INTEGER:
        raise RecordError(f"{name}: expected a whole number from 0 to {MAX_INTEGER}, got {shown(value)}")
    return int(number)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"{name}: expected true or false, got {shown(value)}")
    return value


def _time(name: str, value: Any) -> datetime:
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        raise RecordError(
            f"{name}: expected an ISO 8601 time or epoch seconds (or milli-, micro-, nanoseconds), got {shown(value)}"
        ) from None


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"{name}: expected an object, got {type_word(value)}")
    _plain(name, value)
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError(f"{name}: expected a list, got {type_word(value)}")
    _plain(name, value)
    return value


def _texts(name: str, value: Any) -> list[Any]:
    for item in _list(name, value):
        check_text(name, item)
    return list(value)


def _plain(name: str, value: Any) -> None:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise RecordError(f"{name}: holds something that is not JSON: {error}") from None


_TEXTS = (
    "turn_id conversation_id user_text assistant_text system_prompt prompt_template prompt_version model provider "
    "feedback_comment suggestion_shown runtime_error language user_id tenant app environment"
)

#: Each field of a turn with its reader, in no particular order.
FIELDS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_TEXTS.split(), check_text),
    **dict.fromkeys(("turn_index", "input_tokens", "output_tokens"), _whole),
    **dict.fromkeys(("cost_usd", "latency_ms", "time_to_first_token_ms", "time_to_accept_ms"), _positive),
    "feedback_score": _number,
    **dict.fromkeys(("suggestion_accepted", "rolled_back"), _flag),
    "created_at": _time,
    **dict.fromkeys(("prompt_variables", "metadata"), _object),
    **dict.fromkeys(("tool_calls", "retrieved_documents", "calls"), _list),
    "modalities": _texts,
}

#: What an event may say about its turn.
EVENT_FIELDS = (
    "feedback_score",
    "feedback_comment",
    "suggestion_shown",
    "suggestion_accepted",
    "time_to_accept_ms",
    "rolled_back",
    "runtime_error",
)


def _cell_number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _cell_flag(cell: str) -> bool | str:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return words.get(cell.strip().lower(), cell)


def _cell_json(cell: str) -> Any:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


_BY_READER: Mapping[Any, Callable[[str], Any]] = {
    _whole: _cell_number,
    _positive: _cell_number,
    _number: _cell_number,
    _time: _cell_number,
    _flag: _cell_flag,
    _object: _cell_json,
    _list: _cell_json,
    _texts: _cell_json,
}

_CELLS: Mapping[str, Callable[[str], Any]] = {
    **{name: _BY_READER[reader] for name, reader in FIELDS.items() if reader in _BY_READER},
    # Columns of the other formats, when a table holds them.
    "messages": _cell_json,
    "conversations": _cell_json,
    "conversation": _cell_json,
}
