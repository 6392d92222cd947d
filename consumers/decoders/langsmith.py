"""LangSmith: a run, with its child runs or without, a batch body (`{"post": [...], "patch": [...]}`), or one feedback.

One turn a trace, its id the trace's. The root run's own inputs and outputs are the turn's text, then those of its model
runs. A child run that comes alone speaks for its trace under the same id. `patch` entries are laid over their `post`
entries; one whose `post` came earlier, in another batch, says what it can (`consumers.decoders.trace`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consumers.decoders.decoder import Decoded, Defaults, Pieces
from consumers.decoders.trace import Step, Trace, between, identifier, listed, moment, mounted, read
from consumers.decoders.transcript import Answered, answered, asked
from consumers.fields import check, check_text, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Event

__all__ = ["LangSmithDecoder"]

_KINDS = {"llm": "llm", "tool": "tool", "retriever": "retriever", "embedding": "embedding"}
_CONVERSATION = ("thread_id", "session_id", "conversation_id")
_USER = ("user_id", "user", "end_user_id")
_ENVIRONMENT = ("environment", "env", "deployment_environment")
# What is read elsewhere, or says how LangSmith keeps the run and nothing about it.
_KNOWN = frozenset(
    "id trace_id parent_run_id parent_run_ids dotted_order start_time end_time inputs outputs extra error metadata "
    "session_name prompt_tokens completion_tokens total_tokens prompt_cost completion_cost total_cost first_token_time "
    "child_runs child_run_ids direct_child_run_ids events serialized manifest_id manifest_s3_id app_path status "
    "inputs_preview outputs_preview inputs_s3_urls outputs_s3_urls s3_urls last_queued_at execution_order "
    "prompt_token_details completion_token_details prompt_cost_details completion_cost_details total_tokens_details "
    "session_id share_token in_dataset trace_tier trace_upgrade ttl_seconds thread_id latency attachments replicas".split()
)
# Whose words a score is, when a run has several.
_HUMAN = re.compile(r"user|thumb|feedback|rating|like", re.IGNORECASE)
# A run that is to be read: its name for errors, the trace and the run that it stands in, and itself.
_Waiting = tuple[str, tuple[str, str] | None, Any]
_SEGMENT = re.compile(r"\d{8}T\d{6,}Z")


@dataclass(slots=True)
class _Runs:
    """The runs of one trace that a record holds, by id, each with its name for errors."""

    runs: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    #: What a run within cannot be read for. The trace without it would be another.
    fault: str = ""

    def add(self, where: str, run_id: str, run: Mapping[str, Any]) -> None:
        place, before = self.runs.get(run_id, (where, {}))
        self.runs[run_id] = place, mounted(before, run)


class LangSmithDecoder:
    """Runs as LangSmith exports them and as its clients send them."""

    name = "langsmith"

    def matches(self, record: Any) -> bool:
        if not isinstance(record, dict):
            return False
        if _is_batch(record):
            runs = [*(record.get("post") or ()), *(record.get("patch") or ())]
            return any(map(_is_run, runs))
        return _is_run(record) or _is_feedback(record)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object, got {type_word(record)}")
        if _is_feedback(record):
            return _feedback(record, defaults.now)
        is_batch = _is_batch(record)
        found: dict[str, _Runs] = {}
        pieces = Pieces()
        for part in ("post", "patch") if is_batch else ("",):
            runs = listed(part, record.get(part)) if part else [record]
            _gather(found, part, runs, pieces)
        for trace_id, one in found.items():
            with pieces.one(len(one.runs)):
                if one.fault:
                    raise RecordError(one.fault)
                pieces.add(_decoded(trace_id, one, defaults, is_whole=not is_batch))
        return pieces.decoded()


def _is_batch(record: Mapping[str, Any]) -> bool:
    named = [record[name] for name in ("post", "patch") if name in record]
    return bool(named) and "id" not in record and all(one is None or isinstance(one, list) for one in named)


def _is_run(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        return False
    if isinstance(record.get("run_type"), str):
        return any(name in record for name in ("inputs", "outputs", "trace_id", "dotted_order", "child_runs"))
    return isinstance(record.get("trace_id"), str) and isinstance(record.get("dotted_order"), str)


def _is_feedback(record: Mapping[str, Any]) -> bool:
    return "key" in record and "score" in record and ("run_id" in record or "trace_id" in record)


def _gather(found: dict[str, _Runs], part: str, runs: Sequence[Any], pieces: Pieces) -> None:
    """Sort runs and the runs inside them by their traces."""
    waiting: list[_Waiting] = [(f"{part}[{position}]" if part else "", None, run) for position, run in enumerate(runs)]
    known = {run_id: trace_id for trace_id, one in found.items() for run_id in one.runs}
    for where, parent, run in waiting:  # grows while it is read: children stand behind all that are above them
        with pieces.one():
            try:
                waiting += _sort_in(found, known, where, parent, run)
            except RecordError as error:
                if parent is not None:
                    found[parent[0]].fault = str(error)
                raise


def _sort_in(
    found: dict[str, _Runs], known: dict[str, str], where: str, parent: tuple[str, str] | None, run: Any
) -> list[_Waiting]:
    """Put one run to its trace; the runs inside it. `known` says of which trace a run is."""
    if not isinstance(run, dict):
        raise RecordError(f"{where}: expected an object, got {type_word(run)}")
    prefix = f"{where}." if where else ""
    run_id = identifier(f"{prefix}id", run.get("id"))
    if run_id is None:
        raise RecordError(f"{prefix}id: missing; a run is known by its id")
    above = identifier(f"{prefix}parent_run_id", run.get("parent_run_id"))
    if parent is not None and above is None:
        above = parent[1]
    trace_id = (
        identifier(f"{prefix}trace_id", run.get("trace_id"))
        or _first_of_order(run.get("dotted_order"))
        or (parent[0] if parent else known.get(run_id) or known.get(above or ""))
        or above
        or run_id
    )
    children = listed(f"{prefix}child_runs", run.get("child_runs"))
    known[run_id] = trace_id
    found.setdefault(trace_id, _Runs()).add(prefix, run_id, {**run, "parent_run_id": above})
    return [(f"{prefix}child_runs[{n}]", (trace_id, run_id), child) for n, child in enumerate(children)]


def _first_of_order(order: Any) -> str | None:
    """The trace's id as a dotted order begins with it: `20260302T081500000000Z<id>.`, then the same of each run below."""
    if not isinstance(order, str):
        return None
    return _SEGMENT.sub("", order.partition(".")[0], count=1) or None


