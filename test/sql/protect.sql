-- Putting tables under protection: what is taken, what is refused, and entries already there.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA protect;
SET search_path = protect;

-- Whether a log's chains are whole: positions 1, 2, 3 …, links and hashes; with nothing of ours but
-- payload()
CREATE FUNCTION chains_of(log regclass)
    RETURNS TABLE (key text, lane int, entries bigint, whole boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH entries AS (
            SELECT e.*, auditchain.payload(e) AS payload,
                   row_number() OVER w AS place,
                   lag(checksum, 1, decode(repeat('00', 32), 'hex')) OVER w AS before
            FROM %s e WINDOW w AS (PARTITION BY chain_id ORDER BY chain_position))
        SELECT c.key, c.lane, count(*), bool_and(
            e.chain_position = e.place AND e.previous_checksum = e.before AND
            e.checksum = sha256(convert_to(encode(e.previous_checksum, 'hex') || e.payload, 'UTF8')))
        FROM entries e JOIN auditchain.chain c USING (chain_id) GROUP BY c.key, c.lane
        ORDER BY c.key, c.lane$q$, log);
END $$;

-- An empty table
CREATE TABLE plain (id int PRIMARY KEY, note text);
SELECT auditchain.protect('plain');
SELECT attname, format_type(atttypid, atttypmod), attnotnull
FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'plain'::regclass AND contype = 'u';
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'plain'::regclass ORDER BY tgname;
SELECT auditchain._guard('plain');
INSERT INTO plain VALUES (1, 'a'), (2, 'b');
SELECT * FROM chains_of('plain');
SELECT name, chain_by, lanes, released_at FROM auditchain.log WHERE relation = 'plain'::regclass;
SELECT event, detail, actor = session_user AS actor_is_caller FROM auditchain.log_event
WHERE log_id = (SELECT log_id FROM auditchain.log WHERE relation = 'plain'::regclass);

-- Nothing stays behind when protect() is rolled back
CREATE TABLE undone (id int PRIMARY KEY);
INSERT INTO undone VALUES (1);
BEGIN;
SELECT auditchain.protect('undone');
INSERT INTO undone VALUES (2);
SELECT auditchain.payload(e) FROM undone e ORDER BY id;
ROLLBACK;
SELECT auditchain.payload(e) FROM undone e;
INSERT INTO undone VALUES (3);
SELECT * FROM undone ORDER BY id;
SELECT count(*) FROM auditchain.log WHERE name = 'protect.undone';

-- Entries already there: by the primary key, or as asked for
CREATE TABLE by_key (at date, a text, b int, PRIMARY KEY (b, a));
INSERT INTO by_key VALUES ('2026-01-01', 'z', 2), ('2026-01-03', 'a', 2), ('2026-01-02', 'm', 1);
SELECT auditchain.protect('by_key');
SELECT chain_position, auditchain.payload(e) FROM by_key e ORDER BY chain_position;
CREATE TABLE by_date (at date, a text, b int, PRIMARY KEY (b, a));
INSERT INTO by_date VALUES ('2026-01-01', 'z', 2), ('2026-01-03', 'a', 2), ('2026-01-02', 'm', 1),
                           (NULL, 'n', 3), ('2026-01-03', 'b', 1);
ALTER TABLE by_date ALTER COLUMN at DROP NOT NULL;
SELECT auditchain.protect('by_date', order_by => '{at}');
SELECT chain_position, auditchain.payload(e) FROM by_date e ORDER BY chain_position;
CREATE TABLE keyless (at date, "b ""q""" int);
INSERT INTO keyless VALUES ('2026-01-02', 1), ('2026-01-01', 2), ('2026-01-02', 0);
SELECT auditchain.protect('keyless');
SELECT auditchain.protect('keyless', order_by => '{}');
SELECT auditchain.protect('keyless', order_by => ARRAY['at', 'b "q"']::name[]);
SELECT chain_position, auditchain.payload(e) FROM keyless e ORDER BY chain_position;
CREATE TABLE keyless_empty (at date);
SELECT auditchain.protect('keyless_empty');
INSERT INTO keyless_empty VALUES ('2026-01-01');
SELECT * FROM chains_of('keyless_empty');
INSERT INTO by_key VALUES ('2026-01-04', 'later', 1);
SELECT * FROM chains_of('by_key');
SELECT * FROM chains_of('keyless');

-- Keys
CREATE TABLE tenants (id int PRIMARY KEY, tenant text, part int);
INSERT INTO tenants SELECT i, CASE i % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' END, i % 2
FROM generate_series(1, 12) i;
SELECT auditchain.protect('tenants', chain_by => '{tenant,part}');
INSERT INTO tenants VALUES (13, 'a', 0), (14, 'new', NULL);
SELECT * FROM chains_of('tenants');

