"""The export: its lines, its manifest, what never leaves, and that no half of a file stays."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finetune_turns import encode, turn_of

from consumers.decoders import decoder_named
from consumers.decoders.decoder import Defaults
from monitor import __version__
from monitor.errors import OffmapError, UsageError
from monitor.finetune.export import Export, ExportRequest, export_slice
from monitor.finetune.formats import FORMATS
from monitor.records import Coordinates, Turn, Window
from monitor.settings import ExportSettings

FACTS = {"atlas_id": "a1", "encoder": "hashing-128@1", "eval_sets": [{"name": "sample", "version": "v1"}]}
WINDOW = Window(datetime(2026, 3, 1), datetime(2026, 3, 8))
NOON = datetime(2026, 3, 9, 12)

TEXTS = [
    "how do I bleed a radiator",
    "my thermostat shows an error",
    "where is the nearest charging station",
    "can I pay by card at the door",
    "please write to ann@example.org about my bill",
]


def _turns() -> list[Turn]:
    return [turn_of(number, text) for number, text in enumerate(TEXTS)]


def _request(out: Path, **changes: Any) -> ExportRequest:
    request = ExportRequest("gap1a2b", "radiator, bleed", {"topic": "t1"}, WINDOW, "openai-chat", out)
    return replace(request, **changes)


def _export(
    out: Path,
    turns: list[Turn] | None = None,
    *,
    evals: tuple[str, ...] = (),
    context: dict[int, list[Turn]] | None = None,
    settings: ExportSettings | None = None,
    **changes: Any,
) -> Export:
    turns = _turns() if turns is None else turns
    return export_slice(
        _request(out, **changes),
        turns,
        context or {},
        encode([turn.user_text for turn in turns]),
        evals,
        encode(evals) if evals else np.empty((0, 128), np.float32),
        settings or ExportSettings(),
        FACTS,
        lambda: NOON,
    )


def _lines(export: Export) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export.path.read_bytes().splitlines()]


def _asked(export: Export) -> list[str]:
    return [line["messages"][-2]["content"] for line in _lines(export)]


def test_lines_and_manifest(tmp_path: Path) -> None:
    export = _export(tmp_path / "out", evals=("Where is the nearest charging station?",))
    assert export.path == tmp_path / "out" / "gap1a2b.jsonl"
    assert export.manifest_path == tmp_path / "out" / "gap1a2b.manifest.json"
    assert _lines(export)[0] == {
        "messages": [
            {"role": "user", "content": "how do I bleed a radiator"},
            {"role": "assistant", "content": "Like this."},
        ]
    }
    manifest = json.loads(export.manifest_path.read_text())
    assert manifest == json.loads(export.manifest)
    assert manifest == {
        **FACTS,
        "offmap": __version__,
        "slice": "gap1a2b",
        "label": "radiator, bleed",
        "query": {"topic": "t1"},
        "window": {"start": "2026-03-01T00:00:00", "end": "2026-03-08T00:00:00"},
        "format": "openai-chat",
        "counts": {
            "slice": 5,
            "has_reply": 5,
            "not_failed": 5,
            "distinct": 5,
            "not_near_duplicate": 5,
            "not_in_eval_set": 4,
        },
        "near_duplicate": 0.95,
        "examples": 4,
        "sha256": hashlib.sha256(export.path.read_bytes()).hexdigest(),
        "redacted": True,
        "redactions": {"email": 1},
        "created_at": "2026-03-09T12:00:00",
        "turn_ids": ["c0-0", "c1-0", "c3-0", "c4-0"],
    }
    assert export.sha256 == manifest["sha256"]
    assert export.count == len(export.turn_keys) == 4


@pytest.mark.parametrize(
    "leak",
    [
        "HOW LONG DOES A HEAT PUMP DEFROST IN WINTER",
        "how long does a heat-pump defrost, in winter?!",
        "how long does a heat pump usually defrost in winter",
        "Hello. How long does a heat pump defrost in winter? Mine has done so since this morning and I am worried.",
    ],
)
def test_an_eval_item_in_the_traffic_does_not_leave(tmp_path: Path, leak: str) -> None:
    turns = [*_turns(), turn_of(9, leak)]
    export = _export(tmp_path, turns, evals=("How long does a heat pump defrost in winter?",))
    assert leak not in _asked(export)
    assert export.count == len(TEXTS)
    assert "defrost" not in export.path.read_text().lower()


def test_the_same_input_in_another_order_gives_the_same_bytes(tmp_path: Path) -> None:
    first = _export(tmp_path / "a")
    shuffled = _turns()
    random.Random(3).shuffle(shuffled)
    second = _export(tmp_path / "b", shuffled)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256
    assert first.export_id != second.export_id, "another file is another export"
    assert first.export_id == _export(tmp_path / "a").export_id


def test_secrets_leave_neither_in_messages_nor_in_the_manifest(tmp_path: Path) -> None:
    turn = replace(
        turn_of(0, "I am bob@example.org, call +49 30 901820"),
        assistant_text="Hello bob@example.org",
        system_prompt="Operator: eve@example.org",
        turn_id="carol@example.org",
    )
    before = [turn_of(7, "card 4111 1111 1111 1111")]
    export = _export(tmp_path, [turn], context={turn.key: before}, label="dave@example.org")
    written = export.path.read_text() + export.manifest_path.read_text()
    assert not [secret for secret in ("@example.org", "901820", "4111") if secret in written]
    assert json.loads(export.manifest)["redactions"] == {"card": 1, "email": 3, "phone": 1}
    plain = _export(tmp_path, [turn], settings=ExportSettings(redact=False))
    assert "bob@example.org" in plain.path.read_text()
    assert json.loads(plain.manifest)["redactions"] == {}


def test_earlier_turns_are_context_and_are_not_learnt(tmp_path: Path) -> None:
    turn = replace(turn_of(3, "and in winter?"), system_prompt="Be brief.")
    before = [turn_of(0, "what is the day rate", reply="12 cents."), turn_of(1, "hello?", reply=None)]
    export = _export(tmp_path, [turn], context={turn.key: before})
    assert _lines(export) == [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "what is the day rate"},
                {"role": "assistant", "content": "12 cents.", "weight": 0},
                {"role": "user", "content": "and in winter?"},
                {"role": "assistant", "content": "Like this."},
            ]
        }
    ]


def test_failed_turns_stay_out(tmp_path: Path) -> None:
    turns = _turns()
    export = export_slice(
        _request(tmp_path),
        turns,
        {},
        encode(TEXTS),
        (),
        np.empty((0, 128), np.float32),
        ExportSettings(),
        FACTS,
        lambda: NOON,
        failed=[turns[0].key],
    )
    assert TEXTS[0] not in _asked(export)


@pytest.mark.parametrize("name", FORMATS)
def test_offmap_reads_what_it_wrote(tmp_path: Path, name: str) -> None:
    export = _export(tmp_path, format=name)
    decoder = decoder_named(name)
    defaults = Defaults(now=NOON)
    read = [
        turn
        for position, line in enumerate(_lines(export))
        for turn in decoder.decode(line, Coordinates("file:x", "0", position), defaults).turns
    ]
    assert [turn.user_text for turn in read] == _asked(export)
    assert {turn.assistant_text for turn in read} == {"Like this."}


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'openai_chat': did you mean openai-chat"):
        _export(tmp_path, format="openai_chat")
    with pytest.raises(UsageError, match="known are openai-chat"):
        _export(tmp_path, format="zzzz")


def test_no_example_left_writes_nothing_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(OffmapError, match=r"slice 1, has_reply 0.* nothing was written"):
        _export(tmp_path / "out", [turn_of(0, "hi", reply=None)])
    assert not (tmp_path / "out").exists()


def test_names_of_files_come_from_ids_and_stay_in_the_folder(tmp_path: Path) -> None:
    one = _export(tmp_path / "out", slice_id="../../etc/passwd")
    other = _export(tmp_path / "out", slice_id="..-..-etc-passwd")
    for export in (one, other):
        assert export.path.parent == tmp_path / "out"
    assert one.path != other.path
    assert len(_export(tmp_path / "out", slice_id="é" * 300).path.name) < 120


def test_an_earlier_export_is_replaced_and_what_a_killed_one_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".gap1a2b.jsonl.4242.part"
    left.write_text("half")
    (tmp_path / "gap1a2b.jsonl").write_text("old")
    export = _export(tmp_path)
    assert export.path.read_text() != "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gap1a2b.jsonl", "gap1a2b.manifest.json"]


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OffmapError, match=r"cannot write the export to .*out.*--out"):
        _export(tmp_path / "out")


_FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import test_export
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
test_export._export(Path({out!r}))
"""


@pytest.mark.skipif(os.name != "posix", reason="the limit on the size of files is POSIX")
def test_a_full_disk_leaves_the_earlier_export_whole(tmp_path: Path) -> None:
    export = _export(tmp_path)
    before = export.path.read_bytes(), export.manifest_path.read_bytes()
    here = Path(__file__).parent
    script = _FULL_DISK.format(root=str(here.parents[1]), here=str(here), out=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "cannot write the export" in done.stderr
    assert (export.path.read_bytes(), export.manifest_path.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [export.path.name, export.manifest_path.name]
