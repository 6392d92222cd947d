"""`offmap topics name | merge | split | lock | unlock | promote | decisions | undo`."""

from __future__ import annotations

from cli_support import Offmap


def fine(offmap: Offmap) -> list[dict[str, object]]:
    found: list[dict[str, object]] = offmap.done("topics", "--level", "fine", "--json").json["topics"]
    return found


def test_a_name_is_shown_wherever_the_topic_is(analysed: Offmap) -> None:
    gap = analysed.done("gaps", "--json").json["gaps"][0]
    ran = analysed.done("topics", "name", gap["topic"], "Pianos & <b>more</b>", "--who", "ann")
    assert ran.out.splitlines()[0] == f"“{gap['label']}” is called “Pianos & <b>more</b>”."
    assert "analysis" not in ran.out
    assert analysed.done("gaps", "--json").json["gaps"][0]["label"] == "Pianos & <b>more</b>"
    [named] = [one for one in analysed.done("topics", "--json").json["topics"] if one["id"] == gap["topic"]]
    assert (named["label"], named["found_label"]) == ("Pianos & <b>more</b>", gap["label"])
    assert "Pianos & <b>more</b>" in analysed.done("gaps").out
    # From now on the name names it too.
    assert analysed.done("topics", "lock", "pianos & <b>more</b>", "--json").json["topic"] == gap["topic"]


def test_decisions_wait_are_applied_and_taken_back(analysed: Offmap) -> None:
    one, other = fine(analysed)[:2]
    ran = analysed.done("topics", "merge", str(one["id"]), str(other["id"]))
    assert "It shows after the next analysis, which offmap serve does by itself; now: offmap analyse" in ran.out
    assert "offmap topics undo d" in ran.out
    listed = analysed.done("topics", "decisions", "--json").json["decisions"]
    assert [(row["kind"], row["topic"], row["other"], row["state"]) for row in listed] == [
        ("merge", one["id"], other["id"], "next analysis")
    ]
    analysed.done("analyse", "--eval-set", "shop")
    assert one["id"] not in {row["id"] for row in fine(analysed)}
    table = analysed.done("topics", "decisions").out
    assert "in force" in table
    assert str(listed[0]["id"]) in table
    assert analysed.done("topics", "undo", listed[0]["id"], "--json").json["state"] == "next analysis"
    assert analysed.done("topics", "decisions", "--json").json["decisions"][0]["state"] == "undone"


def test_split_promote_lock_and_unlock(analysed: Offmap) -> None:
    one, other = fine(analysed)[:2]
    assert len(analysed.done("topics", "split", str(one["id"]), "--json").json["topics"]) == 2
    assert (
        analysed.done("topics", "promote", str(other["id"]), "--intent", "piano lessons", "--json").json["name"]
        == "piano lessons"
    )
    assert analysed.done("topics", "lock", str(other["id"]), "--json").json["kind"] == "lock"
    assert analysed.done("topics", "unlock", str(other["id"]), "--json").json["kind"] == "undo"
    analysed.done("analyse", "--eval-set", "shop")
    intents = {line["intent"] for line in analysed.done("turns", "--json").lines}
    assert "piano lessons" in intents


def test_without_decisions_it_says_how_to_begin(built: Offmap) -> None:
    assert "offmap topics name TOPIC" in built.done("topics", "decisions").out
    assert built.done("topics", "decisions", "--json").json == {"decisions": []}


def test_wrong_use_is_said_in_one_line(built: Offmap) -> None:
    one = str(fine(built)[0]["id"])
    for arguments, message in (
        (("name", one[:-1], "A"), f"did you mean {one}"),
        (("name", one, ""), "a topic's name must not be empty"),
        (("promote", one, "--intent", "parcel"), "has examples in the eval set shop"),
        (("undo", "nothing"), "no decision 'nothing'"),
    ):
        ran = built("topics", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
        assert len(ran.err.splitlines()) == 1
    ran = built("topics", "--json", "decisions")
    assert ran.code == 2
    assert "stand behind it" in ran.err


def test_nothing_analysed_says_so(offmap: Offmap) -> None:
    offmap.done("init")
    assert "offmap analyse" in offmap("topics", "lock", "t1").err
