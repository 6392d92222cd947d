"""Files as records: every kind, every way to be broken, and bounded memory."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_support import FIXTURES, NOW, clock, write_lines

from consumers import json_array
from consumers.decoders import DECODERS
from consumers.files import detect, open_file
from consumers.ingest import preview
from consumers.raw import MAX_RECORD, RawRecord
from monitor.errors import InputError


def records(path: Path, start: int = 0) -> list[RawRecord]:
    return list(open_file(path).records(start))


def test_lines_with_one_broken_and_one_in_another_encoding(tmp_path: Path) -> None:
    lines = [
        {"user_text": "a"},
        b'{"user_text": "b"',
        b"",
        b'{"user_text": "caf\xe9"}',
        b'{"user_text": "\\ud83d"}',
        {"user_text": "e"},
    ]
    found = records(write_lines(tmp_path / "x.jsonl", lines))
    assert [record.position for record in found] == [0, 1, 3, 4, 5]
    assert [record.reason for record in found] == [
        None,
        "not JSON: unexpected end of data at character 17: the record is cut",
        "not UTF-8: byte 0xe9 at byte 18 of the record",
        "not Unicode: a \\u escape near character 15 is half of a surrogate pair",
        None,
    ]
    assert found[2].payload == b'{"user_text": "caf\xe9"}'
    assert [record.position for record in records(tmp_path / "x.jsonl", start=4)] == [4, 5]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    for name, text in (
        ("x.jsonl", '{"user_text": "a"}'),
        ("x.json", '[{"user_text": "a"}]'),
        ("x.csv", "user_text\na\n"),
    ):
        path = tmp_path / name
        path.write_text("\ufeff" + text, "utf-8")
        assert [record.value for record in records(path)] == [{"user_text": "a"}]


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    body = b"".join(b'{"user_text": "number %d"}\n' % number for number in range(50_000))
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(body))
    assert len(records(path)) == 50_000
    path.write_bytes(gzip.compress(body)[:-5000])
    found = records(path)
    assert 1000 < len(found) < 50_000
    assert found[-1].reason is not None
    assert found[-1].reason.startswith("the gzip stream is damaged or cut here")
    path.write_bytes(b"\x1f\x8bnot gzip at all")
    with pytest.raises(InputError, match="looks like gzip and cannot be unpacked"):
        open_file(path)


def test_too_long_a_line_is_one_bad_record(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [b'{"user_text": "' + b"a" * MAX_RECORD + b'"}', {"user_text": "b"}])
    first, second = records(path)
    assert first.reason == "longer than 16 MiB; only its first 64 KiB are kept"
    assert (second.position, second.value) == (1, {"user_text": "b"})


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_is_cut_right_whatever_the_chunks(chunk: int, indent: int | None) -> None:
    values: list[Any] = [{"a": 'x"y\\', "b": [{"c": "]}{["}]}, {}, [], {"u": "\u00e9\\\\"}, 5, None, {"a": {"a": 1}}]
    stream = _Slow(json.dumps(values, indent=indent).encode(), chunk)
    assert [record.value for record in json_array.read_array(stream)] == values


class _Slow(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, chunk: int) -> None:
        super().__init__(data)
        self._chunk = chunk

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._chunk)


_values = st.dictionaries(
    st.text(max_size=5), st.text(max_size=10) | st.lists(st.text(max_size=5), max_size=3), max_size=4
)


@given(st.lists(_values, min_size=1, max_size=6), st.integers(1, 30))
def test_any_array_round_trips(values: list[dict[str, Any]], chunk: int) -> None:
    plain = [value for value in values if _is_unicode(value)]
    stream = _Slow(orjson.dumps(plain) + b"\n", chunk)
    assert [record.value for record in json_array.read_array(stream)] == plain


def _is_unicode(value: Any) -> bool:
    try:
        return bool(orjson.dumps(value))
    except TypeError:
        return False


def _part(number: int) -> dict[str, Any]:
    return {"id": f"c{number}_0", "conversations": [{"from": "human", "value": f"question {number}"}]}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"question 3"', '"question 3'),
        ('"question 3"}', '"question 3"'),
        ('"human", "value": "question 3"', "human"),
        ('"c3_0"', '"c3_0'),
    ],
)
def test_one_broken_element_costs_one_record(old: str, new: str, indent: int | None) -> None:
    text = json.dumps([_part(number) for number in range(8)], indent=indent)
    old, new = (old, new) if indent is None else (old.replace('"}', '"\n      }').replace(', "', ',\n        "'), new)
    assert old in text
    found = list(json_array.read_array(io.BytesIO(text.replace(old, new, 1).encode())))
    assert [record.position for record in found if record.reason] == [3]
    assert [record.value for record in found if not record.reason] == [
        _part(number) for number in range(8) if number != 3
    ]


def test_an_array_that_ends_early_or_late(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'[{"user_text": "a"}, ')
    assert [record.reason for record in records(path)] == [
        None,
        "the file ends before the array's closing bracket: it is cut",
    ]
    path.write_bytes(b'[{"user_text": "a"}]\n[{"user_text": "b"}]')
    assert [record.reason for record in records(path)][
        1
    ] == "something follows the array's closing bracket; it is not read"


def test_csv_cells_become_values(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "turn_id,user_text,latency_ms,rolled_back,created_at,metadata,shop,modalities\n"
        '7,"hi, ""you""\nthere",12.5,TRUE,2026-03-01,"{""a"": 1}",berlin,"[""text""]"\n'
        "8,ho,,,1772357400,,,\n"
        "9,slow,fast,,,,,\n"
        "10,too,few\n",
        "utf-8",
    )
    found = records(path)
    assert found[3].reason == "the row has 3 cells and the header 8"
    first, second, *_ = preview(path, clock=clock)
    assert (first.turn_id, first.user_text, first.latency_ms, first.rolled_back) == (
        "7",
        'hi, "you"\nthere',
        12.5,
        True,
    )
    assert (first.metadata, first.modalities) == ({"a": 1, "shop": "berlin"}, ["text"])
    assert (second.created_at, second.metadata, second.latency_ms) == (datetime(2026, 3, 1, 9, 30), None, None)
    assert len(preview(path, clock=clock)) == 2


def test_parquet_rows_are_read_as_the_same_turns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table(
        {
            "turn_id": [1, 2],
            "user_text": ["a", "b"],
            "created_at": pa.array([datetime(2026, 3, 1, 9), None], pa.timestamp("us", "UTC")),
            "cost_usd": pa.array([Decimal("0.25"), None], pa.decimal128(6, 2)),
            "modalities": [["text"], None],
            "metadata": ['{"a": 1}', None],
            "shop": ["x", None],
        }
    )
    pq.write_table(table, path)
    first, second = preview(path, clock=clock)
    assert (first.turn_id, first.created_at, first.cost_usd) == ("1", datetime(2026, 3, 1, 9), 0.25)
    assert (first.modalities, first.metadata) == (["text"], {"a": 1, "shop": "x"})
    assert (second.created_at, second.metadata) == (
        NOW,
        {"time_note": "created_at: missing; the record's arrival stands in"},
    )
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        detect(path)


def test_formats_are_detected() -> None:
    assert detect(FIXTURES / "turns.jsonl") == "offmap"
    assert detect(FIXTURES / "openai_chat.jsonl") == "openai-chat"
    assert detect(FIXTURES / "sharegpt_cut.json") == "sharegpt"


def test_a_broken_first_line_hides_no_format(tmp_path: Path) -> None:
    assert detect(write_lines(tmp_path / "x.jsonl", [b"[broken", b"{", {"user_text": "a"}])) == "offmap"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "is empty: there is nothing to ingest"),
        ("x.jsonl", b"\n \n", "is empty"),
        ("x.jsonl", b"\xff\xfe{\x00", "is UTF-16: convert it, for example with `iconv"),
        ("x.jsonl", b"hello\nworld\n", "holds no readable record; the first, record 1: not JSON"),
        (
            "x.jsonl",
            b'{"prompt": "a"}\n',
            f"tried {', '.join(one.name for one in DECODERS)}; the fields of its records are prompt; is prompt the user",
        ),
        ("x.json", b"[]", "holds no records"),
        (
            "x.csv",
            b"usertext,b\n1,2\n",
            "has no column user_text: rename usertext to user_text; its columns with values are usertext, b",
        ),
        ("x.csv", b"question,b\n1,2\n", "rename question to user_text"),
        ("x.csv", b"user_text\ncaf\xe9\n", "is not UTF-8: byte 0xe9 at byte 13; convert it, for example with `iconv"),
        ("x.csv", b"a,b\n", "holds no records"),
        ("x.parquet", b"PAR1 no parquet", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_none_says_what_to_do(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        detect(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "traffic.jsonl").touch()
    with pytest.raises(InputError, match=r"does not exist: check the name; did you mean .*traffic.jsonl"):
        open_file(tmp_path / "trafic.jsonl")
    with pytest.raises(InputError, match="is not a file: name the files in it"):
        open_file(tmp_path)


MEASURE = """
import resource, sys
from pathlib import Path
from consumers.decoders import Defaults, decoder_named
from consumers.files import detect, open_file
from monitor.records import Coordinates
from datetime import datetime
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decoder, turns = decoder_named(detect(path)), 0
for record in open_file(path).records():
    place = Coordinates("s", "p", record.position)
    turns += len(decoder.decode(record.value, place, Defaults(datetime(2026, 1, 1))).turns)
print(turns, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_sixty_megabytes_of_sharegpt_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    with path.open("w", encoding="utf-8") as out:
        out.write("[\n")
        for number in range(6500):
            value = f'answer \\"{number}\\" ' * 600
            out.write(
                f'{"," if number else ""}\n  {{\n    "id": "c{number}_0",\n    "conversations": [\n'
                f'      {{"from": "human", "value": "q{number}"}},\n'
                f'      {{"from": "gpt", "value": "{value}"}}\n    ]\n  }}'
            )
        out.write("\n]\n")
    assert path.stat().st_size > 60_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    turns, megabytes = map(int, done.stdout.split())
    assert turns == 6500
    assert megabytes < 60
