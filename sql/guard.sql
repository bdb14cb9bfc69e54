-- What chains inserts and refuses everything else: src/pg/guard.cpp, src/pg/chain_entry.cpp.

CREATE FUNCTION auditchain._chain_entry() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_chain_entry';
COMMENT ON FUNCTION auditchain._chain_entry() IS
    'Trigger of a log: makes an inserted row the next entry of its chain';

CREATE FUNCTION auditchain._refuse_change() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_refuse_change';
COMMENT ON FUNCTION auditchain._refuse_change() IS
    'Trigger of a log: refuses UPDATE, DELETE and TRUNCATE';

CREATE FUNCTION auditchain._guard(log regclass) RETURNS text
    STRICT STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_guard';
COMMENT ON FUNCTION auditchain._guard(regclass) IS
    'State of a log''s guard: on, released, or what is wrong with it';
