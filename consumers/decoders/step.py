"""What one span says in words of a conversation, whichever convention it follows, and how its messages are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from consumers.decoders.exchange import Message
from consumers.fields import check_text, type_word
from monitor.errors import RecordError

__all__ = ["Judgement", "Step", "call_of", "messages_of", "parsed", "text_of"]

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "ai", "model", "chatbot"), "assistant"),
}
_TEXTS = frozenset(("text", "input_text", "output_text", "refusal"))
_CALLS = frozenset(("tool_call", "tool-call", "tool_use", "toolUse", "function_call", "server_tool_call"))
#: Results of tools and a model's thoughts: neither words of the user nor of the reply, and no modality of a message.
_SILENT = frozenset(
    "tool_call_response tool-result tool_result toolResult tool-error function_call_output server_tool_call_response "
    "reasoning thinking redacted_thinking redacted-reasoning tool-approval-request tool-approval-response".split()
)
_KINDS = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "input_file": "file",
}
_TYPED = _TEXTS | _CALLS | _SILENT | set(_KINDS)
#: JSON within a JSON text is unwrapped so often.
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Judgement:
    """A score or a label of a span, by a person, a model or code. `of_trace`: about the whole trace."""

    score: float | None
    comment: str | None
    about: Mapping[str, Any]
    time_ns: int | None = None
    of_trace: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One span. `kind` is llm, agent, chain, tool, retriever or judge.

    `messages` are all that were sent; `reply` is the text that came back, and `finished` says that it is the answer to
    the user, not the words before a tool is called.
    """

    kind: str
    messages: tuple[Message, ...] = ()
    reply: str | None = None
    finished: bool = True
    system_prompt: str | None = None
    tool_calls: Sequence[Any] = ()
    documents: Sequence[Any] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    judgements: Sequence[Judgement] = ()

    @property
    def user(self) -> Message | None:
        """The user's last message, if it has text."""
        last = next((message for message in reversed(self.messages) if message.role == "user"), None)
        return last if last is not None and last.text.strip() else None

    @property
    def earlier(self) -> list[str]:
        """Texts of the user's messages before the last."""
        texts = [message.text.strip() for message in self.messages if message.role == "user"]
        return texts[:-1]

    @property
    def system(self) -> str | None:
        """The system prompt, given apart or as messages."""
        texts = [self.system_prompt or "", *(one.text for one in self.messages if one.role == "system")]
        return "\n".join(dict.fromkeys(text for text in texts if text.strip())) or None


def parsed(value: Any) -> Any:
    """A value out of its JSON text, also when it was encoded twice; any other text as it is.

    >>> parsed('"{\\\\"a\\\\": 1}"'), parsed("[sic]")
    ({'a': 1}, '[sic]')
    """
    for _ in range(_DEEPEST):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            return value
        try:
            inner = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        if isinstance(inner, str) and inner.lstrip()[:1] not in ("{", "["):
            # Quotes around a plain text are the user's own, unless the text was encoded.
            return inner if value.lstrip()[:1] == '"' else value
        value = inner
    return value


def messages_of(where: str, raw: Any, role: str | None = None) -> tuple[Message, ...]:
    """Messages of a list, of one message, or of a text. `role` is for those that name none."""
    raw = parsed(raw)
    if raw is None:
        return ()
    if isinstance(raw, str | dict):
        raw = [raw]
    if not isinstance(raw, list):
        raise RecordError(f"{where}: expected a list of messages, got {type_word(raw)}")
    if role is not None and raw and all(isinstance(one, dict) and "role" not in one and "type" in one for one in raw):
        raw = [{"role": role, "content": raw}]  # the parts of one message
    return tuple(_message(f"{where}[{place}]", item, place, role) for place, item in enumerate(raw))


def text_of(where: str, content: Any) -> str:
    """The text of a message's content: a text, parts, or an object that holds either."""
    return _content(where, content).text


def call_of(name: Any, arguments: Any, identity: Any = None) -> dict[str, Any]:
    """A call of a tool, in the form that offmap keeps: OpenAI's."""
    if arguments is not None and not isinstance(arguments, str):
        try:
            arguments = orjson.dumps(arguments).decode()
        except TypeError as error:
            raise RecordError(f"tool_calls: arguments hold something that is not JSON: {error}") from None
    call: dict[str, Any] = {"id": identity} if isinstance(identity, str) and identity else {}
    function = {"name": name if isinstance(name, str) else None, "arguments": arguments}
    return {
        **call,
        "type": "function",
        "function": {key: value for key, value in function.items() if value is not None},
    }


