"""Labels: equal to BERTopic's c-TF-IDF, unique, and of the words that set a topic apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from monitor.atlas.labels import class_tf_idf, label_topics, most_central
from monitor.atlas.representation import Meaning, akin
from monitor.encoding.hashing import HashingEncoder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_equals_bertopics_transformer():
    from bertopic.vectorizers import ClassTfidfTransformer

    counts = csr_matrix(np.random.default_rng(0).poisson(0.4, size=(12, 300)))
    expected = ClassTfidfTransformer().fit_transform(counts).toarray()
    assert np.allclose(class_tf_idf(counts).toarray(), expected, rtol=1e-12, atol=1e-15)


def test_an_empty_class_has_no_weights():
    assert class_tf_idf(csr_matrix(np.array([[0, 0], [2, 1]]))).toarray()[0].tolist() == [0, 0]


def test_the_label_names_what_sets_a_topic_apart():
    texts = ["where is my parcel", "parcel late again", "reset my password", "password forgotten", "hm"]
    labels = label_topics(texts, np.array([0, 0, 1, 1, -1]))
    assert "parcel" in labels[0].text
    assert "password" in labels[1].text


def test_stop_words_alone_give_a_number():
    assert [label.text for label in label_topics(["the of", "and to"], np.array([0, 1]))] == ["topic 1", "topic 2"]


def test_no_topics_no_labels():
    assert label_topics([], np.empty(0, np.int64)) == []
    assert label_topics(["a b"], np.array([-1])) == []


@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=12))
def test_labels_are_unique(texts):
    labels = label_topics(texts, np.arange(len(texts)))
    assert len({label.text for label in labels}) == len(texts)


def test_most_central_is_nearest_to_the_weighted_mean():
    half = np.sqrt(0.5)
    vectors = np.array([[1, 0], [0, 1], [half, half], [1, 0]], np.float32)
    topics = np.array([0, 0, 0, 1])
    assert most_central(vectors, topics, np.array([1.0, 1, 1, 1]), count=1) == [(2,), (3,)]
    assert most_central(vectors, topics, np.array([0.0, 9, 0, 1]), count=1)[0] == (1,)


def _meaning(texts: list[str]) -> Meaning:
    encoder = HashingEncoder()
    return Meaning(encoder.encode(texts), np.ones(len(texts)), encoder.encode)


def test_a_label_is_nearest_to_its_own_topic():
    """By frequency alone the three savings words win in both topics; what they mean points to neither."""
    texts = [
        "savings account",
        "savings account card",
        "savings account card lost",
        "card",
        "savings account balance",
        "balance",
    ]
    topics = np.array([0, 0, 0, 0, 1, 1])
    meaning = _meaning(texts)
    labels = label_topics(texts, topics, meaning=meaning)
    cosines = meaning.encode([label.text for label in labels]) @ meaning.centres(topics, 2).T
    assert cosines.argmax(axis=1).tolist() == [0, 1]


def test_what_a_term_means_decides_between_terms_of_equal_weight():
    directions = {"near": [1.0, 0.0], "far": [0.0, 1.0]}

    def encode(terms):
        return np.array([directions["near" if "parcel" in term else "far"] for term in terms], np.float32)

    meaning = Meaning(np.array([[1, 0], [0, 1]], np.float32), np.ones(2), encode)
    labels = label_topics(["aardvark parcel", "zebra"], np.array([0, 1]), meaning=meaning)
    assert "parcel" in labels[0].keywords[0]


def test_forms_of_a_word_do_not_stand_together_in_a_label():
    texts = ["delayed flight", "flights delayed", "delays of flights", "flight delay gate", "pizza", "pizza oven"]
    label = label_topics(texts, np.array([0, 0, 0, 0, 1, 1]), meaning=_meaning(texts))[0]
    terms = [term.split() for term in label.text.split(", ")]
    assert len(terms) > 1
    for place, term in enumerate(terms):
        assert not any(akin(word, other) for before in terms[:place] for word in term for other in before)


def test_each_term_is_encoded_once_and_the_order_of_texts_changes_nothing():
    texts = ["wo ist mein paket", "paket verspätet", "passwort vergessen", "neues passwort setzen", "посылка опоздала"]
    topics, calls = np.array([0, 0, 1, 1, 2]), []
    meaning = _meaning(texts)

    def encode(terms):
        calls.append(list(terms))
        return meaning.encode(terms)

    labels = label_topics(texts, topics, meaning=Meaning(meaning.vectors, meaning.weights, encode))
    assert len(calls) == 1
    assert len(set(calls[0])) == len(calls[0])
    assert "paket" in labels[0].text
    assert "посылка" in labels[2].text
    back = slice(None, None, -1)
    again = label_topics(
        texts[back], topics[back], meaning=Meaning(meaning.vectors[back], meaning.weights, meaning.encode)
    )
    assert again == labels


@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=12))
def test_labels_by_meaning_are_unique(texts):
    labels = label_topics(texts, np.arange(len(texts)) // 2, meaning=_meaning(texts))
    assert len({label.text for label in labels}) == len(labels) == (len(texts) + 1) // 2


def test_a_topic_without_words_has_a_number_whatever_is_meant():
    texts = ["the of", "password"]
    assert label_topics(texts, np.array([0, 1]), meaning=_meaning(texts))[0].text == "topic 1"
