"""`offmap backup` and `offmap restore`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_support import Offmap


@pytest.mark.slow
def test_a_store_comes_back_without_what_was_forgotten(analysed: Offmap, tmp_path: Path) -> None:
    before = analysed.done("gaps", "--json").json["gaps"]
    made = analysed.done("backup", tmp_path / "b", "--json").json
    assert made["turns"] == 480 and Path(made["path"]).stat().st_size == made["bytes"]
    assert "480 turns" in analysed.done("backup", tmp_path / "c").out
    analysed.done("forget", "--user", "u7", "--yes")
    again = analysed("restore", made["path"])
    assert again.code == 2 and "add --replace" in again.err
    ran = analysed.done("restore", made["path"], "--replace")
    assert "holds 472 turns of the backup" in ran.out and "Forgotten again" in ran.out and "replaced-1" in ran.out
    assert [gap["id"] for gap in analysed.done("gaps", "--json").json["gaps"]] == [gap["id"] for gap in before]
    forgot = analysed.done("forget", "--user", "u8", "--yes", "--json").json
    assert [Path(copy).name for copy in forgot["copies"]] == ["store.duckdb.replaced-1"], "it still holds everything"


@pytest.mark.slow
def test_a_backup_that_becomes_another_store_needs_the_log_of_the_first(analysed: Offmap, tmp_path: Path) -> None:
    made = analysed.done("backup", tmp_path / "b", "--json").json["path"]
    analysed.done("forget", "--user", "u7", "--yes")
    log, other = f"{analysed.store}.deletions", tmp_path / "other.duckdb"
    assert analysed.done("restore", made, "--store", tmp_path / "plain.duckdb", "--json").json["forgotten"] == 0
    assert analysed.done("restore", made, "--store", other, "--deletions", log, "--json").json["forgotten"] == 8
    for wrong, why in ((tmp_path / "none", "cannot be read"), (made, "is no deletion log")):
        ran = analysed("restore", made, "--store", tmp_path / "third.duckdb", "--deletions", wrong)
        assert ran.code == 2 and why in ran.err


def test_what_cannot_be_restored_says_why(offmap: Offmap, tmp_path: Path) -> None:
    ran = offmap("restore", tmp_path / "nothing.duckdb")
    assert ran.code == 2 and ran.err == f"Error: there is no backup {tmp_path / 'nothing.duckdb'}\n"
    (tmp_path / "bad").write_bytes(b"")
    ran = offmap("restore", tmp_path / "bad", "--json")
    assert ran.code == 1 and "is no backup of a store" in ran.err and not offmap.store.exists()
    assert offmap("backup", tmp_path / "b").code == 1, "there is no store"
