-- Personal fields: what is encrypted, who may read it, and what erasure leaves.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE ROLE regress_personal_owner;
CREATE ROLE regress_personal_writer;
CREATE ROLE regress_personal_reader;
CREATE ROLE regress_personal_officer;
CREATE SCHEMA test_personal AUTHORIZATION regress_personal_owner;
CREATE SCHEMA test_personal_cold AUTHORIZATION regress_personal_owner;
GRANT USAGE ON SCHEMA test_personal TO regress_personal_writer, regress_personal_reader;
SET search_path = test_personal;
SET timezone = 'UTC';

SET ROLE regress_personal_owner;
CREATE TABLE events (
    id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT '2020-05-01', tenant text NOT NULL DEFAULT 't', account int,
    name text, remark varchar, details jsonb, raw json,
    short varchar(20), amount numeric, length int GENERATED ALWAYS AS (length(tenant)) STORED,
    mail text UNIQUE, phone text CHECK (phone <> ''), token text, address text COLLATE "C");
CREATE UNIQUE INDEX events_token ON events (lower(token));
SELECT auditchain.protect('events', chain_by => '{tenant}');
INSERT INTO events (id, account, name) VALUES (1, 17, 'from before');

-- Without a key nothing can be declared
SELECT auditchain.protect_fields('events', 'account', '{name}');
RESET ROLE;
ALTER SYSTEM SET auditchain.personal_key_command = 'printf %064d 17';
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
SELECT auditchain.reload_keys();
SELECT value, advice FROM auditchain.status() WHERE item = 'personal key';
SELECT auditchain.subject_pseudonym('17');
SELECT auditchain.erase_subject('17', 'nothing declared');

-- What cannot be a personal field, or a subject
SET ROLE regress_personal_owner;
SELECT auditchain.protect_fields('events', 'account', '{}');
SELECT auditchain.protect_fields('events', 'account', '{missing}');
SELECT auditchain.protect_fields('events', 'account', '{account}');
SELECT auditchain.protect_fields('events', 'account', '{tenant}');
SELECT auditchain.protect_fields('events', 'account', '{checksum}');
SELECT auditchain.protect_fields('events', 'account', '{short}');
SELECT auditchain.protect_fields('events', 'account', '{amount}');
SELECT auditchain.protect_fields('events', 'account', '{length}');
SELECT auditchain.protect_fields('events', 'account', '{mail}');
SELECT auditchain.protect_fields('events', 'account', '{phone}');
SELECT auditchain.protect_fields('events', 'account', '{token}');
SELECT auditchain.protect_fields('events', 'amount', '{name}');
SELECT auditchain.protect_fields('events', 'missing', '{name}');
SELECT auditchain.protect_fields('events', 'account', ARRAY[NULL]::name[]);
CREATE VIEW events_readable AS SELECT 'mine' AS own;
SELECT auditchain.protect_fields('events', 'account', '{name}');
DROP VIEW events_readable;
REVOKE CREATE ON SCHEMA test_personal FROM regress_personal_owner;
SELECT auditchain.protect_fields('events', 'account', '{name}');
GRANT CREATE ON SCHEMA test_personal TO regress_personal_owner;
CREATE TABLE parted (id int, account uuid, region text, name text) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted (CHECK (name <> 'x')) FOR VALUES IN ('a');
SELECT auditchain.protect('parted', order_by => '{id}');
SELECT auditchain.protect_fields('parted', 'account', '{region}');
SELECT auditchain.protect_fields('parted', 'account', '{name}');
RESET ROLE;
SET ROLE regress_personal_reader;
SELECT auditchain.protect_fields('test_personal.events', 'account', '{name}');
RESET ROLE;

-- Declared, and more of them later
SET ROLE regress_personal_owner;
SELECT auditchain.protect_fields('events', 'account', '{name, remark}');
SELECT auditchain.protect_fields('events', 'account', '{details, address, name}');
SELECT auditchain.protect_fields('events', 'id', '{raw}');
SELECT * FROM auditchain.personal_fields WHERE log = 'events'::regclass ORDER BY field;
ALTER TABLE parted_a DROP CONSTRAINT parted_a_name_check;
SELECT auditchain.protect_fields('parted', 'account', '{name}');

