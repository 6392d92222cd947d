"""From stored turns to ranked gaps, in order. Who reads `analyse` has read offmap.

    turns -> texts -> vectors -> languages -> neighbour graph -> acts and floods -> topics -> intents -> signals
          -> novelty against the eval items -> coverage -> gaps -> one publication

Everything here is a function of its inputs: the same turns, settings, eval sets, decisions, published atlas and listed gaps
give the same result under the same ids. So a run that was killed is run again and ends in the same state; vectors and a
finished atlas are not computed twice. Nothing is visible before `publish`, the one last transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from monitor.atlas.acts import example_texts
from monitor.atlas.assembly import Atlas, AtlasDraft, Space, TurnFacts, assemble, microseconds, moment, read_atlas
from monitor.atlas.attributes import read_attributes
from monitor.atlas.corpus import Corpus, read_corpus
from monitor.atlas.curation import Decided
from monitor.atlas.drawing import draw_map
from monitor.atlas.intents import Intents, assign_intents, load_intents
from monitor.atlas.languages import Languages, detect, foreign_texts
from monitor.atlas.network import Network, build_network
from monitor.atlas.standing import read_decided, read_standing
from monitor.atlas.topics import find_topics, turn_topics
from monitor.clock import Clock
from monitor.coverage.estimate import Coverage
from monitor.coverage.examination import examine
from monitor.coverage.health import Health
from monitor.coverage.items import ComparedItems, askers_of, distinct_items
from monitor.coverage.listed import Listed, read_listed
from monitor.coverage.marking import Marking, read_marking
from monitor.coverage.production import Production
from monitor.coverage.repeats import without_repeats
from monitor.coverage.report import Report, compare, coverage_of
from monitor.encoding.cache import encode_missing
from monitor.encoding.encoder import Encoder, made_of
from monitor.encoding.languages import known_languages
from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT, text_hash
from monitor.errors import InputError, OffmapError
from monitor.naming.naming import carry_names
from monitor.progress import Advance, Progress, Silent
from monitor.records import EvalSet, Turn, Window, short_hash
from monitor.settings import Settings
from monitor.sightings import see_gaps
from monitor.signals import NEGATIVE, find_signals
from monitor.signals.signal import Signal
from monitor.store.atlases import AtlasRow
from monitor.store.curation import DecisionRow, shaping
from monitor.store.eval_health import EvalHealthRow
from monitor.store.history import CoveragePoint
from monitor.store.kept_out import RuleCount
from monitor.store.reports import SIGNALS, CoverageRow
from monitor.store.runs import PublishedRun
from monitor.store.store import Store

__all__ = ["Analysis", "Weighed", "analyse", "compared_sets", "compared_vectors", "published_sides", "weigh"]


class Step(Protocol):
    """Runs one named step of a job; `done`, when given, is told that it ended."""

    def __call__(self, name: str, done: Advance | None = None) -> AbstractContextManager[None]: ...


#: Encoding has a bar of its own; these steps share one.
_STEPS_AFTER_ENCODING = 6


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a run published. `encoded` texts were new; `reused` says that the atlas was there already; `kept_out` says how many
    turns each rule left out."""

    run: PublishedRun
    turns: int
    texts: int
    encoded: int
    topics: int
    gaps: int
    verdict: str
    reused: bool
    seconds: float
    kept_out: tuple[RuleCount, ...] = ()


