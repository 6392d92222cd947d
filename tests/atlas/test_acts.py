"""Turns that carry the conversation, told from turns that have a subject."""

import numpy as np
import pytest

from monitor.atlas.acts import ACTS, EXAMPLES, example_texts, inherit_topics, recognise_acts
from monitor.atlas.neighbours import build_graph
from monitor.encoding.encoder import make_encoder
from monitor.settings import EncoderSettings

ACT = {
    "small_talk": ["Hi!", "thx", "ok thanks a lot", "Bonjour", "vielen Dank!", "are you human or a robot?", "👍"],
    "challenge": ["are you sure??", "No, that is wrong.", "¿seguro?", "that can't be right"],
    "followup": ["and the second one?", "why?", "how long does that take", "y el segundo?", "5", "12:30"],
}
SUBJECT = [
    "where is my parcel",
    "are you sure-fire cheaper than my old supplier",
    "the second meter shows the wrong reading",
    "thanks to the storm our power is out",
    "refund",
    "hello, my boiler leaks",
    "how long does a refund take",
]


@pytest.fixture(scope="module")
def encoder():
    return make_encoder(EncoderSettings())


def recognised(encoder, texts):
    vectors = encoder.encode(texts)
    return recognise_acts(texts, vectors, build_graph(vectors, k=5), encoder.encode(example_texts()[0]))


@pytest.mark.parametrize("act", ACTS)
def test_acts_are_recognised(encoder, act):
    found = recognised(encoder, ACT[act] + SUBJECT)[: len(ACT[act])]
    assert [text for text, one in zip(ACT[act], found, strict=True) if one < 0] == []
    assert np.mean(found == ACTS.index(act)) > 0.5


def test_texts_with_a_subject_are_not(encoder):
    texts = SUBJECT + ACT["small_talk"]
    found = recognised(encoder, texts)[: len(SUBJECT)]
    assert [text for text, act in zip(SUBJECT, found, strict=True) if act >= 0] == []


def test_a_long_text_is_never_an_act(encoder):
    long = "thanks " * 40
    assert recognised(encoder, [long, "where is my parcel"])[0] == -1


def test_no_texts(encoder):
    nothing = np.empty((0, 384), np.float32)
    examples = encoder.encode(example_texts()[0])
    assert len(recognise_acts([], nothing, build_graph(nothing, k=5), examples)) == 0


def test_examples_are_written_once():
    texts = [text for texts in EXAMPLES.values() for text in texts]
    assert len(set(texts)) == len(texts)


def test_acts_take_the_topic_before_them_or_else_after_them_or_none():
    topics = np.array([-1, 4, -1, 7, -1, -1, 2])
    conversations = np.array([0, 0, 0, 0, 0, 1, 2])
    is_act = np.array([True, False, True, False, True, True, False])
    assert inherit_topics(topics, conversations, is_act).tolist() == [4, 4, 4, 7, 7, -1, 2]
