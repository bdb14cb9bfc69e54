-- What a role needs to write to a log and to read it, and what nobody gets.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE ROLE regress_privileges_owner;
CREATE ROLE regress_privileges_writer;
CREATE ROLE regress_privileges_reader;
CREATE SCHEMA privileges AUTHORIZATION regress_privileges_owner;
GRANT USAGE ON SCHEMA privileges TO regress_privileges_writer, regress_privileges_reader;
SET search_path = privileges;

SET ROLE regress_privileges_owner;
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text, note text);
CREATE TABLE by_serial (id bigserial PRIMARY KEY, note text);
SELECT auditchain.protect('events', chain_by => '{tenant}');
SELECT auditchain.protect('by_serial');
GRANT INSERT ON events, by_serial TO regress_privileges_writer;
GRANT SELECT ON events, by_serial TO regress_privileges_reader;
RESET ROLE;

-- A writer needs INSERT, and what the table's own defaults need
SET ROLE regress_privileges_writer;
INSERT INTO events (tenant, note) VALUES ('a', 'first'), ('b', 'first'), ('a', 'second');
INSERT INTO by_serial (note) VALUES ('no right on the sequence');
RESET ROLE;
GRANT USAGE ON SEQUENCE by_serial_id_seq TO regress_privileges_writer;
SET ROLE regress_privileges_writer;
INSERT INTO by_serial (note) VALUES ('allowed');
COPY events (tenant, note) FROM stdin;
c	copied
\.
-- and gets nothing else
SELECT count(*) FROM events;
INSERT INTO events (tenant) VALUES ('a') RETURNING checksum;
SELECT auditchain.payload(e) FROM events e;
UPDATE events SET note = 'changed';
DELETE FROM events;
TRUNCATE events;
DROP TABLE events;
ALTER TABLE events DISABLE TRIGGER ALL;
SET session_replication_role = replica;
SELECT auditchain.release('events', 'mine now');
SELECT auditchain.protect('events');
SELECT nextval('auditchain.chain_id_seq');
SELECT setval('auditchain.chain_id_seq', 1);
RESET ROLE;

-- A reader needs SELECT
SET ROLE regress_privileges_reader;
SELECT chain_position, auditchain.payload(e) FROM events e ORDER BY tenant, chain_position;
INSERT INTO events (tenant) VALUES ('a');
RESET ROLE;

-- Rights on columns
SET ROLE regress_privileges_owner;
REVOKE ALL ON events FROM regress_privileges_writer, regress_privileges_reader;
GRANT INSERT (tenant, note) ON events TO regress_privileges_writer;
GRANT SELECT (id, tenant) ON events TO regress_privileges_reader;
SET ROLE regress_privileges_writer;
INSERT INTO events (tenant, note) VALUES ('a', 'by columns');
INSERT INTO events (tenant, note, checksum) VALUES ('a', 'x', '\x00');
SET ROLE regress_privileges_reader;
SELECT count(*) FROM (SELECT id, tenant FROM events) e;
SELECT auditchain.payload(e) FROM events e;
RESET ROLE;

-- auditchain's own tables are closed
SELECT c.relname, has_table_privilege('regress_privileges_writer', c.oid, privilege) AS writer,
       privilege
FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
WHERE c.relnamespace = 'auditchain'::regnamespace AND c.relkind IN ('r', 'p', 'm')
  AND has_table_privilege('regress_privileges_writer', c.oid, privilege)
ORDER BY 1, 3;
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'auditchain'::regnamespace
  AND CASE WHEN c.relkind = 'S' THEN
      has_sequence_privilege('regress_privileges_writer', c.oid, 'USAGE, SELECT, UPDATE') END;
SELECT has_schema_privilege('regress_privileges_writer', 'auditchain', 'USAGE') AS usage,
       has_schema_privilege('regress_privileges_writer', 'auditchain', 'CREATE') AS create;
SET ROLE regress_privileges_writer;
SELECT count(*) FROM auditchain.log;
SELECT count(*) FROM auditchain.log_column;
SELECT count(*) FROM auditchain.chain;
SELECT count(*) FROM auditchain.log_event;
RESET ROLE;
-- and no function of ours runs with more rights than its caller, but with its search_path set
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'auditchain'::regnamespace AND p.prosecdef
  AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false);

