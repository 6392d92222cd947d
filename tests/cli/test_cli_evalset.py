"""`offmap evalset import | list | show`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli_support import Offmap
from cli_traffic import write_eval_set


def test_import_list_and_show(offmap: Offmap, tmp_path: Path) -> None:
    file = write_eval_set(tmp_path / "evals.jsonl")
    imported = offmap.done("evalset", "import", file, "--name", "shop", "--json").json
    assert imported["new"] is True and imported["items"] == 64 and imported["labels"] == 8
    assert offmap.done("evalset", "import", file, "--name", "shop", "--json").json["new"] is False

    (listed,) = offmap.done("evalset", "list", "--json").json["eval_sets"]
    assert set(listed) == {"name", "version", "created_at", "items", "labels"}
    assert listed["version"] == imported["version"]
    assert "shop" in offmap.done("evalset", "list").out

    shown = offmap.done("evalset", "show", "shop", "--json").json
    assert shown["version"] == imported["version"] and len(shown["items"]) == 64
    assert set(shown["items"][0]) == {"item_id", "prompt", "reference", "label", "tags", "messages"}
    table = offmap.done("evalset", "show", "shop").out
    assert "64 items" in table and "parcel-0" in table


def test_items_without_a_prompt_are_said(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    file = jsonl({"item_id": "a", "prompt": "one"}, {"item_id": "b", "prompt": "  "})
    ran = offmap.done("evalset", "import", file, "--name", "x", "--json")
    assert ran.json["items"] == 1 and len(ran.json["skipped"]) == 1
    assert "without a prompt" in ran.err and "line 2" in ran.err


def test_no_eval_set_says_how_to_start_one(offmap: Offmap) -> None:
    offmap.done("init")
    assert "offmap evalset import FILE --name NAME" in offmap.done("evalset", "list").out
    assert offmap.done("evalset", "list", "--json").json == {"eval_sets": []}


def test_an_unknown_name_is_wrong_use(offmap: Offmap, tmp_path: Path) -> None:
    offmap.done("evalset", "import", write_eval_set(tmp_path / "evals.jsonl"), "--name", "shop")
    ran = offmap("evalset", "show", "shpo")
    assert ran.code == 2 and "did you mean 'shop'?" in ran.err
