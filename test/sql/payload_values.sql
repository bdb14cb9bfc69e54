-- Values that auditchain writes by hand, against what PostgreSQL prints: many of each.
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA payload_values;
SET search_path = payload_values;
\pset format unaligned
\pset tuples_only on

SELECT setseed(0.4711);

-- Numerics of every length, scale and sign, in columns and in jsonb
CREATE TABLE numerics (id int PRIMARY KEY, n numeric, j jsonb);
SELECT auditchain.protect('numerics', lanes => 1);
CREATE FUNCTION digits(count int) RETURNS text VOLATILE LANGUAGE sql AS $$
    SELECT coalesce(string_agg(CASE WHEN random() < 0.3 THEN '0' WHEN random() < 0.2 THEN '9'
                               ELSE floor(random() * 10)::text END, ''), '')
    FROM generate_series(1, count) $$;
INSERT INTO numerics
SELECT i, n, to_jsonb(n)
FROM generate_series(1, 5000) i,
     LATERAL (SELECT (CASE WHEN random() < 0.5 THEN '-' ELSE '' END || '0' ||
                      digits((random() * random() * 90 + i * 0)::int) || '.' || '0' ||
                      digits((random() * random() * 90 + i * 0)::int))::numeric) AS r (n);
INSERT INTO numerics
SELECT 5000 + row_number() OVER (), n, to_jsonb(n)
FROM unnest('{0, 0.0, 0.0000, 00010000, 10000.0000, 0.00001, 99990000, 1e64, 1e63, 1e-64, 1e-65,
              9999999999999999999999999999999999999999999999999999999999999999.9, 1e1000, 1e-1000,
              1e131071, 1e-16383, -1e300, 123456789e-70}'::numeric[]) n;
SELECT count(*), bool_and(auditchain.payload(e) = format('{"id":%s,"j":%s,"n":%s}', id, n, n))
FROM numerics e;

-- Points in time
CREATE TABLE times (id int PRIMARY KEY, ts timestamp, tz timestamptz, d date);
SELECT auditchain.protect('times', lanes => 1);
SET TimeZone = 'Asia/Kathmandu';
INSERT INTO times
SELECT i, ts, ts AT TIME ZONE 'UTC', ts::date
FROM generate_series(1, 5000) i,
     LATERAL (SELECT '0001-01-01'::timestamp + random() * interval '9998 years'
                     + i * interval '1 us') AS r (ts);
SELECT count(*), bool_and(auditchain.payload(e) = format('{"d":"%s","id":%s,"ts":"%s","tz":"%3$sZ"}',
    to_char(d, 'YYYY-MM-DD'), id, to_char(ts, 'YYYY-MM-DD"T"HH24:MI:SS.US')))
FROM times e;
RESET TimeZone;

-- Documents, against a canonical form made by SQL. Objects of more than 32 members have offsets in
-- between their lengths.
CREATE FUNCTION canonical(document jsonb) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE jsonb_typeof(document)
        WHEN 'object' THEN
            -- The order of UTF-16 code units: lead bytes EE and EF follow the others.
            (SELECT '{' || coalesce(string_agg(to_json(key)::text || ':' || canonical(value), ',' ORDER BY
                 replace(replace(regexp_replace(encode(convert_to(key, 'UTF8'), 'hex'), '(..)', '\1 ', 'g'),
                                 'ee ', 'fe '), 'ef ', 'ff ') COLLATE "C"), '') || '}'
             FROM jsonb_each(document))
        WHEN 'array' THEN
            (SELECT '[' || coalesce(string_agg(canonical(value), ',' ORDER BY n), '') || ']'
             FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, n))
        ELSE document::text
    END;
END $$;
CREATE FUNCTION some_text() RETURNS text VOLATILE LANGUAGE sql AS $$
    SELECT coalesce(string_agg((ARRAY['a', 'b', 'Z', 'id', 'é', U&'\FB33', U&'\+01F600', U&'\FFFF', '"', '\',
                            E'\n', E'\x1f', ' long name of a member', '0'])[1 + floor(random() * 14)::int], ''), '')
    FROM generate_series(1, (random() * 4)::int) $$;
CREATE FUNCTION some_document(depth int) RETURNS jsonb VOLATILE LANGUAGE plpgsql AS $$
DECLARE
    kind int := floor(random() * CASE WHEN depth > 0 THEN 8 ELSE 5 END);
    size int := CASE WHEN random() < 0.05 THEN 100 ELSE floor(random() * 7) END;
BEGIN
    RETURN CASE kind
        WHEN 0 THEN 'null'
        WHEN 1 THEN to_jsonb(random() < 0.5)
        WHEN 2 THEN to_jsonb((random() * 1e6)::numeric(12, 3))
        WHEN 3 THEN to_jsonb((random() * 10)::int)
        WHEN 4 THEN to_jsonb(some_text())
        WHEN 5 THEN (SELECT coalesce(jsonb_agg(some_document(CASE WHEN size > 7 THEN 0 ELSE depth - 1 END)), '[]')
                     FROM generate_series(1, size))
        ELSE (SELECT coalesce(jsonb_object_agg(some_text(),
                                               some_document(CASE WHEN size > 7 THEN 0 ELSE depth - 1 END)), '{}')
              FROM generate_series(1, size))
    END;
