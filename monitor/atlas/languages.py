"""The language of each turn: what the log states, else what its text, its conversation and the rest of the traffic tell.

A short text says little of its language. So py3langid's probabilities are evidence, not the answer: they are weighed with
how frequent each language is in this traffic, which is found from the same texts by expectation maximisation (an empirical
Bayes prior; Saerens, Latinne and Decaestecker, 2002), and with the languages of the other turns of the conversation.
What it is worth is measured in benchmarks/languages.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.corpus import numbered

__all__ = ["SURE", "Languages", "detect", "foreign_texts", "normal_code"]

#: From this probability on a turn has the language that is found; below it nothing tells.
SURE = 0.5

#: The model's probabilities are taken to this power. It evens them out by the root of the length, which leaves short texts too
#: unsure; and the share that a language has at least. Chosen on half of the strings of the benchmark, with CLINC150.
_SHARPER, _LEAST_SHARE = 2.5, 1e-4
_ROUNDS = 15
#: Texts that the shares are found from, and languages that are told apart turn by turn; of the others the best counts.
_SAMPLE, _MOST = 20_000, 30
#: How many turns of the conversation the traffic as a whole weighs as much as.
_TRAFFIC_WEIGHT = 1.0
#: Characters that are looked at: a longer text has told its language by then.
_LONGEST = 200
#: Letters as bytes in UTF-8: "ok" and "hey" tell nothing, "hola" and "你好" do.
_LEAST_BYTES = 4
_CHUNK = 100_000

_NO_PROSE = re.compile(
    r"```.*?(?:```|$)|`[^`]*`|https?://\S+|www\.\S+|\S+@\S+\.\S+|[{}<>\[\]\\/|=_#*~^]+|\d+", re.DOTALL
)
_CODE = re.compile(r"([a-z]{2,3})(?:[-_@.].*)?")
#: Codes that mean the same as the one that is used here: old ones, those of three letters, and Norwegian's two forms.
_SAME = {
    "ara": "ar", "chi": "zh", "cmn": "zh", "deu": "de", "dut": "nl", "eng": "en", "fra": "fr", "fre": "fr", "ger": "de",
    "hin": "hi", "in": "id", "ita": "it", "iw": "he", "jpn": "ja", "kor": "ko", "nb": "no", "nld": "nl", "nn": "no",
    "pol": "pl", "por": "pt", "rus": "ru", "spa": "es", "tur": "tr", "ukr": "uk", "zho": "zh",
}  # fmt: skip
_UNKNOWN = frozenset({"und", "unk", "mis", "mul", "zxx", "nan", "xx"})


@dataclass(frozen=True, slots=True)
class Languages:
    """`codes` [t] are ISO 639-1 where there is such a code, None where nothing tells; `confidence` [t] is the probability of
    the code (at least `SURE`), 1 where the log states it, nan for None; `stated` [t]."""

    codes: Sequence[str | None]
    confidence: NDArray[np.float32]
    stated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.codes)

    def outside(self, known: frozenset[str] | None) -> NDArray[np.bool_]:
        """Turns [t] in a language that is not among the known ones; None knows all."""
        if known is None:
            return np.zeros(len(self), bool)
        return np.array([code is not None and code not in known for code in self.codes], bool)


@lru_cache(maxsize=4096)
def normal_code(stated: str | None) -> str | None:
    """A language's code without its region and script; None for what is no code.

    >>> normal_code("en-US"), normal_code("zh_Hans"), normal_code("DEU"), normal_code("Klingon"), normal_code("und")
    ('en', 'zh', 'de', None, None)
    """
    found = _CODE.fullmatch((stated or "").strip().lower())
    if not found or found[1] in _UNKNOWN:
        return None
    return _SAME.get(found[1], found[1])


def detect(
    texts: Sequence[str],
    text_of: NDArray[np.int64],
    conversation: NDArray[np.int64] | NDArray[np.uint64],
    stated: Sequence[str | None],
    *,
    shares: Mapping[str, float] | None = None,
) -> Languages:
    """The language of turns [t], of distinct texts [n], their `text_of` [t], conversation [t] and stated language [t].

    `shares` of the languages in the traffic, where they are known already; else they are found from the texts. The same
    input has the same result. Loads the model (0.4 s) unless the log states every language.
    """
    said = [normal_code(one) for one in stated]
    is_stated = np.array([code is not None for code in said], bool)
    if is_stated.all():
        return Languages(said, np.ones(len(said), np.float32), is_stated)
    labels, evidence_of = _model()
    asked = np.unique(text_of[~is_stated])
    prose = [_prose(texts[text]) for text in asked.tolist()]
    prior = _prior(prose, evidence_of, labels, shares or {}, _stated_counts(text_of, said, is_stated, labels))
    seen = _Seen.of(prose, evidence_of, prior)
    place = np.full(len(texts), -1, np.int64)
    place[asked] = np.arange(len(asked))
    column = {labels[one]: number for number, one in enumerate(seen.columns.tolist())}
    found: list[str | None] = list(said)
    confidence = np.where(is_stated, np.float32(1), np.float32(np.nan))
    known = np.array([column.get(code, -1) if code else -1 for code in said], np.int64)
    for rows in _whole_conversations(numbered(conversation)):
        best, sure = _by_conversation(seen, place[text_of[rows]], known[rows], is_stated[rows], conversation[rows])
        open_ = np.flatnonzero(~is_stated[rows] & (best >= 0) & (sure >= SURE))
        confidence[rows[open_]] = sure[open_]
        for row, label in zip(rows[open_].tolist(), best[open_].tolist(), strict=True):
            found[row] = labels[label]
    return Languages(found, confidence, is_stated)


def foreign_texts(
    texts: Sequence[str], known: frozenset[str] | None, turns: Mapping[str, int] | None = None
) -> NDArray[np.bool_]:
    """Which texts [n], such as eval items, are in a language that is not among the known ones; None knows all.

    `turns` of each language in the traffic: a few short items alone do not tell what people speak.
    """
    if known is None or not texts:
        return np.zeros(len(texts), bool)
    each = np.arange(len(texts), dtype=np.int64)
    total = sum((turns or {}).values())
    shares = {code: count / total for code, count in (turns or {}).items()}
    return detect(texts, each, each, [None] * len(texts), shares=shares).outside(known)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What texts [n] tell: `likelihood` [n, c + 1] of the frequent languages (`columns` [c] of the labels) and of the best
    of all others, which is `other` [n]; their `prior` [c + 1]; and whether a text tells anything."""

    columns: NDArray[np.int64]
    prior: NDArray[np.float32]
    likelihood: NDArray[np.float32]
    other: NDArray[np.int64]
    tells: NDArray[np.bool_]

    @classmethod
    def of(cls, prose: Sequence[str], evidence_of: _Evidence, prior: NDArray[np.float64]) -> _Seen:
        order = np.argsort(-prior, kind="stable")
        columns, rest = np.sort(order[:_MOST]), np.sort(order[_MOST:])
        likelihood = np.zeros((len(prose), len(columns) + 1), np.float32)
        other = np.zeros(len(prose), np.int64)
        for start in range(0, len(prose), _CHUNK):
            part = evidence_of(prose[start : start + _CHUNK])
            inside = slice(start, start + len(part))
            likelihood[inside, :-1] = part[:, columns]
            strangest = part[:, rest].argmax(axis=1)
            other[inside] = rest[strangest]
            likelihood[inside, -1] = part[np.arange(len(part)), rest[strangest]]
        weights = np.append(prior[columns], prior[rest].max()).astype(np.float32)
        return cls(columns, weights / weights.sum(), likelihood, other, np.array([bool(text) for text in prose], bool))


