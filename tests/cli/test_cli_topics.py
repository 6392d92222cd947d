"""`offmap topics`."""

from __future__ import annotations

import json

from cli_support import Offmap
from cli_traffic import write_log

KEYS = {"id", "level", "parent", "label", "turns", "share", "novelty", "coverage"}
EXTRA = {
    "share_low",
    "share_high",
    "found_label",
    "local_label",
    "named_by",
    "low",
    "high",
    "conversations",
    "users",
    "keywords",
    "first_seen",
    "representatives",
}


def test_the_shape_of_a_topic(built: Offmap) -> None:
    found = built.done("topics", "--json").json["topics"]
    assert {topic["level"] for topic in found} == {"broad", "middle", "fine"}
    by_id = {topic["id"]: topic for topic in found}
    for topic in found:
        assert set(topic) == KEYS | EXTRA
        assert topic["turns"] > 0 and 0 < topic["share"] <= 1 and 0 <= topic["coverage"] <= 1
        assert 0 <= topic["share_low"] <= topic["share"] <= topic["share_high"] <= 1
        assert topic["low"] <= topic["coverage"] <= topic["high"]
        parent = by_id.get(topic["parent"])
        assert (parent is None) == (topic["level"] == "broad")
        assert all(set(one) == {"turn_id", "text"} for one in topic["representatives"])


def test_a_level_picks(built: Offmap) -> None:
    fine = built.done("topics", "--level", "fine", "--json").json["topics"]
    assert fine and all(topic["level"] == "fine" for topic in fine)
    ran = built("topics", "--level", "coarse")
    assert ran.code == 2 and "coarse" in ran.err


def test_representatives_are_redacted(built: Offmap) -> None:
    out = built.done("topics", "--json").out
    assert "[email]" in out and "ann@example.org" not in out


def test_the_table_nests_the_middle_below_the_broad(built: Offmap) -> None:
    ran = built.done("topics")
    assert ran.out.startswith("The eval set covers ")
    assert any(line.startswith("·") for line in ran.out.splitlines())
    assert "offmap topics --level fine" in ran.out
    assert max(map(len, ran.out.splitlines()[3:])) <= 100


def test_no_label_is_made_of_what_redaction_hides(built: Offmap) -> None:
    for topic in built.done("topics", "--json").json["topics"]:
        words = {word for keyword in (*topic["keywords"], topic["label"]) for word in keyword.replace(",", "").split()}
        assert not words & {"ann", "example", "org", "email"}


def test_topics_of_few_users_are_one_line(built: Offmap) -> None:
    every = built.done("topics", "--level", "fine", "--json", OFFMAP_ATLAS_MIN_USERS="1").json
    enough = sorted(topic["users"] for topic in every["topics"])[1] + 1
    few = [topic for topic in every["topics"] if topic["users"] < enough]
    assert few and every["few_users_turns"] == 0
    shown = built.done("topics", "--level", "fine", "--json", OFFMAP_ATLAS_MIN_USERS=str(enough)).json
    assert {topic["id"] for topic in shown["topics"]} == {topic["id"] for topic in every["topics"] if topic not in few}
    turns = sum(topic["turns"] for topic in few)
    assert shown["few_users_turns"] == turns
    table = built.done("topics", "--level", "fine", OFFMAP_ATLAS_MIN_USERS=str(enough)).out
    assert f"{turns} turns are in topics of fewer than {enough} users" in table
    assert few[0]["id"] not in table
    refused = built("export", "--topic", few[0]["id"], "--out", "nowhere", OFFMAP_ATLAS_MIN_USERS=str(enough))
    assert refused.code == 2 and "atlas.min_users" in refused.err


def test_what_is_shown_changes_no_gap_and_no_atlas(analysed: Offmap) -> None:
    gaps = analysed.done("gaps", "--json").json["gaps"]
    again = analysed.done("analyse", "--eval-set", "shop", "--json", OFFMAP_ATLAS_MIN_USERS="100").json
    assert again["reused"]
    assert analysed.done("gaps", "--json", OFFMAP_ATLAS_MIN_USERS="100").json["gaps"] == []
    assert "fewer than 100 users" in analysed.done("gaps", OFFMAP_ATLAS_MIN_USERS="100").out
    assert analysed.done("gaps", "--json").json["gaps"] == gaps


def _refitted(offmap: Offmap) -> Offmap:
    """Many fine topics, then few: most are merged, and one subject has grown."""
    offmap.done("analyse", "--eval-set", "shop", OFFMAP_ATLAS_STEADINESS="0", OFFMAP_ATLAS_RESOLUTION_FINE="4")
    write_log(offmap.folder / "later.jsonl", conversations=400, seed=9)
    records = [json.loads(line) for line in (offmap.folder / "later.jsonl").read_text().splitlines()]
    pianos = [one for one in records if "piano" in one["assistant_text"]]
    for one in pianos:
        one |= {name: f"later-{one[name]}" for name in ("turn_id", "conversation_id")}
    (offmap.folder / "later.jsonl").write_text("".join(json.dumps(one) + "\n" for one in pianos))
    offmap.done("ingest", offmap.folder / "later.jsonl")
    offmap.done("analyse", "--eval-set", "shop", OFFMAP_ATLAS_STEADINESS="0", OFFMAP_ATLAS_RESOLUTION_FINE="1")
    return offmap


def test_the_lineage_names_turns_that_prove_it(analysed: Offmap) -> None:
    offmap = _refitted(analysed)
    document = offmap.done("topics", "--lineage", "--json").json
    found = document["lineage"]
    assert {"merged", "grew"} <= {one["event"] for one in found}
    living = {topic["id"] for topic in document["topics"]}
    for one in found:
        assert set(one) == {"topic", "level", "label", "event", "other", "other_label", "shared", "turns"}
        assert one["turns"] and len(one["turns"]) <= 5
        assert (one["topic"] in living) == (one["event"] != "died")
        assert (one["other"] is None) == (one["event"] not in ("merged", "split"))
    assert all(one["other_label"] for one in found if one["event"] == "merged")
    assert "[email]" not in {one["label"] for one in found}
    assert "ann@example.org" not in offmap.done("topics", "--lineage", "--json").out
    assert "lineage" not in offmap.done("topics", "--json").json
    # Who wants to know of one can read the turns: they have that topic.
    row = next(one for one in found if one["event"] == "merged" and one["level"] == "fine")
    turns = {one["turn_id"]: one for one in offmap.done("turns", "--topic", row["topic"], "--json").lines}
    assert {one["turn_id"] for one in row["turns"]} <= turns.keys()


def test_the_lineage_as_a_table(analysed: Offmap) -> None:
    offmap = _refitted(analysed)
    out = offmap.done("topics", "--lineage", "--level", "fine").out
    found = offmap.done("topics", "--lineage", "--level", "fine", "--json").json["lineage"]
    merged = [one for one in found if one["event"] == "merged"]
    assert f"{len(merged)} merged" in out and "came in" in out and "came along" in out
    assert max(map(len, out.splitlines()[3:])) <= 100
    assert "ann@example.org" not in out
    assert "--lineage --level fine" in offmap.done("topics", "--lineage").out


def test_topics_of_few_users_are_not_named_in_the_lineage(analysed: Offmap) -> None:
    offmap = _refitted(analysed)
    assert offmap.done("topics", "--lineage", "--json").json["lineage"]
    assert offmap.done("topics", "--lineage", "--json", OFFMAP_ATLAS_MIN_USERS="6").json["lineage"] == []
    assert "no topic changed" in offmap.done("topics", "--lineage", OFFMAP_ATLAS_MIN_USERS="6").out
