-- Checkpoints without a signing key: what is sealed, and what verification makes of changes to it.
-- Signed ones: test/tap/023_checkpoints.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_checkpoint;
SET search_path = test_checkpoint;

CREATE PROCEDURE tamper(deed text) LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE events DISABLE TRIGGER ALL;
    EXECUTE deed;
    ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
    ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
END $$;

CREATE TABLE events (id int PRIMARY KEY, tenant text, note text);
CREATE VIEW events_checkpoints AS SELECT * FROM auditchain.checkpoints WHERE log = 'events'::regclass;
CREATE VIEW events_ranges AS SELECT s.* FROM auditchain.sealed_range s JOIN auditchain.log USING (log_id) WHERE relation = 'events'::regclass;
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
SELECT message FROM auditchain.verify('events');
-- Also when there is nothing.
CALL auditchain.checkpoint('events');
INSERT INTO events SELECT i, 'a', 'note ' || i FROM generate_series(1, 300) i;
INSERT INTO events SELECT i, 'b', 'note ' || i FROM generate_series(301, 310) i;
CALL auditchain.checkpoint('events');
-- Nothing new: the newest is renewed.
CALL auditchain.checkpoint('events');
INSERT INTO events SELECT i, 'b', 'note ' || i FROM generate_series(311, 320) i;
INSERT INTO events SELECT i, 'c', 'note ' || i FROM generate_series(321, 330) i;
CALL auditchain.checkpoint('events');
INSERT INTO events SELECT i, 'a', 'note ' || i FROM generate_series(331, 340) i;

SELECT log, incarnation, tree_size, length(root) AS root, note, verifier_key, renewed_at > created_at AS renewed, renewed_note
FROM events_checkpoints ORDER BY tree_size;
SELECT root = sha256('') AS of_nothing FROM events_checkpoints WHERE tree_size = 0;
SELECT log, day = (now() AT TIME ZONE 'UTC')::date AS today, tree_size, note, publish LIKE 'auditchain/%' AS publish
FROM auditchain.daily_roots WHERE log = 'events'::regclass;
SELECT c.key, s.first_leaf, s.first_position, s.last_position
FROM events_ranges s JOIN auditchain.chain c USING (chain_id) ORDER BY first_leaf;
SELECT level, index FROM auditchain.tree_hash JOIN auditchain.log USING (log_id) WHERE relation = 'events'::regclass ORDER BY level, index;
SELECT * FROM auditchain.verify('events');

