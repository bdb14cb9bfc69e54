-- Verification with parallel workers: the same answers as without.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_verify_parallel;
SET search_path = test_verify_parallel;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;

CREATE PROCEDURE tamper(deed text) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL session_replication_role = replica;
    ALTER TABLE events DISABLE TRIGGER ALL;
    EXECUTE deed;
    ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
END $$;

-- Many chains, values in TOAST, a type with no writer of its own, a default added later, a dropped
-- column.
CREATE TABLE events (id int PRIMARY KEY, gone int, tenant text, big text, at timetz, tags text[]);
ALTER TABLE events DROP COLUMN gone;
SELECT auditchain.protect('events', chain_by => '{tenant}');
INSERT INTO events SELECT i, 't' || i % 50, CASE WHEN i % 100 = 0 THEN repeat(md5(i::text), 20000) END, '12:00+03', ARRAY['x', 'y']
FROM generate_series(1, 2000) i;
ALTER TABLE events ADD COLUMN level text DEFAULT 'info';
INSERT INTO events (id, tenant, at, level) SELECT i, 't' || i % 50, '12:00+03', 'high' FROM generate_series(2001, 3000) i;
VACUUM ANALYZE events;
SELECT intact, total_events, verified_events, chains, message FROM auditchain.verify('events');

BEGIN;
INSERT INTO events (id, tenant, level) VALUES (3001, 'new', 'low');
SELECT total_events, chains, intact FROM auditchain.verify('events');
ROLLBACK;

-- What one worker or another finds is found.
BEGIN;
CALL tamper($$UPDATE events SET big = 'forged' WHERE id = 2000$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 777$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$ALTER TABLE events ALTER chain_id DROP NOT NULL; UPDATE events SET chain_id = NULL WHERE id = 778$$);
SELECT kind, chain FROM auditchain.violations('events') ORDER BY chain NULLS FIRST;
ROLLBACK;
BEGIN;
CALL tamper($$ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key$$);
SELECT kind, chain, detail FROM auditchain.violations('events');
ROLLBACK;

-- A type whose output function must not run in a worker.
CREATE TYPE odd;
CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT PARALLEL UNSAFE AS 'int4out';
CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = int4);
CREATE TABLE with_odd (id int PRIMARY KEY, value odd);
SELECT auditchain.protect('with_odd');
INSERT INTO with_odd SELECT i, i::text::odd FROM generate_series(1, 1000) i;
SELECT message FROM auditchain.verify('with_odd');

-- Partitions, one of which numbers its columns otherwise.
CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE parted_2 (note text, gone int, id int);
ALTER TABLE parted_2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (500) TO (1500);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (1500) TO (2000);
SELECT auditchain.protect('parted', lanes => 1);
INSERT INTO parted SELECT i, 'note' FROM generate_series(1, 1400) i;
SELECT intact, total_events, chains FROM auditchain.verify('parted');
ALTER TABLE parted_2 DISABLE TRIGGER ALL;
UPDATE parted_2 SET note = 'forged' WHERE id = 1000;
SELECT kind, "position", detail FROM auditchain.violations('parted');

-- In the transaction that made the log; released; empty.
BEGIN;
CREATE TABLE fresh (id int PRIMARY KEY);
INSERT INTO fresh SELECT generate_series(1, 100);
SELECT auditchain.protect('fresh');
INSERT INTO fresh SELECT generate_series(101, 200);
SELECT message FROM auditchain.verify('fresh');
SELECT auditchain.release('fresh', 'end of test');
INSERT INTO fresh VALUES (201);
SELECT message FROM auditchain.verify('fresh');
ROLLBACK;
CREATE TABLE empty (id int);
SELECT auditchain.protect('empty');
SELECT message FROM auditchain.verify('empty');

-- What is recorded, and what is not.
SELECT log, verified_by = session_user AS by_me, scope, intact, total_events, violations, message
FROM auditchain.verifications WHERE log = 'events'::regclass ORDER BY verified_at;
BEGIN READ ONLY;
SELECT intact FROM auditchain.verify('empty');
COMMIT;
SELECT count(*) FROM auditchain.verifications WHERE log = 'empty'::regclass;
SELECT log, verified_at <= clock_timestamp() AS at, verified_by = session_user AS by_me, verified_scope, verified_intact
FROM auditchain.logs WHERE log = 'parted'::regclass;

-- Whoever may not read a log sees nothing of it.
CREATE ROLE regress_auditchain_stranger;
GRANT USAGE ON SCHEMA test_verify_parallel TO regress_auditchain_stranger;
SET ROLE regress_auditchain_stranger;
SELECT count(*) FROM auditchain.verifications;
SELECT count(*) FROM auditchain.progress;
SELECT intact FROM auditchain.verify('events');
RESET ROLE;
-- All columns will do.
GRANT SELECT (id) ON empty TO regress_auditchain_stranger;
SET ROLE regress_auditchain_stranger;
SELECT intact FROM auditchain.verify('empty');
RESET ROLE;
GRANT SELECT (chain_id, chain_position, previous_checksum, checksum) ON empty TO regress_auditchain_stranger;
SET ROLE regress_auditchain_stranger;
SELECT intact FROM auditchain.verify('empty');
RESET ROLE;
DROP OWNED BY regress_auditchain_stranger;
DROP ROLE regress_auditchain_stranger;

SELECT auditchain.release(relation, 'end of test') FROM auditchain.log WHERE relation IN
    ('events'::regclass, 'with_odd'::regclass, 'parted'::regclass, 'empty'::regclass);
DROP SCHEMA test_verify_parallel CASCADE;
