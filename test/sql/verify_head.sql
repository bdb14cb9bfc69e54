-- verify_head(): the newest entries against the newest checkpoint.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_verify_head;
SET search_path = test_verify_head;

CREATE PROCEDURE tamper(deed text) LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE events DISABLE TRIGGER ALL;
    EXECUTE deed;
    ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
END $$;
CREATE TABLE events (id int PRIMARY KEY, tenant text, note text);
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
-- Rewrites a tenant's chain from an entry on, as somebody does who knows how.
CREATE PROCEDURE rewrite(tenant text, first int) LANGUAGE plpgsql AS $$
DECLARE
    e events;
    previous bytea;
BEGIN
    FOR e IN SELECT * FROM events WHERE events.tenant = rewrite.tenant AND id >= first ORDER BY id LOOP
        e.previous_checksum := coalesce(previous, e.previous_checksum);
        e.note := 'forged';
        e.checksum := sha256(convert_to(encode(e.previous_checksum, 'hex') || auditchain.payload(e), 'UTF8'));
        UPDATE events SET note = e.note, previous_checksum = e.previous_checksum, checksum = e.checksum WHERE id = e.id;
        previous := e.checksum;
    END LOOP;
END $$;
CREATE VIEW of_log AS SELECT log_id FROM auditchain.log WHERE relation = 'events'::regclass;
SELECT * FROM auditchain.verify_head('events');
CALL auditchain.checkpoint('events');
SELECT * FROM auditchain.verify_head('events');
-- "a" has 300 entries, of which 300 are sealed; "b" 20, of which 10 are; "c" 11, of which 10 are; and
-- "d" 5, of which none is.
INSERT INTO events SELECT i, 'a', 'note ' || i FROM generate_series(1, 300) i;
SELECT * FROM auditchain.verify_head('events');
INSERT INTO events SELECT i, 'b', 'note ' || i FROM generate_series(301, 310) i;
INSERT INTO events SELECT i, 'c', 'note ' || i FROM generate_series(311, 320) i;
CALL auditchain.checkpoint('events');
SELECT * FROM auditchain.verify_head('events');
INSERT INTO events SELECT i, 'b', 'note ' || i FROM generate_series(321, 330) i;
INSERT INTO events VALUES (331, 'c', 'note 331');
INSERT INTO events SELECT i, 'd', 'note ' || i FROM generate_series(332, 336) i;
SELECT * FROM auditchain.verify_head('events');

-- A tail that is cut off, sealed or not; a whole chain; and another that has grown again.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id BETWEEN 291 AND 300$$);
SELECT * FROM auditchain.verify_head('events');
INSERT INTO events SELECT i, 'a', 'again' FROM generate_series(401, 410) i;
SELECT * FROM auditchain.verify_head('events');
INSERT INTO events SELECT i, 'a', 'again' FROM generate_series(411, 420) i;
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE tenant IN ('a', 'c')$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 330$$);
SELECT message AS not_seen FROM auditchain.verify_head('events');
ROLLBACK;

-- Heads that were edited: a sealed one, its checksum too, and one behind it.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 300$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET checksum = sha256('forged') WHERE id = 310$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id IN (330, 331)$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
-- Rewritten: with its checksum; from before its end; from what is sealed to what is not.
BEGIN;
CALL tamper($$CALL test_verify_head.rewrite('a', 300)$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$CALL test_verify_head.rewrite('a', 10)$$);
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$CALL test_verify_head.rewrite('b', 305)$$);
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;
-- Rewritten behind what is sealed, which no checkpoint knows: seen where it does not follow.
BEGIN;
CALL tamper($$CALL test_verify_head.rewrite('b', 322)$$);
SELECT message AS not_seen FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET previous_checksum = sha256('x') WHERE id IN (321, 331);
    UPDATE events e SET checksum = sha256(convert_to(encode(previous_checksum, 'hex') || auditchain.payload(e), 'UTF8')) WHERE id IN (321, 331)$$);
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
-- Gaps: at the sealed end, behind it, and before the newest.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 310$$);
SELECT regexp_replace(message, 'chain_id \d+', 'chain_id N') FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 321$$);
SELECT regexp_replace(message, 'chain_id \d+', 'chain_id N') FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 329$$);
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;
-- An entry that no head needs is not read, nor is one in the middle of what is not sealed.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id IN (5, 325)$$);
SELECT message AS not_seen FROM auditchain.verify_head('events');
ROLLBACK;

