-- Every way to insert makes the next entry of a chain, without gaps.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS auditchain;
CREATE SCHEMA chain;
SET search_path = chain;

-- Whether a log's chains are whole, with nothing of ours but payload()
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

CREATE TABLE events (id int PRIMARY KEY, note text);
SELECT auditchain.protect('events');

-- The first entry's checksum is that of 64 zeros and its payload, and is known to the inserter
INSERT INTO events VALUES (1, 'first') RETURNING id, chain_position, previous_checksum, checksum;
SELECT sha256(convert_to(repeat('0', 64) || '{"id":1,"note":"first"}', 'UTF8'));
WITH new AS (INSERT INTO events VALUES (2, 'second') RETURNING *)
SELECT new.chain_position, new.previous_checksum = e.checksum AS linked,
       new.checksum = sha256(convert_to(encode(e.checksum, 'hex') || '{"id":2,"note":"second"}',
                                        'UTF8')) AS proven
FROM new, events e WHERE e.id = 1;

-- The application does not write our columns
INSERT INTO events (id, chain_id) VALUES (3, 1);
INSERT INTO events (id, chain_position) VALUES (3, 1);
INSERT INTO events (id, previous_checksum) VALUES (3, '\x00');
INSERT INTO events (id, checksum) VALUES (3, '\x00');
INSERT INTO events SELECT 3, note, chain_id, chain_position + 2, checksum, checksum FROM events;
INSERT INTO events VALUES (3, 'explicit', NULL, NULL, NULL, NULL);
INSERT INTO events VALUES (4, 'defaults', DEFAULT, DEFAULT, DEFAULT, DEFAULT);

-- Many rows, and other statements that insert
INSERT INTO events VALUES (5, 'a'), (6, 'b'), (7, 'c');
INSERT INTO events SELECT i, 'from select' FROM generate_series(8, 10) i;
INSERT INTO events SELECT id + 100, 'copy of ' || note FROM events;
PREPARE add(int, text) AS INSERT INTO events VALUES ($1, $2) RETURNING chain_position;
EXECUTE add(11, 'prepared');
EXECUTE add(12, 'prepared');
SET plan_cache_mode = force_generic_plan;
EXECUTE add(13, 'generic');
RESET plan_cache_mode;
DEALLOCATE add;
WITH a AS (INSERT INTO events VALUES (14, 'cte a') RETURNING chain_position),
     b AS (INSERT INTO events VALUES (15, 'cte b') RETURNING chain_position)
SELECT (SELECT * FROM a) <> (SELECT * FROM b);
MERGE INTO events e USING (VALUES (15), (16)) AS v (id) ON e.id = v.id
    WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'merged');
COPY events (id, note) FROM stdin;
17	copied
18	\N
19	copied too
\.
CREATE VIEW simple_view AS SELECT id, note FROM events;
INSERT INTO simple_view VALUES (20, 'through a view');
CREATE TABLE inbox (id int, note text);
CREATE RULE to_log AS ON INSERT TO inbox DO INSTEAD INSERT INTO events VALUES (NEW.id, NEW.note);
INSERT INTO inbox VALUES (21, 'through a rule'), (22, 'through a rule');
DO $$
BEGIN
    FOR i IN 23..25 LOOP
        INSERT INTO events VALUES (i, 'in a loop');
    END LOOP;
    EXECUTE 'INSERT INTO events VALUES ($1, $2)' USING 26, 'dynamic';
END $$;
SELECT * FROM chains_of('events');

-- What fails or does nothing leaves no gap
INSERT INTO events VALUES (1, 'duplicate');
INSERT INTO events VALUES (1, 'duplicate') ON CONFLICT DO NOTHING;
INSERT INTO events VALUES (27, 'new'), (1, 'old'), (27, 'twice'), (28, 'new') ON CONFLICT DO NOTHING
    RETURNING id;
INSERT INTO events VALUES (29, 'x') ON CONFLICT (id) DO UPDATE SET note = 'changed';
INSERT INTO events VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'changed';
INSERT INTO events VALUES (30, 'x'), (1, 'duplicate');
INSERT INTO events VALUES ('x', 'not even a row');
COPY events (id, note) FROM stdin;
31	fails in the middle
32	of the copy
1	duplicate
33	never read
\.
COPY events (id, note) FROM stdin;
31	a line
x	that is no row
\.
COPY events FROM stdin;
31	a	1	1	\\x00	\\x00
\.
INSERT INTO events VALUES (31, 'after all this');
SELECT id, note FROM events WHERE id BETWEEN 27 AND 40 ORDER BY id;
SELECT * FROM chains_of('events');