def analyse(
    store: Store,
    encoder: Encoder,
    settings: Settings,
    *,
    eval_sets: Sequence[str] = (),
    window: Window | None = None,
    progress: Progress | None = None,
    clock: Clock,
) -> Analysis:
    """Characterise the turns of the window, compare them with the union of the eval sets, and publish the result.

    Gaps that the analysis before listed may stay so (`monitor.coverage.listed`); done again, it finds what it found. Raises
    `InputError` when the window holds no turns, and `UsageError` for an eval set that is not stored.
    """
    started, progress = time.monotonic(), progress or Silent()
    compared = [store.eval_sets.load(name) for name in eval_sets]
    store.kept_out.mark(settings.analysis.keep_out)
    kept_out = tuple(store.kept_out.by_rule(window))
    corpus = read_corpus(store, USER_TEXT, window=window, environments=settings.analysis.environments)
    if not len(corpus):
        raise InputError(_why_empty(store, window, settings))
    window = window or Window(moment(corpus.created.min()), moment(corpus.created.max() + 1))
    decisions = store.curation.in_force()
    examples = _intent_examples(settings, compared, store.curation.intents(decisions))
    marking = read_marking(store, compared)
    ids = _Ids.of(corpus, encoder, settings, compared, examples, window, shaping(decisions), marking)
    days = settings.gaps.hold_days
    listed = read_listed(store, lambda found: ids.after(found).report_id, hold_days=days, now=clock())
    ids = ids.after(listed)
    with _job(store, ids) as step:
        with step("encode"):
            sides = _encoded_sides(store, encoder, corpus, compared, progress)
            corpus, items = sides.corpus, sides.items
            _reference_vectors(store, encoder, [text for texts in examples.values() for text in texts], progress)
        with progress.task("analyse", _STEPS_AFTER_ENCODING, "steps") as done:
            with step("network", done):
                languages = _languages(store, corpus)
                network, decided = _network(store, sides, languages, decisions, marking, settings)
            reused = store.atlases.load(ids.atlas_id) is not None
            with step("topics", done):
                if not reused:
                    draft = _fit(store, encoder, network, languages, examples, decided, ids, settings)
                    _write_atlas(store, draft, corpus, encoder, ids, window, settings, clock)
                if not store.layouts.drawn(ids.atlas_id):  # also after a kill between the atlas and its map
                    draw_map(store, network, ids.atlas_id, seed=settings.atlas.seed)
            with step("signals", done):
                signals = find_signals(_conversations(store, corpus))
            with step("coverage", done):
                atlas = read_atlas(store, ids.atlas_id, corpus)
                readable = _readable(store, items, settings)
                marked = marking.covered_turns(sides.corpus, network)
                production = _production(store, network, atlas, signals, marked, window, settings)
                before = listed.with_pieces(ids.atlas_id, store.atlases.lineage(ids.atlas_id))
                report = compare(production, items.only(readable), sides.item_vectors[readable], settings, before)
                report = replace(report, verdict=report.verdict + _left_out(int((~readable).sum())))
                _write_report(store, report, signals, items, compared, marking, listed, ids, settings, clock)
            with step("health", done):
                chosen = items.only(readable)
                askers = askers_of(compared, EVAL_PROMPT, chosen.texts)
                strange = int((~readable).sum())
                health = examine(production, chosen, sides.item_vectors[readable], askers, settings, left_out=strange)
            with step("publish", done):
                run = _publish(store, compared, ids, window, settings, clock, report, health, len(corpus))
    return Analysis(
        run=run,
        turns=len(corpus),
        texts=len(corpus.texts),
        encoded=sides.encoded,
        topics=len(atlas.topics),
        gaps=len(report.gaps),
        verdict=report.verdict,
        reused=reused,
        seconds=time.monotonic() - started,
        kept_out=kept_out,
    )


@dataclass(frozen=True, slots=True)
class Weighed:
    """What eval sets are found to cover, and the coverage of others `before` on the same traffic; None where nothing was asked
    or can be said."""

    report: Report
    before: Coverage | None = None


def weigh(
    store: Store,
    encoder: Encoder,
    settings: Settings,
    eval_sets: Sequence[EvalSet],
    *,
    before: Sequence[EvalSet] = (),
    progress: Progress | None = None,
) -> Weighed:
    """Compare the published atlas with eval sets as `analyse` would, and with those `before`, and publish nothing.

    Raises as `published_sides`.
    """
    published = _Published.of(store, encoder, settings, progress or Silent())
    production, items, vectors, left_out = published.against(eval_sets)
    report = compare(production, items, vectors, settings)
    report = replace(report, verdict=report.verdict + _left_out(left_out))
    if not before:
        return Weighed(report)
    other, items_before, vectors_before, _ = published.against(before)
    same = (items.texts, items.labels, items.places) == (items_before.texts, items_before.labels, items_before.places)
    if same and (production.surely_covered == other.surely_covered).all():
        return Weighed(report, report.coverage)
    return Weighed(report, coverage_of(other, items_before, vectors_before, settings))


