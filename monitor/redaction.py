"""Redaction by pattern: mails, phones, payment cards, IBANs and keys of known vendors become `[email]` and so on.

It finds what has a shape. Names, addresses and secrets without a shape stay: it lowers the risk of a log, and does not
make it anonymous. Each pattern takes linear time: a run of characters is entered at its start only, and lengths are
bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson

from monitor.records import Event, Turn, short_hash

__all__ = ["Redaction", "redact", "redact_event", "redact_identifier", "redact_payload", "redact_turn", "redaction_of"]


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text after redaction, and how much of each kind was replaced."""

    text: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def redact(text: str) -> str:
    """The text with everything that has the shape of a secret replaced.

    >>> redact("write to ann@example.org or call +49 30 901820")
    'write to [email] or call [phone]'
    """
    return redaction_of(text).text


def redaction_of(text: str) -> Redaction:
    """`redact` with its counts.

    >>> redaction_of("4111 1111 1111 1111, not 4111 1111 1111 1112").counts
    {'card': 1}
    """
    counts: dict[str, int] = {}
    for kind, rule in _RULES:
        text, found = rule(text)
        if found:
            counts[kind] = counts.get(kind, 0) + found
    return Redaction(text, counts)


def redact_identifier(text: str) -> str:
    """An id without what it reveals, and still one id a person: `[email]-1f2a3b4c`.

    A hash of an address that somebody can guess can be guessed too; this keeps a log from showing addresses, no more.
    """
    redacted = redact(text)
    return text if redacted == text else f"{redacted}-{short_hash(text, length=8)}"


_IDENTIFIERS = frozenset(("turn_id", "conversation_id", "user_id"))


def redact_turn(turn: Turn) -> Turn:
    """The turn with every text in it redacted, also inside lists and objects; ids stay distinct."""
    changed = {item.name: _redact_field(item.name, getattr(turn, item.name)) for item in fields(turn)}
    return replace(turn, **changed)


def redact_event(event: Event) -> Event:
    """The event, its turn's id as `redact_turn` leaves it."""
    return replace(event, turn_id=redact_identifier(event.turn_id), fields=_redact_value(dict(event.fields)))


def redact_payload(payload: bytes) -> bytes:
    """A raw record, redacted: as JSON when it is JSON, else as text; bytes that are no UTF-8 stay as they are.

    Ids under offmap's own names stay distinct, as in `redact_turn`: the record may be read again one day.
    """
    try:
        record = orjson.loads(payload)
        if isinstance(record, dict):
            return orjson.dumps({redact(name): _redact_field(name, item) for name, item in record.items()})
        return orjson.dumps(_redact_value(record))
    except (orjson.JSONDecodeError, TypeError):
        return redact(payload.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _redact_field(name: str, value: Any) -> Any:
    if name in _IDENTIFIERS and isinstance(value, str):
        return redact_identifier(value)
    return _redact_value(value)


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(name)): _redact_value(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [_redact_value(item) for item in value]
    return value


# --- keys -----------------------------------------------------------------------------------------------------------

_KEYS = re.compile(
    r"""
    (?<![A-Za-z0-9_-])(?:
        sk-ant-[A-Za-z0-9_-]{16,}                                   # Anthropic
      | sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{16,}                # OpenAI
      | sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{20,}             # OpenAI; sk-learn-... has no digit
      | (?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])                    # AWS
      | gh[pousr]_[A-Za-z0-9]{30,}                                  # GitHub
      | github_pat_[A-Za-z0-9_]{22,}
      | glpat-[A-Za-z0-9_-]{20,}                                    # GitLab
      | xox[abeoprs]-(?=[A-Za-z-]{0,200}[0-9])[A-Za-z0-9-]{10,}                          # Slack
      | xapp-[0-9]-[A-Za-z0-9-]{10,}
      | AIza[0-9A-Za-z_-]{35}                                       # Google
      | [sr]k_(?:live|test)_[0-9A-Za-z]{16,}                        # Stripe
      | whsec_[0-9A-Za-z+/=]{24,}
      | hf_[A-Za-z0-9]{30,}                                         # Hugging Face
      | npm_[A-Za-z0-9]{36}
      | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?   # JWT
    )
    | hooks\.slack\.com/services/[A-Za-z0-9/]{20,}
    | -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
      (?:[A-Za-z0-9+/=:,.\s\\]|-(?!----))*+(?:-----END[ ][A-Z0-9 ]{0,40}-----)?
    """,
    re.VERBOSE,
)


def _keys(text: str) -> tuple[str, int]:
    return _KEYS.subn("[key]", text)


# --- mails ----------------------------------------------------------------------------------------------------------

_MAIL = re.compile(
    r"(?<![\w.%+'-])[\w.%+'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}([^\W\d_]{2,24}|xn--[A-Za-z0-9-]{2,59})(?![\w-])(?!:[\w~/])"
)
# logo@2x.png and its kind are files.
_FILE_ENDINGS = "png jpg jpeg gif svg webp avif bmp ico js mjs css ts tsx jsx py json html md txt pdf yml yaml"
_FILES = frozenset(_FILE_ENDINGS.split())


def _mails(text: str) -> tuple[str, int]:
    if "@" not in text:
        return text, 0
    return _replace(_MAIL, text, "[email]", lambda match: match[1].lower() not in _FILES)


# --- IBANs ----------------------------------------------------------------------------------------------------------

_IBAN_LENGTHS: Mapping[str, int] = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FO FI GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC", "32": "LC",
        "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,30}")


