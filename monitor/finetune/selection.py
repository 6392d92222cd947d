"""Selection: which turns of a slice become examples, and how many each filter left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.recipe import USER_TEXT
from monitor.finetune.decontamination import EvalTexts
from monitor.finetune.formats import example_of
from monitor.records import Turn

__all__ = ["FILTERS", "Selection", "select_turns"]

#: In this order; "slice" counts what came in.
FILTERS = ("slice", "has_reply", "not_failed", "distinct", "not_near_duplicate", "not_in_eval_set")

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Selection:
    """`rows` are positions among the turns that came in, by time; `counts` what was kept after each filter, in order."""

    rows: NDArray[np.int64]
    counts: tuple[tuple[str, int], ...]


def select_turns(
    turns: Sequence[Turn],
    vectors: NDArray[np.float32],
    *,
    context: Mapping[int, Sequence[Turn]],
    failed: Collection[int],
    eval_texts: Collection[str],
    eval_vectors: NDArray[np.float32],
    near_duplicate: float,
) -> Selection:
    """Choose from turns with the unit vectors [n, d] of their user texts; the order in which they come does not matter.

    has_reply: there is a reply. not_failed: no negative signal judges it (`failed` are turn keys) and its feedback is not
    negative. distinct: of turns with the same prepared user text the earliest. not_near_duplicate: of turns at a cosine of
    at least `near_duplicate` the one nearest to the slice's mean. not_in_eval_set: no message of the example, earlier ones
    included, says what an eval item says (see `EvalTexts`), and the user text's cosine to every eval vector [m, d] is
    below `near_duplicate`. Decontamination comes last, so that nothing can undo it.
    """
    rows = np.array(sorted(range(len(turns)), key=lambda row: (turns[row].created_at, turns[row].key)), np.int64)
    counts = [("slice", len(rows))]

    def keep(name: str, kept: Sequence[int] | NDArray[np.int64]) -> None:
        nonlocal rows
        rows = np.asarray(kept, np.int64)
        counts.append((name, len(rows)))

    keep("has_reply", [row for row in rows.tolist() if (turns[row].assistant_text or "").strip()])
    keep("not_failed", [row for row in rows.tolist() if not _failed(turns[row], failed)])
    earliest: dict[str, int] = {}
    for row in rows.tolist():
        earliest.setdefault(USER_TEXT.prepare(turns[row].user_text), row)
    keep("distinct", list(earliest.values()))
    keep("not_near_duplicate", rows[_far_apart(vectors[rows], near_duplicate)])
    evals = EvalTexts(eval_texts)
    clean = _farther(vectors[rows], eval_vectors, near_duplicate)
    keep("not_in_eval_set", [row for row in rows[clean].tolist() if not _says_one(turns[row], context, evals)])
    return Selection(rows, tuple(counts))


def _failed(turn: Turn, failed: Collection[int]) -> bool:
    return turn.key in failed or (turn.feedback_score is not None and turn.feedback_score < 0)


def _says_one(turn: Turn, context: Mapping[int, Sequence[Turn]], evals: EvalTexts) -> bool:
    return any(message.content in evals for message in example_of(turn, context.get(turn.key, ())).messages)


def _far_apart(vectors: NDArray[np.float32], near: float) -> NDArray[np.bool_]:
    """Go from the most central to the least, the earlier first at a tie, and keep what is near nothing kept."""
    kept = np.zeros(len(vectors), bool)
    if not len(vectors):
        return kept
    # Rounded: the last bits of a mean depend on the machine, and with them the order would.
    centrality = np.round(vectors @ vectors.mean(axis=0), 5)
    order = np.argsort(-centrality, kind="stable")
    chosen = np.empty_like(vectors)
    number = 0
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        free = _farther(vectors[block], chosen[:number], near)
        among = vectors[block] @ vectors[block].T
        first = number
        taken: list[int] = []
        for position in np.flatnonzero(free).tolist():
            if not taken or among[position, taken].max() < near:
                taken.append(position)
        number = first + len(taken)
        chosen[first:number] = vectors[block[taken]]
        kept[block[taken]] = True
    return kept


def _farther(vectors: NDArray[np.float32], others: NDArray[np.float32], near: float) -> NDArray[np.bool_]:
    """Which vectors are nearer than that to none of the others."""
    far = np.ones(len(vectors), bool)
    if len(others):
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            far[block] = (vectors[block] @ others.T).max(axis=1) < near
    return far
