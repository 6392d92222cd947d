"""`offmap export`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cli_support import Offmap

from monitor.cli import export
from monitor.cli.context import utc_now
from monitor.store.store import Store


def worst_gap(offmap: Offmap) -> dict[str, str]:
    return offmap.done("gaps", "--json").json["gaps"][0]


def test_a_gap_becomes_a_fine_tuning_set(analysed: Offmap) -> None:
    gap, out = worst_gap(analysed), analysed.folder / "out"
    ran = analysed.done("export", "--gap", gap["id"], "--format", "openai-chat", "--out", out, "--json").json
    assert set(ran) == {"export_id", "path", "manifest", "examples", "counts", "sha256"}
    content = Path(ran["path"]).read_bytes()
    lines = [json.loads(line) for line in content.splitlines()]
    assert len(lines) == ran["examples"] > 5
    for line in lines:
        assert [message["role"] for message in line["messages"]][-2:] == ["user", "assistant"]
    manifest = json.loads(Path(ran["manifest"]).read_bytes())
    assert manifest["sha256"] == ran["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["query"]["gap"] == gap["id"] and manifest["counts"]["slice"] == gap["turns"]
    assert manifest["encoder"].startswith("hashing") and manifest["atlas_id"] and manifest["window"]["start"]
    assert manifest["decontaminated_against"][0]["name"] == "shop"


def test_the_same_again_is_the_same_byte_for_byte(analysed: Offmap) -> None:
    gap, out = worst_gap(analysed), analysed.folder / "out"
    path = Path(analysed.done("export", "--gap", gap["id"], "--out", out, "--json").json["path"])
    first = path.read_bytes()
    analysed.done("export", "--gap", gap["id"], "--out", out)
    assert path.read_bytes() == first


def test_a_topic_is_exported_with_the_earlier_turns_as_context(analysed: Offmap) -> None:
    topic = next(one for one in analysed.done("topics", "--json").json["topics"] if "piano" in one["keywords"])
    ran = analysed.done("export", "--topic", topic["id"], "--out", analysed.folder / "out", "--json").json
    text = Path(ran["path"]).read_text()
    assert max(len(json.loads(line)["messages"]) for line in text.splitlines()) == 4
    assert "ann@example.org" not in text and "[email]" in text


@pytest.mark.slow
def test_replies_that_users_turned_down_stay_out(analysed: Offmap) -> None:
    challenged = {line["turn_id"] for line in analysed.done("signals", "--json").lines if line["signal"] == "challenge"}
    for topic in analysed.done("topics", "--level", "broad", "--json").json["topics"]:
        ran = analysed("export", "--topic", topic["id"], "--out", analysed.folder / "out", "--json")
        if ran.code == 0:  # of the topics that the eval set knows nothing may be left
            assert not challenged & set(json.loads(Path(ran.json["manifest"]).read_bytes())["turn_ids"])


def test_wrong_use(analysed: Offmap) -> None:
    gap, out = worst_gap(analysed), analysed.folder / "out"
    for arguments, words in (
        ((), "exactly one of --gap and --topic"),
        (("--gap", gap["id"], "--topic", gap["topic"]), "exactly one of --gap and --topic"),
        (("--gap", gap["id"][:-1]), f"did you mean {gap['id']}?"),
        (("--topic", "nonsense"), "`offmap topics` lists them"),
        (("--gap", gap["id"], "--format", "openai-chta"), "did you mean openai-chat?"),
    ):
        ran = analysed("export", "--out", out, *arguments)
        assert ran.code == 2 and words in ran.err and len(ran.err.splitlines()) == 1
    assert not out.exists()
    assert analysed("export", "--gap", gap["id"]).code == 2  # without --out


def test_a_folder_that_cannot_be_written(analysed: Offmap) -> None:
    file = analysed.folder / "file"
    file.write_text("in the way")
    ran = analysed("export", "--gap", worst_gap(analysed)["id"], "--out", file)
    assert ran.code == 1 and "choose another folder with --out" in ran.err


def test_an_eval_set_that_was_never_compared_keeps_its_items_out_too(analysed: Offmap) -> None:
    gap, out = worst_gap(analysed), analysed.folder / "out"
    before = analysed.done("export", "--gap", gap["id"], "--out", out, "--json").json
    leaked = json.loads(Path(before["path"]).read_text().splitlines()[0])["messages"][-2]["content"]
    items = analysed.folder / "more.jsonl"
    items.write_text(json.dumps({"item_id": "leak", "prompt": leaked.upper() + " !!"}) + "\n")
    analysed.done("evalset", "import", items, "--name", "more")
    after = analysed.done("export", "--gap", gap["id"], "--out", out, "--json").json
    assert after["examples"] < before["examples"]
    assert leaked not in [
        json.loads(line)["messages"][-2]["content"] for line in Path(after["path"]).read_text().splitlines()
    ]


def test_turns_that_are_forgotten_meanwhile_leave_no_export(analysed: Offmap, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion finds the exports that are recorded; this one is not yet when its turns go."""
    gap, out = worst_gap(analysed), analysed.folder / "out"
    read = export._members

    def members(store: Store, *rest: Any) -> Any:
        found = read(store, *rest)
        store.deletion.forget(turn=found.turns[0].turn_id, at=utc_now())
        return found

    monkeypatch.setattr(export, "_members", members)
    ran = analysed("export", "--gap", gap["id"], "--out", out)
    assert ran.code == 1 and "forgotten while they were exported" in ran.err
    assert list(out.iterdir()) == []
    monkeypatch.undo()
    analysed.done("export", "--gap", gap["id"], "--out", out)
