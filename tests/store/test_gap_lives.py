"""What people decided about gaps and what publications saw of them, as stored: added to, in order, and what deletion takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from monitor.store import Store
from monitor.store.exports import ExportRow
from monitor.store.gap_lives import GapDecisionRow, GapLink, GapLook, GapSighting
from tests.store.conftest import NOON, make_turn
from tests.store.test_runs import assignments, atlas_row, coverage_row, topic_row

DAY = timedelta(days=1)


def decision(kind: str = "owner", **fields: object) -> GapDecisionRow:
    row = GapDecisionRow("", 0, NOON, "ann", kind, "g1", "t1", "Ann", None, None)
    return replace(row, **fields)  # type: ignore[arg-type]


def sighting(gap_id: str = "g1", **fields: object) -> GapSighting:
    row = GapSighting(gap_id, "t" + gap_id[1:], 1, 1, 100, 0.1, 0.2, 0.1, 0.3, 1.0, 0.8, 1.0, 0)
    return replace(row, **fields)  # type: ignore[arg-type]


def look(
    store: Store,
    day: int,
    *sightings: GapSighting,
    links: tuple[GapLink, ...] = (),
    run: str = "",
    compared: tuple[str, ...] = ("e1",),
    at: datetime | None = None,
) -> bool:
    return store.gap_lives.note(GapLook("", run or f"run{day}", at or NOON + day * DAY, compared), sightings, links)


def test_decisions_come_back_in_order(store: Store) -> None:
    first, second = store.gap_lives.decide([decision(), decision("note", value=None, words="ask Bob")])
    [third] = store.gap_lives.decide([decision("wont_fix", value=None, words="no", until=NOON + DAY)])
    assert store.gap_lives.decisions() == [first, second, third]
    assert [one.place for one in (first, second, third)] == [1, 2, 3]
    assert len({one.decision_id for one in (first, second, third)}) == 3
    assert store.gap_lives.known() == {"g1"}
    assert store.gap_lives.decide([]) == []


def test_changes_are_the_looks_at_which_something_changed(store: Store) -> None:
    look(store, 0, sighting(), sighting("g2"))
    look(store, 1, sighting())
    look(store, 2, sighting(ratio=2.0, ratio_low=1.2, p_value=0.01))
    look(store, 3, sighting(ratio=2.0, ratio_low=1.2, p_value=0.01))
    look(store, 4)
    look(store, 5, sighting())
    look(store, 6, sighting(newly_covered=10))
    look(store, 7, sighting(newly_covered=10))
    one = [change for change in store.gap_lives.changes() if change.gap_id == "g1"]
    days = [((change.seen_at - NOON).days, change.starts, change.growing, change.closing) for change in one]
    assert days == [
        (0, True, False, False),
        (2, False, True, False),
        (3, False, True, False),
        (5, True, False, False),
        (6, False, False, True),
        (7, False, False, True),
    ]
    assert [change.gone_at for change in one] == [None, None, NOON + 4 * DAY, None, None, None]
    [other] = [change for change in store.gap_lives.changes() if change.gap_id == "g2"]
    assert (other.gone_at, other.eval_set_ids, other.turns) == (NOON + DAY, ("e1",), 100)


def test_what_grows_must_be_sure_and_what_closes_must_be_higher_than_it_opened(store: Store) -> None:
    look(store, 0, sighting(high=0.3), sighting("g2", ratio=None, ratio_low=None, p_value=None), sighting("g3"))
    look(
        store,
        1,
        sighting(low=0.31, high=0.5),
        sighting("g2", low=0.29),
        sighting("g3", ratio=1.5, ratio_low=1.1, p_value=0.2, newly_covered=9),
    )
    last = {change.gap_id: change for change in store.gap_lives.changes()}
    assert {gap: (one.growing, one.closing) for gap, one in last.items()} == {
        "g1": (False, True),
        "g2": (False, False),
        "g3": (False, False),
    }


def test_items_of_other_subjects_close_nothing(store: Store) -> None:
    look(store, 0, sighting(), sighting("g2"))
    look(store, 1, sighting(low=0.31), sighting("g2", low=0.31, newly_covered=1), compared=("e2",))
    assert {one.gap_id: one.closing for one in store.gap_lives.changes()} == {"g1": False, "g2": True}


def test_gaps_that_the_last_look_listed_are_open_and_some_of_them_held(store: Store) -> None:
    assert store.gap_lives.open() == {}
    look(store, 0, sighting(), sighting("g2"), sighting("g3"))
    look(store, 1, sighting(coverage=0.81), sighting("g2", coverage=0.82), compared=("e2",))
    look(store, 2, sighting(coverage=0.85), sighting("g2"), sighting("g3"), compared=("e3",))
    found = store.gap_lives.open()
    assert {gap_id: (one.opened.eval_set_ids, one.held_since) for gap_id, one in found.items()} == {
        "g1": (("e1",), NOON + DAY),
        "g2": (("e1",), None),
        "g3": (("e3",), None),
    }
    held = [(one.gap_id, (one.seen_at - NOON).days) for one in store.gap_lives.changes() if one.held]
    assert held == [("g1", 1), ("g1", 2), ("g2", 1)]
    look(store, 3)
    assert store.gap_lives.open() == {}


def test_old_looks_that_tell_nothing_go_and_nothing_that_happened_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four looks a day for five days: a gap comes and goes within a day, one grows, one is held; and then one much later."""
    monkeypatch.setattr("monitor.store.gap_lives._KEPT_DAYS", 1000)
    for number in range(20):
        seen = [sighting(coverage=0.85 if number == 13 else 0.2)]
        if number in (5, 6):
            seen.append(sighting("g2"))
        if number >= 9:
            seen.append(sighting("g3", ratio=2.0, ratio_low=1.2, p_value=0.01 if number >= 14 else 1.0))
        look(store, 0, *seen, run=f"r{number}", at=NOON + number * DAY / 4)
    look(store, 0, sighting(), sighting("g3"), run="later", at=NOON + 95 * DAY)
    changes, known = store.gap_lives.changes(), store.gap_lives.known()
    monkeypatch.setattr("monitor.store.gap_lives._KEPT_DAYS", 90)
    look(store, 0, run="last", at=NOON + 96 * DAY)
    assert [replace(one, gone_at=None) for one in store.gap_lives.changes()] == [
        replace(one, gone_at=None) for one in changes
    ]
    assert [one.gone_at for one in store.gap_lives.changes() if one.gap_id == "g2"] == [None, NOON + 7 * DAY / 4]
    assert store.gap_lives.known() == known
    looks = store._database.query("SELECT published_at FROM gap_looks ORDER BY published_at").to_pylist()
    kept = [int((row["published_at"] - NOON) / (DAY / 4)) for row in looks]
    # Something changed at 0, 5 to 7, 9, 13 and 14; the last of their days are 1, 5, 9, 13, 17 and 19.
    assert kept == [0, 1, 5, 6, 7, 9, 13, 14, 17, 19, 380, 384]
    lost = "SELECT count(*) FROM gap_sightings WHERE look_id NOT IN (SELECT look_id FROM gap_looks)"
    assert store._database.value(lost) == 0
    assert store._database.value("SELECT count(*) FROM gap_sightings") == 19


