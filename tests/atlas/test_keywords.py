"""Keywords: what a group says more, by conversations, with intervals, and never somebody's own word."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.atlas import keywords as module
from monitor.atlas.keywords import Group, Keyword, keywords


def group(rows: list[tuple[int, int, int]]) -> Group:
    """Rows of a text, a conversation and a user."""
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return Group(columns[:, 0], columns[:, 1], columns[:, 2])


def spoken(texts: list[str], counts: dict[str, int], start: int) -> list[tuple[int, int, int]]:
    """Each text in so many conversations of as many people."""
    rows = []
    for text, count in counts.items():
        rows += [(texts.index(text), number, number) for number in range(start + len(rows), start + len(rows) + count)]
    return rows


TEXTS = ["my parcel is late", "my voucher expired", "where is the parcel", "the voucher code fails"]
OURS = spoken(TEXTS, {TEXTS[0]: 20, TEXTS[1]: 30, TEXTS[3]: 10}, 0)
THEIRS = spoken(TEXTS, {TEXTS[0]: 40, TEXTS[1]: 5, TEXTS[2]: 40}, 100)


def found(limit: int | None = None, least_users: int = 5) -> dict[str, Keyword]:
    told = keywords(TEXTS, group(OURS), group(THEIRS), limit=limit, least_users=least_users)
    return {one.term: one for one in told}


def test_what_is_said_more_is_named_with_its_counts() -> None:
    told = found()
    assert next(iter(told)) == "voucher"
    voucher = told["voucher"]
    assert (voucher.count, voucher.other, voucher.users, voucher.sure) == (40, 5, 40, True)
    assert 1 < voucher.low < voucher.odds < voucher.high
    assert "parcel" not in told and "late" not in told


def test_it_is_the_formula_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRIOR_CONVERSATIONS", 10.0)
    texts = ["red one", "red two", "blue three", "blue four"]  # what stands in one text only is no term
    ours = spoken(texts, {"red one": 6, "red two": 2, "blue three": 2}, 0)
    theirs = spoken(texts, {"red one": 3, "blue three": 5, "blue four": 7}, 100)
    (red,) = keywords(texts, group(ours), group(theirs), limit=None)
    prior = {"red": 11 * 10 / 25, "blue": 14 * 10 / 25}  # 25 conversations
    both = [math.log((said + prior["red"]) / (other + prior["blue"])) for said, other in ((8, 2), (3, 12))]
    deviation = math.sqrt(1 / (8 + prior["red"]) + 1 / (3 + prior["red"]))
    assert red.odds == pytest.approx(math.exp(both[0] - both[1]))
    assert red.high == pytest.approx(math.exp(both[0] - both[1] + 1.6449 * deviation))
    assert red.p_value == pytest.approx(math.erfc((both[0] - both[1]) / deviation / math.sqrt(2)) / 2)


def test_who_repeats_a_word_says_it_once() -> None:
    flood = [(1, 500, 500)] * 300
    assert keywords(TEXTS, group(OURS + flood), group(THEIRS), limit=1)[0].count == 41


def test_a_word_of_few_people_stays_out() -> None:
    few = [(3, number, number % 4) for number in range(200, 240)]  # forty conversations of four people
    told = keywords(TEXTS, group(few), group(THEIRS), limit=None)
    assert told == []
    assert keywords(TEXTS, group(few), group(THEIRS), limit=None, least_users=4)


def test_order_and_numbers_of_rows_mean_nothing() -> None:
    rng = np.random.default_rng(3)
    shuffled = [OURS[place] for place in rng.permutation(len(OURS))]
    assert keywords(TEXTS, group(shuffled), group(THEIRS)) == keywords(TEXTS, group(OURS), group(THEIRS))


@pytest.mark.parametrize("texts", [[], ["the", "and"], ["hello"]])
def test_nothing_to_say(texts: list[str]) -> None:
    one = group([(0, 0, 0)] if texts else [])
    assert keywords(texts, one, one) == []
    assert keywords(TEXTS, group([]), group(THEIRS)) == []


def test_chance_is_not_taken_for_news_and_a_rise_is() -> None:
    rng = np.random.default_rng(11)
    words = [f"word{chr(97 + one // 26)}{chr(97 + one % 26)}" for one in range(150)]
    shares = 1 / (np.arange(150) + 3)
    texts = [" ".join(rng.choice(words, 6, p=shares / shares.sum())) for _ in range(3_000)]
    sure = rises = 0
    for seed in range(10):
        half = np.random.default_rng(seed).random(3_000) < 0.3
        rows = [(one, one, one) for one in range(3_000)]
        ours, theirs = [[row for row, at in zip(rows, half, strict=True) if at == side] for side in (True, False)]
        sure += sum(one.sure for one in keywords(texts, group(ours), group(theirs), limit=None))
        # Forty of the group's conversations say a word more that few others say.
        said = list(texts)
        for text, _, _ in ours[:40]:
            said[text] += " wordnew"
        for text, _, _ in theirs[:8]:
            said[text] += " wordnew"
        first = keywords(said, group(ours), group(theirs), limit=1)[0]
        rises += first.term.endswith("wordnew") and first.sure
    assert sure <= 3, "one in twenty of what is told may be chance, and there is nothing to tell"
    assert rises == 10
