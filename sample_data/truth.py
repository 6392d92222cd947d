"""What is true of the generated data, counted from it: tests and benchmarks take every figure from here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from sample_data.catalogue import normalised
from sample_data.evalset import EvalItem
from sample_data.scenario import END, START, Scenario
from sample_data.serving import LoggedTurn

__all__ = ["build_truth"]

Turns = Sequence[LoggedTurn]


def build_truth(turns: Turns, items: Sequence[EvalItem], scenario: Scenario, utterances: int) -> dict[str, object]:
    """The contents of `truth.json`."""
    production = [turn for turn in turns if turn.conversation.environment == "production"]
    named = [turn for turn in production if turn.line.intent]
    covered = {item.label for item in items}
    by_intent = Counter(turn.line.intent for turn in named)
    asked_in = Counter(intent for intent, _ in {(turn.line.intent, turn.conversation_id) for turn in named})
    return {
        "seed": scenario.seed,
        "variant": scenario.variant,
        "scale": scenario.scale,
        "window": {"start": _iso(START), "end": _iso(END)},
        "counts": {
            "turns": len(turns),
            "conversations": _conversations(turns),
            "production_turns": len(production),
            "distinct_texts": len({normalised(turn.line.text) for turn in turns}),
            "handwritten_utterances": utterances,
            "intents": len(by_intent),
            "fewest_conversations_of_an_intent": min(asked_in.values()),
            "kinds": _counted(turn.line.kind for turn in turns),
            "conversations_by_language": _conversations_by(turns, lambda turn: turn.conversation.language),
            "conversations_by_tenant": _conversations_by(turns, lambda turn: turn.conversation.tenant),
            "turns_by_model": _counted(str(turn.served["model"]) for turn in turns),
            "turns_by_prompt_version": _counted(turn.conversation.prompt_version for turn in turns),
            "turns_by_week": [count for _, count in sorted(Counter(map(_week, turns)).items())],
        },
        "intents": dict(sorted((str(name), count) for name, count in by_intent.items())),
        "missing_intents": [_missing(name, production, scenario) for name in scenario.missing],
        "true_coverage": _share(sum(turn.line.intent in covered for turn in named), len(named)),
        "decoys": _decoys(turns, production, scenario),
        "shift": _shift(production, scenario),
        "worse_prompt": _worse_prompt(production, scenario),
        "evalset": _evalset(items),
        "private_details": _private_details(turns),
        "rollout": {"prompt_version": "v4", "starts_at": _iso(scenario.rollout_start), "share": 0.5},
    }


def _iso(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _share(part: float, whole: float) -> float:
    """Rounded share; 0 of nothing."""
    return round(part / whole, 5) if whole else 0.0


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _conversations(turns: Turns) -> int:
    return len({turn.conversation_id for turn in turns})


def _conversations_by(turns: Turns, key: Callable[[LoggedTurn], str]) -> dict[str, int]:
    return _counted(key(turn) for turn in turns if turn.turn_index == 0)


def _week(turn: LoggedTurn) -> int:
    return (turn.created_at - START).days // 7 + 1


def _missing(name: str, production: Turns, scenario: Scenario) -> dict[str, object]:
    """An intent without eval items. `born_late` is false for those that were always there."""
    own = [turn for turn in production if turn.line.intent == name]
    return {
        "name": name,
        "born_late": name in scenario.births,
        "born_at": _iso(min(turn.created_at for turn in own)),
        "turns": len(own),
        "share": _share(len(own), len(production)),
        "conversations": _conversations(own),
    }


def _decoys(turns: Turns, production: Turns, scenario: Scenario) -> dict[str, object]:
    """What must not rank as a gap: it is no need of a customer, or not production."""
    small_talk = [turn for turn in production if turn.line.kind == "small_talk"]
    flood = [turn for turn in production if turn.line.kind == "flood"]
    staging = [turn for turn in turns if turn.line.kind == "staging"]
    return {
        "small_talk": {"turns": len(small_talk), "share": _share(len(small_talk), len(production))},
        "flood": {
            "turns": len(flood),
            "conversations": _conversations(flood),
            "distinct_texts": len({turn.line.text for turn in flood}),
            "user_id": flood[0].conversation.user_id,
            "starts_at": _iso(scenario.flood_start),
        }
        if flood
        else None,
        "staging": {
            "turns": len(staging),
            "conversations": _conversations(staging),
            "environment": "staging",
            "starts_at": _iso(scenario.staging_start),
        }
        if staging
        else None,
    }


def _shift(production: Turns, scenario: Scenario) -> dict[str, object] | None:
    shift = scenario.shift
    if shift is None:
        return None
    before = [turn for turn in production if turn.created_at < shift.at]
    after = [turn for turn in production if turn.created_at >= shift.at]
    own = [sum(turn.line.intent == shift.intent for turn in part) for part in (before, after)]
    return {
        "intent": shift.intent,
        "starts_at": _iso(shift.at),
        "factor": shift.factor,
        "turns_before": own[0],
        "turns_after": own[1],
        "share_before": _share(own[0], len(before)),
        "share_after": _share(own[1], len(after)),
    }


def _worse_prompt(production: Turns, scenario: Scenario) -> dict[str, object] | None:
    """Replies to one intent by prompt version, since the worse one is out; its conversations' signals too."""
    worse = scenario.worse_prompt
    if worse is None:
        return None
    since = [
        turn
        for turn in production
        if worse.intent in (turn.line.intent, turn.line.parent_intent) and turn.created_at >= scenario.rollout_start
    ]
    versions = {}
    for version in ("v3", "v4"):
        own = [turn for turn in since if turn.conversation.prompt_version == version]
        versions[version] = {
            "turns": sum(turn.line.intent is not None for turn in own),
            "bad_replies": sum(turn.line.bad_reply for turn in own),
            "challenges": sum(turn.line.kind == "challenge" for turn in own),
            "rephrases": sum(turn.line.kind == "rephrase" for turn in own),
            "thumbs_up": sum(turn.served["feedback_score"] == 1 for turn in own),
            "thumbs_down": sum(turn.served["feedback_score"] == -1 for turn in own),
        }
    return {
        "intent": worse.intent,
        "prompt_version": worse.prompt_version,
        "starts_at": _iso(scenario.rollout_start),
        "planted_bad_share": worse.bad_share,
        "by_version": versions,
    }


def _evalset(items: Sequence[EvalItem]) -> dict[str, object]:
    def tagged(tag: str) -> list[str]:
        return [item.item_id for item in items if tag in item.tags]

    return {
        "items": len(items),
        "distinct_prompts": len({normalised(item.prompt) for item in items}),
        "duplicate_ids": tagged("duplicate"),
        "stale_ids": tagged("stale"),
        "copied_ids": tagged("copied_from_traffic"),
        "items_by_label": _counted(item.label for item in items),
    }


def _private_details(turns: Turns) -> dict[str, object]:
    found = [turn for turn in turns if turn.line.private_detail]
    return {
        "turns": len(found),
        "kinds": _counted(str(turn.line.private_detail) for turn in found),
        "turn_ids": [turn.turn_id for turn in found],
    }
