"""Settings: read once, from `offmap.toml` and `OFFMAP_*` variables, into one frozen value.

Sources, later ones win: the defaults below, `offmap.toml`, the environment, the command line. A setting `section.key` is
`[section] key = ...` in the file and `OFFMAP_SECTION_KEY` in the environment; the short names of `ENVIRONMENT_NAMES` are
fixed and stay. An unknown or bad setting is a `SettingError` that names it, its value and the nearest valid one.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

from monitor.errors import SettingError
from monitor.keep_out import KeepOut, parse_rules
from monitor.watch_list import WatchList, parse_lists

__all__ = ["CONFIG_FILE", "FOREIGN_NAMES", "Setting", "Settings", "describe", "load", "password_within"]

CONFIG_FILE = "offmap.toml"

#: Names that other programs and people already rely on, beside the regular OFFMAP_SECTION_KEY.
ENVIRONMENT_NAMES = {
    "OFFMAP_STORE": "store.path",
    "OFFMAP_SLACK_WEBHOOK": "alerts.slack_webhook",
    "OFFMAP_PUBLIC_URL": "serve.public_url",
    "OFFMAP_ALLOW_PRIVATE_WEBHOOKS": "alerts.allow_private_webhooks",
    "OFFMAP_SECRET_KEY": "serve.secret_key",
}

#: Variables with our prefix that are no settings: where the file is, and where the benchmarks' data is.
FOREIGN_NAMES = frozenset({"OFFMAP_CONFIG", "OFFMAP_DATA"})


def _setting(
    default: Any,
    meaning: str,
    *,
    choices: tuple[Any, ...] = (),
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    refused: Callable[[str], str] = lambda value: "",
) -> Any:
    """`refused` says why a value is not taken; such a value is not shown."""
    metadata = {
        "meaning": meaning,
        "choices": choices,
        "low": low,
        "high": high,
        "secret": secret,
        "refused": refused,
    }
    return field(default=default, metadata=metadata, repr=not secret)


def password_within(path: str) -> str:
    """Why a store's name is refused that holds a password; empty when it holds none."""
    if path.startswith("ducklake:") and re.search(r"password\s*=|://[^/]*@", path, re.IGNORECASE):
        return (
            "holds a password, which would show in the list of processes and in logs: leave it out, "
            "and set PGPASSWORD or write it to ~/.pgpass"
        )
    return ""