def _ibans(text: str) -> tuple[str, int]:
    pieces: list[str] = []
    done = found = 0
    for match in _IBAN.finditer(text):
        end = _iban_end(text, match.start())
        if end is not None:
            pieces += (text[done : match.start()], "[iban]")
            done, found = end, found + 1
    return ("".join((*pieces, text[done:])), found) if found else (text, 0)


def _iban_end(text: str, start: int) -> int | None:
    """Where the IBAN that starts here ends: its country says how long it is, and its remainder by 97 must be 1."""
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    end, characters = start, ""
    while len(characters) < length and end < len(text):
        if text[end].isascii() and text[end].isalnum():
            characters += text[end].upper()
        elif text[end] not in " \u00a0-":
            return None
        end += 1
    if len(characters) < length or (end < len(text) and text[end].isalnum()):
        return None
    number = "".join(str(int(character, 36)) for character in characters[4:] + characters[:4])
    return end if int(number) % 97 == 1 else None


# --- payment cards --------------------------------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![0-9A-Za-z_])(?<![0-9][.,])(?:[0-9]{13,19}|[0-9]{4}([ \u00a0-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
    r"|[0-9]{4}([ \u00a0-])[0-9]{6}\2[0-9]{4,5})(?![0-9A-Za-z_])"
)
#: Numbers that a network gives out, with their lengths: without this, one order number in ten would be a card.
_NETWORKS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12,14}"
    r"|3[47][0-9]{13}|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|62[0-9]{14,17}|(?:50|5[6-9]|6[37])[0-9]{14}"
)


def _cards(text: str) -> tuple[str, int]:
    return _replace(_CARD, text, "[card]", lambda match: _is_card(re.sub(r"[^0-9]", "", match[0])))


def _is_card(digits: str) -> bool:
    network = _NETWORKS.fullmatch(digits)
    # The Mastercard ranges are written by their first digits; all of them have 16.
    if network is None or (digits[0] in "25" and len(digits) != 16):
        return False
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]
    total = sum(int(digit) for digit in digits[-1::-2]) + sum(value - 9 if value > 9 else value for value in doubled)
    return total % 10 == 0


# --- phones ---------------------------------------------------------------------------------------------------------

