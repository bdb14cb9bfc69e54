-- Policies applied: years of history, archived by months, held, and expired.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_apply;
CREATE SCHEMA test_apply_cold;
SET search_path = test_apply;
SET timezone = 'UTC';

-- Months before the present one. Entries come in their last minutes before, so that neither the day
-- of the month nor the hour of this test matters, but for these minutes.
CREATE FUNCTION month(ago int) RETURNS timestamptz LANGUAGE sql AS
    $$ SELECT date_trunc('month', now()) - ago * interval '1 month' $$;
CREATE TABLE events (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, tenant text, note text);
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
-- Two years and a half, ten entries a month and tenant, sealed each month; one tenant is quiet.
DO $$ BEGIN
    FOR ago IN REVERSE 30..0 LOOP
        INSERT INTO events (at, tenant, note)
            SELECT month(ago) - i * interval '1 minute', t, format('%s months ago, %s', ago, i)
            FROM generate_series(1, 10) i, unnest('{a,b}'::text[]) t;
        IF ago = 30 THEN
            INSERT INTO events (at, tenant) VALUES (month(ago) - interval '1 minute', 'quiet');
        END IF;
        CALL auditchain.checkpoint('events');
    END LOOP;
END $$;
CREATE VIEW archives AS
    SELECT archive, entries, chains, state, date_trunc('month', newest_entry) + interval '1 month' AS month FROM auditchain.archives WHERE log = 'events'::regclass;

-- Without a policy, or a destination, nothing happens.
SELECT * FROM auditchain.apply_retention() WHERE log = 'events'::regclass;
SELECT auditchain.set_retention('events', '3 years', '11 months');
SELECT * FROM auditchain.apply_retention() WHERE log = 'events'::regclass;
SELECT count(*) FROM events;

SELECT auditchain.set_retention('events', '3 years', '11 months', 'schema:test_apply_cold');
SELECT auditchain.hold('events', 'case 1', '{"note": "20 months ago, 5", "tenant": "a"}') IS NOT NULL AS held;
SELECT archived, expired FROM auditchain.apply_retention() WHERE log = 'events'::regclass;
SELECT count(*), count(*) FILTER (WHERE at < month(12)) AS stay FROM events;
SELECT count(*), sum(entries), bool_and(state = 'kept'), count(DISTINCT month) FROM archives;
SELECT intact, total_events, violations, message FROM auditchain.verify('events');
SELECT bool_and(v.intact), sum(v.verified_events) FROM archives, auditchain.verify_archive(archive) v;
-- Again there is nothing to do.
SELECT archived, expired FROM auditchain.apply_retention() WHERE log = 'events'::regclass;
SELECT count(*) FROM archives;

-- Kept for less time: the oldest archives expire, but for one that a hold matches.
SELECT auditchain.set_retention('events', '24 months', '11 months', 'schema:test_apply_cold', 'storage');
SELECT auditchain.lift_hold(hold, 'closed') FROM auditchain.holds WHERE log = 'events'::regclass;
SELECT auditchain.hold('events', 'case 2', '{"note": "27 months ago, 3", "tenant": "b"}') IS NOT NULL AS held;
SELECT archived, expired FROM auditchain.apply_retention() WHERE log = 'events'::regclass;
SELECT count(*) FILTER (WHERE state = 'expired') AS expired, count(*) FILTER (WHERE state = 'kept') AS kept FROM archives;
SELECT entries, state FROM archives WHERE month = month(27);
SELECT DISTINCT state FROM archives WHERE month < month(27) OR month = month(26);
SELECT count(*) FROM test_apply_cold.events WHERE at < month(24);
SELECT intact, total_events, violations, message FROM auditchain.verify('events');
SELECT v.intact, v.verified_events, v.message, count(*) FROM archives, auditchain.verify_archive(archive) v GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT expired_at IS NOT NULL AS expired, expired_by = session_user AS by, expire_reason, count(*)
FROM auditchain.archives WHERE log = 'events'::regclass GROUP BY 1, 2, 3 ORDER BY 1;
SELECT event, reason, count(*), sum((details ->> 'entries')::int) AS entries, sum((details ->> 'deleted')::int) AS deleted
FROM auditchain.operations WHERE log = 'test_apply.events' GROUP BY 1, 2 ORDER BY 1, 2;
-- The guard is as it was.
DELETE FROM test_apply_cold.events;
SELECT auditchain.lift_hold(hold, 'closed') FROM auditchain.holds WHERE log = 'events'::regclass AND lifted_at IS NULL;
SELECT auditchain.expire('events');
SELECT auditchain.expire('events');

-- Entries that vanished from an archive before it expires are told apart from those deleted then.
ALTER TABLE test_apply_cold.events DISABLE TRIGGER ALL;
DELETE FROM test_apply_cold.events WHERE tenant = 'a' AND note LIKE '%, 7';
ALTER TABLE test_apply_cold.events ENABLE ALWAYS TRIGGER auditchain_guard_row;
ALTER TABLE test_apply_cold.events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
BEGIN;
UPDATE auditchain.archive SET newest_entry = newest_entry - interval '1 month';
SELECT auditchain.expire('events');
SELECT details ->> 'entries' AS entries, details ->> 'deleted' AS deleted FROM auditchain.operations
WHERE log = 'test_apply.events' ORDER BY id DESC LIMIT 1;
ROLLBACK;

-- For ever.
SELECT auditchain.set_retention('events', NULL, '11 months', 'schema:test_apply_cold');
SELECT auditchain.expire('events');

-- One log that fails stops no other.
CREATE TABLE broken (id int PRIMARY KEY, at date);
SELECT auditchain.protect('broken', lanes => 1);
INSERT INTO broken SELECT i, '2020-01-01'::date + i FROM generate_series(1, 9) i;
SELECT auditchain.set_retention('broken', destination => 'schema:test_apply_cold');
ALTER TABLE broken DISABLE TRIGGER ALL;
DELETE FROM broken WHERE id = 5;
CREATE TABLE sound (id int PRIMARY KEY, at date);
SELECT auditchain.protect('sound', lanes => 1);
INSERT INTO sound SELECT i, '2020-01-01'::date + i FROM generate_series(1, 9) i;
SELECT auditchain.set_retention('sound', destination => 'schema:test_apply_cold');
SELECT * FROM auditchain.apply_retention() WHERE log::text IN ('broken', 'sound');
SELECT intact, message FROM auditchain.verify('sound');

-- A role applies the policies of its own logs.
CREATE ROLE regress_auditchain_apply;
GRANT USAGE ON SCHEMA test_apply TO regress_auditchain_apply;
SET ROLE regress_auditchain_apply;
SELECT * FROM auditchain.apply_retention();
SELECT auditchain.expire('events');
RESET ROLE;
SELECT auditchain.expire(NULL);
REVOKE USAGE ON SCHEMA test_apply FROM regress_auditchain_apply;
DROP ROLE regress_auditchain_apply;
SELECT auditchain.release(log, 'end of test') FROM unnest('{events,broken,sound}'::regclass[]) log;
DROP SCHEMA test_apply, test_apply_cold CASCADE;
