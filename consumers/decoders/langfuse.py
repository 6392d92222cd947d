"""Langfuse: a trace with its observations and scores, a body of the ingestion API (`{"batch": [...]}`), or one part alone.

One turn a trace, its id the trace's. The trace's own input and output are the turn's text; where it has none, those of its
top observations, then of its generations. Scores are feedback events on the turn's id: a boolean one counts as a thumb, 1
or -1; one without a number is an outcome event with its label. What a batch leaves open, `consumers.decoders.trace` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, Pieces
from consumers.decoders.trace import Step, Trace, between, identifier, listed, moment, mounted, objects, read
from consumers.decoders.transcript import Answered, answered, asked, unwrapped
from consumers.fields import MAX_INTEGER, check, check_text, shown, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Event

__all__ = ["LangfuseDecoder"]

_KINDS = {"GENERATION": "llm", "TOOL": "tool", "RETRIEVER": "retriever", "EMBEDDING": "embedding"}
_TYPES = frozenset((*_KINDS, "SPAN", "EVENT", "AGENT", "CHAIN", "EVALUATOR", "GUARDRAIL"))
_OWN = frozenset(
    "sessionId userId htmlPath projectId totalCost observations scores public bookmarked externalId release".split()
)
_KNOWN = frozenset(
    "id timestamp input output sessionId userId environment metadata latency totalCost observations scores "
    "createdAt updatedAt projectId htmlPath bookmarked public".split()
)


@dataclass(slots=True)
class _Parts:
    """What a record holds of one trace, each with its name for errors. `body` is None when the trace itself is missing."""

    body: dict[str, Any] | None = None
    where: str = ""
    observations: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    scores: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return (self.body is not None) + len(self.observations) + len(self.scores)

    def observe(self, where: str, observation: Mapping[str, Any]) -> None:
        """Add an observation, or lay an update over it."""
        name = identifier(f"{where}id", observation.get("id")) or where
        place, before = self.observations.get(name, (where, {}))
        self.observations[name] = place, mounted(before, observation)


class LangfuseDecoder:
    """Traces, however they were taken out of Langfuse or on their way into it."""

    name = "langfuse"

    def matches(self, record: Any) -> bool:
        if not isinstance(record, dict):
            return False
        batch = record.get("batch")
        if isinstance(batch, list):
            return any(map(_is_ingested, batch))
        if isinstance(record.get("trace"), dict) and isinstance(record.get("observations"), list):
            return _is_trace(record["trace"])
        return _is_trace(record) or _is_observation(record) or _is_score(record)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object, got {type_word(record)}")
        pieces = Pieces()
        if "batch" in record:
            found, is_whole = _batch(record["batch"], defaults.now, pieces), False
        else:
            found, is_whole = _single(record)
        for trace_id, parts in found.items():
            with pieces.one(parts.size):
                pieces.add(_decoded(trace_id, parts, defaults, is_whole=is_whole))
        return pieces.decoded()


def _is_ingested(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("body"), dict) and _ingested(item.get("type")) is not None


def _ingested(name: Any) -> str | None:
    """What an event of the ingestion API brings: trace, score, log, observation, or a type of observation."""
    if not isinstance(name, str):
        return None
    what, _, verb = name.rpartition("-")
    if name in ("trace-create", "score-create", "sdk-log"):
        return what
    is_known = verb in ("create", "update") and (what == "observation" or what.upper() in _TYPES)
    return what if is_known else None


def _is_trace(record: Mapping[str, Any]) -> bool:
    if not isinstance(record.get("id"), str) or "timestamp" not in record or "type" in record:
        return False
    if isinstance(record.get("observations"), list) or isinstance(record.get("scores"), list):
        return True
    return ("input" in record or "output" in record) and not _OWN.isdisjoint(record)


def _is_observation(record: Mapping[str, Any]) -> bool:
    kind = record.get("type")
    return isinstance(kind, str) and kind in _TYPES and isinstance(record.get("id"), str) and "traceId" in record


def _is_score(record: Mapping[str, Any]) -> bool:
    return "traceId" in record and "name" in record and ("value" in record or "stringValue" in record)


def _single(record: dict[str, Any]) -> tuple[dict[str, _Parts], bool]:
    """One trace, one observation or one score, and whether it is all that there is of its trace."""
    if isinstance(record.get("trace"), dict):
        record = {**record["trace"], **{name: value for name, value in record.items() if name != "trace"}}
    if _is_observation(record):
        parts = _Parts()
        parts.observe("", record)
        return {_trace_id("traceId", record.get("traceId") or record["id"]): parts}, False
    if _is_score(record):
        parts = _Parts(scores=[("", record)])
        return ({_trace_id("traceId", record["traceId"]): parts} if record["traceId"] else {}), False
    parts = _Parts(record)
    for position, one in enumerate(objects("observations", record.get("observations"))):
        parts.observe(f"observations[{position}].", one)
    parts.scores = [
        (f"scores[{position}].", one) for position, one in enumerate(objects("scores", record.get("scores")))
    ]
    return {_trace_id("id", record.get("id")): parts}, True


def _batch(batch: Any, now: datetime, pieces: Pieces) -> dict[str, _Parts]:
    """The traces of a batch, updates laid over what they update, in the order of their times."""
    found: dict[str, _Parts] = {}
    belongs: dict[str, str] = {}
    bodies: list[tuple[str, str, dict[str, Any]]] = []
    for position, item in enumerate(listed("batch", batch)):
        with pieces.one():
            bodies.append(_body(f"batch[{position}]", item))
    for where, what, item in sorted(
        bodies, key=lambda one: moment("timestamp", one[2].get("timestamp"), now) or datetime.min
    ):
        with pieces.one():
            _sort_in(found, belongs, where, what, item)
    return found


def _sort_in(found: dict[str, _Parts], belongs: dict[str, str], where: str, what: str, item: dict[str, Any]) -> None:
    """Put one item of a batch to its trace. `belongs` says of which trace an observation is."""
    body = item["body"]
    own = identifier(f"{where}.body.id", body.get("id"))
    trace_id = identifier(f"{where}.body.traceId", body.get("traceId"))
    if what == "trace":
        parts = found.setdefault(_trace_id(f"{where}.body.id", own or item.get("id")), _Parts())
        parts.where = parts.where or f"{where}.body."
        parts.body = mounted(parts.body or {"timestamp": item.get("timestamp")}, body)
    elif what == "score" and trace_id:
        dated = {"timestamp": item.get("timestamp"), **body}
        found.setdefault(trace_id, _Parts()).scores.append((f"{where}.body.", dated))
    elif what not in ("score", "sdk") and (own or trace_id):
        # Langfuse makes a trace of its own for an observation that names none; an update may leave it out.
        trace_id = trace_id or belongs.get(own or "") or (own if item["type"].endswith("-create") else None)
        if trace_id is not None:
            belongs[own or ""] = trace_id
            named = body if what == "observation" else {"type": what.upper(), **body}
            found.setdefault(trace_id, _Parts()).observe(f"{where}.body.", {**named, "id": own})


def _body(where: str, item: Any) -> tuple[str, str, dict[str, Any]]:
    """An item of a batch: its name for errors, what it brings, and itself."""
    if not isinstance(item, dict):
        raise RecordError(f"{where}: expected an object, got {type_word(item)}")
    what = _ingested(item.get("type"))
    if what is None:
        raise RecordError(
            f"{where}.type: expected a type of the ingestion API such as trace-create, generation-update or "
            f"score-create, got {shown(item.get('type'))}"
        )
    if not isinstance(item.get("body"), dict):
        raise RecordError(f"{where}.body: expected an object, got {type_word(item.get('body'))}")
    return where, what, item


def _trace_id(where: str, value: Any) -> str:
    found = identifier(where, value)
    if found is None:
        raise RecordError(f"{where}: missing; a trace is known by its id")
    return found


def _decoded(trace_id: str, parts: _Parts, defaults: Defaults, *, is_whole: bool) -> Decoded:
    steps = [_step(where, one, defaults.now) for where, one in parts.observations.values()]
    steps.sort(key=lambda step: step.started or datetime.max)
    body, where = parts.body, parts.where
    trace = Trace(
        trace_id=trace_id,
        root=None if body is None else _root(where, body, defaults.now),
        steps=tuple(steps),
        is_whole=is_whole and body is not None,
        conversation_id=None if body is None else identifier(f"{where}sessionId", body.get("sessionId")),
        time=(f"{where}timestamp", (body or {}).get("timestamp")),
        about=_about(where, body, parts),
    )
    decoded = trace.decoded(defaults)
    fallback = trace.root.started if trace.root else None
    scores = [_score(place, score, trace_id, fallback, defaults.now) for place, score in parts.scores]
    return Decoded(decoded.turns, (*decoded.events, *scores))


def _root(where: str, body: Mapping[str, Any], now: datetime) -> Step:
    latency = _measured(f"{where}latency", body.get("latency"))
    return Step(
        kind="span",
        asked=asked(f"{where}input", body.get("input")),
        answered=answered(f"{where}output", body.get("output")),
        started=moment(f"{where}timestamp", body.get("timestamp"), now),
        latency_ms=None if latency is None else latency * 1000,
        cost_usd=_measured(f"{where}totalCost", body.get("totalCost")),
    )


def _measured(where: str, value: Any) -> float | None:
    """A measure of a trace. A listing that was asked to leave measures out has -1 there."""
    number: float | None = None if value == -1 else read("cost_usd", where, value)
    return number


def _about(where: str, body: Mapping[str, Any] | None, parts: _Parts) -> dict[str, Any]:
    if body is None:
        named = [one for _, one in parts.observations.values() if one.get("environment") is not None]
        return {"environment": read("environment", "environment", named[0]["environment"])} if named else {}
    unknown = {name: value for name, value in body.items() if name not in _KNOWN and value not in (None, [], {}, "")}
    own = unwrapped(body.get("metadata"))
    if own not in (None, [], {}, ""):
        unknown = {**unknown, **own} if isinstance(own, dict) else {**unknown, "metadata": own}
    return {
        "user_id": identifier(f"{where}userId", body.get("userId")),
        "environment": read("environment", f"{where}environment", body.get("environment")),
        "metadata": check("metadata", unknown) or None,
    }


def _step(where: str, one: Mapping[str, Any], now: datetime) -> Step:
    kind = _kind(where, one)
    is_top = not one.get("parentObservationId")
    speaks = kind == "llm" or (kind == "span" and is_top)
    started = moment(f"{where}startTime", one.get("startTime"), now)
    ended = moment(f"{where}endTime", one.get("endTime"), now)
    version = one.get("promptVersion")
    metadata = unwrapped(one.get("metadata"))
    provider = metadata.get("ls_provider") if isinstance(metadata, dict) else None
    return Step(
        kind=kind,
        name=read("app", f"{where}name", one.get("name")),
        is_top=is_top,
        asked=asked(f"{where}input", one.get("input")) if speaks else None,
        answered=answered(f"{where}output", one.get("output")) if speaks else Answered(),
        documents=_documents(one.get("output")) if kind == "retriever" else (),
        model=read("model", f"{where}model", one.get("model") or one.get("providedModelName")),
        provider=read("provider", f"{where}metadata.ls_provider", provider),
        prompt_template=read("prompt_template", f"{where}promptName", one.get("promptName")),
        prompt_version=identifier(f"{where}promptVersion", version),
        input_tokens=_tokens(where, one, "input", "prompt"),
        output_tokens=_tokens(where, one, "output", "completion"),
        cost_usd=_cost(where, one),
        started=started,
        ended=ended,
        latency_ms=between(started, ended),
        time_to_first_token_ms=_first_token(where, one, started, now),
        error=_error(where, one),
    )


def _kind(where: str, one: Mapping[str, Any]) -> str:
    """Langfuse adds types now and then: one that is not known here is a span."""
    return _KINDS.get(check_text(f"{where}type", one.get("type")).upper(), "span")


def _first_token(where: str, one: Mapping[str, Any], started: datetime | None, now: datetime) -> float | None:
    measured = between(started, moment(f"{where}completionStartTime", one.get("completionStartTime"), now))
    if measured is not None:
        return measured
    seconds = _measured(f"{where}timeToFirstToken", one.get("timeToFirstToken"))
    return None if seconds is None else seconds * 1000


def _error(where: str, one: Mapping[str, Any]) -> str | None:
    if one.get("level") != "ERROR":
        return None
    return check_text(f"{where}statusMessage", one.get("statusMessage") or "error")


def _tokens(where: str, one: Mapping[str, Any], way: str, older: str) -> int | None:
    """Tokens of one direction: `usageDetails` splits them up (`input`, `input_cached_tokens`), and they add up again."""
    details = _object(f"{where}usageDetails", one.get("usageDetails"))
    for name in (f"{older}_tokens", f"{way}_tokens"):
        if details.get(name) is not None and way not in details:
            return _count(f"{where}usageDetails.{name}", details[name])
    parts = [
        _count(f"{where}usageDetails.{name}", value)
        for name, value in details.items()
        if name.startswith(way) and value is not None
    ]
    if parts:
        return _count(f"{where}usageDetails.{way}", sum(parts))
    usage = _object(f"{where}usage", one.get("usage"))
    if usage.get("unit") in (None, "TOKENS"):
        for name in (way, f"{older}Tokens"):
            if usage.get(name) is not None:
                return _count(f"{where}usage.{name}", usage[name])
    return None if one.get(f"{older}Tokens") is None else _count(f"{where}{older}Tokens", one[f"{older}Tokens"])


def _count(where: str, value: Any) -> int:
    found: int = read("input_tokens", where, value)
    return min(found, MAX_INTEGER)


def _cost(where: str, one: Mapping[str, Any]) -> float | None:
    details = _object(f"{where}costDetails", one.get("costDetails"))
    costs = {name: read("cost_usd", f"{where}costDetails.{name}", value) for name, value in details.items()}
    known = [value for value in costs.values() if value is not None]
    if known:
        return float(costs["total"] if costs.get("total") is not None else round(sum(known), 12))
    usage = _object(f"{where}usage", one.get("usage"))
    own = one.get("calculatedTotalCost", one.get("totalCost"))
    return _measured(f"{where}calculatedTotalCost", own if own is not None else usage.get("totalCost"))


def _object(where: str, value: Any) -> Mapping[str, Any]:
    value = unwrapped(value)
    if value is not None and not isinstance(value, dict):
        raise RecordError(f"{where}: expected an object, got {type_word(value)}")
    return value or {}


def _documents(output: Any) -> tuple[Any, ...]:
    found = unwrapped(output)
    if isinstance(found, dict):
        found = next((found[name] for name in ("documents", "results", "output") if name in found), found)
    if isinstance(found, list):
        return tuple(found)
    return () if found in (None, "", {}) else (found,)


def _score(where: str, score: Mapping[str, Any], trace_id: str, fallback: datetime | None, now: datetime) -> Event:
    name = check_text(f"{where}name", score.get("name"))
    value, label = score.get("value"), score.get("stringValue")
    number = value if isinstance(value, int | float) else None
    if number is None and not isinstance(value if value is not None else label, str):
        raise RecordError(f"{where}value: expected a number or a text, got {type_word(value)}")
    if isinstance(value, bool) or (score.get("dataType") == "BOOLEAN" and number is not None):
        # Langfuse writes true and false as 1 and 0; here zero is no opinion.
        number = 1.0 if number else -1.0
    named = {
        "name": name,
        "value": (label if value is None else value) if number is None else None,
        "source": score.get("source"),
        "observation_id": score.get("observationId"),
    }
    comment = read("feedback_comment", f"{where}comment", score.get("comment"))
    # A score that was changed keeps its timestamp, and the change has to count as the later one.
    times = [moment(f"{where}{one}", score.get(one), now) for one in ("updatedAt", "timestamp", "createdAt")]
    fields = {"metadata": check("metadata", {key: one for key, one in named.items() if one is not None})}
    if number is not None:
        fields["feedback_score"] = read("feedback_score", f"{where}value", number)
    if comment:
        fields["feedback_comment"] = comment
    return Event(
        # An event without a number must not hide the number of an earlier one: the last feedback counts.
        kind="outcome" if number is None else "feedback",
        turn_id=trace_id,
        created_at=next((one for one in (*times, fallback) if one), now),
        fields=fields,
    )
