"""The language of turns: from the text, from the talk around it, from what the log states, and from nothing."""

import numpy as np
import pytest

from monitor.atlas.languages import Languages, detect, foreign_texts, normal_code

ENGLISH = [
    "where is my parcel and when will it arrive",
    "I would like to change the delivery address of my order",
    "how do I reset my password when I cannot log in",
    "please send me the invoice of last month again",
    "can I return a pair of shoes without the box",
    "why was my card charged twice for the same thing",
    "does the warranty cover a broken screen",
    "what are the opening hours of the shop in town",
]
GERMAN = [
    "wo bleibt mein Paket und wann kommt es endlich an",
    "ich möchte die Lieferadresse meiner Bestellung ändern",
    "wie setze ich mein Passwort zurück, wenn ich mich nicht anmelden kann",
    "bitte schicken Sie mir die Rechnung vom letzten Monat noch einmal",
]


def found(texts: list[str], talks: list[int] | None = None, stated: list[str | None] | None = None) -> Languages:
    distinct = sorted(set(texts))
    rows = np.array([distinct.index(text) for text in texts])
    return detect(distinct, rows, np.array(talks or range(len(texts))), stated or [None] * len(texts))


def test_sentences_have_their_language_however_rare() -> None:
    assert list(found([*ENGLISH, GERMAN[0]]).codes) == ["en"] * 8 + ["de"]
    assert list(found([*GERMAN, ENGLISH[0]]).codes) == ["de"] * 4 + ["en"]
    for code, text in {
        "fr": "je voudrais savoir où se trouve ma commande",
        "es": "quiero devolver el pedido que hice la semana pasada",
        "ja": "注文した荷物はいつ届きますか",
        "zh": "我的包裹什么时候到",
        "ru": "когда придёт моя посылка",
    }.items():
        answer = found([*ENGLISH, text])
        assert answer.codes[-1] == code
        assert 0.5 <= answer.confidence[-1] <= 1


@pytest.mark.parametrize(
    "text",
    ["", "ok", "5", "?!", "12:30", "```\nfor x in range(10):\n    print(x)\n```", "https://example.org/de/seite"],
)
def test_what_has_no_words_has_no_language(text: str) -> None:
    answer = found([*ENGLISH, text])
    assert answer.codes[-1] is None
    assert np.isnan(answer.confidence[-1])
    assert not answer.outside(frozenset({"en"})).any()


def test_a_short_text_has_the_language_of_its_conversation() -> None:
    german_talk = [GERMAN[0], "ok", "alles klar", "5"]
    answer = found([*ENGLISH, *german_talk], talks=[*range(8), 20, 20, 20, 20])
    assert list(answer.codes[8:]) == ["de"] * 4
    alone = found([*ENGLISH, "ok"])
    assert alone.codes[-1] is None


def test_a_text_may_differ_from_its_conversation() -> None:
    answer = found([*ENGLISH, GERMAN[1]], talks=[0, 0, 0, 0, 1, 1, 1, 1, 0])
    assert answer.codes[-1] == "de"


def test_what_the_log_states_goes_before_and_informs_the_rest() -> None:
    answer = found([ENGLISH[0], GERMAN[0], "super"], talks=[1, 2, 2], stated=["de-AT", None, None])
    assert list(answer.codes) == ["de", "de", "de"]
    assert answer.stated.tolist() == [True, False, False]
    assert answer.confidence[0] == 1
    assert found([GERMAN[0]], stated=["und"]).codes == ["de"]
    assert found([ENGLISH[0]], stated=["English"]).codes[0] in ("en", None)


def test_nothing_is_loaded_where_all_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.atlas.languages._model", lambda: pytest.fail("the model was loaded"))
    assert found(["eins", "two"], stated=["de", "en"]).codes == ["de", "en"]
    assert len(detect([], np.empty(0, np.int64), np.empty(0, np.int64), [])) == 0


def test_the_order_of_turns_changes_nothing() -> None:
    texts, talks = [*ENGLISH, *GERMAN, "ok", "danke"], [*range(12), 8, 9]
    order = np.random.default_rng(0).permutation(len(texts))
    straight = found(texts, talks)
    mixed = found([texts[row] for row in order], [talks[row] for row in order])
    assert [straight.codes[row] for row in order] == list(mixed.codes)
    np.testing.assert_allclose(straight.confidence[order], mixed.confidence, rtol=1e-4)


def test_parts_of_a_large_log_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, talks = [*ENGLISH, *GERMAN, "ok", "danke"], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 4, 5]
    whole = found(texts, talks)
    monkeypatch.setattr("monitor.atlas.languages._CHUNK", 3)
    assert found(texts, talks).codes == whole.codes


def test_given_shares_decide_what_is_short() -> None:
    texts, rows = ["computer"], np.zeros(1, np.int64)
    for code in ("en", "de"):
        assert detect(texts, rows, rows, [None], shares={code: 1.0}).codes == [code]


def test_outside_of_what_an_encoder_knows() -> None:
    assert foreign_texts([*ENGLISH, *GERMAN], frozenset({"en"})).tolist() == [False] * 8 + [True] * 4
    assert foreign_texts([*ENGLISH, *GERMAN], frozenset({"en", "de"})).sum() == 0
    assert foreign_texts(GERMAN, None).tolist() == [False] * 4
    assert foreign_texts([], frozenset({"en"})).shape == (0,)


def test_hostile_text() -> None:
    texts = ["\ud800\udfff broken \ud83d", "\x00" * 50, "a" * 100_000, "`" * 5000, "{" * 100_000]
    assert len(found([*ENGLISH, *texts])) == 13


def test_codes() -> None:
    asked = ["en", "EN_us", "pt-BR", "zh-Hans", "deu", "iw", "nb-NO", "German", "", None, "und", "x"]
    assert [normal_code(one) for one in asked] == [
        *("en", "en", "pt", "zh", "de", "he", "no"),
        *(None, None, None, None, None),
    ]
