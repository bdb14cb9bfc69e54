-- The recipe that is in use today: a trigger in PL/pgSQL hashes each row together with the hash of the
-- row before, by pgcrypto, under an advisory lock.
CREATE EXTENSION pgcrypto;

CREATE TABLE recipe (LIKE plain INCLUDING ALL, previous_hash bytea, hash bytea);

CREATE FUNCTION chain_recipe() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4711);
    SELECT hash INTO NEW.previous_hash FROM recipe ORDER BY id DESC LIMIT 1;
    NEW.hash := digest(coalesce(encode(NEW.previous_hash, 'hex'), '') || NEW::text, 'sha256');
    RETURN NEW;
END
$$;

CREATE TRIGGER chain BEFORE INSERT ON recipe FOR EACH ROW EXECUTE FUNCTION chain_recipe();
