"""`offmap watchlist`."""

from __future__ import annotations

from cli_support import Offmap

LISTS = '[{name = "parcels", phrases = ["parcel"], patterns = ["deliver(y|ed)"]}, {name = "none", phrases = ["zebra"]}]'
WINDOWS = ("--current", "2026-03-08/2026-03-15", "--reference", "2026-03-01/2026-03-08")


def with_lists(offmap: Offmap, lists: str = LISTS) -> Offmap:
    return Offmap(offmap.folder, {**offmap.environment, "OFFMAP_ANALYSIS_WATCH_LISTS": lists})


def test_counts_as_a_table_and_for_programs(built: Offmap) -> None:
    offmap = with_lists(built)
    found = offmap.done("watchlist", *WINDOWS, "--json").json
    parcels, none = found["watch_lists"]
    assert parcels["now"]["turns"] > 0 and parcels["examples"] and parcels["trend"]["low"] <= parcels["trend"]["ratio"]
    assert (none["now"]["turns"], none["examples"], none["trend"]["rises"]) == (0, [], False)
    shown = offmap.done("watchlist", *WINDOWS).out
    assert "parcels" in shown and f"{parcels['now']['turns']:,}" in shown


def test_without_lists_turns_or_a_pattern(offmap: Offmap, built: Offmap) -> None:
    assert built("watchlist").err.startswith("Error: there is no watch-list: set analysis.watch_lists = [")
    offmap.done("init")
    assert "no turns yet" in with_lists(offmap).done("watchlist").out
    assert with_lists(offmap).done("watchlist", "--json").json == {
        "current": None,
        "reference": None,
        "watch_lists": [],
    }
    bad = with_lists(built, '[{name = "bad", patterns = ["(?=x)"]}]')("watchlist")
    assert bad.err.startswith("Error: setting analysis.watch_lists: the pattern '(?=x)' of 'bad' is no regular")
