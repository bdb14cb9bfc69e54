-- Retention policies and holds, and the log of what was done: auditchain.operations.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_retention;
CREATE SCHEMA test_retention_cold;
SET search_path = test_retention;
SET timezone = 'UTC';

CREATE TABLE events (id int PRIMARY KEY, occurred_at timestamptz NOT NULL, actor text, amount numeric);
SELECT auditchain.protect('events');

-- A policy; it goes by the mapped time column.
SELECT auditchain.set_retention('events');
SELECT log, keep, hot, destination, set_by = current_user AS set_by FROM auditchain.retention WHERE log = 'events'::regclass;
CREATE VIEW operations AS
    SELECT event, log, reason, details FROM auditchain.operations
    WHERE log LIKE 'test\_retention.%' ORDER BY id;
SELECT auditchain.set_retention('events', '10 years', '30 days', 'schema:test_retention_cold');
SELECT auditchain.set_retention('events', NULL, '30 days', 'schema:test_retention_cold');
-- Kept shorter only for a reason.
SELECT auditchain.set_retention('events', '10 years', '30 days', 'schema:test_retention_cold');
SELECT auditchain.set_retention('events', '10 years', '30 days', 'schema:test_retention_cold', '  ');
SELECT auditchain.set_retention('events', '10 years', '30 days', 'schema:test_retention_cold', 'storage, ticket 7');
SELECT auditchain.set_retention('events', '9 years', '30 days', 'schema:test_retention_cold');
SELECT log, keep, hot, destination FROM auditchain.retention WHERE log = 'events'::regclass;
SELECT * FROM operations;

-- What is refused.
SELECT auditchain.set_retention(NULL);
SELECT auditchain.set_retention('events', hot => NULL);
SELECT auditchain.set_retention('events', keep => '89 days', hot => '1 day', reason => 'short');
SELECT auditchain.set_retention('events', keep => '1 year', hot => '2 years', reason => 'odd');
SELECT auditchain.set_retention('events', hot => '-1 day', reason => 'odd');
SELECT auditchain.set_retention('events', destination => 'file:archives');
SELECT auditchain.set_retention('events', destination => 'nowhere');
SELECT auditchain.set_retention('events', destination => 'schema:test_retention_missing');
SELECT auditchain.set_retention('events', destination => 'schema:test_retention');
SELECT auditchain.set_retention('events', destination => 'schema:pg_catalog');
SELECT auditchain.set_retention('events', destination => 'schema:auditchain');
SET auditchain.minimum_retention = '10d';
SELECT auditchain.set_retention('events', keep => '11 days', hot => '1 day', reason => 'a test');
RESET auditchain.minimum_retention;
SHOW auditchain.minimum_retention;
CREATE TABLE timeless (id int PRIMARY KEY);
SELECT auditchain.set_retention('timeless');
SELECT auditchain.protect('timeless');
SELECT auditchain.set_retention('timeless');
BEGIN READ ONLY;
SELECT auditchain.set_retention('events');
ROLLBACK;

-- Holds, by the names that columns have in payloads.
SELECT auditchain.hold('events', 'case 1') IS NOT NULL AS held;
ALTER TABLE events RENAME actor TO who;
SELECT auditchain.hold('events', 'case 2', '{"who": "alice", "amount": 5}') IS NOT NULL AS held;
SELECT log, reason, matching, held_by = current_user AS held_by, lifted_at, lift_reason
FROM auditchain.holds WHERE log = 'events'::regclass ORDER BY hold;
SELECT auditchain.hold('events', ' ');
SELECT auditchain.hold('events', 'x', NULL);
SELECT auditchain.hold('events', 'x', '{"actor": "alice"}');
SELECT auditchain.hold('events', 'x', '{"chain_id": 1}');
SELECT auditchain.hold('events', 'x', '{"amount": "five"}');
SELECT auditchain.hold('events', 'x', '{"amount": [5]}');
SELECT auditchain.hold('events', 'x', '[]');
SELECT auditchain.lift_hold(hold, '') FROM auditchain.holds WHERE log = 'events'::regclass AND reason = 'case 1';
SELECT auditchain.lift_hold(hold, 'closed') FROM auditchain.holds WHERE log = 'events'::regclass AND reason = 'case 1';
SELECT reason, lifted_at >= held_at AS lifted, lifted_by = current_user AS by, lift_reason
FROM auditchain.holds WHERE log = 'events'::regclass ORDER BY hold;
DO $$ BEGIN
    PERFORM auditchain.lift_hold(hold, 'again') FROM auditchain.holds WHERE log = 'events'::regclass AND reason = 'case 1';