#: Texts to what they tell of each label [n, l]: the largest of a row is 1, and a text that tells nothing has ones.
_Evidence = Callable[[Sequence[str]], NDArray[np.float32]]


@lru_cache(maxsize=1)
def _model() -> tuple[list[str], _Evidence]:
    """The labels of py3langid's model, and its evidence."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # it reads its model: only where it is needed

    identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    labels: list[str] = [normal_code(label) or label for label in identifier.nb_classes]
    width = len(labels)

    def evidence_of(prose: Sequence[str]) -> NDArray[np.float32]:
        found = np.ones((len(prose), width), np.float32)
        for row, text in enumerate(prose):
            if text:
                # `rank` is its public form: the same numbers in a sorted list of pairs, three times slower.
                found[row] = identifier._decide(text)
        found = np.power(found / found.max(axis=1, keepdims=True), _SHARPER, dtype=np.float32)
        return np.asarray(np.maximum(found, np.float32(1e-30)), np.float32)

    return labels, evidence_of


def _prose(text: str) -> str:
    """What of a text is language, cut short; empty when that is too little to tell."""
    # Looked for in a part only: what is cut is mostly more of the same.
    found = " ".join(_NO_PROSE.sub(" ", text[: 4 * _LONGEST]).split())[:_LONGEST]
    for part in (found[:12], found):
        if len("".join(filter(str.isalpha, part)).encode("utf-8", "replace")) >= _LEAST_BYTES:
            return found
    return ""


def _stated_counts(
    text_of: NDArray[np.int64], said: Sequence[str | None], is_stated: NDArray[np.bool_], labels: Sequence[str]
) -> NDArray[np.float64]:
    """How many distinct texts the log states each label of."""
    number = {label: place for place, label in reversed(list(enumerate(labels)))}
    pairs = {(text, code) for text, code in zip(text_of[is_stated].tolist(), (one for one in said if one), strict=True)}
    counts = np.zeros(len(labels))
    for _, code in pairs:
        if code in number:
            counts[number[code]] += 1
    return counts


def _prior(
    prose: Sequence[str],
    evidence_of: _Evidence,
    labels: Sequence[str],
    shares: Mapping[str, float],
    stated: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Share of each label [l], none of them zero: those given, or the ones that explain the texts best.

    Each distinct text counts once: a machine that repeats itself says nothing of what others speak.
    """
    if shares:
        given = np.array([shares.get(label, 0.0) for label in labels]) + _LEAST_SHARE
        return np.asarray(given / given.sum(), np.float64)
    step = max(1, -(-len(prose) // _SAMPLE))
    evidence = evidence_of([text for text in prose[::step] if text])
    prior = np.full(len(labels), 1 / len(labels))
    for _ in range(_ROUNDS):
        likely = evidence * prior.astype(np.float32)
        likely /= likely.sum(axis=1, keepdims=True)
        # One text is no support for itself: in a small log a single mistake would be as frequent as a language.
        counts = np.maximum(step * likely.sum(axis=0, dtype=np.float64) + stated - 1, 0)
        if not counts.sum():
            return np.full(len(labels), 1 / len(labels))
        prior = counts / counts.sum() + _LEAST_SHARE
        prior /= prior.sum()
    return prior


def _by_conversation(
    seen: _Seen,
    text: NDArray[np.int64],
    known: NDArray[np.int64],
    is_stated: NDArray[np.bool_],
    conversation: NDArray[np.int64] | NDArray[np.uint64],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The likeliest label of each turn [t] and its probability, -1 where neither the text nor its conversation tells any.

    A turn's prior is the mean of what the other turns of its conversation are in, and of the traffic: "ok" has the language
    of the talk around it, and a text that is pasted into it can have another.
    """
    likelihood = np.where(is_stated[:, None], np.float32(1), seen.likelihood[text])
    tells = np.where(is_stated, known >= 0, seen.tells[text])
    own = likelihood * seen.prior
    own /= own.sum(axis=1, keepdims=True)
    own[is_stated] = 0
    own[np.flatnonzero(known >= 0), known[known >= 0]] = 1
    own[~tells] = 0
    group = numbered(conversation)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(group[order]) > 0))
    around = np.add.reduceat(own[order], starts, axis=0)[group] - own
    told = around.sum(axis=1) > 0.5
    found = likelihood * (np.maximum(around, 0) + np.float32(_TRAFFIC_WEIGHT) * seen.prior)
    found /= found.sum(axis=1, keepdims=True)
    best = found.argmax(axis=1)
    labels = np.append(seen.columns, -1)[best]
    labels = np.where(best == len(seen.columns), seen.other[text], labels)
    return np.where(tells | told, labels, -1), found.max(axis=1)


def _whole_conversations(group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of turns in parts of about `_CHUNK`, no conversation in two of them."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(group[order]) > 0)) if len(group) else np.empty(0, np.int64)
    cuts = [0]
    for start in starts.tolist():
        if start - cuts[-1] >= _CHUNK:
            cuts.append(start)
    return [order[a:b] for a, b in zip(cuts, [*cuts[1:], len(group)], strict=True) if b > a]
