"""Import of eval sets: the shapes that people have, and every way to have none."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from monitor.errors import InputError, UsageError
from monitor.evalsets.importer import import_eval_set, read_items, version_of
from monitor.records import EvalItem
from monitor.store import Store

FIXTURES = Path(__file__).parents[1] / "fixtures"


def write(path: Path, *records: Any) -> Path:
    path.write_bytes(b"\n".join(record if isinstance(record, bytes) else orjson.dumps(record) for record in records))
    return path


def test_the_known_shapes() -> None:
    draft = read_items(FIXTURES / "evalset_shapes.jsonl")
    assert draft.skipped == ()
    own, chat, lone, bench, arena, instruct, alpaca = draft.items
    assert own == EvalItem(
        item_id="e1", prompt="where is my parcel", reference="On its way.", label="track_parcel", tags=("delivery",)
    )
    assert (chat.prompt, chat.reference, len(chat.messages)) == ("and the second?", "Tomorrow.", 4)
    assert chat.messages[-1] == {"role": "user", "content": "and the second?"}
    assert (lone.prompt, lone.messages) == ("just one question", ())
    assert (bench.item_id, bench.prompt, bench.tags) == ("81", "Write a poem about rain.", ("writing",))
    assert [message["content"] for message in bench.messages] == ["Write a poem about rain.", "Now shorter."]
    assert (bench.label, bench.reference) == (None, "Rain falls.")
    assert (arena.prompt, arena.tags, arena.messages) == ("Solve it.", ("arena", "Puzzles"), ())
    assert (instruct.item_id, instruct.prompt, instruct.reference) == ("seed_0", "Sum up.\n\nLong text.", "Short.")
    assert (alpaca.prompt, alpaca.reference) == ("Say hi.", "Hi.")


@pytest.mark.parametrize("form", ["array", "gzip", "csv"])
def test_other_files_of_the_same_items(tmp_path: Path, form: str) -> None:
    items = [
        {"item_id": "e1", "prompt": 'a, "b"\nc', "label": "x", "tags": ["t", "u"]},
        {"item_id": "e2", "prompt": "d"},
    ]
    expected = read_items(write(tmp_path / "plain.jsonl", *items))
    if form == "array":
        path = write(tmp_path / "x.json", orjson.dumps(items, option=orjson.OPT_INDENT_2))
    elif form == "gzip":
        path = tmp_path / "x.jsonl.gz"
        path.write_bytes(gzip.compress((tmp_path / "plain.jsonl").read_bytes()))
    else:
        path = tmp_path / "x.csv"
        path.write_text('item_id,prompt,label,tags,note\ne1,"a, ""b""\nc",x,t;u,n\ne2,d,,,\n', "utf-8")
    draft = read_items(path)
    assert draft.items == expected.items
    assert draft.version == expected.version


def test_items_without_ids_are_told_apart_by_content(tmp_path: Path) -> None:
    draft = read_items(
        write(tmp_path / "x.jsonl", {"prompt": "a"}, {"prompt": "b"}, {"prompt": "a"}, {"prompt": "a", "label": "l"})
    )
    assert len(draft.items) == len({item.item_id for item in draft.items}) == 3
    assert draft.duplicates == 1


def test_the_version_is_the_items(tmp_path: Path) -> None:
    one, two = EvalItem(item_id="1", prompt="a"), EvalItem(item_id="2", prompt="b")
    assert version_of((one, two)) == version_of((two, one))
    assert version_of((one,)) != version_of((one, two))


def test_blank_prompts_are_left_out_and_said(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl",
        {"prompt": "a"},
        {"prompt": " "},
        {"note": 1},
        {"messages": [{"role": "system", "content": "x"}]},
    )
    draft = read_items(path)
    assert [item.prompt for item in draft.items] == ["a"]
    assert draft.skipped == (
        "line 2: the prompt is blank",
        "line 3: no prompt: its fields are note",
        "line 4: messages: no user message with a text",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: an eval set needs at least one item"),
        (b"[]", "holds no eval items"),
        (b'{"prompt": "a"}\n{"prompt": "b"', "line 2: not JSON"),
        (
            b'{"question": "a"}\n',
            "holds no prompts: an item needs one of prompt, messages, turns, instruction, "
            "and the fields of these are question; rename question to prompt",
        ),
        (b'{"promt": "a"}\n', "rename promt to prompt"),
        (
            b'{"prompt": ""}\n{"prompt": " "}\n',
            "holds no prompts: line 1: the prompt is blank; line 2: the prompt is blank",
        ),
        (b'{"prompt": 5}\n', "line 1: prompt: expected a text, got int"),
        (b'{"prompt": "a", "tags": 5}\n', "line 1: tags: expected a list of texts"),
        (
            b'{"item_id": "e1", "prompt": "a"}\n{"item_id": "e1", "prompt": "b"}\n',
            "line 2: item_id 'e1' names two different items",
        ),
        (b'"text"\n', "line 1: an eval item is an object, and this is str"),
        (b'{"prompt": "caf\xe9"}', "is not UTF-8: byte 0xe9 at byte 15"),
        (b'{"messages": [{"role": "ghost"}]}', "line 1: messages[0]: expected an object with a role of system"),
        (b"\x1f\x8bno gzip", "cannot be read"),
    ],
)
def test_no_eval_set_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_items(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_csv_without_prompts(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("question,label\na,b\n", "utf-8")
    with pytest.raises(InputError, match="rename question to prompt"):
        read_items(path)
    path.write_text("prompt,label\n,b\n", "utf-8")
    with pytest.raises(InputError, match="line 2: the prompt is blank"):
        read_items(path)
    path.write_text("prompt,label\na,b,c\n", "utf-8")
    with pytest.raises(InputError, match="line 2: the row has more or fewer cells than the header"):
        read_items(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_items(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read_items(tmp_path)


def test_import_is_stored_once(tmp_path: Path) -> None:
    path = FIXTURES / "evalset_shapes.jsonl"
    now = datetime(2026, 3, 1)
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        first = import_eval_set(store, path, "support", lambda: now)
        again = import_eval_set(store, path, "support", lambda: datetime(2026, 4, 1))
        assert (first.new, again.new) == (True, False)
        loaded = store.eval_sets.load("support")
        assert loaded == first.eval_set
        with pytest.raises(UsageError, match="blank"):
            import_eval_set(store, path, " ", lambda: now)
