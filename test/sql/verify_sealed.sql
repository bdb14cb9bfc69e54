-- Verification of a sealed log of many chains, in parallel: each part of what is sealed, tampered with, is
-- one violation.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_verify_sealed;
SET search_path = test_verify_sealed;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;

-- Several checkpoints, so that a chain has several ranges, and enough entries for a stored hash of 65536.
CREATE TABLE events (id int PRIMARY KEY, tenant int);
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
CREATE PROCEDURE grow(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events SELECT i, i % 1200 FROM generate_series(first, last) i;
    CALL auditchain.checkpoint('events');
END $$;
CALL grow(1, 1200);
CALL grow(1201, 5000);
CALL grow(5001, 5001);
CALL grow(5002, 40000);
CALL grow(40001, 70000);
INSERT INTO events SELECT i, i % 1200 FROM generate_series(70001, 71000) i;
VACUUM ANALYZE events;
SELECT * FROM auditchain.verify('events');
SELECT count(*) AS ranges, count(DISTINCT chain_id) AS chains, max(last_position) AS longest
FROM auditchain.sealed_range JOIN auditchain.log USING (log_id) WHERE relation = 'events'::regclass;
SELECT level, count(*) FROM auditchain.tree_hash JOIN auditchain.log USING (log_id) WHERE relation = 'events'::regclass GROUP BY level ORDER BY level;
SET max_parallel_workers_per_gather = 0;
SELECT message FROM auditchain.verify('events');
RESET max_parallel_workers_per_gather;
SET max_parallel_workers_per_gather = 2;

CREATE PROCEDURE tamper(deed text) LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE events DISABLE TRIGGER ALL;
    EXECUTE deed;
    ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
END $$;
CREATE PROCEDURE edit(deed text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(deed, (SELECT log_id FROM auditchain.log WHERE relation = 'events'::regclass));
END $$;
CREATE VIEW found AS SELECT * FROM auditchain.violations('events');

-- One sealed entry: its content; its checksum; itself; its chain from there on, computed anew.
BEGIN;
CALL tamper($$UPDATE events SET id = -1 WHERE id = 50000$$);
SELECT kind, chain, "position" FROM found;
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET checksum = sha256('x') WHERE id = 50000$$);
SELECT kind, chain, "position" FROM found;
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 50000$$);
SELECT kind, chain, "position" FROM found;
ROLLBACK;
CREATE PROCEDURE rewrite(first int) LANGUAGE plpgsql AS $$
DECLARE
    e events;
    previous bytea := (SELECT previous_checksum FROM events WHERE id = first);
BEGIN
    FOR e IN SELECT * FROM events WHERE tenant = first % 1200 AND id >= first ORDER BY id LOOP
        e.id := CASE e.id WHEN first THEN -first ELSE e.id END;
        UPDATE events SET id = e.id, previous_checksum = previous,
            checksum = sha256(convert_to(encode(previous, 'hex') || auditchain.payload(e), 'UTF8'))
        WHERE chain_id = e.chain_id AND chain_position = e.chain_position RETURNING checksum INTO previous;
    END LOOP;
END $$;
BEGIN;
CALL tamper('CALL rewrite(38000)');
SELECT * FROM found;
ROLLBACK;
-- What is not sealed yet, nobody can know.
BEGIN;
CALL tamper('CALL rewrite(70500)');
SELECT * FROM found;
ROLLBACK;

-- A stored hash, of each level, and one that is gone.
BEGIN;
CALL edit($$UPDATE auditchain.tree_hash SET hash = sha256('x') WHERE log_id = %L AND level = 8 AND index = 130$$);
SELECT * FROM found;
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.tree_hash SET hash = sha256('x') WHERE log_id = %L AND level = 16$$);
SELECT * FROM found;
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.tree_hash WHERE log_id = %L AND level = 8 AND index = 272$$);
SELECT * FROM found;
ROLLBACK;

-- A sealed range: one entry less, one more, other entries, another chain, gone, not the last.
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET last_position = last_position - 1 WHERE log_id = %L AND first_leaf = 40000$$);
SELECT kind FROM found;
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET last_position = last_position + 1 WHERE log_id = %L AND first_leaf = (
    SELECT max(first_leaf) FROM auditchain.sealed_range WHERE first_leaf < 32768 AND chain_id IN (SELECT chain_id FROM events))$$);
SELECT kind FROM found;
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET first_position = first_position + 1, last_position = last_position + 1 WHERE log_id = %L AND first_leaf = 1200$$);
SELECT kind FROM found;
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET chain_id = 0 WHERE log_id = %L AND first_leaf = 1200$$);
SELECT kind FROM found;
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.sealed_range WHERE log_id = %L AND first_leaf = 1200$$);
SELECT kind FROM found;
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.sealed_range WHERE log_id = %1$L AND first_leaf = (SELECT max(first_leaf) FROM auditchain.sealed_range WHERE log_id = %1$L)$$);
SELECT kind FROM found;
ROLLBACK;

-- A checkpoint.
BEGIN;
CALL edit($$UPDATE auditchain.checkpoint SET root = sha256('x') WHERE log_id = %L AND tree_size = 5001$$);
SELECT * FROM found;
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.checkpoint SET frontier = substr(frontier, 33) WHERE log_id = %L AND tree_size = 5000$$);
SELECT * FROM found;
ROLLBACK;

-- Two causes, two.
BEGIN;
CALL tamper('CALL rewrite(50000)');
CALL edit($$UPDATE auditchain.checkpoint SET root = sha256('x') WHERE log_id = %L AND tree_size = 5000$$);
SELECT * FROM found;
ROLLBACK;

-- Partitions: entries of a chain lie in any of them.
CREATE TABLE parted (id int, tenant int) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parted_2 (gone text, tenant int, id int);
ALTER TABLE parted_2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES WITH (MODULUS 3, REMAINDER 2);
SELECT auditchain.protect('parted', chain_by => '{tenant}', lanes => 1);
INSERT INTO parted SELECT i, i % 7 FROM generate_series(1, 500) i;
CALL auditchain.checkpoint('parted');
INSERT INTO parted SELECT i, i % 7 FROM generate_series(501, 1000) i;
CALL auditchain.checkpoint('parted');
SELECT message FROM auditchain.verify('parted');
BEGIN;
UPDATE auditchain.tree_hash SET hash = sha256('x') FROM auditchain.log WHERE log.log_id = tree_hash.log_id AND relation = 'parted'::regclass AND index = 0;
SELECT kind, detail FROM auditchain.violations('parted');
ROLLBACK;
BEGIN;
ALTER TABLE parted_2 DISABLE TRIGGER ALL;
DELETE FROM parted_2 WHERE (chain_id, chain_position) IN (SELECT chain_id, max(chain_position) FROM parted GROUP BY chain_id);
SELECT count(*) > 0 AS found, array_agg(DISTINCT kind ORDER BY kind) AS kinds FROM auditchain.violations('parted');
ROLLBACK;

-- A log without its index is read in another way.
BEGIN;
SET LOCAL session_replication_role = replica;
ALTER TABLE parted_1 DISABLE TRIGGER ALL;
DROP INDEX parted_chain_id_chain_position_idx;
SELECT kind FROM auditchain.violations('parted');
ROLLBACK;

SELECT auditchain.release(relation, 'end of test') FROM auditchain.log WHERE relation IN ('events'::regclass, 'parted'::regclass);
DROP SCHEMA test_verify_sealed CASCADE;
