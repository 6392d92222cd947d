"""Attributes of a span as fields of a turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from consumers.decoders.grouping import CONVERSATION, USER
from consumers.decoders.otlp import SpanEvent
from consumers.decoders.step import Judgement, parsed
from consumers.fields import FIELDS

__all__ = ["evaluation", "first", "judgement", "rest", "values"]

#: The part of a span that belongs to the trace and not to a turn's metadata, whatever the convention.
_ELSEWHERE = frozenset((*CONVERSATION, *USER))


def first(attributes: Mapping[str, Any], names: Iterable[str]) -> tuple[str, Any] | None:
    """The first of some attributes that is there, with its name."""
    return next(((name, attributes[name]) for name in names if attributes.get(name) not in (None, "")), None)


def values(where: str, attributes: Mapping[str, Any], table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Fields of a turn, each from the first of its attributes. Raises `RecordError` naming the attribute."""
    found = {}
    for field, names in table.items():
        there = first(attributes, names)
        if there is not None:
            name, value = there
            found[field] = FIELDS[field](f"{where}.{name}", value)
    return found


def rest(attributes: Mapping[str, Any], known: Iterable[str], read: tuple[str, ...]) -> dict[str, Any]:
    """Attributes that nothing else holds: not known by name, nor by the first part of it."""
    left_out = {*known, *_ELSEWHERE}
    return {name: value for name, value in attributes.items() if name not in left_out and not name.startswith(read)}


def evaluation(where: str, attributes: Mapping[str, Any], event: SpanEvent | None = None) -> Judgement | None:
    """OpenTelemetry's evaluation of a model's output; None when there is no result."""
    prefix = "gen_ai.evaluation."
    found = {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}
    return judgement(where + prefix, found, ("score.value", "score.label"), event.time_ns if event else None)


def judgement(
    where: str, found: Mapping[str, Any], names: tuple[str, str], time_ns: int | None = None, of_trace: bool = False
) -> Judgement | None:
    """A result with a score, a label or an explanation."""
    score, label, explanation = found.get(names[0]), found.get(names[1]), found.get("explanation")
    if score is None and not label and not explanation:
        return None
    value = None if score is None else FIELDS["feedback_score"](where + names[0], score)
    text = explanation or label
    comment = None if not text else FIELDS["feedback_comment"](where + "explanation", text)
    about = {"name": found.get("name"), "label": label, "annotator_kind": found.get("annotator_kind")}
    extra = parsed(found.get("metadata"))
    kept = {
        key: word for key, word in {**about, "identifier": found.get("identifier"), "metadata": extra}.items() if word
    }
    return Judgement(value, comment, kept, time_ns, of_trace)