-- Encrypted are the values in the table and in the payload, whoever writes, each differently
GRANT INSERT ON events TO regress_personal_writer;
SET ROLE regress_personal_writer;
INSERT INTO events (id, account, name, remark, details, address) VALUES
    (2, 17, 'Zoë', 'likes tea', '{"b": 2, "a": [1, null]}', 'A street'),
    (3, 17, 'Zoë', NULL, '"text"', ''),
    (4, 18, 'Bob', NULL, 'null', NULL),
    (5, NULL, NULL, NULL, NULL, NULL);
INSERT INTO events (id, name) VALUES (6, 'of nobody');
COPY events (id, account, name) FROM stdin;
7	18	copied
\.
RESET ROLE;
INSERT INTO parted VALUES (1, '00000000-0000-0000-0000-000000000017', 'a', 'Zoë');
CREATE FUNCTION masked(text) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN regexp_replace($1, '(auditchain:v1):[-0-9a-f]{36}:[A-Za-z0-9+/=]+', '\1:…', 'g');
SELECT id, masked(name) AS name, masked(remark) AS remark, masked(details::text) AS details,
       masked(address) AS address, masked(auditchain.payload(e)) AS payload
FROM events AS e ORDER BY id;
SELECT count(DISTINCT name), count(DISTINCT split_part(name, ':', 3)) AS keys FROM events WHERE id IN (2, 3);
SELECT message FROM auditchain.verify('events');
SELECT message FROM auditchain.verify('parted');
SELECT masked(event::jsonb->>'payload') AS payload
FROM auditchain.export('events', 'jsonl', filter => '{"id": 2}') AS event;

-- Rolled back with the entry: the next one has another key
BEGIN;
INSERT INTO events (id, account, name) VALUES (20, 19, 'undone');
SELECT count(*) FROM auditchain.subject_keys WHERE subject_pseudonym = auditchain.subject_pseudonym('19');
SAVEPOINT s;
INSERT INTO events (id, account, name) VALUES (21, 20, 'undone');
ROLLBACK TO s;
INSERT INTO events (id, account, name) VALUES (21, 20, 'in another way');
SELECT id, name FROM events_readable WHERE id >= 20 ORDER BY id;
ROLLBACK;
SELECT count(*) FROM auditchain.subject_keys WHERE subject_pseudonym = auditchain.subject_pseudonym('19');
INSERT INTO events (id, account, name) VALUES (8, 19, 'at last');
SELECT id, name FROM events_readable WHERE account = 19;

-- Reading needs rights on the log, on the view, and on decryption
SET ROLE regress_personal_reader;
SELECT name FROM test_personal.events_readable;
RESET ROLE;
GRANT SELECT ON events_readable TO regress_personal_reader;
SET ROLE regress_personal_reader;
SELECT name FROM test_personal.events_readable;
RESET ROLE;
GRANT SELECT ON events TO regress_personal_reader;
SET ROLE regress_personal_reader;
SELECT name FROM test_personal.events_readable;
SELECT auditchain.subject_access('test_personal.events', '17');
SELECT auditchain.erase_subject('17', 'mine');
SELECT auditchain.subject_pseudonym('17');
SELECT auditchain.rotate_personal_key();
SELECT count(*) FROM auditchain.subject_keys;
SELECT count(*) FROM auditchain.subject_key;
RESET ROLE;
GRANT EXECUTE ON FUNCTION auditchain.decrypt_field(text, text, anyelement) TO regress_personal_reader;
SET ROLE regress_personal_reader;
SELECT id, account, name, remark, details, address FROM test_personal.events_readable ORDER BY id;
RESET ROLE;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT count(name), count(DISTINCT name) FROM events_readable;
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;

