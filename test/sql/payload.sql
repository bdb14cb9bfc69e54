-- The bytes that are hashed, pinned exactly for every type: docs/format.md.
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
SET lc_monetary = 'C';
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA payload;
SET search_path = payload;
\pset format unaligned
\pset tuples_only on

-- Checks a checksum with nothing of auditchain's.
CREATE FUNCTION proves(previous bytea, payload text, checksum bytea) RETURNS boolean
    IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT encode(sha256(convert_to(encode(previous, 'hex') || payload, 'UTF8')), 'hex')
         = encode(checksum, 'hex') $$;

-- Numbers, as PostgreSQL prints them
CREATE TABLE numbers (
    id int PRIMARY KEY, i2 smallint, i8 bigint, n numeric, n2 numeric(12,2), r real,
    d double precision, m money, b boolean);
SELECT auditchain.protect('numbers', lanes => 1);
INSERT INTO numbers VALUES
    (1, -32768, 9223372036854775807, 0.10, 1, 0.1, 0.1, '1234.5', true),
    (2, 32767, -9223372036854775808, 12345678901234567890, 0, 3.4028235e38, 1e100, '-0.01', false),
    (3, 0, 0, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', NULL),
    (4, NULL, NULL, 'Infinity', NULL, 'Infinity', 'Infinity', NULL, NULL),
    (5, NULL, NULL, '-Infinity', NULL, '-Infinity', '-Infinity', NULL, NULL),
    (6, 1, 1, 1e-20, -0.005, '-0', '-0', 0, true),
    (7, 1, 1, -1e30, 9999999999.99, 1e-45, 5e-324, 0, true),
    (8, 1, 1, 100, 100, 16777216, 123456789012345680, 0, true),
    (9, 1, 1, 1.000, 1.005, 1e15, 1e15, 0, true),
    (2147483647, 1, 1, 0, 0, 0, 1e-7, 0, true),
    (-2147483648, 1, 1, 0, 0, 1.5, 0.30000000000000004, 0, true);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM numbers e ORDER BY chain_position;

-- Text: JCS escapes, nothing else
CREATE TABLE texts (
    id int PRIMARY KEY, t text, v varchar(20), c char(6), n name, ch "char", b bytea);
SELECT auditchain.protect('texts', lanes => 1);
INSERT INTO texts VALUES
    (1, E'"\\/''', E'\b\t\n\f\r', 'ab', 'some_name', 'x', '\x00ff10'),
    (2, E'\x01\x02\x0b\x0e\x1f\x7f', U&'\0085\2028\2029\FEFF', '', '', '', ''),
    (3, U&'\+01F600 \FB33 \00E9 e\0301 \FFFF', '', U&'\+01F600', U&'n\00E9', (-56)::"char",
        '\xdeadbeef'),
    (4, '</script>&', '  padded  ', 'abcdef', '"', '"', E'\\134'),
    (5, NULL, 'NULL', 'NULL', NULL, '\', NULL);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM texts e ORDER BY chain_position;
-- Compressed and stored out of line
INSERT INTO texts VALUES (6, repeat('"', 100000), NULL, NULL, NULL, NULL, NULL);
INSERT INTO texts SELECT 7, string_agg(encode(sha256(i::text::bytea), 'hex'), '')
FROM generate_series(1, 2000) i;
SELECT id, length(auditchain.payload(e)), proves(previous_checksum, auditchain.payload(e), checksum)
FROM texts e WHERE id IN (6, 7) ORDER BY chain_position;

-- Points in time: UTC, always six digits
SET TimeZone = 'America/New_York';
CREATE TABLE times (
    id int PRIMARY KEY, tz timestamptz, ts timestamp, d date, t time, ttz timetz, i interval,
    tz0 timestamptz(0), t3 time(3));
SELECT auditchain.protect('times', lanes => 1);
INSERT INTO times VALUES
    (1, '2026-05-09 10:22:08.118-04', '2026-05-09 14:22:08.118', '2026-05-09', '04:05:06.789',
        '04:05:06.789-08', '1 year 2 mons 3 days 04:05:06.000789', '2026-05-09 10:22:08.5-04',
        '04:05:06.7891'),
    (2, 'infinity', 'infinity', 'infinity', '24:00', '24:00:00+00', '-1 day +02:03', NULL, NULL),
    (3, '-infinity', '-infinity', '-infinity', '00:00', '00:00:00+05:45:30', '-1 year', NULL,
        NULL),
    (4, '0044-03-15 12:00:00+00 BC', '0001-12-31 23:59:59.999999 BC', '0001-01-01 BC', NULL, NULL,
        '0', NULL, NULL),
    (5, '12345-01-02 03:04:05.000006+00', '294276-12-31 23:59:59.999999', '5874897-12-31', NULL,
        NULL, '178000000 years', NULL, NULL),
    (6, '4714-11-24 00:00:00+00 BC', '4714-11-24 00:00:00 BC', '4714-11-24 BC', NULL, NULL,
        '-00:00:00.000001', NULL, NULL),
    (7, '0001-01-01 00:00:00+00', '0001-01-01', '0001-01-01', NULL, NULL, '1.5 weeks', NULL, NULL),
    (8, '2026-11-01 01:30:00 EDT', '1999-12-31 23:59:59.9999999', '2000-02-29', NULL, NULL, NULL,
        NULL, NULL),
    (9, '2026-11-01 01:30:00 EST', '1970-01-01', '1582-10-10', NULL, NULL, NULL, NULL, NULL);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM times e ORDER BY chain_position;
RESET TimeZone;

-- json keeps its exact text; jsonb is sorted by UTF-16 code units at every depth
CREATE TABLE documents (id int PRIMARY KEY, j json, jb jsonb);
SELECT auditchain.protect('documents', lanes => 1);
INSERT INTO documents VALUES
    (1, '{"b" : 1,  "a": [ ], "b": 2}', '{"b" : 1,  "a": [ ], "b": 2}'),
    (2, '"\u00e9"',
     -- The example of RFC 8785, section 3.2.3
     '{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
       "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
       "\u00f6": "Latin Small Letter O With Diaeresis"}'),
    (3, 'null', 'null'),
    (4, ' 1.0 ', '1.0'),
    (5, '[]', '[0.10, 1e3, 12345678901234567890, -0, 1e-7, true, false, null, "x", [], {}, [[]]]'),
    (6, NULL, '{"z": {"bb": [{"y": 1, "x": null}], "b": {}, "a": "\u0001\u001f\"\\/\u2028"},
               "": 1, "aa": 2, "a": 3, "A": 4}'),
    (7, NULL, '"scalar"'),
    (8, NULL, '{"\uffff": 1, "\ue000": 2, "\ud7ff": 3, "\ud800\udc00": 4, "\udbff\udfff": 5,
                "\uffffa": {"\uffee": 1, "\ud83d\ude00": 2}}');
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM documents e ORDER BY chain_position;

-- Composites, domains, enums
CREATE TYPE colour AS ENUM ('red', 'light "blue"');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN small_positive AS positive CHECK (VALUE < 1000);
CREATE DOMAIN paint AS colour;
CREATE TYPE point3 AS (z int, y positive, x float8);
CREATE TYPE place AS ("the name" text, at point3, seen timestamptz, tags text[], hue paint);
CREATE DOMAIN known_place AS place CHECK (VALUE IS NULL OR (VALUE).at.z > 0);
CREATE DOMAIN names_of AS text[];
CREATE TYPE dropped AS (a int, b int, c int);
ALTER TYPE dropped DROP ATTRIBUTE b;
CREATE TABLE composites (
    id int PRIMARY KEY, co colour, sp small_positive, p point3, pl place, k known_place,
    n names_of, ps point3[], ks known_place[], d dropped, cos colour[], own numbers);
SELECT auditchain.protect('composites', lanes => 1);
INSERT INTO composites VALUES
    (1, 'light "blue"', 12.50, (1, 2.0, 0.5), ('a "b"', (1, NULL, NULL), '2026-01-01 00:00+02',
        '{x,NULL}', 'red'), ('k', (3, 4, 'NaN'), NULL, NULL, NULL), '{a,"b,c"}',
        ARRAY[(1, 2, 3), NULL, (NULL, NULL, NULL)]::point3[],
        ARRAY[('k', (3, 4, 5), 'infinity', '{}', 'red')]::known_place[], (1, 3), '{red,NULL}',
        (1, 2, 3, 4, 5, 6, 7, 8, true, 9, 10, '\x', '\x01')::numbers),
    (2, NULL, NULL, (NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), NULL, '{}', '{}', NULL,
        (NULL, NULL), '{}', NULL);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM composites e ORDER BY chain_position;

-- Arrays
CREATE TABLE arrays (
    id int PRIMARY KEY, i int[], n numeric[], d float8[], t text[], b bytea[], ts timestamptz[],
    jb jsonb[], j json[], bo bool[], m money[], c char(3)[], u uuid[], nm name[]);
SELECT auditchain.protect('arrays', lanes => 1);
INSERT INTO arrays VALUES
    (1, '{1,NULL,-3}', '{0.10,NaN,Infinity,12345678901234567890}', '{NaN,-Infinity,0.1,1e100}',
        '{NULL,"NULL","",a b,"\"\\"}', '{"\\x00ff",NULL}',
        '{2026-05-09 14:22:08.118+00,infinity,NULL}',
        ARRAY['{"b":1,"a":2}', 'null', NULL, '"x"']::jsonb[], ARRAY['{"b":1, "a":2}', NULL]::json[],
        '{t,f,NULL}', ARRAY[1.5::numeric::money], '{a,bcd}',
        '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{a,b}'),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (3, '{{1,2},{3,4}}', '{{{1},{2}},{{3},{NULL}}}', NULL, '{{a,b}}', NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL),
    (4, '[0:1]={1,2}', '[-1:-1]={0.10}', '[2:2]={0.1}', '[1:1][0:1]={{a,"b c"}}',
        '[0:0]={"\\xff"}', '[0:0]={2026-05-09 14:22:08.118+02}', '[0:0]={"{\"b\": 1}"}', NULL,
        '[5:5]={t}', '[0:0]={1234.5}', NULL, NULL, NULL),
    (5, '[1:2]={1,2}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM arrays e ORDER BY chain_position;

-- Ranges and multiranges
CREATE TYPE float8range AS RANGE (subtype = float8);
CREATE TYPE moneyrange AS RANGE (subtype = money);
CREATE TABLE ranges (
    id int PRIMARY KEY, i4 int4range, i8 int8range, n numrange, ts tsrange, tz tstzrange,
    d daterange, f float8range, m moneyrange, i4m int4multirange, tzm tstzmultirange,
    fm float8multirange, da daterange[]);
SELECT auditchain.protect('ranges', lanes => 1);
INSERT INTO ranges VALUES
    (1, '[1,5]', '(,5)', '[0.10,1.0]', '[2026-01-01,infinity)',
        '[2026-05-09 14:22:08.118+02,2026-05-10 00:00-04]', '[2026-01-01,2026-12-31]',
        '[0.1,1e100)', moneyrange(1::money, 1234.5::money), '{[1,3),[5,7)}',
        '{[2026-01-01 00:00+01,2026-01-02 00:00+01)}', '{[-0,0.1],(1,)}', '{empty,"[2026-01-01,)"}'),
    (2, 'empty', '(,)', 'empty', 'empty', '(,)', '[-infinity,infinity]', 'empty', NULL, '{}', '{}',
        '{}', '{}');
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM ranges e ORDER BY chain_position;

-- Everything else is its text output
CREATE TABLE others (
    id int PRIMARY KEY, u uuid, ip inet, net cidr, mac macaddr, mac8 macaddr8, x xml, bi bit(5),
    vb bit varying, tv tsvector, tq tsquery, pt point, ln line, ls lseg, bx box, pa path,
    po polygon, ci circle, lsn pg_lsn, o oid, xi xid, x8 xid8, co cid, ti tid, cl regclass,
    ty regtype, pr regproc, pd regprocedure, op regoper, od regoperator, cf regconfig,
    di regdictionary, ns regnamespace, cn regcollation, jp jsonpath, iv int2vector, ov oidvector,
    sn pg_snapshot, rc refcursor, cls regclass[], ivs int2vector[]);
SELECT auditchain.protect('others', lanes => 1);
INSERT INTO others VALUES
    (1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '192.168.0.1/24', '10.0/16', '08-00-2B-01-02-03',
        '08:00:2b:01:02:03:04:05', '<?xml version="1.0"?><a b="c">é</a>', B'10110', B'1',
        'fat:2A cat:3', 'fat & (rat | !cat:*)', '(0.1,-0)', '{1,2,3}', '[(0,0),(1,1)]',
        '(0.1,0.2),(3,4)', '[(0,0),(1,1)]', '((0,0),(1,1))', '<(0.5,0.5),1e100>', '16/B374D848',
        4294967295, '1', '18446744073709551615', '7', '(1,2)', 'payload.others', 'payload.point3[]',
        'payload.proves', 'payload.proves(bytea,text,bytea)', 'pg_catalog.||/',
        'pg_catalog.+(integer,integer)', 'simple', 'simple', 'payload', '"C"',
        '$.a[*] ? (@ > 1)', '1 2 3', '26 23', '10:20:10,14', 'some cursor',
        '{pg_class,payload.others,0}', ARRAY['1 2', '3']::int2vector[]),
    (2, NULL, '::1', '::ffff:1.2.3.4/128', NULL, NULL, '<a/>', NULL, B'', '', '', NULL, NULL, NULL,
        NULL, '((0,0),(1,1))', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'pg_class', 'integer',
        'now', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', NULL, NULL, NULL, NULL);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM others e ORDER BY chain_position;

-- Member names: escaped as strings are, and in the order of RFC 8785's example
CREATE TABLE names (
    U&"\20AC" int, U&"\000D" int, U&"\FB33" int, "1" int PRIMARY KEY, U&"\+01F600" int,
    U&"\0080" int, U&"\00F6" int, "q""q" int, "b\b" int, " " int, "Tab	" int,
    U&"\FFFF" int, U&"\+01F600\+01F600" int, "a" int, "aa" int, "A" int, "é" int);
ALTER TABLE names RENAME COLUMN "a" TO "a'a";
SELECT auditchain.protect('names', lanes => 1);
INSERT INTO names VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM names e;

-- Left out: NULLs, generated, dropped and auditchain's columns
CREATE TABLE left_out (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, a int,
    twice int GENERATED ALWAYS AS (a * 2) STORED, b text DEFAULT 'default', gone_too text);
ALTER TABLE left_out DROP COLUMN gone, DROP COLUMN gone_too;
SELECT auditchain.protect('left_out', lanes => 1);
INSERT INTO left_out (a) VALUES (1), (NULL);
INSERT INTO left_out (a, b) VALUES (2, NULL);
SELECT auditchain.payload(e), twice, proves(previous_checksum, auditchain.payload(e), checksum)
FROM left_out e ORDER BY chain_position;
CREATE TABLE empty_rows (a int);
SELECT auditchain.protect('empty_rows', lanes => 1);
INSERT INTO empty_rows DEFAULT VALUES;
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM empty_rows e;

-- Partitions number their columns otherwise: names rule, from the parent and from the leaf
CREATE TABLE parted (id int, region text, gone int, at date) PARTITION BY LIST (region);
ALTER TABLE parted DROP COLUMN gone;
CREATE TABLE parted_eu (at date, dropped text, region text, id int);
ALTER TABLE parted_eu DROP COLUMN dropped;
ALTER TABLE parted ATTACH PARTITION parted_eu FOR VALUES IN ('eu');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
SELECT auditchain.protect('parted', lanes => 1);
INSERT INTO parted VALUES (1, 'eu', '2026-01-01'), (2, 'us', NULL);
INSERT INTO parted_eu (id, region) VALUES (3, 'eu');
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM parted e ORDER BY chain_position;
SELECT auditchain.payload(e) FROM parted_eu e ORDER BY chain_position;

-- What payload() takes, and what it refuses
CREATE FUNCTION payload_in_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
DECLARE e left_out;
BEGIN
    SELECT * INTO e FROM left_out WHERE id = 1;
    RETURN auditchain.payload(e);
END $$;
SELECT payload_in_plpgsql();
SELECT auditchain.payload(ROW(7, 8, 9, 'x', NULL, NULL, NULL, NULL)::left_out);
SELECT auditchain.payload(NULL::left_out) IS NULL;
SELECT auditchain.payload(1);
SELECT auditchain.payload('text'::text);
SELECT auditchain.payload(ARRAY[e]) FROM left_out e;
SELECT auditchain.payload(ROW(1, 2));
SELECT auditchain.payload((1, 2, 3)::point3);
CREATE TABLE unprotected (id int);
SELECT auditchain.payload(ROW(1)::unprotected);

-- A type that changes after payload() has seen it
CREATE TYPE growing AS (a int);
CREATE TABLE growth (id int PRIMARY KEY, g growing);
SELECT auditchain.protect('growth', lanes => 1);
INSERT INTO growth VALUES (1, ROW(1));
ALTER TYPE growing ADD ATTRIBUTE b text;
INSERT INTO growth VALUES (2, (2, 'b'));
SELECT auditchain.payload(e), proves(previous_checksum, auditchain.payload(e), checksum)
FROM growth e ORDER BY chain_position;

-- In parallel workers, and in a leader that knows nothing of the log yet
CREATE TABLE many (id int PRIMARY KEY, at timestamptz) WITH (parallel_workers = 2);
INSERT INTO many SELECT i, '2026-01-01 00:00+00' FROM generate_series(1, 10000) i;
SELECT auditchain.protect('many');
\c -
SET client_min_messages = warning;
SET search_path = payload;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(auditchain.payload(e)) FROM many e;
SELECT count(*), bool_and(proves(previous_checksum, auditchain.payload(e), checksum)) FROM many e;
\c -
SET search_path = payload;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET max_parallel_workers_per_gather = 2;
SELECT count(*) FROM many e
WHERE auditchain.payload(e) = format('{"at":"2026-01-01T00:00:00.000000Z","id":%s}', id);
