-- The guard over rows: nothing but INSERT, for whomever.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE ROLE regress_guard_owner;
CREATE ROLE regress_guard_writer;
CREATE SCHEMA test_guard;
GRANT ALL ON SCHEMA test_guard TO regress_guard_owner, regress_guard_writer;
SET search_path = test_guard;
SET ROLE regress_guard_owner;

CREATE TABLE actors (id int PRIMARY KEY);
CREATE TABLE others (id int PRIMARY KEY);
INSERT INTO actors VALUES (1), (2);
INSERT INTO others VALUES (1), (2);
CREATE TABLE events (
    id int PRIMARY KEY,
    actor int REFERENCES actors ON DELETE CASCADE ON UPDATE CASCADE,
    other int REFERENCES others ON DELETE SET NULL,
    what text
);
CREATE TABLE parts (id int, what text) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2) PARTITION BY LIST (what);
CREATE TABLE parts_2_rest PARTITION OF parts_2 DEFAULT;
INSERT INTO events VALUES (1, 1, 1, 'before protection');
INSERT INTO parts VALUES (1, 'one'), (2, 'two');
SELECT auditchain.protect('events', lanes => 1);
SELECT auditchain.protect('parts', order_by => '{id}', lanes => 1);
INSERT INTO events VALUES (2, 2, 2, 'after');
GRANT ALL ON ALL TABLES IN SCHEMA test_guard TO regress_guard_writer;

-- What becomes of a command: its error, or how many rows it returned or changed.
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    EXECUTE command;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
CREATE TABLE commands (place int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO commands (command) VALUES
    ('UPDATE events SET what = ''x'''),
    ('UPDATE events SET id = id WHERE false'),
    ('UPDATE ONLY events SET checksum = NULL'),
    ('DELETE FROM events'),
    ('DELETE FROM events WHERE id = 99'),
    ('DELETE FROM events USING actors WHERE actor = actors.id'),
    ('WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone'),
    ('TRUNCATE events'),
    ('TRUNCATE others, events'),
    ('TRUNCATE actors CASCADE'),
    ('MERGE INTO events e USING actors a ON e.actor = a.id WHEN MATCHED THEN UPDATE SET what = ''x'''),
    ('MERGE INTO events e USING actors a ON e.actor = a.id WHEN MATCHED THEN DELETE'),
    ('INSERT INTO events (id) VALUES (2) ON CONFLICT (id) DO UPDATE SET what = ''x'''),
    ('DELETE FROM actors WHERE id = 1'),
    ('UPDATE actors SET id = 9 WHERE id = 1'),
    ('DELETE FROM others WHERE id = 2'),
    ('UPDATE parts SET what = ''x'''),
    ('UPDATE parts SET id = 2 WHERE id = 1'),
    ('UPDATE parts_1 SET what = ''x'' WHERE false'),
    ('UPDATE parts_2 SET what = ''x'' WHERE false'),
    ('UPDATE parts_2_rest SET what = ''x'' WHERE false'),
    ('DELETE FROM parts WHERE false'),
    ('DELETE FROM parts_1'),
    ('DELETE FROM parts_2'),
    ('DELETE FROM parts_2_rest'),
    ('TRUNCATE parts'),
    ('TRUNCATE ONLY parts_1'),
    ('TRUNCATE parts_2'),
    ('TRUNCATE parts_2_rest'),
    -- Not a change.
    ('SELECT FROM events FOR UPDATE'),
    ('SELECT FROM parts FOR NO KEY UPDATE'),
    ('INSERT INTO events (id) VALUES (1) ON CONFLICT DO NOTHING'),
    ('MERGE INTO events e USING actors a ON e.actor = a.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)');
GRANT ALL ON commands TO regress_guard_writer;

SELECT command, try(command) FROM commands ORDER BY place;
-- The same for the others.
CREATE TEMP TABLE results AS SELECT place, command, try(command) AS owner FROM commands;
GRANT ALL ON results TO regress_guard_writer;
SET ROLE regress_guard_writer;
SELECT command, now FROM results, LATERAL (SELECT try(command) AS now OFFSET 0) AS again
WHERE now <> owner ORDER BY place;
RESET ROLE;
SELECT command, now FROM results, LATERAL (SELECT try(command) AS now OFFSET 0) AS again
WHERE now <> owner ORDER BY place;
SET session_replication_role = replica;
-- Here foreign keys do nothing.
SELECT command, now FROM results, LATERAL (SELECT try(command) AS now OFFSET 0) AS again
WHERE now <> owner ORDER BY place;
RESET session_replication_role;
INSERT INTO actors VALUES (1);
INSERT INTO others VALUES (2);

-- No gap after ON CONFLICT DO NOTHING, an error or a savepoint.
BEGIN;
INSERT INTO events (id) VALUES (3), (1), (4), (2) ON CONFLICT DO NOTHING;
SAVEPOINT one;
INSERT INTO events (id) VALUES (5), (6);
ROLLBACK TO one;
INSERT INTO events (id) VALUES (5);
COMMIT;
INSERT INTO events (id) VALUES (6), (1);
MERGE INTO events e USING (VALUES (5), (7)) AS new (id) ON e.id = new.id
    WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id) VALUES (new.id);
SELECT id, chain_position, e.previous_checksum = lag(checksum) OVER (ORDER BY chain_position) AS linked,
       encode(checksum, 'hex') = encode(sha256(convert_to(encode(previous_checksum, 'hex')
           || auditchain.payload(e), 'UTF8')), 'hex') AS intact
FROM events e ORDER BY chain_position;

-- The whole message.
\set VERBOSITY default
DELETE FROM events;
\echo :LAST_ERROR_SQLSTATE
UPDATE parts_2 SET id = 2;

-- Released for a reason, by the owner.
SET ROLE regress_guard_writer;
SELECT auditchain.release('events', 'mine');
RESET ROLE;
SELECT auditchain.release('events', '');
SELECT auditchain.release('events', NULL);
SELECT auditchain.release('events', E' \t\n');
SELECT auditchain._guard('events');
SELECT auditchain.release('actors', 'no log');
\echo :LAST_ERROR_SQLSTATE
SELECT auditchain.release('pg_class', 'no log');
SET ROLE regress_guard_owner;
SELECT auditchain.release('parts_1', 'by way of a partition');
SELECT auditchain.release('events', 'test of the guard');
SELECT auditchain.release('events', 'again');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT name, replace(actor, session_user, 'tester') AS actor, event, detail
FROM auditchain.log_event JOIN auditchain.log USING (log_id)
WHERE name LIKE 'test_guard.%' AND event = 'released' ORDER BY at;
SELECT auditchain._guard('events'), auditchain._guard('parts');
SET ROLE regress_guard_owner;
INSERT INTO events (id, what) VALUES (10, 'in no chain');
SELECT id, chain_id, checksum FROM events WHERE id = 10;
UPDATE events SET what = 'changed' WHERE id = 10;
DELETE FROM events WHERE id = 10;
DELETE FROM parts;
TRUNCATE parts, events;
RESET ROLE;
DROP SCHEMA test_guard CASCADE;
DROP TABLE results;
DROP ROLE regress_guard_owner, regress_guard_writer;
