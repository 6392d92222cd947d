"""Labels: the words that set a topic apart, by class-based TF-IDF and by what they mean, and its most central texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.representation import CANDIDATES, Meaning, choose_terms
from monitor.atlas.stopwords import STOP_WORDS
from monitor.redaction import redact
from monitor.wording import clean

__all__ = ["Label", "class_tf_idf", "label_topics", "most_central", "presentable", "terms_of"]

#: What redaction leaves in the place of a secret; it says nothing about a topic.
_MARK = re.compile(r"\[(?:email|phone|card|iban|key)\]")


#: Words in a label; more are added only where two topics would be called the same.
_LABEL_WORDS = 3

#: A word begins with a letter and has at least two characters; it may hold digits, apostrophes and hyphens. Four digits in
#: a row are somebody's number and no subject.
_WORD = r"(?u)\b(?![\w'’-]*\d{4})[^\W\d_][\w'’-]*\w\b"

#: Keywords kept with a topic, in the order of their weight.
_KEYWORDS = 10


@dataclass(frozen=True, slots=True)
class Label:
    """`text` is unique among the topics labelled together; `keywords` are the terms of the greatest weight."""

    text: str
    keywords: tuple[str, ...]


def class_tf_idf(counts: csr_matrix) -> csr_matrix:
    """Class-based TF-IDF of term counts [classes, terms] (Grootendorst, 2022, "BERTopic").

    tf(t, c) * log(1 + A / f(t)): tf is the term's share of its class's terms, f its count over all classes, A the mean
    number of terms a class, cut to a whole number. Equal to BERTopic's `ClassTfidfTransformer` with its defaults.
    """
    counts = counts.astype(np.float64)
    frequency = np.asarray(counts.sum(axis=0)).ravel()
    size = np.asarray(counts.sum(axis=1)).ravel()
    average = int(size.mean())
    idf = np.log(np.divide(average, frequency, out=np.zeros_like(frequency), where=frequency > 0) + 1)
    share = diags(np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)) @ counts
    return (share @ diags(idf)).tocsr()


def presentable(texts: Iterable[str]) -> list[str]:
    """The texts without secrets and without what only a terminal reads. A label is shown everywhere and outlives the turns it
    came from: no address or number may become a word of it."""
    return [_MARK.sub(" ", redact(clean(text))) for text in texts]


def terms_of(texts: Sequence[str], *, least: int = 1, longest: int = 2) -> tuple[csr_matrix, NDArray[np.object_]]:
    """How often each text holds each term [texts, terms], and the terms.

    Terms are words and, where the `longest` has two, pairs of words that stand in at least so many texts, without the stop
    words of English, German, Spanish and French.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        stop_words=sorted(STOP_WORDS),
        ngram_range=(1, longest),
        token_pattern=_WORD,
        min_df=least,
        dtype=np.int64,
    )
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # nothing but stop words and words of too few texts
        return csr_matrix((len(texts), 0), dtype=np.int64), np.empty(0, dtype=object)
    return counts, vectorizer.get_feature_names_out()


def label_topics(
    texts: Sequence[str], topics: NDArray[np.int64], *, least: int = 1, meaning: Meaning | None = None
) -> list[Label]:
    """A label for each topic 0..max; `topics` [n] gives each text's topic, -1 for none. `least` is that of `terms_of`.

    With the meaning of the texts, of the terms of the greatest weight those make the label that mean this topic rather
    than another (`choose_terms`); without, the weight alone decides.
    """
    number = int(topics.max(initial=-1)) + 1
    if number == 0:
        return []
    member = topics >= 0
    counts, vocabulary = terms_of([text for text, inside in zip(texts, member, strict=True) if inside], least=least)
    if not len(vocabulary):
        return [Label(f"topic {topic + 1}", ()) for topic in range(number)]
    rows = topics[member]
    membership = csr_matrix((np.ones(len(rows), np.int64), (rows, np.arange(len(rows)))), shape=(number, len(rows)))
    weights = class_tf_idf((membership @ counts).tocsr())
    chosen: Sequence[tuple[str, ...]] = [()] * number
    if meaning is not None:
        heaviest = [_heaviest(weights[topic], vocabulary)[:CANDIDATES] for topic in range(number)]
        chosen = choose_terms(heaviest, meaning.centres(topics, number), meaning.encode, count=_LABEL_WORDS)
    keywords = [_keywords(weights[topic], vocabulary, chosen[topic]) for topic in range(number)]
    return _unique(keywords, [len(terms) or _LABEL_WORDS for terms in chosen])


def most_central(
    vectors: NDArray[np.float32], topics: NDArray[np.int64], weights: NDArray[np.float64], *, count: int = 3
) -> list[tuple[int, ...]]:
    """For each topic the rows nearest to its weighted mean vector, nearest first, ties by row."""
    number = int(topics.max(initial=-1)) + 1
    found = []
    order = np.argsort(topics, kind="stable")
    bounds = np.searchsorted(topics[order], np.arange(number + 1))
    for topic in range(number):
        rows = order[bounds[topic] : bounds[topic + 1]]
        centre = weights[rows] @ vectors[rows]
        closeness = np.round(vectors[rows] @ centre, 6)
        found.append(tuple(int(row) for row in rows[np.lexsort((rows, -closeness))][:count]))
    return found


def _heaviest(weights: csr_matrix, vocabulary: NDArray[np.object_]) -> list[tuple[str, float]]:
    """Terms with their weights, the greatest first."""
    order = np.lexsort((weights.indices, -weights.data))
    return [(str(vocabulary[weights.indices[place]]), float(weights.data[place])) for place in order]


def _keywords(weights: csr_matrix, vocabulary: NDArray[np.object_], chosen: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The chosen terms, then others by weight; a word that an earlier term holds, and a pair that repeats two earlier
    words, are left out."""
    found = list(chosen)
    for term, _ in _heaviest(weights, vocabulary):
        if len(found) >= _KEYWORDS:
            break
        words = set(term.split())
        if not any(words <= set(other.split()) or set(other.split()) <= words for other in found):
            found.append(term)
    return tuple(found)


def _unique(keywords: Sequence[tuple[str, ...]], lengths: Sequence[int]) -> list[Label]:
    """So many keywords make a label; where two labels would be equal, further keywords and at last a number tell them apart."""
    taken: set[str] = set()
    labels = []
    for topic, (words, least) in enumerate(zip(keywords, lengths, strict=True)):
        candidates = [", ".join(words[:length]) for length in range(least, len(words) + 1)]
        base = candidates[0] if candidates else ", ".join(words) or f"topic {topic + 1}"
        candidates = candidates or [base]
        text = next((candidate for candidate in candidates if candidate not in taken), None)
        number = 2
        while text is None:
            text = f"{base} ({number})" if f"{base} ({number})" not in taken else None
            number += 1
        taken.add(text)
        labels.append(Label(text, words))
    return labels
