// export() and export_soc2(): the events of a log for auditors and machines. One line at a time, so
// that memory does not grow with the log.

#include "pg/buffer.h"
#include "pg/commit_pipeline.h"
#include "pg/errors.h"
#include "pg/export_event.h"
#include "pg/export_query.h"
#include "pg/export_soc2.h"

extern "C" {
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

enum class Format : std::uint8_t { soc2, json, jsonl, csv };

constexpr struct {
    const char* name;
    Format format;
} kFormats[] = {
    {"soc2", Format::soc2}, {"json", Format::json}, {"jsonl", Format::jsonl}, {"csv", Format::csv}};

Format require_format(const char* name) {
    for (const auto& candidate : kFormats) {
        if (strcmp(candidate.name, name) == 0) {
            return candidate.format;
        }
    }
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("\"%s\" is no format that a log can be exported in", name),
            errdetail("The formats are soc2, json, jsonl and csv."),
            errhint("SELECT auditchain.export('log', 'jsonl') writes an event a line."));
}

// An export on its way: lines before the events, the events, a line after them.
struct Export {
    RowSource* rows;
    EventWriter* events;
    MemoryContext row_context;
    List* header;           // lines that are still to come
    const char* separator;  // behind each event but the last
    const char* footer;     // nullptr: none, or gone
    bool begun;             // with the events
    PallocBuffer* line;
    PallocBuffer* upcoming;  // the next event, read ahead for the sake of the separator; or empty
};

PallocBuffer* make_buffer() {
    return new (palloc(sizeof(PallocBuffer))) PallocBuffer(CurrentMemoryContext);
}

void take_row(void* state, TupleTableSlot* slot) {
    auto* run = static_cast<Export*>(state);
    MemoryContext caller = MemoryContextSwitchTo(run->row_context);
    write_event(run->events, slot->tts_values, slot->tts_isnull, run->upcoming);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(run->row_context);
}

void frame_events(Export* run, Format format, const Log& log, const Mapping& mapping) {
    run->separator = "";
    switch (format) {
        case Format::soc2:
            run->header = soc2_header(log, mapping);
            run->separator = ",";
            run->footer = kSoc2Footer;
            break;
        case Format::json:
            run->header = list_make1(pstrdup("["));
            run->separator = ",";
            run->footer = "]";
            break;
        case Format::csv:
            run->header = list_make1(const_cast<char*>(csv_header()));
            break;
        case Format::jsonl:
            break;
    }
}

// Everything lives in the current context. The rights are checked here, before verification.
Export* begin_export(Oid relation, Format format, const Selection& selection) {
    const Log& log = require_log(relation);
    Mapping mapping = resolve_mapping(log);
    auto* run = static_cast<Export*>(palloc0(sizeof(Export)));
    run->rows = open_rows(entry_query(log, mapping, selection), {take_row, run});
    run->events = make_event_writer(log, mapping, row_descriptor(*run->rows),
                                    format == Format::csv ? EventSyntax::csv : EventSyntax::json);
    run->row_context = AllocSetContextCreate(CurrentMemoryContext, "auditchain export row",
                                             ALLOCSET_DEFAULT_SIZES);
    run->line = make_buffer();
    run->upcoming = make_buffer();
    frame_events(run, format, log, mapping);
    flush_visible_entries();
    return run;
}

void read_ahead(Export* run) {
    CHECK_FOR_INTERRUPTS();
    run->upcoming->resize(0);
    run_to_next_row(run->rows);
}

void set_line(Export* run, const char* text) {
    run->line->resize(0);
    run->line->append(text, strlen(text));
}

// Writes the next line, UTF-8; false at the end.
bool next_line(Export* run) {
    if (run->header != NIL) {
        set_line(run, static_cast<const char*>(linitial(run->header)));
        run->header = list_delete_first(run->header);
        return true;
    }
    if (!run->begun) {
        run->begun = true;
        read_ahead(run);
    }
    if (run->upcoming->size() > 0) {
        std::swap(run->line, run->upcoming);
        read_ahead(run);
        if (run->upcoming->size() > 0) {
            run->line->append(run->separator, strlen(run->separator));
        }
        return true;
    }
    if (run->footer != nullptr) {
        set_line(run, run->footer);
        run->footer = nullptr;
        return true;
    }
    return false;
}

