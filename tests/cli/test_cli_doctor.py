"""`offmap doctor`."""

from __future__ import annotations

import re
from pathlib import Path

from cli_support import Offmap, in_folder
from cli_traffic import write_log

from tests.encoding.embeddings_server import embeddings_server


def states(offmap: Offmap, **variables: str) -> dict[str, str]:
    ran = offmap("doctor", "--json", **variables)
    import json

    return {check["name"]: check["state"] for check in json.loads(ran.out)["checks"]}


def test_all_is_well(built: Offmap) -> None:
    ran = built.done("doctor", "--json").json
    assert ran["ok"] is True
    for check in ran["checks"]:
        assert set(check) == {"name", "state", "detail", "remedy"}
        assert check["state"] in ("OK", "WARN")
    details = {check["name"]: check["detail"] for check in ran["checks"]}
    assert (
        "480 turns" in details["store"] and "last analysed" in details["store"] and "schema version" in details["store"]
    )
    assert "hashing-128" in details["encoder"] and "GB free" in details["disk"] and "duckdb " in details["packages"]
    assert all(line.startswith(("OK ", "WARN ", " ")) for line in built.done("doctor").out.splitlines())


def test_a_missing_store_is_no_failure(offmap: Offmap) -> None:
    ran = offmap.done("doctor")
    assert "WARN" in ran.out and "-> offmap init" in ran.out
    assert not offmap.store.exists()


def test_a_bad_setting_fails_and_the_environment_is_still_checked(offmap: Offmap) -> None:
    ran = offmap("doctor", OFFMAP_ATLAS_SEED="many")
    assert ran.code == 1 and "FAIL  settings" in ran.out and "atlas.seed" in ran.out and "OK    python" in ran.out
    assert ran.err == "Error: 1 check failed: settings\n"


def test_a_file_that_is_no_store_fails(tmp_path: Path) -> None:
    offmap = in_folder(tmp_path)
    offmap.store.write_bytes(b"not a store " * 1000)
    assert states(offmap)["store"] == "FAIL"
    assert offmap("doctor").code == 1


def test_an_encoder_that_cannot_be_made_fails(offmap: Offmap) -> None:
    variables = {"OFFMAP_ENCODER_KIND": "sentence-transformers", "OFFMAP_ENCODER_MODEL": "/nowhere/at-all"}
    ran = offmap("doctor", **variables)
    assert ran.code == 1 and "FAIL  encoder" in ran.out


def test_another_encoder_than_the_atlas_is_said(tmp_path: Path) -> None:
    offmap = in_folder(tmp_path)
    offmap.done("ingest", write_log(tmp_path / "log.jsonl", conversations=40))
    offmap.done("analyse")
    assert "remain to be encoded" not in offmap.done("doctor").out
    with embeddings_server() as server:
        other = {
            "OFFMAP_ENCODER_KIND": "openai",
            "OFFMAP_ENCODER_URL": server.url,
            "OFFMAP_ENCODER_MODEL": "small",
            "OFFMAP_ENCODER_ALLOW_PRIVATE": "true",
        }
        said = offmap.done("doctor", **other).out
        found = re.search(r"WARN  encoder +.*hashing-128@1 .* small@127.*; ([\d,]+) of ([\d,]+) texts remain", said)
        assert found is not None and found[1] == found[2] and "-> offmap analyse" in said
        offmap.done("analyse", **other)
        assert "remain to be encoded" not in offmap.done("doctor", **other).out
    assert (
        "published atlas was made with small@127" in offmap.done("doctor").out and "0 of" in offmap.done("doctor").out
    )
