"""The schema, as numbered steps. A step that has been released is never edited: append another one.

Nothing here that DuckLake lacks: no keys, defaults that are expressions, sequences, checks or arrays of fixed size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from monitor.errors import StoreError, StoreVersionError
from monitor.store.database import Database
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


def _first_schema(database: Database) -> None:
    for family in (_TURNS, _VECTORS, _INGEST, _EVAL_SETS, _JOBS, _ATLASES, _REPORTS, _DELIVERY):
        for statement in family.split(";"):
            if statement.strip():
                database.query(statement)


def _signals(database: Database) -> None:
    database.query(
        "CREATE TABLE signals (report_id VARCHAR NOT NULL, turn_key UBIGINT NOT NULL, signal VARCHAR NOT NULL,"
        " span_start INTEGER, span_end INTEGER, detail VARCHAR)"
    )


Migration = Callable[[Database], None]

#: Migration number n stands at n - 1.
MIGRATIONS: Sequence[Migration] = (_first_schema, _signals)


def version(database: Database) -> int:
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


def migrate(database: Database, steps: Sequence[Migration] = MIGRATIONS) -> int:
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
        with database.transaction():
            if number == 1:
                database.query("CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)")
            step(database)
            database.execute("INSERT INTO schema_version VALUES (?, ?)", [number, database.clock()])
    database.checkpoint()
    return len(steps) - found


def _copy_before(database: Database, to: int) -> None:
    """A migration that goes wrong must not cost anybody their data: keep the file as it was."""
    file = database.attachment.file
    with database.detached():
        shutil.copy2(file, file.with_name(f"{file.name}.before-v{to}"))
