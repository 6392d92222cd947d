"""The schema, as numbered steps. A step that has been released is never edited: append another one.

Nothing here that DuckLake lacks: no keys, defaults that are expressions, sequences, checks or arrays of fixed size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from monitor.errors import StoreError, StoreVersionError
from monitor.store.local import LocalDatabase
from monitor.store.rows import values

__all__ = ["MIGRATIONS", "Migration", "migrate", "version"]

_TURNS = """
CREATE TABLE turns (
    turn_key UBIGINT NOT NULL, conversation_key UBIGINT NOT NULL, content_hash BLOB NOT NULL,
    ingested_at TIMESTAMP NOT NULL,
    turn_id VARCHAR NOT NULL, user_text VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL,
    conversation_id VARCHAR NOT NULL,
    turn_index BIGINT, assistant_text VARCHAR, system_prompt VARCHAR, prompt_template VARCHAR, prompt_version VARCHAR,
    prompt_variables VARCHAR, model VARCHAR, provider VARCHAR, input_tokens BIGINT, output_tokens BIGINT,
    cost_usd DOUBLE, latency_ms DOUBLE, time_to_first_token_ms DOUBLE, feedback_score DOUBLE, feedback_comment VARCHAR,
    suggestion_shown VARCHAR, suggestion_accepted BOOLEAN, time_to_accept_ms DOUBLE, rolled_back BOOLEAN,
    runtime_error VARCHAR, tool_calls VARCHAR, retrieved_documents VARCHAR, language VARCHAR, user_id VARCHAR,
    tenant VARCHAR, app VARCHAR, environment VARCHAR, modalities VARCHAR, calls VARCHAR, metadata VARCHAR);
CREATE TABLE turn_conflicts (
    turn_key UBIGINT NOT NULL, content_hash BLOB NOT NULL, fields VARCHAR, seen_at TIMESTAMP);
CREATE TABLE events (
    event_id BLOB NOT NULL, turn_key UBIGINT NOT NULL, kind VARCHAR NOT NULL, turn_id VARCHAR NOT NULL,
    tenant VARCHAR, created_at TIMESTAMP NOT NULL, feedback_score DOUBLE, feedback_comment VARCHAR, fields VARCHAR,
    ingested_at TIMESTAMP);
CREATE TABLE tombstones (kind VARCHAR NOT NULL, tenant VARCHAR, subject BLOB NOT NULL, deleted_at TIMESTAMP NOT NULL);
CREATE TABLE erasures (due_at TIMESTAMP NOT NULL);
"""

_VECTORS = """
CREATE TABLE vectors (
    encoder VARCHAR NOT NULL, recipe VARCHAR NOT NULL, text_hash BLOB NOT NULL, vector BLOB NOT NULL);
CREATE TABLE turn_texts (recipe VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, text_hash BLOB NOT NULL);
"""

_INGEST = """
CREATE TABLE ingest_offsets (
    source VARCHAR NOT NULL, partition VARCHAR NOT NULL, position BIGINT NOT NULL, updated_at TIMESTAMP);
CREATE TABLE dead_letters (
    source VARCHAR NOT NULL, partition VARCHAR NOT NULL, position BIGINT NOT NULL,
    reason VARCHAR, payload BLOB, received_at TIMESTAMP);
"""

_EVAL_SETS = """
CREATE TABLE eval_sets (
    eval_set_id VARCHAR NOT NULL, name VARCHAR NOT NULL, version VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL,
    items BIGINT NOT NULL, labels BIGINT NOT NULL, generation BIGINT NOT NULL);
CREATE TABLE eval_items (
    eval_set_id VARCHAR NOT NULL, ordinal BIGINT NOT NULL, item_id VARCHAR NOT NULL, prompt VARCHAR NOT NULL,
    reference VARCHAR, label VARCHAR, tags VARCHAR, messages VARCHAR);
"""

_JOBS = """
CREATE TABLE jobs (
    job_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, parameters VARCHAR, state VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP, error VARCHAR);
CREATE TABLE job_steps (job_id VARCHAR NOT NULL, step VARCHAR NOT NULL, seconds DOUBLE, finished_at TIMESTAMP);
"""

_ATLASES = """
CREATE TABLE atlases (
    atlas_id VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, window_start TIMESTAMP, window_end TIMESTAMP,
    encoder VARCHAR, recipe VARCHAR, clusterer VARCHAR, parameters VARCHAR, turns BIGINT, texts BIGINT,
    fingerprint VARCHAR);
