"""`offmap why`, `offmap mark` and `offmap unmark`."""

from __future__ import annotations

from cli_support import Offmap


def test_it_names_the_nearest_items_and_the_words(built: Offmap) -> None:
    found = built.done("why", "c1-0", "--json").json
    assert found["turn_id"] == "c1-0" and found["nearest"][0]["label"] == "refund"
    assert " ".join(one["text"] for one in found["words"]) == found["text"]
    assert [one["cosine"] for one in found["nearest"]] == sorted(
        (one["cosine"] for one in found["nearest"]), reverse=True
    )
    best = max(found["words"], key=lambda one: one["effect"])
    out = built.done("why", "c1-0", "--tenant", "eu").out
    assert f"Words that make it near to the first: {best['text']} ({best['effect']:+.2f})" in out
    assert found["says"][0].startswith("The eval set covers it with a probability of ") and found["says"][0] in out
    assert 0 <= found["topic"]["low"] <= found["topic"]["coverage"] <= found["topic"]["high"] <= 1


def test_what_is_redacted_is_not_among_the_words(built: Offmap) -> None:
    with_address = [one for one in ("c10-0", "c34-0", "c58-0") if built.done("why", one, "--json").json["redacted"]]
    assert with_address
    out = built.done("why", with_address[0]).out
    assert "[email]" in out and "example.org" not in out and "It is of the text as it is shown, redacted." in out
    few = built.done("why", with_address[0], OFFMAP_ATLAS_MIN_USERS="1000")
    assert "Its topic" not in few.out


def test_a_follow_up_says_that_it_counts_in_nothing(built: Offmap) -> None:
    found = built.done("why", "c0-1", "--json").json
    assert found["text"] == "are you sure?"
    assert len(found["says"]) == 1 and found["says"][0].endswith(", so it counts in nothing.")


def test_marks_hold_from_the_next_analysis_and_are_taken_back(analysed: Offmap) -> None:
    out = analysed.done("mark", "c10-0", "c22-0", "--covered", "--item", "parcel-0", "--why", "as\nparcels").out
    assert out.splitlines()[0] == "2 turns marked as covered, and with them all that say the same."
    found = analysed.done("why", "c10-0", "--json").json
    assert (found["mark"]["kind"], found["mark"]["item"], found["mark"]["applied"]) == ("covered", "parcel-0", False)
    assert found["says"][-1].endswith(": “as parcels”. It holds from the next analysis on.")
    analysed.done("analyse", "--eval-set", "shop")
    found = analysed.done("why", "c10-0", "--json").json
    assert (found["covered"], found["mark"]["applied"]) == (1, True)
    lines = {line["turn_id"]: line for line in analysed.done("turns", "--json").lines}
    assert (lines["c10-0"]["covered"], lines["c22-0"]["covered"]) == (1, 1)
    undone = analysed.done("unmark", "c10-0", "--json").json["marks"]
    assert [(one["turn_id"], one["kind"], one["other"]) for one in undone] == [("c10-0", "undo", found["mark"]["id"])]
    assert analysed.done("mark", "c22-0", "--noise", "--json").json["marks"][0]["kind"] == "noise"
    analysed.done("analyse", "--eval-set", "shop")
    lines = {line["turn_id"]: line for line in analysed.done("turns", "--json").lines}
    assert 0 < lines["c10-0"]["covered"] < 1
    assert (lines["c22-0"]["covered"], lines["c22-0"]["act"]) == (None, "noise")


def test_wrong_use_is_said_in_one_line(built: Offmap) -> None:
    for arguments, message in (
        (("why",), "name one turn, by its id"),
        (("why", "c1-0", "--key", "1"), "name one turn, by its id"),
        (("why", "--key", "²"), "no turn has the key '²'"),
        (("why", "--key", "1" * 20), "no turn has the key"),
        (("why", "c\x1b[31m9"), "no turn 'c9' in the store"),
        (("mark", "c1-0"), "either --covered or --noise"),
        (("mark", "c1-0", "--covered", "--noise"), "either --covered or --noise"),
        (("mark", "c1-0", "--noise", "--item", "parcel-0"), "--item parcel-0 goes with --covered"),
        (("mark", "c1-0", "--covered", "--item", "nope"), "no eval item 'nope' in the sets"),
        (("unmark", "c1-0"), "turn 'c1-0' is not marked"),
    ):
        ran = built(*arguments)
        assert (ran.code, ran.out) == (2, ""), arguments
        assert message in ran.err and len(ran.err.splitlines()) == 1


def test_nothing_analysed_says_so(offmap: Offmap, jsonl: object) -> None:
    offmap.done("init")
    assert "no turn 'a' in the store" in offmap("why", "a").err
