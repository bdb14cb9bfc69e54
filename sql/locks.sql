-- Who extends which chain, and who waits for whom: src/pg/chain_lock.cpp.

CREATE FUNCTION auditchain._lock_number(key text) RETURNS oid
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_lock_number';
COMMENT ON FUNCTION auditchain._lock_number(text) IS
    'The objid under which pg_locks shows the locks of a key''s chains';

-- The join is by hash, so that a hundred thousand keys cost one pass.
CREATE VIEW auditchain.chain_locks WITH (security_barrier) AS
SELECT k.pid,
       l.relation AS log,
       k.objsubid AS lane,
       array_agg(c.key ORDER BY c.key) FILTER (WHERE c.key IS NOT NULL) AS keys,
       k.granted,
       k.waitstart AS waiting_since,
       pg_blocking_pids(k.pid) AS blocked_by
FROM pg_locks AS k
JOIN auditchain.log AS l ON k.classid = l.relation::oid
LEFT JOIN auditchain.chain AS c ON c.log_id = l.log_id AND c.lane = k.objsubid AND auditchain._lock_number(c.key) = k.objid
WHERE k.locktype = 'object'
  AND k.objid <> 4294967295::oid -- of sealers: src/pg/checkpoint.cpp
  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND has_table_privilege(l.relation, 'SELECT')
GROUP BY k.pid, l.relation, k.objsubid, k.objid, k.granted, k.waitstart;
COMMENT ON VIEW auditchain.chain_locks IS
    'Sessions that extend a chain of a log which the user may read, or wait to';
COMMENT ON COLUMN auditchain.chain_locks.pid IS 'Process of the session; NULL for a prepared transaction';
COMMENT ON COLUMN auditchain.chain_locks.log IS 'The log';
COMMENT ON COLUMN auditchain.chain_locks.lane IS 'Lane of the chain';
COMMENT ON COLUMN auditchain.chain_locks.keys IS
    'Keys that the lock can stand for, of the chains begun so far: several where a log has thousands';
COMMENT ON COLUMN auditchain.chain_locks.granted IS 'Whether the session has the chain, or waits for it';
COMMENT ON COLUMN auditchain.chain_locks.waiting_since IS 'When it queued for the lock';
COMMENT ON COLUMN auditchain.chain_locks.blocked_by IS 'Processes that the session waits for';
GRANT SELECT ON auditchain.chain_locks TO PUBLIC;