CREATE TABLE topics (
    atlas_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, level BIGINT NOT NULL, parent VARCHAR, label VARCHAR,
    keywords VARCHAR, turns BIGINT, conversations BIGINT, users BIGINT, share DOUBLE, representatives VARCHAR,
    first_seen TIMESTAMP);
CREATE TABLE topic_lineage (
    atlas_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, event VARCHAR, other VARCHAR, shared DOUBLE);
CREATE TABLE assignments (
    atlas_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, text_hash BLOB, broad VARCHAR, middle VARCHAR, fine VARCHAR,
    act VARCHAR, flood BOOLEAN, intent VARCHAR, intent_similarity FLOAT);
"""

_REPORTS = """
CREATE TABLE coverage_reports (
    report_id VARCHAR NOT NULL, atlas_id VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, eval_set_ids VARCHAR,
    eval_items BIGINT, value DOUBLE, low DOUBLE, high DOUBLE, verdict VARCHAR, parameters VARCHAR);
CREATE TABLE topic_coverage (
    report_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, novelty DOUBLE, coverage DOUBLE, low DOUBLE, high DOUBLE);
CREATE TABLE turn_coverage (
    report_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, novelty FLOAT, covered FLOAT, nearest_item VARCHAR);
CREATE TABLE gaps (
    report_id VARCHAR NOT NULL, gap_id VARCHAR NOT NULL, rank BIGINT NOT NULL, topic_id VARCHAR, label VARCHAR,
    turns BIGINT, conversations BIGINT, share DOUBLE, coverage DOUBLE, low DOUBLE, high DOUBLE, novelty DOUBLE,
    priority DOUBLE, alert BOOLEAN, first_seen TIMESTAMP, growth DOUBLE, risk DOUBLE, examples VARCHAR,
    nearest_items VARCHAR);
CREATE TABLE drift_reports (
    report_id VARCHAR NOT NULL, atlas_id VARCHAR, created_at TIMESTAMP NOT NULL, verdict VARCHAR, p_value DOUBLE,
    effect DOUBLE, body VARCHAR);
CREATE TABLE published_runs (
    run_id VARCHAR NOT NULL, generation BIGINT NOT NULL, atlas_id VARCHAR NOT NULL, report_id VARCHAR,
    published_at TIMESTAMP NOT NULL, window_start TIMESTAMP, window_end TIMESTAMP, eval_sets VARCHAR,
    settings VARCHAR);
"""

_DELIVERY = """
CREATE TABLE alerts (
    alert_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, subject VARCHAR, created_at TIMESTAMP NOT NULL,
    state VARCHAR NOT NULL,
    body VARCHAR, sent_at TIMESTAMP);
CREATE TABLE exports (
    export_id VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, path VARCHAR NOT NULL, format VARCHAR NOT NULL,
    manifest VARCHAR);
CREATE TABLE export_turns (export_id VARCHAR NOT NULL, ordinal BIGINT NOT NULL, turn_key UBIGINT NOT NULL);
"""


def _first_schema(database: LocalDatabase) -> None:
    for family in (_TURNS, _VECTORS, _INGEST, _EVAL_SETS, _JOBS, _ATLASES, _REPORTS, _DELIVERY):
        for statement in family.split(";"):
            if statement.strip():
                database.query(statement)


def _signals(database: LocalDatabase) -> None:
    database.query(
        "CREATE TABLE signals (report_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, signal VARCHAR NOT NULL,"
        " span_start INTEGER, span_end INTEGER, detail VARCHAR)"
    )


#: What the service needs. The first schema's `alerts` and `drift_reports` were never written to.
_SERVICE = """
DROP TABLE alerts;
CREATE TABLE alerts (
    alert_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, subject VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL,
    title VARCHAR NOT NULL, body VARCHAR NOT NULL, path VARCHAR NOT NULL);
CREATE TABLE deliveries (
    alert_id VARCHAR NOT NULL, channel VARCHAR NOT NULL, state VARCHAR NOT NULL, attempts BIGINT NOT NULL,
    due_at TIMESTAMP NOT NULL, sent_at TIMESTAMP, error VARCHAR);
CREATE TABLE alert_subjects (
    kind VARCHAR NOT NULL, subject VARCHAR NOT NULL, state VARCHAR NOT NULL, since TIMESTAMP NOT NULL,
    seen_at TIMESTAMP NOT NULL, told_at TIMESTAMP, told_size DOUBLE, size DOUBLE NOT NULL, members VARCHAR NOT NULL);