EXCEPTION WHEN SQLSTATE 'LC006' THEN
    RAISE WARNING '%', regexp_replace(SQLERRM, '\d+', 'N');
END $$;
SELECT auditchain.lift_hold(0, 'none');
SELECT event, reason, details - 'hold' AS details, details ? 'hold' AS numbered FROM operations
WHERE event LIKE 'hold%';

-- Only the owner, or a superuser.
CREATE ROLE regress_auditchain_retention;
GRANT USAGE ON SCHEMA test_retention TO regress_auditchain_retention;
GRANT SELECT ON events TO regress_auditchain_retention;
SET ROLE regress_auditchain_retention;
SELECT auditchain.set_retention('events');
SELECT auditchain.hold('events', 'mine');
SELECT auditchain.lift_hold((SELECT hold FROM auditchain.holds WHERE log = 'events'::regclass AND reason = 'case 2'), 'mine');
SELECT count(*) FROM auditchain.holds WHERE log = 'events'::regclass;
SELECT count(*) FROM auditchain.operations;
CREATE TEMP TABLE own (id int PRIMARY KEY, at date);
RESET ROLE;
-- An owner who is no superuser has what is done recorded all the same.
CREATE SCHEMA test_retention_own AUTHORIZATION regress_auditchain_retention;
SET ROLE regress_auditchain_retention;
CREATE TABLE test_retention_own.mine (id int PRIMARY KEY, at date);
SELECT auditchain.protect('test_retention_own.mine');
SELECT auditchain.set_retention('test_retention_own.mine');
RESET ROLE;
SELECT event, actor = session_user || ' as regress_auditchain_retention' AS actor FROM auditchain.operations
WHERE log = 'test_retention_own.mine';

-- The log of operations is a log, written by auditchain only.
SELECT intact FROM auditchain.verify('auditchain.operations');
INSERT INTO auditchain.operations (event, log_id, log, actor, details)
SELECT 'archived', log_id, 'test_retention.events', 'forger', '{}' FROM auditchain.log LIMIT 1;
UPDATE auditchain.operations SET reason = 'another';
DELETE FROM auditchain.operations;
TRUNCATE auditchain.operations;
DROP TABLE auditchain.operations;
SELECT auditchain.release('auditchain.operations', 'to change it');
SELECT auditchain.set_retention('auditchain.operations');
SELECT auditchain.hold('auditchain.operations', 'x');

-- A released log has no retention.
SELECT auditchain.release('timeless', 'end of test');
SELECT auditchain.set_retention('timeless');

-- Rolled back, it was not done.
BEGIN;
SELECT auditchain.hold('events', 'rolled back') IS NOT NULL AS held;
ROLLBACK;
SELECT count(*) FROM auditchain.holds WHERE reason = 'rolled back';
SELECT count(*) FROM operations WHERE reason = 'rolled back';
SELECT intact FROM auditchain.verify('auditchain.operations');

SELECT auditchain.release('events', 'end of test');
SELECT auditchain.release('test_retention_own.mine', 'end of test');
DROP SCHEMA test_retention, test_retention_cold, test_retention_own CASCADE;
DROP OWNED BY regress_auditchain_retention;
DROP ROLE regress_auditchain_retention;
