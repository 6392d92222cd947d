"""Wire formats, one module each. `DECODERS` lists them in the order in which detection tries them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from consumers.decoders.decoder import Decoded, Decoder, Defaults, default_id
from consumers.decoders.genai import GenAIDecoder
from consumers.decoders.langfuse import LangfuseDecoder
from consumers.decoders.langsmith import LangSmithDecoder
from consumers.decoders.litellm import LiteLLMDecoder
from consumers.decoders.lmsys import LmsysDecoder
from consumers.decoders.offmap import OffmapDecoder
from consumers.decoders.openai_chat import OpenAIChatDecoder
from consumers.decoders.openai_exchange import OpenAIExchangeDecoder
from consumers.decoders.openinference import OpenInferenceDecoder
from consumers.decoders.sharegpt import ShareGPTDecoder
from consumers.decoders.wildchat import WildChatDecoder
from consumers.raw import RawRecord
from monitor.errors import UsageError

__all__ = ["DECODERS", "Decoded", "Decoder", "Defaults", "decoder_named", "decoder_of", "default_id"]

DECODERS: tuple[Decoder, ...] = (
    OffmapDecoder(),
    OpenAIChatDecoder(),
    OpenAIExchangeDecoder(),
    LiteLLMDecoder(),
    ShareGPTDecoder(),
    LmsysDecoder(),
    WildChatDecoder(),
    LangfuseDecoder(),
    LangSmithDecoder(),
    OpenInferenceDecoder(),
    GenAIDecoder(),
)


def decoder_of(record: RawRecord, decoders: Sequence[Decoder]) -> Decoder | None:
    """The one decoder there is, or the first that knows the record."""
    if len(decoders) == 1:
        return decoders[0]
    if record.reason is None:
        for one in decoders:
            if one.matches(record.value):
                return one
    return None


def decoder_named(name: str) -> Decoder:
    """The decoder of a format. Raises `UsageError` with the nearest name."""
    by_name = {decoder.name: decoder for decoder in DECODERS}
    if name not in by_name:
        nearest = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are auto, {', '.join(by_name)}"
        raise UsageError(f"--format {name!r} is no known format; {hint}")
    return by_name[name]