DROP TABLE drift_reports;
CREATE TABLE drift_reports (
    report_id VARCHAR NOT NULL, atlas_id VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL, reference VARCHAR NOT NULL,
    reference_start TIMESTAMP, reference_end TIMESTAMP, current_start TIMESTAMP NOT NULL,
    current_end TIMESTAMP NOT NULL, verdict VARCHAR NOT NULL, alarm BOOLEAN NOT NULL, p_value DOUBLE, effect DOUBLE,
    body VARCHAR NOT NULL);
CREATE TABLE coverage_history (
    run_id VARCHAR NOT NULL, published_at TIMESTAMP NOT NULL, window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL, eval_sets VARCHAR, turns BIGINT, value DOUBLE, low DOUBLE, high DOUBLE, gaps BIGINT);
CREATE TABLE partitions (
    source VARCHAR NOT NULL, partition VARCHAR NOT NULL, position BIGINT NOT NULL, end_position BIGINT NOT NULL,
    seen_at TIMESTAMP NOT NULL, message_at TIMESTAMP);
CREATE TABLE schedule (
    job VARCHAR NOT NULL, due_at TIMESTAMP NOT NULL, state VARCHAR NOT NULL, started_at TIMESTAMP,
    finished_at TIMESTAMP, attempts BIGINT NOT NULL, error VARCHAR);
CREATE TABLE layout (atlas_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, x FLOAT NOT NULL, y FLOAT NOT NULL);
ALTER TABLE jobs ADD COLUMN result VARCHAR;
"""


def _service(database: LocalDatabase) -> None:
    for statement in _SERVICE.split(";"):
        if statement.strip():
            database.query(statement)


def _streams(database: LocalDatabase) -> None:
    """What streaming needs: which log a stream is, messages that were gone, headers of dead letters."""
    database.query(
        "CREATE TABLE streams (stream VARCHAR NOT NULL, log_id VARCHAR, source VARCHAR NOT NULL, since TIMESTAMP NOT NULL)"
    )
    database.query("ALTER TABLE partitions ADD COLUMN lost BIGINT")
    database.query("ALTER TABLE dead_letters ADD COLUMN headers VARCHAR")


def _journal(database: LocalDatabase) -> None:
    """How many entries of the journal the store holds; see `monitor.store.journal`."""
    database.query("CREATE TABLE journal (position UBIGINT NOT NULL)")
    database.query("INSERT INTO journal VALUES (0)")


def _leases(database: LocalDatabase) -> None:
    """Which of the processes that share a store does what only one may do."""
    database.query("CREATE TABLE leases (name VARCHAR NOT NULL, owner VARCHAR NOT NULL, until TIMESTAMP NOT NULL)")


def _letters(database: LocalDatabase) -> None:
    """Dead letters on their way to a topic: their message's key, and when they were sent."""
    database.query("ALTER TABLE dead_letters ADD COLUMN message_key BLOB")
    database.query("ALTER TABLE dead_letters ADD COLUMN sent_at TIMESTAMP")


def _keeping_out(database: LocalDatabase) -> None:
    """Which turns rules keep out of the traffic."""
    database.query("CREATE TABLE kept_out (turn_key UBIGINT NOT NULL, rule VARCHAR NOT NULL)")


def _sampling(database: LocalDatabase) -> None:
    """How ingest stood, minute by minute."""
    database.query(
        "CREATE TABLE ingest_samples (taken_at TIMESTAMP NOT NULL, source VARCHAR NOT NULL,"
        " partition VARCHAR NOT NULL, position BIGINT NOT NULL, end_position BIGINT NOT NULL)"
    )


_CURATION = """
CREATE TABLE decisions (
    decision_id VARCHAR NOT NULL, place BIGINT NOT NULL, created_at TIMESTAMP NOT NULL, who VARCHAR, kind VARCHAR NOT NULL,
    topic_id VARCHAR NOT NULL, level BIGINT NOT NULL, label VARCHAR NOT NULL, name VARCHAR, other VARCHAR,
    topics VARCHAR NOT NULL, atlas_id VARCHAR NOT NULL);
CREATE TABLE decision_turns (
    decision_id VARCHAR NOT NULL, part BIGINT NOT NULL, turn_key UBIGINT NOT NULL, text_hash BLOB NOT NULL);
ALTER TABLE topics ADD COLUMN share_low DOUBLE;
ALTER TABLE topics ADD COLUMN share_high DOUBLE;
"""


