"""What the product's log says of each exchange: ids, times, model, tokens, cost, latency, feedback."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sample_data.catalogue import Acts
from sample_data.conversations import Conversation
from sample_data.dialogue import Line

__all__ = ["LoggedTurn", "log_turns"]

SYSTEM_TOKENS = {"v3": 310, "v4": 455}
LANGUAGE_KNOWN_SHARE = 0.7
COMMENT_SHARE = 0.18


@dataclass(frozen=True, slots=True)
class Model:
    """`ms_a_token` is the time of one output token; prices are US dollars for a million tokens."""

    name: str
    provider: str
    share: int
    first_token_ms: float
    ms_a_token: float
    input_price: float
    output_price: float


MODELS = (
    Model("small-1", "acme", 50, 210.0, 7.0, 0.15, 0.60),
    Model("small-2", "acme", 33, 170.0, 5.0, 0.25, 1.10),
    Model("large-1", "globex", 17, 520.0, 19.0, 2.50, 10.0),
)


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One turn as the product logs it, and the line that it came from, which knows the truth."""

    turn_id: str
    conversation_id: str
    turn_index: int
    created_at: datetime
    conversation: Conversation
    line: Line
    served: Mapping[str, object]

    def row(self) -> dict[str, object]:
        """The turn in offmap's JSON form. Nothing of the truth is in it."""
        conversation = self.conversation
        return {
            "turn_id": self.turn_id,
            "conversation_id": self.conversation_id,
            "turn_index": self.turn_index,
            "created_at": self.created_at.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "user_text": self.line.text,
            "assistant_text": self.line.reply,
            "prompt_template": "support",
            "prompt_version": conversation.prompt_version,
            **self.served,
            "user_id": conversation.user_id,
            "tenant": conversation.tenant,
            "app": conversation.app,
            "environment": conversation.environment,
        }

    def truth(self) -> dict[str, object]:
        line = self.line
        return {
            "turn_id": self.turn_id,
            "intent": line.intent,
            "kind": line.kind,
            "parent_intent": line.parent_intent,
        }


def log_turns(conversations: Sequence[Conversation], acts: Acts, rng: random.Random) -> list[LoggedTurn]:
    """All turns in order of time. Conversations are numbered by their start, whatever they are."""
    ordered = sorted(conversations, key=lambda conversation: conversation.at)
    turns = [
        turn
        for number, conversation in enumerate(ordered, start=1)
        for turn in _log_conversation(f"c{number:05d}", conversation, acts, rng)
    ]
    return sorted(turns, key=lambda turn: (turn.created_at, turn.turn_id))


def _log_conversation(
    conversation_id: str, conversation: Conversation, acts: Acts, rng: random.Random
) -> list[LoggedTurn]:
    model = rng.choices(MODELS, [model.share for model in MODELS])[0]
    language = conversation.language if rng.random() < LANGUAGE_KNOWN_SHARE else None
    at, history, turns = conversation.at, SYSTEM_TOKENS[conversation.prompt_version], []
    for index, line in enumerate(conversation.lines):
        asked, replied = _tokens(line.text), _tokens(line.reply)
        history += asked
        wait, total = _latency(model, replied, rng)
        score, comment = _feedback(line, conversation.language, acts, rng)
        served = {
            "model": model.name,
            "provider": model.provider,
            "input_tokens": history,
            "output_tokens": replied,
            "cost_usd": round((history * model.input_price + replied * model.output_price) / 1e6, 7),
            "latency_ms": total,
            "time_to_first_token_ms": wait,
            "feedback_score": score,
            "feedback_comment": comment,
            "language": language,
        }
        turns.append(LoggedTurn(f"{conversation_id}-{index}", conversation_id, index, at, conversation, line, served))
        history += replied
        pause = rng.lognormvariate(0.0, 0.6) * conversation.pace.total_seconds()
        at += timedelta(milliseconds=total + round(1000 * (3 + pause)))
    return turns


def _tokens(text: str) -> int:
    """About four characters a token, as tokenisers do with English."""
    return max(1, round(len(text) / 4.1))


def _latency(model: Model, output_tokens: int, rng: random.Random) -> tuple[int, int]:
    """Milliseconds to the first token and to the last, log-normal with the odd slow call."""
    slow = 6.0 if rng.random() < 0.006 else 1.0
    wait = model.first_token_ms * rng.lognormvariate(0.0, 0.35) * slow
    return round(wait), round(wait + output_tokens * model.ms_a_token * rng.lognormvariate(0.0, 0.2))


def _feedback(line: Line, language: str, acts: Acts, rng: random.Random) -> tuple[int | None, str | None]:
    """A thumb on about one turn in twelve; bad replies draw more of them, and thumbs down."""
    if line.kind in ("flood", "staging") or rng.random() >= (0.22 if line.bad_reply else 0.075):
        return None, None
    good_odds = 0.06 if line.bad_reply else 0.15 if line.kind == "challenge" else 0.8
    score = 1 if rng.random() < good_odds else -1
    comments = (acts.praise if score > 0 else acts.complaints)[language]
    return score, rng.choice(comments) if rng.random() < COMMENT_SHARE else None
