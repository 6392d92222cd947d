"""Decisions of people through the pipeline: analyse, decide, more turns, analyse again; each kind is respected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumers.ingest import ingest_file, utc_now
from monitor.assignment import Assigner
from monitor.decisions import Decisions
from monitor.encoding.hashing import HashingEncoder
from monitor.errors import UsageError
from monitor.pipeline import Analysis, analyse
from monitor.settings import Settings, load
from monitor.store.atlases import TopicRow
from monitor.store.store import Store
from tests.cli.cli_traffic import write_eval_set, write_log
from tests.store.templates import copied_into, file_name

COLUMNS = ("broad", "middle", "fine")


def ingest(store: Store, folder: Path, *, seed: int, name: str, conversations: int = 120) -> None:
    """A log of its own: its ids begin with the name."""
    path = write_log(folder / f"{name}.jsonl", conversations=conversations, seed=seed)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for one in records:
        one |= {field: f"{name}{one[field]}" for field in ("turn_id", "conversation_id")}
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    ingest_file(store, path, clock=utc_now)


def fixed() -> Settings:
    """Resolutions that make more topics of this small log than the data ask for: decisions need some on each level.

    Refits lean on nothing: what stays, stays by the decisions.
    """
    settings = Settings().with_value("atlas.steadiness", 0.0, source="test")
    for level, resolution in (("broad", 1), ("middle", 3), ("fine", 8)):
        settings = settings.with_value(f"atlas.resolution_{level}", resolution, source="test")
    return settings


def run(store: Store, settings: Settings | None = None) -> Analysis:
    return analyse(store, HashingEncoder(), settings or fixed(), clock=utc_now)


def decisions(store: Store) -> Decisions:
    return Decisions(store, Settings())


def topics(store: Store, level: int) -> list[TopicRow]:
    current = store.runs.current()
    assert current is not None
    return [one for one in store.atlases.topics(current.atlas_id) if one.level == level]


def topic(store: Store, topic_id: str) -> TopicRow | None:
    return next((one for level in range(3) for one in topics(store, level) if one.topic_id == topic_id), None)


def members(store: Store, topic: TopicRow) -> set[int]:
    current = store.runs.current()
    assert current is not None
    return set(store.curation.members(current.atlas_id, COLUMNS[topic.level], topic.topic_id)["turn_key"].to_pylist())


def events(store: Store, topic_id: str) -> set[tuple[str, str | None]]:
    current = store.runs.current()
    assert current is not None
    return {(row.event, row.other) for row in store.atlases.lineage(current.atlas_id) if row.topic_id == topic_id}


@pytest.fixture(scope="module", params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def analysed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a store with an analysed log of 480 turns."""
    folder = tmp_path_factory.mktemp("decided")
    name = file_name(request.param, folder)
    with Store.open(name, threads=2) as opened:
        ingest(opened, folder, seed=3, name="a", conversations=240)
        run(opened)
    return name


@pytest.fixture
def store(analysed: str, tmp_path: Path) -> Iterator[Store]:
    """A copy of it."""
    with Store.open(copied_into(tmp_path, analysed), threads=2) as opened:
        yield opened


@pytest.fixture
def more(store: Store, tmp_path: Path) -> Callable[[int], Analysis]:
    """Half as many turns again, and a refit."""

    def refit(seed: int) -> Analysis:
        ingest(store, tmp_path, seed=seed, name=f"m{seed}-")
        found = run(store)
        assert not found.reused
        return found

    return refit


def test_a_name_shows_at_once_and_after_every_refit(store: Store, more: Callable[[int], Analysis]) -> None:
    parcel = topics(store, 1)[0]
    said = decisions(store).name(parcel.topic_id, "Late invoices")
    assert said.state == "in force"
    for step in range(3):
        named = topic(store, parcel.topic_id)
        assert named is not None
        assert named.label == "Late invoices"
        assert named.found_label and set(named.found_label.split(", ")) <= set(named.keywords)
        if step < 2:
            more(50 + step)
    decisions(store).undo(said.decision.decision_id)
    after = topic(store, parcel.topic_id)
    assert after is not None
    assert (after.label, after.found_label) == (named.found_label, None)


def test_a_name_alone_makes_no_new_atlas(store: Store) -> None:
    decisions(store).name(topics(store, 1)[0].topic_id, "Something")
    assert run(store).reused