def _curation(database: LocalDatabase) -> None:
    """What people decided about topics; and the interval of a topic's share."""
    for statement in _CURATION.split(";"):
        if statement.strip():
            database.query(statement)


def _languages(database: LocalDatabase) -> None:
    """The language of turns whose log states none, and in the atlas that of turns which the encoder cannot read."""
    database.query(
        "CREATE TABLE turn_languages (turn_key UBIGINT NOT NULL, language VARCHAR NOT NULL, confidence FLOAT)"
    )
    database.query("ALTER TABLE assignments ADD COLUMN foreign_language VARCHAR")


_NAMING = """
CREATE TABLE topic_names (
    atlas_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, model VARCHAR NOT NULL, asked VARCHAR NOT NULL, name VARCHAR,
    examples VARCHAR NOT NULL, named_at TIMESTAMP NOT NULL);
CREATE TABLE naming_runs (
    run_id VARCHAR NOT NULL, asked_at TIMESTAMP NOT NULL, model VARCHAR NOT NULL, topics BIGINT, named BIGINT,
    refused BIGINT, requests BIGINT, input_tokens BIGINT, output_tokens BIGINT, cost_usd DOUBLE, error VARCHAR);
"""


def _naming(database: LocalDatabase) -> None:
    """What a model calls topics, and what asking it cost."""
    for statement in _NAMING.split(";"):
        if statement.strip():
            database.query(statement)


def _proof(database: LocalDatabase) -> None:
    """The turns that prove what became of a topic."""
    database.query(
        "CREATE TABLE lineage_turns (atlas_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, event VARCHAR NOT NULL,"
        " other VARCHAR, place BIGINT NOT NULL, turn_key UBIGINT NOT NULL)"
    )


def _eval_health(database: LocalDatabase) -> None:
    """What was found in the eval sets that were compared, of each combination of versions."""
    database.query(
        "CREATE TABLE eval_health (health_id VARCHAR NOT NULL, eval_set_ids VARCHAR NOT NULL, names VARCHAR NOT NULL,"
        " run_id VARCHAR NOT NULL, made_at TIMESTAMP NOT NULL, items BIGINT NOT NULL, texts BIGINT NOT NULL,"
        " labels BIGINT NOT NULL, repeated BIGINT NOT NULL, conflicts BIGINT NOT NULL, doubts BIGINT NOT NULL,"
        " diversity DOUBLE NOT NULL, value DOUBLE, low DOUBLE, high DOUBLE, document VARCHAR NOT NULL)"
    )


_GAP_LIVES = """
CREATE TABLE gap_decisions (
    decision_id VARCHAR NOT NULL, place BIGINT NOT NULL, created_at TIMESTAMP NOT NULL, who VARCHAR, kind VARCHAR NOT NULL,
    gap_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, value VARCHAR, words VARCHAR, until TIMESTAMP);
CREATE TABLE gap_looks (
    look_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, published_at TIMESTAMP NOT NULL, eval_set_ids VARCHAR NOT NULL);
CREATE TABLE gap_sightings (
    look_id VARCHAR NOT NULL, gap_id VARCHAR NOT NULL, topic_id VARCHAR NOT NULL, level BIGINT NOT NULL, rank BIGINT NOT NULL,
    turns BIGINT NOT NULL, share DOUBLE NOT NULL, coverage DOUBLE NOT NULL, low DOUBLE NOT NULL, high DOUBLE NOT NULL,
    ratio DOUBLE, ratio_low DOUBLE, p_value DOUBLE, newly_covered BIGINT NOT NULL);
CREATE TABLE gap_links (
    gap_id VARCHAR NOT NULL, event VARCHAR NOT NULL, other VARCHAR NOT NULL, seen_at TIMESTAMP NOT NULL);
"""


def _gap_lives(database: LocalDatabase) -> None:
    """What people decided about gaps, and what each publication saw of them."""
    for statement in _GAP_LIVES.split(";"):
        if statement.strip():
            database.query(statement)


