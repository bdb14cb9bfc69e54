-- Archives in files: where they may be, what is in them, and what becomes of those that are changed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_files;
SET search_path = test_files;
SET timezone = 'UTC';
SET datestyle = ISO;
CREATE TABLE events (id int PRIMARY KEY, at timestamptz, tenant text, note text);
SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
INSERT INTO events SELECT i, '2024-01-01'::timestamptz + i * interval '1 day',
    CASE WHEN i % 3 = 0 THEN 'b' ELSE 'a' END, 'note ' || i FROM generate_series(1, 600) i;

-- No directory: no files.
SHOW auditchain.archive_directory;
SELECT auditchain.set_retention('events', destination => 'file:events');
SELECT auditchain.restore_archive('events', 'x.tar');
SET auditchain.archive_directory = '/tmp';
ALTER SYSTEM SET auditchain.archive_directory = 'relative';

-- A directory, and a symbolic link in it that leads out of it.
SELECT current_setting('data_directory') || '/test_files' AS directory \gset
\set make 'mkdir -p ' :directory '/events && ln -s / ' :directory '/root && ln -s ' :directory '/events ' :directory '/link'
COPY (SELECT WHERE false) TO PROGRAM :'make';
ALTER SYSTEM SET auditchain.archive_directory = :'directory';
SELECT pg_reload_conf();
\c
SET client_min_messages = warning;
SET search_path = test_files;
SET timezone = 'UTC';
SET datestyle = ISO;

-- Paths that lead elsewhere, or nowhere.
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE fault text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS fault = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || fault;
END $$;
SELECT left(path, 20) AS path, refusal(format('SELECT auditchain.set_retention(''events'', destination => %L)', 'file:' || path)) AS destination,
    refusal(format('SELECT auditchain.restore_archive(''events'', %L)', path)) AS bundle
FROM unnest(ARRAY['', '/', '/tmp', '.', '..', '../x', 'a/../b', 'a/..', './a', 'a/.', 'a//b', 'a/', E'a\nb', E'a\x7fb',
                  repeat('a', 256), repeat('a/', 600) || 'a']) path;
SELECT left(path, 20) AS path, refusal(format('SELECT auditchain.restore_archive(''events'', %L)', path)) AS bundle
FROM unnest('{root/etc/passwd,link/x.tar,root,events,missing/x.tar,missing.tar}'::text[]) path;
SELECT auditchain.set_retention('events', destination => 'file:root/tmp');
SELECT refusal($$SELECT auditchain.archive('events', '2024-07-01')$$);
SELECT auditchain.set_retention('events', destination => 'file:link');
SELECT refusal($$SELECT auditchain.archive('events', '2024-07-01')$$);

-- With the name of a file it would be too long.
SELECT auditchain.set_retention('events', destination => 'file:' || repeat('a/', 490) || 'a');
SELECT refusal($$SELECT auditchain.archive('events', '2024-07-01')$$);

-- An archive, of which holds keep two entries back.
SELECT auditchain.set_retention('events', keep => '200 years', destination => 'file:events/2024');
SELECT auditchain.hold('events', 'case 1', '{"id": 50}') IS NOT NULL AS held;
SELECT auditchain.hold('events', 'case 2', '{"note": "note 70", "tenant": "a"}') IS NOT NULL AS held;
SELECT auditchain.archive('events', '2024-07-01') AS archive \gset
SELECT before, entries, chains, destination, "table", size > 1000 AS has_size, length(sha256), state,
    regexp_replace(file, '\.[0-9a-f-]{36}\.\d+\.', '.LOG.NUMBER.') AS file
FROM auditchain.archives WHERE archive = :archive;
SELECT file, size, sha256 FROM auditchain.archives WHERE archive = :archive \gset
SELECT encode(sha256(pg_read_binary_file(:'directory' || '/' || :'file')), 'hex') = :'sha256' AS same,
    length(pg_read_binary_file(:'directory' || '/' || :'file')) = :size AS same_size;
\set look 'stat -c %a ' :directory '/events/2024 ' :directory '/' :file ' | tr ''\\n'' '' '''
CREATE TABLE seen (text text);
COPY seen FROM PROGRAM :'look';
SELECT * FROM seen;
SELECT count(*), count(*) FILTER (WHERE at < '2024-07-01') AS held FROM events;
SELECT message FROM auditchain.verify('events');
SELECT intact, total_events, verified_events, chains, message FROM auditchain.verify_archive(:archive);
SELECT event, reason, details - 'archive' - 'digest' - 'size' - 'sha256' - 'file' AS details,
    details ->> 'sha256' = :'sha256' AND details ->> 'size' = :'size' AND details ->> 'file' = :'file' AS same
