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

SELECT pg_catalog.pg_extension_config_dump('auditchain.retention_policy', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.hold_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.legal_hold', '');

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