-- RFC 6962, computed here: the tree of the last ten of "c" is the right edge of the newest.
CREATE FUNCTION subtree(hashes bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    n int := array_length(hashes, 1);
    k int := 1;
BEGIN
    IF n = 1 THEN
        RETURN hashes[1];
    END IF;
    WHILE k * 2 < n LOOP
        k := k * 2;
    END LOOP;
    RETURN sha256('\x01' || subtree(hashes[:k]) || subtree(hashes[k + 1:]));
END $$;
SELECT c.tree_size, c.root = subtree((
    SELECT array_agg(sha256('\x00' || convert_to(auditchain.leaf(e), 'UTF8')) ORDER BY s.first_leaf, e.chain_position)
    FROM events e JOIN events_ranges s
        ON s.chain_id = e.chain_id AND e.chain_position BETWEEN s.first_position AND s.last_position
    WHERE s.first_leaf + e.chain_position - s.first_position < c.tree_size)) AS computed
FROM events_checkpoints c WHERE tree_size > 0 ORDER BY tree_size;

-- Consistency of each pair, and of none that is not.
SELECT a.tree_size, b.tree_size, auditchain.verify_consistency(a.tree_size, a.root, b.tree_size, b.root,
    auditchain.consistency_proof('events', a.tree_size, b.tree_size)) AS consistent,
    auditchain.verify_consistency(a.tree_size, a.root, b.tree_size, sha256('forged'),
    auditchain.consistency_proof('events', a.tree_size, b.tree_size)) AS with_another
FROM events_checkpoints a, events_checkpoints b WHERE a.tree_size <= b.tree_size ORDER BY 1, 2;
SELECT auditchain.consistency_proof('events', 300, 400);
SELECT auditchain.consistency_proof('events', 310, 300);
SELECT auditchain.verify_consistency(1, '\x00', 2, '\x00', '{}');
SELECT auditchain.verify_consistency(-1, sha256(''), 2, sha256(''), ARRAY[NULL]);

-- Without a key there is no note, so no proof of inclusion.
SELECT auditchain.inclusion_proof('events', 1, 1);
SELECT auditchain.verifier_key('events');
SELECT auditchain.verify_note('no note', 'no key');
SELECT auditchain.verify_inclusion('no proof', 'no leaf', 'no key');
SELECT replace(auditchain.leaf(e), (SELECT log_id::text FROM auditchain.logs WHERE log = 'events'::regclass), 'LOG')
FROM events e WHERE id = 1;
SELECT auditchain.leaf(1);

-- Only what is newer.
SELECT * FROM auditchain.verify_since('events', 330);
SELECT total_events, message FROM auditchain.verify_since('events', 310);
SELECT total_events, message FROM auditchain.verify_since('events', 0);
SELECT auditchain.verify_since('events', 7);
SELECT auditchain.verify_since('events', 'no note');

-- What checkpoints show, and chains do not. A sealed tail that is gone:
BEGIN;
CALL tamper($$DELETE FROM events WHERE id > 325 AND tenant = 'c' OR id = 320$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
SELECT message FROM auditchain.verify_since('events', 330);
SAVEPOINT before;
INSERT INTO events VALUES (400, 'b', 'goes on');
CALL auditchain.checkpoint('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id > 325 AND tenant = 'c' OR id = 320$$);
INSERT INTO events VALUES (400, 'b', 'goes on'), (401, 'b', 'and on');
SELECT kind, chain, "position" FROM auditchain.violations('events');
ROLLBACK;
-- A chain that is gone as a whole:
BEGIN;
CALL tamper($$DELETE FROM events WHERE tenant = 'c'$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
-- History rewritten from an entry on, by somebody who knows how:
CREATE PROCEDURE rewrite(tenant text, first int) LANGUAGE plpgsql AS $$
DECLARE
    e events;
    previous bytea := (SELECT checksum FROM events WHERE events.tenant = rewrite.tenant AND id = first - 1);
BEGIN
    FOR e IN SELECT * FROM events WHERE events.tenant = rewrite.tenant AND id >= first ORDER BY id LOOP
        e.previous_checksum := previous;
        e.note := 'forged';
        e.checksum := sha256(convert_to(encode(previous, 'hex') || auditchain.payload(e), 'UTF8'));
        UPDATE events SET note = e.note, previous_checksum = previous, checksum = e.checksum WHERE id = e.id;
        previous := e.checksum;
    END LOOP;
END $$;
BEGIN;
CALL tamper($$CALL test_checkpoint.rewrite('a', 200)$$);
SELECT * FROM auditchain.violations('events');
SELECT message FROM auditchain.verify_since('events', 330);
ROLLBACK;
BEGIN;
CALL tamper($$CALL test_checkpoint.rewrite('b', 315)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
-- What is not sealed yet, nobody can know.
BEGIN;
CALL tamper($$CALL test_checkpoint.rewrite('a', 332)$$);
SELECT message FROM auditchain.verify('events');
ROLLBACK;

-- One cause, one violation: what an entry shows by itself is no mismatch, too.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 7$$);
SELECT kind, chain, "position" FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET checksum = sha256('forged') WHERE id = 7$$);
SELECT kind, chain, "position" FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id BETWEEN 7 AND 9$$);
SELECT kind, chain, "position" FROM auditchain.violations('events');
CALL auditchain.checkpoint('events');
ROLLBACK;
-- Two causes, two.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id BETWEEN 7 AND 9; CALL test_checkpoint.rewrite('b', 315)$$);
SELECT kind, chain, "position" FROM auditchain.violations('events');
ROLLBACK;
-- Edited checkpoints, and edits to what is stored of the tree.
CREATE PROCEDURE edit(deed text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(deed, (SELECT log_id FROM auditchain.log WHERE relation = 'events'::regclass));
END $$;
BEGIN;
CALL edit($$UPDATE auditchain.checkpoint SET root = sha256('forged') WHERE log_id = %L AND tree_size = 310$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.checkpoint SET frontier = '\x00' WHERE log_id = %L AND tree_size = 330$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
SELECT auditchain.verify_since('events', 310);
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.checkpoint WHERE log_id = %L AND tree_size = 330$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
CALL auditchain.checkpoint('events');
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.checkpoint WHERE log_id = %L$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.tree_hash SET hash = sha256('forged') WHERE log_id = %L$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
SELECT message FROM auditchain.verify_since('events', 330);
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.tree_hash WHERE log_id = %L$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET first_leaf = first_leaf + 1 WHERE log_id = %L AND first_leaf > 300$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL edit($$UPDATE auditchain.sealed_range SET last_position = last_position - 1 WHERE log_id = %L AND first_leaf = 320$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
CALL auditchain.checkpoint('events');
ROLLBACK;
BEGIN;
CALL edit($$DELETE FROM auditchain.sealed_range WHERE log_id = %L AND first_leaf = 0$$);
SELECT kind, chain, "position", detail FROM auditchain.violations('events');
ROLLBACK;

-- A break behind what is sealed is not sealed.
BEGIN;
CALL tamper($$UPDATE events SET previous_checksum = sha256('x') WHERE id = 335$$);
CALL auditchain.checkpoint('events');
ROLLBACK;

-- Rights, and where nothing can be written.
CALL auditchain.checkpoint('pg_class');
CALL auditchain.checkpoint(NULL);
BEGIN READ ONLY;
CALL auditchain.checkpoint('events');
ROLLBACK;
CREATE ROLE regress_auditchain_reader;
GRANT USAGE ON SCHEMA test_checkpoint TO regress_auditchain_reader;
SET ROLE regress_auditchain_reader;
SELECT count(*) FROM auditchain.checkpoints;
SELECT count(*) FROM auditchain.daily_roots;
SELECT auditchain.consistency_proof('events', 0, 310);
SELECT auditchain.verify_since('events', 310);
RESET ROLE;
GRANT SELECT ON events TO regress_auditchain_reader;
SET ROLE regress_auditchain_reader;
SELECT count(*) FROM auditchain.checkpoints;
SELECT message FROM auditchain.verify_since('events', 330);
CALL auditchain.checkpoint('events');
SELECT count(*) FROM auditchain.checkpoint;
RESET ROLE;
DROP OWNED BY regress_auditchain_reader;
DROP ROLE regress_auditchain_reader;

-- In one transaction with what it seals; rolled back to a savepoint; partitions.
CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (500) TO (1000);
SELECT auditchain.protect('parted', lanes => 2);
BEGIN;
INSERT INTO parted SELECT i, 'x' FROM generate_series(1, 999) i;
SAVEPOINT s;
CALL auditchain.checkpoint('parted');
ROLLBACK TO s;
INSERT INTO parted VALUES (1, 'again');
CALL auditchain.checkpoint('parted');
COMMIT;
SELECT tree_size FROM auditchain.checkpoints WHERE log = 'parted'::regclass;
SELECT message FROM auditchain.verify('parted');

-- A release seals what is left; a broken log can be released as well.
SELECT auditchain.release('events', 'end of test');
SELECT max(tree_size) FROM auditchain.checkpoints WHERE log = 'events'::regclass;
SELECT message FROM auditchain.verify('events');
CALL auditchain.checkpoint('events');
ALTER TABLE parted_1 DISABLE TRIGGER ALL;
DELETE FROM parted_1 WHERE id = 1;
SELECT auditchain.release('parted', 'end of test');
DROP SCHEMA test_checkpoint CASCADE;