def published_sides(
    store: Store,
    encoder: Encoder,
    settings: Settings,
    eval_sets: Sequence[EvalSet],
    *,
    progress: Progress | None = None,
) -> tuple[Production, ComparedItems, NDArray[np.float32], int]:
    """The two sides of a comparison: the published atlas, and the eval sets' items with their vectors [m, d]; and how many
    items are left out for their language.

    Raises `InputError` when nothing is published, or by another encoder than the settings choose.
    """
    return _Published.of(store, encoder, settings, progress or Silent()).against(eval_sets)


@dataclass(frozen=True, slots=True)
class _Published:
    """The published atlas over its traffic as it is now, to be compared with whichever eval sets."""

    store: Store
    encoder: Encoder
    settings: Settings
    progress: Progress
    window: Window
    corpus: Corpus
    network: Network
    atlas: Atlas
    signals: Sequence[Signal]

    @classmethod
    def of(cls, store: Store, encoder: Encoder, settings: Settings, progress: Progress) -> _Published:
        run = store.runs.current()
        row = store.atlases.load(run.atlas_id) if run is not None else None
        if run is None or row is None:
            raise InputError("nothing is analysed yet: run offmap analyse --eval-set NAME first")
        _same_encoder(row, encoder)
        window = Window(run.window_start, run.window_end)
        corpus = read_corpus(store, USER_TEXT, window=window, environments=settings.analysis.environments)
        if not len(corpus):
            raise InputError(_why_empty(store, window, settings))
        sides = _encoded_sides(store, encoder, corpus, (), progress)
        corpus, noise = sides.corpus, read_marking(store, ())  # which turns are noise hangs on no eval set
        network, _ = _network(store, sides, _languages(store, corpus), store.curation.in_force(), noise, settings)
        signals = find_signals(_conversations(store, corpus))
        atlas = read_atlas(store, run.atlas_id, corpus)
        return cls(store, encoder, settings, progress, window, corpus, network, atlas, signals)

    def against(self, eval_sets: Sequence[EvalSet]) -> tuple[Production, ComparedItems, NDArray[np.float32], int]:
        marked = read_marking(self.store, eval_sets).covered_turns(self.corpus, self.network)
        production = _production(self.store, self.network, self.atlas, self.signals, marked, self.window, self.settings)
        items = distinct_items(eval_sets, EVAL_PROMPT)
        readable = _readable(self.store, items, self.settings)
        vectors = _reference_vectors(self.store, self.encoder, items.texts, self.progress)
        return production, items.only(readable), vectors[readable], int((~readable).sum())


def compared_sets(store: Store, report: CoverageRow) -> list[EvalSet]:
    """The eval sets that a report compared, in those versions."""
    versions = [(one.name, one.version) for one in store.eval_sets.summaries()]
    return [store.eval_sets.load(*one) for one in versions if short_hash(*one) in report.eval_set_ids]


def compared_vectors(store: Store, encoder: Encoder, settings: Settings) -> tuple[ComparedItems, NDArray[np.float32]]:
    """The items of the eval sets that the published report compared, in those versions, and their vectors [m, d]; without
    those in languages that the encoder does not know, and those that repeat others. Raises as `published_sides`."""
    run = store.runs.current()
    row = store.atlases.load(run.atlas_id) if run is not None else None
    report = store.reports.coverage(run.report_id) if run is not None else None
    if row is None or report is None:
        raise InputError("nothing is analysed yet: run offmap analyse --eval-set NAME first")
    _same_encoder(row, encoder)
    items = distinct_items(compared_sets(store, report), EVAL_PROMPT)
    items = items.only(_readable(store, items, settings))
    return without_repeats(items, _reference_vectors(store, encoder, items.texts, Silent()))


def _same_encoder(row: AtlasRow, encoder: Encoder) -> None:
    if row.encoder != encoder.name:
        raise InputError(
            f"the published atlas was made with the encoder {row.encoder}, and encoder.* chooses {encoder.name}: "
            "run offmap analyse first"
        )


