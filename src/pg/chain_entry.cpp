// The insert trigger: makes a row the next entry of its chain.

#include "pg/chain_row.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/log_cache.h"
#include "pg/operations.h"
#include "pg/receipt.h"
#include "pg/replicated_entry.h"

extern "C" {
#include <access/htup_details.h>
#include <commands/trigger.h>
#include <executor/tuptable.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace auditchain::pg {
namespace {

// Anybody may make a trigger of this function on a table of their own, and so on a released log.
void require_protected(const Log& log) {
    if (log.released) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("log \"%s\" is released", get_rel_name(log.relation)),
                errdetail("Rows that come after a release are in no chain."),
                errhint("Drop the trigger that calls auditchain._chain_entry()."));
    }
}

// What the log of operations says is what auditchain did, whoever else may INSERT there.
void require_operation(const CachedLog& cached) {
    if (cached.operations && !is_recording_operation()) {
        ereport(ERROR, errcode(ERRCODE_AC_APPEND_ONLY),
                errmsg("INSERT refused: log \"operations\" is written by auditchain only"),
                errdetail("Its entries prove what was done to the entries of other logs."),
                errhint("Keep notes of your own in a table of your own."));
    }
}

TriggerData* require_insert_trigger(FunctionCallInfo fcinfo) {
    auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
        !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("auditchain's chain trigger must be BEFORE INSERT FOR EACH ROW"),
                errhint("auditchain.protect() creates it."));
    }
    return trigger;
}

void require_unwritten(Relation relation, const RowPlan& plan, const bool* nulls) {
    for (AttrNumber column : {plan.chain_id, plan.chain_position, plan.previous_checksum,
                              plan.checksum, plan.receipt}) {
        if (column == 0 || nulls[column - 1]) {
            continue;
        }
        ereport(ERROR, errcode(ERRCODE_AC_CHAIN_COLUMN_WRITTEN),
                errmsg("column \"%s\" of log \"%s\" is written by auditchain only",
                       NameStr(TupleDescAttr(RelationGetDescr(relation), column - 1)->attname),
                       RelationGetRelationName(relation)),
                errdetail("The INSERT gives it a value of its own."),
                errhint("Leave chain_id, chain_position, previous_checksum%s out: name "
                        "the columns that INSERT or COPY writes.",
                        plan.receipt != 0 ? ", checksum and receipt" : " and checksum"));
    }
}

// A row's values, to be changed.
struct RowValues {
    Datum* values;
    bool* nulls;
};

RowValues copy_values(const TupleTableSlot* slot) {
    int count = slot->tts_tupleDescriptor->natts;
    RowValues row = {static_cast<Datum*>(palloc(count * sizeof(Datum))),
                     static_cast<bool*>(palloc(count * sizeof(bool)))};
    memcpy(row.values, slot->tts_values, count * sizeof(Datum));
    memcpy(row.nulls, slot->tts_isnull, count * sizeof(bool));
    return row;
}

}  // namespace

void require_chain_columns(const Log& log, const RowPlan& plan, Oid relation) {
    if (plan.chain_id != 0 && plan.chain_position != 0 && plan.previous_checksum != 0 &&
        plan.checksum != 0 && (plan.receipt != 0 || !log.receipts)) {
        return;
    }
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" has lost a column of auditchain", get_rel_name(relation)),
            errdetail("A log%s has chain_id integer, chain_position bigint, previous_checksum "
                      "bytea%s.",
                      log.receipts ? " with receipts" : "",
                      log.receipts ? ", checksum bytea and receipt bytea" : " and checksum bytea"),
            errhint("Rename the columns back, or restore the table from a backup."));
}

ChainRow next_row(const Log& log, const HeldChain& chain, std::string_view payload) {
    const Head& head = chain.head;
    ChainRow row = {
        chain.chain_id, head.position + 1, head.checksum, checksum_of(head.checksum, payload), {}};
    if (log.receipts) {
        std::string_view key = {chain.key.text, chain.key.length};
        row.receipt = make_receipt(log, {key, chain.lane, row.position, row.checksum});
    }
    return row;
}

void put_chain_row(const RowPlan& plan, const ChainRow& row, Datum* values, bool* nulls) {
    values[plan.chain_id - 1] = Int32GetDatum(row.chain_id);
    values[plan.chain_position - 1] = Int64GetDatum(row.position);
    values[plan.previous_checksum - 1] = digest_datum(row.previous);
    values[plan.checksum - 1] = digest_datum(row.checksum);
    for (AttrNumber column :
         {plan.chain_id, plan.chain_position, plan.previous_checksum, plan.checksum}) {
        nulls[column - 1] = false;
    }
    if (plan.receipt != 0) {
        values[plan.receipt - 1] = receipt_datum(row.receipt);
        nulls[plan.receipt - 1] = false;
    }
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

AUDITCHAIN_FUNCTION(auditchain_chain_entry) {
    TriggerData* trigger = require_insert_trigger(fcinfo);
    Relation relation = trigger->tg_relation;
    CachedLog& cached = require_cached_log(RelationGetRelid(relation));
    RowPlan& plan = *cached.plan;
    require_protected(*cached.log);
    require_operation(cached);
    require_chain_columns(*cached.log, plan, RelationGetRelid(relation));

    TupleTableSlot* slot = trigger->tg_trigslot;
    slot_getallattrs(slot);
    if (is_replicated_entry(plan, slot->tts_isnull)) {
        ChainRow place = accept_replicated_entry(*cached.log, &plan, slot, relation);
        if (plan.receipt == 0) {
            return PointerGetDatum(trigger->tg_trigtuple);
        }
        RowValues row = copy_values(slot);
        put_chain_row(plan, place, row.values, row.nulls);
        return PointerGetDatum(heap_form_tuple(slot->tts_tupleDescriptor, row.values, row.nulls));
    }
    require_unwritten(relation, plan, slot->tts_isnull);

    // What needs no place in the chain is done before its lock is taken.
    RowValues row = copy_values(slot);
    if (cached.personal != nullptr) {
        encrypt_personal_fields(cached.personal, row.values, row.nulls);
    }
    std::string_view key = copy_chain_key(&plan, row.values, row.nulls);
    std::string_view payload = write_payload(&plan, row.values, row.nulls);
    HeldChain* chain = hold_chain(*cached.log, key, relation);
    ChainRow place = next_row(*cached.log, *chain, payload);
    extend_chain(chain, place.position, place.checksum, relation);
    put_chain_row(plan, place, row.values, row.nulls);
    return PointerGetDatum(heap_form_tuple(slot->tts_tupleDescriptor, row.values, row.nulls));
}
