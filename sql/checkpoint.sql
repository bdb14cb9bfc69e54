-- Checkpoints, and the Merkle tree that they are the heads of: src/pg/checkpoint.cpp, src/pg/tree.cpp,
-- src/pg/incarnation.cpp. Written only by C functions, as the catalog is.

CREATE TABLE auditchain.incarnation (
    log_id      uuid NOT NULL,
    incarnation integer NOT NULL,
    origin      text NOT NULL,
    recorded_in text NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    tree_size   bigint NOT NULL,
    PRIMARY KEY (log_id, incarnation)
);
COMMENT ON TABLE auditchain.incarnation IS 'Lives of the logs between restores';
COMMENT ON COLUMN auditchain.incarnation.log_id IS 'The log';
COMMENT ON COLUMN auditchain.incarnation.incarnation IS '1, 2, 3 ...';
COMMENT ON COLUMN auditchain.incarnation.origin IS 'Name of the log in this life, in checkpoints and keys';
COMMENT ON COLUMN auditchain.incarnation.recorded_in IS
    'System identifier and timeline of the cluster, OIDs of database and table: another one is another life';
COMMENT ON COLUMN auditchain.incarnation.begun_at IS 'When it was noticed';
COMMENT ON COLUMN auditchain.incarnation.tree_size IS 'Entries that were sealed by then';

CREATE TABLE auditchain.checkpoint (
    log_id       uuid NOT NULL,
    tree_size    bigint NOT NULL,
    incarnation  integer NOT NULL,
    root         bytea NOT NULL,
    frontier     bytea NOT NULL,
    note         text,
    verifier_key text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    renewed_at   timestamptz,
    renewed_note text,
    PRIMARY KEY (log_id, tree_size, incarnation)
);
COMMENT ON TABLE auditchain.checkpoint IS 'Heads of the Merkle trees of the logs';
COMMENT ON COLUMN auditchain.checkpoint.log_id IS 'The log';
COMMENT ON COLUMN auditchain.checkpoint.tree_size IS 'How many entries it covers';
COMMENT ON COLUMN auditchain.checkpoint.incarnation IS 'Life of the log that it was made in';
COMMENT ON COLUMN auditchain.checkpoint.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.checkpoint.frontier IS 'Hashes of the complete subtrees that the tree is made of, biggest first';
COMMENT ON COLUMN auditchain.checkpoint.note IS 'Signed note; NULL where the server had no signing key';
COMMENT ON COLUMN auditchain.checkpoint.verifier_key IS 'Public key of the note''s signature';
COMMENT ON COLUMN auditchain.checkpoint.created_at IS 'When it was made';
COMMENT ON COLUMN auditchain.checkpoint.renewed_at IS 'When there was last seen to be no newer entry';
COMMENT ON COLUMN auditchain.checkpoint.renewed_note IS 'The same checkpoint, cosigned at that time';

CREATE TABLE auditchain.daily_root (
    log_id    uuid NOT NULL,
    day       date NOT NULL,
    tree_size bigint NOT NULL,
    root      bytea NOT NULL,
    note      text,
    PRIMARY KEY (log_id, day)
);
COMMENT ON TABLE auditchain.daily_root IS 'The first checkpoint of each day (UTC)';
COMMENT ON COLUMN auditchain.daily_root.log_id IS 'The log';
COMMENT ON COLUMN auditchain.daily_root.day IS 'The day that begins with it';
COMMENT ON COLUMN auditchain.daily_root.tree_size IS 'How many entries it covers';
COMMENT ON COLUMN auditchain.daily_root.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.daily_root.note IS 'Signed note; NULL where the server had no signing key';

