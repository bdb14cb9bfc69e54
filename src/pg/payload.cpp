#include "pg/payload.h"

#include "pg/errors.h"
#include "pg/log_cache.h"

extern "C" {
#include <access/htup_details.h>
#include <mb/pg_wchar.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
}

namespace auditchain::pg {
namespace {

// A writer with its two buffers, in the current context for as long as that lives.
struct BufferedWriter {
    PallocBuffer out{CurrentMemoryContext};
    PallocBuffer scratch{CurrentMemoryContext};
    JsonWriter json{out, scratch};
};

JsonWriter* make_json_writer() {
    return &(new (palloc(sizeof(BufferedWriter))) BufferedWriter)->json;
}

AttrNumber find_attribute(TupleDesc descriptor, const char* name) {
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0) {
            return attribute->attnum;
        }
    }
    return InvalidAttrNumber;
}

// A column of auditchain under its name and of its type: one of another type, which the owner of a
// released log may give it, must not be read as what it was.
AttrNumber find_own_column(TupleDesc descriptor, const char* name, Oid type) {
    AttrNumber attnum = find_attribute(descriptor, name);
    bool own = attnum != InvalidAttrNumber &&
               getBaseType(TupleDescAttr(descriptor, attnum - 1)->atttypid) == type;
    return own ? attnum : InvalidAttrNumber;
}

void plan_columns(const Log& log, TupleDesc descriptor, RowPlan* plan) {
    auto* columns =
        static_cast<PlannedColumn*>(palloc0(sizeof(PlannedColumn) * (log.columns.size() + 1)));
    std::size_t count = 0;
    for (const LogColumn& column : log.columns) {
        AttrNumber attnum = find_attribute(descriptor, NameStr(column.name));
        if (attnum == InvalidAttrNumber) {
            continue;
        }
        ValueWriter* writer = make_value_writer(TupleDescAttr(descriptor, attnum - 1)->atttypid,
                                                &plan->depends_on_types);
        columns[count++] = {attnum - 1, column.member, make_key(column.member), column.absent,
                            writer};
        plan->dependence |= usual_dependence(*writer);
    }
    plan->columns = {columns, count};
}

void plan_key(const Log& log, RowPlan* plan) {
    auto* key =
        static_cast<PlannedColumn*>(palloc0(sizeof(PlannedColumn) * (log.chain_by.size() + 1)));
    std::size_t count = 0;
    for (std::string_view member : log.chain_by) {
        auto column = std::find_if(plan->columns.begin(), plan->columns.end(),
                                   [member](const PlannedColumn& c) { return c.member == member; });
        if (column == plan->columns.end()) {
            ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                    errmsg("log \"%s\" has lost a column that its chains are keyed by",
                           get_rel_name(log.relation)),
                    errdetail("The column that is \"%.*s\" in payloads is missing.",
                              static_cast<int>(member.size()), member.data()));
        }
        key[count++] = *column;
    }
    plan->key = {key, count};
}

// A column that was added with a default is left out where it equals that default, and there NULL
// is written; any other column is left out where it is NULL.
void write_member(JsonWriter& json, const PlannedColumn& column, Datum value, bool null) {
    if (null && column.absent == nullptr) {
        return;
    }
    json.escaped_key(column.key);
    if (null) {
        json.null();
    } else {
        write_value(json, *column.writer, value);
    }
    if (column.absent != nullptr && json.last_value() == column.absent) {
        json.drop_member();
    }
}

// Of the columns that are not NULL: most often of none.
OutputDependence dependence_of_row(const RowPlan& plan, const bool* nulls) {
    OutputDependence dependence = 0;
    if (plan.dependence != 0) {
        for (const PlannedColumn& column : plan.columns) {
            dependence |= nulls[column.index] ? 0 : usual_dependence(*column.writer);
        }
    }
    return dependence;
}

}  // namespace

RowPlan* plan_row(const Log& log, TupleDesc descriptor) {
    auto* plan = static_cast<RowPlan*>(palloc0(sizeof(RowPlan)));
    plan->chain_id = find_own_column(descriptor, "chain_id", INT4OID);
    plan->chain_position = find_own_column(descriptor, "chain_position", INT8OID);
    plan->previous_checksum = find_own_column(descriptor, "previous_checksum", BYTEAOID);
    plan->checksum = find_own_column(descriptor, "checksum", BYTEAOID);
    plan->receipt = log.receipts ? find_own_column(descriptor, "receipt", BYTEAOID) : 0;
    plan_columns(log, descriptor, plan);
    plan_key(log, plan);
    plan->json = make_json_writer();
    return plan;
}

std::string_view write_payload(RowPlan* plan, const Datum* values, const bool* nulls) {
    JsonWriter& json = *plan->json;
    OutputSettings settings = enter_output_settings(dependence_of_row(*plan, nulls));
    json.reset();
    json.begin_object();
    for (const PlannedColumn& column : plan->columns) {
        write_member(json, column, values[column.index], nulls[column.index]);
    }
    json.end_sorted_object();
    leave_output_settings(settings);
    return json.text();
}

std::string_view write_chain_key(RowPlan* plan, const Datum* values, const bool* nulls) {
    if (plan->key.empty()) {
        return "[]";
    }
    JsonWriter& json = *plan->json;
    json.reset();
    json.begin_array();
    for (const PlannedColumn& column : plan->key) {
        if (nulls[column.index]) {
            json.null();
        } else {
            write_value(json, *column.writer, values[column.index]);
        }
    }
    json.end_array();
    return json.text();
}

std::string_view copy_chain_key(RowPlan* plan, const Datum* values, const bool* nulls) {
    std::string_view key = write_chain_key(plan, values, nulls);
    return {pnstrdup(key.data(), key.size()), key.size()};
}

char* value_as_json(Oid type, Datum value) {
    bool depends_on_types = false;
    ValueWriter* writer = make_value_writer(type, &depends_on_types);
    JsonWriter* json = make_json_writer();
    write_value(*json, *writer, value);
    return pnstrdup(json->text().data(), json->text().size());
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// payload(entry anyelement) → text: the exact bytes hashed for an entry of a log.
AUDITCHAIN_FUNCTION(auditchain_payload) {
    Oid relation = get_typ_typrelid(get_fn_expr_argtype(fcinfo->flinfo, 0));
    if (!OidIsValid(relation)) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG), errmsg("payload() takes an entry of a log"),
                errdetail("The argument is not a row of a table."),
                errhint("SELECT auditchain.payload(e) FROM some_log AS e"));
    }
    // Only now: an argument of another type must not be read as a row.
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    CachedLog& cached = require_cached_log(relation);
    HeapTupleData tuple = {};
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_data = row;
    int natts = cached.descriptor->natts;
    auto* values = static_cast<Datum*>(palloc(natts * sizeof(Datum)));
    auto* nulls = static_cast<bool*>(palloc(natts * sizeof(bool)));
    heap_deform_tuple(&tuple, cached.descriptor, values, nulls);
    std::string_view payload = write_payload(cached.plan, values, nulls);
    // Back into the server's encoding, as every text value is.
    const char* text = pg_any_to_server(payload.data(), static_cast<int>(payload.size()), PG_UTF8);
    PG_RETURN_TEXT_P(text == payload.data()
                         ? cstring_to_text_with_len(text, static_cast<int>(payload.size()))
                         : cstring_to_text(text));
}
