"""Wire formats, one module each. `DECODERS` lists them in the order in which detection tries them."""

from __future__ import annotations

import difflib

from consumers.decoders.decoder import Decoded, Decoder, Defaults, default_id
from consumers.decoders.offmap import OffmapDecoder
from consumers.decoders.openai_chat import OpenAIChatDecoder
from consumers.decoders.sharegpt import ShareGPTDecoder
from monitor.errors import UsageError

__all__ = ["DECODERS", "Decoded", "Decoder", "Defaults", "decoder_named", "default_id"]

DECODERS: tuple[Decoder, ...] = (OffmapDecoder(), OpenAIChatDecoder(), ShareGPTDecoder())


def decoder_named(name: str) -> Decoder:
    """The decoder of a format. Raises `UsageError` with the nearest name."""
    by_name = {decoder.name: decoder for decoder in DECODERS}
    if name not in by_name:
        nearest = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are auto, {', '.join(by_name)}"
        raise UsageError(f"--format {name!r} is no known format; {hint}")
    return by_name[name]
