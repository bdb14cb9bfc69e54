#include "pg/backfill.h"

#include "pg/chain_row.h"
#include "pg/payload.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <executor/executor.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

constexpr long kBatch = 1000;

// A table whose rows are being chained: the log, or one of its leaves.
struct Target {
    Relation table;
    RowPlan* plan;
    EState* estate;
    ResultRelInfo* result;
    TupleTableSlot* found;
    TupleTableSlot* chained;
    Target* next;
};

Target* open_target(const Log& log, Oid leaf) {
    auto* target = static_cast<Target*>(palloc0(sizeof(Target)));
    target->table = table_open(leaf, NoLock);
    target->plan = plan_row(log, RelationGetDescr(target->table));
    target->found = table_slot_create(target->table, nullptr);
    target->chained = table_slot_create(target->table, nullptr);
    target->estate = CreateExecutorState();
    target->result = makeNode(ResultRelInfo);
    InitResultRelInfo(target->result, target->table, 0, nullptr, 0);
    // Entries are history: no trigger of the user's has a say in this update.
    target->result->ri_TrigDesc = nullptr;
    ExecOpenIndices(target->result, false);
    return target;
}

void close_target(Target* target) {
    ExecCloseIndices(target->result);
    ExecDropSingleTupleTableSlot(target->found);
    ExecDropSingleTupleTableSlot(target->chained);
    FreeExecutorState(target->estate);
    table_close(target->table, NoLock);
}

HeldChain* find_chain_of(const ChainMap& chains, const Log& log, std::string_view key) {
    HeldChain* chain = enter_chain(chains, log, key);
    if (chain->chain_id == 0) {
        chain->lane = 0;
        chain->chain_id = add_chain(log.id, key, chain->lane);
    }
    return chain;
}

void chain_existing_row(const ChainMap& chains, const Log& log, Target* target, ItemPointer tid) {
    if (!table_tuple_fetch_row_version(target->table, tid, GetActiveSnapshot(), target->found)) {
        elog(ERROR, "row to chain has vanished");
    }
    slot_getallattrs(target->found);
    const Datum* found = target->found->tts_values;
    const bool* nulls = target->found->tts_isnull;
    RowPlan* plan = target->plan;
    HeldChain* chain = find_chain_of(chains, log, write_chain_key(plan, found, nulls));
    ChainRow row = next_row(log, *chain, write_payload(plan, found, nulls));
    chain->head = {row.position, row.checksum, RelationGetRelid(target->table)};

    TupleTableSlot* chained = ExecClearTuple(target->chained);
    int natts = chained->tts_tupleDescriptor->natts;
    memcpy(chained->tts_values, found, natts * sizeof(Datum));
    memcpy(chained->tts_isnull, nulls, natts * sizeof(bool));
    put_chain_row(*plan, row, chained->tts_values, chained->tts_isnull);
    ExecStoreVirtualTuple(chained);
    EPQState epq = {};
    ExecSimpleRelationUpdate(target->result, target->estate, &epq, target->found, chained);
    ResetPerTupleExprContext(target->estate);
}

Target* find_target(Target** targets, const Log& log, Oid leaf) {
    for (Target* target = *targets; target != nullptr; target = target->next) {
        if (RelationGetRelid(target->table) == leaf) {
            return target;
        }
    }
    Target* target = open_target(log, leaf);
    target->next = *targets;
    *targets = target;
    return target;
}

Portal open_rows(const Log& log, const char* order_by) {
    const char* query =
        psprintf("SELECT tableoid, ctid FROM %s ORDER BY %s", from_item(log.relation), order_by);
    SPIPlanPtr plan = SPI_prepare(query, 0, nullptr);
    // Read-only, so that it takes the active snapshot.
    return SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
}

}  // namespace

std::int64_t backfill(const Log& log, const char* order_by) {
    // Rows that others committed before we had the lock count, under REPEATABLE READ too.
    PushActiveSnapshot(GetLatestSnapshot());
    Portal rows = open_rows(log, order_by);
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain backfill", ALLOCSET_DEFAULT_SIZES);
    MemoryContext row_context =
        AllocSetContextCreate(context, "auditchain backfill row", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    ChainMap chains = make_chain_map(context);
    Target* targets = nullptr;
    std::int64_t count = 0;
    for (SPI_cursor_fetch(rows, true, kBatch); SPI_processed > 0;
         SPI_cursor_fetch(rows, true, kBatch)) {
        SPITupleTable* batch = SPI_tuptable;
        for (std::uint64_t i = 0; i < batch->numvals; i++) {
            CHECK_FOR_INTERRUPTS();
            bool null;
            Oid leaf = DatumGetObjectId(SPI_getbinval(batch->vals[i], batch->tupdesc, 1, &null));
            auto* tid = reinterpret_cast<ItemPointer>(
                DatumGetPointer(SPI_getbinval(batch->vals[i], batch->tupdesc, 2, &null)));
            Target* target = find_target(&targets, log, leaf);
            MemoryContextSwitchTo(row_context);
            chain_existing_row(chains, log, target, tid);
            MemoryContextSwitchTo(context);
            MemoryContextReset(row_context);
            count++;
        }
        SPI_freetuptable(batch);
    }
    for (Target* target = targets; target != nullptr; target = target->next) {
        close_target(target);
    }
    SPI_cursor_close(rows);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    PopActiveSnapshot();
    CommandCounterIncrement();
    return count;
}

}  // namespace auditchain::pg