_LOOKOUT = """
CREATE TABLE lookouts (
    pinned_at TIMESTAMP NOT NULL, encoder VARCHAR NOT NULL, recipe VARCHAR NOT NULL, after TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL, since TIMESTAMP NOT NULL, reference BIGINT NOT NULL, conversations BIGINT NOT NULL,
    alarms BIGINT NOT NULL, edges VARCHAR NOT NULL, topics VARCHAR NOT NULL,
    evidence VARCHAR NOT NULL, state VARCHAR NOT NULL);
CREATE TABLE lookout_turns (turn_key UBIGINT NOT NULL, topic BIGINT NOT NULL);
"""


def _lookout(database: LocalDatabase) -> None:
    """What the lookout is at, and its reference."""
    for statement in _LOOKOUT.split(";"):
        if statement.strip():
            database.query(statement)


def _marks(database: LocalDatabase) -> None:
    """What people say of single turns: covered, or noise."""
    database.query(
        "CREATE TABLE marks (mark_id VARCHAR NOT NULL, place BIGINT NOT NULL, created_at TIMESTAMP NOT NULL, who VARCHAR,"
        " kind VARCHAR NOT NULL, item_id VARCHAR, why VARCHAR, other VARCHAR)"
    )
    database.query(
        "CREATE TABLE mark_turns (mark_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, text_hash BLOB NOT NULL)"
    )


def _gap_parts(database: LocalDatabase) -> None:
    """Gaps that are parts of a topic, and the values that hold most of a gap."""
    for column in ("attribute", "value", "splits"):
        database.query(f"ALTER TABLE gaps ADD COLUMN {column} VARCHAR")


def _sampled_gaps(database: LocalDatabase) -> None:
    """How far a gap's figure moves with what is sampled: that was its interval before."""
    for column, was in (("sampled_low", "low"), ("sampled_high", "high")):
        database.query(f"ALTER TABLE gaps ADD COLUMN {column} DOUBLE")
        database.query(f"UPDATE gaps SET {column} = {was}")


def _pressing_gaps(database: LocalDatabase) -> None:
    """The intervals of a gap's growth and risk."""
    for column in ("growth_low", "growth_high", "risk_low", "risk_high"):
        database.query(f"ALTER TABLE gaps ADD COLUMN {column} DOUBLE")


Migration = Callable[[LocalDatabase], None]

#: Migration number n stands at n - 1.
MIGRATIONS: Sequence[Migration] = (
    _first_schema,
    _signals,
    _service,
    _streams,
    _journal,
    _leases,
    _letters,
    _keeping_out,
    _sampling,
    _curation,
    _languages,
    _naming,
    _proof,
    _eval_health,
    _gap_lives,
    _lookout,
    _marks,
    _gap_parts,
    _sampled_gaps,
    _pressing_gaps,
)


def version(database: LocalDatabase) -> int:
    """The schema version of a store, 0 when it is empty."""
    tables = database.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'")
    names = set(values(tables, 0))
    if "schema_version" in names:
        return int(database.value("SELECT max(version) FROM schema_version") or 0)
    if names:
        raise StoreError(
            f"{database.attachment.name} holds tables that are not offmap's (such as {min(names)}): "
            "name another file with --store or OFFMAP_STORE"
            + ("; a DuckLake catalog is opened as ducklake:PATH" if "ducklake_metadata" in names else "")
        )
    return 0


def migrate(database: LocalDatabase, steps: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the store to the schema of the last step, one transaction a step; how many steps that took."""
    found = version(database)
    if found > len(steps):
        raise StoreVersionError(
            f"the store {database.attachment.name} has schema version {found} and this offmap knows {len(steps)}: "
            "install a newer offmap"
        )
    if found == len(steps):
        return 0
    if found:
        _copy_before(database, len(steps))
    for number, step in enumerate(steps[found:], found + 1):
        with database.transaction(journaled=False):
            # Another process that opened the store at the same time may have taken this step.
            if database.attachment.server and version(database) >= number:
                continue
            if number == 1:
                database.query("CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)")
            step(database)
            database.execute("INSERT INTO schema_version VALUES (?, ?)", [number, database.clock()])
        if found:  # a log that changes tables that hold rows is never left to be replayed; a new store has none yet
            database.checkpoint()
    database.checkpoint()
    return len(steps) - found


def _copy_before(database: LocalDatabase, to: int) -> None:
    """A migration that goes wrong must not cost anybody their data: keep the file as it was.

    In PostgreSQL a step is one transaction, and DuckLake keeps what was there before it.
    """
    if database.attachment.server:
        return
    file = database.attachment.file
    with database.detached():
        shutil.copy2(file, file.with_name(f"{file.name}.before-v{to}"))