def test_the_same_run_again_is_no_look(store: Store) -> None:
    assert look(store, 0, sighting(), run="r1")
    assert not look(store, 1, sighting(), run="r1")
    assert look(store, 2, run="r2")
    assert look(store, 3, sighting(), run="r1")
    assert [(one.seen_at - NOON).days for one in store.gap_lives.changes()] == [0, 3]


def test_links_come_back_the_latest_first(store: Store) -> None:
    links = [GapLink("g2", "split", "g1", NOON), GapLink("g1", "merged", "g3", NOON + DAY)]
    look(store, 0, sighting(), links=(links[0],))
    look(store, 1, sighting(), links=(links[1],))
    assert store.gap_lives.links() == links[::-1]


def test_turns_that_new_items_cover_are_counted_by_topic(store: Store) -> None:
    turns = [make_turn(f"t{number}") for number in range(4)]
    store.turns.append(turns)
    keys = [turn.key for turn in turns]
    rows = pa.table(
        {
            "turn_key": pa.array(keys, pa.uint64()),
            "novelty": pa.array([0.1] * 4, pa.float32()),
            "covered": pa.array([0.9, 0.5, 0.4, None], pa.float32()),
            "nearest_item": ["new", "old", "new", "new"],
        }
    )
    store.reports.write_coverage(coverage_row("r1"), [], rows)
    said = assignments(keys)
    middle = pa.array(["t1"] * 4, pa.string())
    said = said.set_column(said.schema.get_field_index("middle"), "middle", middle)
    store.atlases.write(atlas_row("a1"), [topic_row()], [], said)
    assert store.gap_lives.newly_covered("r1", "a1", "middle", ["new"]) == {"t1": 1}
    assert store.gap_lives.newly_covered("r1", "a1", "middle", ["new", "old"]) == {"t1": 2}
    assert store.gap_lives.newly_covered("r1", "a1", "middle", []) == {}


def test_exports_say_what_they_are_of(store: Store) -> None:
    for number, manifest in enumerate(('{"slice": "g1"}', '{"slice": "t2", "label": "x"}', "{}", "")):
        store.exports.record(ExportRow(f"x{number}", NOON + number * DAY, f"/f{number}", "openai-chat", manifest, ()))
    assert store.exports.times_of_slices() == [("g1", NOON), ("t2", NOON + DAY)]


def test_forgetting_takes_words_out_of_reasons_and_notes_and_leaves_owners_and_tickets(store: Store) -> None:
    store.turns.append([make_turn("t0", user_id="ann", user_text="where is my quixotrope")])
    store.turns.append([make_turn("t1", user_id="bob", user_text="where is my parcel")])
    store.gap_lives.decide(
        [
            decision("wont_fix", value=None, words="one quixotrope, no parcel", until=NOON),
            decision("note", value=None, words="Quixotrope!"),
            decision("plan", value="https://tickets.example.org/quixotrope"),
            decision(value="Quixotrope"),
        ]
    )
    look(store, 0, sighting())
    store.deletion.forget(user="ann", at=NOON + DAY)
    assert [(one.value, one.words) for one in store.gap_lives.decisions()] == [
        (None, "one …, no parcel"),
        (None, "…!"),
        ("https://tickets.example.org/quixotrope", None),
        ("Quixotrope", None),
    ]
    assert len(store.gap_lives.changes()) == 1
