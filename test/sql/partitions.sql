-- Partitioned logs: every partition is guarded, whenever and however it came.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_partitions;
SET search_path = test_partitions;

CREATE TABLE events (
    id bigint,
    day date,
    what text
) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO events VALUES (1, '2026-01-01', 'before protection');
SELECT auditchain.protect('events', order_by => '{id}', lanes => 1);

-- Runs a command that is to be refused.
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END
$$;
-- Wrong checksums, positions and links, computed in SQL.
CREATE FUNCTION broken_entries() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT e.*, auditchain.payload(e) AS payload,
               row_number() OVER chain AS wanted, lag(checksum) OVER chain AS previous
        FROM events e WINDOW chain AS (PARTITION BY chain_id ORDER BY chain_position)) AS e
    WHERE chain_position <> wanted
        OR previous_checksum <> coalesce(previous, decode(repeat('00', 32), 'hex'))
        OR encode(checksum, 'hex') <>
            encode(sha256(convert_to(encode(previous_checksum, 'hex') || payload, 'UTF8')), 'hex')
$$;
CREATE VIEW guards AS
    SELECT tgrelid::regclass AS "table", tgname, tgenabled FROM pg_trigger
    WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('events')) AND tgenabled <> 'A'
    UNION ALL
    SELECT relid, count(tgname)::text, ''
    FROM pg_partition_tree('events') LEFT JOIN pg_trigger ON tgrelid = relid
    GROUP BY relid ORDER BY 1, 2;

-- Created, at any depth.
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')
    PARTITION BY LIST (what);
CREATE TABLE events_2_a PARTITION OF events_2 FOR VALUES IN ('a');
ALTER TABLE events_2 DETACH PARTITION events_2_a CONCURRENTLY;
CREATE TABLE events_2_rest PARTITION OF events_2 DEFAULT;
CREATE SCHEMA test_partitions_more
    CREATE TABLE events_3 PARTITION OF test_partitions.events
        FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
TABLE guards;

-- Attached: with another order of columns, and others that were dropped.
CREATE TABLE events_4 (
    checksum bytea NOT NULL, gone int, what text, chain_position bigint NOT NULL, day date,
    previous_checksum bytea NOT NULL, id bigint, chain_id integer NOT NULL
);
ALTER TABLE events_4 DROP COLUMN gone;
ALTER TABLE events ATTACH PARTITION events_4 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
CREATE TABLE events_5 (
    day date, checksum bytea NOT NULL, what text, chain_position bigint NOT NULL,
    previous_checksum bytea NOT NULL, id bigint, chain_id integer NOT NULL
) PARTITION BY LIST (what);
CREATE TABLE events_5_rest PARTITION OF events_5 DEFAULT;
ALTER TABLE events ATTACH PARTITION events_5 FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
TABLE guards;
SELECT auditchain._guard('events');

-- Through the parent and directly.
INSERT INTO events VALUES (2, '2026-01-02', 'one'), (3, '2026-02-02', 'a'), (4, '2026-02-03', 'b'),
    (5, '2026-03-01', 'c'), (6, '2026-04-01', 'd'), (7, '2026-05-01', 'e'), (8, '2030-01-01', 'f');
INSERT INTO events_1 VALUES (9, '2026-01-03', 'direct');
INSERT INTO events_2 VALUES (10, '2026-02-04', 'a');
INSERT INTO events_2_rest VALUES (11, '2026-02-04', 'direct');
INSERT INTO events_4 (id, day, what) VALUES (12, '2026-04-02', 'direct');
INSERT INTO events_5 (id, day, what) VALUES (13, '2026-05-02', 'direct');
INSERT INTO events_5_rest (id, day, what) VALUES (14, '2026-05-02', 'direct');
COPY events_rest (id, day, what) FROM stdin;
15	\N	direct
\.
SELECT tableoid::regclass, chain_position, auditchain.payload(e) FROM events e ORDER BY 2;
SELECT auditchain.payload(e) FROM events_4 e ORDER BY id;
SELECT broken_entries();