-- Savepoints
BEGIN;
INSERT INTO events VALUES (41, 'kept');
SAVEPOINT a;
INSERT INTO events VALUES (42, 'rolled back');
INSERT INTO events VALUES (43, 'rolled back');
ROLLBACK TO a;
INSERT INTO events VALUES (44, 'kept');
SAVEPOINT b;
INSERT INTO events VALUES (45, 'kept');
SAVEPOINT c;
INSERT INTO events VALUES (46, 'rolled back');
ROLLBACK TO c;
RELEASE b;
INSERT INTO events VALUES (47, 'kept');
SAVEPOINT d;
INSERT INTO events VALUES (1, 'fails');
ROLLBACK TO d;
INSERT INTO events VALUES (48, 'kept');
COMMIT;
BEGIN;
INSERT INTO events VALUES (49, 'rolled back');
ROLLBACK;
INSERT INTO events VALUES (50, 'kept');
SELECT id, note FROM events WHERE id BETWEEN 41 AND 50 ORDER BY chain_position;
SELECT * FROM chains_of('events');

-- The first insert of a new chain, rolled back in part and as a whole
CREATE TABLE fresh (id int PRIMARY KEY, note text);
SELECT auditchain.protect('fresh');
BEGIN;
SAVEPOINT a;
INSERT INTO fresh VALUES (1, 'rolled back');
ROLLBACK TO a;
INSERT INTO fresh VALUES (2, 'kept');
SAVEPOINT b;
INSERT INTO fresh VALUES (3, 'rolled back');
ROLLBACK TO b;
INSERT INTO fresh VALUES (4, 'kept');
COMMIT;
SELECT * FROM chains_of('fresh');
CREATE TABLE fresher (id int PRIMARY KEY, note text);
SELECT auditchain.protect('fresher');
BEGIN;
INSERT INTO fresher VALUES (1, 'rolled back');
ROLLBACK;
INSERT INTO fresher VALUES (1, 'a'), (1, 'fails');
INSERT INTO fresher SELECT 1, 'nothing' WHERE false;
BEGIN;
SAVEPOINT a;
INSERT INTO fresher VALUES (1, 'kept, though the savepoint goes');
RELEASE a;
COMMIT;
SELECT * FROM chains_of('fresher');
SELECT count(*) FROM auditchain.chain c JOIN auditchain.log l USING (log_id)
WHERE l.relation = 'fresher'::regclass;

-- Exception blocks
CREATE FUNCTION try_to_add(log regclass, id int, fail boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s VALUES ($1, $2)', log) USING id, 'in a block';
    IF fail THEN
        RAISE EXCEPTION 'failed';
    END IF;
    RETURN 'added';
EXCEPTION WHEN raise_exception OR unique_violation THEN
    EXECUTE format('INSERT INTO %s VALUES ($1, $2)', log) USING -id, SQLERRM;
    RETURN SQLERRM;
END $$;
SELECT id, try_to_add('events', id, id % 3 = 0) FROM generate_series(60, 65) id;
SELECT try_to_add('events', 60, false);
SELECT try_to_add('events', 61, false);
CREATE TABLE freshest (id int PRIMARY KEY, note text);
SELECT auditchain.protect('freshest');
SELECT try_to_add('freshest', 1, true);
SELECT * FROM chains_of('freshest');
SELECT * FROM chains_of('events');

-- A trigger of the user's that changes, adds to or drops the row before it is chained
CREATE TABLE shaped (id int, note text, at timestamptz);
CREATE FUNCTION shape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note = 'drop' THEN
        RETURN NULL;
    END IF;
    NEW.note := upper(NEW.note);
    NEW.at := '2026-01-01 00:00+00';
    RETURN NEW;
END $$;
CREATE TRIGGER shape BEFORE INSERT ON shaped FOR EACH ROW EXECUTE FUNCTION shape();
SELECT auditchain.protect('shaped');
INSERT INTO shaped VALUES (1, 'a'), (2, 'drop'), (3, 'b');
SELECT auditchain.payload(e) FROM shaped e ORDER BY chain_position;
SELECT * FROM chains_of('shaped');
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.checksum := '\x00';
    RETURN NEW;
END $$;
CREATE TRIGGER a_meddler BEFORE INSERT ON shaped FOR EACH ROW EXECUTE FUNCTION meddle();
INSERT INTO shaped VALUES (4, 'c');
DROP TRIGGER a_meddler ON shaped;

-- Triggers that insert into another log and into the same one, before and after
CREATE TABLE orders (id int PRIMARY KEY, depth int);
CREATE TABLE audit (id serial PRIMARY KEY, what text);
CREATE FUNCTION note_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what) VALUES ('before ' || NEW.id);
    IF NEW.depth > 0 THEN
        INSERT INTO orders VALUES (NEW.id * 10 + 1, NEW.depth - 1);
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION note_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what) VALUES ('after ' || NEW.id);
    IF NEW.depth > 0 THEN
        INSERT INTO orders VALUES (NEW.id * 10 + 2, NEW.depth - 1);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_before BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note_before();
