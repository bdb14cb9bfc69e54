-- Bundles: src/pg/bundle*.cpp.

CREATE FUNCTION auditchain.bundle(
    log     regclass,
    since   timestamptz DEFAULT NULL,
    until   timestamptz DEFAULT NULL,
    encrypt boolean     DEFAULT false
) RETURNS SETOF bytea
    STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_bundle';
COMMENT ON FUNCTION auditchain.bundle(regclass, timestamptz, timestamptz, boolean) IS
    'A file that proves the sealed entries of a log, or of its period since <= time < until, without the database: its bytes, in pieces';
