"""The lines of one conversation: an opening, and what people say after a good reply, a bad one, or a challenge."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sample_data.catalogue import Catalogue, Intent
from sample_data.phrasing import Phrasing
from sample_data.scenario import Scenario

__all__ = ["Line", "Scene", "Stage"]

MOST_LINES = 6
GREETING_SHARE = 0.03
PRIVATE_SHARE = 0.01
# What comes next after a line of each mood, in parts of a hundred.
NEXT_MOVES: Mapping[str, Mapping[str, int]] = {
    "good": {"stop": 34, "own_followup": 26, "any_followup": 20, "challenge": 4, "rephrase": 4, "thanks": 6, "new": 6},
    "bad": {"stop": 27, "own_followup": 6, "any_followup": 6, "challenge": 30, "rephrase": 29, "thanks": 1, "new": 1},
    "challenge": {"stop": 40, "any_followup": 17, "rephrase": 38, "thanks": 5},
    "greeting": {"stop": 70, "chitchat": 30},
    "chitchat": {"stop": 74, "chitchat": 16, "thanks": 5, "goodbye": 5},
    "thanks": {"stop": 80, "goodbye": 20},
    "goodbye": {"stop": 100},
}


@dataclass(frozen=True, slots=True)
class Line:
    """A user's message and its reply, with the truth about both.

    An act has no `intent`; `parent_intent` is what it follows. `mood` decides what may come next.
    """

    text: str
    reply: str
    kind: str
    mood: str = "good"
    intent: str | None = None
    parent_intent: str | None = None
    private_detail: str | None = None

    @property
    def bad_reply(self) -> bool:
        return self.mood == "bad"


@dataclass(frozen=True, slots=True)
class Stage:
    """What all conversations share. `draw_intent` names what somebody may ask at a moment."""

    catalogue: Catalogue
    scenario: Scenario
    phrasing: Phrasing
    draw_intent: Callable[[datetime], str]
    rng: random.Random


class Scene:
    """One conversation in the making."""

    def __init__(self, stage: Stage, at: datetime, language: str, prompt_version: str) -> None:
        self._stage = stage
        self._acts = stage.catalogue.acts
        self._rng = stage.rng
        self._at = at
        self._language = language
        self._prompt_version = prompt_version
        self._lines: list[Line] = []
        self._last_asked = ""
        self._used: set[str] = set()

    def play(self, intent: Intent | None) -> tuple[Line, ...]:
        """Write the lines, at most `MOST_LINES`. Without an intent the conversation is small talk."""
        if intent is None:
            self._small_talk(self._rng.choice(("greeting", "chitchat", "chitchat")))
        else:
            if self._rng.random() < GREETING_SHARE:
                self._small_talk("greeting")
            self._question(intent, private=self._rng.random() < PRIVATE_SHARE)
        while len(self._lines) < MOST_LINES:
            moves = NEXT_MOVES[self._lines[-1].mood]
            move = self._rng.choices(tuple(moves), tuple(moves.values()))[0]
            if move == "stop":
                break
            intent = self._continue(move, intent)
        return tuple(self._lines)

    def _continue(self, move: str, intent: Intent | None) -> Intent | None:
        """Make one move; returns the intent that the conversation is about after it."""
        if intent is None or move in self._acts.small_talk:
            self._small_talk(move, intent)
        elif move == "new":
            intent = self._stage.catalogue.intents[self._stage.draw_intent(self._at)]
            self._question(intent)
        elif move == "own_followup" and self._language == "en":
            self._answer(self._stage.phrasing.varied(self._fresh(intent.followups)), "followup", intent)
        elif move == "rephrase":
            self._rephrase(intent)
        elif move == "challenge":
            text, reply = self._said(self._acts.challenges), self._fresh(self._acts.challenge_replies)
            self._lines.append(Line(text, reply, "challenge", "challenge", parent_intent=intent.name))
        else:
            text, reply = self._said(self._acts.followups), self._fresh(self._acts.followup_replies)
            self._lines.append(Line(text, reply, "followup", parent_intent=intent.name))
        return intent

    def _fresh(self, texts: tuple[str, ...]) -> str:
        """One of the texts, of those that are new to this conversation as long as there are any."""
        text = self._rng.choice([text for text in texts if text not in self._used] or texts)
        self._used.add(text)
        return text

    def _said(self, texts: Mapping[str, tuple[str, ...]]) -> str:
        return self._fresh(texts[self._language])

    def _small_talk(self, mood: str, intent: Intent | None = None) -> None:
        text, reply = self._said(self._acts.small_talk[mood]), self._fresh(self._acts.small_talk_replies[mood])
        self._lines.append(Line(text, reply, "small_talk", mood, parent_intent=intent.name if intent else None))

    def _question(self, intent: Intent, private: bool = False) -> None:
        self._last_asked = self._said(intent.traffic)
        text, detail = self._stage.phrasing.varied(self._last_asked, self._language), None
        if private:
            text, detail = self._stage.phrasing.with_private_detail(text)
        self._answer(text, "intent", intent, detail)

    def _rephrase(self, intent: Intent) -> None:
        """Ask once more: in other words of the same intent, or nearly the same words."""
        if self._rng.random() < 0.65:
            self._last_asked = self._said(intent.traffic)
        prefix = self._rng.choice(self._acts.rephrase_prefixes) if self._language == "en" else None
        text = self._stage.phrasing.rephrased(self._last_asked, prefix, self._language)
        self._answer(text, "rephrase", intent)

    def _answer(self, text: str, kind: str, intent: Intent, private_detail: str | None = None) -> None:
        bad = self._rng.random() < self._stage.scenario.bad_reply_share(intent.name, self._prompt_version)
        reply = self._fresh(intent.bad_replies if bad else intent.replies)
        mood = "bad" if bad else "good"
        self._lines.append(Line(text, reply, kind, mood, intent.name, intent.name, private_detail))
