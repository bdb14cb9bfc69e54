-- A payload is the same under every setting of the session that writes or reads it.
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA payload_settings;
CREATE SCHEMA payload_settings_other;
SET search_path = payload_settings;
\pset format unaligned
\pset tuples_only on

CREATE TYPE mood AS ENUM ('glad');
CREATE TYPE span AS (at timestamptz, cost money, ratio float8);
CREATE TYPE float8range AS RANGE (subtype = float8);
CREATE TYPE moneyrange AS RANGE (subtype = money);
CREATE TABLE events (
    id int, r real, d float8, n numeric, m money, b bytea, tz timestamptz, ts timestamp, dt date,
    t time, ttz timetz, i interval, p point, fr float8range, mr moneyrange, tr tstzrange,
    tm tstzmultirange, mood mood, cl regclass, ty regtype, pr regprocedure, ns regnamespace,
    j json, jb jsonb, x xml, s span, ss span[], a text[], ia interval[],
    m0 money[], b0 bytea[], tz0 timestamptz[], s0 span[], f0 float8[]);
CREATE TABLE pg_class (like pg_catalog.pg_class);  -- shadows when it comes first
SELECT auditchain.protect('events', lanes => 1);

-- One row, bound before the settings change, so that only what they do to payloads shows
CREATE TABLE source AS SELECT
    0.1::real AS r, 0.30000000000000004::float8 AS d, 0.10 AS n, 1234.5::numeric::money AS m,
    '\x00ff'::bytea AS b, '2026-05-09 14:22:08.118+00'::timestamptz AS tz,
    '2026-05-09 14:22:08'::timestamp AS ts, '2026-05-09'::date AS dt, '04:05:06'::time AS t,
    '04:05:06+02'::timetz AS ttz, '-1 year -2 mons +3 days 04:05:06.7'::interval AS i,
    '(0.1,0.30000000000000004)'::point AS p, '[0.1,0.30000000000000004]'::float8range AS fr,
    moneyrange(1::money, 1234::money) AS mr,
    '[2026-05-09 14:22:08+00,2026-05-10 00:00+00)'::tstzrange AS tr,
    '{[2026-05-09 14:22:08+00,2026-05-10 00:00+00)}'::tstzmultirange AS tm, 'glad'::mood AS mood,
    'pg_catalog.pg_class'::regclass AS cl, 'payload_settings.span[]'::regtype AS ty,
    'pg_catalog.lower(text)'::regprocedure AS pr, 'payload_settings'::regnamespace AS ns,
    '{"b": 1.0, "a": "é"}'::json AS j, '{"b": 1.0, "a": "é"}'::jsonb AS jb, '<a>é</a>'::xml AS x,
    ('2026-05-09 14:22:08+00', 1234.5::numeric::money, 0.1)::span AS s,
    ARRAY[('2026-05-09 14:22:08+00', 1234.5::numeric::money, 0.1)::span] AS ss,
    '{"é",NULL}'::text[] AS a, '{1 day -01:00}'::interval[] AS ia,
    ('[0:0]={' || '12.5' || '}')::money[] AS m0, '[0:0]={"\\xff"}'::bytea[] AS b0,
    '[0:0]={2026-05-09 14:22:08+00}'::timestamptz[] AS tz0,
    NULL::span[] AS s0, '[0:0]={0.30000000000000004}'::float8[] AS f0;
UPDATE source SET s0[0] = ('2026-05-09 14:22:08+00', 1234.5::numeric::money, 0.1)::span;
INSERT INTO events SELECT 1, * FROM source;
SELECT auditchain.payload(e) FROM events e;

-- The digest of entry 1's payload, and an INSERT, under each setting
CREATE TABLE seen (setting text, payload text);
CREATE PROCEDURE try(setting text, value text) LANGUAGE plpgsql AS $$
DECLARE
    lc_before text := current_setting(setting);
