"""Topics named by a model, from the command line: said with its cost, shown beside the label, and never a reason to fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_support import Offmap

from tests.encoding.embeddings_server import KEY, Endpoint, Said
from tests.naming.chat_server import MODEL, asked_for, chat_server


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with chat_server() as server:
        yield server


def variables(endpoint: Endpoint) -> dict[str, str]:
    return {
        "OFFMAP_NAMING_URL": endpoint.url,
        "OFFMAP_NAMING_MODEL": MODEL,
        "OFFMAP_NAMING_API_KEY": KEY,
        "OFFMAP_NAMING_ALLOW_PRIVATE": "true",
        "OFFMAP_NAMING_INPUT_PRICE": "2",
        "OFFMAP_NAMING_PATIENCE_SECONDS": "20",
    }


def test_a_model_names_topics_once(analysed: Offmap, endpoint: Endpoint) -> None:
    local = {one["id"]: one["label"] for one in analysed.done("topics", "--json").json["topics"]}
    given = variables(endpoint)
    done = analysed.done("analyse", "--eval-set", "shop", "--json", **given).json["naming"]
    assert done["named"] > 0 and done["error"] == "" and done["model"] == MODEL
    assert (done["requests"], done["input_tokens"]) == (len(endpoint.requests), 100 * len(endpoint.requests))
    assert done["cost_usd"] == pytest.approx(done["input_tokens"] * 2e-6)
    topics = analysed.done("topics", "--json").json["topics"]
    named = [one for one in topics if one["named_by"]]
    assert len(named) == done["named"]
    for one in named:
        assert one["named_by"] == MODEL and one["label"].startswith("About ")
        assert one["local_label"] == one["found_label"] == local[one["id"]] != one["label"]
    gaps = analysed.done("gaps", "--json").json["gaps"]
    by_id = {one["id"]: one["label"] for one in topics}
    assert gaps and all(one["label"] == by_id[one["topic"]] for one in gaps)
    # Messages are redacted, and a second analysis sends nothing.
    sent = str(endpoint.requests)
    assert "ann@example.org" not in sent and any(one.messages for one in asked_for(endpoint.requests[0]))
    count = len(endpoint.requests)
    again = analysed.done("analyse", "--eval-set", "shop", **given)
    assert len(endpoint.requests) == count
    assert f"Names by {MODEL}: 0 topics named, {len(named)} kept" in again.out
    said = analysed.done("doctor", **given).out
    assert f"naming    {len(named)} topics named by a model in all" in said and "tokens in" in said
    # A name of a person wins.
    analysed.done("topics", "name", named[0]["id"], "Mine")
    mine = next(one for one in analysed.done("topics", "--json").json["topics"] if one["id"] == named[0]["id"])
    assert (mine["label"], mine["named_by"], mine["local_label"]) == ("Mine", "person", local[mine["id"]])
    # Off again, the labels that were found stand.
    analysed.done("analyse", "--eval-set", "shop")
    assert {one["named_by"] for one in analysed.done("topics", "--json").json["topics"]} == {None, "person"}
    assert len(endpoint.requests) == count


def test_an_endpoint_that_is_away_fails_nothing(analysed: Offmap, endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Said(401)
    ran = analysed.done("analyse", "--eval-set", "shop", **variables(endpoint))
    assert "OFFMAP_NAMING_API_KEY" in ran.err and "labels that were found here" in ran.err and KEY not in ran.err
    assert f"Names by {MODEL}: 0 topics named" in ran.out and "Next: offmap" in ran.out
    doctor = analysed.done("doctor", **variables(endpoint)).out
    assert "WARN  naming" in doctor and "answered 401" in doctor


def test_off_by_default(analysed: Offmap) -> None:
    assert analysed.done("analyse", "--eval-set", "shop", "--json").json["naming"] is None
    assert "naming" not in analysed.done("doctor").out