-- A value that stands elsewhere, or was changed, is none
SELECT auditchain.decrypt_field('name', '18', name) FROM events WHERE id = 2;
SELECT auditchain.decrypt_field('remark', '17', name) FROM events WHERE id = 2;
SELECT auditchain.decrypt_field('name', NULL, name) FROM events WHERE id = 2;
SELECT auditchain.decrypt_field('name', '17', to_jsonb(name)) FROM events WHERE id = 2;
SELECT auditchain.decrypt_field('name', '17', left(name, -8)) FROM events WHERE id = 2;
SELECT auditchain.decrypt_field('name', '17', 'auditchain:v1:'::text);
SELECT auditchain.decrypt_field('name', '17', 'plain'::text), auditchain.decrypt_field('name', '17', NULL::json);
SELECT auditchain.decrypt_field('name', '17', 17);
SELECT auditchain.decrypt_field(NULL, '17', 'plain'::text);

-- All about a subject, archived entries included; renaming a column changes nothing
ALTER TABLE events RENAME account TO customer;
ALTER TABLE events RENAME name TO full_name;
SELECT auditchain.set_mapping('events', '{"timestamp": "at"}');
SELECT auditchain.set_retention('events', '10 years', '1 year', 'schema:test_personal_cold');
INSERT INTO events (id, at, customer, full_name) VALUES (9, now(), 17, 'after renaming');
CALL auditchain.checkpoint('events');
SELECT auditchain.archive('events', now() - interval '2 years') IS NOT NULL AS archived;
SELECT id FROM events;
SELECT message FROM auditchain.verify('events');
CREATE VIEW access_17 AS
SELECT j->>'archived_in' AS archived_in, j->>'chain' AS chain, j->'position' AS position, j->'leaf' AS leaf,
       j #- '{entry,at}' -> 'entry' AS entry, j->'erased' AS erased,
       sha256(convert_to((j->>'previous_checksum') || (j->>'payload'), 'UTF8')) = decode(j->>'checksum', 'hex') AS intact
FROM auditchain.subject_access('test_personal.events', '17') AS line, LATERAL (SELECT line::jsonb AS j) AS lines;
SELECT * FROM access_17;
SELECT auditchain.subject_access('events', 'nobody');
SELECT auditchain.subject_access('auditchain.operations', '17');
SET ROLE regress_personal_reader;
SELECT * FROM auditchain.personal_fields WHERE log = 'test_personal.events'::regclass ORDER BY field;
RESET ROLE;

-- The view gets a column that came later, also where it was dropped; its names stay unless it was
ALTER TABLE events ADD COLUMN later text;
\set SHOW_CONTEXT never
SELECT auditchain.protect_fields('events', 'customer', '{}');
\set SHOW_CONTEXT errors
DROP VIEW events_readable;
-- Not while a hold needs it in clear
SELECT auditchain.hold('events', 'case 0', '{"later": "x"}') AS hold \gset
\set VERBOSITY sqlstate
SELECT auditchain.protect_fields('events', 'customer', '{later}');
\set VERBOSITY default
SELECT auditchain.lift_hold(:hold, 'closed');
SELECT auditchain.protect_fields('events', 'customer', '{later}');
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'events_readable'::regclass;