-- Whoever inserts brings search_path along: nothing found there may run as the catalog's owner
CREATE SCHEMA malicious AUTHORIZATION regress_privileges_writer;
SET ROLE regress_privileges_writer;
CREATE FUNCTION malicious.seized(called text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING '% ran as %', called, current_user;
    RETURN true;
END $$;
CREATE FUNCTION malicious.equal_uuid(uuid, uuid) RETURNS boolean LANGUAGE sql
    AS $$SELECT malicious.seized('uuid =')$$;
CREATE FUNCTION malicious.equal_regclass(regclass, regclass) RETURNS boolean LANGUAGE sql
    AS $$SELECT malicious.seized('regclass =')$$;
CREATE FUNCTION malicious.equal_oid(oid, oid) RETURNS boolean LANGUAGE sql
    AS $$SELECT malicious.seized('oid =')$$;
CREATE FUNCTION malicious.equal_text(text, text) RETURNS boolean LANGUAGE sql
    AS $$SELECT malicious.seized('text =')$$;
CREATE FUNCTION malicious.equal_int(int, int) RETURNS boolean LANGUAGE sql
    AS $$SELECT malicious.seized('integer =')$$;
CREATE OPERATOR malicious.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = malicious.equal_uuid);
CREATE OPERATOR malicious.= (
    LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = malicious.equal_regclass);
CREATE OPERATOR malicious.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = malicious.equal_oid);
CREATE OPERATOR malicious.= (LEFTARG = text, RIGHTARG = text, FUNCTION = malicious.equal_text);
CREATE OPERATOR malicious.= (LEFTARG = int, RIGHTARG = int, FUNCTION = malicious.equal_int);
CREATE FUNCTION malicious.now() RETURNS timestamptz LANGUAGE plpgsql
    AS $$BEGIN PERFORM malicious.seized('now()'); RETURN pg_catalog.now(); END$$;
CREATE FUNCTION malicious.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql
    AS $$BEGIN PERFORM malicious.seized('clock_timestamp()'); RETURN pg_catalog.now(); END$$;
CREATE FUNCTION malicious.gen_random_uuid() RETURNS uuid LANGUAGE plpgsql
    AS $$BEGIN PERFORM malicious.seized('gen_random_uuid()');
         RETURN pg_catalog.gen_random_uuid(); END$$;
CREATE TABLE malicious.pg_attribute (attrelid oid, attnum int);
RESET ROLE;
-- The trap works
\c -
SET client_min_messages = warning;
SET search_path = malicious, pg_catalog, privileges;
SELECT 1 = 2 AS trapped;
-- but none of what follows steps into it, in a session that has not seen the log yet
\c -
SET client_min_messages = warning;
SET search_path = malicious, pg_catalog, privileges;
SET ROLE regress_privileges_writer;
INSERT INTO events (tenant, note) VALUES ('new', 'through a hostile search_path');
RESET ROLE;
GRANT SELECT ON events TO regress_privileges_reader;
\c -
SET client_min_messages = warning;
SET search_path = malicious, pg_catalog, privileges;
SET ROLE regress_privileges_reader;
SELECT auditchain.payload(e) FROM events e ORDER BY id;
RESET ROLE;
SET ROLE regress_privileges_owner;
CREATE TABLE privileges.own (id int PRIMARY KEY);
INSERT INTO privileges.own VALUES (1);
SELECT auditchain.protect('privileges.own', chain_by => '{id}');
SELECT auditchain._guard('privileges.own');
SELECT auditchain.release('privileges.own', 'test');
RESET ROLE;
-- a temporary table is no trap either
RESET search_path;
SET ROLE regress_privileges_owner;
CREATE TEMP TABLE pg_attribute (attrelid oid, attnum int, attname name);
CREATE TEMP TABLE log (log_id uuid, relation regclass);
CREATE TABLE privileges.another (id int PRIMARY KEY);
SELECT auditchain.protect('privileges.another');
INSERT INTO privileges.another VALUES (1);
SELECT auditchain.payload(e) FROM privileges.another e;
RESET ROLE;

-- Nobody else's schema or extension can be mistaken for ours
SET ROLE regress_privileges_writer;
CREATE FUNCTION auditchain.payload(malicious.pg_attribute) RETURNS text LANGUAGE sql AS $$SELECT ''$$;
CREATE TRIGGER t BEFORE INSERT ON privileges.events FOR EACH ROW
    EXECUTE FUNCTION auditchain._chain_entry();
RESET ROLE;

\c -
SET client_min_messages = warning;
SELECT count(auditchain.release(relation, 'end of test')) FROM auditchain.log
WHERE relation::text LIKE 'privileges.%' AND released_at IS NULL;
DROP SCHEMA privileges, malicious CASCADE;
DROP ROLE regress_privileges_owner, regress_privileges_writer, regress_privileges_reader;
