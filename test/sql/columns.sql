-- Columns of a log that are added, renamed, dropped or get another type.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA test_columns;
SET search_path = test_columns;

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor varchar(40),
    action text,
    at timestamptz(3) DEFAULT '2026-01-01 00:00:00Z',
    amount numeric(10,2),
    size int GENERATED ALWAYS AS (length(action)) STORED
);

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
CREATE VIEW members AS
    SELECT column_name, member, absent_value
    FROM auditchain.log_column JOIN auditchain.log USING (log_id)
    WHERE relation = to_regclass('events') ORDER BY attnum;

INSERT INTO events (actor, action) VALUES ('ada', 'first');
SELECT auditchain.protect('events', chain_by => '{actor}', lanes => 1);

-- Wrong checksums and positions, computed in SQL.
CREATE FUNCTION broken_entries() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        SELECT e.*, auditchain.payload(e) AS payload,
               row_number() OVER (PARTITION BY chain_id ORDER BY chain_position) AS wanted
        FROM events e) AS e
    WHERE chain_position <> wanted OR encode(checksum, 'hex') <>
        encode(sha256(convert_to(encode(previous_checksum, 'hex') || payload, 'UTF8')), 'hex')
$$;

INSERT INTO events (actor, action, amount) VALUES ('ada', 'login', 0.10), ('bob', 'login', NULL);
SELECT auditchain.payload(e) FROM events e ORDER BY id;

-- Renamed: the payload keeps the old name.
ALTER TABLE events RENAME COLUMN actor TO who;
ALTER VIEW events RENAME COLUMN action TO what;
INSERT INTO events (who, what) VALUES ('ada', 'renamed');
SELECT auditchain.payload(e) FROM events e ORDER BY id;
TABLE members;
SELECT refused('ALTER TABLE events ADD COLUMN actor text');
ALTER TABLE events RENAME COLUMN what TO action;
TABLE members;

-- Added, without and with a default.
ALTER TABLE events ADD COLUMN note text, ADD COLUMN level int NOT NULL DEFAULT 1 + 2,
    ADD COLUMN source text DEFAULT 'web', ADD COLUMN tags text[] DEFAULT '{a,b}';
TABLE members;
SELECT auditchain.payload(e) FROM events e ORDER BY id;
INSERT INTO events (who, action) VALUES ('ada', 'all defaults');
INSERT INTO events (who, action, note, level, source, tags)
    VALUES ('ada', 'other values', 'n', 4, 'cli', '{}'), ('ada', 'no value', NULL, 3, NULL, NULL);
-- A default that comes later is no absent value.
ALTER TABLE events ALTER COLUMN note SET DEFAULT 'none', ALTER COLUMN level SET DEFAULT 5,
    ALTER COLUMN source DROP DEFAULT;
INSERT INTO events (who, action) VALUES ('ada', 'later defaults'), ('bob', 'later defaults');
SELECT auditchain.payload(e) FROM events e ORDER BY id DESC LIMIT 5;
SELECT broken_entries();
-- In a transaction, with entries between the commands.
BEGIN;
ALTER TABLE events ADD COLUMN one int DEFAULT 1;
INSERT INTO events (who, action) VALUES ('ada', 'one');
ALTER TABLE events RENAME COLUMN one TO uno;
INSERT INTO events (who, action, uno) VALUES ('ada', 'uno', 2);
SAVEPOINT added;
ALTER TABLE events ADD COLUMN two int DEFAULT 2;
INSERT INTO events (who, action, two) VALUES ('ada', 'two', 3);
ROLLBACK TO added;
INSERT INTO events (who, action) VALUES ('ada', 'one again');
COMMIT;
SELECT auditchain.payload(e) FROM events e ORDER BY id DESC LIMIT 3;
-- Rewriting the table writes the defaults into old rows; the payloads stay.
VACUUM FULL events;
SELECT broken_entries();
SELECT intact, verified_events, message FROM auditchain.verify('events');