@dataclass(slots=True)
class _Content:
    texts: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    silent: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def _message(where: str, raw: Any, place: int, role: str | None) -> Message:
    if isinstance(raw, str):
        return Message(role or "user", check_text(where, raw), place)
    if not isinstance(raw, dict):
        raise RecordError(f"{where}: expected a message, got {type_word(raw)}")
    inner = raw.get("message")
    if isinstance(inner, dict) and "role" not in raw:
        raw = inner
    name = raw.get("role") or role
    if not isinstance(name, str):
        raise RecordError(f"{where}.role: expected a text, got {type_word(name)}")
    author = _ROLES.get(name.lower(), "tool")
    content = _content(
        where, next((raw[key] for key in ("parts", "content", "text") if raw.get(key) is not None), None)
    )
    content.calls += _tool_calls(raw.get("tool_calls"))
    if author == "user" and content.silent and not content.text.strip():
        author = "tool"  # some APIs hand the results of tools back in the user's name
    modalities = tuple(dict.fromkeys(content.modalities))
    return Message(author, content.text, place, modalities, tuple(content.calls))


def _content(where: str, content: Any) -> _Content:
    found = _Content()
    if isinstance(content, str):
        inner = parsed(content) if content.lstrip()[:2] in ("[{", '{"') else content
        if _are_parts(inner):
            unpacked = _content(where, inner)
            if unpacked.texts or unpacked.calls or unpacked.silent:
                return unpacked
        found.texts.append(check_text(where, content))
        return found
    if content is None:
        return found
    for part in content if isinstance(content, list) else [content]:
        _take(where, part, found)
    return found


def _are_parts(value: Any) -> bool:
    """Whether the text of a message is really its list of parts, encoded. People type JSON too, so it must look it."""
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and (
            isinstance(part.get("text"), str)
            or (isinstance(part.get("type"), str) and part["type"] in _TYPED)
            or isinstance(part.get("toolUse", part.get("toolResult")), dict)
        )
        for part in value
    )


def _take(where: str, part: Any, found: _Content) -> None:
    if isinstance(part, str):
        found.texts.append(check_text(where, part))
        found.modalities.append("text")
        return
    if not isinstance(part, dict):
        raise RecordError(f"{where}: expected a text or a list of parts, got {type_word(part)}")
    kind = part.get("type")
    if not isinstance(kind, str):
        kind = next(
            (key for key in ("text", "toolUse", "toolResult", "image", "document", "video") if key in part), None
        )
    if kind in _TEXTS or kind is None:
        text = next((part[key] for key in ("content", "text", "refusal") if part.get(key) is not None), None)
        if text is not None:
            found.texts.append(check_text(where, text))
            found.modalities.append("text")
    elif kind in _CALLS:
        inner = part.get("toolUse")
        call = _part_call(inner if isinstance(inner, dict) else part)
        if call["function"]:
            found.calls.append(call)
    elif kind in _SILENT:
        found.silent = True
    else:
        found.modalities.append(_modality(kind, part))


def _modality(kind: str, part: Mapping[str, Any]) -> str:
    named = part.get("modality")
    if isinstance(named, str) and named:
        return named
    media = next((part[key] for key in ("mime_type", "mimeType", "mediaType") if isinstance(part.get(key), str)), "")
    main = media.partition("/")[0]
    if main in ("image", "audio", "video"):
        return main
    return "file" if kind in ("blob", "uri", "file", "file_data") else _KINDS.get(kind, kind)


def _part_call(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = next((part[key] for key in ("arguments", "input", "args") if part.get(key) is not None), None)
    identity = next((part[key] for key in ("id", "toolCallId", "toolUseId", "call_id") if part.get(key)), None)
    return call_of(part.get("name") or part.get("toolName"), arguments, identity)


def _tool_calls(raw: Any) -> list[Any]:
    """Calls in OpenAI's form, or with name and arguments beside the id."""
    raw = parsed(raw)
    found = []
    for item in raw if isinstance(raw, list) else ():
        if isinstance(item, dict):
            function = item.get("function")
            inner = function if isinstance(function, dict) else item
            found.append(_part_call({**inner, "id": item.get("id") or item.get("toolCallId")}))
    return found
