"""Decontamination: a model that is tuned on an eval item passes it without knowing anything.

So an example stays out when one of its messages says what an eval item says: the same words whatever the case and
punctuation, nearly the same words, or the item's words inside a longer message.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["EvalTexts", "normalised"]

#: Words in a row that no two texts share by chance (13-grams, as in Brown et al., 2020, appendix C).
_SHINGLE = 13

#: A shorter item counts as contained when all of it is there; below this many words anybody may say it.
_LEAST_CONTAINED = 6

#: Dice coefficient of two texts' words from which they are nearly the same: one word more or less among three or more.
_NEARLY = 0.85

Words = tuple[str, ...]
Token = tuple[str, int]


def normalised(text: str) -> str:
    """The words of a text: case, punctuation, white space and compatibility forms (ﬁ, ２) do not count.

    >>> normalised("  Where's my PARCEL?! ")
    'where s my parcel'
    """
    return " ".join(_words(text))


class EvalTexts:
    """What eval items say, ready to be looked up."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Texts without a word (punctuation alone) match nothing."""
        items = sorted({tuple(words) for text in texts if (words := _words(text))})
        self._items = frozenset(items)
        self._shingles = frozenset(shingle for item in items for shingle in _shingles(item, _SHINGLE))
        self._starts = _by_start(items)
        self._tokens = [frozenset(_tokens(item)) for item in items]
        self._rare = _by_rare_token(self._tokens)

    def __contains__(self, text: object) -> bool:
        """Whether a message says an eval item."""
        if not isinstance(text, str):
            return False
        words = tuple(_words(text))
        return bool(words) and (words in self._items or self._contained(words) or self._nearly(words))

    def _contained(self, words: Words) -> bool:
        if any(shingle in self._shingles for shingle in _shingles(words, _SHINGLE)):
            return True
        return any(
            words[place : place + len(item)] == item
            for place, start in enumerate(_shingles(words, _LEAST_CONTAINED))
            for item in self._starts.get(start, ())
        )

    def _nearly(self, words: Words) -> bool:
        """Dice coefficient of the words, their order aside: 2 * common / (words of one + words of the other)."""
        tokens = frozenset(_tokens(words))
        candidates = {number for token in tokens for number in self._rare.get(token, ())}
        return any(
            2 * len(tokens & self._tokens[number]) >= _NEARLY * (len(tokens) + len(self._tokens[number]))
            for number in candidates
        )


def _words(text: str) -> list[str]:
    # Underscores are punctuation here: \w has them for programmers.
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def _shingles(words: Words, length: int) -> Iterator[Words]:
    return (words[start : start + length] for start in range(len(words) - length + 1))


def _tokens(words: Words) -> Iterator[Token]:
    """Each word with how often it came before, so that sets count repetitions."""
    times: Counter[str] = Counter()
    for word in words:
        yield word, times[word]
        times[word] += 1


def _by_start(items: Sequence[Words]) -> dict[Words, list[Words]]:
    """Items that are too short for a shingle, by their first words."""
    found: dict[Words, list[Words]] = {}
    for item in items:
        if _LEAST_CONTAINED <= len(item) < _SHINGLE:
            found.setdefault(item[:_LEAST_CONTAINED], []).append(item)
    return found


def _by_rare_token(items: Sequence[frozenset[Token]]) -> dict[Token, list[int]]:
    """Items by their rarest tokens, so that a text is compared with few of them and misses none.

    A text of a tokens that is nearly an item of b shares at least d * (a + b) / 2 of them, d being `_NEARLY`; since it
    cannot share more than a, a is at least b * d / (2 - d), and the two share at least that many. So at most
    b - b * d / (2 - d) of the item's tokens are missing in the text: one more than these must hold a common one.
    """
    frequency = Counter(token for item in items for token in item)
    found: dict[Token, list[int]] = {}
    for number, item in enumerate(items):
        missing = int(len(item) - len(item) * _NEARLY / (2 - _NEARLY))
        rarest = sorted(item, key=lambda token: (frequency[token], token))[: missing + 1]
        for token in rarest:
            found.setdefault(token, []).append(number)
    return found
