"""What a dead letter holds, for whoever shows it to a person: text in which nothing acts and nothing hides."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from monitor.records import DeadLetter
from monitor.redaction import redact
from monitor.wording import revealed

__all__ = ["Payload", "payload_of"]

#: A longer record is shown as it is: to lay it out would take longer than anybody waits.
_LAID_OUT = 256 << 10
_MORE = 1_000


@dataclass(frozen=True, slots=True)
class Payload:
    """The text to show. `shown` of `characters` are in it."""

    text: str
    shown: int
    characters: int

    @property
    def cut(self) -> bool:
        return self.shown < self.characters


def payload_of(letter: DeadLetter, *, redacted: bool, most: int = 20_000) -> Payload:
    """The letter's payload: JSON laid out in lines, anything else as it came, and bytes that are no text as `\\xff`."""
    text = _laid_out(letter.payload) or letter.payload.decode("utf-8", "backslashreplace")
    # Of what is redacted more is read than shown: a secret at the end of the part must be whole to be known.
    part = redact(text[: most + _MORE]) if redacted else text
    whole = len(part) if len(text) <= most + _MORE else len(text)
    return Payload(revealed(part[:most]), len(part[:most]), whole)


def _laid_out(payload: bytes) -> str | None:
    if len(payload) > _LAID_OUT:
        return None
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if isinstance(value, dict | list) else None