BEGIN
    PERFORM set_config(setting, value, false);
    INSERT INTO payload_settings.events
        SELECT (SELECT count(*) + 1 FROM payload_settings.events), * FROM payload_settings.source;
    INSERT INTO payload_settings.seen
        SELECT setting || ' = ' || value, auditchain.payload(e)
        FROM payload_settings.events e WHERE id = 1;
    PERFORM set_config(setting, lc_before, false);
END $$;
CALL try('DateStyle', 'German, DMY');
CALL try('DateStyle', 'SQL, YMD');
CALL try('DateStyle', 'Postgres, DMY');
CALL try('DateStyle', 'ISO, DMY');
CALL try('TimeZone', 'Pacific/Kiritimati');
CALL try('TimeZone', 'America/St_Johns');
CALL try('TimeZone', 'UTC');
CALL try('IntervalStyle', 'iso_8601');
CALL try('IntervalStyle', 'sql_standard');
CALL try('IntervalStyle', 'postgres_verbose');
CALL try('extra_float_digits', '-15');
CALL try('extra_float_digits', '0');
CALL try('extra_float_digits', '3');
CALL try('bytea_output', 'escape');
CALL try('search_path', 'pg_catalog');
CALL try('search_path', '');
CALL try('search_path', 'payload_settings, pg_catalog');
CALL try('search_path', 'payload_settings_other, payload_settings, pg_catalog');
CALL try('quote_all_identifiers', 'on');
CALL try('lc_monetary', 'POSIX');
CALL try('xmlbinary', 'hex');
CALL try('xmloption', 'document');
CALL try('standard_conforming_strings', 'off');
CALL try('backslash_quote', 'on');
CALL try('array_nulls', 'off');
CALL try('row_security', 'off');
CALL try('transform_null_equals', 'on');
CALL try('statement_timeout', '1h');
CALL try('session_replication_role', 'replica');
CALL try('client_encoding', 'LATIN1');
CALL try('client_encoding', 'SQL_ASCII');

-- A locale with another currency sign, where the machine has one: nothing may change
DO $$
DECLARE
    locale text;
BEGIN
    FOREACH locale IN ARRAY ARRAY['de_DE.UTF-8', 'de_DE.utf8', 'en_GB.UTF-8', 'ja_JP.UTF-8'] LOOP
        BEGIN
            PERFORM set_config('lc_monetary', locale, false);
            PERFORM set_config('lc_numeric', locale, false);
            PERFORM set_config('lc_time', locale, false);
        EXCEPTION WHEN invalid_parameter_value THEN
            CONTINUE;
        END;
        INSERT INTO events SELECT (SELECT count(*) + 1 FROM events), * FROM source;
        INSERT INTO seen SELECT locale, auditchain.payload(e) FROM events e WHERE id = 1;
    END LOOP;
END $$;
RESET lc_monetary;
RESET lc_numeric;
RESET lc_time;

-- A temporary table that shadows a catalog
CREATE TEMP TABLE pg_class (i int);
INSERT INTO events SELECT (SELECT count(*) + 1 FROM events), * FROM source;
INSERT INTO seen SELECT 'temporary pg_class', auditchain.payload(e) FROM events e WHERE id = 1;
DROP TABLE pg_temp.pg_class;

-- Settings are left as they were found, also after an error in the middle of a payload
SET DateStyle = 'German';
SET search_path = payload_settings, pg_catalog;
SELECT count(auditchain.payload(e)) > 0 FROM events e;
SHOW DateStyle;
SHOW search_path;
SHOW lc_monetary;
RESET DateStyle;

-- Nothing differed, and everything verifies now
SELECT setting FROM seen WHERE payload <> (SELECT auditchain.payload(e) FROM events e WHERE id = 1);
SELECT count(*) > 30, count(DISTINCT regexp_replace(auditchain.payload(e), '"id":\d+', '"id":0'))
FROM events e;
SELECT count(*) AS broken FROM events e
WHERE encode(sha256(convert_to(encode(previous_checksum, 'hex') || auditchain.payload(e), 'UTF8')),
             'hex') <> encode(checksum, 'hex');