_GAP = r"[ \u00a0\u202f.\u2010\u2011/-]"
_GROUPS = rf"(?:{_GAP}{{0,2}}(?:\([0-9]{{1,5}}\)|[0-9]{{1,12}})){{1,7}}"
_AREA = r"[2-9][0-9]{2}"
# Each form is atomic: digits without gaps can be cut into groups in many ways, and none of them is worth a second try.
_PHONE = re.compile(
    rf"""
    (?=\(?\+?[ ]?[0-9])(?<![\w+])(?<![0-9][.,:-])(?:
        (?P<international>(?>(?:\+|\(\+)[ ]?[1-9][0-9]{{0,2}}\)?{_GROUPS}))
      | (?<![\w][/=\#-])(?:
          (?P<zeros>(?>00[1-9][0-9]{{0,2}}{_GROUPS}))
        | (?P<american>(?>(?:1{_GAP})?(?:\({_AREA}\){_GAP}?|{_AREA}{_GAP}){_AREA}{_GAP}[0-9]{{4}}))
        | (?P<pairs>0[1-9](?:{_GAP}[0-9]{{2}}){{4}})
        | (?P<national>(?>\(?0[1-9][0-9]{{1,4}}\)?(?:[ ]?[/-][ ]?|{_GAP})[0-9]{{3,8}}(?:{_GAP}[0-9]{{1,6}}){{0,4}}))
        | (?P<mobile>07[0-9]{{9}}|01[5-7][0-9]{{8,9}}|0[67][0-9]{{8}})
        | (?P<bare>(?>[0-9]{{7,13}}|\(?[1-9][0-9]{{0,4}}\)?(?:{_GAP}[0-9]{{1,10}}){{1,5}}))
        )
    )(?![\w@])(?![.,:/-][0-9])
    """,
    re.VERBOSE,
)
_DATE = re.compile(
    r"(?:[0-3]?[0-9][./-][01]?[0-9][./-](?:[0-9]{4}|[0-9]{2})"
    r"|[12][0-9]{3}[./-][01]?[0-9][./-][0-3]?[0-9])(?:[ ][0-9]{1,2})?"
)
#: Words before a number: with one of these a bare number is a phone, and with one of those no number is.
_CALL_WORDS = (
    "phones? tels? telefon\\w* telephone téléphone teléfono mobile mobil móvil portable handy\\w* cell cellphone "
    "whatsapp sms fax call ring text dial reach callback contact rufnummer appel\\w* llam\\w+ anrufen ruf"
)
_NUMBER_WORDS = (
    "orders? bestell\\w* auftrag\\w* pedido commande invoices? rechnung\\w* factura facture tickets? tracking parcel "
    "sendung\\w* ref reference serial version build isbn ean sku account konto\\w* customer kunden\\w* case id article "
    "artikel\\w* model nr no doc pin imei part pages? rfc vat ust\\w* zip plz port eur usd gbp iso error code sort "
    "hash commit timestamp years? \\$ € £ \\#"
)
_CALLED = re.compile(rf"(?<!\w)(?:{'|'.join(_CALL_WORDS.split())})(?!\w).{{0,24}}\Z", re.IGNORECASE | re.DOTALL)
_NUMBERED = re.compile(
    rf"(?<!\w)(?:{'|'.join(_NUMBER_WORDS.split())})"
    r"[\s.:#=-]{0,4}(?:(?:number|nummer|code|numéro|número|no|nr|id|is|ist|n°)[\s.:#=-]{0,4}){0,3}\Z",
    re.IGNORECASE,
)
_BEFORE = 48


def _phones(text: str) -> tuple[str, int]:
    return _replace(_PHONE, text, "[phone]", _is_phone)


def _is_phone(match: re.Match[str]) -> bool:
    written = match[0]
    digits = sum(map(str.isdigit, written))
    form = match.lastgroup
    if not 7 <= digits <= 16:
        return False
    if form == "international":
        return digits >= 8
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    lead = before[max(map(before.rfind, "0123456789\n")) + 1 :]
    if _DATE.fullmatch(written.strip()) or (lead and _NUMBERED.search(lead)):
        return False
    if form == "zeros":
        return digits >= 11
    if form == "bare" or (form == "national" and digits < 9):
        # Neither country nor area shows: only what stands before it can say that it is a phone.
        return digits <= 13 and len(lead) > 2 and _CALLED.search(lead) is not None
    return digits <= 13


def _replace(
    pattern: re.Pattern[str], text: str, mark: str, is_one: Callable[[re.Match[str]], bool]
) -> tuple[str, int]:
    found = 0

    def put(match: re.Match[str]) -> str:
        nonlocal found
        if not is_one(match):
            return match[0]
        found += 1
        return mark

    return pattern.sub(put, text), found


# Keys first: parts of one may look like a phone. IBANs and cards before phones for the same reason.
_RULES: tuple[tuple[str, Callable[[str], tuple[str, int]]], ...] = (
    ("key", _keys),
    ("email", _mails),
    ("iban", _ibans),
    ("card", _cards),
    ("phone", _phones),
)
