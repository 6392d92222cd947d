# ruff: noqa: E501 - one phrase a line, however long
"""Replies that refuse: the assistant says at the beginning that it cannot or will not help.

English, German, Spanish and French, by patterns, as `monitor.signals.challenge` reads challenges. It is a descriptor of traffic
and no signal of a bad reply: to refuse what is asked of no business of the assistant is right as often as it is wrong, and
neither the lookout nor the risk of a gap can tell which.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice

__all__ = ["refuses"]

#: Whoever refuses says so first. What comes later is a limit of a reply that helps.
_READ, _CLAUSES = 240, 3

_PARTS = {
    "cant": r"(?:can't|cannot|can not|won't|will not|won't be able to|(?:'m|'re| am| are) (?:currently |sorry,? but )?(?:unable|not (?:currently )?(?:able|allowed|permitted|authori[sz]ed|designed|programmed|in a position)) to)",
    "do": r"(?:help(?! but\b| feeling| noticing)|assist|answer (?:that|this|such|your|any|questions)|comply|fulfil?l (?:that|this|your)|discuss|engage in|support (?:that|this|you with)|do (?:that|this)(?: for you)?(?=\s*[.!,]|\s*$)|(?:provide|give|offer)(?: you)?(?: with)? (?:that|this|any|help|assistance|support|advice|information|instructions|guidance|medical|legal|financial|tax|investment|personal)|respond to (?:that|this|such)|process (?:that|this|your) request)\b",
    "helfen": r"(?:helfen|weiterhelfen|behilflich sein|unterstützen|beantworten|auskunft geben|keine auskunft|beraten|nachkommen|entsprechen|keine beratung)",
    "ayudar": r"(?:ayudar(?:te|le|los|les|os)?|asistir(?:te|le)?|responder (?:a )?(?:eso|esa|esto|esta|tu|su|ese|preguntas)|proporcionar(?:te|le)? (?:esa|ese|información|asesoramiento|ayuda)|atender (?:esa|esta|tu|su)|hacer eso)",
    "aider": r"(?:(?:vous |t'|te )?aider|(?:vous |t')?assister|répondre à (?:cette|ce|votre|ta|ces)|(?:vous |te )?fournir (?:cette|ces|de tels?|d'|des conseils|ce)|traiter (?:cette|votre) demande|faire cela|donner suite)",
}
_REFUSALS = r"""
    (?:i|we)(?: (?:really|simply|just|also))? ?<cant>(?: (?:directly|currently|really|personally))? <do>
    as an? (?:ai|artificial intelligence|virtual assistant|language model|automated assistant)(?: (?:language )?(?:model|assistant|chatbot))?,? i(?: <cant>|<cant>| don't have| do not have)\b
    i (?:must|have to|need to)(?: (?:respectfully|politely))? decline
    (?:that|this|it)(?: is|'s) (?:not something|nothing) (?:that )?(?:i|we) (?:can|could|am able to|are able to|'m able to)(?: help| assist| do| discuss| answer| support)
    (?:that|this|it)(?: is|'s) something (?:that )?(?:i|we) ?<cant> (?:help|assist|do|discuss|answer|support)
    (?:that|this|your (?:question|request)|answering (?:that|this))(?: is|'s| falls| goes) (?:outside|beyond)(?: of)? (?:my|our|the scope|what i)
    i can only (?:help|assist|answer|discuss)\b
    (?:dabei|damit|hierbei|da|das|dazu|hierzu|diese frage|ihre frage|deine frage)? ?(?:kann|darf|können|dürfen|möchte) (?:ich|wir)\b[^.!?]{0,60}?\b(?:nicht|keine|leider nicht)\b[^.!?]{0,40}?\b<helfen>
    (?:ich|wir) (?:kann|darf|können|dürfen|möchte)\b[^.!?]{0,60}?\b(?:nicht|keine)\b[^.!?]{0,40}?\b<helfen>
    (?:ich|wir) (?:bin|sind)(?: leider)? nicht (?:in der lage|befugt|berechtigt)\b
    als (?:ki|künstliche intelligenz|sprachmodell|ki-\w+|virtueller assistent)\b[^.!?]{0,60}\b(?:nicht|keine)\b
    das (?:liegt|ist) (?:leider )?(?:außerhalb|nicht teil) (?:meiner|meines|unserer)
    (?:yo )?no (?:puedo|podemos|podré)(?: \w+)? ?<ayudar>\b
    no (?:me es posible|estoy (?:autorizad[oa]|en condiciones|capacitad[oa])|soy capaz)\b
    como (?:una? )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente virtual)\b[^.!?]{0,40}\bno (?:puedo|tengo)\b
    (?:eso|esto) (?:está|queda|va) (?:fuera de|más allá de) (?:mi|mis|nuestro|lo que puedo)
    (?:je|nous) (?:ne )?(?:peux|pouvons|puis)(?: malheureusement)? (?:pas|point) <aider>\b
    je ne suis(?: malheureusement)? pas (?:en mesure|autorisée?|habilitée?|capable)\b
    en tant qu'(?:ia|assistant|intelligence artificielle|modèle)\b[^.!?]{0,60}\bne (?:peux|puis|suis)\b
    (?:cela|ceci|ça) (?:sort|dépasse|est en dehors)(?: du| de)? (?:cadre|mes|mon|ce que je)
"""

_LEAD = re.compile(
    r"""[\s*_>-]*(?:(?:
        i'?m[ ](?:(?:so|very|really|truly)[ ])?(?:sorry|afraid)(?:[ ]that)?|i[ ]am[ ](?:(?:so|very|really|truly)[ ])?(?:sorry|afraid)|i[ ]apologi[sz]e|my[ ]apologies|apologies|sorry|
        unfortunately|regrettably|sadly|but|and|so|however|thanks|thank[ ]you|hello|hi|
        leider|bedauerlicherweise|entschuldigung|entschuldigen[ ]sie|es[ ]tut[ ]mir(?:[ ]sehr)?[ ]leid|tut[ ]mir[ ]leid|aber|hallo|
        lo[ ]siento(?:[ ]mucho)?|lo[ ]lamento|lamentablemente|desafortunadamente|por[ ]desgracia|disculpe|disculpa|perdona|pero|hola|
        (?:je[ ]suis[ ])?(?:vraiment[ ])?désolée?|malheureusement|je[ ]regrette|mais|bonjour|excusez-moi
    )(?:[\s:–—-]+|$))*""",
    re.IGNORECASE | re.VERBOSE,
)
_CLAUSE = re.compile(r"[^.!?;,:\n]+")
_APOSTROPHES = str.maketrans("’‘`´", "''''")


def refuses(reply: str) -> bool:
    """Whether a reply says among its first clauses that it cannot or will not help.

    >>> refuses("I'm sorry, but I can't help with that.")
    True
    >>> refuses("I can't find your order, let me check.")
    False
    """
    plain = reply[:_READ].translate(_APOSTROPHES)
    pattern = _pattern()
    for clause in islice(_CLAUSE.finditer(plain), _CLAUSES):
        lead = _LEAD.match(plain, clause.start(), clause.end())
        if pattern.match(plain, lead.end() if lead else clause.start()):
            return True
    return False


@cache
def _pattern() -> re.Pattern[str]:
    lines = "|".join(f"(?:{line.strip()})" for line in _REFUSALS.splitlines() if line.strip())
    for name, part in _PARTS.items():
        lines = lines.replace(f"<{name}>", part)
    lines = lines.replace("n't", "n'?t").replace(" ?", r"\s*").replace(" ", r"\s+")
    return re.compile(lines, re.IGNORECASE)
