"""Selection: each filter, its count, and that the order of the turns does not matter."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from finetune_turns import encode, turn_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.finetune.selection import FILTERS, Selection, select_turns
from monitor.records import Turn

NOTHING = np.empty((0, 128), np.float32)


def _select(
    turns: list[Turn],
    *,
    vectors: NDArray[np.float32] | None = None,
    context: dict[int, list[Turn]] | None = None,
    failed: frozenset[int] = frozenset(),
    evals: list[str] | None = None,
    eval_vectors: NDArray[np.float32] = NOTHING,
    near: float = 0.95,
) -> Selection:
    return select_turns(
        turns,
        encode([turn.user_text for turn in turns]) if vectors is None else vectors,
        context=context or {},
        failed=failed,
        eval_texts=evals or [],
        eval_vectors=eval_vectors,
        near_duplicate=near,
    )


def test_every_filter_is_counted_in_order() -> None:
    turns = [
        turn_of(0, "how do I bleed a radiator"),
        turn_of(1, "no reply to this", reply=None),
        turn_of(2, "blank reply to that", reply="  \n"),
        turn_of(3, "this reply was challenged"),
        replace(turn_of(4, "this one has a thumb down"), feedback_score=-1.0),
        turn_of(5, "how do I  bleed a radiator "),
        turn_of(6, "how do I bleed a radiators"),
        turn_of(7, "where is the nearest charging station"),
        turn_of(8, "can I pay by card"),
    ]
    selection = _select(
        turns, failed=frozenset({turns[3].key}), evals=["Where is the NEAREST charging station?!"], near=0.9
    )
    assert selection.counts == tuple(zip(FILTERS, (9, 7, 5, 4, 3, 2), strict=True))
    assert 8 in selection.rows.tolist()


def test_of_near_duplicates_the_most_central_stays() -> None:
    angles = np.array([0.0, 0.1, 0.2, 1.4])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    turns = [turn_of(number, f"text {number}") for number in range(4)]
    assert _select(turns, vectors=vectors, near=0.97).rows.tolist() == [2, 3]


def test_no_kept_pair_is_nearer_than_the_limit_and_no_dropped_turn_is_far_from_all() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(1_500, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    turns = [turn_of(number, f"text {number}") for number in range(1_500)]
    rows = _select(turns, vectors=vectors, near=0.98).rows
    cosines = vectors @ vectors[rows].T
    among = cosines[rows]
    np.fill_diagonal(among, 0)
    assert among.max() < 0.98
    assert cosines.max(axis=1).min() >= 0.98


def test_a_turn_near_an_eval_vector_stays_out() -> None:
    turns = [turn_of(0, "aaa"), turn_of(1, "bbb")]
    vectors = np.eye(2, dtype=np.float32)
    near_first = np.array([[0.96, 0.28]], np.float32)
    assert _select(turns, vectors=vectors, eval_vectors=near_first).rows.tolist() == [1]


def test_an_eval_item_in_an_earlier_message_or_in_the_reply_keeps_the_example_out() -> None:
    asked = turn_of(0, "what is the day rate of the flex tariff in winter")
    turns = [turn_of(1, "and in summer?"), turn_of(2, "something else"), turn_of(3, "a third thing")]
    turns[1] = replace(turns[1], assistant_text="You could ask: what is the day rate of the flex tariff in winter?")
    selection = _select(
        turns, context={turns[0].key: [asked]}, evals=["What is the day rate of the Flex tariff, in winter?"]
    )
    assert selection.rows.tolist() == [2]


def test_nothing_in_nothing_out() -> None:
    selection = _select([], vectors=NOTHING)
    assert len(selection.rows) == 0
    assert selection.counts == tuple((name, 0) for name in FILTERS)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["pay my bill", "pay my bills", "where is it", "cancel it now", "ok"]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_turns_changes_nothing(texts: list[str], rng: random.Random) -> None:
    turns = [turn_of(number, text) for number, text in enumerate(texts)]
    shuffled = rng.sample(turns, len(turns))
    first, second = _select(turns, evals=["ok"]), _select(shuffled, evals=["ok"])
    assert first.counts == second.counts
    assert [turns[row].key for row in first.rows] == [shuffled[row].key for row in second.rows]


@pytest.mark.parametrize("score", [0.0, 1.0, None])
def test_only_negative_feedback_counts_as_failed(score: float | None) -> None:
    turn = replace(turn_of(0, "pay my bill"), feedback_score=score)
    assert _select([turn]).rows.tolist() == [0]