-- A checkpoint that was edited: its root; its root and the tree under it.
BEGIN;
UPDATE auditchain.checkpoint SET root = sha256('forged') WHERE log_id IN (TABLE of_log) AND tree_size = 320;
SELECT * FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
UPDATE auditchain.checkpoint SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1) WHERE log_id IN (TABLE of_log) AND tree_size = 320;
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
UPDATE auditchain.tree_hash SET hash = sha256('forged') WHERE log_id IN (TABLE of_log);
SELECT message FROM auditchain.verify_head('events');
DELETE FROM auditchain.tree_hash WHERE log_id IN (TABLE of_log);
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;
BEGIN;
UPDATE auditchain.sealed_range SET first_leaf = first_leaf + 1 WHERE log_id IN (TABLE of_log) AND first_leaf > 300;
SELECT message FROM auditchain.verify_head('events');
ROLLBACK;

-- It reads little: entries that it looks at, and those beside them in the tree.
INSERT INTO events SELECT i, 'a', 'note ' || i FROM generate_series(1001, 20999) i;
CALL auditchain.checkpoint('events');
ANALYZE events;
DO 'BEGIN PERFORM pg_stat_force_next_flush(); END';
BEGIN;
SELECT * FROM auditchain.verify_head('events');
SELECT pg_stat_get_xact_numscans('events'::regclass) AS scans,
    pg_stat_get_xact_tuples_returned('events_chain_id_chain_position_key'::regclass) BETWEEN 10 AND 1100 AS looked_up;
COMMIT;
-- It can run where nothing can be written, and leaves no record.
BEGIN READ ONLY;
SELECT intact FROM auditchain.verify_head('events');
COMMIT;
SELECT count(*) FROM auditchain.verifications WHERE log = 'events'::regclass;

-- More chains than it looks into: all sealed ends are there, or not.
CREATE TABLE many (id int PRIMARY KEY, tenant text);
SELECT auditchain.protect('many', chain_by => '{tenant}', lanes => 1);
INSERT INTO many SELECT i, i % 150 FROM generate_series(1, 300) i;
CALL auditchain.checkpoint('many');
SELECT * FROM auditchain.verify_head('many');
BEGIN;
ALTER TABLE many DISABLE TRIGGER ALL;
DELETE FROM many WHERE id = 300;
SELECT intact, violations, regexp_replace(message, '\d+ chain heads', 'N chain heads') FROM auditchain.verify_head('many');
ROLLBACK;
-- Whatever is chosen, an edit of two thirds of the heads is found; and each time others are chosen.
BEGIN;
ALTER TABLE many DISABLE TRIGGER ALL;
UPDATE many SET id = -id WHERE id > 200;
SELECT total_events, violations BETWEEN 50 AND 100 AS found, chains FROM auditchain.verify_head('many');
SELECT count(DISTINCT message) > 1 AS at_random
FROM (SELECT (auditchain.verify_head('many')).message FROM generate_series(1, 30)) AS runs;
ROLLBACK;

-- Partitions; a released log; rights; what is no log.
CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (500) TO (1000);
SELECT auditchain.protect('parted', lanes => 1);
INSERT INTO parted SELECT i, 'x' FROM generate_series(450, 600) i;
CALL auditchain.checkpoint('parted');
INSERT INTO parted VALUES (3, 'y'), (700, 'z');
SELECT message FROM auditchain.verify_head('parted');
SELECT auditchain.release('parted', 'end of test');
SELECT message FROM auditchain.verify_head('parted');
CREATE ROLE regress_auditchain_head;
GRANT USAGE ON SCHEMA test_verify_head TO regress_auditchain_head;
SET ROLE regress_auditchain_head;
SELECT message FROM auditchain.verify_head('events');
RESET ROLE;
GRANT SELECT ON events TO regress_auditchain_head;
SET ROLE regress_auditchain_head;
SELECT message FROM auditchain.verify_head('events');
RESET ROLE;
SELECT auditchain.verify_head('pg_class');
SELECT auditchain.verify_head(NULL) IS NULL AS of_null;
DROP OWNED BY regress_auditchain_head;
DROP ROLE regress_auditchain_head;
SELECT auditchain.release('events', 'end of test'), auditchain.release('many', 'end of test');
DROP SCHEMA test_verify_head CASCADE;
