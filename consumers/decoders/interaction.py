"""One message of a user in a trace with all the spans that served it, and the turn that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from consumers.decoders.decoder import Defaults
from consumers.decoders.otlp import Span
from consumers.decoders.step import Step
from consumers.fields import check, check_text
from consumers.times import read_time
from monitor.errors import RecordError
from monitor.records import Turn

__all__ = ["SUMS", "Interaction", "Listed", "moment_of", "turn_of"]

#: What is counted over the calls of a turn.
SUMS = ("input_tokens", "output_tokens", "cost_usd")
_PROMPT = ("prompt_template", "prompt_version", "prompt_variables")
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")


@dataclass(frozen=True, slots=True)
class Listed:
    """A step that `calls` may list. `repeated`: the call of the outermost span above it, seen a second time."""

    span: Span
    step: Step
    repeated: bool = False


@dataclass(slots=True)
class Interaction:
    """A turn in the making. The first of its steps is its outermost."""

    turn_id: str
    text: str
    steps: list[tuple[Span, Step]] = field(default_factory=list)
    top: list[tuple[Span, Step]] = field(default_factory=list)
    calls: list[Listed] = field(default_factory=list)
    sums: dict[str, Any] = field(default_factory=dict)


def turn_of(interaction: Interaction, conversation_id: str, user_id: str | None, defaults: Defaults) -> Turn:
    span, step = interaction.steps[0]
    answer = _answer(interaction)
    reply = step.reply if step.finished and (step.reply or "").strip() else None
    if reply is None and answer is not None and answer[1].finished:
        reply = answer[1].reply
    metadata = {**(answer[1].metadata if answer else {}), **step.metadata, "span_id": span.span_id}
    created = moment_of(span.start_ns, defaults)
    if created is None:
        if span.odd_times or span.start_ns is not None:
            metadata["time_note"] = "the span's start is no time of these years: the time of reading stands for it"
        created = defaults.times.time_of(conversation_id, 0, metadata, defaults.now)
    values = {name: _found(interaction, name) for name in _PROMPT}
    return Turn(
        turn_id=interaction.turn_id,
        user_text=interaction.text,
        created_at=created,
        conversation_id=conversation_id,
        assistant_text=reply or None,
        system_prompt=next((found for _, one in interaction.steps if (found := one.system)), None),
        model=_said(answer, interaction, "model"),
        provider=_said(answer, interaction, "provider"),
        **{name: interaction.sums.get(name) for name in SUMS},
        latency_ms=_latency(interaction),
        time_to_first_token_ms=_first_token(interaction, answer),
        runtime_error=_error(interaction, reply),
        tool_calls=_distinct(call for _, one in interaction.steps for call in one.tool_calls) or None,
        retrieved_documents=_distinct(document for _, one in interaction.steps for document in one.documents) or None,
        user_id=user_id,
        app=_resource(span, ("service.name",)),
        environment=_resource(span, _ENVIRONMENT),
        modalities=_modalities(interaction),
        calls=_calls(interaction, reply),
        metadata=check("metadata", metadata),
        **values,
    )


def _answer(interaction: Interaction) -> tuple[Span, Step] | None:
    """The call of a model that answered: the last with the outermost span's reply, with the user's text, with any reply.

    An agent calls models for other ends too: to title the conversation, to suggest what to ask next.
    """
    calls = [one for one in interaction.steps if one[1].kind == "llm"]
    answered = [one for one in calls if one[1].finished and (one[1].reply or "").strip()]
    outermost = interaction.steps[0][1].reply
    same = [one for one in answered if one[1].reply == outermost]
    direct = [one for one in answered if (user := one[1].user) is not None and user.text.strip() == interaction.text]
    return next((found[-1] for found in (same, direct, answered, calls) if found), None)


def _said(answer: tuple[Span, Step] | None, interaction: Interaction, name: str) -> Any:
    value = answer[1].values.get(name) if answer else None
    return value if value is not None else _found(interaction, name)


def _found(interaction: Interaction, name: str) -> Any:
    return next((value for _, one in interaction.steps if (value := one.values.get(name)) is not None), None)


def _latency(interaction: Interaction) -> float | None:
    """From the start of the outermost span to the end of the last that stands beside it."""
    start = interaction.steps[0][0].start_ns
    ends = [span.end_ns for span, _ in interaction.top if span.end_ns is not None]
    return (max(ends) - start) / 1e6 if start is not None and ends and max(ends) >= start else None


def _first_token(interaction: Interaction, answer: tuple[Span, Step] | None) -> float | None:
    """What the user waited: also for the steps before the call that answered."""
    waited = answer[1].values.get("time_to_first_token_ms") if answer else None
    if answer is None or waited is None:
        found: float | None = _found(interaction, "time_to_first_token_ms")
        return found
    before, start = interaction.steps[0][0].start_ns, answer[0].start_ns
    return float(waited + max(0, start - before) / 1e6 if before is not None and start is not None else waited)


def _error(interaction: Interaction, reply: str | None) -> str | None:
    """An inner call that failed and was tried again is no error of the turn."""
    outermost = interaction.steps[0][0].error
    if len(interaction.top) == 1 and outermost is not None:
        return outermost
    return None if reply else next((span.error for span, _ in reversed(interaction.top) if span.error), None)


def _modalities(interaction: Interaction) -> list[str] | None:
    """Text alone is nothing to note: one span has it as a text, another as a part."""
    for _, step in interaction.steps:
        user = step.user
        if user is not None and user.text.strip() == interaction.text and set(user.modalities) - {"text"}:
            return list(user.modalities)
    return None


def _calls(interaction: Interaction, reply: str | None) -> list[dict[str, Any]] | None:
    alone = len(interaction.top) == 1
    outermost = interaction.steps[0][0]
    # One outermost span is the turn, and what it repeats are its steps; several are the steps themselves.
    calls = [one for one in interaction.calls if (one.span is not outermost if alone else not one.repeated)]
    if not calls and reply is None and interaction.steps[0][1].reply and not interaction.steps[0][1].finished:
        calls = interaction.calls  # words before the call of a tool
    return [_call(one.span, one.step) for one in sorted(calls, key=lambda one: one.span.start_ns or 0)] or None


def _call(span: Span, step: Step) -> dict[str, Any]:
    call = {
        "name": step.values.get("name") or span.name,
        "kind": step.kind,
        "model": step.values.get("model"),
        **{name: step.values.get(name) for name in SUMS},
        "latency_ms": span.latency_ms,
        "error": span.error,
        "text": None if step.finished else step.reply,
    }
    return {name: value for name, value in call.items() if value is not None}


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Calls and documents once each: spans repeat what inner spans say."""
    found: dict[bytes, Any] = {}
    for value in values:
        identity = value.get("id") if isinstance(value, dict) and value.get("type") == "function" else None
        try:
            found.setdefault(orjson.dumps(identity or value), value)
        except TypeError as error:
            raise RecordError(f"attributes: a call or a document holds something that is not JSON: {error}") from None
    return list(found.values())


def _resource(span: Span, names: Sequence[str]) -> str | None:
    value = next((span.resource[name] for name in names if span.resource.get(name)), None)
    return None if value is None else check_text(f"{span.where}: resource attribute {names[0]}", value)


def moment_of(time_ns: int | None, defaults: Defaults) -> datetime | None:
    """The time, unless no log of today can have it."""
    return read_time("time", time_ns, defaults.now).at
