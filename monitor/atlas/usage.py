"""Follow-ups known by their use: short texts that come up in the midst of conversations about anything.

"is that free?" and "it says pending" hold a word of substance each, so no list of words finds them. Their use gives them away:
hardly anybody opens a conversation with them, and what was said before them is about everything. Figures in
docs/decisions/0019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, identity

from monitor.atlas.corpus import Corpus
from monitor.atlas.neighbours import NeighbourGraph

__all__ = ["MOST_WORDS", "follow_ups_by_use"]

#: Longer texts say what they are about.
MOST_WORDS = 7

#: Of the turns that say a text or one near it, at most this share opens a conversation.
_OPENINGS = 0.35

#: What is said before is as mixed as all that is said: the mean cosine of two of these texts is at most so much above that
#: of any two, as a share of what it could be above.
_ALIKE = 0.06

#: Fewer conversations than this, neighbours included by their weight, say nothing about use. A turn counts as its share of its
#: conversation: a batch that asks eighty unrelated things in one go is one conversation, and makes no follow-ups of them.
_LEAST_CONVERSATIONS = 3.0


def follow_ups_by_use(
    corpus: Corpus,
    vectors: NDArray[np.float32],
    graph: NeighbourGraph,
    acts: NDArray[np.int64],
    flood: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which texts [n] without an act are follow-ups by their use. `acts` [n] are those known so far, `flood` [t] is of turns.

    The context of a turn is the text before it in its conversation; acts and floods are stepped over. A text is judged
    together with its neighbours in the graph, whose turns weigh as their edges do, the nearest one's fully.
    """
    n = len(graph)
    found = np.zeros(n, bool)
    rows = np.flatnonzero((acts[corpus.text_of] < 0) & ~flood)
    short = np.flatnonzero((acts < 0) & np.array([len(text.split()) <= MOST_WORDS for text in corpus.texts], bool))
    if not len(rows) or not len(short):
        return found
    text, conversation = corpus.text_of[rows], corpus.conversation[rows]
    follows = np.flatnonzero(conversation[1:] == conversation[:-1]) + 1
    if not len(follows):
        return found
    opens = np.ones(len(rows), bool)
    opens[follows] = False
    contexts = _counts(text[follows], text[follows - 1], n)
    near = _with_neighbours(graph)[short]
    said, opened = (near @ np.bincount(of, minlength=n).astype(np.float64) for of in (text, text[opens]))
    share = 1.0 / np.bincount(conversation)[conversation[follows]]
    followed = near @ np.bincount(text[follows], share, minlength=n)
    spread = _likeness((near @ contexts).tocsr(), vectors)
    (everything,) = _likeness(csr_matrix(contexts.sum(axis=0)), vectors)
    varied = spread <= everything + _ALIKE * (1 - everything)
    found[short] = (followed >= _LEAST_CONVERSATIONS) & varied & (opened < _OPENINGS * said)
    return found


def _with_neighbours(graph: NeighbourGraph) -> csr_matrix:
    """Row i holds 1 for text i, and for its neighbours their edges' weights as shares of the heaviest."""
    heaviest = graph.weights().max(axis=1, initial=0.0)
    return (identity(len(graph), format="csr") + diags(1 / np.maximum(heaviest, 1e-12)) @ graph.directed()).tocsr()


def _counts(rows: NDArray[np.int64], columns: NDArray[np.int64], n: int) -> csr_matrix:
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, n))


def _likeness(counts: csr_matrix, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean cosine of two of the vectors that each row counts, not of one with itself."""
    total = np.asarray(counts.sum(axis=1)).ravel()
    sums = counts.astype(np.float32) @ vectors
    squares = np.einsum("ij,ij->i", sums, sums).astype(np.float64)
    return np.asarray((squares - total) / np.maximum(total * total - total, 1e-9), np.float64)
