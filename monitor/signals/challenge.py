"""Challenges: the user's next message doubts the reply, contradicts it, or says that it did not help.

English, German, Spanish and French, by patterns. A pattern must begin a clause among the first of the message: "are you
sure?" and "hmm, that's wrong" are challenges; "is the wrong tariff on my bill?" and "it asks whether I am sure" are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice, pairwise

from monitor.signals.phrases import CHALLENGES, alternatives
from monitor.signals.signal import Conversations, Signal

__all__ = ["challenge_in", "find_challenges"]

#: Whoever challenges says so first; what comes later explains it, tells a story, or is a text that was pasted.
_READ, _CLAUSES = 240, 2


def find_challenges(conversations: Conversations) -> list[Signal]:
    """The reply of a turn is challenged by the next turn's user message; `span` are the characters there that say so.

    A conversation's first message challenges nothing. A bare "no" does, unless the reply asked a question: then it is
    the answer. The detail is the kind of challenge. A false alarm makes a topic look worse than it is, so patterns that
    are as often a plain problem ("it's wrong", "I can't see it") are left out.
    """
    found = []
    for turns in conversations:
        for turn, after in pairwise(turns):
            challenge = challenge_in(after.user_text, reply=turn.assistant_text or "")
            if challenge is not None:
                found.append(Signal(turn.key, "challenge", challenge[1], challenge[0]))
    return found


def challenge_in(text: str, *, reply: str = "") -> tuple[str, tuple[int, int]] | None:
    """The kind of the first challenge in a message that follows this reply, and its characters.

    >>> challenge_in("hmm, are you sure?")
    ('doubt', (5, 17))
    >>> challenge_in("is the wrong tariff on my bill?") is None
    True
    """
    # Apostrophes of phones and word processors; each stays one character, so that spans fit the text.
    plain = text[:_READ].replace("’", "'").replace("‘", "'").replace("`", "'")
    if not reply.rstrip().endswith("?") and (bare := _bare_no().match(plain)):
        return "no", bare.span("no")
    for starts, end in islice(_clauses(plain), _CLAUSES):
        for kind, pattern in _patterns():
            for start in starts:
                if match := pattern.match(plain, start, end):
                    return kind, match.span()
    return None


def _clauses(text: str) -> Iterator[tuple[tuple[int, ...], int]]:
    """Of each clause where it may start, with and without words that only lead in, and where it ends."""
    for clause in re.finditer(r"(?:[^.!?;,\n]|(?<=\d)[.,](?=\d))+[.!?]*", text):
        pieces = [clause.start(), *(clause.start() + but.end() for but in _BUT.finditer(clause[0]))]
        for start, end in zip(pieces, [*pieces[1:], clause.end()], strict=True):
            first, after_lead = _end_of(_MARKS, text, start, end), _end_of(_LEAD, text, start, end)
            if after_lead < end:
                # "no" leads in, and is also where the Spanish "no es correcto" starts
                yield (first, after_lead) if first < after_lead else (first,), end


def _end_of(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match else start


_BUT = re.compile(r"\b(?:but|aber|sondern|pero|mais)\s", re.IGNORECASE)

_MARKS = re.compile(r"[\s¿¡.…*-]*")

_LEAD = re.compile(
    r"""[\s¿¡.…*-]*(?:(?:
        no+|nope|nah|well|hm+|um+|uh+|er+|but|wait|ok(?:ay)?|sorry|and|so|actually|wow|oh|ah|yes|yeah|yep|yea|hey|lol|what|huh|
        look|listen|again|now|honestly|come[ ]on|excuse[ ]me|i'?m[ ]sorry|i[ ]think|i'?m[ ]afraid|pretty[ ]sure|i[ ]believe|sir|
        also|still|then|because|since|please|unfortunately|sadly|
        nein|nee|doch|aber|also|ja|moment|äh+|ach|sorry|leider|ich[ ]glaube|ich[ ]denke|hä|und|
        pues|pero|bueno|espera|sí|si|oye|perdona|perdón|creo[ ]que|y|
        non|si|mais|euh+|ben|bah|attends|attendez|oui|désolée?|je[ ]crois[ ]que|je[ ]pense[ ]que|et|alors
    )(?:\s+|$))*""",
    re.IGNORECASE | re.VERBOSE,
)


@cache
def _bare_no() -> re.Pattern[str]:
    return re.compile(
        r"\s*(?P<no>(?:no+|nope|nah|wrong|nein|falsch|non|faux|falso)(?:[\s,]+(?:no+|nein|non))*)[\s.!]*$", re.I
    )


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(alternatives(lines), re.IGNORECASE)) for kind, lines in CHALLENGES.items())
