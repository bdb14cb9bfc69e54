-- The guard over DDL: what would take entries away or go round the chain is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE ROLE regress_ddl_owner;
CREATE SCHEMA test_guard_ddl AUTHORIZATION regress_ddl_owner;
SET search_path = test_guard_ddl;
SET ROLE regress_ddl_owner;

CREATE TABLE events (id int PRIMARY KEY, what text);
CREATE TABLE plain (id int PRIMARY KEY, what text);
SELECT auditchain.protect('events', lanes => 1);
INSERT INTO events VALUES (1, 'one');

-- Runs a command that is to be refused.
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END
$$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';

-- The table itself.
SELECT refused('DROP TABLE events');
SELECT refused('DROP TABLE plain, events');
SELECT refused('DROP SCHEMA test_guard_ddl CASCADE');
SELECT refused('DROP OWNED BY regress_ddl_owner');
RESET ROLE;
SELECT refused('DROP TABLE events CASCADE');
SET session_replication_role = replica;
SELECT refused('DROP TABLE events');
RESET session_replication_role;
SET ROLE regress_ddl_owner;

-- Triggers: one that runs before auditchain's may change the row, one after it may not.
SELECT refused('CREATE TRIGGER zzz BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep()');
SELECT refused('CREATE TRIGGER zzz BEFORE UPDATE OR INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep()');
CREATE TRIGGER zzz AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER zzz_statement BEFORE INSERT ON events EXECUTE FUNCTION keep();
CREATE TRIGGER aaa BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep();
SELECT refused('ALTER TRIGGER aaa ON events RENAME TO zzz_last');
ALTER TABLE events DISABLE TRIGGER aaa;
ALTER TRIGGER aaa ON events RENAME TO zzz_last;
SELECT refused('ALTER TABLE events ENABLE TRIGGER zzz_last');
SELECT refused('ALTER TABLE events ENABLE REPLICA TRIGGER zzz_last');
INSERT INTO events VALUES (2, 'two');

-- Rules and inheritance.
SELECT refused('CREATE RULE none AS ON INSERT TO events DO INSTEAD NOTHING');
SELECT refused('CREATE RULE also AS ON DELETE TO events DO INSTEAD NOTHING');
CREATE RULE none AS ON INSERT TO plain DO INSTEAD NOTHING;
SELECT refused($$SELECT auditchain.protect('plain')$$);
DROP RULE none ON plain;
SELECT refused('CREATE TABLE child () INHERITS (events)');
CREATE TABLE child (LIKE events);
SELECT refused('ALTER TABLE child INHERIT events');
ALTER TABLE events ADD CONSTRAINT positive CHECK (id > 0);
CREATE TABLE parent (id int);
SELECT refused('ALTER TABLE events INHERIT parent');

-- Harmless.
ALTER TABLE events RENAME TO renamed;
ALTER TABLE renamed RENAME TO events;
ALTER TABLE events RENAME CONSTRAINT positive TO positive_id;
ALTER TABLE events DROP CONSTRAINT positive_id;
ALTER TABLE events ALTER COLUMN what SET NOT NULL, ALTER COLUMN what SET STATISTICS 10;
ALTER TABLE events SET (fillfactor = 90);
CREATE INDEX events_what ON events (what);
DROP INDEX events_what;
CREATE VIEW seen AS SELECT * FROM events;
DROP VIEW seen;
CLUSTER events USING events_pkey;
CREATE TABLE child_of_plain () INHERITS (plain);
CREATE TEMP TABLE scratch (id int) ON COMMIT DROP;
BEGIN;
CREATE TEMP TABLE scratch (id int);
ALTER TABLE scratch ADD COLUMN other int DEFAULT random();
DROP TABLE scratch;
CREATE TABLE passing (id int) PARTITION BY LIST (id);
CREATE TABLE passing_1 PARTITION OF passing FOR VALUES IN (1);
ALTER TABLE passing ADD COLUMN other int;
ALTER TABLE passing DETACH PARTITION passing_1;
DROP TABLE passing, passing_1;
COMMIT;
DROP TABLE plain CASCADE;
SELECT auditchain._guard('events');
SELECT intact, message FROM auditchain.verify('events');

-- A log made in this transaction.
BEGIN;
CREATE TABLE passing (id int);
SELECT auditchain.protect('passing');
SAVEPOINT dropping;
SELECT refused('DROP TABLE passing');
SELECT auditchain.release('passing', 'test');
DROP TABLE passing;
COMMIT;

-- To turn the guard off is no longer hidden, and not refused.
ALTER TABLE events DISABLE TRIGGER auditchain_guard_row;
SELECT auditchain._guard('events');
ALTER TABLE events ENABLE TRIGGER auditchain_guard_row;
SELECT auditchain._guard('events');
ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
DROP TRIGGER auditchain_guard_statement ON events;
ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
SELECT auditchain._guard('events');
RESET ROLE;
ALTER EVENT TRIGGER auditchain_drop DISABLE;
SELECT auditchain._guard('events');
ALTER EVENT TRIGGER auditchain_drop ENABLE ALWAYS;

-- A restore gives tables new OIDs, and may number columns otherwise: what a rename then concerns.
CREATE TABLE restored (what text, extra text, gone int, id int);
ALTER TABLE restored DROP COLUMN gone;
SELECT auditchain.protect('restored', lanes => 1);
ALTER TABLE restored RENAME COLUMN what TO action;
INSERT INTO restored VALUES ('w', 'e', 1);
UPDATE auditchain.log SET relation_oid = 1 WHERE relation = 'restored'::regclass;
UPDATE auditchain.log_column SET attnum = 10 - attnum WHERE log_id =
    (SELECT log_id FROM auditchain.log WHERE relation = 'restored'::regclass);
INSERT INTO restored VALUES ('w', 'e', 2);
SELECT auditchain.payload(e) FROM restored e ORDER BY id;
ALTER TABLE restored RENAME COLUMN id TO number;
ALTER TABLE restored RENAME COLUMN extra TO id;
INSERT INTO restored (action, id, number) VALUES ('w', 'e', 3);
SELECT auditchain.payload(e) FROM restored e ORDER BY number;
SELECT relation_oid = relation AS adopted, c.attnum, column_name, member
FROM auditchain.log JOIN auditchain.log_column c USING (log_id)
WHERE relation = 'restored'::regclass ORDER BY c.attnum;
SELECT intact, message FROM auditchain.verify('restored');

-- Without logs' extension there are no logs: DROP EXTENSION is the superuser's last word.
BEGIN;
DROP EXTENSION auditchain CASCADE;
DROP TABLE events, restored;
ROLLBACK;
SELECT auditchain.release('restored', 'test'), auditchain.release('events', 'test');
DROP SCHEMA test_guard_ddl CASCADE;
DROP ROLE regress_ddl_owner;
SELECT name, relation FROM auditchain.log WHERE name LIKE 'test_guard_ddl.%' ORDER BY name;
