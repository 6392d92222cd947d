"""Explicit feedback: a thumb, a rating, a score that somebody gave to a reply."""

from __future__ import annotations

from monitor.signals.signal import Conversations, Signal

__all__ = ["find_feedback"]


def find_feedback(conversations: Conversations) -> list[Signal]:
    """A score below zero is negative feedback, above zero positive; zero and no score are neither.

    It judges the reply of its own turn and has no span. Products count differently (thumbs, stars): whoever logs one to
    five stars has to send them centred, and a score that is nan says nothing. The detail has the score, never the comment.
    """
    found = []
    for turns in conversations:
        for turn in turns:
            score = turn.feedback_score
            if score is None or not (score < 0 or score > 0):
                continue
            kind = "negative_feedback" if score < 0 else "positive_feedback"
            found.append(Signal(turn.key, kind, None, f"score {score:g}"))
    return found
