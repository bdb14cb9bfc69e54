-- export(), export_soc2() and set_mapping().
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
RESET client_min_messages;
CREATE SCHEMA export_test;
SET search_path = export_test;
-- No setting of the session changes an export.
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German';
SET bytea_output = 'escape';
\pset format unaligned
\pset tuples_only on

--
-- Columns with usual names, every format
--
CREATE TABLE audit_events (
    id          bigint PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    actor       text,
    action      text,
    amount      numeric,
    details     jsonb,
    tenant_id   text
);
SELECT auditchain.protect('audit_events');
SELECT auditchain.export('audit_events', 'jsonl');
SELECT auditchain.export('audit_events', 'json');
SELECT auditchain.export('audit_events', 'csv');
INSERT INTO audit_events VALUES
    (1, '2026-05-09 14:22:08.118+00', 'alice', 'login', 0.10, '{"ip": "10.0.0.1", "mfa": true}', 't1'),
    (2, '2026-05-09 15:00:00+00', 'bob', 'transfer', 12345678901234567890.50, NULL, NULL),
    (3, '2026-05-10 00:00:00+02', 'alice', 'transfer', 5, '{"amount": 1e2, "z": null}', 't1'),
    (9007199254740993, '2026-05-10 00:00:00+00', NULL, 'logout', NULL, '["a", {"b": 1}]', 't2');
SELECT auditchain.export('audit_events', 'jsonl');
SELECT auditchain.export('audit_events', 'json');
SELECT auditchain.export('audit_events', 'csv');

-- Each event proves itself, in every format that is JSON.
SELECT e ->> 'id', e ->> 'chainPosition',
       encode(sha256(convert_to((e ->> 'previousChecksum') || (e ->> 'payload'), 'UTF8')), 'hex')
           = e ->> 'checksum' AS proven,
       e ->> 'previousChecksum' = coalesce(lag(e ->> 'checksum') OVER (), repeat('0', 64)) AS linked
FROM (SELECT line::jsonb FROM auditchain.export('audit_events', 'jsonl') line) events (e);
SELECT count(*),
       bool_and(encode(sha256(convert_to((e ->> 'previousChecksum') || (e ->> 'payload'), 'UTF8')),
                       'hex') = e ->> 'checksum')
FROM (SELECT string_agg(line, E'\n')::jsonb FROM auditchain.export('audit_events', 'json') line)
     document (d), jsonb_array_elements(d) e;
-- The payload is the text that is hashed.
SELECT bool_and(line::jsonb ->> 'payload' = auditchain.payload(a))
FROM auditchain.export('audit_events', 'jsonl') line
JOIN audit_events a ON a.chain_position = (line::jsonb ->> 'chainPosition')::bigint;

--
-- The SOC 2 document
--
CREATE VIEW document AS
SELECT string_agg(line, E'\n')::jsonb AS d FROM auditchain.export('audit_events', 'soc2') line;
SELECT line FROM auditchain.export('audit_events', 'soc2') line
WHERE line !~ 'exportedAt|exportMetadata';
SELECT d ->> 'format', d ->> 'exportedAt' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$',
       (d ->> 'exportedAt')::timestamptz BETWEEN now() AND clock_timestamp()
FROM document;
SELECT m ->> 'tool',
       m ->> 'version' = (SELECT extversion FROM pg_extension WHERE extname = 'auditchain'),
       m ->> 'hostname' <> '', m ->> 'platform' ~ '^PostgreSQL \d+.* on [^, ]+$',
       m ->> 'database' = current_database()
FROM document, LATERAL (SELECT d -> 'exportMetadata') metadata (m);
SELECT d - 'exportedAt' = auditchain.export_soc2('audit_events')::jsonb - 'exportedAt' FROM document;
SELECT jsonb_path_query_array(document::jsonb, '$.events[*].id'), document #> '{compliance,totalEvents}'
FROM auditchain.export_soc2('audit_events', '2026-05-09 15:00+00', '2026-05-10 00:00+00') document;

--
-- since and until
--
CREATE FUNCTION ids(log regclass, since timestamptz, until timestamptz, filter jsonb = '{}')
RETURNS text LANGUAGE sql
RETURN (SELECT string_agg(line::json ->> 'id', ',')
        FROM auditchain.export(log, 'jsonl', since, until, filter) line);
SELECT ids('audit_events', '2026-05-09 15:00+00', NULL);
SELECT ids('audit_events', NULL, '2026-05-09 15:00+00');
SELECT ids('audit_events', '2026-05-09 15:00+00', '2026-05-10 00:00+00');
SELECT ids('audit_events', '-infinity', 'infinity');
SELECT ids('audit_events', '0044-03-15 00:00+00 BC', '2026-05-09 15:00+00');
SELECT ids('audit_events', '2026-05-11', '2026-05-09') IS NULL;

