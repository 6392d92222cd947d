"""Dialogue acts: turns that carry the conversation and name no subject of their own.

Greetings, thanks, "are you sure?", "and the second one?" take their conversation's topic or none, stay out of coverage, and
never rank as a gap. Three signs make a short text an act: it holds none but function words; it is nearly the same as a
known example; most of its neighbours in the graph are acts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import NeighbourGraph
from monitor.atlas.stopwords import STOP_WORDS

__all__ = ["ACTS", "EXAMPLES", "KINDS", "NOISE", "example_texts", "inherit_topics", "recognise_acts"]

ACTS = ("small_talk", "challenge", "followup")
#: What people marked as noise has no subject either. It is never found, and never passed on to what is near.
NOISE = "noise"
#: What a turn without a subject may be.
KINDS = (*ACTS, NOISE)

#: Longer texts say what they are about, or are too rare as acts to be worth a mistake.
_MAX_WORDS = 14

#: Cosine from which a short text is the same as an example; from which it may be, when its neighbours agree. Chosen on
#: sample traffic (seed 11): 89 % of small talk, 66 % of challenges, 69 % of follow-ups, 0.3 % of all other turns.
_SAME, _ALIKE = 0.70, 0.30

#: Share of the weight of a short text's neighbours that are acts, from which it is one too; asked this many times.
_NEIGHBOURS_AGREE, _ROUNDS = 0.4, 3

_GREETING = frozenset(
    """
    hi hello hey heya hiya howdy yo morning afternoon evening night there hallo moin servus guten tag abend hola
    buenas buenos dias días tardes bonjour salut bonsoir coucou team folks anyone anybody someone greetings
    """.split()
)
_THANKS = frozenset(
    """
    thanks thank thx ty cheers tysm appreciated appreciate brilliant perfect great awesome lovely excellent super
    cool nice danke dankeschön vielen gracias muchas merci beaucoup genial parfait bye goodbye ciao tschüss adiós
    adios revoir later cya ok okay k kk fine alright lol haha hahaha yep yup yeah nope hmm sure got gotcha
    understood noted wow
    """.split()
)
_CHALLENGE = frozenset(
    """
    sure wrong right correct incorrect true false really certain positive mistake mistaken nonsense sicher stimmt
    falsch wirklich seguro cierto verdad incorrecto sûr vrai faux vraiment
    """.split()
)
_ANAPHORIC = frozenset(
    """
    one ones second third first last next previous other both option options step part point explain repeat
    summarise shorter simpler example detail details instead same case month week year day time today tomorrow
    longer else either happens happen cost costs order again then also too exactly ahead start zweite zweiten erste
    ersten dauert danach morgen genau segunda segundo primera primero tarda mañana después deuxième première après
    demain combien dure explique erklären explicar
    """.split()
)

#: Written for offmap; none is a text of the sample data.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "small_talk": (
        "hello",
        "hi there",
        "good morning to you",
        "hey, is anybody there?",
        "hello, I need some help please",
        "can you help me?",
        "I have a question",
        "may I ask you something?",
        "thank you very much",
        "thanks, that helps a lot",
        "that solved it, thank you",
        "great, that's all I needed",
        "you have been very helpful",
        "goodbye",
        "have a nice day",
        "see you later",
        "talk to you tomorrow",
        "how are you today?",
        "how is your day going?",
        "are you a human or a machine?",
        "am I talking to a real person?",
        "what is your name?",
        "who made you?",
        "who built this bot?",
        "tell me something funny",
        "do you know a good joke?",
        "what is the weather like today?",
        "do you ever sleep?",
        "do you like music?",
        "what is your favourite colour?",
        "I'm bored",
        "you are funny",
        "you're smart for a robot",
        "just testing",
        "testing 1 2 3",
        "never mind",
        "ok great",
        "no that's everything",
        "sorry wrong chat",
        "happy new year",
        "wait a moment please",
        "one second, I'll be back",
        "I am so tired today",
        "that made me laugh",
        "do you dream?",
        "are you alive?",
        "who won the match last night?",
        "sing me a song",
        "do you speak other languages?",
        "what can you do?",
        "hallo, ich brauche Hilfe",
        "vielen Dank für die Hilfe",
        "schönen Tag noch",
        "bist du ein Roboter?",
        "wie geht es dir?",
        "hola, necesito ayuda",
        "muchas gracias por la ayuda",
        "hasta luego",
        "¿eres un robot?",
        "¿cómo estás?",
        "bonjour, j'ai besoin d'aide",
        "merci beaucoup pour votre aide",
        "bonne journée",
        "es-tu un robot ?",
        "comment ça va ?",
    ),
    "challenge": (
        "are you sure about that?",
        "that is not correct",
        "no, that's wrong",
        "I don't think that is right",
        "is that really true?",
        "you are mistaken",
        "that did not work",
        "this doesn't help me at all",
        "I already tried that and it failed",
        "that is not what I asked",
        "you did not answer my question",
        "you said the opposite before",
        "where did you get that from?",
        "that contradicts what you said earlier",
        "I was told something different",
        "your answer makes no sense",
        "please check that again",
        "you keep repeating the same thing",
        "that can't be right",
        "the website says something else",
        "bist du dir sicher?",
        "das stimmt nicht",
        "das hat nicht funktioniert",
        "¿estás seguro?",
        "eso no es correcto",
        "eso no funcionó",
        "vous êtes sûr ?",
        "ce n'est pas correct",
        "ça n'a pas marché",
    ),
    "followup": (
        "and the second one?",
        "how long will that take?",
        "and what does it cost?",
        "can you explain that again?",
        "tell me more about that",
        "what do you mean by that?",
        "why is that?",
        "what happens after that?",
        "and if that doesn't work?",
        "yes, please do that",
        "let's go with the first option",
        "which one do you recommend?",
        "what about next month?",
        "can you give me an example?",
        "could you say that in simpler words?",
        "please make it shorter",
        "where do I find that?",
        "do I have to do anything else?",
        "can I do it online?",
        "is there another way?",
        "and what comes next?",
        "continue please",
        "how do I do that?",
        "can I do that later?",
        "could you send me that by email?",
        "does that apply to me as well?",
        "what are the other options?",
        "what if I change my mind?",
        "when will I hear back?",
        "the same thing happened again",
        "und die zweite?",
        "wie lange dauert das?",
        "was kostet das?",
        "können Sie das noch einmal erklären?",
        "¿y el segundo?",
        "¿cuánto tarda eso?",
        "¿puedes explicarlo otra vez?",
        "et le deuxième ?",
        "combien de temps ça prend ?",
        "pouvez-vous expliquer encore une fois ?",
    ),
}


def example_texts() -> tuple[list[str], NDArray[np.int64]]:
    """The examples, and of each its act's position in `ACTS`."""
    texts = [text for act in ACTS for text in EXAMPLES[act]]
    return texts, np.repeat(np.arange(len(ACTS)), [len(EXAMPLES[act]) for act in ACTS])


