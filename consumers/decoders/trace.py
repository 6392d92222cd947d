"""A trace: the steps of one exchange, whatever tool wrote them down, made into one turn.

The turn's id is the trace's, so that the trace, a later update of it, and one of its steps that comes alone are the same
turn: the store fills what was empty and keeps the first of what differs (`monitor.store.identity`). Two rules follow.

- A record of unfinished steps, or of steps without their trace, gives no `calls` and no metadata: a later record completes
  them, and the store would then refuse the complete ones as different.
- What comes without the user's words, such as an update with only the reply, is no turn: it becomes an `outcome` event
  on the turn's id, with the turn's fields by their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import orjson

from consumers.decoders.decoder import Decoded, Defaults
from consumers.decoders.transcript import Answered, Asked
from consumers.fields import FIELDS, check, check_text, type_word
from consumers.times import Dated, read_time
from monitor.errors import RecordError
from monitor.records import Event, Turn

__all__ = ["Step", "Trace", "between", "identifier", "listed", "moment", "mounted", "objects", "read"]

_T = TypeVar("_T")

#: Kinds of steps that are calls; anything else is a span around them.
CALLS = ("llm", "tool", "retriever", "embedding")
_LAYERED = ("metadata", "extra")
# What an update without the user's words can still say of its turn.
_FACTS = (
    "assistant_text system_prompt prompt_template prompt_version model provider input_tokens output_tokens cost_usd "
    "latency_ms time_to_first_token_ms runtime_error tool_calls retrieved_documents"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: a call of a model (`llm`), a tool, a retriever, an embedding, or a `span` around such steps."""

    kind: str
    name: str | None = None
    is_top: bool = False
    asked: Asked | None = None
    answered: Answered = field(default_factory=Answered)
    documents: tuple[Any, ...] = ()
    model: str | None = None
    provider: str | None = None
    prompt_template: str | None = None
    prompt_version: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    latency_ms: float | None = None
    time_to_first_token_ms: float | None = None
    error: str | None = None

    def call(self) -> dict[str, Any]:
        """The step as an item of a turn's `calls`."""
        names = ("name", "model", "input_tokens", "output_tokens", "cost_usd", "latency_ms", "error")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one record says of one trace. `root` is the trace as a whole, None when the record holds only some steps.

    `time` is the whole's time as the record names and holds it. `is_whole` says that the record is no update: what it does
    not hold, nobody will send.
    """

    trace_id: str
    root: Step | None
    steps: tuple[Step, ...] = ()
    is_whole: bool = True
    conversation_id: str | None = None
    time: tuple[str, Any] = ("startTime", None)
    about: Mapping[str, Any] = field(default_factory=dict)

    def decoded(self, defaults: Defaults) -> Decoded:
        """One turn; or the facts of an update as an event; or nothing."""
        facts = self._facts()
        questions = self._questions()
        if questions:
            return Decoded(turns=(self._turn(questions, facts, defaults),))
        said = {name: facts[name] for name in _FACTS if facts.get(name) is not None}
        if self.is_whole or not said:
            return Decoded()
        at = max((one.ended or one.started or defaults.now for one in self._all()), default=defaults.now)
        return Decoded(events=(Event(kind="outcome", turn_id=self.trace_id, created_at=at, fields=said),))

    def _turn(self, questions: list[Asked], facts: Mapping[str, Any], defaults: Defaults) -> Turn:
        question = questions[0]
        same = [one for one in questions if one.text.strip() == question.text.strip()]
        # The whole may be given the question alone, and the model inside it the history too.
        index = max((one.turn_index for one in same if one.turn_index is not None), default=None)
        when = self._dated(index or 0, defaults)
        return Turn(
            **{
                **facts,
                **self.about,
                "turn_id": self.trace_id,
                "conversation_id": self.conversation_id or self.trace_id,
                "turn_index": index,
                "user_text": question.text,
                "modalities": list(_first(one.modalities or None for one in same) or ()) or None,
                "created_at": when.at,
                "metadata": when.metadata,
            }
        )

    def _dated(self, index: int, defaults: Defaults) -> Dated:
        """The trace's own time; else that of its first step; else the rule's."""
        metadata: Mapping[str, Any] | None = self.about.get("metadata")
        name, value = self.time
        started = [one.started for one in self._speakers() if one.started]
        if self.root and self.root.started:
            return Dated(self.root.started, metadata)
        if not started:
            return defaults.dated(value, self.conversation_id or self.trace_id, index, metadata, name=name)
        if value is not None:
            fault = read_time(name, value, defaults.now).fault
            metadata = {**(metadata or {}), "time_note": f"{fault}; the first step's stands in"}
        return Dated(min(started), metadata)

    def _facts(self) -> dict[str, Any]:
        """Everything but the user's words: the root's own value, else what the steps add up to."""
        root = self.root or Step(kind="span")
        models = [one for one in self._all() if one.kind == "llm"]
        speaker = self._speaker(models)
        reply = _first(one.answered.text for one in (root, *self._tops())) or speaker.answered.text
        calls = [one.call() for one in self.steps if one.kind in CALLS]
        documents = [document for one in self._all() for document in one.documents]
        # A tool of a trace that goes on elsewhere has its own time, and its failure need not be the turn's.
        telling = list(self.steps) if self.is_whole else [*self._tops(), *models]
        failed = [one.error for one in telling if one.error]
        first_token = root.time_to_first_token_ms
        return {
            "assistant_text": reply,
            "system_prompt": _first(one.system_prompt for one in self._questions()),
            "prompt_template": _first(one.prompt_template for one in (root, speaker, *self.steps)),
            "prompt_version": _first(one.prompt_version for one in (root, speaker, *self.steps)),
            "model": root.model or speaker.model,
            "provider": root.provider or speaker.provider,
            "input_tokens": _total(root.input_tokens, (one.input_tokens for one in models)),
            "output_tokens": _total(root.output_tokens, (one.output_tokens for one in models)),
            "cost_usd": _total(root.cost_usd, (one.cost_usd for one in self.steps if one.kind in CALLS)),
            "latency_ms": root.latency_ms if root.latency_ms is not None else self._span_ms(telling),
            "time_to_first_token_ms": first_token if first_token is not None else speaker.time_to_first_token_ms,
            # A step that failed and was tried again is a call with an error; the turn failed when nobody was answered.
            "runtime_error": root.error or (failed[-1] if failed and not reply else None),
            "tool_calls": _unique(call for one in (*models, root) for call in one.answered.tool_calls) or None,
            "retrieved_documents": _unique(documents) or None,
            "calls": (calls or None) if self.root and (self.is_whole or self._is_finished()) else None,
        }

    def _is_finished(self) -> bool:
        return all(one.ended for one in self.steps if one.kind in CALLS)

    def _all(self) -> list[Step]:
        return [self.root, *self.steps] if self.root else list(self.steps)

    def _tops(self) -> list[Step]:
        return [one for one in self.steps if one.is_top and one.kind == "span"]

    def _speakers(self) -> list[Step]:
        """Steps in which a user may be heard: the whole, then what stands at the top, then each model. Queries of tools
        and retrievers, and what one span inside hands to another, are the application's words."""
        models = [one for one in self.steps if one.kind == "llm"]
        return [one for one in (self.root, *self._tops(), *models) if one is not None]

    def _questions(self) -> list[Asked]:
        return [one.asked for one in self._speakers() if one.asked]

    def _speaker(self, models: list[Step]) -> Step:
        """The model that gave the reply: the last that said it, else the last that said something."""
        reply = self.root.answered.text if self.root else None
        spoke = [one for one in models if one.answered.text]
        gave = [one for one in spoke if reply and one.answered.text == reply]
        return (gave or spoke or models or [Step(kind="llm")])[-1]

    def _span_ms(self, steps: list[Step]) -> float | None:
        everything = [self.root, *self.steps] if self.root else steps
        started = [one.started for one in everything if one.started]
        ended = [one.ended for one in everything if one.ended]
        return between(min(started), max(ended)) if started and ended else None


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Milliseconds from one moment to the other; None when one is unknown or the clocks disagree."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds() * 1000