--
-- filter
--
SELECT ids('audit_events', NULL, NULL, NULL);
SELECT ids('audit_events', NULL, NULL, '{"actor": "alice"}');
SELECT ids('audit_events', NULL, NULL, '{"actor": "alice", "amount": 5}');
SELECT ids('audit_events', NULL, NULL, '{"amount": "0.1"}');
SELECT ids('audit_events', NULL, NULL, '{"amount": 12345678901234567890.5}');
SELECT ids('audit_events', NULL, NULL, '{"actor": null}');
SELECT ids('audit_events', NULL, NULL, '{"occurred_at": "2026-05-09T22:00:00Z"}');
SELECT ids('audit_events', NULL, NULL, '{"details": {"mfa": true, "ip": "10.0.0.1"}}');
SELECT ids('audit_events', NULL, NULL, '{"details": ["a", {"b": 1}]}');
SELECT ids('audit_events', NULL, NULL, '{"chain_position": 2}');
SELECT ids('audit_events', NULL, NULL, '{"actor": "'' OR true --"}') IS NULL;
SELECT ids('audit_events', NULL, NULL, '{"actor": "\\'' OR true --"}') IS NULL;

--
-- What is refused
--
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE TABLE no_log (id int);
SELECT refused($$SELECT auditchain.export('no_log', 'jsonl')$$);
SELECT refused($$SELECT auditchain.export(NULL, 'jsonl')$$);
SELECT refused($$SELECT auditchain.export('audit_events', NULL)$$);
SELECT refused($$SELECT auditchain.export_soc2(NULL)$$);
SELECT refused($$SELECT auditchain.export('audit_events', 'xml')$$);
SELECT refused($$SELECT auditchain.export('audit_events', 'jsonl', filter => '[]')$$);
SELECT refused($$SELECT auditchain.export('audit_events', 'jsonl', filter => '{"nobody": 1}')$$);
SELECT refused($$SELECT auditchain.export('audit_events', 'jsonl', filter => '{"actor": ["a"]}')$$);
SELECT refused($$SELECT auditchain.export('audit_events', 'jsonl', filter => '{"amount": "x"}')$$);

--
-- set_mapping
--
CREATE TABLE trail (
    seq   int,
    shard text,
    moment timestamp,
    verb2 text,
    who   text,
    info  text,
    raw   json,
    grp   int,
    day   date,
    PRIMARY KEY (shard, seq)
);
SELECT auditchain.protect('trail');
INSERT INTO trail VALUES
    (1, 'a', '2026-05-09 14:22:08', 'open', 'carol', 'free text', E'{"k": 1.50,\n "k": 2}', 7, '2026-05-09'),
    (2, 'a', '2026-05-10 00:00:00', 'close', 'dave', NULL, NULL, NULL, '2026-05-10');
-- No usual name: the primary key is the id, and all the rest are details.
SELECT line::json ->> 'id', line::json -> 'timestamp', line::json -> 'details'
FROM auditchain.export('trail', 'jsonl') line;
SELECT refused($$SELECT auditchain.export('trail', 'jsonl', '2026-01-01')$$);
SELECT auditchain.set_mapping('trail', '{"id": "seq", "timestamp": "moment", "eventType": "verb2",
    "actor": "who", "details": "info", "teamId": "grp", "scope": "Vault \"north\""}');
SELECT auditchain.export('trail', 'jsonl');
SELECT auditchain.export_soc2('trail') #>> '{compliance,scope}';
SELECT ids('trail', '2026-05-09 14:22:08+00', '2026-05-10 00:00+00');
-- A mapping follows its column, and replaces the one before as a whole.
ALTER TABLE trail RENAME COLUMN who TO whoever;
SELECT line::json ->> 'actor', line::json -> 'details' FROM auditchain.export('trail', 'jsonl') line;
SELECT auditchain.set_mapping('trail', '{"id": null, "timestamp": "day", "actor": null, "scope": null}');
SELECT line::json ->> 'id', line::json ->> 'timestamp', line::json -> 'actor'
FROM auditchain.export('trail', 'jsonl') line;
SELECT ids('trail', '2026-05-10 00:00+00', NULL) IS NULL,
       count(*) FROM auditchain.export('trail', 'jsonl', '2026-05-10 00:00+00');
