-- Personal fields, and the rights of those whom they are about: src/pg/personal_*.cpp. The tables are
-- written only by C functions, as the catalog is.

CREATE TABLE auditchain.personal_log (
    log_id       uuid PRIMARY KEY,
    subject      text NOT NULL,
    fields       text[] NOT NULL,
    protected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    protected_by text NOT NULL
);
COMMENT ON TABLE auditchain.personal_log IS 'Logs with personal fields';
COMMENT ON COLUMN auditchain.personal_log.log_id IS 'The log';
COMMENT ON COLUMN auditchain.personal_log.subject IS 'Member of payloads that identifies the data subject';
COMMENT ON COLUMN auditchain.personal_log.fields IS 'Members of payloads that are encrypted';
COMMENT ON COLUMN auditchain.personal_log.protected_at IS 'When this was last declared';
COMMENT ON COLUMN auditchain.personal_log.protected_by IS 'By whom';

CREATE TABLE auditchain.subject_key (
    key_id     uuid PRIMARY KEY,
    subject    bytea,
    wrapped    bytea NOT NULL,
    master     text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX subject_key_subject_idx ON auditchain.subject_key (subject);
COMMENT ON TABLE auditchain.subject_key IS 'Keys of data subjects, wrapped by a key that the database has not got';
COMMENT ON COLUMN auditchain.subject_key.key_id IS 'Id of the key, as encrypted values name it';
COMMENT ON COLUMN auditchain.subject_key.subject IS
    'Pseudonym of the subject: an HMAC of its identifier; NULL in the one row with the secret of that HMAC';
COMMENT ON COLUMN auditchain.subject_key.wrapped IS 'The key, wrapped as RFC 3394 says';
COMMENT ON COLUMN auditchain.subject_key.master IS 'Id of the personal key that it is wrapped by';
COMMENT ON COLUMN auditchain.subject_key.created_at IS 'When it was made';

SELECT pg_catalog.pg_extension_config_dump('auditchain.personal_log', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.subject_key', '');

CREATE FUNCTION auditchain.protect_fields(log regclass, subject name, fields name[]) RETURNS void
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_protect_fields'
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION auditchain.protect_fields(regclass, name, name[]) IS
    'Have these columns of a log encrypted from now on, under a key of the data subject whom each entry is about; equal identifiers are one subject in all logs';

CREATE FUNCTION auditchain.decrypt_field(field text, subject text, value anyelement) RETURNS anyelement
    STABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_decrypt_field';
COMMENT ON FUNCTION auditchain.decrypt_field(text, text, anyelement) IS
    'The value of a personal field; NULL where the key of its subject was destroyed';
REVOKE EXECUTE ON FUNCTION auditchain.decrypt_field(text, text, anyelement) FROM PUBLIC;

CREATE FUNCTION auditchain.is_erased(value anyelement) RETURNS boolean
    STRICT STABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_is_erased';
COMMENT ON FUNCTION auditchain.is_erased(anyelement) IS
    'Whether a value of a personal field is encrypted under a key that is no more';

CREATE FUNCTION auditchain.subject_access(log regclass, subject text) RETURNS SETOF text
    STRICT STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_subject_access'
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION auditchain.subject_access(regclass, text) IS
    'All entries about a data subject, archived ones included, decrypted: a JSON object a line';
REVOKE EXECUTE ON FUNCTION auditchain.subject_access(regclass, text) FROM PUBLIC;

CREATE FUNCTION auditchain.erase_subject(subject text, reason text) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_erase_subject'
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION auditchain.erase_subject(text, text) IS
    'Destroy the keys of a data subject, for a recorded reason: the personal fields of whoever has this identifier, in all logs, cannot be read any more';
REVOKE EXECUTE ON FUNCTION auditchain.erase_subject(text, text) FROM PUBLIC;

CREATE FUNCTION auditchain.subject_pseudonym(subject text) RETURNS text
    STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_subject_pseudonym'
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION auditchain.subject_pseudonym(text) IS
    'What stands for a data subject in auditchain.subject_keys and in records of erasures';
REVOKE EXECUTE ON FUNCTION auditchain.subject_pseudonym(text) FROM PUBLIC;

CREATE FUNCTION auditchain.rotate_personal_key() RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_rotate_personal_key'
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION auditchain.rotate_personal_key() IS
    'Wrap the keys of all data subjects by the newest personal key; how many were wrapped by older ones';
REVOKE EXECUTE ON FUNCTION auditchain.rotate_personal_key() FROM PUBLIC;

CREATE VIEW auditchain.personal_fields WITH (security_barrier) AS
SELECT l.relation AS log, s.column_name AS subject, c.column_name AS field
FROM auditchain.personal_log AS p JOIN auditchain.log AS l USING (log_id)
     JOIN auditchain.log_column AS s ON s.log_id = p.log_id AND s.member = p.subject
     JOIN auditchain.log_column AS c ON c.log_id = p.log_id AND c.member = ANY (p.fields)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.personal_fields IS 'Personal fields of logs that the user may read';
COMMENT ON COLUMN auditchain.personal_fields.log IS 'The table';
COMMENT ON COLUMN auditchain.personal_fields.subject IS 'The column that identifies the data subject';
COMMENT ON COLUMN auditchain.personal_fields.field IS 'The column that is encrypted';
GRANT SELECT ON auditchain.personal_fields TO PUBLIC;

-- No right to it for PUBLIC.
CREATE VIEW auditchain.subject_keys AS
SELECT key_id AS key, encode(subject, 'hex') AS subject_pseudonym, master AS personal_key, created_at
FROM auditchain.subject_key WHERE subject IS NOT NULL;
COMMENT ON VIEW auditchain.subject_keys IS 'Keys of data subjects that are not destroyed';
COMMENT ON COLUMN auditchain.subject_keys.key IS 'Id of the key, as encrypted values name it';
COMMENT ON COLUMN auditchain.subject_keys.subject_pseudonym IS 'What auditchain.subject_pseudonym() makes of the subject';
COMMENT ON COLUMN auditchain.subject_keys.personal_key IS 'Id of the personal key that it is wrapped by';
COMMENT ON COLUMN auditchain.subject_keys.created_at IS 'When it was made';