-- Erasure: not what a hold matches, archived entries included
SELECT auditchain.hold('events', 'case 1', '{"full_name": "Zoë"}');
SELECT auditchain.hold('events', 'case 1', '{"customer": 17, "id": 2}') AS hold \gset
GRANT EXECUTE ON FUNCTION auditchain.erase_subject(text, text) TO regress_personal_officer;
SET ROLE regress_personal_officer;
SELECT auditchain.erase_subject('17', NULL);
SELECT auditchain.erase_subject('17', ' ');
SELECT auditchain.erase_subject(NULL, 'asked');
\set VERBOSITY terse
SELECT auditchain.erase_subject('17', 'asked');
\set VERBOSITY default
SELECT auditchain.erase_subject('18', 'asked by letter');
RESET ROLE;
SELECT auditchain.lift_hold(:hold, 'closed');
SET ROLE regress_personal_officer;
SELECT auditchain.erase_subject('17', 'asked by letter');
SELECT auditchain.erase_subject('17', 'asked again');
SELECT auditchain.erase_subject('018', 'misspelt');
RESET ROLE;
SELECT e.id, r.full_name, e.full_name IS NOT NULL AS there, auditchain.is_erased(e.full_name)
FROM events AS e JOIN events_readable AS r USING (id);
SELECT archived_in, position, entry, erased, intact FROM access_17;
SELECT message FROM auditchain.verify('events');
SELECT v.intact FROM auditchain.archives, auditchain.verify_archive(archive) AS v WHERE log = 'events'::regclass;
SELECT event, log, actor, reason, details->'subject_pseudonym' = to_jsonb(auditchain.subject_pseudonym('17')) AS of_17,
       jsonb_array_length(details->'keys') AS keys
FROM auditchain.operations WHERE reason LIKE 'asked%' ORDER BY id;
SELECT message ~ '^All \d+ audit events verified' AS intact FROM auditchain.verify('auditchain.operations');
-- New data after it have a new key
INSERT INTO events (id, customer, full_name) VALUES (10, 17, 'came back');
SELECT full_name FROM events_readable WHERE id = 10;

-- Erased and rolled back is not erased
BEGIN;
SELECT auditchain.erase_subject('19', 'by mistake');
SELECT auditchain.subject_access('events', '19') LIKE '%at last%';
ROLLBACK;
SELECT auditchain.subject_access('events', '19') LIKE '%at last%';

-- A key that is deleted without an erasure: what a session writes later has another one
INSERT INTO events (id, customer, full_name) VALUES (12, 21, 'lost');
DELETE FROM auditchain.subject_key WHERE subject = decode(auditchain.subject_pseudonym('21'), 'hex');
INSERT INTO events (id, customer, full_name) VALUES (13, 21, 'has a key');
SELECT id, full_name FROM events_readable WHERE id >= 12 ORDER BY id;

-- Without the master key: nothing is written or read, nor with another one
ALTER SYSTEM SET auditchain.personal_key_command = 'printf %064d 18';
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
SELECT auditchain.reload_keys();
SELECT full_name FROM events_readable WHERE id = 10;
ALTER SYSTEM RESET auditchain.personal_key_command;
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
SELECT auditchain.reload_keys();
SELECT full_name FROM events_readable WHERE id = 10;
INSERT INTO events (id, customer, full_name) VALUES (11, 17, 'too late');
INSERT INTO events (id, customer) VALUES (11, 17);
SELECT id, auditchain.is_erased(full_name) FROM events WHERE id >= 9 ORDER BY id;
SELECT message FROM auditchain.verify('events');

SELECT auditchain.release('events', 'end of test'), auditchain.release('parted', 'end of test');
SELECT auditchain.protect_fields('events', 'customer', '{raw}');

-- The owner of a released log runs no code as the officer
SET ROLE regress_personal_owner;
DROP VIEW events_readable;
CREATE TYPE lure AS (id int);
CREATE FUNCTION spring(lure) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'runs as %', current_user; END $$;
CREATE CAST (lure AS text) WITH FUNCTION spring(lure);
ALTER TABLE events ALTER COLUMN customer TYPE lure USING ROW(customer)::lure;
RESET ROLE;
SELECT auditchain.subject_access('events', 'nobody');
DROP TABLE events CASCADE;
DROP TABLE parted CASCADE;
DROP SCHEMA test_personal_cold CASCADE;
DROP SCHEMA test_personal CASCADE;
REVOKE ALL ON FUNCTION auditchain.decrypt_field(text, text, anyelement) FROM regress_personal_reader;
REVOKE ALL ON FUNCTION auditchain.erase_subject(text, text) FROM regress_personal_officer;
DROP ROLE regress_personal_owner, regress_personal_writer, regress_personal_reader, regress_personal_officer;
