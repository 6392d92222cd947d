"""Rules that keep turns out of the traffic: what they say, what they mark, and that every reader leaves it out."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import keep_out
from monitor.errors import SettingError
from monitor.keep_out import KeepOut, parse_rules
from monitor.records import EvalItem, EvalSet, Window
from monitor.settings import Settings, describe, load
from monitor.store import Store
from monitor.store.kept_out import RuleCount
from tests.store.conftest import NOON, make_turn
from tests.store.test_statistics import DAY, assign

PRODUCTION = ("production",)
ITEMS = [f"how do I read meter {number}" for number in range(8)]


def ids(store: Store, environments: tuple[str, ...] | None = PRODUCTION) -> set[str]:
    table = store.turns.read(environments=environments, columns=["turn_id"])
    return set(table.column("turn_id").to_pylist())


def kept(store: Store, *rules: Any) -> set[str]:
    """What the rules keep out of three: `no`, which fits nothing, and those that fit."""
    store.kept_out.mark(parse_rules(list(rules)))
    return ids(store, None) - ids(store)


def test_the_examples_hold() -> None:
    assert doctest.testmod(keep_out).failed == 0


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ({"app": "playground"}, {"app": "playground"}),
        ({"environment": "prod*"}, {"environment": "production"}),
        ({"tenant": ["a", "b"]}, {"tenant": "b"}),
        ({"user_id": "eval-*"}, {"user_id": "eval-"}),
        ({"conversation_id": "*-run"}, {"conversation_id": "nightly-run"}),
        ({"model": "a*c*e"}, {"model": "abcde"}),
        ({"provider": "x"}, {"provider": "x"}),
        ({"prompt_version": "7"}, {"prompt_version": "7"}),
        ({"prompt_template": "T"}, {"prompt_template": "T"}),
        ({"metadata": {"run": "eval-*"}}, {"metadata": {"run": "eval-7"}}),
        ({"metadata": {"run": {"kind": "ci"}}}, {"metadata": {"run": {"kind": "ci"}}}),
        ({"metadata": {"a/b~.\"'": "x"}}, {"metadata": {"a/b~.\"'": "x"}}),
        ({"metadata": {"synthetic": True, "n": 3}}, {"metadata": {"synthetic": True, "n": 3}}),
        ({"app": "x", "user_id": "ann"}, {"app": "x", "user_id": "ann"}),
        ({"app": "100%_\\*"}, {"app": "100%_\\ is"}),
        ({"app": "x'; DROP TABLE turns; --"}, {"app": "x'; DROP TABLE turns; --"}),
    ],
)
def test_each_field(store: Store, rule: dict[str, Any], fields: dict[str, Any]) -> None:
    near = {name: "eval" if name == "user_id" else "100x_\\ is" for name in fields if name != "metadata"}
    if "metadata" in fields:
        near["metadata"] = {"run": "prod", "synthetic": False, "n": 33}  # type: ignore[assignment]
    store.turns.append([make_turn("yes", **fields), make_turn("none"), make_turn("no", **near)])
    # "production" is what counts; what names another environment is not traffic whatever the rules say.
    assert kept(store, rule) - {"no"} == {"yes"} or "environment" in fields
    assert "none" in ids(store)
    assert ("no" in ids(store)) == ("environment" not in near)
    assert store.kept_out.by_rule() == [RuleCount(str(parse_rules([rule])[0]), 1)]


def test_one_field_of_two_is_not_enough_and_the_first_rule_counts(store: Store) -> None:
    store.turns.append(
        [
            make_turn("both", app="x", user_id="ann"),
            make_turn("app", app="x", user_id="bob", created_at=NOON + DAY),
            make_turn("user", app="y", user_id="ann"),
        ]
    )
    assert kept(store, {"app": "x", "user_id": "ann"}) == {"both"}
    assert kept(store, {"app": "x", "user_id": "ann"}, {"app": "x"}) == {"both", "app"}
    assert store.kept_out.by_rule() == [RuleCount('app = "x"', 1), RuleCount('app = "x", user_id = "ann"', 1)]
    assert store.kept_out.by_rule(Window(NOON, NOON + DAY)) == [RuleCount('app = "x", user_id = "ann"', 1)]
    # The order of rules decides which one a turn counts for.
    assert kept(store, {"app": "x"}, {"app": "x", "user_id": "ann"}) == {"both", "app"}
    assert store.kept_out.by_rule() == [RuleCount('app = "x"', 2)]


def test_a_rule_that_goes_lets_its_turns_count_again(store: Store) -> None:
    store.turns.append([make_turn("a", app="x"), make_turn("b")])
    assert kept(store, {"app": "x"}) == {"a"}
    assert kept(store) == set()
    assert store.kept_out.by_rule() == []


def test_every_reader_of_traffic_leaves_them_out(store: Store) -> None:
    turns = [make_turn("in"), make_turn("out", app="x")]
    store.turns.append(turns)
    store.vectors.note_texts("text", [turn.key for turn in turns], [b"1" * 16, b"2" * 16])
    assign(store, [])
    store.kept_out.mark(parse_rules([{"app": "x"}]))
    assert ids(store) == {"in"}
    assert store.turns.count() == 2
    assert store.vectors.texts("text", None, PRODUCTION).column("turn_key").to_pylist() == [turns[0].key]
    assert store.statistics.unassigned("a1", PRODUCTION) == 1
    waiting = store.atlases.unassigned("a1", NOON, environments=PRODUCTION, limit=9)
    assert waiting.column("turn_key").to_pylist() == [turns[0].key]


def test_new_turns_are_marked_and_others_left(store: Store) -> None:
    old, new, other = make_turn("old", app="x"), make_turn("new", app="x"), make_turn("other")
    store.turns.append([old, new, other])
    some = pa.table({"turn_key": pa.array([new.key, other.key], pa.uint64())})
    rules = parse_rules([{"app": "x"}])
    assert store.kept_out.mark_new((), some) == 0
    assert store.kept_out.mark_new(rules, some) == 1
    assert store.kept_out.mark_new(rules, some) == 0
    assert ids(store) == {"old", "other"}


def test_what_is_forgotten_has_no_mark(store: Store) -> None:
    store.turns.append([make_turn("a", app="x", user_id="ann"), make_turn("b", app="x", user_id="bob")])
    store.kept_out.mark(parse_rules([{"app": "x"}]))
    store.deletion.forget(user="ann", at=NOON + DAY)
    assert store._database.value("SELECT count(*) FROM kept_out") == 1


@pytest.fixture
def evals(store: Store) -> Iterator[Store]:
    items = tuple(EvalItem(item_id=str(number), prompt=f" {text}\n") for number, text in enumerate(ITEMS))
    store.eval_sets.save(EvalSet("meters", "1", NOON, items))
    yield store


RUNS = {"eval_runs": True}


def said(sender: str, texts: list[str], **fields: Any) -> list[Any]:
    return [make_turn(f"{sender}{n}", user_text=text, **fields) for n, text in enumerate(texts)]


@pytest.mark.parametrize("fields", [{"user_id": "bot"}, {"conversation_id": "run 7"}])
def test_a_run_of_the_eval_set_is_kept_out_and_a_user_who_asks_the_same_is_not(
    evals: Store, fields: dict[str, str]
) -> None:
    run = said("run", [*ITEMS, "and what else", "\twho\n"], **fields)
    curious = said("ann", [*ITEMS[:5], "a", "b", "c", "d", "e", "f"], user_id="ann")
    repeating = said("bob", [ITEMS[0]] * 9, user_id="bob")
    anonymous = said("x", ITEMS)  # one turn each, by nobody: it could be anybody
    evals.turns.append([*run, *curious, *repeating, *anonymous])
    assert kept(evals, RUNS) == {f"run{n}" for n in range(len(ITEMS))}
    assert kept(evals, {**RUNS, "app": "x"}) == set()


def test_a_person_who_runs_evals_in_one_conversation_also_asks_on_their_own(evals: Store) -> None:
    evals.turns.append(said("run", ITEMS, user_id="dev", conversation_id="run"))
    evals.turns.append(said("own", [ITEMS[0], *map(str, range(9))], user_id="dev", conversation_id="own"))
    assert kept(evals, RUNS) == {f"run{n}" for n in range(len(ITEMS))}


def test_users_of_two_tenants_are_two(evals: Store) -> None:
    for tenant in ("a", "b"):
        evals.turns.append(said(tenant, ITEMS[:4] if tenant == "a" else ITEMS[4:], user_id="bot", tenant=tenant))
    assert kept(evals, RUNS) == set()


def test_an_eval_run_that_comes_in_is_marked_before_it_gets_a_topic(evals: Store) -> None:
    run, other = said("run", ITEMS, user_id="bot"), make_turn("other")
    evals.turns.append([*run, other])
    rules = parse_rules([RUNS])
    for turns, marked in (([other], 0), ([*run[:3], other], 3), (run, 5)):
        keys = pa.table({"turn_key": pa.array([turn.key for turn in turns], pa.uint64())})
        assert evals.kept_out.mark_new(rules, keys) == marked


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        ('[{enviroment = "staging"}]', r"rule 1 has the unknown field enviroment; did you mean environment\?"),
        ('[{app = "x"}, {zzz = "y"}]', "rule 2 has the unknown field zzz; there are app, environment"),
        ("[{}]", "rule 1 is {}, and a rule is a table"),
        ("[{eval_runs = false}]", "rule 1 has eval_runs = False: it can only be true"),
        ('["staging"]', "rule 1 is 'staging', and a rule is a table"),
        ("[{app = []}]", r"rule 1 has app = \[\], and needs a text"),
        ('[{app = ""}]', "rule 1 has app = '', and needs a text"),
        ("[{app = 1979-05-27}]", "rule 1 has app = datetime.date"),
        ('[{metadata = "x"}]', "rule 1 has metadata = 'x', and needs its fields"),
        ("[{metadata = {a = {b = {}}}}]", "rule 1 has metadata.a.b = {}, and needs a text"),
        ("production", "a list of rules as TOML writes it, such as"),
        ("[]\nother = 1", "a list of rules, such as"),
        ("7", "a list of rules, such as"),
    ],
)
def test_a_bad_rule_is_named(rules: str, wrong: str) -> None:
    with pytest.raises(
        SettingError, match=r"setting analysis\.keep_out = .* \(OFFMAP_ANALYSIS_KEEP_OUT\) must be.*" + wrong
    ):
        load({"OFFMAP_ANALYSIS_KEEP_OUT": rules, "OFFMAP_CONFIG": ""}, overrides={})


def test_rules_are_read_from_the_file_and_shown_as_it_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "offmap.toml"
    file.write_text('[analysis]\nkeep_out = [{app = "x"}, {metadata.run = ["a", "b"], eval_runs = true}]\n')
    settings, sources = load({}, file=file)
    shown = next(one for one in describe(settings, sources) if one.name == "analysis.keep_out")
    assert shown.plain == ['{app = "x"}', '{metadata.run = ["a", "b"], eval_runs = true}']
    again, _ = load({"OFFMAP_ANALYSIS_KEEP_OUT": f"[{shown.shown}]"}, file=file)
    assert again == settings
    assert load({"OFFMAP_ANALYSIS_KEEP_OUT": ""}, file=file)[0] == Settings()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.dictionaries(st.sampled_from(keep_out.FIELDS), st.lists(TEXTS, min_size=1, max_size=3), min_size=1), TEXTS, TEXTS
)
def test_a_rule_and_its_text_are_the_same(fields: dict[str, list[str]], name: str, value: str) -> None:
    rule: KeepOut = parse_rules([{**fields, "metadata": {name: value}}])[0]
    assert parse_rules(f"[{{{rule}}}]") == (rule,)
