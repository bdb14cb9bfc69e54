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

-- DDL: src/pg/guard_ddl.cpp and guard_drop.cpp.

CREATE FUNCTION auditchain._guard_ddl_start() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_guard_ddl_start';
COMMENT ON FUNCTION auditchain._guard_ddl_start() IS
    'Event trigger: refuses DDL that takes entries or payloads of a log apart';

CREATE FUNCTION auditchain._guard_ddl_end() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_guard_ddl_end';
COMMENT ON FUNCTION auditchain._guard_ddl_end() IS
    'Event trigger: records new columns and guards new partitions of logs';

CREATE FUNCTION auditchain._guard_drop() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_guard_drop';
COMMENT ON FUNCTION auditchain._guard_drop() IS
    'Event trigger: refuses to drop logs, their partitions and their columns';

CREATE FUNCTION auditchain._guard_rewrite() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_guard_rewrite';
COMMENT ON FUNCTION auditchain._guard_rewrite() IS
    'Event trigger: refuses to write chained entries anew';

-- ALTER VIEW and its like rename columns of tables, too.
CREATE EVENT TRIGGER auditchain_ddl_start ON ddl_command_start
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE')
    EXECUTE FUNCTION auditchain._guard_ddl_start();
CREATE EVENT TRIGGER auditchain_ddl_end ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE',
        'ALTER TRIGGER', 'ALTER TYPE', 'CREATE FOREIGN TABLE', 'CREATE RULE', 'CREATE SCHEMA',
        'CREATE TABLE', 'CREATE TRIGGER')
    EXECUTE FUNCTION auditchain._guard_ddl_end();
CREATE EVENT TRIGGER auditchain_drop ON sql_drop
    EXECUTE FUNCTION auditchain._guard_drop();
CREATE EVENT TRIGGER auditchain_rewrite ON table_rewrite
    EXECUTE FUNCTION auditchain._guard_rewrite();

-- Also under session_replication_role = replica.
ALTER EVENT TRIGGER auditchain_ddl_start ENABLE ALWAYS;
ALTER EVENT TRIGGER auditchain_ddl_end ENABLE ALWAYS;
ALTER EVENT TRIGGER auditchain_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER auditchain_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER auditchain_ddl_start IS 'Guard of auditchain: refuses harmful ALTER TABLE';
COMMENT ON EVENT TRIGGER auditchain_ddl_end IS 'Guard of auditchain: records columns, guards partitions';
COMMENT ON EVENT TRIGGER auditchain_drop IS 'Guard of auditchain: refuses to drop logs and their columns';
COMMENT ON EVENT TRIGGER auditchain_rewrite IS 'Guard of auditchain: refuses to rewrite entries';
