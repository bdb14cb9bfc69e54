#include "pg/row_reader.h"

#include "core/json_reader.h"
#include "pg/bundle_file.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/receipt.h"
#include "pg/value_reader.h"

extern "C" {
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {

struct ColumnReader {
    int index;  // in the descriptor, from 0; -1: it has not got the column
    ValueReader* reader;
    bool null_is_value;  // of jsonb: a NULL is left out
    bool seen;           // in the payload that is being read
};

namespace {

[[noreturn]] void refuse_row(const BundledEntry& entry, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE),
            errmsg("an archived entry cannot be read back into the columns of its log"),
            errdetail("Position %lld of chain %s: %s.", static_cast<long long>(entry.position),
                      bundle_text(entry.chain), detail),
            errhint("Nothing has been changed. The bundle itself has the payload: docs/bundle.md "
                    "says how to read it."));
    pg_unreachable();
}

int find_attribute(TupleDesc descriptor, const char* name) {
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && namestrcmp(&attribute->attname, name) == 0) {
            return i;
        }
    }
    return -1;
}

void put(const RowReader& reader, AttrNumber column, Datum value) {
    if (column != 0) {
        reader.values[column - 1] = value;
        reader.nulls[column - 1] = false;
    }
}

// The number of the chain in this database.
std::int32_t find_chain_id(RowReader* reader, const BundledEntry& entry) {
    if (reader->chain != nullptr && entry.chain == reader->chain) {
        return reader->chain_id;
    }
    std::size_t slash = entry.chain.rfind('/');
    FoundChain found = {};
    if (slash != entry.chain.npos) {
        const char* lane = pnstrdup(entry.chain.data() + slash + 1, entry.chain.size() - slash - 1);
        found = find_chain(reader->log->id, entry.chain.substr(0, slash), atoi(lane));
    }
    if (found.chain_id == 0) {
        refuse_row(entry, "the log has no such chain");
    }
    reader->chain = MemoryContextStrdup(GetMemoryChunkContext(reader),
                                        pnstrdup(entry.chain.data(), entry.chain.size()));
    reader->chain_id = found.chain_id;
    return found.chain_id;
}

ColumnReader* find_member(const RowReader& reader, const BundledEntry& entry,
                          std::string_view escaped) {
    std::string_view member = unescaped_utf8(escaped);
    for (std::size_t i = 0; i < reader.log->columns.size(); i++) {
        if (reader.log->columns[i].member == member && reader.columns[i].index >= 0) {
            return &reader.columns[i];
        }
    }
    refuse_row(entry, psprintf("the log has no column \"%s\"", bundle_text(member)));
}

void read_members(const RowReader& reader, const BundledEntry& entry) {
    JsonReader members(entry.payload);
    if (!members.take('{')) {
        refuse_payload();
    }
    if (members.take('}')) {
        return;
    }
    do {
        std::string_view name;
        std::string_view text;
        if (!members.string(&name) || !members.take(':') || !members.value(&text)) {
            refuse_payload();
        }
        ColumnReader* column = find_member(reader, entry, name);
        column->seen = true;
        if (text != "null" || column->null_is_value) {
            reader.values[column->index] = read_value(*column->reader, text);
            reader.nulls[column->index] = false;
        }
    } while (members.take(','));
    if (!members.take('}') || !members.at_end()) {
        refuse_payload();
    }
}

// What a payload leaves out is NULL, or the default that the column was added with.
void read_absent(const RowReader& reader) {
    for (std::size_t i = 0; i < reader.log->columns.size(); i++) {
        const char* absent = reader.log->columns[i].absent;
        const ColumnReader& column = reader.columns[i];
        if (!column.seen && column.index >= 0 && absent != nullptr) {
            reader.values[column.index] = read_value(*column.reader, absent);
            reader.nulls[column.index] = false;
        }
    }
}

void tell_place(void* arg) {
    const auto& entry = *static_cast<const BundledEntry*>(arg);
    errcontext("archived entry at position %lld of chain %s",
               static_cast<long long>(entry.position), bundle_text(entry.chain));
}

void put_chain_columns(RowReader* reader, const BundledEntry& entry) {
    const RowPlan& plan = *reader->plan;
    put(*reader, plan.chain_id, Int32GetDatum(find_chain_id(reader, entry)));
    put(*reader, plan.chain_position, Int64GetDatum(entry.position));
    put(*reader, plan.previous_checksum, digest_datum(entry.previous));
    put(*reader, plan.checksum, digest_datum(entry.checksum));
    if (entry.receipt) {
        put(*reader, plan.receipt, receipt_datum(*entry.receipt));
    }
}

}  // namespace

RowReader* make_row_reader(const Log& log, TupleDesc descriptor) {
    auto* reader = static_cast<RowReader*>(palloc0(sizeof(RowReader)));
    reader->log = &log;
    reader->descriptor = descriptor;
    reader->plan = plan_row(log, descriptor);
    reader->columns =
        static_cast<ColumnReader*>(palloc0((log.columns.size() + 1) * sizeof(ColumnReader)));
    for (std::size_t i = 0; i < log.columns.size(); i++) {
        int index = find_attribute(descriptor, NameStr(log.columns[i].name));
        Oid type = index < 0 ? InvalidOid : getBaseType(TupleDescAttr(descriptor, index)->atttypid);
        reader->columns[i] = {index, index < 0 ? nullptr : make_value_reader(type),
                              type == JSONBOID && log.columns[i].absent == nullptr, false};
    }
    reader->values = static_cast<Datum*>(palloc0((descriptor->natts + 1) * sizeof(Datum)));
    reader->nulls = static_cast<bool*>(palloc0((descriptor->natts + 1) * sizeof(bool)));
    reader->row_context = AllocSetContextCreate(CurrentMemoryContext, "auditchain restored row",
                                                ALLOCSET_DEFAULT_SIZES);
    // Values are read under the settings that they were written under.
    enter_output_settings(reader->plan->dependence);
    set_config_option("xmloption", "content", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    return reader;
}

void read_row(RowReader* reader, const BundledEntry& entry) {
    ErrorContextCallback callback = {error_context_stack, tell_place,
                                     const_cast<BundledEntry*>(&entry)};
    error_context_stack = &callback;
    MemoryContextReset(reader->row_context);
    MemoryContext caller = MemoryContextSwitchTo(reader->row_context);
    std::fill_n(reader->nulls, reader->descriptor->natts, true);
    for (std::size_t i = 0; i < reader->log->columns.size(); i++) {
        reader->columns[i].seen = false;
    }
    read_members(*reader, entry);
    read_absent(*reader);
    put_chain_columns(reader, entry);
    if (write_payload(reader->plan, reader->values, reader->nulls) != entry.payload) {
        refuse_row(entry, "what is read back has another payload");
    }
    MemoryContextSwitchTo(caller);
    error_context_stack = callback.previous;
}

}  // namespace auditchain::pg
