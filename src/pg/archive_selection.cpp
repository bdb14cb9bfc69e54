// Which entries an archive takes: what is old enough, sealed, and held by nothing. Each is
// verified.

#include "pg/archive_selection.h"

#include "core/chain_walk.h"
#include "pg/archive.h"
#include "pg/archived_range.h"
#include "pg/checkpoint.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/export_query.h"
#include "pg/hold.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/tree.h"
#include "pg/violation_text.h"

extern "C" {
#include <utils/date.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

struct Selecting {
    const Log* log;
    MemoryContext context;  // of all of the work
    const LogColumn* time;
    TimestampTz before;
    const RowTaker* taker;

    EntrySelection found;
    EntryScan* scan;
    LinkReader* links;
    ReceiptCheck receipts;
    MemoryContext chain_context;  // of the chain that is being read
    ChainName chain;
    std::int32_t chain_id;
    std::int64_t limit;   // the newest position of it that may be taken
    ArchivedEntries run;  // that is being taken; first 0: none
    int time_index;       // of the time column in the scan's rows
    Oid time_type;
};

[[noreturn]] void refuse_entry(const Selecting& work, std::int64_t position, const char* fault) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" cannot be archived", get_rel_name(work.log->relation)),
            errdetail("Position %lld of chain %s %s.", static_cast<long long>(position),
                      shown_chain(work.chain.key, work.chain.lane), fault),
            errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                    qualified_name(work.log->relation)));
    pg_unreachable();
}

bool read_link(const Selecting& work, std::int64_t position, ChainLink* link) {
    begin_links(work.links, work.chain_id, position, position);
    if (!next_link(work.links, link)) {
        return false;
    }
    end_links(work.links);
    return true;
}

// The checksum that stands before a position: of an entry, or at the end of an older archive.
bool read_checksum_before(const Selecting& work, std::int64_t position, Digest* checksum) {
    if (position == 1) {
        *checksum = {};
        return true;
    }
    ChainLink link;
    if (read_link(work, position - 1, &link)) {
        *checksum = link.checksum;
        return true;
    }
    std::span<ArchivedRange> ranges =
        read_archived_ranges(*work.log, work.chain_id, position - 1, 1);
    bool found = !ranges.empty() && ranges[0].entries.last == position - 1;
    *checksum = found ? ranges[0].entries.checksum : Digest{};
    return found;
}

// The checksum that the entry at a position names as the one before it.
bool read_named_checksum(const Selecting& work, std::int64_t position, Digest* checksum) {
    ChainLink link;
    if (read_link(work, position, &link)) {
        *checksum = link.previous;
        return true;
    }
    std::span<ArchivedRange> ranges = read_archived_ranges(*work.log, work.chain_id, position, 1);
    bool found = !ranges.empty() && ranges[0].entries.first == position;
    *checksum = found ? ranges[0].entries.previous : Digest{};
    return found;
}

// Puts the run on record, once it is known to fit what stays before and behind it.
void end_run(Selecting* work) {
    ArchivedEntries& run = work->run;
    if (run.first == 0) {
        return;
    }
    MemoryContext caller = MemoryContextSwitchTo(work->scan->row_context);
    Digest checksum;
    if (!read_checksum_before(*work, run.first, &checksum) || checksum != run.previous) {
        refuse_entry(*work, run.first, "does not follow the entry before it");
    }
    if (!read_named_checksum(*work, run.last + 1, &checksum) || checksum != run.checksum) {
        refuse_entry(*work, run.last + 1, "does not follow the entry before it");
    }
    change_catalog(
        "INSERT INTO auditchain.archive_range (log_id, chain_id, first_position, last_position, "
        "previous_checksum, checksum, archive_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        {uuid_arg(work->log->id),
         {INT4OID, Int32GetDatum(work->chain_id)},
         {INT8OID, Int64GetDatum(run.first)},
         {INT8OID, Int64GetDatum(run.last)},
         {BYTEAOID, digest_datum(run.previous)},
         {BYTEAOID, digest_datum(run.checksum)},
         {INT8OID, Int64GetDatum(work->found.archive)}});
    MemoryContextSwitchTo(caller);
    run = {};
}

// The newest sealed entry of a chain stays: new ones are chained and sealed from there.
std::int64_t archive_limit(const Log& log, std::int32_t chain_id) {
    query_catalog(
        "SELECT max(last_position) - 1 FROM auditchain.sealed_range "
        "WHERE log_id = $1 AND chain_id = $2",
        {uuid_arg(log.id), {INT4OID, Int32GetDatum(chain_id)}});
    bool null;
    Datum limit = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    return null ? 0 : DatumGetInt64(limit);
}

void begin_chain(Selecting* work, std::int32_t chain_id) {
    MemoryContextReset(work->chain_context);
    MemoryContext caller = MemoryContextSwitchTo(work->chain_context);
    work->chain_id = chain_id;
    if (!find_log_chain(work->log->id, chain_id, &work->chain)) {
        ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("log \"%s\" cannot be archived", get_rel_name(work->log->relation)),
                errdetail("It has entries with chain_id %d, which is no chain of it.", chain_id),
                errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                        qualified_name(work->log->relation)));
    }
    work->limit = archive_limit(*work->log, chain_id);
    MemoryContextSwitchTo(caller);
}

