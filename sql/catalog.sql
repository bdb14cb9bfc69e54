-- What auditchain knows of its logs. Written only by its C functions, which check the caller
-- themselves; readers use the view auditchain.logs. No foreign keys: pg_restore --jobs loads these
-- tables in any order.

CREATE TABLE auditchain.log (
    log_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    relation     regclass,
    relation_oid oid NOT NULL,
    recorded_in  text NOT NULL,
    name         text NOT NULL,
    chain_by     text[] NOT NULL,
    lanes        integer NOT NULL,
    receipts     boolean NOT NULL,
    mapping      jsonb NOT NULL DEFAULT '{}',
    protected_at timestamptz NOT NULL DEFAULT now(),
    released_at  timestamptz
);
CREATE UNIQUE INDEX log_relation_key ON auditchain.log (relation);
COMMENT ON TABLE auditchain.log IS 'Logs: tables under protection, and those released';
COMMENT ON COLUMN auditchain.log.log_id IS 'Identity of the log, kept by dump and restore';
COMMENT ON COLUMN auditchain.log.relation IS 'The table; NULL once a released table was dropped, or protected anew';
COMMENT ON COLUMN auditchain.log.relation_oid IS
    'OID of the table when its columns were last recorded; with recorded_in it tells a restored table, where column numbers may differ';
COMMENT ON COLUMN auditchain.log.recorded_in IS
    'System identifier of the cluster and OID of the database where its columns were last recorded';
COMMENT ON COLUMN auditchain.log.name IS 'Name of the table when protection began';
COMMENT ON COLUMN auditchain.log.chain_by IS 'Members of the payload that make the key of a chain';
COMMENT ON COLUMN auditchain.log.lanes IS 'How many parallel chains a key may have';
COMMENT ON COLUMN auditchain.log.receipts IS 'Whether entries have receipts';
COMMENT ON COLUMN auditchain.log.mapping IS 'Columns set by auditchain.set_mapping for the fields of exported events';
COMMENT ON COLUMN auditchain.log.protected_at IS 'When protection began';
COMMENT ON COLUMN auditchain.log.released_at IS 'When protection ended; NULL while it lasts';

CREATE TABLE auditchain.log_column (
    log_id       uuid NOT NULL,
    attnum       smallint NOT NULL,
    column_name  name NOT NULL,
    member       text NOT NULL,
    absent_value text,
    PRIMARY KEY (log_id, attnum),
    UNIQUE (log_id, member)
);
COMMENT ON TABLE auditchain.log_column IS 'Columns of a log and the payload members they are frozen to';
COMMENT ON COLUMN auditchain.log_column.log_id IS 'The log';
COMMENT ON COLUMN auditchain.log_column.attnum IS 'Number of the column in the table';
COMMENT ON COLUMN auditchain.log_column.column_name IS 'Name of the column now';
COMMENT ON COLUMN auditchain.log_column.member IS 'Name in the payload: that of the column when it came under protection';
COMMENT ON COLUMN auditchain.log_column.absent_value IS
    'Canonical JSON of the default that a later column was added with: the member is left out when the column equals it';

CREATE SEQUENCE auditchain.chain_id_seq AS integer;
COMMENT ON SEQUENCE auditchain.chain_id_seq IS 'Numbers of chains';

CREATE TABLE auditchain.chain (
    chain_id   integer PRIMARY KEY,
    log_id     uuid NOT NULL,
    key        text COLLATE "C" NOT NULL,
    lane       integer NOT NULL,
    format     integer NOT NULL,
    UNIQUE (log_id, key, lane)
);
COMMENT ON TABLE auditchain.chain IS 'Chains of the logs';
COMMENT ON COLUMN auditchain.chain.chain_id IS 'Number of the chain, as in the column chain_id of its log';
COMMENT ON COLUMN auditchain.chain.log_id IS 'The log';
COMMENT ON COLUMN auditchain.chain.key IS 'Key of the chain: a canonical JSON array, [] when the log has one key';
COMMENT ON COLUMN auditchain.chain.lane IS 'Lane of the chain among those of its key';
COMMENT ON COLUMN auditchain.chain.format IS 'Format of its payloads and checksums: see docs/format.md';

CREATE TABLE auditchain.log_event (
    log_id  uuid NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    event   text NOT NULL,
    detail  text
);
COMMENT ON TABLE auditchain.log_event IS 'What was done to a log as a whole: protected, released, mapping set';
COMMENT ON COLUMN auditchain.log_event.log_id IS 'The log';
COMMENT ON COLUMN auditchain.log_event.at IS 'When';
COMMENT ON COLUMN auditchain.log_event.actor IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.log_event.event IS 'protected, released or mapping_set';
COMMENT ON COLUMN auditchain.log_event.detail IS 'Parameters or reason';

CREATE TABLE auditchain.verification (
    log_id       uuid NOT NULL,
    verified_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    verified_by  text NOT NULL,
    scope        text NOT NULL,
    intact       boolean NOT NULL,
    total_events bigint NOT NULL,
    violations   bigint NOT NULL,
    message      text NOT NULL
);
CREATE INDEX verification_log_id_verified_at_idx ON auditchain.verification (log_id, verified_at);
COMMENT ON TABLE auditchain.verification IS 'Verifications of logs, where the transaction could write';
COMMENT ON COLUMN auditchain.verification.log_id IS 'The log';
COMMENT ON COLUMN auditchain.verification.verified_at IS 'When it ended';
COMMENT ON COLUMN auditchain.verification.verified_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.verification.scope IS 'What was covered';
COMMENT ON COLUMN auditchain.verification.intact IS 'Whether no violation was found';
COMMENT ON COLUMN auditchain.verification.total_events IS 'Entries that were verified';
COMMENT ON COLUMN auditchain.verification.violations IS 'Number of violations';
COMMENT ON COLUMN auditchain.verification.message IS 'What verify() said';

SELECT pg_catalog.pg_extension_config_dump('auditchain.log', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.log_column', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.chain', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.chain_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.log_event', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.verification', '');
