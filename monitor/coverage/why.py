"""Why is a turn near to the eval set, or far? Its nearest eval items, and what each of its words does to the nearest one.

Occlusion (Zeiler and Fergus, 2014; Li, Monroe and Jurafsky, 2016): a word is left out, the rest is encoded, and the change of
the cosine to the nearest item is the word's effect. It says what the encoder reads, and is no proof: words that say the same
twice have little effect each, and what is left may be no sentence. Novelty is more than this cosine, as it is drawn to that of
the turn's own neighbours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.items import ComparedItems
from monitor.encoding.encoder import Encoder
from monitor.encoding.recipe import USER_TEXT

__all__ = ["NOTABLE", "Near", "Piece", "Why", "explain", "pieces_of"]

#: Pieces that are left out, one at a time: words, and of longer texts so many groups of words.
_PIECES = 60

#: Items that are shown.
_NEAREST = 3

#: An effect that is worth a word: the encoder moves a cosine by less when a comma goes.
NOTABLE = 0.01

#: Words; of scripts that put no space between them, two characters.
_SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]{{1,2}}|[^\s{_SPACELESS}]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or several of a long text. `effect` is the cosine to the nearest item less that without it: positive where it
    makes the turn near, negative where far; nan where nothing would be left."""

    text: str
    effect: float


@dataclass(frozen=True, slots=True)
class Near:
    """An eval item that is near: `text` is what it asks."""

    item_id: str
    label: str | None
    text: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Why:
    """The text in pieces, in order, and the nearest items, the nearest first; without items no effects."""

    pieces: tuple[Piece, ...]
    near: tuple[Near, ...]

    @property
    def makes_near(self) -> list[Piece]:
        """Pieces whose effect is worth a word, the strongest first."""
        return sorted((one for one in self.pieces if one.effect >= NOTABLE), key=lambda one: -one.effect)

    @property
    def makes_far(self) -> list[Piece]:
        return sorted((one for one in self.pieces if one.effect <= -NOTABLE), key=lambda one: one.effect)


def explain(text: str, items: ComparedItems, vectors: NDArray[np.float32], encoder: Encoder) -> Why:
    """The pieces of a text with their effects on its nearest item, and the nearest of the items, unit `vectors` [m, d].

    The text and what is left of it are encoded at once, and kept nowhere.
    """
    text = USER_TEXT.prepare(text)
    spans = pieces_of(text)
    words = [text[start:end] for start, end in spans]
    if not len(items) or not text:
        return Why(tuple(Piece(word, math.nan) for word in words), ())
    rests = [USER_TEXT.prepare(f"{text[:start]} {text[end:]}") for start, end in spans]
    some = [rest for rest in rests if rest]
    encoded = encoder.encode([text, *some])
    cosines = vectors @ encoded[0]
    order = np.argsort(-cosines, kind="stable")[:_NEAREST].tolist()
    without = iter((encoded[1:] @ vectors[order[0]]).tolist())
    whole = float(cosines[order[0]])
    pieces = tuple(
        Piece(word, whole - next(without) if rest else math.nan) for word, rest in zip(words, rests, strict=True)
    )
    near = tuple(Near(items.ids[row], items.labels[row], items.texts[row], float(cosines[row])) for row in order)
    return Why(pieces, near)


def pieces_of(text: str) -> Sequence[tuple[int, int]]:
    """Where the pieces of a prepared text stand, as half-open ranges of its characters.

    >>> pieces_of("where is it")
    [(0, 5), (6, 8), (9, 11)]
    """
    words = [found.span() for found in _WORD.finditer(text)]
    size = max(1, -(-len(words) // _PIECES))
    groups = [words[start : start + size] for start in range(0, len(words), size)]
    return [(group[0][0], group[-1][1]) for group in groups]
