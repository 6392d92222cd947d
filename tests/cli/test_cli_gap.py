"""`offmap gap`, and what of the life of gaps `offmap gaps` shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cli_support import Offmap

from monitor.store import Store

TICKET = "https://tracker.example.org/OPS-1"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


def ids(offmap: Offmap, *arguments: str) -> list[str]:
    return [gap["id"] for gap in offmap.done("gaps", "--json", *arguments).json["gaps"]]


def test_a_gap_without_decisions_shows_how_it_stands(built: Offmap) -> None:
    [one, *_] = built.done("gaps", "--json").json["gaps"]
    assert (one["state"], one["states"], one["owner"]) == ("opened", ["opened"], None)
    assert [event["kind"] for event in one["history"]] == ["opened"]
    shown = built.done("gap", one["id"])
    assert shown.out.splitlines()[0] == f"{one['id']}  {one['label']}"
    assert "State:  opened" in shown.out and "Owner:  nobody yet" in shown.out and "Noted" not in shown.out
    found = built.done("gap", one["id"], "--json").json
    assert (found["id"], found["label"], found["history"]) == (one["id"], one["label"], one["history"])


def test_what_is_decided_is_kept_and_shown(analysed: Offmap) -> None:
    one = ids(analysed)[0]
    ran = analysed.done(
        "gap", one, "--owner", "Ann", "--planned", TICKET, "--note", "see\x1b[31m the wiki", "--who", "bob"
    )
    assert ran.out.splitlines()[0] == "Noted."
    assert f"Ticket: {TICKET}" in ran.out
    found = analysed.done("gap", one, "--json").json
    assert (found["state"], found["owner"], found["ticket"]) == ("planned", "Ann", TICKET)
    events = {(event["kind"], event["text"], event["who"]) for event in found["history"]}
    assert {("owner", "Ann", "bob"), ("plan", TICKET, "bob"), ("note", "see the wiki", "bob")} <= events
    assert "planned" in analysed.done("gaps").out and "Ann" in analysed.done("gaps").out
    assert ids(analysed, "--state", "planned") == [one]
    assert one not in ids(analysed, "--state", "acknowledged")
    assert analysed.done("gap", one, "--reopen", "--owner", "", "--json").json["state"] == "opened"
    assert analysed.done("gap", one, "--json").json["owner"] is None


def test_what_will_not_be_fixed_is_one_option_away(analysed: Offmap) -> None:
    first, *others = ids(analysed)
    analysed.done("gap", first, "--wont-fix", "out of scope", "--until", TOMORROW)
    assert ids(analysed) == others
    assert ids(analysed, "--all") == [first, *others]
    assert ids(analysed, "--state", "wont-fix") == ids(analysed, "--state", "wont_fix") == [first]
    out = analysed.done("gaps").out
    assert first not in out and "1 gap will not be fixed yet, as somebody decided: offmap gaps --all" in out
    assert first in analysed.done("gaps", "--all").out
    assert f"State:  won't fix until {TOMORROW}: out of scope" in analysed.done("gap", first).out


def test_exported_and_closed(analysed: Offmap) -> None:
    first, second, *_ = ids(analysed)
    analysed.done("export", "--gap", second, "--out", str(analysed.folder / "out"))
    assert analysed.done("gap", second, "--json").json["states"] == ["exported", "opened"]
    analysed.done("gap", first, "--owner", "Ann")
    analysed.done("analyse", OFFMAP_GAPS_MIN_SHARE="0.9")  # without an eval set nothing is said, and so nothing closes
    assert analysed.done("gap", first, "--json").json["state"] == "opened"
    analysed.done("analyse", "--eval-set", "shop", OFFMAP_GAPS_MIN_SHARE="0.9")
    found = analysed.done("gaps", "--all", "--json").json
    assert found["gaps"] == []
    closed = {one["id"]: one for one in found["closed"]}
    assert {first, second} <= closed.keys()
    assert (closed[first]["state"], closed[first]["by_itself"], closed[first]["owner"]) == ("closed", True, "Ann")
    assert closed[first]["turns"] > 0 and closed[first]["label"]
    assert first in analysed.done("gaps", "--state", "closed").out
    assert analysed.done("gaps", "--json").json["closed"] == []
    assert "by itself" in analysed.done("gaps", "--all").out
    assert "State:  closed by itself since " in analysed.done("gap", first).out


def test_a_gap_that_is_held_says_why_and_until_when(analysed: Offmap) -> None:
    from monitor.store.gap_lives import GapLook, GapSighting

    first, second, *_ = ids(analysed)
    assert "Held:" not in analysed.done("gaps").out
    at = datetime(2030, 3, 1)
    seen = [
        GapSighting(gap_id, "t" + gap_id[1:], 1, rank, 40, 0.1, coverage, 0.6, 0.88, None, None, None, 0)
        for rank, (gap_id, coverage) in enumerate(((first, 0.84), (second, 0.4)), start=1)
    ]
    with Store.open(str(analysed.store)) as store:
        store.gap_lives.note(GapLook("", "run2", at, ("e1",)), seen)
    shown = analysed.done("gap", first).out
    assert "State:  held" in shown
    assert "is estimated at 84% covered now though no eval item was added for it" in shown
    assert "It stays listed until 2030-03-29, or until items for it come." in shown
    assert "stays listed until 2030-03-08" in analysed.done("gap", first, OFFMAP_GAPS_HOLD_DAYS="7").out
    assert "State:  opened" in analysed.done("gap", second).out
    found = analysed.done("gap", first, "--json").json
    assert (found["state"], found["held_since"]) == ("held", "2030-03-01T00:00:00Z")
    assert ids(analysed, "--state", "held") == [first]
    assert "Held: it was a gap and seems covered now" in analysed.done("gaps").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "no gap 'nothing' was ever listed"),
        (("GAP", "--planned", "javascript:alert(1)"), "is no address"),
        (("GAP", "--wont-fix", "no"), "--wont-fix REASON and --until DATE go together"),
        (("GAP", "--until", "2027-01-01"), "--wont-fix REASON and --until DATE go together"),
        (("GAP", "--wont-fix", "no", "--until", "soon"), "the day 'soon' is no date"),
        (("GAP", "--wont-fix", "no", "--until", "2020-01-01"), "that day has passed"),
        (("GAP", "--acknowledge", "--reopen"), "--acknowledge and --reopen cannot be true at once"),
        (("GAP", "--note", " "), "a note must not be empty"),
        (("GAP", "--owner", "x" * 81), "at most 80 characters"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_wrong_use_is_said_in_one_line(built: Offmap, arguments: tuple[str, ...], message: str) -> None:
    one = ids(built)[0]
    ran = built("gap", *(one if part == "GAP" else part for part in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1


def test_an_unknown_state_is_said(built: Offmap) -> None:
    ran = built("gaps", "--state", "lost")
    assert ran.code == 2
    assert "--state lost: a gap is opened, reopened, held, exported" in ran.err


def test_before_an_analysis_it_says_so(offmap: Offmap) -> None:
    offmap.done("init")
    assert "offmap analyse" in offmap("gap", "g1").err