@dataclass(frozen=True, slots=True)
class _Ids:
    """Ids made of everything that the result depends on: the same work has the same id, and is found again."""

    run_id: str
    atlas_id: str
    report_id: str
    fingerprint: str
    decisions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        encoder: Encoder,
        settings: Settings,
        eval_sets: Sequence[EvalSet],
        examples: Mapping[str, Sequence[str]],
        window: Window,
        decisions: tuple[str, ...] = (),
        marking: Marking = Marking((), ()),
    ) -> _Ids:
        made_of = [
            encoder.name,
            USER_TEXT.name,
            _atlas(settings),
            _analysis(settings),
            examples,
            str(window),
            settings.coverage.interval,  # of shares
            *([list(decisions)] if decisions else []),
            *([{"noise": marking.noise_ids}] if marking.noise else []),
            ["languages@1", sorted(known_languages(settings.encoder) or ["all"])],
        ]
        atlas_id = "a" + short_hash(corpus.fingerprint, _json(made_of))
        compared_by = [[one.eval_set_id for one in eval_sets], asdict(settings.coverage), asdict(settings.gaps)]
        compared_by += [marking.covered_ids] if marking.covered else []
        report_id = "r" + short_hash(atlas_id, _json(compared_by))
        return cls("run" + short_hash(atlas_id, report_id), atlas_id, report_id, corpus.fingerprint, decisions)

    def after(self, listed: Listed) -> _Ids:
        """Those of the same comparison when these gaps were listed before."""
        if not listed.made_of:
            return self
        report_id = "r" + short_hash(self.report_id, _json(listed.made_of))
        return replace(self, report_id=report_id, run_id="run" + short_hash(self.atlas_id, report_id))


def _atlas(settings: Settings) -> dict[str, Any]:
    """The settings of the atlas that it depends on. Which of its topics are shown is decided when they are read."""
    return {name: value for name, value in asdict(settings.atlas).items() if name != "min_users"}


def _analysis(settings: Settings) -> dict[str, Any]:
    """The settings of the analysis that its result depends on. Watch-lists and the calendar are read beside it."""
    return {
        name: value for name, value in asdict(settings.analysis).items() if name not in ("watch_lists", "time_zone")
    }


@contextmanager
def _job(store: Store, ids: _Ids) -> Iterator[Step]:
    """The run as a job: each step's time is kept, and a failure with its reason. Claimed rows survive a sweep."""
    store.jobs.begin(ids.run_id, "analyse", {"atlas_id": ids.atlas_id, "report_id": ids.report_id})

    @contextmanager
    def step(name: str, done: Advance | None = None) -> Iterator[None]:
        started = time.monotonic()
        yield
        store.jobs.finish_step(ids.run_id, name, time.monotonic() - started)
        if done is not None:
            done.advance(1)

    try:
        yield step
    except OffmapError as error:
        store.jobs.fail(ids.run_id, str(error))
        raise
    store.jobs.finish(ids.run_id)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The corpus as far as its turns are still there, and the eval sets' items, with their vectors; how many texts were new."""

    corpus: Corpus
    vectors: NDArray[np.float32]
    items: ComparedItems
    item_vectors: NDArray[np.float32]
    act_vectors: NDArray[np.float32]
    encoded: int


def _encoded_sides(
    store: Store, encoder: Encoder, corpus: Corpus, eval_sets: Sequence[EvalSet], progress: Progress
) -> _Sides:
    encoded = _encode(store, encoder, corpus, progress)
    # Encoding takes long, and what was forgotten meanwhile has no vectors any more.
    corpus = _remaining(store, corpus)
    items = distinct_items(eval_sets, EVAL_PROMPT)
    return _Sides(
        corpus=corpus,
        vectors=store.vectors.read(encoder.name, USER_TEXT.name, corpus.hashes),
        items=items,
        item_vectors=_reference_vectors(store, encoder, items.texts, progress),
        act_vectors=_reference_vectors(store, encoder, example_texts()[0], progress),
        encoded=encoded,
    )


def _encode(store: Store, encoder: Encoder, corpus: Corpus, progress: Progress) -> int:
    encoded = encode_missing(store, encoder, USER_TEXT, dict(zip(corpus.hashes, corpus.texts, strict=True)), progress)
    store.vectors.note_texts(USER_TEXT.name, corpus.keys, [corpus.hashes[text] for text in corpus.text_of.tolist()])
    return encoded


