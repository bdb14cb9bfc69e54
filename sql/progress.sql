-- Long work that is under way: src/pg/progress.cpp.

CREATE FUNCTION auditchain._progress(
    OUT pid           integer,
    OUT log           regclass,
    OUT command       text,
    OUT phase         text,
    OUT entries_done  bigint,
    OUT entries_total bigint,
    OUT started_at    timestamptz
) RETURNS SETOF record
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_progress';
COMMENT ON FUNCTION auditchain._progress() IS 'Long work on logs of this database that is under way';

CREATE VIEW auditchain.progress WITH (security_barrier) AS
SELECT pid, log, command, phase, entries_done, entries_total, started_at
FROM auditchain._progress()
WHERE has_table_privilege(log, 'SELECT');
COMMENT ON VIEW auditchain.progress IS
    'Long work that is under way on logs that the user may read; empty without shared_preload_libraries';
COMMENT ON COLUMN auditchain.progress.pid IS 'Process, as in pg_stat_activity';
COMMENT ON COLUMN auditchain.progress.log IS 'The log';
COMMENT ON COLUMN auditchain.progress.command IS 'What is done: verify';
COMMENT ON COLUMN auditchain.progress.phase IS 'Where it is: reading entries, locating violations, or comparing checkpoints';
COMMENT ON COLUMN auditchain.progress.entries_done IS 'Entries done in this phase, by all its processes';
COMMENT ON COLUMN auditchain.progress.entries_total IS
    'Entries in all, as the planner estimates them; NULL where the table was never analyzed';
COMMENT ON COLUMN auditchain.progress.started_at IS 'When the work began';
GRANT SELECT ON auditchain.progress TO PUBLIC;