FROM auditchain.operations WHERE log = 'test_files.events' AND event = 'archived';
SELECT auditchain.archive('events', '2024-07-01');

-- Restored: every column as it was, chain columns included, in a table of the caller's.
SELECT auditchain.restore_archive('events', :'file') AS restored \gset
SELECT :'restored' AS restored;
SELECT count(*), min(id), max(id), count(DISTINCT chain_id) FROM :restored;
SELECT id, at, tenant, note FROM :restored ORDER BY id LIMIT 3;
SELECT count(*) AS wrong FROM :restored r
WHERE checksum <> sha256(convert_to(encode(previous_checksum, 'hex') ||
    format('{"at":"%sT00:00:00.000000Z","id":%s,"note":"note %s","tenant":"%s"}', at::date, id, id, tenant), 'UTF8'));
SELECT auditchain.restore_archive('events', :'file');
-- By an auditor, who may not make tables in the schema of the log: a temporary one.
CREATE ROLE regress_auditchain_files;
GRANT USAGE ON SCHEMA test_files TO regress_auditchain_files;
SET ROLE regress_auditchain_files;
SELECT refusal(format('SELECT auditchain.restore_archive(''events'', %L)', :'file'));
RESET ROLE;
GRANT SELECT ON events TO regress_auditchain_files;
SET ROLE regress_auditchain_files;
SELECT regexp_replace(auditchain.restore_archive('events', :'file')::text, '^pg_temp_\d+', 'pg_temp') AS restored;
SELECT tableowner FROM pg_tables WHERE tablename = 'events_restored_1' AND schemaname ~ '^pg_temp';
RESET ROLE;
-- Into another log: not.
CREATE TABLE others (LIKE events);
ALTER TABLE others DROP chain_id, DROP chain_position, DROP previous_checksum, DROP checksum;
SELECT auditchain.protect('others', order_by => '{id}');
SELECT refusal(format('SELECT auditchain.restore_archive(''others'', %L)', :'file'));
BEGIN READ ONLY;
SELECT auditchain.restore_archive('events', :'file');
ROLLBACK;

-- A file that is changed, or gone.
CREATE PROCEDURE with_file(deed text, undo text) LANGUAGE plpgsql AS $$
DECLARE found record;
BEGIN
    EXECUTE format('COPY (SELECT WHERE false) TO PROGRAM %L', deed);
    FOR found IN SELECT v.* FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE log = 'events'::regclass LOOP
        RAISE WARNING '% %', found.violations, regexp_replace(found.message, 'file \S+:', 'file F:');
    END LOOP;
    RAISE WARNING '%', refusal(format('SELECT auditchain.restore_archive(''events'', %L)',
        (SELECT file FROM auditchain.archives WHERE log = 'events'::regclass)));
    EXECUTE format('COPY (SELECT WHERE false) TO PROGRAM %L', undo);
END $$;
SELECT :'directory' || '/' || :'file' AS path \gset
\set copy 'cp ' :path ' ' :directory '/copy'
COPY (SELECT WHERE false) TO PROGRAM :'copy';
\set undo 'cp ' :directory '/copy ' :path
\set deed 'rm ' :path
CALL with_file(:'deed', :'undo');
\set deed 'printf x >> ' :path
CALL with_file(:'deed', :'undo');
\set deed 'printf x | dd status=none conv=notrunc bs=1 seek=10000 of=' :path
CALL with_file(:'deed', :'undo');
\set deed 'truncate -s -1024 ' :path
CALL with_file(:'deed', :'undo');
\set deed 'rm ' :path ' && mkdir ' :path
\set mend 'rmdir ' :path ' && ' :undo
CALL with_file(:'deed', :'mend');
\set deed 'rm ' :path ' && ln -s ' :directory '/copy ' :path
\set mend 'rm ' :path ' && ' :undo
CALL with_file(:'deed', :'mend');
-- An intact bundle of the same log that is another
COPY (SELECT WHERE false) TO PROGRAM :'undo';
SELECT intact, message FROM auditchain.verify_archive(:archive);
-- The record that is changed
BEGIN;
UPDATE auditchain.archive SET file_sha256 = sha256('x') WHERE archive_id = :archive;
SELECT violations, regexp_replace(regexp_replace(message, 'archive \d+', 'archive N'), 'file \S+:', 'file F:') AS message FROM auditchain.verify_archive(:archive);
SELECT violations, regexp_replace(message, 'archive \d+', 'archive N') AS message FROM auditchain.verify('events');
ROLLBACK;

