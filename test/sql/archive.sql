-- Archives: entries that leave their log, and what verification makes of the gaps.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_archive;
CREATE SCHEMA test_archive_cold;
SET search_path = test_archive;
SET timezone = 'UTC';

CREATE TABLE events (
    id int PRIMARY KEY, at timestamptz, tenant text, note text,
    length int GENERATED ALWAYS AS (length(note)) STORED);
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
CREATE FUNCTION rehash(e events) RETURNS bytea LANGUAGE sql AS
    $$ SELECT sha256(convert_to(encode(e.previous_checksum, 'hex') || auditchain.payload(e), 'UTF8')) $$;
-- Takes the guard down, does the deed, and puts the guard back as it was.
CREATE PROCEDURE tamper(deed text, target regclass DEFAULT 'events') LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', target);
    EXECUTE deed;
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER auditchain_guard_row', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER auditchain_guard_statement', target);
    IF target <> 'test_archive_cold.events'::regclass THEN
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zz_auditchain_chain', target);
    END IF;
END $$;
INSERT INTO events SELECT i, '2024-01-01'::timestamptz + i * interval '1 day',
    CASE WHEN i % 3 = 0 THEN 'b' ELSE 'a' END, 'note ' || i FROM generate_series(1, 600) i;
CALL auditchain.checkpoint('events');
INSERT INTO events SELECT i, '2024-01-01'::timestamptz + i * interval '1 day',
    CASE WHEN i % 3 = 0 THEN 'b' ELSE 'a' END, 'note ' || i FROM generate_series(601, 900) i;
CREATE VIEW archives AS
    SELECT rank() OVER (ORDER BY archive) AS nr, archive, before, newest_entry, entries, chains, destination, "table", state
    FROM auditchain.archives WHERE log = 'events'::regclass;

-- Nowhere to go yet.
SELECT auditchain.archive('events', '2024-07-01');
SELECT auditchain.set_retention('events');
SELECT auditchain.archive('events', '2024-07-01');
SELECT auditchain.set_retention('events', destination => 'schema:test_archive_cold');

-- With holds: one entry, and those of a value; NULL is held by nothing.
SELECT auditchain.hold('events', 'case 1', '{"id": 50}') IS NOT NULL AS held;
SELECT auditchain.hold('events', 'case 2', '{"note": "note 70", "tenant": "a"}') IS NOT NULL AS held;
SELECT auditchain.archive('events', '2024-07-01') IS NOT NULL AS archived;
SELECT nr, before, newest_entry, entries, chains, destination, "table", state FROM archives;
SELECT count(*), count(*) FILTER (WHERE at < '2024-07-01') AS held FROM events;
SELECT count(*), min(id), max(id) FROM test_archive_cold.events;
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
SELECT v.intact, v.verified_events, v.chains, v.message FROM archives, auditchain.verify_archive(archive) v;
-- Nothing left to do.
SELECT auditchain.archive('events', '2024-07-01');
SELECT auditchain.archive('events', '2020-01-01');

-- The hot entries verify one by one, beside the gaps too; archived ones are known to be.
SELECT count(*), bool_and(v.intact), count(DISTINCT v.message) FROM events e,
    auditchain.verify_entry('events', e.chain_id, e.chain_position) v;
SELECT v.intact, v.verified_events, regexp_replace(v.message, '\d+', 'N', 'g') AS message
FROM events e, auditchain.verify_entry('events', e.chain_id, e.chain_position - 1) v WHERE e.id = 50;
SELECT intact, total_events, verified_events, message FROM auditchain.verify_since('events', 600);

-- What was done is recorded, and the guard is as it was.
SELECT event, reason, details - 'archive' - 'digest' AS details FROM auditchain.operations
WHERE log = 'test_archive.events' AND event = 'archived';
DELETE FROM events WHERE id = 50;
INSERT INTO test_archive_cold.events (id) VALUES (1000);
UPDATE test_archive_cold.events SET note = 'forged';
DELETE FROM test_archive_cold.events;
TRUNCATE test_archive_cold.events;
DROP TABLE test_archive_cold.events;
DROP SCHEMA test_archive_cold CASCADE;
ALTER TABLE test_archive_cold.events RENAME note TO remark;
ALTER TABLE test_archive_cold.events DROP note;
ALTER TABLE test_archive_cold.events ALTER id TYPE bigint;
SET session_replication_role = replica;
DELETE FROM test_archive_cold.events;
RESET session_replication_role;