-- A partitioned table, rows interleaved over its partitions
CREATE TABLE parted (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a') PARTITION BY RANGE (id);
CREATE TABLE parted_a1 PARTITION OF parted_a DEFAULT;
CREATE TABLE parted_b (extra int, region text NOT NULL, id int NOT NULL);
ALTER TABLE parted_b DROP COLUMN extra;
ALTER TABLE parted ATTACH PARTITION parted_b DEFAULT;
INSERT INTO parted SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 6) i;
SELECT auditchain.protect('parted');
INSERT INTO parted VALUES (7, 'a'), (8, 'b');
SELECT tableoid::regclass, chain_position, auditchain.payload(e) FROM parted e ORDER BY chain_position;
SELECT * FROM chains_of('parted');
SELECT auditchain._guard('parted');
CREATE TABLE parted_empty (id int, region text) PARTITION BY LIST (region);
SELECT auditchain.protect('parted_empty');
CREATE TABLE parted_later PARTITION OF parted_empty DEFAULT;
INSERT INTO parted_empty VALUES (1, 'x'), (2, 'y');
SELECT * FROM chains_of('parted_empty');

-- Chaining what is there changes nothing else: no trigger of the user's runs, generated columns,
-- large values, dropped columns, added columns and deferrable constraints stay what they were
CREATE TABLE untouched (
    id int PRIMARY KEY, gone int, a int, twice int GENERATED ALWAYS AS (a * 2) STORED,
    large text, plain_large text, uq int UNIQUE DEFERRABLE INITIALLY DEFERRED,
    during int4range, EXCLUDE USING gist (during WITH &&), CHECK (a < 1000));
ALTER TABLE untouched ALTER COLUMN plain_large SET STORAGE EXTERNAL;
CREATE INDEX ON untouched (lower(large)) WHERE a < 0;
INSERT INTO untouched (id, gone, a, large, plain_large, uq, during) SELECT i, 0, i, repeat('x', 10000 * i), string_agg(
    encode(sha256(s::text::bytea), 'hex'), ''), i, int4range(i, i + 1)
FROM generate_series(1, 5) i, generate_series(1, 200) s GROUP BY i;
ALTER TABLE untouched DROP COLUMN gone;
ALTER TABLE untouched ADD COLUMN added text DEFAULT 'added';
CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % fired a trigger', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER before_row BEFORE UPDATE ON untouched FOR EACH ROW EXECUTE FUNCTION complain();
CREATE TRIGGER after_row AFTER UPDATE ON untouched FOR EACH ROW EXECUTE FUNCTION complain();
CREATE TRIGGER before_all BEFORE UPDATE ON untouched EXECUTE FUNCTION complain();
CREATE TRIGGER after_all AFTER UPDATE ON untouched REFERENCING NEW TABLE AS changed
    EXECUTE FUNCTION complain();
CREATE TABLE before AS SELECT * FROM untouched;
SELECT auditchain.protect('untouched');
SELECT * FROM chains_of('untouched');
SELECT count(*) FROM before b JOIN untouched u USING (id, a, twice, large, plain_large, uq, during, added);
INSERT INTO untouched (id, a, uq, during) VALUES (6, 6, 6, '[6,7)');
INSERT INTO untouched (id, a, uq, during) VALUES (7, 7, 7, '[6,7)');
INSERT INTO untouched (id, a, uq, during) VALUES (7, 7, 6, '[7,8)');
INSERT INTO untouched (id, a, uq, during) VALUES (7, 7, 7, '[7,8)');
SELECT * FROM chains_of('untouched');
-- and no foreign key is checked or followed
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON UPDATE CASCADE);
INSERT INTO parents VALUES (1);
INSERT INTO children VALUES (1, 1);
SELECT auditchain.protect('parents');
SELECT auditchain.protect('children');
INSERT INTO children VALUES (2, 9);
INSERT INTO children VALUES (2, 1);
SELECT * FROM chains_of('children');

-- In one transaction with what fills the table, and under REPEATABLE READ
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE TABLE same_transaction (id int PRIMARY KEY);
INSERT INTO same_transaction VALUES (1), (2);
SELECT auditchain.protect('same_transaction');
INSERT INTO same_transaction VALUES (3);
COMMIT;
SELECT * FROM chains_of('same_transaction');

