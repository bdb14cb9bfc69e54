-- Retention: policies, holds and archives. src/pg/retention.cpp, src/pg/hold.cpp, src/pg/archive*.cpp.
-- Written only by C functions, as the catalog is. What is done is recorded in the log
-- auditchain.operations, which the first such operation makes: src/pg/operations.cpp.

CREATE TABLE auditchain.retention_policy (
    log_id      uuid PRIMARY KEY,
    keep        interval,
    hot         interval NOT NULL,
    destination text,
    set_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by      text NOT NULL
);
COMMENT ON TABLE auditchain.retention_policy IS 'How long entries of the logs are kept, and where';
COMMENT ON COLUMN auditchain.retention_policy.log_id IS 'The log';
COMMENT ON COLUMN auditchain.retention_policy.keep IS 'How long entries are kept; NULL: for ever';
COMMENT ON COLUMN auditchain.retention_policy.hot IS 'How long they stay in the log before they are archived';
COMMENT ON COLUMN auditchain.retention_policy.destination IS 'Where archives are; NULL: nothing is archived';
COMMENT ON COLUMN auditchain.retention_policy.set_at IS 'When it was last set';
COMMENT ON COLUMN auditchain.retention_policy.set_by IS 'By whom';

CREATE SEQUENCE auditchain.hold_id_seq;
COMMENT ON SEQUENCE auditchain.hold_id_seq IS 'Numbers of holds';

CREATE TABLE auditchain.legal_hold (
    hold_id     bigint PRIMARY KEY,
    log_id      uuid NOT NULL,
    reason      text NOT NULL,
    matching    jsonb NOT NULL,
    held_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_by     text NOT NULL,
    lifted_at   timestamptz,
    lifted_by   text,
    lift_reason text
);
CREATE INDEX legal_hold_log_id_idx ON auditchain.legal_hold (log_id);
COMMENT ON TABLE auditchain.legal_hold IS 'Holds: what they match is neither archived nor expired';
COMMENT ON COLUMN auditchain.legal_hold.hold_id IS 'Number of the hold';
COMMENT ON COLUMN auditchain.legal_hold.log_id IS 'The log';
COMMENT ON COLUMN auditchain.legal_hold.reason IS 'Why';
COMMENT ON COLUMN auditchain.legal_hold.matching IS 'Values of payload members that are held; {}: all entries';
COMMENT ON COLUMN auditchain.legal_hold.held_at IS 'When it was placed';
COMMENT ON COLUMN auditchain.legal_hold.held_by IS 'By whom';
COMMENT ON COLUMN auditchain.legal_hold.lifted_at IS 'When it was lifted; NULL while it lasts';
COMMENT ON COLUMN auditchain.legal_hold.lifted_by IS 'By whom';
COMMENT ON COLUMN auditchain.legal_hold.lift_reason IS 'Why';

CREATE SEQUENCE auditchain.archive_id_seq;
COMMENT ON SEQUENCE auditchain.archive_id_seq IS 'Numbers of archives';

CREATE TABLE auditchain.archive (
    archive_id   bigint PRIMARY KEY,
    log_id       uuid NOT NULL,
    destination  text NOT NULL,
    relation     regclass,
    before       timestamptz NOT NULL,
    newest_entry timestamptz NOT NULL,
    entries      bigint NOT NULL,
    chains       integer NOT NULL,
    partitions   integer NOT NULL DEFAULT 0,
    digest       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text NOT NULL,
    expired_at   timestamptz,
    expired_by   text,
    expire_reason text,
    file         text,
    file_size    bigint,
    file_sha256  bytea,
    made_in      text NOT NULL
);
CREATE INDEX archive_log_id_idx ON auditchain.archive (log_id);
COMMENT ON TABLE auditchain.archive IS 'Archives: entries that have left their logs by retention';
COMMENT ON COLUMN auditchain.archive.archive_id IS 'Number of the archive';
COMMENT ON COLUMN auditchain.archive.log_id IS 'The log';
COMMENT ON COLUMN auditchain.archive.destination IS 'Where it is, as the policy said';
COMMENT ON COLUMN auditchain.archive.relation IS 'The cold table that has its entries; NULL: a file has';
COMMENT ON COLUMN auditchain.archive.before IS 'Its entries are older than this';
COMMENT ON COLUMN auditchain.archive.newest_entry IS 'Time of the newest of them';
COMMENT ON COLUMN auditchain.archive.entries IS 'How many entries it has';
COMMENT ON COLUMN auditchain.archive.chains IS 'Of how many chains they are';
COMMENT ON COLUMN auditchain.archive.partitions IS 'How many partitions of the log were dropped with them';
COMMENT ON COLUMN auditchain.archive.digest IS 'SHA-256 over its ranges, as the log of operations has it';
COMMENT ON COLUMN auditchain.archive.created_at IS 'When it was made';
COMMENT ON COLUMN auditchain.archive.created_by IS 'By whom';
COMMENT ON COLUMN auditchain.archive.expired_at IS 'When its entries were deleted; NULL while they are there';
COMMENT ON COLUMN auditchain.archive.expired_by IS 'By whom';
COMMENT ON COLUMN auditchain.archive.expire_reason IS 'By which policy';
COMMENT ON COLUMN auditchain.archive.file IS 'The file that has its entries, below auditchain.archive_directory; NULL: a table has';
COMMENT ON COLUMN auditchain.archive.file_size IS 'Size of the file';
COMMENT ON COLUMN auditchain.archive.file_sha256 IS 'SHA-256 of the file';
COMMENT ON COLUMN auditchain.archive.made_in IS
    'Cluster, database, table and timeline that made it, as in incarnation.recorded_in: no other deletes its file';