def _remaining(store: Store, corpus: Corpus) -> Corpus:
    """The corpus without what was forgotten since it was read."""
    lost = store.turns.gone(corpus.keys)
    if not lost:
        return corpus
    if len(lost) == len(corpus):
        raise InputError("every turn of the window was forgotten while their texts were encoded")
    return corpus.without(lost)


def _reference_vectors(store: Store, encoder: Encoder, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
    """Vectors [m, d] of texts that belong to no turn: eval items, examples of intents and acts."""
    prepared = [EVAL_PROMPT.prepare(text) for text in texts]
    hashes = [text_hash(text) for text in prepared]
    encode_missing(store, encoder, EVAL_PROMPT, dict(zip(hashes, prepared, strict=True)), progress)
    if not hashes:
        return np.empty((0, encoder.dimension), np.float32)
    return store.vectors.read(encoder.name, EVAL_PROMPT.name, hashes)


def _languages(store: Store, corpus: Corpus) -> Languages:
    """The language of each turn; those that the log does not state are noted."""
    found = detect(corpus.texts, corpus.text_of, corpus.conversation, corpus.stated_language)
    open_ = np.flatnonzero(~found.stated)
    store.languages.note(corpus.keys[open_], [found.codes[row] for row in open_.tolist()], found.confidence[open_])
    return found


def _network(
    store: Store,
    sides: _Sides,
    languages: Languages,
    decisions: Sequence[DecisionRow],
    marking: Marking,
    settings: Settings,
) -> tuple[Network, Decided]:
    network = build_network(
        sides.corpus,
        sides.vectors,
        sides.act_vectors,
        neighbours=settings.atlas.neighbours,
        flood_turns=settings.analysis.flood_turns,
        follow_ups=settings.analysis.follow_ups,
        foreign=languages.outside(known_languages(settings.encoder)),
        noise=marking.noise_turns(sides.corpus),
    )
    decided = read_decided(store, network.corpus, decisions)
    return network.with_subjects(decided.locked_texts()), decided


def _production(
    store: Store,
    network: Network,
    atlas: Atlas,
    signals: Sequence[Signal],
    marked: NDArray[np.bool_] | None,
    window: Window,
    settings: Settings,
) -> Production:
    failed = np.array([one.turn_key for one in signals if one.signal in NEGATIVE], np.uint64)
    keys = network.corpus.keys
    attributes = read_attributes(store, keys, window=window, environments=settings.analysis.environments)
    return Production(network, atlas, np.isin(keys, failed), microseconds(window.end), marked, attributes)


def _readable(store: Store, items: ComparedItems, settings: Settings) -> NDArray[np.bool_]:
    """Items [m] in a language that the encoder knows."""
    return ~foreign_texts(items.texts, known_languages(settings.encoder), store.languages.counts())


def _left_out(items: int) -> str:
    if not items:
        return ""
    said = "1 eval item is" if items == 1 else f"{items:,} eval items are"
    return f" {said} in languages that the encoder does not know, and left out."


def _fit(
    store: Store,
    encoder: Encoder,
    network: Network,
    languages: Languages,
    examples: Mapping[str, Sequence[str]],
    decided: Decided,
    ids: _Ids,
    settings: Settings,
) -> AtlasDraft:
    """Topics of the texts that have a subject, and intents, as rows of the atlas."""
    # Terms of labels are encoded without being kept: a word of somebody must not outlive their turns, even as a vector.
    standing = read_standing(
        store, network.corpus, encoder=encoder.name, parameters=_atlas(settings), decisions=ids.decisions
    )
    topics = find_topics(network, settings.atlas, encoder.encode, decided, standing)
    names, similarity = _intents(store, encoder, network, examples)
    of_turns = turn_topics(topics, network.corpus, network.turn_acts >= 0)
    # Somebody else may say the same words in a language that is known.
    foreign = network.foreign & (network.turn_acts < 0)
    spoken = [code if strange else None for code, strange in zip(languages.codes, foreign.tolist(), strict=True)]
    of_turns = np.where(foreign, -1, of_turns)
    facts = TurnFacts(of_turns, network.turn_acts, network.flood, names, similarity, spoken)
    interval = settings.coverage.interval
    space = Space(encoder.name, USER_TEXT.name, network.vectors)
    return assemble(network.corpus, topics, facts, space, atlas_id=ids.atlas_id, store=store, interval=interval)


def _intent_examples(
    settings: Settings, eval_sets: Sequence[EvalSet], promoted: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Intents with their examples: the settings' file, or the labels of the eval sets, and topics that were promoted; may be
    empty. A promoted topic under a name that has come into the file or the sets since adds its examples to those."""
    found = _given_examples(settings, eval_sets)
    for name, texts in promoted.items():
        found[name] = tuple(dict.fromkeys([*found.get(name, ()), *texts]))
    return found


def _given_examples(settings: Settings, eval_sets: Sequence[EvalSet]) -> dict[str, tuple[str, ...]]:
    if settings.analysis.intents_file:
        return {name: tuple(texts) for name, texts in load_intents(Path(settings.analysis.intents_file))}
    found: dict[str, list[str]] = {}
    for eval_set in eval_sets:
        for item in eval_set.items:
            if item.label:
                found.setdefault(item.label, []).append(item.prompt)
    return {name: tuple(sorted(set(found[name]))) for name in sorted(found)}


def _intents(
    store: Store,
    encoder: Encoder,
    network: Network,
    examples: Mapping[str, Sequence[str]],
) -> tuple[list[str | None], NDArray[np.float32]]:
    """Intent of each turn by its text, None where none is near enough or the text has no subject; and how near."""
    corpus = network.corpus
    if not examples:
        return [None] * len(corpus), np.full(len(corpus), np.nan, np.float32)
    names = tuple(examples)
    texts = [text for name in names for text in examples[name]]
    labels = np.repeat(np.arange(len(names)), [len(examples[name]) for name in names])
    intents = Intents(names, _reference_vectors(store, encoder, texts, Silent()), labels)
    found, similarity = assign_intents(network.vectors, intents, network.graph)
    found = np.where(network.has_subject, found, -1)
    of_texts = [names[intent] if intent >= 0 else None for intent in found.tolist()]
    return [of_texts[text] for text in corpus.text_of.tolist()], similarity[corpus.text_of]


def _conversations(store: Store, corpus: Corpus) -> list[list[Turn]]:
    """The turns by conversation, in order, with their latest feedback."""
    number_of = dict(zip(corpus.keys.tolist(), corpus.conversation.tolist(), strict=True))
    found: dict[int, list[Turn]] = {}
    for turn in store.turns.fetch(list(number_of)):  # without those that were forgotten since the corpus was read
        found.setdefault(number_of[turn.key], []).append(turn)
    conversations = list(found.values())
    feedback = {row["turn_key"]: row["feedback_score"] for row in store.events.latest_feedback().to_pylist()}
    if feedback:
        conversations = [[_with_feedback(turn, feedback) for turn in turns] for turns in conversations]
    return conversations


def _with_feedback(turn: Turn, feedback: Mapping[int, float | None]) -> Turn:
    score = feedback.get(turn.key)
    return turn if score is None else replace(turn, feedback_score=score)


def _write_atlas(
    store: Store,
    draft: AtlasDraft,
    corpus: Corpus,
    encoder: Encoder,
    ids: _Ids,
    window: Window,
    settings: Settings,
    clock: Clock,
) -> None:
    row = AtlasRow(
        atlas_id=ids.atlas_id,
        created_at=clock(),
        window_start=window.start,
        window_end=window.end,
        encoder=encoder.name,
        recipe=USER_TEXT.name,
        clusterer=settings.atlas.clusterer,
        parameters=_json({**_atlas(settings), "decisions": list(ids.decisions), "encoder": made_of(settings.encoder)}),
        turns=len(corpus),
        texts=len(corpus.texts),
        fingerprint=ids.fingerprint,
    )
    store.atlases.write(row, draft.topics, draft.lineage, draft.assignments, corpus.said)


def _write_report(
    store: Store,
    report: Report,
    signals: Sequence[Signal],
    items: ComparedItems,
    eval_sets: Sequence[EvalSet],
    marking: Marking,
    listed: Listed,
    ids: _Ids,
    settings: Settings,
    clock: Clock,
) -> None:
    value, low, high = _numbers(report)
    row = CoverageRow(
        report_id=ids.report_id,
        atlas_id=ids.atlas_id,
        created_at=clock(),
        eval_set_ids=tuple(one.eval_set_id for one in eval_sets),
        eval_items=len(items),
        value=value,
        low=low,
        high=high,
        verdict=report.verdict,
        parameters=_json(
            {**asdict(settings.coverage), **asdict(settings.gaps), "marks": marking.ids, "listed": listed.made_of}
        ),
    )
    with store.transaction():
        # As the topics are called now: a word may have been forgotten since they were read.
        labels = {one.topic_id: one.local_label for one in store.atlases.topics(ids.atlas_id)}
        gaps = [replace(gap, label=labels.get(gap.topic_id, gap.label)) for gap in report.gaps]
        store.reports.write_coverage(row, report.topics, report.turns)
        store.reports.write_gaps(ids.report_id, gaps)
        store.reports.write_signals(ids.report_id, _signal_table(signals))


def _numbers(report: Report) -> tuple[float | None, float | None, float | None]:
    """Coverage of the traffic with its interval, None where nothing is said."""
    traffic = report.traffic
    value, low, high = (float(x) if np.isfinite(x) else None for x in (traffic.value, traffic.low, traffic.high))
    return value, low, high


def _signal_table(signals: Sequence[Signal]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "turn_key": [one.turn_key for one in signals],
        "signal": [one.signal for one in signals],
        "span_start": [one.span[0] if one.span else None for one in signals],
        "span_end": [one.span[1] if one.span else None for one in signals],
        "detail": [one.detail for one in signals],
    }
    return pa.table(columns, schema=SIGNALS)


def _publish(
    store: Store,
    eval_sets: Sequence[EvalSet],
    ids: _Ids,
    window: Window,
    settings: Settings,
    clock: Clock,
    report: Report,
    health: Health,
    turns: int,
) -> PublishedRun:
    shown = {
        **_atlas(settings),
        **_analysis(settings),
        **asdict(settings.coverage),
        **asdict(settings.gaps),
    }
    names = tuple(one.name for one in eval_sets)
    run = PublishedRun(ids.run_id, ids.atlas_id, ids.report_id, clock(), window.start, window.end, names, _json(shown))
    value, low, high = _numbers(report)
    point = CoveragePoint(
        run.run_id, run.published_at, window.start, window.end, names, turns, value, low, high, len(report.gaps)
    )
    seen = see_gaps(store, settings, run, now=run.published_at)
    with store.transaction():
        store.runs.publish(run)
        carry_names(store, ids.atlas_id, settings.naming)
        store.history.add(point)
        if eval_sets:
            store.eval_health.write(_health_row(health, eval_sets, run, _numbers(report)))
        if seen is not None:
            store.gap_lives.note(seen.look, seen.sightings, seen.links)
    with store.transaction():
        store.runs.sweep()
        store.jobs.sweep()
    return run


def _health_row(
    health: Health,
    eval_sets: Sequence[EvalSet],
    run: PublishedRun,
    numbers: tuple[float | None, float | None, float | None],
) -> EvalHealthRow:
    value, low, high = numbers
    return EvalHealthRow(
        eval_set_ids=tuple(one.eval_set_id for one in eval_sets),
        names=run.eval_sets,
        run_id=run.run_id,
        made_at=run.published_at,
        items=health.items,
        texts=health.texts,
        labels=health.labels,
        repeated=health.repeated,
        conflicts=len(health.conflicts),
        doubts=len(health.doubts),
        diversity=health.diversity,
        value=value,
        low=low,
        high=high,
        document=health.document(),
    )


def _why_empty(store: Store, window: Window | None, settings: Settings) -> str:
    span = store.turns.span()
    if span is None:
        return "the store holds no turns: run `offmap ingest FILE` first"
    where = f"in the window {window}" if window else "that count as traffic"
    environments = ", ".join(settings.analysis.environments)
    kept = sum(one.turns for one in store.kept_out.by_rule(window))
    rules = f", and {kept:,} turns are kept out by rules (setting analysis.keep_out)" if kept else ""
    return (
        f"the store holds no turns {where} with environment {environments} (setting analysis.environments){rules}; "
        f"its {store.turns.count():,} turns lie in {span}"
    )


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