text* text_from_utf8(const PallocBuffer& buffer) {
    auto length = static_cast<int>(buffer.size());
    if (GetDatabaseEncoding() == PG_UTF8) {  // it was checked on its way in
        return cstring_to_text_with_len(buffer.data(), length);
    }
    const char* text = pg_any_to_server(buffer.data(), length, PG_UTF8);
    return text == buffer.data() ? cstring_to_text_with_len(text, length) : cstring_to_text(text);
}

void append_line(PallocBuffer* document, const PallocBuffer& line) {
    if (document->size() + line.size() + 1 >= MaxAllocSize) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("the SOC 2 document is too large for one value"),
                errdetail("A value is limited to 1 GB."),
                errhint("auditchain.export('log', 'soc2') returns it line by line."));
    }
    if (document->size() > 0) {
        document->append("\n", 1);
    }
    document->append(line.data(), line.size());
}

void close_export(Datum run) {
    close_rows(reinterpret_cast<Export*>(DatumGetPointer(run))->rows);
}

void require_arguments(FunctionCallInfo fcinfo, int count, const char* names) {
    for (int i = 0; i < count; i++) {
        if (PG_ARGISNULL(i)) {
            ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                    errmsg("%s must not be NULL", names),
                    errhint("since, until and filter may be: they then select every entry."));
        }
    }
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

namespace {

// The time range in the arguments `first` and the one behind it.
struct TimeRange {
    TimestampTz bounds[2];
    const TimestampTz* since;
    const TimestampTz* until;
    TimeRange(FunctionCallInfo fcinfo, int first)
        : bounds{PG_ARGISNULL(first) ? 0 : PG_GETARG_TIMESTAMPTZ(first),
                 PG_ARGISNULL(first + 1) ? 0 : PG_GETARG_TIMESTAMPTZ(first + 1)},
          since(PG_ARGISNULL(first) ? nullptr : &bounds[0]),
          until(PG_ARGISNULL(first + 1) ? nullptr : &bounds[1]) {}
};

}  // namespace

// export(log regclass, format text, since timestamptz, until timestamptz, filter jsonb)
// → SETOF text
AUDITCHAIN_FUNCTION(auditchain_export) {
    if (SRF_IS_FIRSTCALL()) {
        require_arguments(fcinfo, 2, "log and format");
        FuncCallContext* first = SRF_FIRSTCALL_INIT();
        MemoryContext caller = MemoryContextSwitchTo(first->multi_call_memory_ctx);
        Format format = require_format(text_to_cstring(PG_GETARG_TEXT_PP(1)));
        TimeRange range(fcinfo, 2);
        Jsonb* filter = PG_ARGISNULL(4) ? nullptr : PG_GETARG_JSONB_P(4);
        Export* run = begin_export(PG_GETARG_OID(0), format, {range.since, range.until, filter});
        MemoryContextSwitchTo(caller);
        first->user_fctx = run;
        // For a query that stops before the last line. Behind SRF_FIRSTCALL_INIT's own callback, so
        // called before it: the context is still there.
        auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
        RegisterExprContextCallback(result->econtext, close_export, PointerGetDatum(run));
    }
    FuncCallContext* call = SRF_PERCALL_SETUP();
    auto* run = static_cast<Export*>(call->user_fctx);
    MemoryContext caller = MemoryContextSwitchTo(call->multi_call_memory_ctx);
    bool more = next_line(run);
    MemoryContextSwitchTo(caller);
    if (more) {
        SRF_RETURN_NEXT(call, PointerGetDatum(text_from_utf8(*run->line)));
    }
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    UnregisterExprContextCallback(result->econtext, close_export, PointerGetDatum(run));
    close_rows(run->rows);
    SRF_RETURN_DONE(call);
}

// export_soc2(log regclass, since timestamptz, until timestamptz) → json
AUDITCHAIN_FUNCTION(auditchain_export_soc2) {
    require_arguments(fcinfo, 1, "log");
    TimeRange range(fcinfo, 1);
    Export* run = begin_export(PG_GETARG_OID(0), Format::soc2, {range.since, range.until, nullptr});
    PallocBuffer document(CurrentMemoryContext);
    while (next_line(run)) {
        append_line(&document, *run->line);
    }
    close_rows(run->rows);
    PG_RETURN_TEXT_P(text_from_utf8(document));
}