SELECT auditchain.export_soc2('trail') #>> '{compliance,scope}';
SELECT auditchain.set_mapping('trail', '{}');
SELECT event, detail FROM auditchain.log_event JOIN auditchain.log USING (log_id)
WHERE relation = 'trail'::regclass AND event = 'mapping_set' ORDER BY at;
SELECT refused($$SELECT auditchain.set_mapping('no_log', '{}')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', NULL)$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '"seq"')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '{"when": "moment"}')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '{"actor": 5}')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '{"actor": "nobody"}')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '{"actor": "checksum"}')$$);
SELECT refused($$SELECT auditchain.set_mapping('trail', '{"timestamp": "whoever"}')$$);

--
-- Names that are usual in other houses
--
CREATE TABLE "Events" ("eventType" text, "createdAt" timestamptz, "userId" int, "user" text,
                       "metadata" jsonb, "orgID" uuid, "time" text, uuid uuid);
SELECT auditchain.protect('"Events"');
INSERT INTO "Events" VALUES ('read', '2026-05-09 00:00+00', 7, 'erin', '{}',
    '00000000-0000-0000-0000-000000000001', 'noon', '00000000-0000-0000-0000-000000000002');
SELECT line::jsonb - '{checksum,previousChecksum,payload}'::text[]
FROM auditchain.export('"Events"', 'jsonl') line;

--
-- CSV: quoting, and what a spreadsheet would run
--
CREATE TABLE hostile (id text, actor text, action text);
SELECT auditchain.protect('hostile');
INSERT INTO hostile VALUES
    ('=1+2', '+cmd|'' /C calc''!A0', '@SUM(A1)'),
    ('-2+3', E'\t=1', E'\r=1'),
    ('-5', '+49123', '-1.5e-7'),
    ('-', 'say "hi", ok', E'two\nlines'),
    ('', '''quoted''', '=HYPERLINK("http://evil","x")');
SELECT replace(replace(regexp_replace(line, '[0-9a-f]{64},.*', '...'), E'\r', '<CR>'), E'\t', '<TAB>')
FROM auditchain.export('hostile', 'csv') line;

--
-- Chains by key
--
CREATE TABLE keyed (id int PRIMARY KEY, tenant text, n int);
SELECT auditchain.protect('keyed', '{tenant,n}');
INSERT INTO keyed VALUES (1, 'x', 1), (2, 'y"', NULL), (3, 'x', 1), (4, 'y"', NULL);
SELECT line::json ->> 'chain', line::json ->> 'chainPosition', line::json ->> 'id'
FROM auditchain.export('keyed', 'jsonl') line;

--
-- Partitions: the log as a whole, whichever of its tables is named
--
CREATE TABLE parted (id int, at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE parted_2 (extra int, at timestamptz, id int);
ALTER TABLE parted_2 DROP COLUMN extra;
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
SELECT auditchain.protect('parted');
INSERT INTO parted VALUES (15, '2026-05-09 00:00+00'), (5, '2026-05-10 00:00+00');
SELECT ids('parted', NULL, NULL), ids('parted_1', NULL, NULL), ids('parted', '2026-05-10 00:00+00', NULL);

--
-- Rights
--
CREATE ROLE regress_auditchain_reader;
CREATE ROLE regress_auditchain_stranger;
GRANT USAGE ON SCHEMA export_test TO regress_auditchain_reader, regress_auditchain_stranger;
GRANT SELECT ON audit_events TO regress_auditchain_reader;
SET ROLE regress_auditchain_stranger;
SELECT refused($$SELECT auditchain.export('audit_events', 'csv')$$);
SELECT refused($$SELECT auditchain.export_soc2('audit_events')$$);
SET ROLE regress_auditchain_reader;
SELECT count(*) FROM auditchain.export('audit_events', 'soc2');
SELECT refused($$SELECT auditchain.set_mapping('audit_events', '{}')$$);
RESET ROLE;
-- Rows that a policy hides are an error, not a smaller export.
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON audit_events FOR SELECT USING (actor = 'alice');
SET ROLE regress_auditchain_reader;
SELECT refused($$SELECT auditchain.export('audit_events', 'jsonl')$$);
RESET ROLE;
DROP POLICY mine ON audit_events;
ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY;

--
-- Read-only, and in steps: whatever happens between two of them
--
BEGIN READ ONLY;
SELECT count(*) FROM auditchain.export('audit_events', 'soc2');
COMMIT;
SELECT left(auditchain.export('audit_events', 'jsonl'), 7) LIMIT 2;
BEGIN;
DECLARE lines CURSOR WITH HOLD FOR
    SELECT left(auditchain.export('audit_events', 'jsonl'), 7);
SAVEPOINT before;
FETCH lines;
ROLLBACK TO SAVEPOINT before;
FETCH lines;
INSERT INTO audit_events VALUES (6, '2026-05-11 00:00+00', 'frank');
COMMIT;
FETCH ALL FROM lines;
CLOSE lines;

--
-- Evidence of tampering
--
SET session_replication_role = replica;
ALTER TABLE audit_events DISABLE TRIGGER USER;
UPDATE audit_events SET amount = 1000000 WHERE id = 3;
RESET session_replication_role;
SELECT c -> 'chainIntegrity', c ->> 'chainVerification' LIKE 'All %', c -> 'totalEvents',
       c -> 'verifiedEvents'
FROM (SELECT auditchain.export_soc2('audit_events') -> 'compliance') compliance (c);
SELECT e ->> 'id', encode(sha256(convert_to((e ->> 'previousChecksum') || (e ->> 'payload'), 'UTF8')),
                          'hex') = e ->> 'checksum' AS proven
FROM (SELECT line::jsonb FROM auditchain.export('audit_events', 'jsonl') line) events (e);

-- Rows that came after a release are no entries.
SELECT auditchain.release('keyed', 'test');
INSERT INTO keyed VALUES (5, 'x', 1);
SELECT ids('keyed', NULL, NULL);

DROP OWNED BY regress_auditchain_reader, regress_auditchain_stranger;
DROP ROLE regress_auditchain_reader, regress_auditchain_stranger;
