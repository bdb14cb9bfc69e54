-- Verification: src/pg/verify.cpp, src/pg/verify_entry.cpp; the classification is
-- src/core/chain_walk.cpp and src/core/explain.cpp.

CREATE FUNCTION auditchain.verify(
    log                 regclass,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify';
COMMENT ON FUNCTION auditchain.verify(regclass) IS
    'Verify every entry and link of a log, and its guard';

CREATE FUNCTION auditchain.violations(log regclass)
    RETURNS TABLE (chain text, "position" bigint, kind text, detail text)
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_violations';
COMMENT ON FUNCTION auditchain.violations(regclass) IS
    'Verify a log and list every violation: one row a cause';

CREATE FUNCTION auditchain.verify_entry(
    log                 regclass,
    chain_id            integer,
    "position"          bigint,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_entry';
COMMENT ON FUNCTION auditchain.verify_entry(regclass, integer, bigint) IS
    'Verify one entry and its link to the entry before it';