def recognise_acts(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    graph: NeighbourGraph,
    example_vectors: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Act of each text as its position in `ACTS`, -1 for a text with a subject. Shapes [n], [n, d], n nodes, [e, d]."""
    _, example_acts = example_texts()
    short = np.array([len(_words(text)) <= _MAX_WORDS for text in texts], bool)
    acts = np.array([_by_words(text) for text in texts], np.int64)
    likeness = vectors @ example_vectors.T if len(texts) else np.zeros((0, len(example_acts)), np.float32)
    closest, cosine = example_acts[likeness.argmax(axis=1)], likeness.max(axis=1)
    acts = np.where((acts < 0) & short & (cosine >= _SAME), closest, acts)
    weights = graph.weights()
    total = weights.sum(axis=1)
    for _ in range(_ROUNDS):
        among = np.where(graph.indices >= 0, acts[graph.indices], -1) if len(texts) else graph.indices
        agreeing = np.divide((weights * (among >= 0)).sum(axis=1), total, out=np.zeros(len(texts)), where=total > 0)
        join = (acts < 0) & short & (cosine >= _ALIKE) & (agreeing >= _NEIGHBOURS_AGREE)
        acts = np.where(join, closest, acts)
    return acts


def inherit_topics(
    topics: NDArray[np.int64], conversations: NDArray[np.int64], is_act: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Topics [t] where each act has the topic of the turn before it that has one, else of the one after, else -1.

    Rows are in conversation order: all turns of a conversation together, first to last.
    """
    found = np.where(is_act, -1, topics)
    forward, backward = _carry(found, conversations), _carry(found[::-1], conversations[::-1])[::-1]
    return np.where(is_act, np.where(forward >= 0, forward, backward), topics)


def _carry(topics: NDArray[np.int64], conversations: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last known topic of the same conversation, at each row."""
    rows = np.arange(len(topics))
    last = np.maximum.accumulate(np.where(topics >= 0, rows, -1)) if len(rows) else rows
    same = (last >= 0) & (conversations[np.maximum(last, 0)] == conversations)
    return np.where(same, topics[np.maximum(last, 0)], -1)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", unicodedata.normalize("NFC", text).casefold())


def _by_words(text: str) -> int:
    """An act from its words alone: no word is left when function words and the words of the acts are taken out."""
    words = _words(text)
    if len(words) > _MAX_WORDS:
        return -1
    if not any(character.isalpha() for character in text):  # "5", "?", an emoji: an answer to something
        return ACTS.index("followup") if words else ACTS.index("small_talk")
    known = set(words)
    if (
        not known - _GREETING - _THANKS - STOP_WORDS
        and known & (_GREETING | _THANKS)
        and not known & _CHALLENGE - {"sure"}
    ):
        return ACTS.index("small_talk")
    left = known - STOP_WORDS - _GREETING - _THANKS - _CHALLENGE - _ANAPHORIC
    if left:
        return -1
    if known & _CHALLENGE:
        return ACTS.index("challenge")
    return ACTS.index("followup") if words else ACTS.index("small_talk")
