"""Replies that refuse, in each language, and those that only look like it."""

from __future__ import annotations

import pytest

from monitor.drift.refusal import refuses

REFUSALS = {
    "en": (
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I can’t assist with this request.",
        "I cannot assist with that.",
        "As an AI language model, I am unable to book flights.",
        "I'm not able to provide medical advice. Please see a doctor.",
        "Unfortunately, I won't be able to help you with tax questions.",
        "That's not something I can help with.",
        "This is outside of my area.",
    ),
    "de": (
        "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
        "Ich kann dazu keine Auskunft geben.",
        "Als KI darf ich keine Rechtsberatung geben.",
    ),
    "es": (
        "Lo siento, pero no puedo ayudarte con eso.",
        "Lamentablemente no puedo responder a esa pregunta.",
        "Como modelo de lenguaje, no puedo dar consejos médicos.",
    ),
    "fr": (
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Malheureusement, je ne peux pas répondre à cette question.",
        "En tant qu’assistant, je ne peux pas donner de conseils.",
    ),
}
HELP = {
    "en": (
        "",
        "I can't find your order, let me check.",
        "I can help with that!",
        "I'm sorry to hear that. Let me help you.",
        "You can't change the address once it is shipped.",
        "I can't help but notice that your plan ends tomorrow.",
        "That is something I can help with.",
        "If I can't help with that, a colleague will.",
        "Open the settings and choose Billing. There you see each invoice. Press Download. I can't help with invoices of "
        "other shops.",
        "'I cannot help with that' is what the old bot said; here is how it works now.",
        "No, we can't deliver on Sundays. Monday is possible.",
    ),
    "de": (
        "Gerne kann ich Ihnen dabei helfen.",
        "Ich kann Ihre Bestellung nicht finden. Können Sie mir die Nummer nennen?",
        "Das können Sie in den Einstellungen ändern, nicht in der App.",
    ),
    "es": ("Claro, puedo ayudarte con eso.", "No puedo encontrar tu pedido, déjame comprobarlo."),
    "fr": ("Je peux vous aider.", "Je ne trouve pas votre commande, un instant."),
}


@pytest.mark.parametrize("language", sorted(REFUSALS))
def test_a_reply_that_refuses(language: str) -> None:
    assert [text for text in REFUSALS[language] if not refuses(text)] == []


@pytest.mark.parametrize("language", sorted(HELP))
def test_a_reply_that_helps(language: str) -> None:
    assert [text for text in HELP[language] if refuses(text)] == []


def test_a_hostile_reply_is_read_at_once() -> None:
    assert not refuses("sorry " * 100_000)
    assert not refuses("ich kann " + "nicht " * 100_000)
