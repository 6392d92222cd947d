"""The conventions by which spans tell of a conversation, one module each: a span in, a `Step` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.dialects import genai, openinference, vercel
from consumers.decoders.otlp import Span
from consumers.decoders.step import Step

__all__ = ["is_openinference", "step_of"]


def is_openinference(attributes: Mapping[str, Any]) -> bool:
    """Whether attributes follow OpenInference, which marks every span of its own."""
    return openinference.KIND in attributes


def step_of(span: Span) -> Step | None:
    """What a span says; None for one that says nothing of a conversation. A batch may mix conventions."""
    if is_openinference(span.attributes):
        return openinference.read(span)
    # The SDK can write the messages in OpenTelemetry's own form beside its marks.
    if any(name in span.attributes for name in vercel.MARKS) and genai.INPUT not in span.attributes:
        return vercel.read(span)
    return genai.read(span)