CREATE TRIGGER note_after AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note_after();
SELECT auditchain.protect('orders');
SELECT auditchain.protect('audit');
INSERT INTO orders VALUES (1, 2), (2, 1);
SELECT id, chain_position FROM orders ORDER BY chain_position;
SELECT * FROM chains_of('orders');
SELECT * FROM chains_of('audit');

-- A deferred trigger inserts while the transaction commits
CREATE TABLE payments (id int PRIMARY KEY);
CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what) VALUES ('commit ' || NEW.id);
    INSERT INTO events VALUES (NEW.id, 'at commit');
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_commit();
SELECT auditchain.protect('payments');
BEGIN;
INSERT INTO payments VALUES (71), (72);
INSERT INTO events VALUES (70, 'before commit');
COMMIT;
BEGIN;
INSERT INTO payments VALUES (73);
INSERT INTO events VALUES (73, 'makes the deferred one fail');
COMMIT;
SELECT id, note FROM events WHERE id >= 70 AND id < 80 ORDER BY chain_position;
SELECT * FROM chains_of('payments');
SELECT * FROM chains_of('audit');
SELECT * FROM chains_of('events');

-- An entry that a check function adds takes the place that was meant for the one checked: an error,
-- never two entries in one place
CREATE TABLE checked (id int PRIMARY KEY, note text);
CREATE FUNCTION add_another(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF id < 10 THEN
        INSERT INTO chain.checked VALUES (id + 10, 'from the check');
    END IF;
    RETURN true;
END $$;
ALTER TABLE checked ADD CHECK (add_another(id));
SELECT auditchain.protect('checked');
INSERT INTO checked VALUES (10, 'a');
\set VERBOSITY terse
INSERT INTO checked VALUES (1, 'b');
\set VERBOSITY default
INSERT INTO checked VALUES (12, 'c');
SELECT id, chain_position FROM checked ORDER BY chain_position;

-- Keys
CREATE TYPE pair AS (b text, a int);
CREATE TABLE keyed (
    id int, tenant text, part numeric, at timestamptz, p pair, PRIMARY KEY (id));
SELECT auditchain.protect('keyed', chain_by => '{tenant,part,at,p}');
SET TimeZone = 'Asia/Tokyo';
INSERT INTO keyed VALUES
    (1, 'a', 1, '2026-01-01 00:00+00', ('x', 1)), (2, 'a', 1.0, '2026-01-01 09:00+09', ('x', 1)),
    (3, NULL, NULL, NULL, NULL), (4, NULL, NULL, NULL, NULL), (5, '', NULL, NULL, (NULL, NULL)),
    (6, 'a', 1, '2026-01-01 00:00+00', ('x', 1)), (7, 'null', NULL, NULL, NULL),
    (8, E'"\\\n', 'NaN', 'infinity', ('é', NULL));
RESET TimeZone;
INSERT INTO keyed VALUES (9, 'a', 1, '2026-01-01 00:00+00', ('x', 1)), (10, 'A', 1, NULL, NULL);
SELECT * FROM chains_of('keyed');
SELECT c.key || '/' || c.lane AS chain_name, chain_position, id
FROM keyed JOIN auditchain.chain c USING (chain_id) ORDER BY c.key, chain_position;

-- The same text of different types makes different keys; in the order of chain_by
CREATE TABLE mixed (id serial PRIMARY KEY, a text, b int, j jsonb);
SELECT auditchain.protect('mixed', chain_by => '{j,b,a}');
INSERT INTO mixed (a, b, j) VALUES ('1', 1, '1'), ('1', 1, '"1"'), ('1', 1, 'null'), ('1', 1, NULL),
    (NULL, 1, '{"b": 1, "a": [1, 2]}'), (NULL, 1, '{"a": [1, 2], "b": 1}');
SELECT * FROM chains_of('mixed');

-- A key as long as may be, and longer
CREATE TABLE long_keys (id serial PRIMARY KEY, k text);
SELECT auditchain.protect('long_keys', chain_by => '{k}');
INSERT INTO long_keys (k) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 62) i;
INSERT INTO long_keys (k) VALUES (repeat('x', 1996));
INSERT INTO long_keys (k) VALUES (repeat('x', 1997));
INSERT INTO long_keys (k) VALUES (repeat('é', 1000));
INSERT INTO long_keys (k) VALUES (repeat('"', 998));
INSERT INTO long_keys (k) VALUES (repeat('x', 100000000));
SELECT length(key), lane, entries, whole FROM chains_of('long_keys');

