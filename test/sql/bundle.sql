-- Arguments and rights of bundle(); what is in bundles is tested by test/tap/040_bundle.pl.
CREATE TABLE bundled (id int PRIMARY KEY, occurred_at timestamptz, note text);
SELECT auditchain.protect('bundled');
INSERT INTO bundled SELECT n, '2026-05-09Z', 'x' FROM generate_series(1, 10) n;

-- Arguments
SELECT auditchain.bundle(NULL);
SELECT auditchain.bundle('bundled', encrypt => NULL);
SELECT auditchain.bundle('pg_class');

-- What is not sealed, and what is not signed, as this server has no key
SELECT auditchain.bundle('bundled');
CALL auditchain.checkpoint('bundled');
SELECT auditchain.bundle('bundled');
SELECT auditchain.bundle('bundled', '2026-05-09Z', '2026-05-10Z');

-- Who may not read all of the log gets no bundle
CREATE ROLE bundler;
SET ROLE bundler;
SELECT auditchain.bundle('bundled');
RESET ROLE;
GRANT SELECT (id, note) ON bundled TO bundler;
SET ROLE bundler;
SELECT auditchain.bundle('bundled');
RESET ROLE;
GRANT SELECT ON bundled TO bundler;
SET ROLE bundler;
SELECT auditchain.bundle('bundled');
RESET ROLE;
ALTER TABLE bundled ENABLE ROW LEVEL SECURITY;
SET ROLE bundler;
SELECT auditchain.bundle('bundled');
RESET ROLE;
REVOKE ALL ON bundled FROM bundler;
DROP ROLE bundler;