-- An owner who is no superuser
CREATE ROLE regress_protect_owner;
CREATE ROLE regress_protect_other;
CREATE SCHEMA owned AUTHORIZATION regress_protect_owner;
GRANT USAGE ON SCHEMA protect TO regress_protect_owner, regress_protect_other;
SET ROLE regress_protect_owner;
CREATE TABLE owned.events (id int PRIMARY KEY);
INSERT INTO owned.events VALUES (1);
SELECT auditchain.protect('owned.events');
INSERT INTO owned.events VALUES (2);
SELECT chain_position, auditchain.payload(e) FROM owned.events e ORDER BY 1;
SELECT auditchain.protect('protect.parents');
CREATE TABLE owned.hidden (id int PRIMARY KEY, secret boolean);
INSERT INTO owned.hidden VALUES (1, false), (2, true);
ALTER TABLE owned.hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY shown ON owned.hidden USING (NOT secret);
ALTER TABLE owned.hidden FORCE ROW LEVEL SECURITY;
SELECT auditchain.protect('owned.hidden');
ALTER TABLE owned.hidden NO FORCE ROW LEVEL SECURITY;
SELECT auditchain.protect('owned.hidden');
SHOW row_security;
CREATE TABLE owned.another (id int PRIMARY KEY);
GRANT USAGE ON SCHEMA owned TO regress_protect_other;
GRANT ALL ON owned.another TO regress_protect_other;
SET ROLE regress_protect_other;
SELECT auditchain.protect('owned.another');
RESET ROLE;
SELECT * FROM chains_of('owned.hidden');
SELECT event, actor = session_user || ' as regress_protect_owner' FROM auditchain.log_event e
JOIN auditchain.log l USING (log_id) WHERE l.relation = 'owned.events'::regclass;