-- All over the gaps the tree stands: every root, and proofs between the checkpoints.
SELECT bool_and(auditchain.verify_consistency(a.tree_size, a.root, b.tree_size, b.root,
    auditchain.consistency_proof('events', a.tree_size, b.tree_size)))
FROM auditchain.checkpoints a, auditchain.checkpoints b
WHERE a.log = 'events'::regclass AND b.log = a.log AND a.tree_size <= b.tree_size;
SELECT auditchain.consistency_proof('events', 100, 600);

-- More of it, in small steps: later archives take what is between older ones.
SELECT auditchain.archive('events', d) IS NOT NULL AS archived
FROM unnest('{2024-07-02,2024-07-03,2024-08-01,2025-03-01}'::timestamptz[]) d;
SELECT intact, total_events, violations, message FROM auditchain.verify('events');
SELECT auditchain.lift_hold(hold, 'closed') FROM auditchain.holds WHERE log = 'events'::regclass AND reason = 'case 1';
SELECT auditchain.archive('events', '2025-03-01') IS NOT NULL AS archived;
SELECT nr, entries, newest_entry FROM archives ORDER BY nr;
SELECT count(*) FROM events WHERE at < '2025-03-01';
SELECT intact, total_events, violations, message FROM auditchain.verify('events');
SELECT bool_and(v.intact) FROM archives, auditchain.verify_archive(archive) v;
SELECT bool_and(auditchain.verify_consistency(a.tree_size, a.root, b.tree_size, b.root,
    auditchain.consistency_proof('events', a.tree_size, b.tree_size)))
FROM auditchain.checkpoints a, auditchain.checkpoints b
WHERE a.log = 'events'::regclass AND b.log = a.log AND a.tree_size <= b.tree_size;
-- Hashes of parts of blocks are few.
SELECT count(*) < 60 AS few FROM auditchain.tree_hash JOIN auditchain.log USING (log_id)
WHERE relation = 'events'::regclass AND level < 8;

-- The log goes on, and is sealed.
INSERT INTO events VALUES (1001, '2026-01-01', 'a', 'after'), (1002, '2026-01-01', 'new', 'after');
CALL auditchain.checkpoint('events');
SELECT intact, total_events, violations, message FROM auditchain.verify('events');
SELECT count(*) FROM auditchain.export('events', 'jsonl');

-- Tampering beside a gap, and within it.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 70$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 70; UPDATE events e SET checksum = test_archive.rehash(e) WHERE id = 70$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 70$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE at < '2025-05-01'$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
-- Archived entries that come back.
BEGIN;
CALL tamper($$INSERT INTO events (id, at, tenant, note, chain_id, chain_position, previous_checksum, checksum)
    SELECT id, at, tenant, note, chain_id, chain_position, previous_checksum, checksum FROM test_archive_cold.events WHERE id = 71$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- Records of archives that are forged, or gone: with the entries that they would account for.
CREATE FUNCTION faults() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', chain, "position", kind, regexp_replace(detail, 'archive \d+', 'archive N'))
    FROM auditchain.violations('events') $$;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id IN (425, 427)$$);
SELECT faults();
UPDATE auditchain.archive_range r SET last_position = gap.last, checksum = gap.checksum
FROM (SELECT e.chain_id, e.chain_position - 1 AS last, e.previous_checksum AS checksum FROM events e WHERE id = 428) gap
WHERE r.chain_id = gap.chain_id AND r.last_position = (SELECT max(last_position) FROM auditchain.archive_range x WHERE x.chain_id = gap.chain_id);
SELECT faults();
ROLLBACK;
BEGIN;
UPDATE auditchain.archive_range r SET checksum = sha256('x')
WHERE first_position = (SELECT min(first_position) FROM auditchain.archive_range x WHERE x.log_id = r.log_id)
    AND log_id = (SELECT log_id FROM auditchain.log WHERE relation = 'events'::regclass)
    AND chain_id = (SELECT min(chain_id) FROM auditchain.chain WHERE log_id = r.log_id);
