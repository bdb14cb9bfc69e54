-- What this server gives auditchain, and what is missing: src/pg/status.cpp.

CREATE FUNCTION auditchain.status(OUT item text, OUT value text, OUT advice text) RETURNS SETOF record
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_status';
COMMENT ON FUNCTION auditchain.status() IS
    'What this server gives auditchain, and what to set where something is missing';

-- CREATE EXTENSION lets nothing below a warning through, unless it is told to.
DO $$
DECLARE
    missing record;
BEGIN
    PERFORM set_config('client_min_messages', 'notice', true);
    FOR missing IN SELECT * FROM auditchain.status() WHERE advice IS NOT NULL LOOP
        RAISE NOTICE 'auditchain: % is %', missing.item, missing.value USING HINT = missing.advice;
    END LOOP;
END $$;
