"""An alert as a Slack message in Block Kit.

What users wrote is hostile here too: everything is plain text, where Slack knows no mention, link or format, without emoji,
with Slack's control characters escaped, and cut to Block Kit's limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from monitor.store.alerts import AlertRow
from monitor.wording import cut

__all__ = ["escaped", "message_of"]

#: Block Kit's limits, less the room that an escape takes.
_HEADER, _TEXT, _FIELD, _FIELDS, _EXAMPLE, _BUTTON_URL = 140, 2_800, 500, 10, 280, 3_000

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str, length: int) -> str:
    """One visible line of at most so many characters, after Slack's rules for `&`, `<` and `>`.

    >>> escaped("<!channel> a & b", 80)
    '&lt;!channel&gt; a &amp; b'
    """
    pieces = [_ESCAPES.get(letter, letter) for letter in cut(text, length)]
    ends = list(accumulate(map(len, pieces)))
    if not ends or ends[-1] <= length:
        return "".join(pieces)
    return "".join(pieces[: sum(end < length for end in ends)]) + "…"


def message_of(alert: AlertRow, examples: Sequence[str], link: str | None) -> dict[str, Any]:
    """The message: what, how much, how sure, examples, and a button to the page. `examples` come redacted."""
    from slack_sdk.models.blocks import ActionsBlock as Actions
    from slack_sdk.models.blocks import (
        ButtonElement,
        ContextBlock,
        DividerBlock,
        HeaderBlock,
        PlainTextObject,
        RichTextBlock,
        RichTextElementParts,
        RichTextQuoteElement,
        SectionBlock,
    )

    def plain(text: str, length: int) -> PlainTextObject:
        return PlainTextObject(text=escaped(text, length) or "–", emoji=False)

    content = alert.content
    blocks: list[Any] = [HeaderBlock(text=plain(alert.title, _HEADER))]
    if content.text:
        blocks.append(SectionBlock(text=plain(content.text, _TEXT)))
    facts = [plain(f"{name}: {value}", _FIELD) for name, value in content.facts]
    for start in range(0, len(facts), _FIELDS):
        blocks.append(SectionBlock(fields=facts[start : start + _FIELDS]))
    for example in examples:
        # Slack refuses a whole message for one empty text, and a user can write one that has nothing to see.
        quote = RichTextQuoteElement(elements=[RichTextElementParts.Text(text=escaped(example, _EXAMPLE) or "–")])
        blocks.append(RichTextBlock(elements=[quote]))
    if link and len(link) < _BUTTON_URL:
        blocks.append(Actions(elements=[ButtonElement(text=plain("Open in offmap", 70), url=link, action_id="open")]))
    blocks.append(DividerBlock())
    blocks.append(ContextBlock(elements=[plain(f"offmap, {alert.created_at:%Y-%m-%d %H:%M} UTC", 80)]))
    return {"text": escaped(alert.title, _HEADER) or "–", "blocks": [block.to_dict() for block in blocks]}
