"""Surface noise: how people type the same request differently, and the private details that slip in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from sample_data.catalogue import normalised

__all__ = ["PRIVATE_DETAILS", "Phrasing"]

VERBATIM_SHARE = 0.45
NEIGHBOURS = {
    "a": "s", "b": "v", "c": "x", "d": "f", "e": "r", "f": "g", "g": "h", "h": "j", "i": "o", "k": "l", "l": "k",
    "m": "n", "n": "m", "o": "p", "p": "o", "r": "t", "s": "d", "t": "y", "u": "i", "v": "b", "w": "e", "y": "u",
}  # fmt: skip
OPENERS = {
    "en": ("hi, ", "hello, ", "Hi, ", "hey, ", "Hello, ", "hi there, ", "Good morning, ", "ok so ", "quick question: "),
    "de": ("Hallo, ", "hallo, ", "Guten Tag, ", "Moin, "),
    "es": ("hola, ", "Hola, ", "Buenos días, "),
    "fr": ("bonjour, ", "Bonjour, ", "salut, "),
}
CLOSERS = {
    "en": (" thanks", " pls", " please", " Thanks!", " thx", " thank you", " cheers", " help please", " any idea?"),
    "de": (" danke", " Danke!", " bitte", " vielen Dank"),
    "es": (" gracias", " por favor", " Gracias!"),
    "fr": (" merci", " svp", " Merci !"),
}
# Documentation's own examples: a reserved domain, the published IBAN and card number, numbers reserved for fiction.
PRIVATE_DETAILS: dict[str, tuple[str, ...]] = {
    "email": ("my email is jo.morgan@example.com", "reply to r.okafor@example.com", "(lena.vogt@example.com)"),
    "iban": ("my IBAN is DE89 3704 0044 0532 0130 00", "the account is GB82WEST12345698765432"),
    "card": ("the card is 4111 1111 1111 1111", "card number 4111111111111111"),
    "phone": ("call me on 07700 900461", "my number is +1 202-555-0142", "tel. +44 7700 900123"),
    "api_key": ("my key is sk-test-4eC0ffee4eC0ffee4eC0ffee",),
}


class Phrasing:
    """Varies a text. `reserved` (normalised) is never produced by noise: it belongs to the eval set."""

    def __init__(self, reserved: frozenset[str], rng: random.Random) -> None:
        self._reserved = reserved
        self._rng = rng

    def varied(self, text: str, language: str = "en") -> str:
        """The text as it is in `VERBATIM_SHARE` of the cases, otherwise with one or two changes."""
        if self._rng.random() < VERBATIM_SHARE:
            return text
        changed = text
        for change in self._rng.sample(CHANGES, self._rng.choice((1, 1, 2))):
            changed = change(changed, language, self._rng)
        return changed if normalised(changed) not in self._reserved else text

    def rephrased(self, text: str, prefix: str | None, language: str = "en") -> str:
        """The text behind words such as "what I meant was,"."""
        varied = self.varied(text, language)
        return f"{prefix} {_lower_first(varied)}" if prefix else varied

    def with_private_detail(self, text: str) -> tuple[str, str]:
        """The text with an invented private detail behind it, and the kind of detail."""
        kind = self._rng.choice(tuple(PRIVATE_DETAILS))
        glue = " " if text.endswith((".", "!", "?")) else ", "
        return f"{text}{glue}{self._rng.choice(PRIVATE_DETAILS[kind])}", kind


def _lower_first(text: str) -> str:
    first = text.split(" ", 1)[0].rstrip(",.!?")
    keeps_capital = first.startswith("I'") or first == "I" or (len(first) > 1 and first.isupper())
    return text if keeps_capital else text[:1].lower() + text[1:]


def _typo(text: str, language: str, rng: random.Random) -> str:
    """One slip in a word of four letters or more: letters swapped, lost, doubled, or the key beside it."""
    words = [match.span() for match in re.finditer(r"[^\W\d_]{4,}", text)]
    if not words:
        return text
    begin, end = rng.choice(words)
    at = rng.randrange(begin + 1, end - 1)
    letter = text[at]
    following = text[at + 1]
    slips = (following + letter, following, letter + letter + following, NEIGHBOURS.get(letter, letter) + following)
    return text[:at] + rng.choice(slips) + text[at + 2 :]


def _lower_case(text: str, language: str, rng: random.Random) -> str:
    return text.lower()


def _no_final_mark(text: str, language: str, rng: random.Random) -> str:
    return text.rstrip(" .!?") or text


def _opener(text: str, language: str, rng: random.Random) -> str:
    return rng.choice(OPENERS[language]) + _lower_first(text)


def _closer(text: str, language: str, rng: random.Random) -> str:
    return text + rng.choice(CLOSERS[language])


def _reference(text: str, language: str, rng: random.Random) -> str:
    """An account or order number at the end, where people put it unasked."""
    form = rng.choice((" (account BL-{})", ", customer no. {}", " ref {}", " - order {}", " / contract BL{}"))
    return text.rstrip(" .") + form.format(rng.randrange(100_000, 999_999))


Change = Callable[[str, str, random.Random], str]
CHANGES: tuple[Change, ...] = (
    _typo, _typo, _lower_case, _lower_case, _no_final_mark, _no_final_mark, _opener, _closer, _reference,
)  # fmt: skip
