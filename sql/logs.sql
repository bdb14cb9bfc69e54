-- The view of the logs: what a DBA looks at.

CREATE FUNCTION auditchain._mapping(log regclass) RETURNS jsonb
    STRICT STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_mapping';
COMMENT ON FUNCTION auditchain._mapping(regclass) IS
    'Columns of a log that are the fields of its exported events: those set, and usual names for the rest';

-- Runs with the caller's rights, on chains that the view has read with its own. The entries are
-- counted by the positions of the newest ones, which the index has at hand. Only where the columns
-- are of auditchain's types: the owner of a released log may give them others, whose casts and
-- operators, the owner's code, must not run as whoever looks. Its guard tells.
CREATE FUNCTION auditchain._newest(
    log              regclass,
    chains           integer[],
    time_column      name,
    OUT entries      bigint,
    OUT newest_entry timestamptz
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = log AND
            (attname, atttypid) IN (('chain_id', 'integer'::regtype), ('chain_position', 'bigint'::regtype))) < 2
    THEN
        RETURN;
    END IF;
    EXECUTE format(
        'SELECT coalesce(sum(newest.chain_position), 0), max(newest.time)
         FROM unnest($1) AS chain, LATERAL (
             SELECT e.chain_position, %s::timestamptz AS time FROM %s AS e
             WHERE e.chain_id = chain ORDER BY e.chain_position DESC LIMIT 1) AS newest',
        coalesce('e.' || quote_ident(time_column), 'NULL'), log)
    INTO entries, newest_entry USING chains;
END $$;
COMMENT ON FUNCTION auditchain._newest(regclass, integer[], name) IS
    'Number of entries in these chains of a log, and the time of the newest';

CREATE VIEW auditchain.logs WITH (security_barrier) AS
SELECT l.relation AS log,
       l.log_id,
       l.chain_by,
       l.lanes,
       l.receipts,
       coalesce(array_length(c.ids, 1), 0) AS chains,
       n.entries,
       n.newest_entry,
       auditchain._guard(l.relation) AS guard,
       m.mapping,
       l.protected_at,
       l.released_at,
       v.verified_at,
       v.verified_by,
       v.scope AS verified_scope,
       v.intact AS verified_intact,
       i.origin,
       s.tree_size AS sealed_entries,
       coalesce(s.renewed_at, s.created_at) AS sealed_at,
       CASE WHEN s.tree_size IS NULL THEN 'never' WHEN s.note IS NULL THEN 'unsigned' ELSE 'signed' END AS seal,
       coalesce(a.entries, 0) AS archived_entries,
       CASE WHEN r.log_id IS NOT NULL
            THEN format('keep %s, hot %s', coalesce(r.keep::text, 'for ever'), r.hot) END AS retention
FROM auditchain.log AS l
CROSS JOIN LATERAL (SELECT array_agg(chain_id) AS ids FROM auditchain.chain WHERE chain.log_id = l.log_id) AS c
CROSS JOIN LATERAL auditchain._mapping(l.relation) AS m(mapping)
CROSS JOIN LATERAL auditchain._newest(l.relation, c.ids, (m.mapping ->> 'timestamp')::name) AS n
LEFT JOIN LATERAL (SELECT * FROM auditchain.verification WHERE verification.log_id = l.log_id
                   ORDER BY verified_at DESC LIMIT 1) AS v ON true
LEFT JOIN LATERAL (SELECT origin FROM auditchain.incarnation WHERE incarnation.log_id = l.log_id
                   ORDER BY incarnation DESC LIMIT 1) AS i ON true
LEFT JOIN LATERAL (SELECT * FROM auditchain.checkpoint WHERE checkpoint.log_id = l.log_id
                   ORDER BY tree_size DESC, incarnation DESC LIMIT 1) AS s ON true
LEFT JOIN LATERAL (SELECT sum(entries)::bigint AS entries FROM auditchain.archive
                   WHERE archive.log_id = l.log_id) AS a ON true
LEFT JOIN auditchain.retention_policy AS r ON r.log_id = l.log_id
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.logs IS 'One row a log that the user may read';
COMMENT ON COLUMN auditchain.logs.log IS 'The table';
COMMENT ON COLUMN auditchain.logs.log_id IS 'Identity of the log, kept by dump and restore';
COMMENT ON COLUMN auditchain.logs.chain_by IS 'Members of the payload that make the key of a chain';
COMMENT ON COLUMN auditchain.logs.lanes IS 'How many parallel chains a key may have';
COMMENT ON COLUMN auditchain.logs.receipts IS 'Whether entries have receipts';
COMMENT ON COLUMN auditchain.logs.chains IS 'Chains begun so far';
COMMENT ON COLUMN auditchain.logs.entries IS 'Entries, archived ones included, by the positions of the newest of each chain';
COMMENT ON COLUMN auditchain.logs.newest_entry IS 'Time of the newest entry, by the column mapped to timestamp';
COMMENT ON COLUMN auditchain.logs.guard IS 'on, released, or what is wrong with the guard';
COMMENT ON COLUMN auditchain.logs.mapping IS 'Columns that are the fields of exported events';
COMMENT ON COLUMN auditchain.logs.protected_at IS 'When protection began';
COMMENT ON COLUMN auditchain.logs.released_at IS 'When protection ended; NULL while it lasts';
COMMENT ON COLUMN auditchain.logs.verified_at IS 'When the last recorded verification ended';
COMMENT ON COLUMN auditchain.logs.verified_by IS 'Who ran it';
COMMENT ON COLUMN auditchain.logs.verified_scope IS 'What it covered';
COMMENT ON COLUMN auditchain.logs.verified_intact IS 'Whether it found no violation';
COMMENT ON COLUMN auditchain.logs.origin IS 'Name of the log in its checkpoints, as long as it is not restored elsewhere';
COMMENT ON COLUMN auditchain.logs.sealed_entries IS 'How many entries the newest checkpoint covers';
COMMENT ON COLUMN auditchain.logs.sealed_at IS 'When that was made, or last renewed';
COMMENT ON COLUMN auditchain.logs.seal IS
    'Whether it is signed or unsigned, for want of a signing key; never where there is none';
COMMENT ON COLUMN auditchain.logs.archived_entries IS 'How many of the entries are archived, or have expired since';
COMMENT ON COLUMN auditchain.logs.retention IS 'How long entries are kept, and how long of that in the log; NULL: no policy';
GRANT SELECT ON auditchain.logs TO PUBLIC;

CREATE VIEW auditchain.verifications WITH (security_barrier) AS
SELECT l.relation AS log, v.verified_at, v.verified_by, v.scope, v.intact, v.total_events, v.violations, v.message
FROM auditchain.verification AS v JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.verifications IS
    'Verifications of logs that the user may read; those on a standby or in a read-only transaction are not recorded';
COMMENT ON COLUMN auditchain.verifications.log IS 'The table';
COMMENT ON COLUMN auditchain.verifications.verified_at IS 'When it ended';
COMMENT ON COLUMN auditchain.verifications.verified_by IS 'Session user, and the role it acted as where that is another';
COMMENT ON COLUMN auditchain.verifications.scope IS 'What was covered';
COMMENT ON COLUMN auditchain.verifications.intact IS 'Whether no violation was found';
COMMENT ON COLUMN auditchain.verifications.total_events IS 'Entries that were verified';
COMMENT ON COLUMN auditchain.verifications.violations IS 'Number of violations';
COMMENT ON COLUMN auditchain.verifications.message IS 'What verify() said';
GRANT SELECT ON auditchain.verifications TO PUBLIC;
