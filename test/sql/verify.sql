-- Tampering of each kind, done for real by a superuser with the guard off, and what verification
-- makes of it: one violation a cause.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_verify;
SET search_path = test_verify;

-- Takes the guard down, does the deed, and puts the guard back as it was.
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
-- The checksum that somebody who knows the format computes for a row.
CREATE FUNCTION rehash(e events) RETURNS bytea LANGUAGE sql AS
    $$ SELECT sha256(convert_to(encode(e.previous_checksum, 'hex') || auditchain.payload(e), 'UTF8')) $$;
INSERT INTO events SELECT i, 'a', 'note ' || i FROM generate_series(1, 9) i;
INSERT INTO events SELECT i, 'b', 'note ' || i FROM generate_series(101, 105) i;

-- Untouched.
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
SELECT c.key, e.id, v.intact, v.message
FROM events e JOIN auditchain.chain c USING (chain_id),
     auditchain.verify_entry('events', e.chain_id, e.chain_position) v
WHERE e.id IN (1, 5, 9, 105) ORDER BY e.id;

-- content_modified: payload, checksum.
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 5$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET checksum = sha256('x') WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET checksum = 'short' WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- link_broken: previous checksum; a payload with its own checksum computed anew.
BEGIN;
CALL tamper($$UPDATE events SET previous_checksum = sha256('x') WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET note = 'forged' WHERE id = 5; UPDATE events e SET checksum = test_verify.rehash(e) WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- entry_missing: one, a block, two places; head_missing.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 5$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id IN (2, 4, 5, 6)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$DELETE FROM events WHERE id <= 3 OR id = 101$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- Removed, and the gap closed by renumbering.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id = 5;
    ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
    UPDATE events SET chain_position = chain_position - 1 WHERE id BETWEEN 6 AND 9;
    ALTER TABLE events ADD UNIQUE (chain_id, chain_position)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- entry_duplicated: the unique index has to go first, which is guard_disabled.
BEGIN;
CALL tamper($$ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
    INSERT INTO events SELECT 50, tenant, note, chain_id, chain_position, previous_checksum, checksum
    FROM events WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
    ALTER TABLE events DROP CONSTRAINT events_pkey;
    INSERT INTO events SELECT * FROM events WHERE id = 5$$);
SELECT kind, "position", regexp_replace(detail, 'ctid = \S+', 'ctid = …') FROM auditchain.violations('events');
ROLLBACK;

-- Swapped rows; a row moved to the end of its chain.
BEGIN;
CALL tamper($$ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
    UPDATE events SET chain_position = 13 - chain_position WHERE id IN (6, 7);
    ALTER TABLE events ADD UNIQUE (chain_id, chain_position)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$UPDATE events SET chain_position = 10 WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- A block moved to the end of its chain; two distant rows swapped.
BEGIN;
CALL tamper($$UPDATE events SET chain_position = chain_position + 7 WHERE id IN (3, 4, 5)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
    UPDATE events SET chain_position = 10 - chain_position WHERE id IN (2, 8);
    ALTER TABLE events ADD UNIQUE (chain_id, chain_position)$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- key_mismatch: a row moved to another key's chain, its content untouched.
BEGIN;
CALL tamper($$UPDATE events SET chain_position = 6, chain_id = (SELECT chain_id FROM events WHERE id = 101) WHERE id = 5$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
ROLLBACK;
-- The same with the key forged: its content changes.
BEGIN;
CALL tamper($$UPDATE events SET tenant = 'b' WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
-- A chain that nobody began.
BEGIN;
CALL tamper($$UPDATE events SET chain_id = 1000000 WHERE tenant = 'b'$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- A block taken out of its chain to one that nobody began: nothing is missing besides.
BEGIN;
CALL tamper($$UPDATE events SET chain_id = 1000000 WHERE id IN (3, 4, 5)$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- A row in no chain at all: the newest, and one that leaves a gap.
BEGIN;
CALL tamper($$ALTER TABLE events ALTER chain_id DROP NOT NULL; UPDATE events SET chain_id = NULL WHERE id = 9$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CALL tamper($$ALTER TABLE events ALTER chain_id DROP NOT NULL; UPDATE events SET chain_id = NULL WHERE id = 5$$);
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- Several causes at once.
BEGIN;
CALL tamper($$DELETE FROM events WHERE id IN (3, 102); UPDATE events SET note = 'forged' WHERE id IN (7, 105)$$);
SELECT * FROM auditchain.verify('events');
SELECT * FROM auditchain.violations('events');
SELECT v.intact, v.message FROM events e, auditchain.verify_entry('events', e.chain_id, e.chain_position) v
WHERE e.id IN (1, 4, 7, 8) ORDER BY e.id;
SELECT intact, regexp_replace(message, 'chain_id \d+', 'chain_id …') AS message
FROM auditchain.verify_entry('events', (SELECT chain_id FROM events WHERE id = 1), 3);
SELECT intact, message FROM auditchain.verify_entry('events', 1000000, 1);
ROLLBACK;

-- guard_disabled: missing, disabled, not ALWAYS, not ours, with a condition; a trigger that runs after; the index.
BEGIN;
ALTER TABLE events DISABLE TRIGGER ALL;
SELECT * FROM auditchain.violations('events');
ALTER TABLE events ENABLE TRIGGER ALL;
SELECT * FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
DROP TRIGGER auditchain_guard_row ON events;
SELECT * FROM auditchain.verify('events');
CREATE TRIGGER auditchain_guard_row BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW WHEN (OLD.id > 100) EXECUTE FUNCTION auditchain._refuse_change();
ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
SELECT detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
CREATE OR REPLACE FUNCTION auditchain._refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
SELECT detail FROM auditchain.violations('events');
ROLLBACK;
BEGIN;
ALTER TABLE events DROP CONSTRAINT events_chain_id_chain_position_key;
SELECT * FROM auditchain.violations('events');
ROLLBACK;

-- All is well again.
SELECT intact, message FROM auditchain.verify('events');

-- Read-only transactions verify too; an older snapshot sees an older, intact log.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT intact, message FROM auditchain.verify('events');
COMMIT;

-- Composite keys and awkward names are named as they are; an empty log is intact.
CREATE TABLE "Odd ""log" ("a b" text, at timestamptz, PRIMARY KEY ("a b", at));
SELECT auditchain.protect('"Odd ""log"');
SELECT * FROM auditchain.verify('"Odd ""log"');
INSERT INTO "Odd ""log" VALUES ('x "y"', '2026-05-09 14:22:08.118+00');
ALTER TABLE "Odd ""log" DISABLE TRIGGER ALL;
UPDATE "Odd ""log" SET at = at + interval '1 day';
SELECT detail FROM auditchain.violations('"Odd ""log"') WHERE kind = 'content_modified';

-- What is hidden by a policy is an error, not a missing entry.
CREATE ROLE regress_auditchain_reader;
GRANT USAGE ON SCHEMA test_verify TO regress_auditchain_reader;
SET ROLE regress_auditchain_reader;
SELECT intact FROM auditchain.verify('events');
RESET ROLE;
GRANT SELECT ON events TO regress_auditchain_reader;
SET ROLE regress_auditchain_reader;
SELECT intact FROM auditchain.verify('events');
RESET ROLE;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_a ON events FOR SELECT USING (tenant = 'a');
SET ROLE regress_auditchain_reader;
SELECT count(*) FROM events;
SELECT intact FROM auditchain.verify('events');
RESET ROLE;
DROP OWNED BY regress_auditchain_reader;
DROP ROLE regress_auditchain_reader;

-- No log.
CREATE TABLE plain (i int);
SELECT auditchain.verify('plain');
SELECT auditchain.violations('plain');
SELECT auditchain.verify_entry('plain', 1, 1);
SELECT auditchain.verify(0);

-- A released log keeps its history verifiable; what came after is in no chain.
SELECT auditchain.release('events', 'end of test');
INSERT INTO events VALUES (200, 'a', 'after');
SELECT * FROM auditchain.verify('events');
UPDATE events SET note = 'forged' WHERE id = 2;
SELECT * FROM auditchain.violations('events');
