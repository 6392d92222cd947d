"""Challenges: what must be found and what must not, sentence by sentence; none is a text of the sample data."""

from __future__ import annotations

import pytest
from conversation import conversation

from monitor.signals.challenge import challenge_in, find_challenges

CHALLENGES = [
    ("doubt", "Are you sure?"),
    ("doubt", "are you really sure about this"),
    ("doubt", "r u sure"),
    ("doubt", "Hmm, are you 100% certain about that?"),
    ("doubt", "Ok but are you sure that this applies to me?"),
    ("doubt", "Is that really true?"),
    ("doubt", "I don't think that's right"),
    ("doubt", "I don’t believe you"),
    ("doubt", "That doesn't seem correct, my friend pays less"),
    ("doubt", "this can't be right"),
    ("doubt", "Bist du dir sicher?"),
    ("doubt", "Sind Sie sich da ganz sicher?"),
    ("doubt", "Im Ernst?"),
    ("doubt", "das kann doch nicht sein"),
    ("doubt", "¿Estás seguro?"),
    ("doubt", "¿de verdad?"),
    ("doubt", "Tu es sûr ?"),
    ("doubt", "vous êtes vraiment sûrs de cette réponse"),
    ("contradiction", "That's wrong."),
    ("contradiction", "thats just not true"),
    ("contradiction", "Sorry, but this is incorrect"),
    ("contradiction", "no, that's not what I meant"),
    ("contradiction", "You're mistaken, I cancelled in May"),
    ("contradiction", "You completely misunderstood me"),
    ("contradiction", "you haven't answered my question"),
    ("contradiction", "Your answer is wrong"),
    ("contradiction", "I didn't ask for that"),
    ("contradiction", "The manual says the opposite"),
    ("contradiction", "but the link you sent is dead"),
    ("contradiction", "this makes no sense"),
    ("contradiction", "Earlier you said it was included"),
    ("contradiction", "Das stimmt leider nicht."),
    ("contradiction", "nein, das ist falsch"),
    ("contradiction", "Das war nicht meine Frage"),
    ("contradiction", "Sie haben meine Frage nicht beantwortet"),
    ("contradiction", "Eso es mentira"),
    ("contradiction", "no es verdad"),
    ("contradiction", "Te equivocas, ya pagué"),
    ("contradiction", "C'est complètement faux"),
    ("contradiction", "ce n’est pas ce que j'ai demandé"),
    ("contradiction", "Vous vous trompez"),
    ("no_help", "That did not help."),
    ("no_help", "this still doesn't work for me"),
    ("no_help", "didn't work"),
    ("no_help", "Still not working!"),
    ("no_help", "I tried that already"),
    ("no_help", "I've tried that but the light stays red"),
    ("no_help", "same error again"),
    ("no_help", "not helpful"),
    ("no_help", "Das hat leider nicht geholfen"),
    ("no_help", "funktioniert immer noch nicht"),
    ("no_help", "Das habe ich schon versucht"),
    ("no_help", "no me sirve"),
    ("no_help", "ya lo he intentado"),
    ("no_help", "Ça ne marche toujours pas"),
    ("no_help", "j'ai déjà essayé"),
    ("source", "where did you get this?"),
    ("source", "Can you double-check that?"),
    ("source", "do you have a source for that?"),
    ("source", "Woher wissen Sie das?"),
    ("source", "¿De dónde sacas eso?"),
    ("no", "no"),
    ("no", "Nope."),
    ("no", "Nein!"),
]

NO_CHALLENGES = [
    "Is the wrong tariff on my bill?",
    "are you sure-fire able to ship by Friday",
    "I am not sure which plan I have",
    "Are you sure you want to delete? is what my screen asks, what do I press",
    "I'm sure it was the blue one",
    "make sure it is right",
    "the app asks whether I am sure",
    "what is wrong with my router",
    "is there something wrong with my account",
    "what happens if that doesn't work",
    "What should I do when it does not help?",
    "if that's wrong, can I change it later?",
    "how do I correct a wrong address",
    "I entered the wrong password",
    "my card doesn't work abroad",
    "The heating isn't working since Monday",
    "please verify my identity",
    "can you check my balance",
    "what is your name",
    "how do you know each other",
    "No, only the upstairs one",
    "no thanks",
    "no problem at all",
    "No, I live alone",
    "thanks, that helped",
    "that works, great",
    "that's right",
    "Really good answer, thank you",
    "I really like this one",
    "and the second one?",
    "I don't have a garden",
    "I can't see well, is there a large print bill",
    "Where do I find that?",
    "Can I get that in writing?",
    "the same for my wife",
    "Did you say Tuesday?",
    "what did you mean by standing charge",
    "can you explain that again",
    "the true cost of solar",
    "write a story in which nobody believes him",
    "Was ist an meiner Rechnung falsch?",
    "bin ich sicher versichert?",
    "Ist das sicher?",
    "Mein Zähler funktioniert nicht",
    "Nicht nötig, danke",
    "¿es seguro pagar con tarjeta?",
    "no tengo internet",
    "el mando no funciona en el salón",
    "quiero un seguro de hogar",
    "Comment savoir si mon compteur est correct ?",
    "non merci",
    "Mon chauffage ne marche pas",
    "j'ai essayé le nouveau forfait et il est bien",
    "",
    "   ",
    "?",
]


@pytest.mark.parametrize(("kind", "text"), CHALLENGES)
def test_a_challenge_is_found(kind: str, text: str) -> None:
    found = challenge_in(text)
    assert found is not None
    assert found[0] == kind
    start, end = found[1]
    assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("text", NO_CHALLENGES)
def test_what_only_looks_like_a_challenge_is_none(text: str) -> None:
    assert challenge_in(text) is None


def test_enough_sentences_of_each_sort() -> None:
    assert len(set(CHALLENGES)) >= 40
    assert len(set(NO_CHALLENGES)) >= 40


def test_the_reply_before_the_challenge_is_judged() -> None:
    turns = conversation("how much is it?", "Hmm... are you sure?", "ok thanks")
    (signal,) = find_challenges([turns])
    assert signal.turn_key == turns[0].key
    assert signal.span is not None
    assert turns[1].user_text[slice(*signal.span)] == "are you sure"


def test_the_first_message_of_a_conversation_challenges_nothing() -> None:
    assert find_challenges([conversation("that's wrong"), conversation("are you sure?"), []]) == []


def test_no_is_an_answer_where_the_reply_asked() -> None:
    asked = conversation("it is slow", "no", reply="Did you restart it?")
    told = conversation("it is slow", "no", reply="Restart it.")
    assert find_challenges([asked]) == []
    assert len(find_challenges([told])) == 1


def test_a_challenge_deep_in_a_pasted_text_does_not_count() -> None:
    pasted = "Summarise this chat. He came in late. She looked up. That's wrong, she said."
    assert challenge_in(pasted) is None
    assert challenge_in("please read the following " + "words and more words " * 20 + ". that's wrong") is None


def test_the_detail_holds_no_text_of_the_user() -> None:
    turns = conversation("where is the parcel of Zacharias", "Zacharias says that's wrong")
    for signal in find_challenges([turns]):
        assert "zacharias" not in signal.detail.lower()