-- Refused: what is no permanent table of one's own
CREATE VIEW a_view AS SELECT 1 AS id;
SELECT auditchain.protect('a_view');
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS id;
SELECT auditchain.protect('a_matview');
CREATE SEQUENCE a_sequence;
SELECT auditchain.protect('a_sequence');
CREATE INDEX an_index ON before (id);
SELECT auditchain.protect('an_index');
CREATE TYPE a_type AS (id int);
SELECT auditchain.protect('a_type');
CREATE FOREIGN DATA WRAPPER regress_protect_wrapper;
CREATE SERVER regress_protect_server FOREIGN DATA WRAPPER regress_protect_wrapper;
CREATE FOREIGN TABLE a_foreign_table (id int) SERVER regress_protect_server;
SELECT auditchain.protect('a_foreign_table');
CREATE TEMP TABLE a_temp_table (id int PRIMARY KEY);
SELECT auditchain.protect('a_temp_table');
CREATE UNLOGGED TABLE an_unlogged_table (id int PRIMARY KEY);
SELECT auditchain.protect('an_unlogged_table');
SELECT auditchain.protect('pg_catalog.pg_class');
SELECT auditchain.protect('auditchain.log');
SELECT auditchain.protect('parted_a');
SELECT auditchain.protect('parted_a1');
CREATE TABLE inherited (id int PRIMARY KEY);
CREATE TABLE inheriting () INHERITS (inherited);
SELECT auditchain.protect('inherited');
SELECT auditchain.protect('inheriting');
DROP TABLE inheriting;
SELECT auditchain.protect('inherited');
CREATE TABLE with_foreign_partition (id int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE foreign_partition PARTITION OF with_foreign_partition DEFAULT
    SERVER regress_protect_server;
SELECT auditchain.protect('with_foreign_partition');
CREATE TABLE with_unlogged_partition (id int) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE unlogged_partition PARTITION OF with_unlogged_partition DEFAULT;
SELECT auditchain.protect('with_unlogged_partition');
SELECT auditchain.protect(4294967295::oid::regclass);
SELECT auditchain.protect('no_such_table');

-- Refused: what is protected already, or has columns of ours
SELECT auditchain.protect('plain');
CREATE TABLE has_checksum (id int PRIMARY KEY, checksum text);
SELECT auditchain.protect('has_checksum');
CREATE TABLE has_chain_id (chain_id int PRIMARY KEY);
SELECT auditchain.protect('has_chain_id');
CREATE TABLE had_checksum (id int PRIMARY KEY, checksum text);
ALTER TABLE had_checksum DROP COLUMN checksum;
SELECT auditchain.protect('had_checksum');

-- Refused: arguments
CREATE TABLE target (
    id int PRIMARY KEY, tenant text, twice int GENERATED ALWAYS AS (id * 2) STORED, gone int);
ALTER TABLE target DROP COLUMN gone;
SELECT auditchain.protect(NULL);
SELECT auditchain.protect('target', chain_by => NULL);
SELECT auditchain.protect('target', lanes => NULL);
SELECT auditchain.protect('target', lanes => 0);
SELECT auditchain.protect('target', lanes => -1);
SELECT auditchain.protect('target', lanes => 1025);
SELECT auditchain.protect('target', chain_by => '{nonesuch}');
SELECT auditchain.protect('target', chain_by => '{gone}');
SELECT auditchain.protect('target', chain_by => '{........pg.dropped.4........}');
SELECT auditchain.protect('target', chain_by => '{tenant,tenant}');
SELECT auditchain.protect('target', chain_by => '{tenant,NULL}');
SELECT auditchain.protect('target', chain_by => '{twice}');
SELECT auditchain.protect('target', chain_by => '{ctid}');
SELECT auditchain.protect('target', chain_by => '{chain_id}');
SELECT auditchain.protect('target', chain_by => '{{tenant,id}}');
SELECT auditchain.protect('target', order_by => '{nonesuch}');
SELECT auditchain.protect('target', order_by => '{id,id}');
SELECT auditchain.protect('target', order_by => '{NULL}');
SELECT auditchain.protect('target', order_by => '{xmin}');
CREATE TABLE unsortable (id int, j json);
INSERT INTO unsortable VALUES (1, '1');
SELECT auditchain.protect('unsortable', order_by => '{j}');
-- and none of that left anything behind
SELECT count(*) FROM pg_attribute WHERE attrelid = 'target'::regclass AND attnum > 0;
SELECT auditchain.protect('target', chain_by => '{}', lanes => 1024, order_by => '{tenant}');

-- Refused: a trigger that would run after ours
CREATE FUNCTION change_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.note := 'changed';
    RETURN NEW;
END $$;
CREATE TABLE late (id int PRIMARY KEY, note text);
CREATE TRIGGER zzz_late BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION change_it();
SELECT auditchain.protect('late');
ALTER TABLE late DISABLE TRIGGER zzz_late;
SELECT auditchain.protect('late');
CREATE TABLE late_parted (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE late_leaf PARTITION OF late_parted DEFAULT;
CREATE TRIGGER zzz_late BEFORE INSERT OR UPDATE ON late_leaf
    FOR EACH ROW EXECUTE FUNCTION change_it();
SELECT auditchain.protect('late_parted');
CREATE TABLE early (id int PRIMARY KEY, note text);
CREATE TRIGGER zz_auditchain_a BEFORE INSERT ON early FOR EACH ROW EXECUTE FUNCTION change_it();
CREATE TRIGGER zzz_after AFTER INSERT ON early FOR EACH ROW EXECUTE FUNCTION change_it();
CREATE TRIGGER zzz_update BEFORE UPDATE ON early FOR EACH ROW EXECUTE FUNCTION change_it();
CREATE TRIGGER zzz_statement BEFORE INSERT ON early EXECUTE FUNCTION change_it();
SELECT auditchain.protect('early');

-- Many rows
CREATE TABLE many (id int PRIMARY KEY, tenant int, note text);
INSERT INTO many SELECT i, i % 7, 'entry ' || i FROM generate_series(1, 100000) i;
SET statement_timeout = '60s';
SELECT auditchain.protect('many', chain_by => '{tenant}');
RESET statement_timeout;
SELECT * FROM chains_of('many');

-- Released, and protected anew: another log, with chains of its own
CREATE TABLE again (id int PRIMARY KEY);
SELECT auditchain.protect('again');
INSERT INTO again VALUES (1), (2);
SELECT auditchain.release('again', 'test');
INSERT INTO again VALUES (3);
UPDATE again SET id = 4 WHERE id = 3;
SELECT auditchain.protect('again');
ALTER TABLE again DROP COLUMN chain_id, DROP COLUMN chain_position,
    DROP COLUMN previous_checksum, DROP COLUMN checksum;
SELECT auditchain.protect('again');
SELECT * FROM chains_of('again');
SELECT relation IS NULL AS former, released_at IS NULL AS protected FROM auditchain.log
WHERE name = 'protect.again' ORDER BY protected_at;

DROP FOREIGN DATA WRAPPER regress_protect_wrapper CASCADE;
SELECT count(auditchain.release(relation, 'end of test')) FROM auditchain.log
WHERE relation IN ('owned.events'::regclass, 'owned.hidden'::regclass);
DROP SCHEMA owned CASCADE;
REVOKE ALL ON SCHEMA protect FROM regress_protect_owner, regress_protect_other;
DROP ROLE regress_protect_owner, regress_protect_other;