// The first entry that is taken begins the archive: there is none without entries.
void begin_archive(Selecting* work) {
    if (work->found.archive != 0) {
        return;
    }
    change_catalog("SELECT nextval('auditchain.archive_id_seq')", {});
    bool null;
    work->found.archive =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

void verify_entry(Selecting* work, const ScannedEntry& scanned) {
    const Entry& entry = scanned.entry;
    if (checksum_of(entry.previous, scanned_payload(work->scan)) != entry.checksum) {
        refuse_entry(*work, entry.position, "no longer matches its checksum");
    }
    if (scanned_key(work->scan) != work->chain.key) {
        refuse_entry(*work, entry.position, "belongs to the chain of another key");
    }
    if (check_receipt(&work->receipts,
                      {work->chain.key, work->chain.lane, entry.position, entry.checksum},
                      scanned.has_receipt ? &scanned.receipt : nullptr) == ReceiptState::invalid) {
        refuse_entry(*work, entry.position, "has a receipt that no key of this server makes");
    }
}

// Types without a time zone are UTC.
TimestampTz entry_time(const Selecting& work) {
    Datum value = work.scan->values[work.time_index];
    if (work.time_type != DATEOID) {
        return DatumGetTimestampTz(value);
    }
    DateADT date = DatumGetDateADT(value);
    return DATE_IS_NOBEGIN(date) ? DT_NOBEGIN : date * USECS_PER_DAY;
}

void count_in_leaf(Selecting* work) {
    Oid leaf = DatumGetObjectId(work->scan->values[0]);
    ListCell* cell;
    foreach (cell, work->found.leaves) {
        auto* counted = static_cast<ArchivedLeaf*>(lfirst(cell));
        if (counted->leaf == leaf) {
            counted->entries++;
            return;
        }
    }
    MemoryContext caller = MemoryContextSwitchTo(work->context);
    work->found.leaves =
        lappend(work->found.leaves, new (palloc(sizeof(ArchivedLeaf))) ArchivedLeaf{leaf, 1});
    MemoryContextSwitchTo(caller);
}

void take_entry(Selecting* work, const ScannedEntry& scanned) {
    const Entry& entry = scanned.entry;
    ArchivedEntries& run = work->run;
    verify_entry(work, scanned);
    if (run.first != 0 && entry.position == run.last + 1) {
        if (entry.previous != run.checksum) {
            refuse_entry(*work, entry.position, "does not follow the entry before it");
        }
        run.last = entry.position;
        run.checksum = entry.checksum;
    } else {
        end_run(work);
        run = {entry.position, entry.position, entry.previous, entry.checksum};
    }
    if (work->taker != nullptr) {
        MemoryContext caller = MemoryContextSwitchTo(work->context);
        work->taker->take(work->taker->state, *work->scan);
        MemoryContextSwitchTo(caller);
    }
    count_in_leaf(work);
    work->found.newest = std::max(work->found.newest, entry_time(*work));
    work->found.entries++;
}

const char* taken_condition(const Selecting& work) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "true");
    append_time_bound(&sql, *work.log, *work.time, "<", work.before);
    if (const char* held = held_condition(*work.log, work.log->relation)) {
        appendStringInfo(&sql, " AND %s IS NOT TRUE", held);
    }
    return sql.data;
}

void find_time_column(Selecting* work) {
    TupleDesc rows = work->scan->portal->tupDesc;
    for (int i = 2; i < rows->natts; i++) {  // behind tableoid and ctid
        if (namestrcmp(&TupleDescAttr(rows, i)->attname, NameStr(work->time->name)) == 0) {
            work->time_index = i;
            work->time_type = getBaseType(TupleDescAttr(rows, i)->atttypid);
        }
    }
}

void read_entries(Selecting* work) {
    work->scan = open_entries(*work->log, taken_condition(*work));
    work->links = make_link_reader(*work->log);
    find_time_column(work);
    ScannedEntry scanned = {};
    while (next_entry(work->scan, &scanned)) {
        advance_progress(progress_slot(), 1);
        if (!scanned.in_chain) {
            continue;
        }
        if (scanned.chain_id != work->chain_id) {
            end_run(work);
            begin_chain(work, scanned.chain_id);
        }
        if (scanned.entry.position <= work->limit) {
            begin_archive(work);
            take_entry(work, scanned);
        }
    }
    end_run(work);
    close_entries(work->scan);
}

}  // namespace

EntrySelection select_entries(const Log& log, const LogColumn& time, TimestampTz before,
                              const RowTaker* taker) {
    Selecting work = {};
    work.log = &log;
    work.context = CurrentMemoryContext;
    work.time = &time;
    work.before = before;
    work.taker = taker;
    work.found.newest = DT_NOBEGIN;
    work.receipts = begin_receipt_check(log);
    work.chain_context =
        AllocSetContextCreate(work.context, "auditchain chain", ALLOCSET_SMALL_SIZES);
    read_entries(&work);
    return work.found;
}

}  // namespace auditchain::pg