def moment(where: str, value: Any, now: datetime) -> datetime | None:
    """A time of a record; None for one that is missing or that nobody means."""
    return read_time(where, value, now).at


def read(field_name: str, where: str, value: Any) -> Any:
    """A value as the turn's field of that name takes it, named in errors as the record names it."""
    return None if value is None else FIELDS[field_name](where, value)


def identifier(where: str, value: Any) -> str | None:
    """An id: a text, or a number as some applications count their sessions. An empty one is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return check_text(where, value) or None if value is not None else None


def objects(where: str, value: Any) -> list[dict[str, Any]]:
    """A list of objects. Ids, as short listings hold them in place of objects, are left out."""
    for position, item in enumerate(listed(where, value)):
        if not isinstance(item, dict | str):
            raise RecordError(f"{where}[{position}]: expected an object, got {type_word(item)}")
    return [item for item in listed(where, value) if isinstance(item, dict)]


def listed(where: str, value: Any) -> list[Any]:
    """A list; None is an empty one."""
    if value is not None and not isinstance(value, list):
        raise RecordError(f"{where}: expected a list, got {type_word(value)}")
    return value or []


def mounted(below: Mapping[str, Any], above: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    """An update laid over what it updates: null says nothing, and metadata is laid over metadata, not put in its place."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if depth and name in _LAYERED and isinstance(old, dict) and isinstance(value, dict):
            merged[name] = mounted(old, value, depth - 1)
        elif value is not None:
            merged[name] = value
    return merged


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _total(own: Any, parts: Iterable[Any]) -> Any:
    """The trace's own number, else the sum of what its steps say."""
    known = [part for part in parts if part is not None]
    # Costs are fractions of cents: what binary sums leave behind the twelfth digit is nobody's money.
    return own if own is not None else round(sum(known), 12) if known else None


def _unique(items: Iterable[Any]) -> list[Any]:
    """Each item once, in order: a graph repeats in its result the tool calls and documents of its steps."""
    found: dict[bytes, Any] = {}
    for item in items:
        key = (item.get("id") if isinstance(item, dict) else None) or item
        check("calls", [item])
        found.setdefault(orjson.dumps(key, option=orjson.OPT_SORT_KEYS), item)
    return list(found.values())
