// The insert trigger: makes a row the next entry of its chain.

#include "pg/chain_row.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/log_cache.h"

extern "C" {
#include <access/htup_details.h>
#include <commands/trigger.h>
#include <executor/tuptable.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace auditchain::pg {
namespace {

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
    for (AttrNumber column :
         {plan.chain_id, plan.chain_position, plan.previous_checksum, plan.checksum}) {
        if (nulls[column - 1]) {
            continue;
        }
        ereport(ERROR, errcode(ERRCODE_AC_CHAIN_COLUMN_WRITTEN),
                errmsg("column \"%s\" of log \"%s\" is written by auditchain only",
                       NameStr(TupleDescAttr(RelationGetDescr(relation), column - 1)->attname),
                       RelationGetRelationName(relation)),
                errdetail("The INSERT gives it a value of its own."),
                errhint("Leave chain_id, chain_position, previous_checksum and checksum out: name "
                        "the columns that INSERT or COPY writes."));
    }
}

}  // namespace

void require_chain_columns(const RowPlan& plan, Oid relation) {
    if (plan.chain_id != 0 && plan.chain_position != 0 && plan.previous_checksum != 0 &&
        plan.checksum != 0) {
        return;
    }
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" has lost a column of auditchain", get_rel_name(relation)),
            errdetail("A log has chain_id, chain_position, previous_checksum and checksum."),
            errhint("Rename the columns back, or restore the table from a backup."));
}

ChainRow chain_row(HeldChain* chain, RowPlan* plan, Oid leaf, const Datum* values,
                   const bool* nulls) {
    ChainRow row;
    row.chain_id = chain->chain_id;
    row.position = chain->head.position + 1;
    row.previous = chain->head.checksum;
    row.checksum = checksum_of(row.previous, write_payload(plan, values, nulls));
    chain->head = {row.position, row.checksum, leaf};
    return row;
}

void chain_row_values(const ChainRow& row, Datum values[4]) {
    values[0] = Int32GetDatum(row.chain_id);
    values[1] = Int64GetDatum(row.position);
    values[2] = digest_datum(row.previous);
    values[3] = digest_datum(row.checksum);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

AUDITCHAIN_FUNCTION(auditchain_chain_entry) {
    TriggerData* trigger = require_insert_trigger(fcinfo);
    Relation relation = trigger->tg_relation;
    CachedLog& cached = require_cached_log(RelationGetRelid(relation));
    RowPlan& plan = *cached.plan;
    require_chain_columns(plan, RelationGetRelid(relation));

    TupleTableSlot* slot = trigger->tg_trigslot;
    slot_getallattrs(slot);
    require_unwritten(relation, plan, slot->tts_isnull);

    HeldChain* chain =
        hold_chain(*cached.log, write_chain_key(&plan, slot->tts_values, slot->tts_isnull));
    ChainRow row =
        chain_row(chain, &plan, RelationGetRelid(relation), slot->tts_values, slot->tts_isnull);
    int columns[] = {plan.chain_id, plan.chain_position, plan.previous_checksum, plan.checksum};
    bool nulls[4] = {};
    Datum values[4];
    chain_row_values(row, values);
    return PointerGetDatum(heap_modify_tuple_by_cols(
        trigger->tg_trigtuple, RelationGetDescr(relation), 4, columns, values, nulls));
}
