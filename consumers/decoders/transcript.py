"""What a model was asked and what it answered, in the many JSON shapes in which tracing tools keep an input and an output.

Known are plain texts, a message, a list of messages (OpenAI's form, LangChain's three, Anthropic's and Gemini's parts, items
of the Responses API), objects that hold one of these under a usual name, and any of them as JSON inside a JSON string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.decoders.exchange import Message
from consumers.fields import check_text, shown, type_word
from monitor.errors import RecordError

__all__ = ["Answered", "Asked", "answered", "asked", "unwrapped"]

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "ai", "model"), "assistant"),
    **dict.fromkeys(("tool", "function"), "tool"),
}
# Under which names applications keep what the user wrote; the first that holds a message counts.
_QUESTIONS = (
    "messages contents input question query user_input user_query user_message message prompt prompts text utterance "
    "content inputs kwargs args"
).split()
_ANSWERS = (
    "choices generations candidates messages output answer response result reply completion final_output output_text text "
    "content message delta return_values outputs kwargs"
).split()
_HISTORIES = ("chat_history", "history")
_INSTRUCTIONS = ("system", "instructions", "system_prompt")
_CALLS = frozenset(("tool_use", "tool_call", "function_call", "server_tool_use"))
_RESULTS = frozenset(("tool_result", "function_call_output", "function_response"))
_SILENT = frozenset(("thinking", "redacted_thinking", "reasoning", "reasoning_content"))
_SPOKEN = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_KINDS = {
    **dict.fromkeys(("image", "image_url", "input_image", "image_file"), "image"),
    **dict.fromkeys(("audio", "audio_url", "input_audio"), "audio"),
    **dict.fromkeys(("video", "video_url"), "video"),
    **dict.fromkeys(("file", "input_file", "document"), "file"),
}
# Shapes lie in one another; deeper than this nobody's do.
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """The last user message, the system prompt in force, and how many user messages came before, when that is known."""

    text: str
    modalities: tuple[str, ...] = ()
    system_prompt: str | None = None
    turn_index: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The last words of the assistant after the last user message, and the tools that it called."""

    text: str | None = None
    tool_calls: tuple[Any, ...] = ()


