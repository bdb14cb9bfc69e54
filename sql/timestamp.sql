-- Time stamps of checkpoints by authorities (RFC 3161): src/pg/timestamp.cpp, src/core/timestamp.cpp.
-- Written only by a C function, as the catalog is.

CREATE TABLE auditchain.checkpoint_timestamp (
    log_id      uuid NOT NULL,
    tree_size   bigint NOT NULL,
    incarnation integer NOT NULL,
    stamped_at  timestamptz NOT NULL,
    authority   text,
    token       bytea NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX checkpoint_timestamp_key ON auditchain.checkpoint_timestamp
    (log_id, tree_size, incarnation, sha256(token));
COMMENT ON TABLE auditchain.checkpoint_timestamp IS 'Time stamps of checkpoints (RFC 3161)';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.log_id IS 'The log';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.tree_size IS 'How many entries the checkpoint covers';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.incarnation IS 'Life of the log that the checkpoint was made in';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.stamped_at IS 'When the authority says it saw the checkpoint, to the second';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.authority IS 'Who the authority says it is; NULL where the token does not say';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.token IS 'TimeStampToken of RFC 3161, in DER';
COMMENT ON COLUMN auditchain.checkpoint_timestamp.added_at IS 'When it was added';

SELECT pg_catalog.pg_extension_config_dump('auditchain.checkpoint_timestamp', '');

CREATE FUNCTION auditchain.timestamp_request(log regclass) RETURNS bytea
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_timestamp_request';
COMMENT ON FUNCTION auditchain.timestamp_request(regclass) IS
    'Ask a time-stamping authority for a time stamp of the newest checkpoint: a TimeStampReq of RFC 3161, in DER';

CREATE FUNCTION auditchain.add_timestamp(log regclass, tree_size bigint, token bytea) RETURNS void
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_add_timestamp';
COMMENT ON FUNCTION auditchain.add_timestamp(regclass, bigint, bytea) IS
    'Keep what a time-stamping authority answered, if it is of this checkpoint; its signature is not verified';

CREATE VIEW auditchain.timestamps WITH (security_barrier) AS
SELECT l.relation AS log, t.incarnation, t.tree_size, t.stamped_at, t.authority, t.token, t.added_at
FROM auditchain.checkpoint_timestamp AS t JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.timestamps IS 'Time stamps of checkpoints of logs that the user may read';
COMMENT ON COLUMN auditchain.timestamps.log IS 'The table';
COMMENT ON COLUMN auditchain.timestamps.incarnation IS 'Life of the log that the checkpoint was made in';
COMMENT ON COLUMN auditchain.timestamps.tree_size IS 'How many entries the checkpoint covers';
COMMENT ON COLUMN auditchain.timestamps.stamped_at IS 'When the authority says it saw the checkpoint, to the second';
COMMENT ON COLUMN auditchain.timestamps.authority IS 'Who the authority says it is; NULL where the token does not say';
COMMENT ON COLUMN auditchain.timestamps.token IS 'TimeStampToken of RFC 3161, in DER';
COMMENT ON COLUMN auditchain.timestamps.added_at IS 'When it was added';
GRANT SELECT ON auditchain.timestamps TO PUBLIC;