-- Aborted: the file is gone; a savepoint's too.
CREATE FUNCTION files() RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM pg_ls_dir(current_setting('data_directory') || '/test_files/events/2024') $$;
SELECT files();
BEGIN;
SELECT auditchain.archive('events', '2024-08-01') IS NOT NULL AS archived;
SAVEPOINT a;
SELECT auditchain.archive('events', '2024-09-01') IS NOT NULL AS archived;
SELECT files();
ROLLBACK TO a;
SELECT files();
SAVEPOINT b;
SELECT auditchain.archive('events', '2024-09-01') IS NOT NULL AS archived;
RELEASE b;
SELECT files();
PREPARE TRANSACTION 'files';
SELECT files();
SELECT count(*) FROM auditchain.archives WHERE log = 'events'::regclass;
SELECT count(*) FROM events;

-- Expired: the record stays, the file goes; at the commit.
SELECT auditchain.archive('events', '2024-09-01') IS NOT NULL AS archived;
SELECT auditchain.set_retention('events', keep => '200 days', hot => '1 day', destination => 'file:events/2024', reason => 'a test');
SELECT auditchain.hold('events', 'case 3', '{"id": 200}') AS hold \gset
BEGIN;
SELECT auditchain.expire('events');
SELECT files();
ROLLBACK;
SELECT files();
SELECT auditchain.expire('events');
SELECT files();
SELECT entries, state, expire_reason FROM auditchain.archives WHERE log = 'events'::regclass ORDER BY archive;
SELECT intact, message FROM auditchain.verify('events');
SELECT v.intact, v.message FROM auditchain.archives a, auditchain.verify_archive(archive) v WHERE log = 'events'::regclass ORDER BY archive;
SELECT details - 'archive' - 'digest' - 'sha256' - 'file' AS details,
    details ->> 'sha256' = :'sha256' AND details ->> 'file' = :'file' AS same
FROM auditchain.operations WHERE log = 'test_files.events' AND event = 'expired';
-- What a crash would leave is removed by the next run, and nothing else.
\set back 'cp ' :directory '/copy ' :path ' && cp ' :directory '/copy ' :directory '/events/2024/other'
COPY (SELECT WHERE false) TO PROGRAM :'back';
SELECT files();
SELECT auditchain.expire('events');
SELECT files();
-- What is away may be held: it is kept, and noticed, and still there when it is back.
\set away 'mv ' :directory '/events ' :directory '/away'
\set back 'mv ' :directory '/away ' :directory '/events'
SELECT count(*) AS tombstones FROM auditchain.operations WHERE log = 'test_files.events' AND event = 'expired' \gset
SELECT auditchain.expire('events');
COPY (SELECT WHERE false) TO PROGRAM :'away';
SET client_min_messages = error;
SELECT auditchain.expire('events');
SET client_min_messages = warning;
SELECT v.intact, regexp_replace(v.message, '(file \S+:|archive \d+)', 'FILE', 'g') AS message
FROM auditchain.archives a, auditchain.verify_archive(archive) v WHERE log = 'events'::regclass AND state = 'kept';
COPY (SELECT WHERE false) TO PROGRAM :'back';
SELECT auditchain.expire('events');
SELECT files();
-- Nor does it expire because it is away, or is another, when there are no holds.
BEGIN;
SELECT count(auditchain.lift_hold(hold, 'a test')) AS lifted FROM auditchain.holds WHERE log = 'events'::regclass AND lifted_at IS NULL;
COPY (SELECT WHERE false) TO PROGRAM :'away';
SET client_min_messages = error;
SELECT auditchain.expire('events');
SET client_min_messages = warning;
COPY (SELECT WHERE false) TO PROGRAM :'back';
ROLLBACK;
SELECT count(*) - :tombstones AS more FROM auditchain.operations WHERE log = 'test_files.events' AND event = 'expired';
-- A hold on what cannot be read keeps it.
SELECT :'directory' || '/' || file AS path FROM auditchain.archives WHERE log = 'events'::regclass AND state = 'kept' \gset
\set deed 'cp ' :path ' ' :directory '/copy && printf x >> ' :path
COPY (SELECT WHERE false) TO PROGRAM :'deed';
SET client_min_messages = error;
SELECT auditchain.expire('events');
SET client_min_messages = warning;
SELECT files();
SELECT auditchain.lift_hold(:hold, 'closed');
-- And it is not deleted without holds, as it is not what was archived.
SET client_min_messages = error;
SELECT auditchain.expire('events');
SET client_min_messages = warning;
SELECT files();
\set undo 'cp ' :directory '/copy ' :path
COPY (SELECT WHERE false) TO PROGRAM :'undo';
SELECT auditchain.expire('events');
SELECT files();
SELECT intact, total_events, message FROM auditchain.verify('events');