-- Defaults that differ from row to row.
SELECT refused('ALTER TABLE events ADD COLUMN token float DEFAULT random()');
SELECT refused('ALTER TABLE events ADD COLUMN serial_number serial');
SELECT refused('ALTER TABLE events ADD COLUMN number int GENERATED ALWAYS AS IDENTITY');
SELECT refused('ALTER TABLE events ADD COLUMN plain int DEFAULT 1, '
    'ADD COLUMN computed int GENERATED ALWAYS AS (level + 1) STORED');
-- A generated column is in no payload.
ALTER TABLE events ADD COLUMN computed int GENERATED ALWAYS AS (level + 1) STORED;
INSERT INTO events (who, action) VALUES ('ada', 'computed');
SELECT auditchain.payload(e), computed FROM events e ORDER BY id DESC LIMIT 1;
SELECT refused('ALTER TABLE events ALTER COLUMN computed DROP EXPRESSION');
ALTER TABLE events DROP COLUMN computed;

-- Dropped.
SELECT refused('ALTER TABLE events DROP COLUMN action');
SELECT refused('ALTER TABLE events DROP COLUMN who CASCADE');
SELECT refused('ALTER TABLE events DROP COLUMN checksum');
SELECT refused('ALTER TABLE events RENAME COLUMN chain_id TO chain');

-- Another type: only where every value is written alike.
SELECT refused('ALTER TABLE events ALTER COLUMN level TYPE bigint');
SELECT refused('ALTER TABLE events ALTER COLUMN level TYPE oid');
SELECT refused('ALTER TABLE events ALTER COLUMN level TYPE int USING level + 1');
SELECT refused('ALTER TABLE events ALTER COLUMN action TYPE jsonb USING NULL');
SELECT refused('ALTER TABLE events ALTER COLUMN checksum TYPE text');
SET TimeZone = 'UTC';
SELECT refused('ALTER TABLE events ALTER COLUMN at TYPE timestamp');
RESET TimeZone;
ALTER TABLE events ALTER COLUMN who TYPE text, ALTER COLUMN amount TYPE numeric(12,2),
    ALTER COLUMN at TYPE timestamptz;
SELECT refused('ALTER TABLE events SET UNLOGGED');
SELECT broken_entries();

-- Types within payloads.
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TYPE place AS (city text, mood mood);
CREATE DOMAIN place_list AS place[];
ALTER TABLE events ADD COLUMN places place_list;
INSERT INTO events (who, action, places) VALUES ('ada', 'types', ARRAY[ROW('Paris', 'cross')::place]);
SELECT auditchain.payload(e) FROM events e ORDER BY id DESC LIMIT 1;
SELECT refused($$ALTER TYPE mood RENAME VALUE 'cross' TO 'angry'$$);
SELECT refused('ALTER TYPE place RENAME ATTRIBUTE city TO town');
SELECT refused('ALTER TYPE place DROP ATTRIBUTE city');
SELECT refused('DROP TYPE place CASCADE');
ALTER TYPE mood ADD VALUE 'tired';
ALTER TYPE mood RENAME TO humour;
CREATE TYPE other AS ENUM ('a');
ALTER TYPE other RENAME VALUE 'a' TO 'b';
SELECT broken_entries();

-- Names that need quotes.
ALTER TABLE events ADD COLUMN "Weird ""name""" text DEFAULT E'tab\tquote"';
ALTER TABLE events RENAME COLUMN "Weird ""name""" TO plain;
INSERT INTO events (who, action, plain) VALUES ('ada', 'weird', NULL), ('ada', 'weird', 'x');
SELECT auditchain.payload(e) FROM events e ORDER BY id DESC LIMIT 2;
SELECT broken_entries();
SELECT intact, message FROM auditchain.verify('events');

-- Released: columns may go, and those that come are recorded still.
SELECT auditchain.release('events', 'test');
ALTER TABLE events RENAME COLUMN note TO remark;
ALTER TABLE events ADD COLUMN later int DEFAULT 7;
SELECT intact, message FROM auditchain.verify('events');
ALTER TABLE events DROP COLUMN places;
DROP VIEW members;
DROP TABLE events;
SELECT relation, name FROM auditchain.log WHERE name IN ('events', 'test_columns.events');
\set VERBOSITY terse
DROP SCHEMA test_columns CASCADE;
