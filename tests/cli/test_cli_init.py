"""`offmap init`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from cli_support import Offmap

from monitor.cli.config import config_text
from monitor.settings import Settings, describe, load


def at(offmap: Offmap, config: Path) -> Offmap:
    return Offmap(offmap.folder, {**offmap.environment, "OFFMAP_CONFIG": str(config)})


def test_init_writes_the_settings_and_makes_the_store(offmap: Offmap, tmp_path: Path) -> None:
    config = tmp_path / "offmap.toml"
    ran = at(offmap, config).done("init", "--json")
    assert ran.json == {"config": str(config), "written": True, "store": str(offmap.store), "turns": 0}
    assert tomllib.loads(config.read_text())["store"] == {"path": str(offmap.store)}
    assert offmap.store.exists()


def test_init_leaves_what_exists_as_it_is(offmap: Offmap, tmp_path: Path) -> None:
    config = tmp_path / "offmap.toml"
    config.write_text("[ingest]\nbatch_rows = 7\n")
    ran = at(offmap, config).done("init")
    assert "is there already: left as it is" in ran.out
    assert config.read_text() == "[ingest]\nbatch_rows = 7\n"
    assert at(offmap, config).done("init", "--json").json["written"] is False


def test_init_takes_the_store_of_the_command_line(offmap: Offmap, tmp_path: Path) -> None:
    config, store = tmp_path / "offmap.toml", tmp_path / 'with "quotes".duckdb'
    offmap.done("--config", config, "init", "--store", store)
    assert tomllib.loads(config.read_text())["store"]["path"] == str(store)
    assert store.exists() and not offmap.store.exists()


def test_every_commented_setting_can_be_switched_on(tmp_path: Path) -> None:
    text = config_text("a.duckdb")
    switched_on = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    assert switched_on.count("\n# ") < text.count("\n# ")
    file = tmp_path / "offmap.toml"
    file.write_text(switched_on)
    settings, _ = load({}, file=file)
    assert settings == Settings().with_value("store.path", "a.duckdb", source="test")


def test_every_setting_is_in_the_file() -> None:
    text = config_text("a.duckdb")
    for setting in describe(Settings(), {}):
        section, _, key = setting.name.partition(".")
        part = text.partition(f"[{section}]")[2].partition("\n[")[0]
        assert setting.meaning in part
        assert f"{key} = " in part or (setting.secret and key.upper() in part)
