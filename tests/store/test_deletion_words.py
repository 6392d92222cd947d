"""Dead letters name a person when they hold the id as a word of its own, or the id of something of theirs."""

import pytest

from monitor.store.mentions import Mentions


@pytest.mark.parametrize(
    ("payload", "identifier", "named"),
    [
        (b'{"user_id": "1", "latency_ms": "fast"}', "1", True),
        (b'{"user_id": 1}', "1", True),
        (b'{"created_at": "2011-01-11"}', "1", False),
        (b'{"user_id": "u71"}', "u7", False),
        (b'{"user_id": "u7"', "u7", True),
        (b'{"user_id": "a\\"b"}', 'a"b', True),
        ('{"user_id": "zoë@example.com"}'.encode(), "zoë@example.com", True),
        (b'{"user_id": "zo\\u00eb@example.com"}', "zoë@example.com", True),
        (b'{"user_id": "zo\\u00EB@example.com"}', "zoë@example.com", True),
        (b'{"body": "{\\"user_id\\": \\"zo\\\\u00eb@example.com\\"}"}', "zoë@example.com", True),
        (b'{"user_id": "org\\/ann"}', "org/ann", True),
        (b'{"user_id": "org\\u002fann"}', "org/ann", True),
        (b"user=zo%C3%AB%40example.com", "zoë@example.com", True),
        (b'{"user_id": "\\ud83d\\ude00x"}', "\N{GRINNING FACE}x", True),
        (b'{"user_id": "a\\nb"}', "a\nb", True),
        (b'{"user_id": "orgXann"}', "org.ann", False),
        (b"\xff\xfeann\x00", "ann", True),
    ],
)
def test_an_id_is_a_word(payload, identifier, named):
    assert Mentions(identifier).within(payload) is named


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b'{"turn_id": "17", "feedback_score": "bad"}', True),
        (b'{"turn_id": 17}', True),
        (b'{"turn_id": "171"}', False),
        (b'{"latency_ms": "17"}', False),
        (b'{"sessionId":"c 3", "x":', True),
        (b'{"conversation_id": "c 3', True),
        (b'{"body": "{\\"turn_id\\": \\"17\\"}"}', True),
        (b'{"key": "session.id", "value": {"stringValue": "c 3"}}', True),
        (b'{"conversation_hash": "c 3"}', True),
        (b"session_id=c%203", False),  # only the named id is looked for in every writing
        (b'{"thread": "J\\u00f6rg/1"}', True),  # no plain id, so no short number: a word is enough
    ],
)
def test_the_ids_of_what_was_theirs_count_where_an_id_stands(payload, named):
    assert Mentions("ann", ["17", "c 3", "Jörg/1"]).within(payload) is named


def test_many_ids_are_looked_for_at_once():
    """A user has hundreds of turns, and there may be a million letters: a pattern of all ids would take an hour."""
    mentions = Mentions("ann", [f"turn-{number}" for number in range(100_000)])
    payload = b'{"turn_id": "turn-%d", "user_text": "' + b"id: x, " * 2_000 + b'"}'
    assert mentions.within(payload % 99_999) and not mentions.within(payload % 100_000)