def unwrapped(value: Any) -> Any:
    """The value inside JSON strings; a text that is no JSON object, list or string stays a text.

    >>> unwrapped('"[1]"'), unwrapped("[sic]"), unwrapped("12")
    ([1], '[sic]', '12')
    """
    for _ in range(_DEPTH):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            break
        try:
            value = orjson.loads(value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            break
    return value


def asked(where: str, value: Any) -> Asked | None:
    """What a user asked in this input; None when nobody is heard in it.

    >>> asked("input", {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]})
    Asked(text='hi', modalities=(), system_prompt='Be brief.', turn_index=0)
    """
    found = _asked(where, value, _DEPTH)
    return found if found and found.text.strip() else None


def answered(where: str, value: Any) -> Answered:
    """What was answered in this output.

    >>> answered("output", '{"role": "assistant", "content": "hello"}')
    Answered(text='hello', tool_calls=())
    """
    return _answered(where, value, _DEPTH) or Answered()


def _asked(where: str, value: Any, depth: int) -> Asked | None:
    inner = unwrapped(value)
    if isinstance(inner, str):
        return Asked(check_text(where, inner))
    found = None
    if depth > 0 and _is_plausible(value, inner):
        if isinstance(inner, list):
            found = _asked_in_list(where, inner, depth)
        elif isinstance(inner, dict):
            found = _asked_in_object(where, inner, depth)
    if found is None and isinstance(value, str) and not _holds_messages(inner):
        # Somebody pasted JSON into the chat: that is what they wrote.
        return Asked(check_text(where, value))
    return found


def _asked_in_list(where: str, items: list[Any], depth: int) -> Asked | None:
    if _are_messages(items):
        return _last_question(list(_messages(where, items)))
    if _are_parts(items):
        text, modalities, _ = _content(where, items)
        return Asked(text, modalities)
    # A batch of inputs, or the arguments of a function: the first is meant.
    return _asked(f"{where}[0]", items[0], depth - 1) if items else None


def _asked_in_object(where: str, value: Mapping[str, Any], depth: int) -> Asked | None:
    if _is_message(value):
        return _last_question(list(_messages(where, [value], alone=True)))
    for name in _QUESTIONS:
        if value.get(name) is None:
            continue
        found = _asked(f"{where}.{name}", value[name], depth - 1)
        if found is not None:
            return _with_surroundings(where, value, found)
    return None


def _with_surroundings(where: str, value: Mapping[str, Any], found: Asked) -> Asked:
    """The system prompt and the history that stand beside the question."""
    system, index = found.system_prompt, found.turn_index
    for name in _INSTRUCTIONS:
        if system is None and isinstance(value.get(name), str | list):
            system = _content(f"{where}.{name}", value[name])[0] or None
    for name in _HISTORIES:
        history = value.get(name)
        if index is None and isinstance(history, list):
            messages = list(_messages(f"{where}.{name}", history)) if _are_messages(history) else []
            index = len(_questions(messages)) if messages or not history else None
    return Asked(found.text, found.modalities, system, index)


def _questions(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.role == "user" and message.text.strip()]


def _last_question(messages: Sequence[Message]) -> Asked | None:
    users = [message for message in messages if message.role == "user"]
    if not users:
        return None
    last = users[-1]
    prompts = [one.text for one in messages if one.role == "system" and one.text]
    return Asked(last.text, last.modalities, prompts[-1] if prompts else None, len(_questions(users[:-1])))


def _answered(where: str, value: Any, depth: int) -> Answered | None:
    inner = unwrapped(value)
    if isinstance(inner, str):
        return Answered(check_text(where, inner) or None)
    found = None
    if depth > 0 and inner and _is_plausible(value, inner):
        if isinstance(inner, list):
            found = _answered_in_list(where, inner, depth)
        elif isinstance(inner, dict):
            found = _answered_in_object(where, inner, depth)
    if found is None and isinstance(value, str) and not _holds_messages(inner):
        # The model wrote JSON: that is its answer.
        return Answered(check_text(where, value))
    return found


def _answered_in_list(where: str, items: list[Any], depth: int) -> Answered | None:
    if _are_messages(items):
        return _last_answer(list(_messages(where, items)))
    if _are_parts(items):
        text, _, calls = _content(where, items)
        return Answered(text or None, calls)
    return _answered(f"{where}[0]", items[0], depth - 1)


def _answered_in_object(where: str, value: Mapping[str, Any], depth: int) -> Answered | None:
    if _is_message(value):
        return _last_answer(list(_messages(where, [value], alone=True)))
    # A generation of LangChain has its text twice; the message beside it also names the tools.
    names = ("message", *_ANSWERS) if isinstance(value.get("message"), dict) else _ANSWERS
    best: Answered | None = None
    for name in names:
        if value.get(name) is None:
            continue
        found = _answered(f"{where}.{name}", value[name], depth - 1)
        if found is None:
            continue
        best = Answered(found.text, best.tool_calls or found.tool_calls) if best else found
        if best.text:
            break
    calls = value.get("tool_calls")
    if isinstance(calls, list) and not (best and best.tool_calls):
        best = Answered(best.text if best else None, tuple(calls))
    return best


def _last_answer(messages: Sequence[Message]) -> Answered:
    text: str | None = None
    calls: list[Any] = []
    for message in messages:
        if message.role == "user":
            text, calls = None, []
        elif message.role == "assistant":
            text = message.text or text
            calls.extend(message.tool_calls)
    return Answered(text, tuple(calls))


def _is_plausible(value: Any, inner: Any, depth: int = _DEPTH) -> bool:
    """Whether JSON is a record of a talk. Out of a string it has to look like one: people and models write JSON too."""
    if not isinstance(value, str):
        return True
    if isinstance(inner, list):
        return (
            _are_messages(inner)
            or _are_parts(inner)
            or (depth > 0 and bool(inner) and _is_plausible(value, inner[0], depth - 1))
        )
    if not isinstance(inner, dict):
        return False
    names = {*_QUESTIONS, *_ANSWERS} - {"text", "content", "message"}
    return _is_message(inner) or not names.isdisjoint(inner)


def _holds_messages(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_message(value) or any(isinstance(one, list) and _are_messages(one) for one in value.values())
    return isinstance(value, list) and _are_messages(value)


def _are_messages(items: Sequence[Any]) -> bool:
    return any(map(_is_message, items))


def _is_message(item: Any) -> bool:
    return _role(item) is not None or (isinstance(item, dict) and "role" in item and "content" in item)


def _are_parts(items: Sequence[Any]) -> bool:
    kinds = {*_SPOKEN, *_KINDS, *_SILENT, *_CALLS, *_RESULTS}
    return bool(items) and all(_type(item) in kinds for item in items)


def _type(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else ""


def _role(item: Any) -> str | None:
    """The role as the message itself names it; None for what is no message."""
    if isinstance(item, list):
        # LangGraph takes a message as a pair.
        is_pair = len(item) == 2 and all(isinstance(one, str) for one in item) and item[0] in _ROLES
        return item[0] if is_pair else None
    if not isinstance(item, dict):
        return None
    path, body = item.get("id"), _body(item)
    if isinstance(path, list) and path and isinstance(path[-1], str) and isinstance(item.get("kwargs"), dict):
        is_message = path[-1].endswith(("Message", "MessageChunk"))
        return _chat_role(_short(path[-1]), body) if is_message else None
    if isinstance(item.get("role"), str):
        return str(item["role"]) if any(name in item for name in ("content", "parts", "tool_calls")) else None
    name = _short(_type(item))
    if "content" in body or isinstance(item.get("data"), dict):
        return _chat_role(name, body) if name in _ROLES or name == "chat" else None
    return None


def _short(name: str) -> str:
    """`HumanMessageChunk` and `human` are both human."""
    return name.removesuffix("Chunk").removesuffix("Message").lower()


def _chat_role(name: str, body: Mapping[str, Any]) -> str:
    return str(body.get("role")) if name == "chat" else name


def _body(item: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("kwargs", "data"):
        inner = item.get(name)
        if isinstance(inner, dict) and "role" not in item:
            return inner
    return item


def _messages(where: str, items: Iterable[Any], *, alone: bool = False) -> Iterable[Message]:
    for position, item in enumerate(items):
        place = where if alone else f"{where}[{position}]"
        name = _role(item)
        if isinstance(item, list) and name is not None:
            yield Message(_ROLES[name], check_text(place, item[1]), position)
        elif not isinstance(item, dict):
            raise RecordError(f"{place}: expected an object, got {type_word(item)}")
        elif name is None and _type(item) in _CALLS:
            yield Message("assistant", "", position, (), (item,))
        elif name == "remove" or (name is None and _type(item) in _RESULTS | _SILENT):
            continue
        else:
            named = item.get("role") if name is None else name
            role = _ROLES.get(named.lower()) if isinstance(named, str) else None
            if role is None:
                raise RecordError(f"{place}.role: expected one of {', '.join(_ROLES)}, got {shown(named)}")
            yield _message(place, role, _body(item), position)


def _message(where: str, role: str, body: Mapping[str, Any], position: int) -> Message:
    content = body.get("content", body.get("parts"))
    if role == "user" and isinstance(content, list) and content and all(map(_is_result, content)):
        # Anthropic's form hands the results of tools back as if the user had said them.
        return Message("tool", "", position)
    text, modalities, calls = _content(f"{where}.content", content)
    return Message(role, text, position, modalities, _tool_calls(body) or calls)


def _is_result(part: Any) -> bool:
    return _type(part) in _RESULTS


def _tool_calls(body: Mapping[str, Any]) -> tuple[Any, ...]:
    further = body.get("additional_kwargs")
    for place in (body, further if isinstance(further, dict) else {}):
        calls = place.get("tool_calls")
        if isinstance(calls, list) and calls:
            return tuple(calls)
    return ()


def _content(where: str, content: Any) -> tuple[str, tuple[str, ...], tuple[Any, ...]]:
    """The text of a message, its modalities when it is a list of parts, and the tools that it calls."""
    if content is None:
        return "", (), ()
    if isinstance(content, str):
        return check_text(where, content), (), ()
    if isinstance(content, dict):
        content = content["parts"] if isinstance(content.get("parts"), list) else [content]
    if not isinstance(content, list):
        raise RecordError(f"{where}: expected a text or a list of parts, got {type_word(content)}")
    texts: list[str] = []
    modalities: list[str] = []
    calls: list[Any] = []
    for part in content:
        if _type(part) in _CALLS:
            calls.append(part)
        elif _type(part) not in _RESULTS | _SILENT:
            text, kind = _part(where, part)
            texts += [] if text is None else [text]
            modalities.append(kind)
    return "\n".join(texts), tuple(dict.fromkeys(modalities)), tuple(calls)


def _part(where: str, part: Any) -> tuple[str | None, str]:
    if isinstance(part, str):
        return check_text(where, part), "text"
    if not isinstance(part, dict):
        raise RecordError(f"{where}: expected parts to be objects or texts, got {type_word(part)}")
    kind = _type(part)
    name = _SPOKEN.get(kind) if kind else "text" if "text" in part else None
    if name is not None:
        return check_text(where, part.get(name)), "text"
    if kind:
        return None, _KINDS.get(kind) or check_text(f"{where}.type", kind)
    data = part.get("inline_data") or part.get("inlineData") or part.get("file_data")
    mime = data.get("mime_type") or data.get("mimeType") if isinstance(data, dict) else None
    return None, check_text(where, mime).partition("/")[0] if isinstance(mime, str) else "other"
