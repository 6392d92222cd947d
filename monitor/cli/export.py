"""`offmap export`: a gap or a topic as a fine-tuning set."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import make_encoder, open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import OffmapError, UsageError
from monitor.published import find_topic, published_run
from monitor.settings import Settings
from monitor.wording import clean, counted, part_label

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from monitor.finetune.export import Export
    from monitor.records import EvalSet, Turn
    from monitor.store.atlases import AtlasRow, TopicRow
    from monitor.store.exports import ExportRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["export"]

_LEVELS = ("broad", "middle", "fine")

#: The filters of `monitor.finetune.selection`, as the table says them.
_FILTERS = {
    "slice": "turns of the slice",
    "has_reply": "with a reply",
    "not_failed": "whose reply no user turned down",
    "distinct": "each message once",
    "not_near_duplicate": "without near duplicates",
    "not_in_eval_set": "without what an eval item asks or answers: these were written",
}
#: What the selection was computed with, for the manifest.
_PACKAGES = ("duckdb", "faiss-cpu", "graspologic-native", "numpy", "onnxruntime", "scikit-learn", "tokenizers")


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to; made when it is missing.")],
    gap: Annotated[str | None, typer.Option(metavar="ID", help="The turns of this gap.")] = None,
    topic: Annotated[str | None, typer.Option(metavar="ID", help="The turns of this topic.")] = None,
    format: Annotated[str, typer.Option(metavar="NAME", help="openai-chat.")] = "openai-chat",
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Write a gap or a topic as a fine-tuning set.

    JSON lines and a manifest, redacted. What an eval item asks stays out, and so do replies that users turned down.
    """
    from monitor.finetune.export import ExportRequest, export_slice
    from monitor.finetune.formats import format_named
    from monitor.records import Window
    from monitor.store.exports import ExportRow

    if (gap is None) == (topic is None):
        raise UsageError("export takes exactly one of --gap and --topic")
    format_named(format)  # asked before any work is done
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        chosen = _chosen(opened, run, gap, topic)
        if chosen.topic.users < settings.atlas.min_users:
            raise UsageError(
                f"topic {chosen.topic.topic_id} has {counted(chosen.topic.users, 'user')}, fewer than "
                f"{settings.atlas.min_users} (setting atlas.min_users): choose a topic above it"
            )
        atlas = opened.atlases.load(run.atlas_id)
        if atlas is None:
            raise OffmapError(f"run {run.run_id} has no atlas any more: run `offmap analyse` again")
        members = _members(opened, run, atlas, chosen)
        eval_sets = [opened.eval_sets.load(one.name, one.version) for one in opened.eval_sets.summaries()]
        done = export_slice(
            ExportRequest(
                chosen.id,
                chosen.label,
                chosen.query,
                Window(run.window_start, run.window_end),
                format,
                out.resolve(),
            ),
            members.turns,
            members.context,
            members.vectors,
            _eval_texts(eval_sets),
            _eval_vectors(opened, atlas, eval_sets, settings),
            settings.export,
            _facts(run, atlas, eval_sets),
            utc_now,
            failed=_failed(opened, run),
        )
        row = ExportRow(done.export_id, done.created_at, str(done.path), format, done.manifest, done.turn_keys)
        _record(opened, row, members, done)
    if as_json:
        print_json(_document(done))
    else:
        _print(done, chosen)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The slice that was asked for, and the topic that it is, or is a part of: where an attribute of turns has a value."""

    id: str
    topic: TopicRow
    query: dict[str, Any]
    label: str
    attribute: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class _Members:
    """Turns of the slice, the earlier turns of their conversations by turn key, and the vectors [n, d] of their texts."""

    turns: list[Turn]
    context: dict[int, list[Turn]]
    vectors: NDArray[np.float32]


def _chosen(store: Store, run: PublishedRun, gap: str | None, topic: str | None) -> _Chosen:
    topics = store.atlases.topics(run.atlas_id)
    if topic is not None:
        found = find_topic(topics, topic)
        return _Chosen(topic, found, {"topic": topic, "level": _LEVELS[found.level]}, found.label)
    gaps = {one.gap_id: one for one in store.reports.gaps(run.report_id)}
    if gap is None or gap not in gaps:
        nearest = get_close_matches(gap or "", list(gaps), n=1, cutoff=0.6)
        hint = f"did you mean {nearest[0]}?" if nearest else "`offmap gaps` lists them"
        raise UsageError(f"no gap {gap!r} in the published analysis; {hint}")
    one = gaps[gap]
    found = find_topic(topics, one.topic_id)
    query = {"gap": one.gap_id, "topic": found.topic_id, "level": _LEVELS[found.level]}
    if one.attribute is not None:
        query |= {"attribute": one.attribute, "value": one.value or ""}
    label = part_label(found.label, one.attribute, one.value)
    return _Chosen(one.gap_id, found, query, label, one.attribute, one.value)


def _members(store: Store, run: PublishedRun, atlas: AtlasRow, chosen: _Chosen) -> _Members:
    """Turns with a subject of their own that are no flood: those that the gap counts."""
    import pyarrow.compute as pc

    column = pc.field(_LEVELS[chosen.topic.level])
    mine = (column == chosen.topic.topic_id) & pc.field("act").is_null() & ~pc.field("flood")
    rows = store.atlases.assignments(run.atlas_id).filter(mine)
    hashes: dict[int, bytes] = dict(zip(_listed(rows, "turn_key"), _listed(rows, "text_hash"), strict=True))
    turns = store.turns.fetch(list(hashes))
    if chosen.attribute is not None:
        turns = _of_part(store, turns, chosen.attribute, chosen.value or "")
    vectors = store.vectors.read(atlas.encoder, atlas.recipe, [hashes[turn.key] for turn in turns])
    return _Members(turns, _earlier(store, turns), vectors)


def _of_part(store: Store, turns: list[Turn], attribute: str, value: str) -> list[Turn]:
    """The turns in which an attribute has a value."""
    import numpy as np

    from monitor.atlas.attributes import read_attributes

    keys = np.array([turn.key for turn in turns], np.uint64)
    said = read_attributes(store, keys, window=None).get(attribute)
    if said is None or value not in said.values:
        return []
    return [turns[row] for row in np.flatnonzero(said.of_turns == said.values.index(value)).tolist()]


def _record(store: Store, row: ExportRow, members: _Members, done: Export) -> None:
    """A deletion finds the files that are recorded: one that came before must not leave its turns in them."""
    import numpy as np

    used = {turn.key for turn in members.turns} | {one.key for turns in members.context.values() for one in turns}
    with store.transaction():
        if store.turns.gone(np.array(sorted(used), np.uint64)):
            for file in (done.path, done.manifest_path):
                file.unlink(missing_ok=True)
            raise OffmapError(
                "turns were forgotten while they were exported, so nothing was kept: run `offmap export` again"
            )
        store.exports.record(row)


def _earlier(store: Store, turns: list[Turn]) -> dict[int, list[Turn]]:
    """By turn key the turns before it in its conversation, in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array({turn.conversation_key for turn in turns}, pa.uint64())
    places = store.turns.read(columns=("turn_key", "conversation_key"))
    places = places.filter(pc.is_in(places.column("conversation_key"), wanted))
    conversations: dict[int, list[Turn]] = {}
    for turn in store.turns.fetch(_listed(places, "turn_key")):
        conversations.setdefault(turn.conversation_key, []).append(turn)
    earlier: dict[int, list[Turn]] = {}
    for conversation in conversations.values():
        # As the corpus orders them: a turn without an index comes after those with one.
        conversation.sort(key=lambda turn: (turn.turn_index is None, turn.turn_index or 0, turn.created_at, turn.key))
        earlier |= {turn.key: conversation[:place] for place, turn in enumerate(conversation)}
    return {turn.key: earlier[turn.key] for turn in turns}


