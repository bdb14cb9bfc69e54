-- The usual audit table, some 200 bytes a row: one to read from, one to compare with, and a log.
CREATE EXTENSION auditchain;

CREATE TABLE source (
    id          bigint PRIMARY KEY,
    request     uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    details     jsonb
);
CREATE TABLE plain (LIKE source INCLUDING ALL);
CREATE TABLE log (LIKE source INCLUDING ALL);
SELECT auditchain.protect('log');

-- The same with two personal fields, of a thousand data subjects.
CREATE TABLE personal (LIKE source INCLUDING ALL);
SELECT auditchain.protect('personal');
ALTER SYSTEM SET auditchain.personal_key_command = 'printf %064d 1';
SELECT pg_reload_conf(), pg_sleep(1);
SELECT auditchain.reload_keys();
SELECT auditchain.protect_fields('personal', 'actor', '{action, details}');

INSERT INTO source
SELECT n, md5(n::text)::uuid, '2026-05-09 14:22:08+00'::timestamptz + n * interval '1.001 s',
       'user_' || n % 1000, 'invoice.updated',
       '{"invoice": 4711, "total": 250.00, "currency": "EUR", "ip": "192.0.2.17", "paid": true}'
FROM generate_series(1, :rows) n;
VACUUM ANALYZE;
