"""Signals: evidence of how a reply landed. One file each, one signature."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.signals.challenge import find_challenges
from monitor.signals.feedback import find_feedback
from monitor.signals.rephrase import find_rephrases
from monitor.signals.signal import Conversations, Finder, Signal

__all__ = ["ALL", "NEGATIVE", "Signal", "find_signals"]

ALL: Mapping[str, Finder] = {
    "feedback": find_feedback,
    "challenge": find_challenges,
    "rephrase": find_rephrases,
}

#: Signals that a reply failed: the risk of a gap is their rate.
NEGATIVE = frozenset({"negative_feedback", "challenge", "rephrase"})


def find_signals(conversations: Conversations) -> list[Signal]:
    """Every signal of every kind, by turn and kind."""
    found = [signal for find in ALL.values() for signal in find(conversations)]
    return sorted(found, key=lambda one: (one.turn_key, one.signal, one.span or (-1, -1)))
