-- Everybody may call the functions, which check the caller's rights on the log themselves; the
-- catalog is closed.
GRANT USAGE ON SCHEMA auditchain TO PUBLIC;
