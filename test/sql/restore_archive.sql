-- restore_archive(): values of every kind come back as they were, and what cannot is told.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_restore;
SET search_path = test_restore;
SELECT current_setting('data_directory') || '/test_restore' AS directory \gset
\set make 'mkdir -p ' :directory
COPY (SELECT WHERE false) TO PROGRAM :'make';
ALTER SYSTEM SET auditchain.archive_directory = :'directory';
SELECT pg_reload_conf();
\c
SET client_min_messages = warning;
SET search_path = test_restore;

CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
CREATE TYPE inner_pair AS (x int, "Y ""é" text);
CREATE TYPE pair AS (a inner_pair, b numeric[], c jsonb);
CREATE DOMAIN amount AS numeric(12,2) CHECK (VALUE > 0);
CREATE DOMAIN amounts AS amount[];
CREATE TABLE kinds (
    id int PRIMARY KEY, at timestamptz, tz timestamptz, ts timestamp, d date, t time, tt timetz, i interval,
    b boolean, n2 smallint, n8 bigint, f4 real, f8 double precision, n numeric, money money,
    txt text, vc varchar(10), bc char(5), ch "char", nm name, by bytea, u uuid, ip inet, mac macaddr,
    js json, jb jsonb, x xml, ts_v tsvector, bits bit(5), vbits varbit, p point, box box,
    r int4range, tr tstzrange, mr nummultirange, m mood, c pair, cs pair[], dom amount, doms amounts,
    ia int[], ta text[], ma mood[], ba bytea[], ja jsonb[], tza timestamptz[], oid oid, reg regclass, lsn pg_lsn, iv int2vector,
    gen int GENERATED ALWAYS AS (id * 2) STORED, "Quoted ""é\" text);
SELECT auditchain.protect('kinds', lanes => 1);
SELECT auditchain.set_mapping('kinds', '{"timestamp": "at"}');
INSERT INTO kinds (id, at) VALUES (1, '2024-01-01');
INSERT INTO kinds VALUES (2, '2024-01-01', '2024-02-29 23:59:59.999999+05:30', '0044-03-15 12:00:00 BC', '0001-01-01 BC', '24:00', '04:05:06.789+02',
    '-1 year 2 months -3 days 04:05:06.000001', true, -32768, 9223372036854775807, 1.1e-38, -0.0, 0.10, '-1234567.89',
    E'a "b" \\ \n\t\x01 é', 'abc  ', 'ab', 'x', 'name "x"', '\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/64', '08:00:2b:01:02:03',
    E'{"b" : 1,\n "a": [1.50, "x"], "a": null}', '{"b": 1.50, "a": [1, [2, null], {}], "é\"": "\n"}', '<a b="c">d</a>text', '''fat'':1A ''cat''', B'10101', B'1', '(0.1,0.30000000000000004)', '(1,2),(3,4)',
    '[1,5)', '[2026-05-09 14:22:08+00,)', '{[1.5,2),(3,4.00]}', 'so so', ROW(ROW(1, 'a "b"\'), '{1.0,NULL,3}', '{"k": []}')::pair,
    ARRAY[ROW(ROW(NULL, 'x'), NULL, NULL), NULL, ROW(NULL, '{}', '3')]::pair[], 5, '{1,2.50}',
    '{{1,2},{3,NULL}}', '{"a,\"b\"",NULL,""}', '{sad,happy}', '{"\\x00"}', '{"[1, 2]","{\"a\": 1}",NULL}', '{2024-01-01 00:00+00,infinity}', 4294967295, 'pg_class', '16/B374D848', '1 2', DEFAULT, '"');
INSERT INTO kinds (id, at, tz, ts, d, f4, f8, n, ia, ta, jb, ch, txt, i) VALUES
    (3, '2024-01-02', 'infinity', '-infinity', 'infinity', 'NaN', '-Infinity', 'NaN', '[0:1]={7,8}', '{}', 'null', '', '', '0'),
    (4, '2024-01-02', '294276-12-31 23:59:59.999999+00', '4713-01-01 00:00 BC', '5874897-12-31', 3.4e38, 1e308, 1e1000, '{}', '[2:2]={x}', '"s"', 'é', 'null', '-178956970 years -8 mons'),
    (5, '2024-01-02', '1999-12-31', '1999-12-31', '1999-12-31', 1, 5e-324, -1e-300, '{{{1}}}', '{NULL}', '[]', ' ', E'\\u0041', '1 mon -1 day');
-- Settings of the session have no say, neither then nor now.
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET TimeZone = 'Asia/Kathmandu';
SET extra_float_digits = 0;
SET xmloption = document;
INSERT INTO kinds (id, at, tz, i, f8, r, tr) VALUES (6, '2024-01-02', '01.02.2024 03:04:05', '-1 2:03:04', 0.1, 'empty', '[01.02.2024,02.02.2024]');
ALTER TABLE kinds ADD later text DEFAULT 'no';
ALTER TABLE kinds ADD latest jsonb DEFAULT '{"a": 1}';
INSERT INTO kinds (id, at, later, latest) VALUES (7, '2024-01-03', NULL, NULL), (8, '2024-01-03', 'no', '[]'), (9, '2024-01-03', 'yes', DEFAULT);
ALTER TABLE kinds RENAME txt TO "renamed text";
INSERT INTO kinds (id, at, "renamed text") VALUES (10, '2024-01-03', 'x');
INSERT INTO kinds (id, at) VALUES (11, now());
CREATE TABLE before AS SELECT * FROM kinds WHERE id <= 10;
SELECT auditchain.set_retention('kinds', destination => 'file:kinds');
SELECT auditchain.archive('kinds', '2024-06-01') IS NOT NULL AS archived;
SELECT count(*) FROM kinds;
SELECT auditchain.restore_archive('kinds', file) AS restored FROM auditchain.archives WHERE log = 'kinds'::regclass \gset
RESET DateStyle;
RESET IntervalStyle;
RESET TimeZone;
RESET extra_float_digits;
RESET xmloption;
-- As text, column by column, by the names that they have in payloads.
SELECT id, key, b.value AS before, r.value AS restored
FROM (SELECT id, to_jsonb(before) - 'gen' - 'renamed text' || jsonb_build_object('txt', "renamed text", 'x', x::text, 'c', c::text) AS row FROM before) before
JOIN (SELECT id, to_jsonb(restored) || jsonb_build_object('x', x::text, 'c', c::text) AS row FROM :restored AS restored) restored USING (id),
    jsonb_each_text(before.row) b FULL JOIN LATERAL jsonb_each_text(restored.row) r USING (key)
WHERE b.value IS DISTINCT FROM r.value;
SELECT count(*) FROM :restored;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = :'restored'::regclass AND attname IN ('dom', 'doms', 'cs', 'bc', 'txt', 'gen', 'Quoted "é\', 'chain_id', 'checksum') ORDER BY 1;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'test_restore' AND tablename = 'kinds_restored_1';
-- What a domain has come to forbid was there nevertheless.
ALTER DOMAIN amount DROP CONSTRAINT amount_check;
ALTER DOMAIN amount ADD CONSTRAINT never CHECK (VALUE < 0) NOT VALID;
SELECT auditchain.restore_archive('kinds', file) AS restored FROM auditchain.archives WHERE log = 'kinds'::regclass \gset
SELECT dom, doms FROM :restored WHERE id = 2;
-- A hold on any kind of value is found in a file.
SELECT auditchain.set_retention('kinds', keep => '90 days', hot => '1 day', destination => 'file:kinds', reason => 'a test');
SELECT auditchain.hold('kinds', 'a case', '{"renamed text": "x"}') AS hold \gset
SELECT auditchain.expire('kinds');
SELECT auditchain.lift_hold(:hold, 'closed');
SELECT auditchain.hold('kinds', 'a case', '{"n8": 9223372036854775807, "m": "so so", "id": 2}') AS hold \gset
SELECT auditchain.expire('kinds');
-- What the log has no column for any more cannot be read back.
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; context text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
    RETURN SQLSTATE || ': ' || SQLERRM || ' / ' || detail || ' / ' || split_part(context, E'\n', 1);
END $$;
BEGIN;
UPDATE pg_enum SET enumlabel = 'well' WHERE enumlabel = 'so so' AND enumtypid = 'mood'::regtype;
SELECT refusal(format('SELECT auditchain.restore_archive(''kinds'', %L)', file)) FROM auditchain.archives WHERE log = 'kinds'::regclass;
ROLLBACK;
BEGIN;
UPDATE pg_attribute SET attname = 'z' WHERE attname = 'x' AND attrelid = (SELECT typrelid FROM pg_type WHERE oid = 'inner_pair'::regtype);
SELECT refusal(format('SELECT auditchain.restore_archive(''kinds'', %L)', file)) FROM auditchain.archives WHERE log = 'kinds'::regclass;
ROLLBACK;
BEGIN;
UPDATE auditchain.log_column SET member = 'other' WHERE member = 'i';
SELECT refusal(format('SELECT auditchain.restore_archive(''kinds'', %L)', file)) FROM auditchain.archives WHERE log = 'kinds'::regclass;
ROLLBACK;
SELECT count(*) FROM pg_class WHERE relname LIKE 'kinds_restored%' AND relkind = 'r';

-- Code of the log's owner runs with the owner's rights, whoever restores.
CREATE ROLE test_restore_owner;
GRANT USAGE, CREATE ON SCHEMA test_restore TO test_restore_owner;
CREATE DOMAIN mine AS int;
CREATE TABLE owned (id int PRIMARY KEY, at timestamptz, v mine[]);
ALTER DOMAIN mine OWNER TO test_restore_owner;
ALTER TABLE owned OWNER TO test_restore_owner;
SELECT auditchain.protect('owned', lanes => 1);
INSERT INTO owned VALUES (1, '2024-01-01', '[0:1]={7,8}'), (2, now(), '{}');
SELECT auditchain.set_retention('owned', destination => 'file:owned');
SELECT auditchain.archive('owned', '2024-06-01') IS NOT NULL AS archived;
SET ROLE test_restore_owner;
CREATE TABLE seen (who name, path text);
CREATE FUNCTION look(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO test_restore.seen VALUES (current_user, current_setting('search_path'));
    RAISE WARNING 'looking at %', $1;
    RETURN true;
END $$;
ALTER DOMAIN mine ADD CHECK (test_restore.look(VALUE)) NOT VALID;
RESET ROLE;
SELECT auditchain.restore_archive('owned', file) FROM auditchain.archives WHERE log = 'owned'::regclass;
SELECT DISTINCT * FROM seen;
SELECT id, v, pg_get_userbyid(relowner) = current_user AS mine FROM owned_restored_1, pg_class WHERE relname = 'owned_restored_1';
SELECT current_setting('search_path');
-- Of a bundle that is not intact, no value is read.
SELECT 'printf x | dd conv=notrunc bs=1 seek=' || size - 1100 || ' of=' || quote_literal(:'directory' || '/' || file) || ' status=none' AS damage
FROM auditchain.archives WHERE log = 'owned'::regclass \gset
COPY (SELECT WHERE false) TO PROGRAM :'damage';
SELECT split_part(refusal(format('SELECT auditchain.restore_archive(''owned'', %L)', file)), ':', 1) FROM auditchain.archives WHERE log = 'owned'::regclass;
SELECT auditchain.release('owned', 'end of test');

SELECT auditchain.release('kinds', 'end of test');
DROP SCHEMA test_restore CASCADE;
DROP ROLE test_restore_owner;
\set clean 'rm -r ' :directory
COPY (SELECT WHERE false) TO PROGRAM :'clean';
ALTER SYSTEM RESET auditchain.archive_directory;
SELECT pg_reload_conf();
