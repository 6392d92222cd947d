"""What a model answered to a chat request: OpenAI's chat completion, text completion or response object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumers.decoders.openai_messages import messages
from consumers.fields import check_text, type_word
from monitor.errors import RecordError

__all__ = ["Completion", "error_text", "read_completion"]


@dataclass(frozen=True, slots=True)
class Completion:
    """The first choice's text and tool calls, why it stopped, and the texts of further choices (`n` of the request)."""

    text: str | None = None
    tool_calls: tuple[Any, ...] = ()
    finish_reason: str | None = None
    others: tuple[str, ...] = ()


def read_completion(response: Mapping[str, Any], where: str = "response") -> Completion:
    """Raises `RecordError` for choices that are none. A response without any is an empty completion."""
    choices = response.get("choices")
    if choices is None:
        return _from_output(response.get("output"), where)
    if not isinstance(choices, list):
        raise RecordError(f"{where}.choices: expected a list, got {type_word(choices)}")
    read = [_choice(choice, f"{where}.choices[{position}]") for position, choice in enumerate(choices)]
    if not read:
        return Completion()
    first, rest = read[0], read[1:]
    return Completion(first.text, first.tool_calls, first.finish_reason, tuple(one.text for one in rest if one.text))


def error_text(error: Any) -> str | None:
    """An error as one line: its code or type, whichever is a word, and its message; None for what says nothing.

    >>> error_text({"message": "slow down", "type": "requests", "code": "rate_limit"}), error_text("late")
    ('rate_limit: slow down', 'late')
    >>> error_text({"message": "slow down", "code": 429}), error_text({})
    ('429: slow down', None)
    """
    if isinstance(error, str):
        return check_text("error", error) or None
    if not isinstance(error, Mapping):
        return None
    kinds = [error.get(name) for name in ("code", "type", "error_class", "error_code", "status")]
    words = [kind for kind in kinds if isinstance(kind, str) and kind]
    numbers = [str(kind) for kind in kinds if isinstance(kind, int) and not isinstance(kind, bool)]
    said = [error[name] for name in ("message", "error_message", "error") if isinstance(error.get(name), str)]
    parts = (words or numbers)[:1] + [text for text in said if text][:1]
    return check_text("error", ": ".join(parts)) or None


def _choice(choice: Any, where: str) -> Completion:
    if not isinstance(choice, dict):
        raise RecordError(f"{where}: expected an object, got {type_word(choice)}")
    reason = choice.get("finish_reason")
    reason = reason if isinstance(reason, str) else None
    message = choice.get("message")
    if message is None:  # a text completion
        text = choice.get("text")
        return Completion(None if text is None else check_text(f"{where}.text", text), (), reason)
    if not isinstance(message, dict):
        raise RecordError(f"{where}.message: expected an object, got {type_word(message)}")
    (read,) = messages([{"role": "assistant", **message}], f"{where}.message")
    audio = message.get("audio")
    spoken = audio.get("transcript") if isinstance(audio, dict) else None
    text = read.text or message.get("refusal") or spoken
    calls = read.tool_calls
    if not calls and isinstance(message.get("function_call"), dict):  # the form before tools
        calls = ({"type": "function", "function": message["function_call"]},)
    return Completion(check_text(f"{where}.message", text) if text else None, calls, reason)


def _from_output(output: Any, where: str) -> Completion:
    """The Responses API: messages among calls of tools and reasoning."""
    if not isinstance(output, list):
        return Completion()
    said = [item for item in output if isinstance(item, dict) and item.get("type") == "message"]
    texts = [message.text for message in messages(said, f"{where}.output") if message.text]
    calls = tuple(item for item in output if isinstance(item, dict) and item.get("type") == "function_call")
    return Completion("\n".join(texts) or None, calls)