def _decoded(trace_id: str, found: _Runs, defaults: Defaults, *, is_whole: bool) -> Decoded:
    # The root of a trace has the trace's id. A run that names no parent may still be an update of one that has one.
    where, root = found.runs.get(trace_id, ("", {}))
    steps = [_step(place, run, defaults.now) for run_id, (place, run) in found.runs.items() if run_id != trace_id]
    steps.sort(key=lambda step: step.started or datetime.max)
    places = [(where, root)] if root else list(found.runs.values())
    trace = Trace(
        trace_id=trace_id,
        root=_step(where, root, defaults.now, is_root=True) if root else None,
        steps=tuple(steps),
        is_whole=is_whole and "inputs" in root,
        conversation_id=_named(places, _CONVERSATION),
        time=(f"{where}start_time", root.get("start_time")),
        about=_about(where, root, places),
    )
    return trace.decoded(defaults)


def _step(where: str, run: Mapping[str, Any], now: datetime, *, is_root: bool = False) -> Step:
    inputs, outputs = _object(f"{where}inputs", run.get("inputs")), _object(f"{where}outputs", run.get("outputs"))
    kind = _kind(where, run, outputs)
    # A retriever or a tool that is the whole trace was asked by the user; one inside was asked by the application.
    speaks = kind == "llm" or is_root
    metadata, started = _metadata(where, run), moment(f"{where}start_time", run.get("start_time"), now)
    ended = moment(f"{where}end_time", run.get("end_time"), now)
    usage = _usage(f"{where}outputs", outputs, metadata)
    tokens = {
        way: read(f"{way}_tokens", f"{where}{older}_tokens", run.get(f"{older}_tokens"))
        for way, older in (("input", "prompt"), ("output", "completion"))
    }
    return Step(
        kind=kind,
        name=read("app", f"{where}name", run.get("name")),
        is_top=is_root,
        asked=asked(f"{where}inputs", inputs) if speaks else None,
        answered=answered(f"{where}outputs", outputs) if speaks else Answered(),
        documents=_documents(outputs) if kind == "retriever" else (),
        model=_model(where, run, outputs, metadata),
        provider=read("provider", f"{where}extra.metadata.ls_provider", metadata.get("ls_provider")),
        prompt_template=read("prompt_template", f"{where}extra.metadata.lc_hub_repo", metadata.get("lc_hub_repo")),
        prompt_version=identifier(f"{where}extra.metadata.lc_hub_commit_hash", metadata.get("lc_hub_commit_hash")),
        input_tokens=tokens["input"] if tokens["input"] is not None else usage.get("input_tokens"),
        output_tokens=tokens["output"] if tokens["output"] is not None else usage.get("output_tokens"),
        cost_usd=_cost(where, run, usage),
        started=started,
        ended=ended,
        latency_ms=between(started, ended),
        time_to_first_token_ms=between(started, _first_token(where, run, now)),
        error=read("runtime_error", f"{where}error", run.get("error")) or None,
    )


