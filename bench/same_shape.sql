-- A table with the columns and the index of a log, filled by defaults: what a log costs at least, however
-- fast its trigger.
CREATE SEQUENCE positions CACHE 100;

CREATE TABLE same_shape (
    LIKE plain INCLUDING ALL,
    chain_id          integer DEFAULT 1,
    chain_position    bigint DEFAULT nextval('positions'),
    previous_checksum bytea DEFAULT decode(repeat('ab', 32), 'hex'),
    checksum          bytea DEFAULT decode(repeat('cd', 32), 'hex'),
    UNIQUE (chain_id, chain_position)
);
