"""Whom a record that could not be read is about: the ids in its bytes, however they are written there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from monitor.records import DeadLetter

__all__ = ["Mentions"]

_PARTS = re.compile(rb"[0-9A-Za-z]+")
_PLAIN = re.compile(rb"[\x20-\x7e]*")
_ESCAPES = {"\b": b"b", "\t": b"t", "\n": b"n", "\f": b"f", "\r": b"r"}

#: The values of what is called an id, also in a text inside a text and in a span's attributes.
_IDS = re.compile(
    rb"(?:[iI][dD]|[hH]ash)[\\\"']*\s*"
    rb"(?:[:=]|,\s*[\\\"']*value[\\\"']*\s*:\s*\{\s*[\\\"']*\w*Value[\\\"']*\s*:)\s*"
    rb"(?:[\\\"']+([^\\\"']+)|([^\\\"'\s,;}\]]+))"
)


class Mentions:
    """Looks for one id that somebody named, and for the ids of what was theirs.

    The named id counts wherever it stands as a word of its own: forgetting user 1 must not throw away every record with
    a 1 in a date. The others, such as those of the user's turns, may be short numbers, and count where an id stands.
    """

    def __init__(self, named: str, theirs: Collection[str] = ()) -> None:
        plain = {one for one in theirs if _is_plain(one)}
        self._theirs = {one.encode() for one in plain}
        words = sorted({named, *theirs} - (plain - {named}))
        self._words = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(map(_pattern, words)) + rb")(?![0-9A-Za-z])")
        # What stands in every writing of a word: to look for it first is twenty times as fast.
        self._parts = [_PARTS.findall(word.encode("utf-8", "surrogatepass")) for word in words]

    def among(self, letter: DeadLetter) -> bool:
        """Is one of the ids in the letter's payload, its reason or its headers?"""
        return any(self.within(text) for text in _texts(letter)) or any(
            value.encode("utf-8", "surrogatepass") in self._theirs for _, value in letter.headers
        )

    def within(self, payload: bytes) -> bool:
        if any(all(part in payload for part in parts) for parts in self._parts) and self._words.search(payload):
            return True
        return bool(self._theirs) and any((one[1] or one[2]) in self._theirs for one in _IDS.finditer(payload))


def _texts(letter: DeadLetter) -> Iterator[bytes]:
    """Everything in a dead letter that may name somebody."""
    yield letter.payload
    yield letter.key or b""
    yield letter.reason.encode("utf-8", "surrogatepass")
    for header in letter.headers:
        yield from (part.encode("utf-8", "surrogatepass") for part in header)


def _is_plain(identifier: str) -> bool:
    data = identifier.encode("utf-8", "surrogatepass")
    return _PLAIN.fullmatch(data) is not None and not set(identifier) & set("\\\"'")


def _pattern(identifier: str) -> bytes:
    return b"".join(_written(character) for character in identifier)


def _written(character: str) -> bytes:
    """A character as text, with the escapes of JSON (once, or in a text inside a text), or as in an address."""
    if character.isascii() and character.isalnum():
        return character.encode()
    data, units = character.encode("utf-8", "surrogatepass"), character.encode("utf-16-be", "surrogatepass")
    forms = [
        rb"\\*" + re.escape(data),
        b"".join(rb"\\+u(?i:%02x%02x)" % (units[at], units[at + 1]) for at in range(0, len(units), 2)),
        b"".join(b"%%(?i:%02x)" % byte for byte in data),
    ]
    if character in _ESCAPES:
        forms.append(rb"\\+" + _ESCAPES[character])
    return b"(?:" + b"|".join(forms) + b")"