SELECT faults();
ROLLBACK;
BEGIN;
DELETE FROM auditchain.archive_range WHERE archive_id = (SELECT max(archive) FROM archives);
SELECT faults();
ROLLBACK;
BEGIN;
DELETE FROM auditchain.archive_range WHERE archive_id IN (SELECT archive FROM archives);
DELETE FROM auditchain.archive WHERE archive_id IN (SELECT archive FROM archives);
SELECT faults();
ROLLBACK;
-- A range upside down fits nothing.
BEGIN;
ALTER TABLE auditchain.archive_range DROP CONSTRAINT archive_range_check;
INSERT INTO auditchain.archive_range SELECT log_id, chain_id, 5000, 4000, sha256('x'), sha256('y'), archive_id
FROM auditchain.archive_range WHERE archive_id = (SELECT max(archive) FROM archives) LIMIT 1;
SELECT intact FROM auditchain.verify('events');
ROLLBACK;
-- The event of it is deleted, or another.
BEGIN;
CALL tamper($$DELETE FROM auditchain.operations WHERE details ->> 'archive' = (SELECT max(archive)::text FROM test_archive.archives)$$,
    'auditchain.operations');
SELECT faults();
SELECT regexp_replace(message, '\d+', 'N', 'g') AS message FROM archives, auditchain.verify_archive(archive) WHERE nr = 1;
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE auditchain.operations SET details = details || '{"digest": "forged"}'
    WHERE details ->> 'archive' = (SELECT min(archive)::text FROM test_archive.archives)$$, 'auditchain.operations');
SELECT faults();
ROLLBACK;
-- Hashes of archived leaves.
BEGIN;
UPDATE auditchain.tree_hash SET hash = sha256('x')
WHERE log_id = (SELECT log_id FROM auditchain.log WHERE relation = 'events'::regclass) AND level = 3;
SELECT faults();
ROLLBACK;

-- Entries of an archive that are changed, gone, or swapped.
CREATE FUNCTION archive_faults() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(message, 'ctid = \S+', 'ctid = …'), 'archive \d+', 'archive N') FROM archives, auditchain.verify_archive(archive)
    WHERE nr = 1 $$;
SELECT archive_faults();
BEGIN;
CALL tamper($$UPDATE test_archive_cold.events SET note = 'forged' WHERE id = 71$$, 'test_archive_cold.events');
SELECT archive_faults();
SELECT intact FROM auditchain.verify('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM test_archive_cold.events WHERE id = 71$$, 'test_archive_cold.events');
SELECT archive_faults();
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM test_archive_cold.events WHERE id = 1$$, 'test_archive_cold.events');
SELECT archive_faults();
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM test_archive_cold.events$$, 'test_archive_cold.events');
SELECT archive_faults();
ROLLBACK;
BEGIN;
ALTER TABLE test_archive_cold.events DISABLE TRIGGER auditchain_guard_row;
SELECT archive_faults();
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER auditchain_drop DISABLE;
DROP TABLE test_archive_cold.events;
SELECT archive_faults();
ROLLBACK;
SELECT auditchain.verify_archive(0);

-- A log that is broken is not archived: nothing happens.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 700$$);
SELECT auditchain.archive('events', '2026-01-01');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 701$$);
SELECT auditchain.archive('events', '2026-01-01');
ROLLBACK;
SELECT count(*) FROM archives;

-- Columns that are renamed or added.
ALTER TABLE events RENAME note TO remark;
SELECT auditchain.archive('events', '2025-04-01') IS NOT NULL AS archived;
SELECT DISTINCT "table" FROM archives;
ALTER TABLE events ADD COLUMN amount int DEFAULT 7, ADD COLUMN extra text;
INSERT INTO events (id, at, tenant, remark, amount) VALUES (1003, '2025-04-02', 'a', 'x', 8), (1004, '2026-01-01', 'a', 'y', NULL);
SELECT auditchain.archive('events', '2025-05-01') IS NOT NULL AS archived;
SELECT nr, "table" FROM archives ORDER BY nr DESC LIMIT 2;
SELECT id, at, tenant, note, amount, extra FROM test_archive_cold.events_2 WHERE id IN (460, 1003);
SELECT intact, message FROM auditchain.verify('events');
SELECT bool_and(v.intact) FROM archives, auditchain.verify_archive(archive) v;