def _eval_texts(eval_sets: list[EvalSet]) -> list[str]:
    """Everything that any version of any eval set asks or answers: none of it may be learnt."""
    texts = []
    for eval_set in eval_sets:
        for item in eval_set.items:
            texts += [item.prompt, item.reference or ""]
            texts += [str(message.get("content") or "") for message in item.messages if message.get("role") != "system"]
    return sorted({text for text in texts if text.strip()})


def _eval_vectors(store: Store, atlas: AtlasRow, eval_sets: list[EvalSet], settings: Settings) -> NDArray[np.float32]:
    """Vectors [m, d] of every prompt. The model is only loaded for prompts that were never compared."""
    from monitor.coverage.items import distinct_items
    from monitor.encoding.cache import encode_missing
    from monitor.encoding.recipe import EVAL_PROMPT, text_hash

    texts = {text_hash(text): text for text in distinct_items(eval_sets, EVAL_PROMPT).texts}
    if store.vectors.missing(atlas.encoder, EVAL_PROMPT.name, list(texts)):
        encoder = make_encoder(settings)
        if encoder.name != atlas.encoder:
            raise OffmapError(
                f"the published atlas was made with the encoder {atlas.encoder} and setting encoder.kind gives {encoder.name}: "
                "run `offmap analyse` again, or set the encoder back"
            )
        encode_missing(store, encoder, EVAL_PROMPT, texts, progress_to())
    return store.vectors.read(atlas.encoder, EVAL_PROMPT.name, list(texts))


def _failed(store: Store, run: PublishedRun) -> set[int]:
    """Keys of turns whose reply a negative signal judges."""
    import pyarrow.compute as pc

    from monitor.signals import NEGATIVE

    negative = pc.field("signal").isin(sorted(NEGATIVE))
    return set(_listed(store.reports.signals(run.report_id).filter(negative), "turn_key"))


def _listed(table: pa.Table, column: str) -> list[Any]:
    # Its own function for the type: the columns that it reads hold no nulls.
    return table.column(column).to_pylist()


def _facts(run: PublishedRun, atlas: AtlasRow, eval_sets: list[EvalSet]) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "run_id": run.run_id,
        "atlas_id": atlas.atlas_id,
        "report_id": run.report_id,
        "encoder": atlas.encoder,
        "recipe": atlas.recipe,
        "clusterer": atlas.clusterer,
        "compared_eval_sets": run.eval_sets,
        "decontaminated_against": [{"name": one.name, "version": one.version} for one in eval_sets],
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _document(done: Export) -> dict[str, Any]:
    return {
        "export_id": done.export_id,
        "path": done.path,
        "manifest": done.manifest_path,
        "examples": done.count,
        "counts": dict(done.counts),
        "sha256": done.sha256,
    }


def _print(done: Export, chosen: _Chosen) -> None:
    say(clean(f"{counted(done.count, 'example')} of {chosen.label} ({chosen.id}) written to {done.path}"))
    say()
    rows = [(f"{count:,}", _FILTERS.get(name, name)) for name, count in done.counts]
    print_table([Column("left", "right"), Column("filter", shrinks=True)], rows)
    say()
    say(clean(f"How they were chosen: {done.manifest_path}"))
