"""The spans of a record as turns: one turn for each message of a user within a trace.

**What is one turn.** A span that sends the user's message to a model, or an agent or chain that does so further down,
opens an interaction. What stands below it belongs to it: the same text in an inner span, a prompt made from it, tools,
retrievers, other models. Only an inner span whose history holds the outer text as an earlier message of the user is a
later one. Spans side by side with the same last user message, as in a loop over tools, are one interaction too. The
outermost span gives text, time, and reply; the model and the time to the first token are those of the call that
answered; tokens and cost are counted once, at the outermost span that states them; inner calls become `calls`.

**The turn's id.** `TRACE-HASH`, where the hash is one of the trace's id and the user's text (and of how often the
history says the same text before: people answer "yes" twice). Exporters batch by time, and one trace may come in several
records that no memory joins: the outer and the inner span say the same text and so the same id, and the store merges
them. An id of the span would make two turns of them, and the trace's id alone would lose all but one message of a trace
that holds a whole session. The same rule decides what a span may say alone: a chain or an agent whose calls of a model
are not in its record opens an interaction only as the root of its trace, for below the root it may be any step. What it
cannot join: an inner span with a prompt of its own whose outer span comes in another record.
The store keeps the first value of a field, and fills empty ones from later records. So words before a call of a tool are
no reply (they stay with the call in `calls`), and `calls` waits until there are several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, Pieces
from consumers.decoders.interaction import SUMS, Interaction, Listed, moment_of, turn_of
from consumers.decoders.otlp import Span, Unread
from consumers.decoders.step import Judgement, Step
from consumers.fields import check, check_text
from monitor.errors import RecordError
from monitor.records import Event, Turn, short_hash

__all__ = ["CONVERSATION", "USER", "decode_spans"]

#: Attributes that name the conversation and the user, the surest first; any span of a trace may carry them.
CONVERSATION = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    *(f"traceloop.association.properties.{name}" for name in ("conversation_id", "session_id", "thread_id", "chat_id")),
    *(f"ai.telemetry.metadata.{name}" for name in ("conversationId", "sessionId", "threadId", "chatId")),
)
USER = (
    "user.id",
    "enduser.id",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """What the spans above say about a span: its interaction, the sums that they state already, and whether the last step
    above is a call of a model, that of the outermost span or one within, or a judge."""

    interaction: Interaction | None = None
    stated: frozenset[str] = frozenset()
    within_outermost: bool = False
    within_call: bool = False
    judging: bool = False


def decode_spans(spans: Iterable[Span | Unread], step_of: Callable[[Span], Step | None], defaults: Defaults) -> Decoded:
    """Turns and feedback of the spans, trace by trace: a span that cannot be read spoils its own trace. Raises `RecordError`
    where no trace can be read, and for scores whose turn is not among the spans."""
    traces: dict[str, dict[str, Span]] = defaultdict(dict)
    spoiled: dict[str, str] = {}
    pieces = Pieces()
    for span in spans:
        if isinstance(span, Unread):
            pieces.refuse(span.reason)
            if span.trace_id is not None:
                spoiled.setdefault(span.trace_id, span.reason)
            continue
        members = traces[span.trace_id]
        known = members.get(span.span_id)
        members[span.span_id] = span if known is None else _both(known, span)
    lost: str | None = None
    for trace_id, members in traces.items():
        with pieces.one(len(members)):
            if trace_id in spoiled:
                raise RecordError(spoiled[trace_id])
            trace = _Trace(trace_id, members, step_of)
            pieces.add(Decoded(tuple(trace.turns(defaults)), tuple(trace.events(defaults))))
            lost = lost or trace.lost
    decoded = pieces.decoded()
    if lost and not decoded.turns and not decoded.events:
        raise RecordError(f"{lost}: a score without its turn; export the span that it is about in the same record")
    return decoded


class _Trace:
    """The spans of one trace in one record, from the outermost to the innermost, siblings by time."""

    def __init__(self, trace_id: str, members: Mapping[str, Span], step_of: Callable[[Span], Step | None]) -> None:
        self._trace_id = trace_id
        self._spans = _outermost_first(members)
        self._steps = {span.span_id: step for span in self._spans if (step := step_of(span)) is not None}
        self._calling = self._above_calls()
        self._interactions: dict[tuple[str, int], Interaction] = {}
        self._judgements: list[tuple[Span, Judgement, Interaction | None]] = []
        self.lost: str | None = None
        self._sort()

    def turns(self, defaults: Defaults) -> list[Turn]:
        # An interaction's own spans first: a trace may hold several sessions.
        conversation, user = _named(self._spans, CONVERSATION) or self._trace_id, _named(self._spans, USER)
        found = []
        for interaction in self._interactions.values():
            own = [span for span, _ in interaction.steps]
            found.append(
                turn_of(interaction, _named(own, CONVERSATION) or conversation, _named(own, USER) or user, defaults)
            )
        return found

    def events(self, defaults: Defaults) -> list[Event]:
        found = []
        only = next(iter(self._interactions.values())) if len(self._interactions) == 1 else None
        for span, judgement, interaction in self._judgements:
            about = interaction or only
            if about is None:
                self.lost = self.lost or span.where
                continue
            scores = {"feedback_score": judgement.score, "feedback_comment": judgement.comment}
            fields: dict[str, Any] = {name: value for name, value in scores.items() if value is not None}
            if judgement.about:
                fields["metadata"] = check("metadata", dict(judgement.about))
            when = moment_of(judgement.time_ns or span.end_ns or span.start_ns, defaults) or defaults.now
            found.append(Event(kind="feedback", turn_id=about.turn_id, created_at=when, fields=fields))
        return found

    def _above_calls(self) -> set[str]:
        """Spans with a call of a model below them."""
        calling: set[str] = set()
        for span in reversed(self._spans):
            step = self._steps.get(span.span_id)
            if span.parent_id is not None and (span.span_id in calling or (step is not None and step.kind == "llm")):
                calling.add(span.parent_id)
        return calling

    def _sort(self) -> None:
        """Each step into its interaction."""
        places: dict[str, _Place] = {}
        loose: list[tuple[Span, Step]] = []
        for span in self._spans:
            above = places.get(span.parent_id or "", _Place())
            step = self._steps.get(span.span_id)
            if step is None:
                places[span.span_id] = above
                continue
            judging = above.judging or step.kind == "judge"
            interaction = above.interaction if judging else self._interaction_of(span, step, above.interaction)
            if interaction is None:
                places[span.span_id] = _Place(judging=judging)
                if step.kind in ("tool", "retriever") and not judging:
                    loose.append((span, step))
            else:
                places[span.span_id] = _joined(interaction, span, step, above, judging)
            self._judgements += ((span, judgement, interaction) for judgement in step.judgements)
        self._attach(loose)

    def _interaction_of(self, span: Span, step: Step, outer: Interaction | None) -> Interaction | None:
        user = step.user
        if user is None or step.kind in ("tool", "retriever"):
            return outer
        text, earlier = user.text.strip(), step.earlier
        if outer is not None and (text == outer.text or outer.text not in earlier):
            return outer
        if step.kind != "llm" and span.parent_id is not None and span.span_id not in self._calling:
            return outer
        before = earlier.count(text)
        key = (text, before)
        if key not in self._interactions:
            parts = (self._trace_id, text) if not before else (self._trace_id, text, str(before))
            self._interactions[key] = Interaction(f"{self._trace_id}-{short_hash(*parts)}", text)
        return self._interactions[key]

    def _attach(self, loose: Sequence[tuple[Span, Step]]) -> None:
        """Steps beside their interaction: a retriever goes before the call that it serves, a tool after it."""
        interactions = list(self._interactions.values())
        if not interactions or not loose:
            return
        starts = [interaction.steps[0][0].start_ns or 0 for interaction in interactions]
        order = sorted(range(len(interactions)), key=starts.__getitem__)
        position = -1
        for span, step in sorted(loose, key=lambda one: one[0].start_ns or 0):
            while position + 1 < len(order) and starts[order[position + 1]] <= (span.start_ns or 0):
                position += 1
            chosen = min(position + 1, len(order) - 1) if step.kind == "retriever" else max(position, 0)
            interaction = interactions[order[chosen]]
            interaction.steps.append((span, step))
            interaction.calls.append(Listed(span, step))


def _named(spans: Iterable[Span], names: Sequence[str]) -> str | None:
    for span in spans:
        for name in names:
            value = span.attributes.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if value is not None and value != "":
                return check_text(f"{span.where}.attributes.{name}", value)
    return None


def _both(known: Span, span: Span) -> Span:
    """A span that comes twice: the later one; but logs of a span, which have no name, only add to it."""
    if bool(known.name) == bool(span.name):
        return span
    named, logs = (known, span) if known.name else (span, known)
    return replace(named, events=(*named.events, *logs.events), attributes={**logs.attributes, **named.attributes})


def _outermost_first(members: Mapping[str, Span]) -> list[Span]:
    """Spans in the order of a walk down. A span that is its own ancestor starts a walk like one without a parent."""
    below: dict[str, list[Span]] = defaultdict(list)
    roots = []
    for span in sorted(members.values(), key=lambda span: span.start_ns or 0):
        if span.parent_id in members:
            below[span.parent_id or ""].append(span)
        else:
            roots.append(span)
    found: dict[str, Span] = {}
    for start in (*roots, *members.values()):
        waiting = [start]
        while waiting:
            span = waiting.pop()
            if span.span_id not in found:
                found[span.span_id] = span
                waiting += reversed(below[span.span_id])
    return list(found.values())


def _joined(interaction: Interaction, span: Span, step: Step, above: _Place, judging: bool) -> _Place:
    """Add a step to its interaction; what it says for the spans below it."""
    inside = above.interaction is interaction
    stated = above.stated if inside else frozenset()
    if judging:
        return _Place(interaction, stated, judging=True)
    interaction.steps.append((span, step))
    if not inside:
        interaction.top.append((span, step))
    # Embeddings have tokens too, and they are no words of the turn.
    counts = step.kind in ("llm", "agent", "chain")
    new = [name for name in SUMS if counts and step.values.get(name) is not None and name not in stated]
    for name in new:
        interaction.sums[name] = interaction.sums.get(name, 0) + step.values[name]
    stated = stated.union(new)
    if step.kind == "chain":
        return _Place(interaction, stated, inside and above.within_outermost, inside and above.within_call)
    if step.kind != "llm":
        interaction.calls.append(Listed(span, step))
        return _Place(interaction, stated)
    # A call within a call is the same call, seen by a second instrumentation.
    if not (inside and above.within_call):
        interaction.calls.append(Listed(span, step, inside and above.within_outermost))
    return _Place(interaction, stated, within_outermost=not inside, within_call=inside)
