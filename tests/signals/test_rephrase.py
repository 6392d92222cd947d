"""Rephrases: the same again, and what only looks so."""

from __future__ import annotations

import pytest
from conversation import conversation
from hypothesis import given
from hypothesis import strategies as st

from monitor.signals.rephrase import find_rephrases, says_again, similarity

REPHRASES = [
    ("where is my parcel", "wheres my parcel??"),
    ("how do I cancel my contract", "how can I cancel my contract"),
    ("how do I cancel my contract", "how do I cancel my contract before the end of the year?"),
    ("Where can I download last year's statement", "where can i donwload last years statement"),
    ("wie kündige ich meinen Vertrag", "Wie kann ich meinen Vertrag kündigen?"),
    ("¿dónde está mi pedido?", "donde está mi pedido"),
    ("book me a table for Friday at eight", "book me a table for Friday at eight"),
    ("how much is it", "I meant the yearly price"),
    ("how much is it", "What I'm asking is whether gas is included"),
    ("how much is it", "no, my question was how much it is for two"),
    ("how much is it", "let me rephrase: what would a family pay"),
    ("how much is it", "In other words, is it worth it?"),
    ("how much is it", "I already asked that, how much"),
    ("wie teuer ist das", "Ich meinte den Preis im Jahr"),
    ("wie teuer ist das", "anders gefragt: was kostet es im Jahr"),
    ("cuánto cuesta", "me refiero al precio por año"),
    ("c'est combien", "je voulais dire le prix par an"),
]

NO_REPHRASES = [
    ("yes", "yes"),
    ("yes please do that", "yes please do that again"),
    ("write a poem about the sea", "write a poem about the moon"),
    ("show me page 2", "show me page 3"),
    ("what does the mission statement say", "what does the vision statement say"),
    ("create ten variations", "create another ten variations"),
    ("continue with the story", "continue with the story"),
    ("how much is it", "and how long does it take?"),
    ("how much is it", "what does that mean?"),
    ("how much is it", "I mean it"),
    ("how much is it", "I meant that."),
    ("how much is it", "let me try that"),
    ("what is a heat pump", "thanks, and what is a hybrid pump good for"),
    ("", ""),
]


@pytest.mark.parametrize(("before", "after"), REPHRASES)
def test_a_rephrase_is_found(before: str, after: str) -> None:
    turns = conversation(before, after)
    (signal,) = find_rephrases([turns])
    assert signal.signal == "rephrase"
    assert signal.turn_key == turns[0].key
    assert signal.span is not None
    assert 0 <= signal.span[0] < signal.span[1] <= len(after)


@pytest.mark.parametrize(("before", "after"), NO_REPHRASES)
def test_what_only_looks_like_a_rephrase_is_none(before: str, after: str) -> None:
    assert find_rephrases([conversation(before, after)]) == []


def test_the_span_of_an_announced_rephrase_is_the_announcement() -> None:
    text = "Sorry, what I actually meant was the other house"
    span = says_again(text)
    assert span is not None
    assert text[slice(*span)] == "Sorry, what I actually meant was"


def test_a_question_that_comes_back_after_a_challenge_judges_the_last_reply() -> None:
    turns = conversation("where is my parcel today", "that's wrong", "so where is my parcel today")
    assert [signal.turn_key for signal in find_rephrases([turns])] == [turns[1].key]


def test_a_script_that_repeats_itself_is_no_rephrase() -> None:
    probe = "uptime check: say the three opening hours"
    assert find_rephrases([conversation(*[f"{probe} (run {number})" for number in range(6)])]) == []
    assert find_rephrases([conversation(probe, probe, probe, probe)]) == []
    assert len(find_rephrases([conversation(probe, probe)])) == 1


def test_the_first_message_repeats_nothing() -> None:
    assert find_rephrases([conversation("I meant the gas bill"), []]) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_symmetric_and_between_0_and_1(text: str, other: str) -> None:
    assert 0 <= similarity(text, other) <= 1
    if "continue" not in (text + other):
        assert similarity(text, text) in (0, 1)
