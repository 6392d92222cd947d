"""Rephrases: the user asks the same again, in nearly the same words or with words that say so.

Somebody who asks the same in wholly other words, without saying so, is not found: words alone cannot tell that from the
next question about the subject.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

from monitor.atlas.stopwords import STOP_WORDS
from monitor.records import Turn
from monitor.signals.phrases import REPHRASES, alternatives
from monitor.signals.signal import Conversations, Signal

__all__ = ["find_rephrases", "says_again", "similarity"]

#: Similarity from which two messages ask the same. On sample traffic (seed 5), test traffic aside and by this alone, 149 of
#: 149 neighbouring messages that are so alike are rephrases; at 0.4 it is 153 of 160.
_SAME = 0.5

#: Shorter messages ("yes", "go on", "option 2") are alike without being a question that was asked again.
_LEAST_WORDS = 3

#: Trigram similarity from which a word is the other one with a typo or another ending.
_MISSPELT = 0.5

#: Who repeats one of these asks for the next helping: the reply was good.
_MORE = frozenset("continue another next again proceed more weiter noch siguiente otra otro más suite encore".split())

#: Courtesies that stop words lack.
_SMALL_WORDS = frozenset("hi hey hello thx cheers kindly quick question hola bonjour bitte gracias merci".split())

#: How many user messages back: between a question and its repetition there is often a "that's wrong".
_BACK = 2

#: A text that a conversation holds this often, all but unchanged, is sent by a script.
_SCRIPT, _UNCHANGED = 4, 0.9

#: Only so much of a message is compared: what was pasted below it would drown the question.
_COMPARED = 2_000


def find_rephrases(conversations: Conversations) -> list[Signal]:
    """The reply of a turn is judged by the next turn's user message, which asks what one of the last two did.

    It does when it begins by saying so ("what I'm asking is", "let me rephrase": `span` are these words), or when its
    similarity is at least 0.5 (`span` is the message; see `similarity`). Texts that a script repeats do not count. A
    false alarm makes a topic look worse than it is; a miss costs less, since all topics are missed alike.
    """
    found = []
    for turns in conversations:
        for position in range(1, len(turns)):
            text = turns[position].user_text
            judged = turns[position - 1].key
            if span := says_again(text):
                found.append(Signal(judged, "rephrase", span, "says so"))
                continue
            earlier = [turn.user_text for turn in turns[max(0, position - _BACK) : position]]
            alike = max(similarity(text, other) for other in earlier)
            if alike >= _SAME and not _scripted(text, turns):
                found.append(Signal(judged, "rephrase", (0, len(text)), f"similarity {alike:.2f}"))
    return found


def says_again(text: str) -> tuple[int, int] | None:
    """The characters at the start of a message that announce a rephrase, with something after them.

    >>> says_again("No, what I meant is the gas bill")
    (0, 19)
    >>> says_again("what does that mean?") is None
    True
    """
    match = _prefix().match(text[:200].replace("’", "'"))
    return match.span() if match else None


def similarity(text: str, other: str) -> float:
    """Dice coefficient of two messages' character trigrams, 0 to 1: 2 * common / (all of one + all of the other).

    Trigrams forgive typos and endings, where whole words do not. It is 0 when either message has fewer than three words
    or asks for more of the same ("write another one"), and when each has a word with a meaning that the other lacks: then
    something was replaced ("what does the mission say", "what does the vision say"), and not only added or left out.

    >>> similarity("where is my parcel", "wheres my parcel?") > 0.7
    True
    >>> similarity("show me page 2", "show me page 3"), similarity("yes", "yes")
    (0.0, 0.0)
    """
    words, others = _words(text), _words(other)
    if min(len(words), len(others)) < _LEAST_WORDS or not _MORE.isdisjoint(words):
        return 0.0
    alike = _dice(_trigrams(words), _trigrams(others))
    if alike >= _SAME and _has_own(words, others) and _has_own(others, words):
        return 0.0
    return alike


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text[:_COMPARED].casefold())


def _has_own(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a word with a meaning is not among the others, nor any that is spelt much like it."""
    missing = set(words) - set(others) - STOP_WORDS - _SMALL_WORDS
    return any(not _spelt_like_one(word, others) for word in missing)


def _spelt_like_one(word: str, others: Sequence[str]) -> bool:
    if any(character.isdigit() for character in word):
        return False
    grams = _trigrams([word])
    near = (other for other in others if abs(len(other) - len(word)) <= 3)
    return any(_dice(grams, _trigrams([other])) >= _MISSPELT for other in near)


def _trigrams(words: Sequence[str]) -> Counter[str]:
    line = f" {' '.join(words)} "
    return Counter(line[start : start + 3] for start in range(len(line) - 2))


def _dice(grams: Counter[str], others: Counter[str]) -> float:
    return 2 * (grams & others).total() / (grams.total() + others.total())


def _scripted(text: str, turns: Sequence[Turn]) -> bool:
    plain = _without_numbers(text)
    if len(turns) < _SCRIPT:
        return False
    return sum(similarity(plain, _without_numbers(turn.user_text)) >= _UNCHANGED for turn in turns) >= _SCRIPT


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)


@cache
def _prefix() -> re.Pattern[str]:
    lead = r"no+|nope|sorry|wait|ok(?:ay)?|well|hm+|but|um+|nein|non|pero|mais|aber|pardon|perdón|entschuldigung"
    more_follows = r"(?=[\s,:.;-]+[^\s.!?])"
    return re.compile(
        rf"\s*[¿¡]?(?:(?:{lead})\b[\s,.!:-]*){{0,2}}(?:{alternatives(REPHRASES)}){more_follows}", re.IGNORECASE
    )
