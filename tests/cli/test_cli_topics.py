"""`offmap topics`."""

from __future__ import annotations

from cli_support import Offmap

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
