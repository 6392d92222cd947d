"""Dead letters name a person when they hold the id as a word of its own."""

import pytest

from monitor.store.deletion import _mentions


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
    ],
)
def test_an_id_is_a_word(payload, identifier, named):
    assert _mentions(payload, identifier) is named
