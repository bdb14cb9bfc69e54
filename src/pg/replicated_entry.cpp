#include "pg/replicated_entry.h"

#include "pg/chain.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/receipt.h"

extern "C" {
#include <replication/logicalworker.h>
#include <replication/worker_internal.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

[[noreturn]] void refuse_entry(const Log& log, const ChainRow& entry, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_BROKEN_ENTRY),
            errmsg("replicated entry of log \"%s\" is broken", get_rel_name(log.relation)),
            errdetail("chain_id %d, position %lld: %s", entry.chain_id,
                      static_cast<long long>(entry.position), detail),
            errhint("Verify the publisher's log. A subscriber's log takes entries from one "
                    "publisher, all of them, and from nobody else."));
    pg_unreachable();
}

ChainRow read_entry(const Log& log, const RowPlan& plan, const TupleTableSlot& slot) {
    const Datum* values = slot.tts_values;
    ChainRow entry = {};
    entry.chain_id = DatumGetInt32(values[plan.chain_id - 1]);
    entry.position = DatumGetInt64(values[plan.chain_position - 1]);
    if (!read_digest(values[plan.previous_checksum - 1], &entry.previous) ||
        !read_digest(values[plan.checksum - 1], &entry.checksum)) {
        refuse_entry(log, entry, "its checksums are none.");
    }
    return entry;
}

// Lanes are numbered here as their chains arrive.
int free_lane(const Log& log, std::string_view key) {
    int lane = 0;
    while (find_chain(log.id, key, lane).chain_id != 0) {
        lane++;
    }
    return lane;
}

// The lane of the entry's chain, which is begun here with its first entry.
int find_lane(const Log& log, const ChainRow& entry, std::string_view key) {
    ChainName name;
    if (!find_chain_name(entry.chain_id, &name)) {
        int lane = free_lane(log, key);
        add_given_chain(log.id, key, lane, entry.chain_id);
        return lane;
    }
    if (memcmp(&name.log, &log.id, sizeof log.id) != 0 || key != name.key) {
        refuse_entry(log, entry, "the chain of this number has another log or key here.");
    }
    return name.lane;
}

}  // namespace

bool is_replicated_entry(const RowPlan& plan, const bool* nulls) {
    return IsLogicalWorker() && !nulls[plan.chain_id - 1] && !nulls[plan.chain_position - 1] &&
           !nulls[plan.previous_checksum - 1] && !nulls[plan.checksum - 1];
}

ChainRow accept_replicated_entry(const Log& log, RowPlan* plan, TupleTableSlot* slot,
                                 Relation leaf) {
    ChainRow entry = read_entry(log, *plan, *slot);
    std::string_view key = copy_chain_key(plan, slot->tts_values, slot->tts_isnull);
    std::string_view payload = write_payload(plan, slot->tts_values, slot->tts_isnull);
    if (checksum_of(entry.previous, payload) != entry.checksum) {
        refuse_entry(log, entry, "its content does not match its checksum.");
    }
    int lane = find_lane(log, entry, key);
    if (log.receipts) {
        entry.receipt = make_receipt(log, {key, lane, entry.position, entry.checksum});
    }
    bool first_copy = OidIsValid(MyLogicalRepWorker->relid);
    if (first_copy) {
        return entry;
    }
    HeldChain* chain = hold_given_chain(log, key, entry.chain_id, lane, leaf);
    if (entry.position != chain->head.position + 1 || entry.previous != chain->head.checksum) {
        refuse_entry(log, entry,
                     psprintf("it does not follow the newest entry here, at position %lld.",
                              static_cast<long long>(chain->head.position)));
    }
    extend_chain(chain, entry.position, entry.checksum, leaf);
    return entry;
}

}  // namespace auditchain::pg
