-- The bytes that are hashed: src/pg/payload.cpp.

CREATE FUNCTION auditchain.payload(entry anyelement) RETURNS text
    STRICT STABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_payload';
COMMENT ON FUNCTION auditchain.payload(anyelement) IS
    'The exact text hashed for an entry: SELECT auditchain.payload(e) FROM audit_events e';
