"""The hand-written utterances of the TOML files: what customers say, what evals ask, what the assistant replies."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LANGUAGES", "UTTERANCES", "Acts", "Catalogue", "Intent", "load_catalogue", "normalised"]

LANGUAGES = ("en", "de", "es", "fr")
UTTERANCES = Path(__file__).parent / "utterances"
INTENT_FILES = ("billing.toml", "home.toml", "smart.toml")

Texts = tuple[str, ...]
TextsByLanguage = Mapping[str, Texts]


def normalised(text: str) -> str:
    """The form in which two texts are compared: case-folded, white space collapsed.

    >>> normalised("  Where is MY\\n bill ")
    'where is my bill'
    """
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that customers want. `traffic` and `evals` are disjoint, so no eval item is found word for word."""

    name: str
    title: str
    traffic: TextsByLanguage
    evals: TextsByLanguage
    followups: Texts
    replies: Texts
    bad_replies: Texts

    @property
    def traffic_texts(self) -> Texts:
        return sum((self.traffic[language] for language in LANGUAGES), ())

    @property
    def eval_texts(self) -> Texts:
        return sum((self.evals[language] for language in LANGUAGES), ())


@dataclass(frozen=True, slots=True)
class Acts:
    """What belongs to a conversation and to no intent, by language, and the decoys' texts."""

    small_talk: Mapping[str, TextsByLanguage]
    challenges: TextsByLanguage
    followups: TextsByLanguage
    praise: TextsByLanguage
    complaints: TextsByLanguage
    rephrase_prefixes: Texts
    flood_prompt: str
    staging: TextsByLanguage
    small_talk_replies: Mapping[str, Texts]
    challenge_replies: Texts
    followup_replies: Texts
    staging_replies: Texts

    @property
    def texts(self) -> Texts:
        groups = [*self.small_talk.values(), self.challenges, self.followups, self.staging]
        return (self.flood_prompt, *(text for group in groups for texts in group.values() for text in texts))


@dataclass(frozen=True, slots=True)
class Catalogue:
    intents: Mapping[str, Intent]
    acts: Acts

    @property
    def utterances(self) -> frozenset[str]:
        """Every different text that a user may type, normalised and before any noise."""
        intents = (text for intent in self.intents.values() for text in intent.traffic_texts + intent.followups)
        return frozenset(normalised(text) for text in (*intents, *self.acts.texts))

    @property
    def eval_texts(self) -> frozenset[str]:
        return frozenset(normalised(text) for intent in self.intents.values() for text in intent.eval_texts)


def load_catalogue(folder: Path = UTTERANCES, *, seed: int = 0) -> Catalogue:
    """Read all files of the folder. Raises `ValueError` for an intent named twice.

    The seed splits what was written for an intent between traffic and eval set: the eval items of a product that takes
    them from its logs. Its sizes are those of the file's `evals`, which are written in a test's clean style; a set of
    nothing else reads as covering far less than it does (docs/decisions/0003).
    """
    intents: dict[str, Intent] = {}
    for name in INTENT_FILES:
        for table in _read(folder / name)["intent"]:
            if table["name"] in intents:
                raise ValueError(f"{folder / name}: the intent {table['name']!r} is there twice")
            intents[table["name"]] = _intent(table, seed)
    return Catalogue(intents, _acts(_read(folder / "acts.toml"), _read(folder / "act_details.toml")))


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _intent(table: Mapping[str, Any], seed: int) -> Intent:
    traffic, evals = {}, {}
    for language in LANGUAGES:
        suffix = "" if language == "en" else f"_{language}"
        size = len(table[f"evals{suffix}"])
        pool = [*table[f"traffic{suffix}"], *table[f"evals{suffix}"]]
        random.Random(f"{seed} {table['name']} {language}").shuffle(pool)
        evals[language], traffic[language] = tuple(pool[:size]), tuple(pool[size:])
    return Intent(
        name=table["name"],
        title=table["title"],
        traffic=traffic,
        evals=evals,
        followups=tuple(table["followups"]),
        replies=tuple(table["replies"]),
        bad_replies=tuple(table["bad_replies"]),
    )


def _acts(table: Mapping[str, Any], details: Mapping[str, Any]) -> Acts:
    language_of = {text: language for language, texts in details["languages"].items() for text in texts}

    def by_language(texts: Iterable[str]) -> TextsByLanguage:
        listed = tuple(texts)
        return {
            language: tuple(text for text in listed if language_of.get(text, "en") == language)
            for language in LANGUAGES
        }

    return Acts(
        small_talk={kind: by_language(texts) for kind, texts in table["small_talk"].items()},
        challenges=by_language(table["challenge"]["traffic"]),
        followups=by_language(table["followup"]["traffic"]),
        praise=by_language(table["feedback_comment"]["positive"]),
        complaints=by_language(table["feedback_comment"]["negative"]),
        rephrase_prefixes=tuple(table["rephrase"]["prefixes"]),
        flood_prompt=table["flood"]["prompt"],
        staging=by_language(table["staging"]["traffic"]),
        small_talk_replies={
            kind: tuple(text for text in table["small_talk_replies"]["traffic"] if text.startswith(tuple(beginnings)))
            for kind, beginnings in details["small_talk_replies"].items()
        },
        challenge_replies=tuple(table["challenge_replies"]["traffic"]),
        followup_replies=tuple(table["followup_replies"]["traffic"]),
        staging_replies=tuple(table["staging_replies"]["traffic"]),
    )
