"""OpenTelemetry GenAI spans as OTLP JSON, with the older forms of the conventions and Vercel's AI SDK.

Which spans are one turn, and the turn's id: `consumers.decoders.grouping`. Which attributes are read:
`consumers.decoders.dialects`. A batch may hold other spans, and spans by OpenInference: all are read by their own names.
"""

from __future__ import annotations

from typing import Any

from consumers.decoders.decoder import Decoded, Defaults
from consumers.decoders.dialects import step_of
from consumers.decoders.grouping import decode_spans
from consumers.decoders.openinference import has_openinference
from consumers.decoders.otlp import is_otlp, read_spans
from monitor.records import Coordinates

__all__ = ["GenAIDecoder"]


class GenAIDecoder:
    """Every OTLP record that OpenInference does not mark: one without a call of a model is well formed, and empty."""

    name = "otel-genai"

    def matches(self, record: Any) -> bool:
        return is_otlp(record) and not has_openinference(record)

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        return decode_spans(read_spans(record), step_of, defaults)
