"""Texts that are a slip apart: one letter, one word, or a word of politeness around the same.

A misspelt word moves the encoder's vector as far as another subject does, so what says the same but for a slip is found in the
words themselves. What two texts a slip apart share is a text with something left out (the deletion neighbourhood of Mor and
Fraenkel, 1982), which is looked up, so that no two texts are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["without_slips"]

#: What stands around words and says nothing. Signs that may belong to a name stay: C, C# and C++ are three.
_MARKS = ".,;:!?…¡¿\"“”„«»‘’'`()[]{}。，、！？；："

#: In a text of fewer letters one of them is a word; in one of more letters or words a slip moves no cosine much.
_LEAST_LETTERS, _MOST_LETTERS, _MOST_WORDS = 10, 200, 40

#: Of texts that come before what they have a word more than, so many are known.
_MOST_LONGER = 50

#: A text of fewer words is not what is left of another.
_LEAST_WORDS = 2


def without_slips(texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """The row [m] of the text that each is a slip of, directly or in a chain: itself, if of none.

    A slip is another case or punctuation; one letter or space wrong, missing, too many, or changed with the next, in texts
    of at least 10 letters with the same digits; one word more or fewer, or two at the ends, where two words at least remain.
    Of texts that are slips of one another the one that most are a slip of is no slip, or the first of those. Texts with
    different labels aren't slips; one without a label ("") is of any, and stands for none that has one.

    >>> said = ["where is my crad", "Where is my card?", "hi, where is my card, please", "block my card"]
    >>> without_slips(said, [""] * 4).tolist()
    [1, 1, 1, 3]
    """
    groups = _Groups(list(range(len(texts))), list(labels), [0] * len(texts))
    known: dict[str, _Known] = {}
    for row in sorted(range(len(texts)), key=lambda row: not labels[row]):
        said = _Said.of(texts[row])
        mine = known.setdefault(labels[row], _Known())
        groups.join(row, mine.a_slip_from(said))
        mine.add(said, row)
        if labels[row]:
            known.setdefault("", _Known()).add(said, row)
    first: dict[int, int] = {}
    for row in sorted(range(len(texts)), key=lambda row: (not labels[row], -groups.near[row], row)):
        first.setdefault(groups.of(row), row)
    return np.array([first[groups.of(row)] for row in range(len(texts))], np.int64)


@dataclass(frozen=True, slots=True)
class _Said:
    """A text's words as one string, the same with one or two words less, and its letters with one less, beside its digits."""

    whole: str
    shorter: tuple[str, ...]
    letters: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Said:
        stripped = (word.strip(_MARKS) for word in text.casefold().split())
        words = [word for word in stripped if word]
        return cls(" ".join(words), tuple(_with_fewer(words)), tuple(_with_a_letter_less("".join(words))))


@dataclass(frozen=True, slots=True)
class _Known:
    """The texts so far: the first row of each whole and of each with a letter less, all rows of each with a word less."""

    wholes: dict[str, int] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    shorter: dict[str, list[int]] = field(default_factory=dict)

    def a_slip_from(self, said: _Said) -> list[int]:
        """The rows that are, those first that came first; of those that are a slip from one another the first."""
        found = {self.wholes[one] for one in (said.whole, *said.shorter) if one in self.wholes}
        found |= {self.letters[one] for one in said.letters if one in self.letters}
        return sorted(found.union(self.shorter.get(said.whole, ())))

    def add(self, said: _Said, row: int) -> None:
        self.wholes.setdefault(said.whole, row)
        for one in said.letters:
            self.letters.setdefault(one, row)
        for one in said.shorter:
            rows = self.shorter.setdefault(one, [])
            if len(rows) < _MOST_LONGER:
                rows.append(row)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows that hang together (union-find), their labels, and how many others each is a slip from."""

    parent: list[int]
    labels: list[str]
    near: list[int]

    def of(self, row: int) -> int:
        while self.parent[row] != row:
            self.parent[row] = self.parent[self.parent[row]]
            row = self.parent[row]
        return row

    def join(self, row: int, others: Sequence[int]) -> None:
        for other in others:
            mine, theirs = self.of(row), self.of(other)
            if self.labels[mine] and self.labels[theirs] and self.labels[mine] != self.labels[theirs]:
                continue  # what has no label, and joined those of another
            self.parent[mine] = theirs
            self.labels[theirs] = self.labels[theirs] or self.labels[mine]
            self.near[row] += 1
            self.near[other] += 1


def _with_fewer(words: Sequence[str]) -> Iterator[str]:
    """The text without one of its words, and without two at its ends."""
    if _LEAST_WORDS < len(words) <= _MOST_WORDS:
        for place in range(len(words)):
            yield " ".join([*words[:place], *words[place + 1 :]])
    if _LEAST_WORDS + 1 < len(words) <= _MOST_WORDS:
        for start in range(3):
            yield " ".join(words[start : len(words) - 2 + start])


def _with_a_letter_less(letters: str) -> Iterator[str]:
    """The letters, and those without one, each beside the digits: those of texts that are a letter apart have one in common."""
    if not _LEAST_LETTERS <= len(letters) <= _MOST_LETTERS:
        return
    digits = "".join(one for one in letters if one.isdigit())
    yield f"{letters} {digits}"
    for place in range(len(letters)):
        yield f"{letters[:place]}{letters[place + 1 :]} {digits}"
