-- Keys and receipts: src/pg/key_ring.cpp, src/pg/verify_receipt.cpp.

CREATE FUNCTION auditchain.reload_keys() RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_reload_keys';
COMMENT ON FUNCTION auditchain.reload_keys() IS
    'Read the keys that the settings name anew; false, with a WARNING, when one cannot be read';
REVOKE EXECUTE ON FUNCTION auditchain.reload_keys() FROM PUBLIC;

CREATE FUNCTION auditchain.verify_receipt(log regclass, chain_id integer, "position" bigint) RETURNS boolean
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_receipt';
COMMENT ON FUNCTION auditchain.verify_receipt(regclass, integer, bigint) IS
    'Whether the entry at this place is what its receipt was made for';