CREATE TABLE auditchain.archive_range (
    log_id            uuid NOT NULL,
    chain_id          integer NOT NULL,
    first_position    bigint NOT NULL,
    last_position     bigint NOT NULL CHECK (first_position >= 1 AND last_position >= first_position),
    previous_checksum bytea NOT NULL,
    checksum          bytea NOT NULL,
    archive_id        bigint NOT NULL,
    PRIMARY KEY (log_id, chain_id, first_position)
);
CREATE INDEX archive_range_archive_id_idx ON auditchain.archive_range (archive_id);
COMMENT ON TABLE auditchain.archive_range IS 'Which entries are in which archive, and how they tile with the rest of their chain';
COMMENT ON COLUMN auditchain.archive_range.log_id IS 'The log';
COMMENT ON COLUMN auditchain.archive_range.chain_id IS 'Chain of the entries';
COMMENT ON COLUMN auditchain.archive_range.first_position IS 'Position of the first entry';
COMMENT ON COLUMN auditchain.archive_range.last_position IS 'Position of the last entry';
COMMENT ON COLUMN auditchain.archive_range.previous_checksum IS 'Checksum that the first entry follows';
COMMENT ON COLUMN auditchain.archive_range.checksum IS 'Checksum of the last entry';
COMMENT ON COLUMN auditchain.archive_range.archive_id IS 'The archive';

CREATE TABLE auditchain.archive_table (
    relation regclass PRIMARY KEY,
    log_id   uuid NOT NULL
);
COMMENT ON TABLE auditchain.archive_table IS 'Cold tables, which the guard watches over';
COMMENT ON COLUMN auditchain.archive_table.relation IS 'The cold table';
COMMENT ON COLUMN auditchain.archive_table.log_id IS 'The log whose archives it has';

SELECT pg_catalog.pg_extension_config_dump('auditchain.retention_policy', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.hold_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.legal_hold', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.archive_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.archive', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.archive_range', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.archive_table', '');

CREATE FUNCTION auditchain.set_retention(
    log         regclass,
    keep        interval DEFAULT '7 years',
    hot         interval DEFAULT '90 days',
    destination text     DEFAULT NULL,
    reason      text     DEFAULT NULL
) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_set_retention';
COMMENT ON FUNCTION auditchain.set_retention(regclass, interval, interval, text, text) IS
    'Set how long entries of a log are kept, how long of that in the log itself, and where they are archived';

CREATE FUNCTION auditchain.hold(log regclass, reason text, matching jsonb DEFAULT '{}') RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_hold';
COMMENT ON FUNCTION auditchain.hold(regclass, text, jsonb) IS
    'Place a hold: entries that match are neither archived nor expired until it is lifted';

