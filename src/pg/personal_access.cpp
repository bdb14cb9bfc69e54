// subject_access(): everything that a log and its archives have about a data subject.

#include "pg/chain_row.h"
#include "pg/cold_table.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/personal_fields.h"
#include "pg/retention.h"
#include "pg/tree.h"

extern "C" {
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <utils/guc.h>
#include <utils/json.h>
#include <utils/lsyscache.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

const char* from_utf8(std::string_view utf8) {
    const char* text = pstrdup(pnstrdup(utf8.data(), utf8.size()));
    return pg_any_to_server(text, static_cast<int>(utf8.size()), PG_UTF8);
}

const char* hex_of(const Digest& digest) {
    auto* hex = static_cast<char*>(palloc0(kDigestHexSize + 1));
    write_hex(digest.bytes.data(), digest.bytes.size(), hex);
    return hex;
}

// The entry as it was written, as canonical JSON. What is erased is left out, and named in
// `erased`.
std::string_view decrypt_entry(EntryScan* scan, PersonalPlan* plan, StringInfo erased) {
    int count = scan->batch->tupdesc->natts;
    auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * count));
    auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * count));
    memcpy(values, scan->values, sizeof(Datum) * count);
    memcpy(nulls, scan->nulls, sizeof(bool) * count);
    const char* subject = subject_of(plan, values, nulls);
    for (const PersonalField& field : plan->fields) {
        const char* member = member_text(*field.column);
        if (!nulls[field.index] &&
            !decrypt_personal_field(member, subject, field.type, values[field.index],
                                    &values[field.index])) {
            nulls[field.index] = true;
            appendStringInfoString(erased, erased->len > 0 ? "," : "");
            escape_json(erased, member);
        }
    }
    return write_payload(scan->plan, values, nulls);
}

void append_text(StringInfo line, const char* name, const char* value) {
    appendStringInfo(line, "\"%s\":", name);
    escape_json(line, value);
    appendStringInfoChar(line, ',');
}

void append_place(StringInfo line, const Log& log, const ScannedEntry& entry) {
    ChainName chain;
    if (find_log_chain(log.id, entry.chain_id, &chain)) {
        append_text(line, "chain", from_utf8(chain_name(chain.key, chain.lane)));
    }
    std::int64_t leaf = find_leaf(log, entry.chain_id, entry.entry.position);
    appendStringInfo(line, "\"chain_id\":%d,\"position\":%lld,\"leaf\":%s,", entry.chain_id,
                     static_cast<long long>(entry.entry.position),
                     leaf < 0 ? "null" : psprintf("%lld", static_cast<long long>(leaf)));
    append_text(line, "previous_checksum", hex_of(entry.entry.previous));
    append_text(line, "checksum", hex_of(entry.entry.checksum));
}

struct Access {
    const Log* log;
    const char* subject;
    ReturnSetInfo* result;
};

// One line for the entry that the scan read last.
Datum make_line(const Access& access, EntryScan* scan, PersonalPlan* plan,
                const ScannedEntry& entry) {
    StringInfoData line;
    StringInfoData erased;
    initStringInfo(&line);
    initStringInfo(&erased);
    appendStringInfoChar(&line, '{');
    append_text(&line, "log", qualified_name(access.log->relation));
    append_text(&line, "log_id", access.log->id_text);
    Oid relation = scan->log->relation;
    if (relation != access.log->relation) {
        append_text(&line, "archived_in", qualified_name(relation));
    }
    append_place(&line, *access.log, entry);
    append_text(&line, "payload", from_utf8(scanned_payload(scan)));
    appendStringInfo(&line, "\"entry\":%s,", from_utf8(decrypt_entry(scan, plan, &erased)));
    appendStringInfo(&line, "\"erased\":[%s]}", erased.data);
    return CStringGetTextDatum(line.data);
}

// The entries of the subject in the log, or in one of its cold tables. SPI is connected.
void put_entries(const Access& access, const Log& read_as) {
    const char* condition =
        psprintf("e.%s::text = %s", quote_identifier(subject_column(*access.log, read_as.relation)),
                 quote_literal_cstr(access.subject));
    EntryScan* scan = open_entries(read_as, condition);
    TupleDesc descriptor = scan->portal->tupDesc;
    // Before a row is fetched: it refuses a subject whose type has casts of somebody's own.
    PersonalPlan* plan = read_as.relation == access.log->relation
                             ? plan_personal_fields(read_as, descriptor)
                             : plan_archived_fields(read_as, descriptor);
    ScannedEntry entry = {};
    while (next_entry(scan, &entry)) {
        MemoryContext caller = MemoryContextSwitchTo(scan->row_context);
        Datum line = make_line(access, scan, plan, entry);
        bool null = false;
        tuplestore_putvalues(access.result->setResult, access.result->setDesc, &line, &null);
        MemoryContextSwitchTo(caller);
    }
    close_entries(scan);
}

void put_archived_entries(const Access& access) {
    const Log& log = *access.log;
    // The cold tables are the owner's. Who may read the log may read what has left it.
    OwnerWork work = begin_owner_work(log);
    ListCell* cell;
    foreach (cell, archive_tables(log)) {
        if (OidIsValid(lfirst_oid(cell))) {
            put_entries(access, cold_log(log, lfirst_oid(cell)));
            continue;
        }
        ereport(WARNING,
                errmsg("archives of log \"%s\" that are files were not read",
                       get_rel_name(log.relation)),
                errdetail("They may have entries about the subject, too."),
                errhint("The view auditchain.archives lists them."));
    }
    end_owner_work(work);
}

void put_own_entries(const Access& access) {
    SPI_connect();
    int guc_level = forbid_row_security();
    put_entries(access, *access.log);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// subject_access(log regclass, subject text) → SETOF text
AUDITCHAIN_FUNCTION(auditchain_subject_access) {
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    const Log& log = require_log(PG_GETARG_OID(0));
    if (read_declaration(log).subject == nullptr) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no personal fields", get_rel_name(log.relation)),
                errdetail("So nothing says which column identifies data subjects."),
                errhint("SELECT auditchain.protect_fields('%s', 'subject', '{field}')",
                        qualified_name(log.relation)));
    }
    require_readable(log);
    Access access = {&log, text_to_cstring(PG_GETARG_TEXT_PP(1)),
                     reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo)};
    put_archived_entries(access);
    put_own_entries(access);
    return 0;
}
