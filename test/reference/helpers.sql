-- What the test of random tampering does in the database, as a superuser.
CREATE SCHEMA tampering;
SET search_path = tampering, pg_catalog;

CREATE FUNCTION tables_of(log regclass) RETURNS SETOF regclass LANGUAGE sql AS
    $$ SELECT relid FROM pg_partition_tree(log) UNION SELECT log $$;

-- Lets all pass: any change, any value, two rows at one position.
CREATE PROCEDURE guard_off(log regclass) LANGUAGE plpgsql AS $$
DECLARE
    target regclass;
BEGIN
    FOR target IN SELECT tampering.tables_of(log) LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', target);
    END LOOP;
    EXECUTE format('ALTER TABLE %s ALTER chain_id DROP NOT NULL, ALTER chain_position DROP NOT NULL,
        ALTER previous_checksum DROP NOT NULL, ALTER checksum DROP NOT NULL,
        DROP CONSTRAINT IF EXISTS %I', log, log || '_chain_id_chain_position_key');
END $$;

-- As it was, as far as the rows let it.
CREATE PROCEDURE guard_on(log regclass) LANGUAGE plpgsql AS $$
DECLARE
    target regclass;
    trigger name;
BEGIN
    FOR target, trigger IN
        SELECT tgrelid, tgname FROM pg_trigger
        WHERE tgrelid IN (SELECT tampering.tables_of(log)) AND NOT tgisinternal AND tgenabled <> 'A'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', target, trigger);
    END LOOP;
    IF (SELECT relkind = 'r' FROM pg_class WHERE oid = log) THEN
        EXECUTE format('ALTER TABLE %s ADD UNIQUE (chain_id, chain_position)', log);
    END IF;
EXCEPTION WHEN unique_violation THEN
    RETURN;
END $$;

-- What somebody who knows the format does behind a change: one checksum computed anew, or all from
-- a position on.
CREATE PROCEDURE rehash(log regclass, which int) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE %s e SET checksum =
        sha256(convert_to(encode(previous_checksum, ''hex'') || auditchain.payload(e), ''UTF8''))
        WHERE id = %s', log, which);
END $$;

CREATE PROCEDURE rewrite(log regclass, chain int, start bigint) LANGUAGE plpgsql AS $$
DECLARE
    entry record;
    before bytea;
BEGIN
    EXECUTE format('SELECT checksum FROM %s WHERE chain_id = $1 AND chain_position = $2', log)
        INTO before USING chain, start - 1;
    FOR entry IN EXECUTE format('SELECT tableoid::regclass AS leaf, ctid, auditchain.payload(e) FROM %s e
        WHERE chain_id = $1 AND chain_position >= $2 ORDER BY chain_position', log) USING chain, start
    LOOP
        before := coalesce(before, decode(repeat('00', 32), 'hex'));
        EXECUTE format('UPDATE %s SET previous_checksum = $1,
            checksum = sha256(convert_to(encode($1, ''hex'') || $2, ''UTF8''))
            WHERE ctid = $3 RETURNING checksum', entry.leaf)
            INTO before USING before, entry.payload, entry.ctid;
    END LOOP;
END $$;

-- All rows, and what verification says of them.
CREATE FUNCTION observe(log regclass) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    entries jsonb;
    found jsonb;
    summary jsonb;
BEGIN
    EXECUTE format($f$SELECT jsonb_agg(jsonb_build_object('id', id, 'tenant', tenant, 'chain', chain_id,
        'position', chain_position, 'previous', encode(previous_checksum, 'hex'),
        'checksum', encode(checksum, 'hex'), 'payload', auditchain.payload(e))) FROM %s e$f$, log) INTO entries;
    SELECT jsonb_agg(v) INTO found FROM auditchain.violations(log) v;
    SELECT to_jsonb(v) INTO summary FROM auditchain.verify(log) v;
    RETURN jsonb_build_object('rows', entries, 'violations', found, 'verify', summary, 'guarded', NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid IN (SELECT tampering.tables_of(log))
        AND NOT tgisinternal AND tgenabled <> 'A') AND EXISTS (
        SELECT FROM pg_class c LEFT JOIN pg_constraint u ON u.conrelid = c.oid AND u.contype = 'u'
        WHERE c.oid = log AND (c.relkind = 'p' OR u.conname = log || '_chain_id_chain_position_key')));
END $$;

-- Logs of every sort. Of those that have no primary key, rows can be copied as they are.
CREATE TABLE public.strict (id int PRIMARY KEY, tenant text, note text);
CREATE TABLE public.lanes (id int, tenant text, note text);
CREATE TABLE public.keyed (id int PRIMARY KEY, tenant text, note text);
CREATE TABLE public.parted (id int, tenant text, note text) PARTITION BY RANGE (id);
CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (18);
CREATE TABLE public.parted_2 (note text, tenant text, id int);
ALTER TABLE public.parted ATTACH PARTITION public.parted_2 DEFAULT;

SELECT auditchain.protect('public.strict', lanes => 1);
SELECT auditchain.protect('public.lanes', lanes => 3);
SELECT auditchain.protect('public.keyed', chain_by => '{tenant}', lanes => 1);
SELECT auditchain.protect('public.parted', chain_by => '{tenant}', lanes => 1);

INSERT INTO public.strict SELECT i, 'a', 'note ' || i FROM generate_series(1, 24) i;
INSERT INTO public.keyed SELECT i, chr(97 + i % 3), 'note ' || i FROM generate_series(1, 34) i;
INSERT INTO public.parted SELECT i, chr(97 + i % 3), 'note ' || i FROM generate_series(1, 34) i;
-- A lane is taken until its transaction ends.
BEGIN;
INSERT INTO public.lanes SELECT i, 'a', 'note ' || i FROM generate_series(1, 10) i;
PREPARE TRANSACTION 'first';
BEGIN;
INSERT INTO public.lanes SELECT i, 'a', 'note ' || i FROM generate_series(11, 23) i;
PREPARE TRANSACTION 'second';
INSERT INTO public.lanes SELECT i, 'a', 'note ' || i FROM generate_series(24, 32) i;
COMMIT PREPARED 'first';
COMMIT PREPARED 'second';
