-- The way into protection, and the recorded way out: src/pg/protect.cpp, src/pg/release.cpp.

CREATE FUNCTION auditchain.protect(
    log      regclass,
    chain_by name[]  DEFAULT '{}',
    lanes    integer DEFAULT 16,
    order_by name[]  DEFAULT NULL,
    receipts boolean DEFAULT false
) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_protect';
COMMENT ON FUNCTION auditchain.protect(regclass, name[], integer, name[], boolean) IS
    'Put an owned, permanent table under protection; entries already there are chained first';

CREATE FUNCTION auditchain.release(log regclass, reason text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_release';
COMMENT ON FUNCTION auditchain.release(regclass, text) IS
    'End protection of a log: recorded with its reason; columns and history stay';