def test_merged_topics_stay_one_and_undone_come_apart(store: Store, more: Callable[[int], Analysis]) -> None:
    target = topics(store, 2)[0]
    gone = next(one for one in topics(store, 2) if one.parent != target.parent)
    before = members(store, target) | members(store, gone)
    said = decisions(store).merge(gone.topic_id, target.topic_id)
    assert said.state == "next analysis"
    assert not run(store).reused
    merged = topic(store, target.topic_id)
    assert merged is not None
    assert topic(store, gone.topic_id) is None
    assert (members(store, merged), merged.parent) == (before, target.parent)
    assert ("merged", gone.topic_id) in events(store, target.topic_id)
    assert decisions(store).all()[-1].state == "in force"
    more(60)
    again = topic(store, target.topic_id)
    assert again is not None
    assert len(members(store, again) & before) >= 0.9 * len(before)
    assert again.turns > merged.turns
    decisions(store).undo(said.decision.decision_id)
    run(store)
    apart = topic(store, target.topic_id)
    assert apart is None or len(members(store, apart) & before) < len(before)


@pytest.mark.parametrize("level", [0, 1])
def test_coarser_topics_are_merged_with_what_they_hold(store: Store, level: int) -> None:
    target, gone = topics(store, level)[0], topics(store, level)[3]
    finer = {one.topic_id for one in topics(store, level + 1) if one.parent in (target.topic_id, gone.topic_id)}
    decisions(store).merge(gone.topic_id, target.topic_id)
    run(store)
    assert {one.topic_id for one in topics(store, level + 1) if one.parent == target.topic_id} == finer
    assert topic(store, gone.topic_id) is None


def test_a_split_fine_topic_stays_in_its_parts(store: Store, more: Callable[[int], Analysis]) -> None:
    whole = topics(store, 2)[0]
    before = members(store, whole)
    said = decisions(store).split(whole.topic_id, 3)
    ids = said.decision.topics
    assert (len(ids), ids[0]) == (3, whole.topic_id)
    run(store)
    parts = {one: members(store, found) for one in ids if (found := topic(store, one)) is not None}
    assert sorted(map(len, parts.values())) == sorted(len(one) for one in parts.values() if one)
    assert set().union(*parts.values()) == before
    assert ("split", whole.topic_id) in events(store, ids[1])
    more(70)
    for one in ids:
        found = topic(store, one)
        assert found is not None
        kept = members(store, found) & before
        assert len(kept & parts[one]) >= 0.8 * len(parts[one])
        assert kept <= parts[one] or len(kept - parts[one]) <= 2


def test_a_broad_topic_is_split_along_its_middle_ones(store: Store) -> None:
    broad = next(one for one in topics(store, 0) if sum(two.parent == one.topic_id for two in topics(store, 1)) > 1)
    middle = {one.topic_id for one in topics(store, 1) if one.parent == broad.topic_id}
    ids = decisions(store).split(broad.topic_id).decision.topics
    run(store)
    assert len(ids) == len(middle)
    assert {one.topic_id for one in topics(store, 1) if one.parent in ids} == middle
    assert sorted(one.parent or "" for one in topics(store, 1) if one.topic_id in middle) == sorted(ids)


def test_a_locked_topic_keeps_every_turn_and_its_id(store: Store, more: Callable[[int], Analysis]) -> None:
    # The seeds are such that a refit alone does not keep all of them.
    held = topics(store, 2)[:6]
    before = {one.topic_id: members(store, one) for one in held}
    for one in held:
        decisions(store).lock(one.topic_id)
    for seed in (80, 81):
        more(seed)
        for one in held:
            now = topic(store, one.topic_id)
            assert now is not None
            assert before[one.topic_id] <= members(store, now)
    assert sum(members(store, one) > before[one.topic_id] for one in topics(store, 2) if one.topic_id in before) >= 2


def test_without_a_lock_some_of_them_change(store: Store, more: Callable[[int], Analysis]) -> None:
    held = topics(store, 2)[:6]
    before = {one.topic_id: members(store, one) for one in held}
    more(80)
    now = {one.topic_id: members(store, one) for one in topics(store, 2)}
    assert any(not before[one] <= now.get(one, set()) for one in before)


def test_a_locked_middle_topic_keeps_every_turn(store: Store, more: Callable[[int], Analysis]) -> None:
    held = topics(store, 1)[-1]
    before = members(store, held)
    decisions(store).lock(held.topic_id)
    more(82)
    now = topic(store, held.topic_id)
    assert now is not None
    assert before <= members(store, now)
    decisions(store).unlock(held.topic_id)
    with pytest.raises(UsageError, match="is not locked"):
        decisions(store).unlock(held.topic_id)


def test_a_promoted_topic_is_an_intent(store: Store, more: Callable[[int], Analysis]) -> None:
    parcel = topics(store, 1)[0]
    said = decisions(store).promote(parcel.topic_id, "late invoices")
    assert said.state == "next analysis"
    examples = store.curation.intents(store.curation.in_force())["late invoices"]
    assert 0 < len(examples) <= 20
    more(90)
    current = store.runs.current()
    assert current is not None
    rows = store.atlases.assignments(current.atlas_id).to_pylist()
    named = [row for row in rows if row["intent"] == "late invoices"]
    assert len(named) >= 10
    inside = [row for row in named if row["middle"] == parcel.topic_id]
    assert len(inside) >= 0.8 * len(named)
    assert decisions(store).all()[-1].state == "in force"