def no_time_zone(name: str) -> str:
    """Why a name is refused that is no zone of the calendar; empty for one that is."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        close = difflib.get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.5)
        return (
            f"is {name!r}, which is no time zone{f'; did you mean {close[0]}?' if close else ': such as Europe/Berlin'}"
        )
    return ""


def no_window(text: str) -> str:
    """Why a text is refused that is no window; empty for one that is, and for none."""
    if not text:
        return ""
    start, _, end = text.partition("/")
    try:
        in_order = datetime.fromisoformat(start) < datetime.fromisoformat(end)
    except (ValueError, TypeError):
        in_order = False
    return "" if in_order else f"is {text!r}, which is no window START/END, such as 2026-03-01/2026-03-15"


def key_within(variable: str) -> Callable[[str], str]:
    """Why an endpoint's address is refused that holds a key or a password, which belongs into the variable; empty when it
    holds none."""

    def refused(url: str) -> str:
        if "?" in url or "#" in url or re.match(r"[a-z]+://[^/]*@", url, re.IGNORECASE):
            return (
                "holds a user, a password or a query, which would show in lists and in logs: give the address alone, and the "
                f"key as {variable}"
            )
        return ""

    return refused


@dataclass(frozen=True, slots=True)
class StoreSettings:
    path: str = _setting(
        "offmap.duckdb",
        "a DuckDB file, or `ducklake:PATH` for a DuckLake catalog with Parquet files beside it, or "
        "`ducklake:postgres:dbname=NAME data_path=FOLDER` for a catalog in PostgreSQL, which many processes share",
        refused=password_within,
    )
    memory_limit: str = _setting(
        "",
        "DuckDB's memory limit, such as 4GB; empty leaves DuckDB's own default, and half of the memory in `offmap serve`",
    )
    threads: int = _setting(0, "DuckDB's threads; 0 takes one a core", low=0, high=1024)


@dataclass(frozen=True, slots=True)
class IngestSettings:
    batch_rows: int = _setting(2000, "records a transaction", low=1, high=1_000_000)
    redact: bool = _setting(False, "replace mails, phones, cards, IBANs and keys before anything is stored")
    keys: tuple[str, ...] = _setting(
        (), "SHA-256 of the keys that may send turns over HTTP (`offmap config key` makes one); empty trusts loopback"
    )
    folder: str = _setting(
        "", "folder that `offmap serve` watches for logs to read; empty watches none (see consumers/folder.py)"
    )
    settle_seconds: float = _setting(
        10.0, "a file of the watched folder is complete when nobody wrote to it for so long", low=0, high=86_400
    )
    most_mb: int = _setting(32, "MiB that a request of turns may have, unpacked", low=1, high=1024)


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    kind: str = _setting(
        "onnx",
        "which encoder makes the vectors",
        choices=("onnx", "sentence-transformers", "model2vec", "openai", "hashing"),
    )
    model: str = _setting(
        "", "model of sentence-transformers or model2vec, by name or folder, or the endpoint's; the others need none"
    )
    url: str = _setting(
        "",
        "the endpoint of `openai`, such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1; texts are sent there",
        refused=key_within("OFFMAP_ENCODER_API_KEY"),
    )
    api_key: str = _setting("", "key of the endpoint", secret=True)
    allow_private: bool = _setting(
        False, "allow an endpoint in a private range, this machine included, and there without https"
    )
    dimensions: int = _setting(
        0, "numbers a vector that the endpoint is asked for; 0 takes what its model gives", low=0, high=65_536
    )
    batch_texts: int = _setting(32, "texts that a request to the endpoint holds at most", low=1, high=2048)
    timeout_seconds: float = _setting(60.0, "an answer of the endpoint is waited for so long", low=0.05, high=3600)
    threads: int = _setting(
        0,
        "threads of the encoder, with `openai` requests at a time; 0 takes one a core, and half of them in `offmap serve`",
        low=0,
        high=1024,
    )
    languages: tuple[str, ...] = _setting(
        (),
        'languages that the encoder knows, such as `["en", "de"]`, or `["all"]`; empty takes what is known of the model. '
        "Turns in others have no topic, no coverage and no part in drift (see docs/languages.md)",
    )


@dataclass(frozen=True, slots=True)
class AtlasSettings:
    clusterer: str = _setting("leiden", "how topics are found", choices=("leiden", "hdbscan"))
    neighbours: int = _setting(15, "neighbours of a text in the graph", low=2, high=200)
    resolution_broad: float = _setting(0.0, "Leiden's resolution of the broad level; 0 from the data", low=0, high=100)
    resolution_middle: float = _setting(
        0.0, "Leiden's resolution of the middle level; 0 from the data", low=0, high=100
    )
    resolution_fine: float = _setting(0.0, "Leiden's resolution of the fine level; 0 from the data", low=0, high=100)
    steadiness: float = _setting(
        0.1, "how firmly texts stay in their topics when an atlas is fitted again; 0 fits it afresh", low=0, high=10
    )
    seed: int = _setting(1, "seed of every random choice", low=0)
    min_users: int = _setting(
        2, "a topic of fewer users is not shown; where turns name no user, a conversation counts as one", low=1
    )


@dataclass(frozen=True, slots=True)
class NamingSettings:
    url: str = _setting(
        "",
        "an OpenAI-compatible endpoint whose model names topics, such as https://api.openai.com/v1; keywords and redacted "
        "messages of the topics are sent there; empty sends nothing and leaves the labels that are found here",
        refused=key_within("OFFMAP_NAMING_API_KEY"),
    )
    model: str = _setting("", "the endpoint's model that names topics, such as gpt-4o-mini")
    api_key: str = _setting("", "key of the endpoint", secret=True)
    allow_private: bool = _setting(
        False, "allow an endpoint in a private range, this machine included, and there without https"
    )
    max_topics: int = _setting(
        200, "topics that one analysis asks for at most, the largest first: bounds what it costs", low=1, high=10_000
    )
    examples: int = _setting(
        3, "redacted messages of a topic that are sent beside its keywords; 0 sends none", low=0, high=3
    )
    input_price: float = _setting(0.0, "US dollars for a million tokens that are sent; 0 for unknown", low=0, high=1e6)
    output_price: float = _setting(
        0.0, "US dollars for a million tokens that are answered; 0 for unknown", low=0, high=1e6
    )
    timeout_seconds: float = _setting(30.0, "an answer is waited for so long", low=0.05, high=3600)
    patience_seconds: float = _setting(
        120.0,
        "an analysis asks no longer than this; topics that are left are asked for by the next one",
        low=0.1,
        high=3600,
    )


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    environments: tuple[str, ...] = _setting(
        ("production",), "environments that count as traffic; a turn that names none counts always"
    )
    keep_out: tuple[KeepOut, ...] = _setting(
        (),
        'rules for turns that do not count as traffic, such as `[{app = "playground"}, {user_id = "eval-*"}, '
        '{metadata = {run = "nightly"}}, {eval_runs = true}]`; they stay stored, and count again when the rule goes',
    )
    watch_lists: tuple[WatchList, ...] = _setting(
        (),
        'phrases and patterns to hear of, such as `[{name = "refund", phrases = ["money back"], '
        'patterns = ["refund(s|ed)?"]}]`; patterns are RE2\'s, phrases fit whole words',
    )
    flood_turns: int = _setting(30, "one prompt this often, mostly from one user or within an hour, is a flood", low=2)
    follow_ups: str = _setting(
        "conversation",
        'what stands for "and the second one?": the conversation, whose topic it takes, or its own message',
        choices=("conversation", "message"),
    )
    time_zone: str = _setting(
        "UTC", "the calendar of your users, for weekdays and hours, such as Europe/Berlin", refused=no_time_zone
    )
    intents_file: str = _setting("", "a TOML file of intents with examples; empty takes the eval set's labels")


@dataclass(frozen=True, slots=True)
class CoverageSettings:
    min_eval_items: int = _setting(30, "fewer distinct eval items than this say nothing about coverage", low=5)
    interval: float = _setting(0.9, "probability that an interval should hold the truth", low=0.5, high=0.999)
    bootstrap: int = _setting(200, "bootstrap replicates over conversations", low=20, high=10_000)


@dataclass(frozen=True, slots=True)
class GapSettings:
    min_conversations: int = _setting(
        5, "a gap has at least this many conversations, counted as if they were of equal length", low=1
    )
    min_share: float = _setting(0.001, "a gap leaves at least this share of the traffic uncovered", low=0, high=1)
    alert_share: float = _setting(
        0.005, "uncovered share of the traffic, at the interval's low end, that deserves an alert", low=0, high=1
    )
    examples: int = _setting(5, "examples shown with a gap", low=1, high=50)
    hold_days: int = _setting(
        28, "days for which a gap stays listed when it seems covered though no eval item came for it", low=0, high=365
    )


@dataclass(frozen=True, slots=True)
class ExportSettings:
    redact: bool = _setting(True, "replace mails, phones, cards, IBANs and keys in everything that leaves")
    near_duplicate: float = _setting(
        0.95, "cosine from which a turn is a near duplicate of an eval item and stays out", low=0.5, high=1
    )


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    bootstrap: str = _setting("", "brokers as HOST:PORT, separated by commas; empty reads no Kafka")
    topic: str = _setting("turns", "topic to read")
    group: str = _setting("offmap", "consumer group")
    format: str = _setting("auto", "format of the messages; auto takes the first decoder that knows a message")
    dead_letter_topic: str = _setting("", "topic that dead letters of the stream are sent to as well; empty sends none")
    batch_seconds: float = _setting(1.0, "a batch is stored at the latest after so many seconds", low=0.05, high=60)
    patience_seconds: float = _setting(
        60.0,
        "`offmap consume --until-end` gives up when brokers or topic are away for so long; without it they are waited for",
        low=1,
        high=86_400,
    )
    security: str = _setting(
        "PLAINTEXT", "security protocol", choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
    )
    sasl_mechanism: str = _setting(
        "PLAIN", "SASL mechanism, with SASL_*", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    )
    username: str = _setting("", "SASL user")
    password: str = _setting("", "SASL password", secret=True)
    ca_file: str = _setting("", "certificates of the authority that signed the broker's, with SSL")


@dataclass(frozen=True, slots=True)
class DriftSettings:
    current_days: int = _setting(7, "the window that is tested: so many days up to the last turn", low=1, high=365)
    reference_days: int = _setting(28, "the window before it that it is compared with", low=1, high=3650)
    permutations: int = _setting(
        999, "permutations of a test; the smallest p-value is 1 / (this + 1)", low=99, high=99_999
    )
    false_alarm: float = _setting(
        0.01, "probability of a finding when nothing changed, over all tests of a comparison", low=0.0001, high=0.2
    )
    min_change: float = _setting(
        0.005, "a topic has moved when its share of the traffic changed by at least this", low=0, high=1
    )
    min_turns: int = _setting(100, "fewer turns than this in a window say nothing about drift", low=20)
    false_alarms_per_month: float = _setting(
        1.0,
        "false alarms a month when nothing changed, in the mean and of all that watches for a change together",
        low=0.01,
        high=30,
    )
    conversation_minutes: int = _setting(
        15,
        "the lookout takes a conversation so long after its first turn, with what was said until then",
        low=1,
        high=1440,
    )
    pinned: str = _setting(
        "",
        "a reference that stays, START/END, such as 2026-03-01/2026-03-15: every analysis compares with it too",
        refused=no_window,
    )


@dataclass(frozen=True, slots=True)
class AlertSettings:
    slack_webhook: str = _setting("", "Slack incoming webhook; empty shows alerts in the app only", secret=True)
    allow_private_webhooks: bool = _setting(False, "allow webhook addresses in private ranges")
    min_users: int = _setting(5, "nothing is said about a topic with fewer users than this", low=1)
    examples: int = _setting(3, "redacted examples in a message", low=0, high=10)
    settle_days: int = _setting(
        14, "traffic must span so many days before anything is told; what is there by then is summed up", low=1
    )
    growth: float = _setting(2.0, "a gap is told again when it is so many times as large as when it was told", low=1.1)
    stalled_minutes: int = _setting(60, "ingest has stalled when no turn came for so long", low=1)
    dead_letters: float = _setting(
        0.05,
        "told when more than this share of the records that streams brought in the last hour cannot be read, and at least "
        "20 of them",
        low=0,
        high=1,
    )
    attempts: int = _setting(10, "deliveries are tried so often, with growing pauses", low=1, high=100)


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    assign_seconds: float = _setting(15.0, "new turns get a topic of the present atlas this often", low=1, high=86_400)
    refit_minutes: float = _setting(
        30.0, "atlas, coverage, drift and alerts are renewed this often", low=0.1, high=10_080
    )
    deliver_seconds: float = _setting(10.0, "alerts that are due are sent this often", low=1, high=3600)
    retry_seconds: float = _setting(
        30.0, "a job that failed is tried again after this, then twice, four times ...", low=1
    )
    eval_sets: tuple[str, ...] = _setting(
        (), "eval sets to compare with; empty takes those of the last run, or all in a store without one"
    )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    host: str = _setting("127.0.0.1", "address to listen on; beyond loopback needs serve.behind_proxy")
    port: int = _setting(8050, "port to listen on; 0 takes a free one", low=0, high=65_535)
    public_url: str = _setting("", "address under which people reach the app, with its path, for links")
    behind_proxy: bool = _setting(False, "a proxy in front authenticates everybody, so listen beyond loopback")
    trusted_proxy: str = _setting("", "address of that proxy, whose X-Forwarded-* headers are believed; * for any")
    secret_key: str = _setting("", "key that signs sessions", secret=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting. Build it with `load`; change a copy with `with_value`."""

    store: StoreSettings = field(default_factory=StoreSettings)
    ingest: IngestSettings = field(default_factory=IngestSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    atlas: AtlasSettings = field(default_factory=AtlasSettings)
    naming: NamingSettings = field(default_factory=NamingSettings)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    coverage: CoverageSettings = field(default_factory=CoverageSettings)
    gaps: GapSettings = field(default_factory=GapSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)

    @property
    def min_users_of_texts(self) -> int:
        """Users that a topic needs before messages of theirs are shown in the app."""
        return max(self.atlas.min_users, self.alerts.min_users)

    def value(self, name: str) -> Any:
        section, _, key = name.partition(".")
        return getattr(getattr(self, section), key)

    def with_value(self, name: str, value: object, *, source: str) -> Settings:
        """A copy with one setting changed, checked. `source` is named in the error."""
        section, _, key = name.partition(".")
        known = _known()
        if name not in known:
            raise SettingError(f"unknown setting {name} = {value!r} ({source}){_nearest(name, known)}")
        checked = _check(known[name], value, source)
        return replace(self, **{section: replace(getattr(self, section), **{key: checked})})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `offmap config show` lists it."""

    name: str
    value: Any
    source: str
    meaning: str
    secret: bool

    @property
    def shown(self) -> str:
        if self.secret:
            return "(set, hidden)" if self.value else "(not set)"
        return ", ".join(self.plain) if isinstance(self.value, tuple) else str(self.value)

    @property
    def plain(self) -> Any:
        """The value as TOML and JSON have it; a rule is its text, in braces."""
        listed = isinstance(self.value, tuple)
        return [one if isinstance(one, str) else f"{{{one}}}" for one in self.value] if listed else self.value


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    kind: Any
    default: Any
    metadata: Mapping[str, Any]


def load(
    environment: Mapping[str, str],
    *,
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Read the settings; also where each one that is not a default came from.

    `file` is `OFFMAP_CONFIG`, or `offmap.toml` in the working folder when it exists. `overrides` are the command line's.
    """
    settings, sources = Settings(), {}
    for name, value, source in _given(environment, file, overrides or {}):
        settings = settings.with_value(name, value, source=source)
        sources[name] = source
    return settings, sources


def describe(settings: Settings, sources: Mapping[str, str]) -> list[Setting]:
    """Every setting with its value and where it came from, for `config show`."""
    return [
        Setting(
            name=known.name,
            value=settings.value(known.name),
            source=sources.get(known.name, "default"),
            meaning=known.metadata["meaning"],
            secret=known.metadata["secret"],
        )
        for known in _known().values()
    ]


def _given(
    environment: Mapping[str, str], file: Path | None, overrides: Mapping[str, object]
) -> Iterator[tuple[str, object, str]]:
    path = file or (Path(environment["OFFMAP_CONFIG"]) if environment.get("OFFMAP_CONFIG") else Path(CONFIG_FILE))
    explicit = file is not None or bool(environment.get("OFFMAP_CONFIG"))
    if explicit or path.is_file():
        yield from ((name, value, str(path)) for name, value in _read_file(path))
    regular = {"OFFMAP_" + name.replace(".", "_").upper(): name for name in _known()}
    names = {**regular, **ENVIRONMENT_NAMES}
    for variable, text in sorted(environment.items()):
        if not variable.startswith("OFFMAP_") or variable in FOREIGN_NAMES:
            continue
        if variable not in names:
            raise SettingError(
                f"unknown variable {variable}={text!r}{_nearest(variable, {**names, **dict.fromkeys(FOREIGN_NAMES)})}"
            )
        yield names[variable], text, variable
    yield from ((name, value, "command line") for name, value in overrides.items())


def _read_file(path: Path) -> Iterator[tuple[str, object]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingError(
            f"settings file {path} does not exist: create it with `offmap init`, or unset OFFMAP_CONFIG"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingError(f"settings file {path} cannot be read as TOML: {error}") from error
    for section, content in document.items():
        if not isinstance(content, dict):
            raise SettingError(f"{path}: {section} = {content!r} stands outside a section{_nearest(section, _known())}")
        for key, value in content.items():
            yield f"{section}.{key}", value


def _known() -> dict[str, _Known]:
    known = {}
    for section in fields(Settings):
        owner: Any = section.default_factory
        hints = get_type_hints(owner)
        for item in fields(owner):
            name = f"{section.name}.{item.name}"
            known[name] = _Known(name, hints[item.name], _default(item), item.metadata)
    return known


def _default(item: Field[Any]) -> Any:
    return item.default


def _nearest(name: str, known: Mapping[str, object]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if not found:  # the key may be right and its section wrong
        found = [candidate for candidate in known if candidate.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    return f"; did you mean {found[0]}?" if found else "; `offmap config show` lists them all"


def _check(known: _Known, value: object, source: str) -> Any:
    shown = "(hidden)" if known.metadata["secret"] else repr(value)
    where = f"setting {known.name} = {shown} ({source})"
    try:
        checked = _convert(known.kind, value)
    except ValueError as error:
        raise SettingError(f"{where} must be {error}") from None
    if isinstance(checked, str) and (reason := known.metadata["refused"](checked)):
        raise SettingError(f"setting {known.name} ({source}) {reason}")
    choices, low, high = known.metadata["choices"], known.metadata["low"], known.metadata["high"]
    if choices and checked not in choices:
        nearest = difflib.get_close_matches(str(checked), [str(choice) for choice in choices], n=1, cutoff=0.3)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise SettingError(f"{where} must be one of {', '.join(map(str, choices))}{hint}")
    if low is not None and not low <= checked:
        raise SettingError(f"{where} must be at least {low:g}; the default is {known.default}")
    if high is not None and not checked <= high:
        raise SettingError(f"{where} must be at most {high:g}; the default is {known.default}")
    return checked


def _convert(kind: Any, value: object) -> Any:
    """The value as its type, from TOML's types or from a variable's text; `ValueError` says what it must be."""
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise ValueError("true or false")
    if kind is int or kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("a number")
        try:
            return kind(value) if isinstance(value, str) or kind is float or value == int(value) else _not_whole()
        except (ValueError, OverflowError):
            raise ValueError("a whole number" if kind is int else "a number") from None
    if kind is str:
        if not isinstance(value, str):
            raise ValueError("a text")
        return value
    if kind == tuple[KeepOut, ...]:
        return parse_rules(value)
    if kind == tuple[WatchList, ...]:
        return parse_lists(value)
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError("a list of texts")


def _not_whole() -> int:
    raise ValueError("a whole number")
