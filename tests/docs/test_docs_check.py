"""The docs tell the truth, and their check finds it when they do not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]


def load_check() -> ModuleType:
    """docs/check.py is a script beside the pages, not a module of a package."""
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


check = load_check()


@pytest.fixture
def commands() -> list[object]:
    app = typer.Typer()
    group = typer.Typer()

    @app.command()
    def gaps(limit: int = typer.Option(10, help="how many")) -> None:
        """Rank the gaps."""

    @group.command("import")
    def import_(file: Path, name: str = typer.Option(..., "--name", "-n", help="its name")) -> None:
        """Import an eval set."""

    app.add_typer(group, name="evalset")
    return list(check.commands_of(app))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "Makefile").write_text("demo: x ## try it\n\ttrue\n")
    (tmp_path / "README.md").write_text("# Top\n")
    return tmp_path


def test_the_docs_of_this_checkout_tell_the_truth() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "check.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_are_read_from_the_app(commands: list[object]) -> None:
    assert [command.name for command in commands] == ["offmap gaps", "offmap evalset import"]
    section = check.commands_section(commands)
    assert "## offmap evalset import\n\n`offmap evalset import FILE`\n\nImport an eval set." in section
    assert "| `--limit` | how many (default `10`) |" in section
    assert "| `--name` `-n` | its name (required) |" in section


def test_an_option_without_help_is_found(commands: list[object]) -> None:
    assert list(check.undocumented(commands)) == ["offmap evalset import file has no help"]


def test_every_setting_has_a_row_with_its_variable() -> None:
    section = check.settings_section()
    for setting in check.describe(check.Settings(), {}):
        assert f"| `{setting.name}` |" in section
    assert "| `store.path` | `OFFMAP_STORE` | `offmap.duckdb` |" in section
    assert "| `gaps.examples` | `OFFMAP_GAPS_EXAMPLES` | `5` | examples shown with a gap; from 1 to 50 |" in section


def test_a_stale_part_is_found_and_renewed(site: Path) -> None:
    page = site / "docs" / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    part = check.Part("docs/page.md", "x", "new")
    assert list(check.stale(site, [part])) == [
        "docs/page.md: the part x is out of date: run python docs/check.py --write"
    ]
    assert check.write(site, [part]) == ["docs/page.md"]
    assert page.read_text() == "before\n<!-- x -->\nnew\n<!-- /x -->\nafter\n"
    assert list(check.stale(site, [part])) == []
    assert check.write(site, [part]) == []


def test_absent_marks_are_found(site: Path) -> None:
    part = check.Part("README.md", "x", "new")
    assert list(check.stale(site, [part])) == ["README.md: the marks <!-- x --> and <!-- /x --> are absent"]


def test_links_must_lead_somewhere_in_the_repository(site: Path) -> None:
    page = site / "docs" / "page.md"
    page.write_text(
        "# A `b`, c!\n[ok](../README.md) [ok](../README.md#top) [ok](#a-b-c) [web](https://example.org/x)\n"
        "[no](absent.md) [no](../README.md#absent) [no](../../outside.md) `[code](absent)`\n```\n[code](absent)\n```\n"
    )
    assert list(check.broken_links(page, site)) == [
        "docs/page.md: link to absent.md: no such file in the repository",
        "docs/page.md: link to ../README.md#absent: the page has no such heading",
        "docs/page.md: link to ../../outside.md: no such file in the repository",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("make demo", None),
        ("TORCH_INDEX=https://x make demo SERVE=0", None),
        ("make dmeo", "the Makefile has no target dmeo"),
        (".venv/bin/offmap gaps --limit 3", None),
        ("OFFMAP_STORE=a offmap gaps --limit=3  # why", None),
        ("offmap gaps --limti 3", "offmap gaps has no option --limti"),
        ("offmap evalset import x.jsonl --name n", None),
        ("offmap evalset improt x.jsonl", "there is no command evalset improt"),
        ("python docs/check.py", "there is no docs/check.py"),
        ("git clone x", None),
        ("wget x", "wget is none of cd, curl, docker, export, git, make, offmap, pip, python"),
    ],
)
def test_console_commands_must_exist(site: Path, commands: list[object], line: str, problem: str | None) -> None:
    page = site / "README.md"
    page.write_text(f"```console\n$ {line}\noutput of it\n```\n")
    expected = [] if problem is None else [f"README.md: $ {line}: {problem}"]
    assert list(check.unknown_commands(page, site, commands)) == expected


def methods(**paragraphs: str) -> str:
    said = {"Meaning": "M.", "Formula": "F.", "Default": "D.", "Misses": "L.", "Source": "S."} | paragraphs
    return "".join(f"**{head}.** {text}\n\n" for head, text in said.items() if text)


def problems_of_methods(site: Path, commands: list[object], text: str) -> list[str]:
    (site / "docs" / "methods.md").write_text(text)
    return [one for one in check.problems(site, commands, []) if one.startswith("docs/methods.md")]


def test_every_section_of_the_methods_says_what_it_owes(site: Path, commands: list[object]) -> None:
    whole = (
        f"# Methods\n\nOf an engineer.\n\n## A test\n\n{methods(Formula='F.' + chr(10) * 2 + '**Interval.** Besides.')}"
    )
    assert problems_of_methods(site, commands, whole) == []
    rest = f"{whole}## A gap\n\n{methods(Default='', Source='')}### A part\n\n## A gate\n\nIt fails. **Misses.** Not here.\n"
    assert problems_of_methods(site, commands, rest) == [
        "docs/methods.md: A gap: no paragraph begins with **Default.**",
        "docs/methods.md: A gap: no paragraph begins with **Source.**",
        *(
            f"docs/methods.md: A gate: no paragraph begins with **{head}.**"
            for head in ("Meaning", "Formula", "Default", "Misses", "Source")
        ),
    ]


def test_the_heads_of_a_method_say_something_once_and_in_order(site: Path, commands: list[object]) -> None:
    empty = methods().replace("**Default.** D.", "**Default.**")
    twice = methods(Misses="L.\n\n**Misses.** More.")
    order = "**Source.** S.\n\n" + methods(Source="")
    text = f"## Empty\n\n{empty}## Twice\n\n{twice}## Order\n\n{order}"
    assert problems_of_methods(site, commands, text) == [
        "docs/methods.md: Empty: no paragraph begins with **Default.**",
        "docs/methods.md: Twice: two begin with **Misses.**",
        "docs/methods.md: Order: the order is Meaning, Formula, Default, Misses, Source, and not "
        "Source, Meaning, Formula, Default, Misses",
    ]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("`gaps.examples` (5)", None),
        ("`gaps.min_share` (0.0010; see below)", None),
        ("`analysis.time_zone` (UTC)", None),
        ("`ingest.redact` (false)", None),
        ("`ingest.batch_rows` (2,000)", None),
        ("`gaps.examples` (a few)", None),  # more than a word is prose
        ("`space.py` and `monitor.drift.movement`", None),
        ("`gaps.examples` (6)", "`gaps.examples` (6): its default is 5"),
        ("`ingest.redact` (true)", "`ingest.redact` (true): its default is false"),
        ("`gaps.exmaples`", "there is no setting gaps.exmaples"),
    ],
)
def test_settings_of_the_methods_exist_and_have_that_default(
    site: Path, commands: list[object], said: str, problem: str | None
) -> None:
    expected = [] if problem is None else [f"docs/methods.md: {problem}"]
    assert problems_of_methods(site, commands, f"## A\n\n{methods(Default=said)}") == expected


def test_a_benchmark_without_a_result_says_how_to_make_one(tmp_path: Path) -> None:
    assert (
        check.benchmark_section("topics", tmp_path)
        == "No result is committed yet: `python benchmarks/topics.py` makes one."
    )


def test_a_benchmark_shows_its_table(tmp_path: Path) -> None:
    (tmp_path / "scale.json").write_text('{"table": [{"method": "ours", "seconds": 1.0625, "texts": 22500}]}')
    assert check.benchmark_section("scale", tmp_path) == (
        "| method | seconds | texts |\n| --- | --- | --- |\n| ours | 1.06 | 22,500 |"
    )


def test_a_result_that_makes_no_table_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "coverage.json").write_text("{}")
    with pytest.raises(SystemExit, match="no table can be made of it"):
        check.benchmark_section("coverage", tmp_path)


def test_coverage_has_a_table_of_errors_and_one_of_what_is_found(tmp_path: Path) -> None:
    share = {
        "data": "D",
        "turns": 2400,
        "items_per_intent": 3,
        "offmap_of_all_covered": 97.2,
        "offmap_interval_holds": 0.88,
        "offmap_topic_interval_holds": 0.61,
        "offmap_open_topic_interval_holds": 0.52,
    }
    share |= {f"{name}_standard_error": 0.4 for name in ("offmap", "offmap_unlabelled")}
    share |= {f"{name}_error": 3.94 for name in ("offmap", "offmap_unlabelled", "quantile_0.7", "quantile_0.9")}
    found = {"data": "D", "turns": 2400, "items_per_intent": 3}
    found |= {
        f"{name}_{kind}": 0.5
        for name in (
            "nearest_item",
            "first_diffusion",
            "diffused",
            "told_labelled",
            "by_slice",
            "by_slice_told",
            "by_slice_labelled",
        )
        for kind in ("auroc", "ap")
    }
    (tmp_path / "coverage.json").write_text(json.dumps({"draws": 2, "table": [share], "finding": [found]}))
    shown = check.benchmark_section("coverage", tmp_path)
    assert "| D | 2,400 | 3 | 3.9 ± 0.4 | 3.9 ± 0.4 | 3.9 | 3.9 | 97 % | 88% | 61% | 52% |" in shown
    assert "| D | 2,400 | 3 |" + 7 * " 0.500 / 0.500 |" in shown


def test_drift_has_tables_of_power_level_attribution_and_cost(tmp_path: Path) -> None:
    names = (
        "combined",
        "nearest",
        "neighbours",
        "topic",
        "novelty",
        "distribution",
        "shares",
        "nearest_5_of_reference",
    )
    names += ("chi_square_50_clusters", "ks_20_components", "evidently", "evidently_at_0.55")
    power = {"data": "D", "change": "new", "part": 0.1, "turns": 100, **dict.fromkeys(names, 0.5)}
    power |= {"evidently_false_alarms_at_0.55": 0.16}
    level = {"data": "D", "turns": 5000, "draws": 400, **dict.fromkeys((*names, "energy", "classifier"), 0.05)}
    level["interval_95"] = {**{name: [0.031, 0.076] for name in (*names, "energy")}, "classifier": [0.0, 0.009]}
    names = ("first_topic_is_right", "first_topic_holds_most", "topics_agree", "first_word_is_right")
    names += ("first_5_words_right", "first_5_words_carry")
    of_draws = {"data": "D", "change": "grown", "part": 0.2, "turns": 100, **dict.fromkeys(names, 0.9)}
    carried = [{**of_draws, "with_power": 30}, {**of_draws, "with_power": 10, "first_word_is_right": 0.5}]
    peers = {"ours": 0.5, "exact_mmd_permuted_as_alibi_does": 15.0, "evidently_without_permutations": 1.0}
    cost = {
        "1000000_turns": {"against": 100_000, "seconds": 21.4, "peak_gib": 1.96},
        "on_3000_and_3000_turns_with_99_permutations_cpu_seconds": peers,
    }
    tables = {"power_table": [power], "level_table": [level], "attribution_table": carried, "cost": cost}
    (tmp_path / "drift.json").write_text(json.dumps(tables))
    shown = check.benchmark_section("drift", tmp_path)
    assert "| D | 10% are of 3 new intents | 100 | 0.50 |" in shown
    assert "| 0.50 (0.16) |" in shown
    assert "| D | 3 intents grow by 20% | 100 | 10 | 90% | 90% | 90% | 50% | 90% | 90% |" in shown
    # Each draw counts as much.
    assert "| D | all changes |  | 40 | 90% | 90% | 90% | 80% | 90% | 90% |" in shown
    assert "| D | 5,000 | 400 | 5.0% (3.1-7.6) |" in shown
    assert "| 5.0% (0.0-0.9) |" in shown
    assert "drawn: 1,000,000 turns against 100,000: 21 s, 2.0 GiB. Of 3,000" in shown
    assert "takes 30 times the CPU time" in shown and shown.endswith("permutes nothing, 2.0 times.")


def test_the_lookout_has_a_table_of_run_lengths_and_delays(tmp_path: Path) -> None:
    methods = ("offmap", "plug_in", "page_hinkley", "window_200")
    row = {"data": "D", "reference": 1500, "null": {one: {"run_length": 9697} for one in methods}}
    for change in ("new_10%_after_1000", "new_20%_after_1000", "popular_20%_after_1000", "new_10%_after_0"):
        row[change] = {one: {"median": None if one == "plug_in" else 1278, "seen": 0.37} for one in methods}
    told = {"offmap": {"median": 87, "seen": 1.0}}
    other = {"data": "D", "reference": 1500, "2_times_as_many_negatives": told, "3_times_as_many_negatives": told}
    other |= {"after_an_accepted_change": {"run_length": 11443}}
    found = {"table": [row], "replays": 200, "budget_turns": 5000, "others": [other]}
    (tmp_path / "always_on.json").write_text(json.dumps(found))
    shown = check.benchmark_section("always_on", tmp_path)
    assert "| D | 1,500 | offmap | 9,697 | 1,278 | 1,278 | 1,278 | 1,278 |" in shown
    assert "| D | 1,500 | e-detector, known rate | 9,697 | 37% | 37% | 37% | 37% |" in shown
    assert (
        "twice as many negative signals are told after 87 turns" in shown and "a false alarm comes in 11,443." in shown
    )


def test_alarms_have_a_table_of_false_ones_and_one_of_delays(tmp_path: Path) -> None:
    kinds = {"lookout": 0.25, "surges": 0.5, "comparisons": 0.0, "a_month": 0.75, "months_with_one": 0.5}
    month = {
        "data": "D",
        "rhythm": True,
        "months": 8,
        "one_budget": kinds,
        "each_on_its_own": kinds | {"surges": 3.125},
    }
    told = {"median_conversations": 14, "seen_in_a_week": 0.75}
    delay = {"data": "D", "conversations_a_day": 100, "new_a_day": 4, "replays": 8}
    delay |= {"one_budget": {"median_conversations": None, "seen_in_a_week": 0.38}, "each_on_its_own": told}
    (tmp_path / "alarms.json").write_text(json.dumps({"months": [month], "delays": [delay]}))
    shown = check.benchmark_section("alarms", tmp_path)
    assert "| D | by day and week | one budget | 0.25 | 0.50 | 0.00 | 0.75 |" in shown
    assert "| D | by day and week | each on its own | 0.25 | 3.12 | 0.00 | 0.75 |" in shown
    assert "| D | 4 of 104 | – (38%) | 14 (75%) |" in shown
    assert "the mean of 8 of 100 conversations a day" in shown and "of 8 replays" in shown


def test_the_command_has_a_table_of_its_cost(tmp_path: Path) -> None:
    row = {"turns": 1_100_000, "seconds": 40.4, "cpu_seconds": 33.6, "peak_gib": 2.25}
    (tmp_path / "drift_store.json").write_text(json.dumps({"rows": [row], "cpu_exponent": 0.71}))
    shown = check.benchmark_section("drift_store", tmp_path)
    assert "| 1,100,000 | 40 | 34 | 2.2 |" in shown
    assert "CPU time grows as n^0.71" in shown


def test_the_table_of_the_self_test_sets_what_was_said_beside_what_came_of_it() -> None:
    run = {
        "data": "CLINC150",
        "labelled": True,
        "smallest": 0.01,
        "hidden": [[0.02, True], [0.01, True], [0.01, False]],
    }
    run |= {"hidden_alone": [[0.02, True]], "missing": [[0.03, True], [0.02, False], [0.005, False]]}
    new = {"share": 0.02, "smallest": 0.01, "turns_before": 1000, "a_day": 100, "listed_after_days": 6}
    days = [new, new | {"listed_after_days": None}, new | {"share": 0.005}]
    said = check.BENCHMARKS["selftest"]({"runs": [run], "days": days})
    assert "| CLINC150 | labels | 1 | 1 of 1 (100%) | 2 of 3 (67%) | 67% | 1 of 3 (33%) | 1 of 2 (50%) |" in said
    assert "| CLINC150 | topics | 0 | none | none | none | none | none |" in said
    # 6 days at 2 of 100 turns are 12, of the 10 that were predicted, and of the five conversations.
    assert (
        "1 of 2 were listed in a new gap within 28 days" in said and "took 1.2 times" in said and "2.4 times." in said
    )
    assert "within 28 days" not in check.BENCHMARKS["selftest"]({"runs": [run], "days": []})