-- Many keys in one transaction, again and again
CREATE TABLE tenants (id serial PRIMARY KEY, tenant int);
SELECT auditchain.protect('tenants', chain_by => '{tenant}', lanes => 1);
INSERT INTO tenants (tenant) SELECT i % 500 FROM generate_series(1, 5000) i;
BEGIN;
INSERT INTO tenants (tenant) SELECT i FROM generate_series(490, 510) i;
SAVEPOINT a;
INSERT INTO tenants (tenant) SELECT i FROM generate_series(500, 520) i;
ROLLBACK TO a;
INSERT INTO tenants (tenant) SELECT i FROM generate_series(505, 515) i;
COMMIT;
SELECT count(*), sum(entries), bool_and(whole) FROM chains_of('tenants');

-- A quiet log keeps to lane 0, in this session and in the next
\c -
SET client_min_messages = warning;
SET search_path = chain;
INSERT INTO events VALUES (80, 'another session');
SELECT * FROM chains_of('events');

-- Both kinds of isolation that keep their snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO events VALUES (81, 'repeatable read');
INSERT INTO fresh VALUES (81, 'repeatable read');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO events VALUES (82, 'serializable');
INSERT INTO keyed VALUES (82, 'serializable');
COMMIT;
BEGIN READ ONLY;
INSERT INTO events VALUES (83, 'read only');
ROLLBACK;
SELECT * FROM chains_of('events');

-- Partitions
CREATE TABLE parted (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
SELECT auditchain.protect('parted');
INSERT INTO parted SELECT i, chr(97 + i % 3) FROM generate_series(1, 9) i;
INSERT INTO parted_a VALUES (10, 'a');
INSERT INTO parted_a VALUES (10, 'b');
BEGIN;
INSERT INTO parted VALUES (11, 'b');
SAVEPOINT a;
INSERT INTO parted VALUES (12, 'a');
ROLLBACK TO a;
INSERT INTO parted VALUES (13, 'a'), (13, 'b');
COMMIT;
INSERT INTO parted VALUES (14, 'c'), (1, 'b'), (15, 'a') ON CONFLICT DO NOTHING;
COPY parted FROM stdin;
16	a	\N	\N	\N	\N
17	b	\N	\N	\N	\N
\.
SELECT * FROM chains_of('parted');

-- Keys that take turns, with rows between that ON CONFLICT drops: neither counts for the other
CREATE TABLE turns (id int PRIMARY KEY, tenant text);
SELECT auditchain.protect('turns', chain_by => '{tenant}');
INSERT INTO turns VALUES (1, 'a'), (2, 'b');
INSERT INTO turns VALUES (3, 'a'), (1, 'a'), (4, 'b'), (5, 'a'), (2, 'b'), (1, 'a'), (6, 'b'), (7, 'a'), (2, 'b'), (8, 'b')
    ON CONFLICT DO NOTHING;
BEGIN;
INSERT INTO turns VALUES (9, 'a'), (1, 'a') ON CONFLICT DO NOTHING;
INSERT INTO turns VALUES (10, 'b'), (10, 'b') ON CONFLICT DO NOTHING;
SAVEPOINT s;
INSERT INTO turns VALUES (11, 'a'), (12, 'b');
ROLLBACK TO s;
INSERT INTO turns VALUES (1, 'a'), (13, 'b') ON CONFLICT DO NOTHING;
COMMIT;
INSERT INTO turns VALUES (14, 'a'), (15, 'b');
SELECT * FROM chains_of('turns');

-- The trigger belongs on logs, and nowhere else
CREATE TABLE no_log (id int);
CREATE TRIGGER t BEFORE INSERT ON no_log FOR EACH ROW EXECUTE FUNCTION auditchain._chain_entry();
INSERT INTO no_log VALUES (1);
DROP TRIGGER t ON no_log;
CREATE TRIGGER t AFTER INSERT ON no_log FOR EACH ROW EXECUTE FUNCTION auditchain._chain_entry();
INSERT INTO no_log VALUES (1);
DROP TRIGGER t ON no_log;
CREATE TRIGGER t BEFORE INSERT ON no_log EXECUTE FUNCTION auditchain._chain_entry();
INSERT INTO no_log VALUES (1);
SELECT auditchain._chain_entry();
SELECT auditchain.release('turns', 'no log any more');
CREATE TRIGGER t BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION auditchain._chain_entry();
INSERT INTO turns VALUES (20, 'a');