CREATE TABLE auditchain.sealed_range (
    log_id         uuid NOT NULL,
    first_leaf     bigint NOT NULL,
    chain_id       integer NOT NULL,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    PRIMARY KEY (log_id, first_leaf),
    UNIQUE (log_id, chain_id, first_position)
);
COMMENT ON TABLE auditchain.sealed_range IS 'Which entries are which leaves of the Merkle tree';
COMMENT ON COLUMN auditchain.sealed_range.log_id IS 'The log';
COMMENT ON COLUMN auditchain.sealed_range.first_leaf IS 'Leaf of the first entry, from 0';
COMMENT ON COLUMN auditchain.sealed_range.chain_id IS 'Chain of the entries';
COMMENT ON COLUMN auditchain.sealed_range.first_position IS 'Position of the first entry';
COMMENT ON COLUMN auditchain.sealed_range.last_position IS 'Position of the last entry';

CREATE TABLE auditchain.tree_hash (
    log_id uuid NOT NULL,
    level  smallint NOT NULL,
    index  bigint NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (log_id, level, index)
);
COMMENT ON TABLE auditchain.tree_hash IS
    'Hashes of complete subtrees of 256, 65536, ... leaves, and of smaller ones that are archived; others are computed';
COMMENT ON COLUMN auditchain.tree_hash.log_id IS 'The log';
COMMENT ON COLUMN auditchain.tree_hash.level IS 'The subtree has 2^level leaves; below 8 all are archived';
COMMENT ON COLUMN auditchain.tree_hash.index IS 'It begins at leaf index * 2^level';
COMMENT ON COLUMN auditchain.tree_hash.hash IS 'Hash of the subtree (RFC 6962)';

CREATE TABLE auditchain.epoch_seal (
    log_id      uuid NOT NULL,
    epoch       bigint NOT NULL,
    incarnation integer NOT NULL,
    tree_size   bigint NOT NULL,
    root        bytea NOT NULL,
    sealed_at   timestamptz NOT NULL,
    mac         bytea NOT NULL,
    PRIMARY KEY (log_id, epoch)
);
COMMENT ON TABLE auditchain.epoch_seal IS
    'The newest tree of each epoch, of logs with receipts, authenticated by the evolving receipt key';
COMMENT ON COLUMN auditchain.epoch_seal.log_id IS 'The log';
COMMENT ON COLUMN auditchain.epoch_seal.epoch IS 'Epoch of the receipt key';
COMMENT ON COLUMN auditchain.epoch_seal.incarnation IS 'Life of the log';
COMMENT ON COLUMN auditchain.epoch_seal.tree_size IS 'How many entries the tree covers';
COMMENT ON COLUMN auditchain.epoch_seal.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.epoch_seal.sealed_at IS 'When';
COMMENT ON COLUMN auditchain.epoch_seal.mac IS 'MAC over all of it, by the key of the epoch';