def _kind(where: str, run: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    if run.get("run_type") is not None:
        return _KINDS.get(check_text(f"{where}run_type", run["run_type"]), "span")
    # A client's update may leave the type out; only models give such outputs.
    return "llm" if "generations" in outputs or "choices" in outputs else "span"


def _object(where: str, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise RecordError(f"{where}: expected an object, got {type_word(value)}")
    return value or {}


def _metadata(where: str, run: Mapping[str, Any]) -> dict[str, Any]:
    extra = _object(f"{where}extra", run.get("extra"))
    return {
        **_object(f"{where}metadata", run.get("metadata")),
        **_object(f"{where}extra.metadata", extra.get("metadata")),
    }


def _first_token(where: str, run: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the first token came; clients send it as an event of the run, exports as a field."""
    own = moment(f"{where}first_token_time", run.get("first_token_time"), now)
    if own is not None:
        return own
    for event in listed(f"{where}events", run.get("events")):
        if isinstance(event, dict) and event.get("name") == "new_token":
            return moment(f"{where}events.time", event.get("time"), now)
    return None


def _model(where: str, run: Mapping[str, Any], outputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    parameters = _object(f"{where}extra", run.get("extra")).get("invocation_params")
    told = outputs.get("llm_output")
    for name, place, keys in (
        ("extra.metadata", metadata, ("ls_model_name",)),
        ("extra.invocation_params", parameters, ("model", "model_name")),
        ("outputs", outputs, ("model",)),
        ("outputs.llm_output", told, ("model_name", "model")),
    ):
        for key in keys if isinstance(place, dict) else ():
            if isinstance(place, dict) and place.get(key):
                return check_text(f"{where}{name}.{key}", place[key])
    return None


def _usage(where: str, outputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens and cost that stand in a run's outputs, where no field of the run has them."""
    for name, place in _usages(outputs, metadata):
        found = {
            "input_tokens": read("input_tokens", f"{where}.{name}", _either(place, "input_tokens", "prompt_tokens")),
            "output_tokens": read(
                "output_tokens", f"{where}.{name}", _either(place, "output_tokens", "completion_tokens")
            ),
            "total_cost": place.get("total_cost"),
        }
        if any(value is not None for value in found.values()):
            return found
    return {}


def _usages(outputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told, generation = outputs.get("llm_output"), outputs.get("generations")
    while isinstance(generation, list) and generation:
        generation = generation[0]
    message = generation.get("message") if isinstance(generation, dict) else outputs.get("message")
    body = message.get("kwargs", message) if isinstance(message, dict) else {}
    for name, value in (
        ("usage_metadata", outputs.get("usage_metadata")),
        ("usage", outputs.get("usage")),
        ("llm_output.token_usage", told.get("token_usage") if isinstance(told, dict) else None),
        ("generations.message.usage_metadata", body.get("usage_metadata") if isinstance(body, dict) else None),
        ("usage_metadata", metadata.get("usage_metadata")),
    ):
        if isinstance(value, dict):
            yield name, value


def _either(place: Mapping[str, Any], *names: str) -> Any:
    return next((place[name] for name in names if place.get(name) is not None), None)


def _cost(where: str, run: Mapping[str, Any], usage: Mapping[str, Any]) -> float | None:
    value = run["total_cost"] if run.get("total_cost") is not None else usage.get("total_cost")
    if isinstance(value, str):
        # Money is a decimal there, and JSON has none.
        try:
            value = float(value)
        except ValueError:
            raise RecordError(f"{where}total_cost: expected a number, got a text that is none") from None
    cost: float | None = read("cost_usd", f"{where}total_cost", value)
    return cost


def _documents(outputs: Mapping[str, Any]) -> tuple[Any, ...]:
    found = outputs.get("documents", outputs.get("output"))
    return tuple(found) if isinstance(found, list) else () if found is None else (found,)


def _named(places: Sequence[tuple[str, Mapping[str, Any]]], names: Sequence[str]) -> str | None:
    """The first id of that meaning in the metadata of a run; a client copies the root's to every child."""
    for where, run in places:
        metadata = _metadata(where, run)
        for name in names:
            if (found := identifier(f"{where}extra.metadata.{name}", metadata.get(name))) is not None:
                return found
        if "thread_id" in names and (found := identifier(f"{where}thread_id", run.get("thread_id"))) is not None:
            return found
    return None


def _about(where: str, root: Mapping[str, Any], places: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    about: dict[str, Any] = {"user_id": _named(places, _USER), "environment": _named(places, _ENVIRONMENT)}
    projects = [(place, run["session_name"]) for place, run in places if run.get("session_name") is not None]
    about["app"] = read("app", f"{projects[0][0]}session_name", projects[0][1]) if projects else None
    if not root:
        return about
    unknown = {name: value for name, value in root.items() if name not in _KNOWN and value not in (None, [], {}, "")}
    parameters = _object(f"{where}extra", root.get("extra")).get("invocation_params")
    for name, value in (("invocation_params", parameters), ("project_id", root.get("session_id"))):
        if value:
            unknown[name] = value
    about["metadata"] = check("metadata", {**unknown, **_metadata(where, root)}) or None
    return about | _opinion(where, root.get("feedback_stats"))


def _opinion(where: str, stats: Any) -> dict[str, Any]:
    """One score of a run's feedback: what a person gave, by its name, before what a program measured."""
    stats = _object(f"{where}feedback_stats", stats)
    scored: list[tuple[str, dict[str, Any]]] = []
    for name, one in stats.items():
        value = _object(f"{where}feedback_stats.{name}", one)
        if value.get("avg") is not None:
            scored.append((name, value))
    if not scored:
        return {}
    name, best = next((one for one in scored if _HUMAN.search(one[0])), scored[0])
    comments = [one for one in listed(f"{where}feedback_stats.{name}.comments", best.get("comments")) if one]
    return {
        "feedback_score": read("feedback_score", f"{where}feedback_stats.{name}.avg", best["avg"]),
        "feedback_comment": check_text(f"{where}feedback_stats.{name}.comments", comments[0]) if comments else None,
    }


def _feedback(record: Mapping[str, Any], now: datetime) -> Decoded:
    """A feedback as LangSmith lists it. One on a session, and not on a run, is about no turn."""
    trace_id = identifier("trace_id", record.get("trace_id")) or identifier("run_id", record.get("run_id"))
    if trace_id is None:
        return Decoded()
    score, value = record.get("score"), record.get("value")
    if isinstance(score, bool):
        score = 1 if score else -1
    source = record.get("feedback_source")
    named = {
        "name": check_text("key", record.get("key")),
        "value": value,
        "correction": record.get("correction"),
        "source": source.get("type") if isinstance(source, dict) else None,
        "run_id": record.get("run_id") if record.get("run_id") != trace_id else None,
    }
    fields = {"metadata": check("metadata", {name: one for name, one in named.items() if one is not None})}
    if score is not None:
        fields["feedback_score"] = read("feedback_score", "score", score)
    if comment := read("feedback_comment", "comment", record.get("comment")):
        fields["feedback_comment"] = comment
    at = moment("modified_at", record.get("modified_at"), now) or moment("created_at", record.get("created_at"), now)
    kind = "outcome" if score is None else "feedback"
    return Decoded(events=(Event(kind=kind, turn_id=trace_id, created_at=at or now, fields=fields),))
