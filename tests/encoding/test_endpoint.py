"""An OpenAI-compatible endpoint that is well, busy, broken, slow or somebody else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from monitor.encoding.endpoint import BATCH_CHARACTERS, LEAST_CHARACTERS, EndpointEncoder
from monitor.encoding.hashing import HashingEncoder
from monitor.endpoint import ATTEMPTS
from monitor.errors import ModelError, SettingError
from monitor.settings import EncoderSettings, Settings, load
from tests.encoding.embeddings_server import KEY, MODEL, Endpoint, Said, embeddings_server, usual
from tests.encoding.listener import Listener

TEXTS = [f"my private question number {number}, please" for number in range(40)]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with embeddings_server() as server:
        yield server


def encoder_of(endpoint: Endpoint, **changes: Any) -> tuple[EndpointEncoder, list[float]]:
    """An encoder that remembers its pauses instead of making them."""
    pauses: list[float] = []
    return EndpointEncoder(endpoint.settings(**changes), wait=pauses.append), pauses


def after_probe(endpoint: Endpoint, answer: Callable[[Mapping[str, Any]], Said | None]) -> None:
    endpoint.requests.clear()
    endpoint.answer = answer


def in_turn(*answers: Said | None) -> Callable[[Mapping[str, Any]], Said | None]:
    """One after the other; the usual answer when there are no more."""
    left = list(answers)
    return lambda request: left.pop(0) if left else None


def test_the_vectors_are_the_endpoints_at_unit_length(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint)
    np.testing.assert_allclose(encoder.encode(TEXTS), HashingEncoder().encode(TEXTS), atol=1e-6)
    assert encoder.dimension == 128 and encoder.name == f"{MODEL}@127.0.0.1:{endpoint.port}/128"
    assert set(endpoint.paths) == {"/v1/embeddings"} and set(endpoint.keys) == {f"Bearer {KEY}"}
    assert {request["model"] for request in endpoint.requests} == {MODEL}


def test_without_a_key_none_is_sent(endpoint: Endpoint) -> None:
    encoder_of(endpoint, api_key="")
    assert endpoint.keys == [None]


def test_numbers_are_asked_for_where_base64_is_not_known(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Said(400) if request["encoding_format"] == "base64" else None
    encoder, _ = encoder_of(endpoint)
    np.testing.assert_allclose(encoder.encode(TEXTS), HashingEncoder().encode(TEXTS), atol=1e-6)
    assert [request["encoding_format"] for request in endpoint.requests][1:] == ["float"] * 3


def test_numbers_are_understood_where_base64_was_asked_for(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: usual({**request, "encoding_format": "float"})
    encoder, _ = encoder_of(endpoint)
    np.testing.assert_allclose(encoder.encode(TEXTS), HashingEncoder().encode(TEXTS), atol=1e-6)


def test_the_index_says_which_text_a_vector_is_of(endpoint: Endpoint) -> None:
    def backwards(request: Mapping[str, Any]) -> Said:
        body = usual(request).body
        return Said(body={**body, "data": body["data"][::-1]})

    endpoint.answer = backwards
    encoder, _ = encoder_of(endpoint)
    np.testing.assert_allclose(encoder.encode(TEXTS), HashingEncoder().encode(TEXTS), atol=1e-6)


def test_a_request_holds_no_more_than_is_allowed(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint, batch_texts=7)
    endpoint.requests.clear()
    long = [f"{number} " + "x" * (BATCH_CHARACTERS // 2) for number in range(4)]
    encoder.encode([*TEXTS, *long])
    sizes = [len(request["input"]) for request in endpoint.requests]
    assert sum(sizes) == 44 and max(sizes) <= 7
    for request in endpoint.requests:
        assert len(request["input"]) == 1 or sum(map(len, request["input"])) <= BATCH_CHARACTERS


def test_a_text_without_letters_is_not_sent(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint)
    endpoint.requests.clear()
    listener = Listener()
    vectors = encoder.encode(["", "  ", "hello"], progress=listener)
    assert endpoint.texts == ["hello"] and listener.totals == [3] and listener.done == 3
    assert vectors[0].tolist() == vectors[1].tolist() == [1.0] + [0.0] * 127


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(endpoint: Endpoint, status: int) -> None:
    encoder, pauses = encoder_of(endpoint)
    after_probe(endpoint, in_turn(Said(status), Said(status)))
    np.testing.assert_allclose(encoder.encode(TEXTS[:5]), HashingEncoder().encode(TEXTS[:5]), atol=1e-6)
    assert pauses == [0.5, 1.0] and len(endpoint.requests) == 3


@pytest.mark.parametrize(
    ("said", "pause"), [("7", 7.0), ("2.5", 2.5), ("9999", 60.0), ("soon", 0.5), ("Thu, 01 Jan 2026 00:00:00 GMT", 0.5)]
)
def test_a_pause_that_is_asked_for_is_made(endpoint: Endpoint, said: str, pause: float) -> None:
    encoder, pauses = encoder_of(endpoint)
    after_probe(endpoint, in_turn(Said(429, headers={"Retry-After": said})))
    encoder.encode(TEXTS[:5])
    assert pauses == [pause]


def test_one_that_stays_away_is_said_after_some_attempts(endpoint: Endpoint) -> None:
    encoder, pauses = encoder_of(endpoint)
    after_probe(endpoint, lambda request: Said(503, {"error": {"code": "model_overloaded"}}))
    with pytest.raises(ModelError, match=r"encoder\.url = 'http.*answered 503 model_overloaded.*goes on from there"):
        encoder.encode(TEXTS[:5])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0] and len(endpoint.requests) == ATTEMPTS


def test_a_quota_that_is_spent_does_not_pass(endpoint: Endpoint) -> None:
    encoder, pauses = encoder_of(endpoint)
    after_probe(endpoint, lambda request: Said(429, {"error": {"code": "insufficient_quota"}}))
    with pytest.raises(ModelError, match="429 insufficient_quota"):
        encoder.encode(TEXTS[:5])
    assert pauses == []


def test_a_slow_one_is_not_waited_for_for_ever(endpoint: Endpoint) -> None:
    encoder, pauses = encoder_of(endpoint, timeout_seconds=0.2)
    freed = threading.Event()
    after_probe(endpoint, in_turn(Said(body={}, act=lambda: freed.wait(5))))
    encoder.encode(TEXTS[:5])
    freed.set()
    assert pauses == [0.5]


def test_who_gives_up_does_not_wait_for_further_attempts(endpoint: Endpoint) -> None:
    encoder = EndpointEncoder(endpoint.settings(batch_texts=1))
    after_probe(
        endpoint, lambda request: Said(503, headers={"Retry-After": "60"}) if len(endpoint.requests) > 1 else None
    )

    class Interrupted(Listener):
        def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
            time.sleep(0.3)  # until another thread waits for its next attempt
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(TEXTS, progress=Interrupted())
    assert time.monotonic() - started < 20
    endpoint.answer = lambda request: None
    assert encoder.encode(TEXTS).shape == (40, 128)  # it can be used again


def test_nobody_is_there() -> None:
    with embeddings_server() as endpoint:
        settings = endpoint.settings()
    pauses: list[float] = []
    with pytest.raises(ModelError, match=r"encoder\.url = .*refused"):
        EndpointEncoder(settings, wait=pauses.append)
    assert pauses == [0.5]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(401), "OFFMAP_ENCODER_API_KEY"),
        (Said(403), "OFFMAP_ENCODER_API_KEY"),
        (Said(404), "mostly ends in /v1"),
        (Said(307, headers={"Location": "http://127.0.0.1:9/v1/embeddings"}), "redirects, which is not followed"),
        (Said(400), "encoder.dimensions"),
        (Said(402), "account"),
        (Said(body=b"<html>hello</html>"), "is no list of embeddings"),
        (Said(body=b""), "is no list of embeddings"),
        (Said(body=[1, 2]), "is no list of embeddings"),
        (Said(body={"data": "x"}), "is no list of embeddings"),
        (Said(body={"data": [{"embedding": "not base64!"}]}), "is no list of embeddings"),
        (Said(body={"data": [{"embedding": [[1.0]]}]}), "is no list of embeddings"),
        (Said(body={"data": [{"embedding": ["a"]}]}), "is no list of embeddings"),
        (Said(body={"data": [{"embedding": {}}]}), "is no list of embeddings"),
        (Said(body={"data": [{"embedding": [1.0], "index": "0"}]}), "is no list of embeddings|index"),
        (Said(body=b"[" * 100_000), "is no list of embeddings"),
        (Said(body={"data": []}), "0 vectors for 1 texts"),
        (Said(body={"data": [{"embedding": []}]}), "vector of 0 numbers"),
        (Said(body={"data": [{"embedding": [1.0, math.nan]}]}), "not finite"),
        (Said(body={"data": [{"embedding": [1.0, 1e300]}]}), "not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.status),
)
def test_what_does_not_pass_is_said_at_once(endpoint: Endpoint, said: Said, words: str) -> None:
    endpoint.answer = lambda request: said
    with pytest.raises(ModelError, match=words) as error:
        encoder_of(endpoint)
    assert "encoder.url" in str(error.value) and KEY not in str(error.value)
    assert len(endpoint.requests) <= 2  # base64, and numbers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "39 vectors for 40 texts|vectors for"),
        (lambda rows: [{**row, "index": 0} for row in rows], "index twice"),
        (lambda rows: [{**row, "index": row["index"] + 1} for row in rows], "index twice or beyond"),
        (lambda rows: [{**rows[0], "embedding": [1.0, 2.0]}, *rows[1:]], "2 numbers where 128"),
        (lambda rows: [{**rows[0], "embedding": [math.inf] * 128}, *rows[1:]], "not finite"),
    ],
    ids=["a vector short", "one index", "index beyond", "dimension", "infinite"],
)
def test_a_wrong_answer_stops_everything(endpoint: Endpoint, change: Callable[[Any], Any], words: str) -> None:
    encoder, pauses = encoder_of(endpoint)
    after_probe(endpoint, lambda request: Said(body={"data": change(usual(request).body["data"])}))
    with pytest.raises(ModelError, match=words) as error:
        encoder.encode(TEXTS)
    assert pauses == [] and "private question" not in str(error.value)


def test_errors_repeat_no_text_and_no_key(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint)
    echo = {"error": {"code": f"{TEXTS[0]} {KEY}", "message": f"{TEXTS[0]} {KEY}"}}
    for status in (400, 401, 404, 418, 429, 500):
        after_probe(endpoint, lambda request, status=status: Said(status, echo))  # type: ignore[misc]
        with pytest.raises(ModelError) as error:
            encoder.encode(TEXTS[:1])
        assert "private" not in str(error.value) and KEY not in str(error.value)
        assert error.value.__cause__ is None
    assert KEY not in repr(endpoint.settings())


def test_a_text_that_is_too_long_is_cut_and_the_others_are_not(endpoint: Endpoint) -> None:
    most = 1_000
    encoder, _ = encoder_of(endpoint)
    after_probe(endpoint, lambda request: Said(400) if max(map(len, request["input"])) > most else None)
    long = ["a word " * 1_000, "another " * 2_000]
    vectors = encoder.encode([*TEXTS, *long])
    # 7,000 and 16,000 characters are halved until they are taken.
    cut = [long[0][:875].rstrip(), long[1][:1_000].rstrip()]
    np.testing.assert_allclose(vectors, HashingEncoder().encode([*TEXTS, *cut]), atol=1e-6)
    assert encoder.usage.texts_cut == 2 and "2 texts cut" in encoder.usage.note


def test_a_text_that_is_never_taken_is_an_error(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint)
    after_probe(endpoint, lambda request: Said(422) if any("number 7" in text for text in request["input"]) else None)
    with pytest.raises(ModelError, match=r"refuses a text of \d+ characters, even when it is cut"):
        encoder.encode(["number 7 " * 100, *TEXTS[8:]])
    assert min(map(len, endpoint.texts)) <= LEAST_CHARACTERS


def test_tokens_are_counted(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint)
    encoder.encode(TEXTS)
    assert encoder.usage.tokens == sum(len(text.split()) for text in TEXTS) and encoder.usage.requests == 2


def test_fewer_numbers_can_be_asked_for(endpoint: Endpoint) -> None:
    encoder, _ = encoder_of(endpoint, dimensions=32)
    assert encoder.dimension == 32 and encoder.name.endswith("/32") and encoder.encode(TEXTS).shape == (40, 32)
    endpoint.answer = lambda request: usual({**request, "dimensions": None})
    with pytest.raises(ModelError, match=r"encoder\.dimensions = 32, .* vectors of 128 numbers"):
        encoder_of(endpoint, dimensions=32)


def test_private_addresses_are_refused_unless_they_are_meant(endpoint: Endpoint) -> None:
    with pytest.raises(SettingError, match=r"OFFMAP_ENCODER_ALLOW_PRIVATE=true"):
        encoder_of(endpoint, allow_private=False)
    for url in (f"https://127.0.0.1:{endpoint.port}/v1", f"https://localhost:{endpoint.port}/v1", "https://[::1]/v1"):
        with pytest.raises(SettingError, match=r"private range .*OFFMAP_ENCODER_ALLOW_PRIVATE=true"):
            encoder_of(endpoint, url=url, allow_private=False)
    assert endpoint.requests == []


def test_texts_do_not_go_over_the_internet_in_the_open() -> None:
    with pytest.raises(SettingError, match="in the open: use https"):
        EndpointEncoder(EncoderSettings(kind="openai", url="http://1.1.1.1/v1", model="m", allow_private=True))


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://a/v1", "https://", "https://a:b/v1", "https://a/v 1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingError, match=r"encoder\.url = "):
        EndpointEncoder(EncoderSettings(kind="openai", url=url, model="m"))


def test_a_model_must_be_named(endpoint: Endpoint) -> None:
    with pytest.raises(SettingError, match=r"encoder\.model = ''"):
        encoder_of(endpoint, model="")


def test_a_key_that_no_header_can_hold(endpoint: Endpoint) -> None:
    with pytest.raises(SettingError, match=r"encoder\.api_key") as error:
        encoder_of(endpoint, api_key="sk-\nsecret")
    assert "secret" not in str(error.value)


def test_settings_come_from_variables_and_an_address_holds_no_key() -> None:
    variables = {"OFFMAP_ENCODER_API_KEY": KEY, "OFFMAP_ENCODER_KIND": "openai", "OFFMAP_ENCODER_URL": "https://a/v1"}
    found = load(variables)[0].encoder
    assert (found.kind, found.url, found.api_key) == ("openai", "https://a/v1", KEY) and KEY not in repr(found)
    for url in ("https://user:pw@a/v1", "https://a/v1?api-key=1"):
        with pytest.raises(SettingError, match="OFFMAP_ENCODER_API_KEY") as error:
            Settings().with_value("encoder.url", url, source="test")
        assert url not in str(error.value)
