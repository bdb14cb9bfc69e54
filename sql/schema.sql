\echo Use "CREATE EXTENSION auditchain" to load this file. \quit

-- The one schema of auditchain. Made here, not by the control file, so that a schema that somebody
-- else made under this name is an error and not a trap.
CREATE SCHEMA auditchain;
COMMENT ON SCHEMA auditchain IS 'Tamper-evident audit logs';
