"""`offmap config show`."""

from __future__ import annotations

from cli_support import Offmap

from monitor.settings import Settings, describe


def test_each_setting_is_shown_with_its_source(offmap: Offmap) -> None:
    shown = offmap.done("config", "show", "--json", OFFMAP_ATLAS_SEED="7").json["settings"]
    assert [one["name"] for one in shown] == [one.name for one in describe(Settings(), {})]
    by_name = {one["name"]: one for one in shown}
    assert by_name["store.path"]["source"] == "OFFMAP_STORE"
    assert by_name["encoder.kind"] == {
        "name": "encoder.kind",
        "value": "hashing",
        "source": str(offmap.folder / "settings.toml"),
        "meaning": "which encoder makes the vectors",
        "secret": False,
    }
    assert (by_name["atlas.seed"]["value"], by_name["atlas.seed"]["source"]) == (7, "OFFMAP_ATLAS_SEED")
    assert by_name["gaps.examples"]["source"] == "default"


def test_the_command_line_wins(offmap: Offmap) -> None:
    shown = offmap.done("config", "show", "--json", "--store", "other.duckdb").json["settings"]
    assert {"name": "store.path", "value": "other.duckdb", "source": "command line"}.items() <= shown[0].items()


def test_secrets_are_masked(offmap: Offmap) -> None:
    secret = "https://hooks.slack.com/services/T0/B0/verysecret"
    for form in ((), ("--json",)):
        ran = offmap.done("config", "show", *form, OFFMAP_SLACK_WEBHOOK=secret)
        assert "verysecret" not in ran.out + ran.err
        assert "hidden" in ran.out


def test_the_table_lists_all(offmap: Offmap) -> None:
    ran = offmap.done("config", "show")
    for setting in describe(Settings(), {}):
        assert setting.name in ran.out
