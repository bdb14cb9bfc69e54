-- Keys and receipts: src/pg/key_ring.cpp, src/pg/receipt.cpp.

CREATE FUNCTION auditchain.reload_keys() RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_reload_keys';
COMMENT ON FUNCTION auditchain.reload_keys() IS
    'Read the keys that the settings name anew; false, with a WARNING, when one cannot be read';
REVOKE EXECUTE ON FUNCTION auditchain.reload_keys() FROM PUBLIC;
