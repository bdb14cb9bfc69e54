-- Events for auditors and machines: src/pg/export*.cpp, src/pg/mapping.cpp.

CREATE FUNCTION auditchain.set_mapping(log regclass, mapping jsonb) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_set_mapping';
COMMENT ON FUNCTION auditchain.set_mapping(regclass, jsonb) IS
    'Set which columns of an owned log are id, timestamp, eventType, actor, details and teamId of its exported events, and the scope in words; null maps none, and a field left out goes to a column with a usual name';

CREATE FUNCTION auditchain.export(
    log    regclass,
    format text,
    since  timestamptz DEFAULT NULL,
    until  timestamptz DEFAULT NULL,
    filter jsonb       DEFAULT '{}'
) RETURNS SETOF text
    STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_export';
COMMENT ON FUNCTION auditchain.export(regclass, text, timestamptz, timestamptz, jsonb) IS
    'Lines of an export in the format soc2, json, jsonl or csv: entries of since <= time < until whose columns have the values in filter';

CREATE FUNCTION auditchain.export_soc2(
    log   regclass,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL
) RETURNS json
    STABLE LANGUAGE C AS 'MODULE_PATHNAME', 'auditchain_export_soc2';
COMMENT ON FUNCTION auditchain.export_soc2(regclass, timestamptz, timestamptz) IS
    'The SOC 2 document of a log in one value; export(log, ''soc2'') has it line by line';