SELECT pg_catalog.pg_extension_config_dump('auditchain.incarnation', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.daily_root', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.sealed_range', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.tree_hash', '');
SELECT pg_catalog.pg_extension_config_dump('auditchain.epoch_seal', '');

CREATE PROCEDURE auditchain.checkpoint(log regclass)
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_checkpoint';
COMMENT ON PROCEDURE auditchain.checkpoint(regclass) IS
    'Seal all entries of a log that are not sealed yet with a checkpoint, signed where the server has a signing key';

CREATE FUNCTION auditchain._published(log_id uuid, tree_size bigint, root bytea, note text) RETURNS text
    STABLE LANGUAGE sql
    RETURN coalesce(note, format(E'auditchain/%s\n%s\n%s\n', log_id, tree_size, encode(root, 'base64')));
COMMENT ON FUNCTION auditchain._published(uuid, bigint, bytea, text) IS
    'A checkpoint as text: its note, or the bare checkpoint where it is not signed';

CREATE VIEW auditchain.checkpoints WITH (security_barrier) AS
SELECT l.relation AS log, c.incarnation, c.tree_size, c.root, c.note, c.verifier_key,
       c.created_at, c.renewed_at, c.renewed_note,
       auditchain._published(l.log_id, c.tree_size, c.root, c.note) AS publish
FROM auditchain.checkpoint AS c JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.checkpoints IS 'Checkpoints of logs that the user may read';
COMMENT ON COLUMN auditchain.checkpoints.log IS 'The table';
COMMENT ON COLUMN auditchain.checkpoints.incarnation IS 'Life of the log that it was made in';
COMMENT ON COLUMN auditchain.checkpoints.tree_size IS 'How many entries it covers';
COMMENT ON COLUMN auditchain.checkpoints.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.checkpoints.note IS 'Signed note; NULL where the server had no signing key';
COMMENT ON COLUMN auditchain.checkpoints.verifier_key IS 'Public key of the note''s signature';
COMMENT ON COLUMN auditchain.checkpoints.created_at IS 'When it was made';
COMMENT ON COLUMN auditchain.checkpoints.renewed_at IS 'When there was last seen to be no newer entry';
COMMENT ON COLUMN auditchain.checkpoints.renewed_note IS 'The same checkpoint, cosigned at that time';
COMMENT ON COLUMN auditchain.checkpoints.publish IS
    'The note, or the bare checkpoint where it is not signed: what a timestamp is of';
GRANT SELECT ON auditchain.checkpoints TO PUBLIC;

CREATE VIEW auditchain.daily_roots WITH (security_barrier) AS
SELECT l.relation AS log, d.day, d.tree_size, d.root, d.note,
       auditchain._published(l.log_id, d.tree_size, d.root, d.note) AS publish
FROM auditchain.daily_root AS d JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.daily_roots IS
    'The first checkpoint of each day (UTC) of logs that the user may read';
COMMENT ON COLUMN auditchain.daily_roots.log IS 'The table';
COMMENT ON COLUMN auditchain.daily_roots.day IS 'The day that begins with it';
COMMENT ON COLUMN auditchain.daily_roots.tree_size IS 'How many entries it covers';
COMMENT ON COLUMN auditchain.daily_roots.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.daily_roots.note IS 'Signed note; NULL where the server had no signing key';
COMMENT ON COLUMN auditchain.daily_roots.publish IS
    'Text for a web page, a WORM bucket or a mailing list: the note, or the bare checkpoint where it is not signed';
GRANT SELECT ON auditchain.daily_roots TO PUBLIC;

CREATE VIEW auditchain.epoch_seals WITH (security_barrier) AS
SELECT l.relation AS log, s.epoch, s.incarnation, s.tree_size, s.root, s.sealed_at, s.mac
FROM auditchain.epoch_seal AS s JOIN auditchain.log AS l USING (log_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.epoch_seals IS
    'The newest tree of each epoch, of logs with receipts that the user may read';
COMMENT ON COLUMN auditchain.epoch_seals.log IS 'The table';
COMMENT ON COLUMN auditchain.epoch_seals.epoch IS 'Epoch of the receipt key';
COMMENT ON COLUMN auditchain.epoch_seals.incarnation IS 'Life of the log';
COMMENT ON COLUMN auditchain.epoch_seals.tree_size IS 'How many entries the tree covers';
COMMENT ON COLUMN auditchain.epoch_seals.root IS 'Root hash (RFC 6962)';
COMMENT ON COLUMN auditchain.epoch_seals.sealed_at IS 'When';
COMMENT ON COLUMN auditchain.epoch_seals.mac IS 'MAC over all of it, by the key of the epoch';
GRANT SELECT ON auditchain.epoch_seals TO PUBLIC;

CREATE VIEW auditchain.sealed_ranges WITH (security_barrier) AS
SELECT l.relation AS log, s.first_leaf, s.chain_id, c.key || '/' || c.lane AS chain, s.first_position, s.last_position
FROM auditchain.sealed_range AS s JOIN auditchain.log AS l USING (log_id)
LEFT JOIN auditchain.chain AS c USING (chain_id)
WHERE has_table_privilege(l.relation, 'SELECT');
COMMENT ON VIEW auditchain.sealed_ranges IS
    'Which entries are which leaves of the Merkle tree, of logs that the user may read';
COMMENT ON COLUMN auditchain.sealed_ranges.log IS 'The table';
COMMENT ON COLUMN auditchain.sealed_ranges.first_leaf IS 'Leaf of the first entry, from 0';
COMMENT ON COLUMN auditchain.sealed_ranges.chain_id IS 'Number of the chain of the entries';
COMMENT ON COLUMN auditchain.sealed_ranges.chain IS 'Its name';
COMMENT ON COLUMN auditchain.sealed_ranges.first_position IS 'Position of the first entry';
COMMENT ON COLUMN auditchain.sealed_ranges.last_position IS 'Position of the last entry';
GRANT SELECT ON auditchain.sealed_ranges TO PUBLIC;

CREATE FUNCTION auditchain.verifier_key(log regclass) RETURNS text
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verifier_key';
COMMENT ON FUNCTION auditchain.verifier_key(regclass) IS
    'Public key of the log''s checkpoints: a C2SP vkey';

CREATE FUNCTION auditchain.leaf(entry anyelement) RETURNS text
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_leaf';
COMMENT ON FUNCTION auditchain.leaf(anyelement) IS
    'The text that stands for an entry in the Merkle tree and under its receipt';

CREATE FUNCTION auditchain.inclusion_proof(log regclass, chain_id integer, "position" bigint) RETURNS text
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_inclusion_proof';
COMMENT ON FUNCTION auditchain.inclusion_proof(regclass, integer, bigint) IS
    'Proof that an entry is in the log, against its newest checkpoint: a C2SP tlog-proof';

CREATE FUNCTION auditchain.consistency_proof(log regclass, old_size bigint, new_size bigint) RETURNS text[]
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_consistency_proof';
COMMENT ON FUNCTION auditchain.consistency_proof(regclass, bigint, bigint) IS
    'Proof that the log of old_size entries is the beginning of that of new_size entries: hashes in base64, RFC 6962 order';

CREATE FUNCTION auditchain.verify_inclusion(proof text, leaf text, verifier_key text) RETURNS boolean
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_inclusion';
COMMENT ON FUNCTION auditchain.verify_inclusion(text, text, text) IS
    'Whether a C2SP tlog-proof shows that a leaf is in the log whose key this is; needs no log';

CREATE FUNCTION auditchain.verify_consistency(old_size bigint, old_root bytea, new_size bigint, new_root bytea, proof text[])
    RETURNS boolean
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_consistency';
COMMENT ON FUNCTION auditchain.verify_consistency(bigint, bytea, bigint, bytea, text[]) IS
    'Whether a proof shows that one tree is the beginning of another; needs no log';

CREATE FUNCTION auditchain.verify_note(note text, verifier_key text) RETURNS boolean
    STRICT IMMUTABLE PARALLEL SAFE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_note';
COMMENT ON FUNCTION auditchain.verify_note(text, text) IS
    'Whether a signed note has a valid signature by this key; needs no log';

CREATE FUNCTION auditchain.verify_since(
    log                 regclass,
    tree_size           bigint,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_since_size';
COMMENT ON FUNCTION auditchain.verify_since(regclass, bigint) IS
    'Verify the entries of a log that are newer than a checkpoint, and that the log still begins with it';

CREATE FUNCTION auditchain.verify_since(
    log                 regclass,
    checkpoint          text,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_since_note';
COMMENT ON FUNCTION auditchain.verify_since(regclass, text) IS
    'Verify the entries of a log that are newer than a checkpoint, and that the log still begins with it';

CREATE FUNCTION auditchain.verify_head(
    log                 regclass,
    OUT intact          boolean,
    OUT total_events    bigint,
    OUT verified_events bigint,
    OUT chains          integer,
    OUT checkpoints     integer,
    OUT violations      bigint,
    OUT message         text
) RETURNS record
    STRICT LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_verify_head';
COMMENT ON FUNCTION auditchain.verify_head(regclass) IS
    'Verify the newest entries of a log against its newest checkpoint, without reading the log';
