#include "pg/export_query.h"

#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/filter.h"
#include "pg/payload.h"

extern "C" {
#include <catalog/pg_type.h>
#include <executor/executor.h>
#include <lib/stringinfo.h>
#include <tcop/dest.h>
#include <tcop/tcopprot.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

void append_filters(StringInfo sql, const Log& log, Jsonb* filter) {
    for_each_filter_member(filter, [&](const char* column, JsonbValue* value) {
        appendStringInfoString(sql, " AND ");
        append_filter(sql, log.relation, column, value);
    });
}

}  // namespace

void append_time_bound(StringInfo sql, const Log& log, const LogColumn& column, const char* op,
                       TimestampTz bound) {
    Oid type = get_atttype(log.relation, get_attnum(log.relation, NameStr(column.name)));
    const char* json = value_as_json(TIMESTAMPTZOID, TimestampTzGetDatum(bound));
    const char* text = pnstrdup(json + 1, strlen(json) - 2);
    appendStringInfo(sql, " AND e.%s OPERATOR(pg_catalog.%s) '%s'::pg_catalog.timestamptz%s",
                     quote_identifier(NameStr(column.name)), op, text,
                     getBaseType(type) == TIMESTAMPTZOID ? "" : " AT TIME ZONE 'UTC'");
}

void append_time_range(StringInfo sql, const Log& log, const Mapping& mapping,
                       const Selection& selection) {
    const LogColumn* column = mapping.columns[kFieldTimestamp];
    if (selection.since == nullptr && selection.until == nullptr) {
        return;
    }
    if (column == nullptr) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no time column that since and until could refer to",
                       get_rel_name(log.relation)),
                errdetail("No column is mapped to the field \"timestamp\" of its events."),
                errhint("SELECT auditchain.set_mapping('%s', '{\"timestamp\": \"a column\"}')",
                        qualified_name(log.relation)));
    }
    if (selection.since != nullptr) {
        append_time_bound(sql, log, *column, ">=", *selection.since);
    }
    if (selection.until != nullptr) {
        append_time_bound(sql, log, *column, "<", *selection.until);
    }
}

const char* entry_query(const Log& log, const Mapping& mapping, const Selection& selection) {
    require_visible(log);
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT ");
    const char* separator = "";
    for (const char* own : own_columns(log.receipts)) {
        appendStringInfo(&sql, "%se.%s", separator, own);
        separator = ", ";
    }
    for (const LogColumn& column : log.columns) {
        appendStringInfo(&sql, ", e.%s", quote_identifier(NameStr(column.name)));
    }
    // Rows that came after a release are no entries; under protection such a row is shown.
    appendStringInfo(&sql, " FROM %s e WHERE %s", from_item(log.relation),
                     log.released ? "e.chain_id IS NOT NULL" : "true");
    append_time_range(&sql, log, mapping, selection);
    if (selection.filter != nullptr) {
        append_filters(&sql, log, selection.filter);
    }
    appendStringInfoString(&sql, " ORDER BY e.chain_id, e.chain_position");
    return sql.data;
}

struct RowSource {
    DestReceiver destination;  // first: the executor hands it back to receive()
    RowReceiver receiver;
    QueryDesc* query;
};

namespace {

bool receive(TupleTableSlot* slot, DestReceiver* self) {
    const RowReceiver& receiver = reinterpret_cast<RowSource*>(self)->receiver;
    slot_getallattrs(slot);
    receiver.take(receiver.state, slot);
    return true;
}

PlannedStmt* plan_query(const char* sql) {
    auto* statement = linitial_node(RawStmt, pg_parse_query(sql));
    int guc_level = forbid_row_security();
    List* queries = pg_analyze_and_rewrite_fixedparams(statement, sql, nullptr, 0, nullptr);
    List* plans = pg_plan_queries(queries, sql, CURSOR_OPT_NO_SCROLL, nullptr);
    AtEOXact_GUC(true, guc_level);
    return linitial_node(PlannedStmt, plans);
}

}  // namespace

RowSource* open_rows(const char* sql, const RowReceiver& receiver) {
    auto* source = static_cast<RowSource*>(palloc0(sizeof(RowSource)));
    source->destination = {receive, [](DestReceiver*, int, TupleDesc) {}, [](DestReceiver*) {},
                           [](DestReceiver*) {}, DestNone};
    source->receiver = receiver;
    source->query = CreateQueryDesc(plan_query(sql), sql, GetActiveSnapshot(), InvalidSnapshot,
                                    &source->destination, nullptr, nullptr, 0);
    ExecutorStart(source->query, 0);
    return source;
}

TupleDesc row_descriptor(const RowSource& source) {
    return source.query->tupDesc;
}

void run_to_next_row(RowSource* source) {
    PushActiveSnapshot(source->query->snapshot);
    compat::executor_run(source->query, 1);
    PopActiveSnapshot();
}

void close_rows(RowSource* source) {
    ExecutorFinish(source->query);
    ExecutorEnd(source->query);
    FreeQueryDesc(source->query);
}

}  // namespace auditchain::pg
