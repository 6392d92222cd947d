"""Attributes of OTLP JSON as plain values."""

from __future__ import annotations

import math
from typing import Any

from consumers.fields import check_text, shown, type_word
from monitor.errors import RecordError

__all__ = ["attributes_of", "value_of"]

#: Deeper values are no attribute that a person set; reading them would exhaust the stack.
_DEEPEST = 32
_LARGEST = 2**63


def attributes_of(where: str, raw: Any) -> dict[str, Any]:
    """Attributes by name, from a list of keys and values or a plain object; those without a value are left out."""
    if raw is None:
        return {}
    if isinstance(raw, dict):
        return {name: _plain(f"{where}.{name}", value) for name, value in raw.items() if value is not None}
    if not isinstance(raw, list):
        raise RecordError(f"{where}: expected a list of keys and values, got {type_word(raw)}")
    found = {}
    for place, item in enumerate(raw):
        if not isinstance(item, dict) or not isinstance(item.get("key"), str):
            raise RecordError(f"{where}[{place}]: expected an object with a key, got {type_word(item)}")
        value = value_of(f"{where}.{item['key']}", item.get("value"))
        if value is not None:
            found[item["key"]] = value
    return found


def _plain(where: str, value: Any) -> Any:
    """A value of a plain object. Some exporters keep the typed form there too."""
    typed = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _READERS
    return value_of(where, value) if typed else value


def value_of(where: str, raw: Any, depth: int = 0) -> Any:
    """The plain value of an OTLP AnyValue."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise RecordError(f"{where}: expected a value such as {{stringValue}}, got {type_word(raw)}")
    if depth > _DEEPEST:
        raise RecordError(f"{where}: nested more than {_DEEPEST} deep")
    for kind, value in raw.items():
        reader = _READERS.get(kind)
        if reader is not None and value is not None:
            return reader(where, value, depth)
    return None


def _text(where: str, value: Any, depth: int) -> str:
    return check_text(where, value)


def _flag(where: str, value: Any, depth: int) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"{where}: expected true or false, got {type_word(value)}")
    return value


def _whole(where: str, value: Any, depth: int) -> int | str:
    try:
        number = int(value) if not isinstance(value, bool | float) and len(str(value)) < 40 else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise RecordError(f"{where}: expected a whole number, got {shown(value)}")
    # No JSON number holds more: as a text it loses nothing.
    return number if -_LARGEST <= number < _LARGEST else str(number)


def _double(where: str, value: Any, depth: int) -> float | None:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        raise RecordError(f"{where}: expected a number, got {shown(value)}")
    return number if math.isfinite(number) else None


def _array(where: str, value: Any, depth: int) -> list[Any]:
    values = value.get("values") if isinstance(value, dict) else value
    if not isinstance(values, list | None):
        raise RecordError(f"{where}: expected a list of values, got {type_word(values)}")
    return [value_of(where, item, depth + 1) for item in values or ()]


def _pairs(where: str, value: Any, depth: int) -> dict[str, Any]:
    values = value.get("values") if isinstance(value, dict) else value
    if not isinstance(values, list | None):
        raise RecordError(f"{where}: expected a list of keys and values, got {type_word(values)}")
    found = {}
    for item in values or ():
        if not isinstance(item, dict) or not isinstance(item.get("key"), str):
            raise RecordError(f"{where}: expected objects with a key, got {type_word(item)}")
        found[item["key"]] = value_of(where, item.get("value"), depth + 1)
    return found


_READERS = {
    **dict.fromkeys(("stringValue", "string_value", "bytesValue", "bytes_value"), _text),
    **dict.fromkeys(("boolValue", "bool_value"), _flag),
    **dict.fromkeys(("intValue", "int_value"), _whole),
    **dict.fromkeys(("doubleValue", "double_value"), _double),
    **dict.fromkeys(("arrayValue", "array_value"), _array),
    **dict.fromkeys(("kvlistValue", "kvlist_value"), _pairs),
}
