"""Floods: one prompt sent over and over by a machine, which must not bend the map nor count as what users ask."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.corpus import Corpus, numbered

__all__ = ["find_floods"]

#: A prompt is a flood when one user sends this share of it, or, without users, when so much of it falls into one hour.
_CONCENTRATED = 0.5

_HOUR = 3_600_000_000


def find_floods(corpus: Corpus, *, least_turns: int) -> NDArray[np.bool_]:
    """Which turns [t] belong to a flood: prompts said at least `least_turns` times, mostly by one user or in one hour.

    Prompts that differ in digits, case and punctuation only are the same prompt. A popular question is no flood: it comes
    from many people.
    """
    skeleton = numbered(np.array([_skeleton(text) for text in corpus.texts], dtype=object))[corpus.text_of]
    counts = np.bincount(skeleton) if len(corpus) else np.empty(0, np.int64)
    flood = np.zeros(len(corpus), bool)
    for number in np.flatnonzero(counts >= least_turns):
        rows = np.flatnonzero(skeleton == number)
        if corpus.named_user[rows].mean() >= _CONCENTRATED:
            largest = np.bincount(corpus.user[rows]).max()
        else:
            hours = corpus.created[rows] // _HOUR
            # Logs whose turns all bear one time know no hours.
            largest = np.bincount(hours - hours.min()).max() if np.ptp(corpus.created) > _HOUR else 0
        flood[rows] = largest >= _CONCENTRATED * len(rows)
    return flood


def _skeleton(text: str) -> str:
    return re.sub(r"[\W\d_]+", " ", text.casefold()).strip() or text