def test_turns_between_refits_go_to_the_merged_topic(store: Store, tmp_path: Path) -> None:
    target = topics(store, 2)[0]
    gone = next(one for one in topics(store, 2) if one.parent != target.parent)
    decisions(store).merge(gone.topic_id, target.topic_id)
    run(store)
    ingest(store, tmp_path, seed=91, name="z")
    assert Assigner(store, HashingEncoder(), Settings()).assign() == 240
    current = store.runs.current()
    assert current is not None
    fine = store.atlases.assignments(current.atlas_id).column("fine").to_pylist()
    assert gone.topic_id not in fine
    merged = topic(store, target.topic_id)
    assert merged is not None
    assert fine.count(target.topic_id) > merged.turns


def test_the_same_decisions_give_the_same_atlas(store: Store) -> None:
    first = run(store).run.atlas_id
    said = decisions(store).lock(topics(store, 2)[0].topic_id)
    second = run(store)
    assert second.run.atlas_id != first
    assert run(store).reused
    decisions(store).undo(said.decision.decision_id)
    assert run(store).run.atlas_id == first


def test_a_topic_whose_turns_are_forgotten_is_a_dormant_decision(store: Store) -> None:
    named = topics(store, 2)[-1]
    decisions(store).name(named.topic_id, "Soon gone")
    current = store.runs.current()
    assert current is not None
    for turn in store.turns.fetch(sorted(members(store, named))):
        store.deletion.forget(turn=turn.turn_id, tenant=turn.tenant, at=utc_now())
    run(store)
    assert topic(store, named.topic_id) is None
    assert decisions(store).all()[-1].state == "dormant"


def test_decisions_that_cannot_be_say_what_to_do(store: Store, tmp_path: Path) -> None:
    fine, middle = topics(store, 2), topics(store, 1)
    one, other = fine[0].topic_id, fine[1].topic_id
    ask = decisions(store)
    wrong = [
        (lambda: ask.name(one + "x", "A"), f"did you mean {one}"),
        (lambda: ask.name(fine[0].label[:-1], "A"), f"did you mean {one}"),
        (lambda: ask.name(one, "  "), "must not be empty"),
        (lambda: ask.name(one, "a\nb"), "one line of visible characters, such as 'a b'"),
        (lambda: ask.name(one, "a\u202eb"), "visible"),
        (lambda: ask.name(one, "x" * 81), "at most 80 characters, and .* has 81"),
        (lambda: ask.name(one, "=HYPERLINK(1)"), "spreadsheet"),
        (lambda: ask.name(one, fine[1].label.upper()), f"{other} is called .* already"),
        (lambda: ask.merge(one, one), "into itself"),
        (lambda: ask.merge(one, middle[0].topic_id), "is a fine topic and .* a middle one"),
        (lambda: ask.split(one, 1), "--parts 1"),
        (lambda: ask.split(middle[-3].topic_id, 99), "--parts 99"),
        (lambda: ask.unlock(one), "is not locked"),
        (lambda: ask.undo("d0"), "no decision 'd0'"),
    ]
    for act, message in wrong:
        with pytest.raises(UsageError, match=message):
            act()
    assert store.curation.read() == []
    ask.lock(one)
    with pytest.raises(UsageError, match=f"locked: `offmap topics unlock {one}`"):
        ask.merge(one, other)
    said = ask.merge(other, one)
    with pytest.raises(UsageError, match=f"merged into {one} by {said.decision.decision_id}"):
        ask.merge(fine[2].topic_id, other)
    ask.promote(one, "asking")
    with pytest.raises(UsageError, match="choose another name, or undo"):
        ask.promote(fine[2].topic_id, "Asking")
    undone = ask.undo(said.decision.decision_id)
    with pytest.raises(UsageError, match="already"):
        ask.undo(said.decision.decision_id)
    with pytest.raises(UsageError, match="decide that again"):
        ask.undo(undone.decision.decision_id)


def test_an_intent_that_has_examples_elsewhere_is_refused(store: Store, tmp_path: Path) -> None:
    from monitor.evalsets.importer import import_eval_set

    import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", utc_now)
    one = topics(store, 1)[0].topic_id
    with pytest.raises(UsageError, match="has examples in the eval set shop: choose another name"):
        decisions(store).promote(one, "Parcel")
    file = tmp_path / "intents.toml"
    file.write_text('[[intent]]\nname = "returns"\nexamples = ["send it back"]\n')
    settings = load({"OFFMAP_ANALYSIS_INTENTS_FILE": str(file)})[0]
    with pytest.raises(UsageError, match=r"the intents file .*intents\.toml"):
        Decisions(store, settings).promote(one, "returns")