-- Refused everywhere.
SELECT refused('UPDATE events SET id = 0');
SELECT refused('UPDATE events_4 SET id = 0 WHERE false');
SELECT refused('DELETE FROM events_2 WHERE false');
SELECT refused('DELETE FROM events_5_rest');
SELECT refused('TRUNCATE events');
SELECT refused('TRUNCATE events_1');
SELECT refused('TRUNCATE test_partitions_more.events_3');
-- A move from one partition to another.
SELECT refused($$UPDATE events SET day = '2026-03-03' WHERE id = 2$$);

-- Partitions that may not leave.
SELECT refused('DROP TABLE events_4');
SELECT refused('DROP TABLE events_5');
SELECT refused('DROP TABLE events_5_rest');
SELECT refused('ALTER TABLE events DETACH PARTITION events_1');
SELECT refused('ALTER TABLE events_2 DETACH PARTITION events_2_a');
SELECT refused('ALTER TABLE IF EXISTS events_2 DETACH PARTITION events_2_a');
\set VERBOSITY terse
DROP SCHEMA test_partitions_more CASCADE;
ALTER TABLE test_partitions_more.events_3 SET UNLOGGED;
BEGIN;
CREATE TABLE events_6 PARTITION OF events FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
INSERT INTO events_6 VALUES (16, '2026-06-01', 'gone');
SAVEPOINT dropping;
DROP TABLE events_6;
ROLLBACK TO dropping;
INSERT INTO events_6 VALUES (17, '2026-06-01', 'gone');
ROLLBACK;
-- A partition that goes with a savepoint.
BEGIN;
SAVEPOINT created;
CREATE TABLE events_6 PARTITION OF events FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
INSERT INTO events VALUES (16, '2026-06-01', 'gone');
ROLLBACK TO created;
INSERT INTO events VALUES (16, '2026-01-01', 'stays');
COMMIT;
SELECT broken_entries();

-- What may not become a partition.
CREATE UNLOGGED TABLE events_6 PARTITION OF events
    FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
CREATE FOREIGN DATA WRAPPER test_partitions;
CREATE SERVER test_partitions FOREIGN DATA WRAPPER test_partitions;
CREATE FOREIGN TABLE events_6 PARTITION OF events
    FOR VALUES FROM ('2026-06-01') TO ('2026-07-01') SERVER test_partitions;
CREATE TABLE full_table (LIKE events);
INSERT INTO full_table VALUES (99, '2026-06-01', 'forged', 1, 1, '', '');
ALTER TABLE events ATTACH PARTITION full_table FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
CREATE TABLE late (LIKE events);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER zzz BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION keep();
ALTER TABLE events ATTACH PARTITION late FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
-- Nor may a log itself.
CREATE TABLE all_events (LIKE events) PARTITION BY RANGE (day);
CREATE TABLE small (LIKE events);
ALTER TABLE small DROP chain_id, DROP chain_position, DROP previous_checksum, DROP checksum;
SELECT auditchain.protect('small', order_by => '{id}');
ALTER TABLE all_events ATTACH PARTITION small DEFAULT;
ALTER TABLE all_events ATTACH PARTITION events DEFAULT;

-- Columns of all partitions.
ALTER TABLE events RENAME COLUMN what TO action;
ALTER TABLE events ADD COLUMN level int NOT NULL DEFAULT 3;
CREATE TABLE events_7 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
ALTER TABLE events ADD COLUMN token float DEFAULT random();
ALTER TABLE events ADD COLUMN place text;
INSERT INTO events VALUES (17, '2026-07-01', 'defaults'), (18, '2026-04-01', 'defaults');
INSERT INTO events_4 (id, day, action, level, place) VALUES (19, '2026-04-01', 'values', 4, 'x');
SELECT auditchain.payload(e) FROM events e ORDER BY id DESC LIMIT 4;
SELECT broken_entries();
SELECT intact, message FROM auditchain.verify('events');

-- Released: everything is possible again.
SELECT auditchain.release('events', 'test');
ALTER TABLE events DETACH PARTITION events_2;
DROP TABLE events_4, test_partitions_more.events_3;
CREATE TABLE events_4 PARTITION OF events FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('events'));
DELETE FROM events;
SELECT auditchain.release('small', 'test');
DROP SCHEMA test_partitions, test_partitions_more CASCADE;
DROP FOREIGN DATA WRAPPER test_partitions CASCADE;
SELECT name, relation FROM auditchain.log WHERE name LIKE 'test_partitions.%' ORDER BY 1;