-- What payloads do not tell of arrays of jsonb, a hold goes without: it holds what it may match.
CREATE DOMAIN tags AS jsonb[];
CREATE DOMAIN numbers AS int[];
CREATE TYPE tagged AS (tags tags);
CREATE TABLE holding (at timestamptz, tags tags, pairs tagged[], lists numbers[], numbers int[], tenant text);
SELECT auditchain.protect('holding', lanes => 1);
SELECT auditchain.set_retention('holding', keep => '90 days', hot => '1 day', destination => 'file:holding');
INSERT INTO holding SELECT '2024-01-01'::timestamptz + i * interval '1 hour', ARRAY['null'::jsonb], ARRAY[ROW(ARRAY[['1'::jsonb]])::tagged],
    ARRAY[['{1}'::numbers]], '{{1,2}}', 'a' FROM generate_series(1, 5) i;
SELECT auditchain.archive('holding', '2025-01-01') IS NOT NULL AS archived;
-- All are held but those whose other values are told, and differ.
CREATE FUNCTION deleted_under(matching jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE deleted bigint;
BEGIN
    PERFORM auditchain.hold('holding', 'a test', matching);
    deleted := auditchain.expire('holding');
    RAISE EXCEPTION USING MESSAGE = deleted::text;
EXCEPTION WHEN raise_exception THEN RETURN SQLERRM;
END $$;
SELECT matching, deleted_under(matching) FROM unnest(ARRAY['{"tags": "{\"null\"}"}', '{"pairs": "{\"({{1}})\"}"}', '{"lists": "{{\"{1}\"}}"}',
    '{"numbers": "{{1,2}}"}', '{"numbers": "{1,2}"}', '{"tags": "{\"null\"}", "tenant": "b"}', '{"tenant": "b"}', '{"tenant": "a"}']::jsonb[]) matching;

-- What does not read back into its column keeps its archive, and stops nothing else.
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE moods (at timestamptz, mood mood, tenant text);
SELECT auditchain.protect('moods', lanes => 1);
SELECT auditchain.set_retention('moods', keep => '90 days', hot => '1 day', destination => 'file:moods');
INSERT INTO moods SELECT '2024-01-01'::timestamptz + i * interval '1 hour', (CASE WHEN i < 5 THEN 'glad' ELSE 'sad' END)::mood, 'a' FROM generate_series(1, 5) i;
SELECT auditchain.archive('moods', '2025-01-01') IS NOT NULL AS archived;
SELECT auditchain.hold('moods', 'a test', '{"tenant": "b"}') IS NOT NULL AS held;
INSERT INTO moods VALUES ('2025-01-01', 'sad', 'a'), ('2025-01-02', 'sad', 'a');
UPDATE pg_enum SET enumlabel = 'happy' WHERE enumlabel = 'glad' AND enumtypid = 'mood'::regtype;
SET client_min_messages = error;
SELECT archived, expired FROM auditchain.apply_retention() WHERE log = 'moods'::regclass;
SET client_min_messages = warning;
SELECT entries, state FROM auditchain.archives WHERE log = 'moods'::regclass ORDER BY archive;
UPDATE pg_enum SET enumlabel = 'glad' WHERE enumlabel = 'happy' AND enumtypid = 'mood'::regtype;
SELECT auditchain.expire('moods') AS expired;

SELECT auditchain.release(log, 'end of test') FROM unnest('{events,others,holding,moods}'::regclass[]) log;
DROP OWNED BY regress_auditchain_files;
DROP ROLE regress_auditchain_files;
DROP SCHEMA test_files CASCADE;
\set clean 'rm -r ' :directory
COPY (SELECT WHERE false) TO PROGRAM :'clean';
ALTER SYSTEM RESET auditchain.archive_directory;
SELECT pg_reload_conf();