END $$;
CREATE TABLE documents (id int PRIMARY KEY, j jsonb);
SELECT auditchain.protect('documents', lanes => 1);
INSERT INTO documents SELECT i, some_document(4) FROM generate_series(1, 3000) i;
INSERT INTO documents
SELECT 3000 + i, (SELECT jsonb_object_agg(k || some_text(), jsonb_build_array(k, some_text()))
                  FROM generate_series(1, i * 10) k)
FROM generate_series(1, 60) i;
-- As deep as the parser goes, and with every scalar at the top
INSERT INTO documents VALUES
    (4001, (repeat('[', 3000) || repeat(']', 3000))::jsonb),
    (4002, (repeat('{"b":1,"a":', 1500) || 'null' || repeat('}', 1500))::jsonb),
    (4003, '"x"'), (4004, '-1.50'), (4005, 'true'), (4006, 'false'), (4007, 'null'), (4008, '{}'),
    (4009, '[]');
SELECT count(*), bool_and(auditchain.payload(e) = format('{"id":%s,"j":%s}', id, canonical(j)))
FROM documents e WHERE id NOT IN (4001, 4002);
SELECT id, auditchain.payload(e) = format('{"id":%s,"j":%s}', id,
    CASE id WHEN 4001 THEN repeat('[', 3000) || repeat(']', 3000)
            ELSE repeat('{"a":', 1500) || 'null' || repeat(',"b":1}', 1500) END)
FROM documents e WHERE id IN (4001, 4002) ORDER BY id;
SELECT intact FROM auditchain.verify('documents');

-- A type that prints as text does, as citext, is written as text is
CREATE TYPE label;
CREATE FUNCTION label_in(cstring) RETURNS label IMMUTABLE STRICT LANGUAGE internal AS 'textin';
CREATE FUNCTION label_out(label) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, LIKE = text);
CREATE DOMAIN short_label AS label;
CREATE TABLE labels (id int PRIMARY KEY, l label, s short_label, ls label[], ss short_label[]);
SELECT auditchain.protect('labels', lanes => 1);
INSERT INTO labels VALUES (1, 'é "x"', 'y', '{a,NULL}', ARRAY['b', NULL]::short_label[]);
SELECT auditchain.payload(e) FROM labels e;

-- Settings that a payload is written under do not outlive it: several values in a row, and an error
-- amidst them
CREATE TYPE broken;
CREATE FUNCTION broken_in(cstring) RETURNS broken IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION broken_out(broken) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'enum_out';
CREATE TYPE broken (INPUT = broken_in, OUTPUT = broken_out, LIKE = int4);
CREATE TABLE settings (
    id int PRIMARY KEY, c1 regclass, c2 regclass, t timetz, i interval, r tstzrange, p point, b broken);
SELECT auditchain.protect('settings', lanes => 1);
SET TimeZone = 'America/New_York';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = 0;
CREATE VIEW now_set AS
SELECT string_agg(name || ' = ' || setting, ', ' ORDER BY name) FROM pg_settings
WHERE name IN ('TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'search_path');
INSERT INTO settings VALUES
    (1, 'settings', 'pg_class', '04:05:06+02', '1 day 02:03', '[2026-05-09 14:22:08+00,)', '(0.1,0.30000000000000004)'),
    (2, NULL, NULL, '04:05:06+02', NULL, NULL, NULL),
    (3, NULL, 'settings', NULL, NULL, '[2026-05-09 14:22:08+00,)', NULL);
SELECT * FROM now_set;
SELECT auditchain.payload(e) FROM settings e ORDER BY id;
INSERT INTO settings VALUES (4, 'settings', NULL, NULL, NULL, '(,)', NULL, '7');
SELECT * FROM now_set;
DO $$ BEGIN
    INSERT INTO payload_values.settings VALUES (4, 'settings', NULL, NULL, NULL, '(,)', NULL, '7');
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING '%: %', SQLERRM, (SELECT * FROM now_set);
END $$;
SELECT * FROM now_set;
RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
RESET extra_float_digits;

-- One large payload does not leave its memory with the session
CREATE TABLE large (id int PRIMARY KEY, t text, j jsonb);
SELECT auditchain.protect('large', lanes => 1);
INSERT INTO large VALUES
    (1, repeat('x', 20000000), (SELECT jsonb_object_agg(i, i) FROM generate_series(1, 200000) i));
INSERT INTO large VALUES (2, 'x', '{"a": 1}');
SELECT sum(total_bytes) < 8 * 1024 * 1024 FROM pg_backend_memory_contexts WHERE name = 'auditchain log';
SELECT intact FROM auditchain.verify('large');
