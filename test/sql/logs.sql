-- The view of the logs.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_logs;
SET search_path = test_logs;
SET datestyle = 'ISO';
SET timezone = 'UTC';

CREATE VIEW these_logs AS
SELECT log, chain_by, lanes, chains, entries, newest_entry, guard, mapping, released_at IS NOT NULL AS released
FROM auditchain.logs WHERE log::text LIKE 'test_logs.%' OR log::text !~ '[.]' ORDER BY log::text;

CREATE TABLE logins (id int PRIMARY KEY, occurred_at timestamptz, "user" text, tenant text);
SELECT auditchain.protect('logins', chain_by => '{tenant}', lanes => 1);
CREATE TABLE readings (id int PRIMARY KEY, value float8);
SELECT auditchain.protect('readings');
CREATE TABLE months (day date, what text) PARTITION BY RANGE (day);
CREATE TABLE months_05 PARTITION OF months FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
CREATE TABLE months_06 PARTITION OF months FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
SELECT auditchain.protect('months');
SELECT * FROM these_logs;

INSERT INTO logins VALUES (1, '2026-05-09 14:22:08+00', 'alice', 'a'), (2, '2026-05-09 14:22:07+00', 'bob', 'b'),
    (3, '2026-05-09 14:22:09+00', 'eve', 'a');
INSERT INTO readings VALUES (1, 0.5);
INSERT INTO months VALUES ('2026-06-02', 'x'), ('2026-05-02', 'y');
SET timezone = 'America/New_York';
SELECT * FROM these_logs;
SET timezone = 'UTC';

-- The identity of a log is its own; a mapping shows current names of columns.
SELECT count(DISTINCT log_id) FROM auditchain.logs WHERE log IN ('logins'::regclass, 'readings'::regclass, 'months'::regclass);
ALTER TABLE logins RENAME occurred_at TO moment;
SELECT auditchain.set_mapping('logins', '{"actor": null, "scope": "All logins"}');
SELECT mapping, newest_entry FROM these_logs WHERE log = 'logins'::regclass;

-- What is wrong with a guard.
ALTER TABLE readings DISABLE TRIGGER auditchain_guard_row;
DROP INDEX months_chain_id_chain_position_idx;
SELECT log, guard FROM these_logs;
-- A log that has lost its columns hides no other.
ALTER EVENT TRIGGER auditchain_ddl_start DISABLE;
ALTER EVENT TRIGGER auditchain_ddl_end DISABLE;
ALTER EVENT TRIGGER auditchain_drop DISABLE;
ALTER TABLE readings DROP COLUMN chain_position;
ALTER EVENT TRIGGER auditchain_ddl_start ENABLE ALWAYS;
ALTER EVENT TRIGGER auditchain_ddl_end ENABLE ALWAYS;
ALTER EVENT TRIGGER auditchain_drop ENABLE ALWAYS;
SELECT log, entries, guard FROM these_logs;

-- Only logs that one may read.
CREATE ROLE regress_auditchain_auditor;
GRANT USAGE ON SCHEMA test_logs TO regress_auditchain_auditor;
GRANT SELECT ON these_logs, logins TO regress_auditchain_auditor;
SET ROLE regress_auditchain_auditor;
SELECT log, chains, entries FROM auditchain.logs;
SELECT * FROM auditchain.log;
SELECT * FROM auditchain.chain;
SELECT * FROM auditchain.log_event;
RESET ROLE;
DROP OWNED BY regress_auditchain_auditor;
DROP ROLE regress_auditchain_auditor;

-- Released, and then gone.
SELECT auditchain.release('logins', 'moved to another system');
SELECT log, guard, released FROM these_logs WHERE log = 'logins'::regclass;
SELECT event, detail FROM auditchain.log_event JOIN auditchain.log USING (log_id)
WHERE name = 'test_logs.logins' ORDER BY at;

-- A released log is its owner's to alter: none of the owner's code runs as who looks, nothing is
-- read as what it is not, and no other log is hidden.
SELECT auditchain.set_mapping('logins', '{"actor": "user", "timestamp": "moment"}');
CREATE TYPE hostile AS (i int);
CREATE FUNCTION as_time(hostile) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN RAISE 'as_time ran as %', current_user; END $$;
CREATE FUNCTION as_int(hostile) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RAISE 'as_int ran as %', current_user; END $$;
CREATE CAST (hostile AS timestamptz) WITH FUNCTION as_time AS IMPLICIT;
CREATE CAST (hostile AS int) WITH FUNCTION as_int AS IMPLICIT;
ALTER TABLE logins ALTER moment TYPE hostile USING ROW(1)::hostile, DROP COLUMN "user";
SELECT log, entries, newest_entry, mapping FROM these_logs;
SELECT auditchain.export('logins', 'jsonl', since => '2026-01-01');
ALTER TABLE logins RENAME tenant TO renter;
ALTER TABLE logins ADD COLUMN tenant text;
SELECT total_events FROM auditchain.verify('logins');
ALTER TABLE logins DROP CONSTRAINT logins_chain_id_chain_position_key,
    ALTER chain_id TYPE hostile USING ROW(1)::hostile;
SELECT log, entries, newest_entry FROM these_logs;
SELECT auditchain.verify('logins');
SELECT auditchain.verify_entry('logins', chain_id, 1) FROM auditchain.chain JOIN auditchain.log USING (log_id)
WHERE relation = 'logins'::regclass ORDER BY chain_id LIMIT 1;
ALTER TABLE logins ALTER chain_id TYPE int USING 1, ALTER checksum TYPE int USING 5;
SELECT auditchain.verify('logins');
SELECT auditchain.export('logins', 'jsonl');
SELECT auditchain.payload(l) IS NOT NULL FROM logins AS l LIMIT 1;
DROP TABLE logins;
SELECT relation, name, released_at IS NOT NULL AS released FROM auditchain.log WHERE name = 'test_logs.logins';

-- Every object of the extension says what it is.
SELECT pg_describe_object(classid, objid, objsubid) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'auditchain' AND d.deptype = 'e'
  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_event_trigger'::regclass)
  AND obj_description(objid, classid::regclass::name) IS NULL
UNION ALL
SELECT format('column %s of %s', a.attname, c.relname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'auditchain'::regnamespace AND c.relkind IN ('r', 'v')
  AND col_description(c.oid, a.attnum) IS NULL;
