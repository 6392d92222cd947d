"""English names of languages as the two-letter codes that a turn's `language` holds."""

from __future__ import annotations

import re
from typing import Any

from consumers.fields import check_text

__all__ = ["language_code"]


def language_code(name: Any) -> str | None:
    """The ISO 639-1 code of a language's English name; None for a name that has none, such as "unknown".

    >>> language_code("English"), language_code("Norwegian Bokmål"), language_code("pt-BR"), language_code("unknown")
    ('en', 'nb', 'pt', None)
    """
    if name is None:
        return None
    word = check_text("language", name).strip().lower()
    if found := _CODES.get(word.replace("_", " ")):
        return found
    code = _TAG.fullmatch(word)
    return code[1] if code and code[1] in _KNOWN else None


_TAG = re.compile(r"([a-z]{2})(?:[-_][a-z0-9]{2,8})*")
_NAMES = """
aa Afar|ab Abkhazian|ae Avestan|af Afrikaans|ak Akan|am Amharic|an Aragonese|ar Arabic|as Assamese|av Avaric
ay Aymara|az Azerbaijani|ba Bashkir|be Belarusian|bg Bulgarian|bi Bislama|bm Bambara|bn Bengali|bn Bangla|bo Tibetan
br Breton|bs Bosnian|ca Catalan|ce Chechen|ch Chamorro|co Corsican|cr Cree|cs Czech|cu Church Slavic|cv Chuvash
cy Welsh|da Danish|de German|dv Divehi|dz Dzongkha|ee Ewe|el Greek|en English|eo Esperanto|es Spanish|et Estonian
eu Basque|fa Persian|fa Farsi|ff Fulah|fi Finnish|fj Fijian|fo Faroese|fr French|fy Western Frisian|fy Frisian
ga Irish|gd Scottish Gaelic|gd Scots Gaelic|gl Galician|gn Guarani|gu Gujarati|gv Manx|ha Hausa|he Hebrew|hi Hindi
ho Hiri Motu|hr Croatian|ht Haitian Creole|ht Haitian|hu Hungarian|hy Armenian|hz Herero|ia Interlingua|id Indonesian
ie Interlingue|ig Igbo|ii Sichuan Yi|ik Inupiaq|io Ido|is Icelandic|it Italian|iu Inuktitut|ja Japanese|jv Javanese
ka Georgian|kg Kongo|ki Kikuyu|kj Kuanyama|kk Kazakh|kl Kalaallisut|kl Greenlandic|km Khmer|kn Kannada|ko Korean
kr Kanuri|ks Kashmiri|ku Kurdish|kv Komi|kw Cornish|ky Kyrgyz|ky Kirghiz|la Latin|lb Luxembourgish|lg Ganda|lg Luganda
li Limburgish|ln Lingala|lo Lao|lt Lithuanian|lu Luba-Katanga|lv Latvian|mg Malagasy|mh Marshallese|mi Maori|mi Māori
mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|my Burmese|na Nauru|nb Norwegian Bokmål
nb Bokmal|nd North Ndebele|ne Nepali|ng Ndonga|nl Dutch|nn Norwegian Nynorsk|nn Nynorsk|no Norwegian|nr South Ndebele
nv Navajo|ny Nyanja|ny Chichewa|oc Occitan|oj Ojibwa|om Oromo|or Odia|or Oriya|os Ossetic|pa Punjabi|pi Pali|pl Polish
ps Pashto|pt Portuguese|qu Quechua|rm Romansh|rn Rundi|ro Romanian|ru Russian|rw Kinyarwanda|sa Sanskrit|sc Sardinian
sd Sindhi|se Northern Sami|sg Sango|si Sinhala|sk Slovak|sl Slovenian|sm Samoan|sn Shona|so Somali|sq Albanian
sr Serbian|ss Swati|st Southern Sotho|su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai
ti Tigrinya|tk Turkmen|tl Tagalog|tl Filipino|tn Tswana|to Tongan|tr Turkish|ts Tsonga|tt Tatar|tw Twi|ty Tahitian
ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek|ve Venda|vi Vietnamese|vo Volapük|wa Walloon|wo Wolof|xh Xhosa|yi Yiddish
yo Yoruba|za Zhuang|zh Chinese|zh Simplified Chinese|zh Traditional Chinese|zh ChineseT|zu Zulu
"""
_CODES = {
    name.lower(): code
    for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.strip().replace("\n", "|").split("|"))
}
_KNOWN = frozenset(_CODES.values())