-- Not what it is for.
SELECT auditchain.archive(NULL, now());
SELECT auditchain.archive('events', NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT auditchain.archive('events', now());
ROLLBACK;
BEGIN READ ONLY;
SELECT auditchain.archive('events', now());
ROLLBACK;
CREATE TABLE refers (event int REFERENCES events);
SELECT auditchain.archive('events', now());
DROP TABLE refers;
CREATE ROLE regress_auditchain_archive;
GRANT USAGE ON SCHEMA test_archive, test_archive_cold TO regress_auditchain_archive;
GRANT SELECT ON events TO regress_auditchain_archive;
SET ROLE regress_auditchain_archive;
SELECT auditchain.archive('events', now());
SELECT count(*) > 0 AS archives FROM auditchain.archives;
SELECT intact FROM auditchain.verify('events');
SELECT auditchain.verify_archive((SELECT min(archive) FROM auditchain.archives));
RESET ROLE;
-- It runs as the log's owner, who may be somebody else.
CREATE SCHEMA test_archive_own AUTHORIZATION regress_auditchain_archive;
CREATE SCHEMA test_archive_closed;
CREATE SCHEMA test_archive_open AUTHORIZATION regress_auditchain_archive;
SET ROLE regress_auditchain_archive;
CREATE TABLE test_archive_own.log (id int PRIMARY KEY, at date, whole bool DEFAULT true);
SELECT auditchain.protect('test_archive_own.log', lanes => 1);
INSERT INTO test_archive_own.log SELECT i, '2024-01-01'::date + i FROM generate_series(1, 10) i;
RESET ROLE;
SELECT auditchain.set_retention('test_archive_own.log', destination => 'schema:test_archive_closed');
SELECT auditchain.archive('test_archive_own.log', now());
SELECT auditchain.set_retention('test_archive_own.log', destination => 'schema:test_archive_open');
SELECT auditchain.archive('test_archive_own.log', now()) IS NOT NULL AS archived;
SELECT relowner::regrole FROM pg_class WHERE oid = 'test_archive_open.log'::regclass;
SELECT count(*) FROM test_archive_own.log;
SELECT intact, message FROM auditchain.verify('test_archive_own.log');

-- Partitions by time go as a whole where nothing of them stays; others, and that of today, do not.
CREATE TABLE parted (id int, at timestamp, tenant text) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2024-02-01');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
CREATE TABLE parted_4 PARTITION OF parted FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
CREATE TABLE parted_5 PARTITION OF parted FOR VALUES FROM ('2024-05-01') TO ('2024-06-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
SELECT auditchain.protect('parted', lanes => 1, order_by => '{id}');
INSERT INTO parted SELECT i, '2024-01-01'::timestamp + i * interval '8 hours', 'a' FROM generate_series(1, 450) i;
SELECT auditchain.set_retention('parted', destination => 'schema:test_archive_cold');
SELECT auditchain.hold('parted', 'case 3', '{"id": 130}') IS NOT NULL AS held;
SELECT auditchain.archive('parted', '2024-04-16') IS NOT NULL AS archived;
SELECT relid FROM pg_partition_tree('parted') WHERE isleaf ORDER BY 1;
SELECT tableoid::regclass, count(*), min(id) FROM parted GROUP BY 1 ORDER BY 1;
SELECT intact, total_events, violations, message FROM auditchain.verify('parted');
SELECT v.intact, v.message FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE log = 'parted'::regclass;
DROP TABLE parted_2;
INSERT INTO parted VALUES (1000, '2024-04-17', 'a'), (1001, '2024-03-17', 'a');
SELECT intact, total_events, violations, message FROM auditchain.verify('parted');
-- Partitions by something else stay, empty.
CREATE TABLE regions (id int, at date, region text) PARTITION BY LIST (region);
CREATE TABLE regions_a PARTITION OF regions FOR VALUES IN ('a');
CREATE TABLE regions_b PARTITION OF regions FOR VALUES IN ('b');
SELECT auditchain.protect('regions', lanes => 1, order_by => '{id}');
INSERT INTO regions SELECT i, '2024-01-01'::date + i, CASE WHEN i < 5 THEN 'a' ELSE 'b' END FROM generate_series(1, 10) i;
SELECT auditchain.set_retention('regions', destination => 'schema:test_archive_cold');
SELECT auditchain.archive('regions', now()) IS NOT NULL AS archived;
SELECT count(*) FROM regions_a;
INSERT INTO regions VALUES (11, '2024-03-01', 'a');
SELECT intact, message FROM auditchain.verify('regions');

-- A log that is released keeps its archives, verifiable, and no longer guards them.
SELECT auditchain.release('regions', 'end of test');
SELECT intact, message FROM auditchain.verify('regions');
DROP TABLE test_archive_cold.regions;

SELECT auditchain.release(log, 'end of test') FROM unnest('{events,parted,test_archive_own.log}'::regclass[]) log;
DROP SCHEMA test_archive, test_archive_cold, test_archive_own, test_archive_closed, test_archive_open CASCADE;
DROP OWNED BY regress_auditchain_archive;
DROP ROLE regress_auditchain_archive;
