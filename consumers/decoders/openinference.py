"""OpenInference spans (Arize Phoenix and others) as OTLP JSON.

Which spans are one turn, and the turn's id: `consumers.decoders.grouping`. Which attributes are read:
`consumers.decoders.dialects.openinference`. Spans of the same batch by other conventions are read by theirs.
"""

from __future__ import annotations

from typing import Any

from consumers.decoders.decoder import Decoded, Defaults
from consumers.decoders.dialects import openinference, step_of
from consumers.decoders.grouping import decode_spans
from consumers.decoders.otlp import is_otlp, raw_spans, read_spans
from monitor.records import Coordinates

__all__ = ["OpenInferenceDecoder", "has_openinference"]


class OpenInferenceDecoder:
    """OTLP with at least one span that OpenInference marks."""

    name = "openinference"

    def matches(self, record: Any) -> bool:
        return is_otlp(record) and has_openinference(record)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        return decode_spans(read_spans(record), step_of, defaults)


def has_openinference(record: Any) -> bool:
    """Whether any span of a record carries OpenInference's mark."""
    return any(_marked(span.get("attributes")) for span in raw_spans(record))


def _marked(attributes: Any) -> bool:
    if isinstance(attributes, dict):
        return openinference.KIND in attributes
    if not isinstance(attributes, list):
        return False
    return any(isinstance(one, dict) and one.get("key") == openinference.KIND for one in attributes)