CREATE FUNCTION auditchain.lift_hold(hold bigint, reason text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_lift_hold';
COMMENT ON FUNCTION auditchain.lift_hold(bigint, text) IS 'Lift a hold, for a recorded reason';

CREATE FUNCTION auditchain.archive(log regclass, before timestamptz) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_archive';
COMMENT ON FUNCTION auditchain.archive(regclass, timestamptz) IS
    'Move sealed entries that are older and that no hold matches to an archive; its number, or NULL where there were none';

CREATE FUNCTION auditchain.verify_archive(
    archive             bigint,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_archive';
COMMENT ON FUNCTION auditchain.verify_archive(bigint) IS
    'Verify every entry of an archive, and that it is the one that was recorded';

CREATE FUNCTION auditchain.expire(log regclass) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_expire';
COMMENT ON FUNCTION auditchain.expire(regclass) IS
    'Delete archives of a log that its policy keeps no longer and that no hold matches; how many entries they had';

CREATE FUNCTION auditchain.restore_archive(log regclass, bundle text) RETURNS regclass
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_restore_archive';
COMMENT ON FUNCTION auditchain.restore_archive(regclass, text) IS
    'Put the entries of a bundle of a log, a file below auditchain.archive_directory, into a new table of the caller, once it is verified';

CREATE FUNCTION auditchain.apply_retention(OUT log regclass, OUT archived bigint, OUT expired bigint)
    RETURNS SETOF record
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_apply_retention';
COMMENT ON FUNCTION auditchain.apply_retention() IS
    'Archive and expire the entries of all logs of the user by their policies; one row a log';

CREATE VIEW auditchain.archives WITH (security_barrier) AS
SELECT a.archive_id AS archive, l.relation AS log, a.created_at, a.created_by, a.before, a.newest_entry, a.entries,
       a.chains, a.destination, a.relation AS "table", a.file, a.file_size AS size, encode(a.file_sha256, 'hex') AS sha256,
       CASE WHEN a.expired_at IS NULL THEN 'kept' ELSE 'expired' END AS state,
       a.expired_at, a.expired_by, a.expire_reason
FROM auditchain.archive AS a JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.archives IS 'Archives of logs that the user may read, expired ones included';
COMMENT ON COLUMN auditchain.archives.archive IS 'Number of the archive';
COMMENT ON COLUMN auditchain.archives.log IS 'The log';
COMMENT ON COLUMN auditchain.archives.created_at IS 'When it was made';
COMMENT ON COLUMN auditchain.archives.created_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.archives.before IS 'Its entries are older than this';
COMMENT ON COLUMN auditchain.archives.newest_entry IS 'Time of the newest of them';
COMMENT ON COLUMN auditchain.archives.entries IS 'How many entries it has';
COMMENT ON COLUMN auditchain.archives.chains IS 'Of how many chains they are';
COMMENT ON COLUMN auditchain.archives.destination IS 'Where it is, as the policy said';
COMMENT ON COLUMN auditchain.archives."table" IS 'The cold table that has its entries; NULL: a file has';
COMMENT ON COLUMN auditchain.archives.file IS 'The file that has its entries, below auditchain.archive_directory; NULL: a table has';
COMMENT ON COLUMN auditchain.archives.size IS 'Size of the file';
COMMENT ON COLUMN auditchain.archives.sha256 IS 'SHA-256 of the file, in hexadecimal digits';
COMMENT ON COLUMN auditchain.archives.state IS 'kept, or expired: its entries were deleted';
COMMENT ON COLUMN auditchain.archives.expired_at IS 'When its entries were deleted; NULL while they are there';
COMMENT ON COLUMN auditchain.archives.expired_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.archives.expire_reason IS 'By which policy';
GRANT SELECT ON auditchain.archives TO PUBLIC;

CREATE VIEW auditchain.retention WITH (security_barrier) AS
SELECT l.relation AS log, p.keep, p.hot, p.destination, p.set_at, p.set_by
FROM auditchain.retention_policy AS p JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.retention IS 'Retention policies of logs that the user may read';
COMMENT ON COLUMN auditchain.retention.log IS 'The table';
COMMENT ON COLUMN auditchain.retention.keep IS 'How long entries are kept; NULL: for ever';
COMMENT ON COLUMN auditchain.retention.hot IS 'How long they stay in the log before they are archived';
COMMENT ON COLUMN auditchain.retention.destination IS 'Where archives are; NULL: nothing is archived';
COMMENT ON COLUMN auditchain.retention.set_at IS 'When it was last set';
COMMENT ON COLUMN auditchain.retention.set_by IS 'Session user, and the role it acted as where that is another';
GRANT SELECT ON auditchain.retention TO PUBLIC;

CREATE VIEW auditchain.holds WITH (security_barrier) AS
SELECT h.hold_id AS hold, l.relation AS log, h.reason, h.matching, h.held_at, h.held_by,
       h.lifted_at, h.lifted_by, h.lift_reason
FROM auditchain.legal_hold AS h JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.holds IS 'Holds on logs that the user may read, lifted ones included';
COMMENT ON COLUMN auditchain.holds.hold IS 'Number of the hold';
COMMENT ON COLUMN auditchain.holds.log IS 'The table';
COMMENT ON COLUMN auditchain.holds.reason IS 'Why';
COMMENT ON COLUMN auditchain.holds.matching IS 'Values of payload members that are held; {}: all entries';
COMMENT ON COLUMN auditchain.holds.held_at IS 'When it was placed';
COMMENT ON COLUMN auditchain.holds.held_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.holds.lifted_at IS 'When it was lifted; NULL while it lasts';
COMMENT ON COLUMN auditchain.holds.lifted_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.holds.lift_reason IS 'Why it was lifted';
GRANT SELECT ON auditchain.holds TO PUBLIC;
